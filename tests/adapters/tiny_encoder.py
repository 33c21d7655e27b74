"""A real, tiny encoder of SMILES with random weights, saved as transformers saves them."""

from __future__ import annotations

from pathlib import Path

import torch

LETTERS = "CNOSFPIBrlcnosp=#()[]@+-/\\1234567890H%."


def save_encoder(folder: Path, seed: int = 0, listed: str = "") -> Path:
    """A RoBERTa of two layers, 16 wide, a token per letter; `listed` becomes its list of pre-training molecules."""
    import transformers
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    words = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    for letter in LETTERS:
        words.setdefault(letter, len(words))
    core = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    core.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokeniser = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )
    config = transformers.RobertaConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=66, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    transformers.utils.logging.disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = transformers.RobertaForMaskedLM(config)
    with torch.no_grad():
        for weight in net.parameters():  # wider than usual, so that molecules differ well
            weight.mul_(4.0) if weight.dim() == 2 else None
    net.save_pretrained(folder)
    tokeniser.save_pretrained(folder)
    if listed:
        (folder / "pretraining.txt").write_text(listed)
    return folder
