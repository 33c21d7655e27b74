"""Pre-trained encoders of texts from a local folder, the only place where transformers is imported.

A folder is what such models are published as: `config.json`, the tokeniser's files and `model.safetensors` (in one file
or in numbered parts with an index). Weights are read from safetensors only, code in the folder is never run, and nothing
is fetched: what is not in the folder is missing. The embedding of a text is the mean over its tokens of the last layer's
states, the tokens that stand for begin and end counted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from osler.errors import LimitError, OptionError
from osler.registry import optional

#: A folder of encoders by name, looked in when a folder is not where it was in training.
SHELF = "OSLER_ENCODERS"
#: Largest sum of weight files, and largest other file.
MAX_WEIGHTS, MAX_FILE = 8 << 30, 64 << 20
#: Most tokens of a text that are read.
LONGEST = 512
#: Texts that are read side by side, those of about one length together.
_TOGETHER = 64
#: Tokenisers' files; one of the first three must be there.
_TOKENISER = ("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "tokenizer_config.json",
              "special_tokens_map.json", "added_tokens.json")  # fmt: skip
#: Bytes that kept embeddings may take together.
MAX_KEPT = 256 << 20
_KEPT: OrderedDict[tuple[str, str], np.ndarray] = OrderedDict()
_LOCK = Lock()
#: Kinds of encoders that can be trained further.
TRAINED = ("bert", "roberta", "electra")
#: Keys of a configuration that say where it came from, not what it is.
_ABOUT = {"_name_or_path", "transformers_version", "dtype", "torch_dtype", "auto_map", "attn_implementation"}
_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Encoder:
    """A folder that holds an encoder.

    Attributes:
        folder: where it is.
        kind: its architecture, such as `roberta`.
        width: numbers of an embedding.
        longest: most tokens of a text; the rest is not read.
        sha256: of configuration, tokeniser and weights, in hex.
    """

    folder: Path
    kind: str
    width: int
    longest: int
    sha256: str


def encoder(folder: str | Path) -> Encoder:
    """What a folder holds, its parts checked and hashed, nothing loaded.

    Args:
        folder: a path; one that is not there is looked for by its last name in the folder that OSLER_ENCODERS names.

    Raises:
        OptionError: there is no such folder, or a part of it is missing or is not what it must be.
        LimitError: its files are larger than is safe.
    """
    found = _place(folder)
    files = _files(found)
    return _described(found, tuple((str(f), f.stat().st_mtime_ns, f.stat().st_size) for f in files))


def embed(encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
    """(n, width) float32 embeddings of n texts.

    Raises:
        MissingExtraError: transformers is not installed.
        OptionError: the folder's files do not make a tokeniser and an encoder.
    """
    out = np.zeros((len(texts), encoder.width), np.float32)
    if not len(texts):
        return out
    tokeniser, net = loaded(encoder)
    order = np.argsort([len(text) for text in texts], kind="stable")
    for start in range(0, len(order), _TOGETHER):
        rows = order[start : start + _TOGETHER]
        given = tokeniser(
            [texts[i] for i in rows], padding=True, truncation=True, max_length=encoder.longest, return_tensors="pt"
        )
        states = net(**given).last_hidden_state.detach().numpy()
        real = given["attention_mask"].numpy()[:, :, None]
        out[rows] = (states * real).sum(axis=1) / np.maximum(real.sum(axis=1), 1)
    return out


def embed_kept(encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
    """`embed`, each text worked out once per process: folds and models ask for the same molecules again and again."""
    keys = [(encoder.sha256, text) for text in texts]
    with _LOCK:
        lacking = list(dict.fromkeys(text for key, text in zip(keys, texts) if key not in _KEPT))
    made = embed(encoder, lacking)
    fresh = {(encoder.sha256, text): row.copy() for text, row in zip(lacking, made)}
    with _LOCK:
        out = [fresh[key] if key in fresh else _KEPT.get(key) for key in keys]
        _KEPT.update(fresh)
        while len(_KEPT) * 4 * encoder.width > MAX_KEPT and len(_KEPT) > 1:
            _KEPT.popitem(last=False)
    gone = [i for i, row in enumerate(out) if row is None]  # dropped by another thread meanwhile
    for i, row in zip(gone, embed(encoder, [texts[i] for i in gone])):
        out[i] = row
    return np.array(out, np.float32).reshape(len(texts), encoder.width)


def token_ids(encoder: Encoder, texts: Sequence[str]) -> list[list[int]]:
    """The codes of each text's tokens, begin and end among them, at most `longest` of a text."""
    if not len(texts):
        return []
    return loaded(encoder)[0](list(texts), truncation=True, max_length=encoder.longest)["input_ids"]


def loaded(encoder: Encoder) -> tuple[Any, Any]:
    """The tokeniser and the network (a torch module, without gradients, not in training); kept in the process."""
    return _loaded(str(encoder.folder), encoder.sha256)


def description(encoder: Encoder) -> dict[str, Any]:
    """What `build` needs to make the same network without the folder: the numbers and names of its configuration.

    Raises:
        OptionError: it is of a kind that can be read but not trained further.
    """
    if encoder.kind not in TRAINED:
        raise OptionError(
            f"encoder '{encoder.folder.name}' must be of {', '.join(TRAINED)} to be trained further, it is {encoder.kind}: take its "
            "numbers as features of the column instead"
        )
    config = _config(encoder.folder)
    return {k: v for k, v in config.items() if isinstance(v, (bool, int, float, str)) and k not in _ABOUT}


def build(description: dict[str, Any]) -> Any:
    """A network (a torch module) of this description with random weights.

    Raises:
        OptionError: transformers knows no such network.
    """
    transformers = optional("transformers", "pretrained")
    kind = description.get("model_type", "")
    try:
        config = transformers.AutoConfig.for_model(**description)
        return transformers.AutoModel.from_config(config, trust_remote_code=False)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise OptionError(f"a pre-trained network must be of a kind that transformers has, was '{kind}'") from error


def weights(encoder: Encoder) -> dict[str, Any]:
    """Name → weight (a torch tensor) of the encoder in the folder; the pooling layer, which nothing reads, is left out."""
    return {k: v for k, v in loaded(encoder)[1].state_dict().items() if not k.startswith("pooler.")}


# -- the folder -----------------------------------------------------------------------------------------------------


def _place(folder: str | Path) -> Path:
    asked = Path(folder).expanduser()
    places = [asked]
    if shelf := os.environ.get(SHELF):
        places.append(Path(shelf) / asked.name)
    for place in places:
        if place.is_dir():
            return place.resolve()
    raise OptionError(
        f"encoder of molecules must be a folder with config.json and model.safetensors, '{asked.name}' is none: give its "
        f"path, or the folder that holds it in {SHELF}"
    )


def _files(folder: Path) -> list[Path]:
    """Configuration, tokeniser and weights of a folder, in a fixed order."""
    if not (folder / "config.json").is_file():
        raise OptionError(f"encoder '{folder.name}' must hold a config.json, it does not: give the model's own folder")
    weights = [folder / "model.safetensors"]
    if (folder / _INDEX).is_file():
        weights = [folder / _INDEX, *sorted(folder.glob("model-*.safetensors"))]
    if not weights[-1].is_file() or not weights[-1].name.endswith(".safetensors"):
        raise OptionError(
            f"encoder '{folder.name}' must hold its weights as model.safetensors, it does not: pickled weights (.bin, .pt) are "
            "never read, save the model again with safetensors"
        )
    words = [folder / name for name in _TOKENISER if (folder / name).is_file()]
    if not any(w.name in _TOKENISER[:3] for w in words):
        raise OptionError(f"encoder '{folder.name}' must hold a tokeniser (tokenizer.json, vocab.json or vocab.txt), it does not")
    if sum(w.stat().st_size for w in weights) > MAX_WEIGHTS:
        raise LimitError(f"weights of encoder '{folder.name}' must be at most {MAX_WEIGHTS >> 30} GiB", "limit-size")
    others = [folder / "config.json", *words]
    for file in others:
        if file.stat().st_size > MAX_FILE:
            raise LimitError(f"'{file.name}' of encoder '{folder.name}' must be at most {MAX_FILE >> 20} MiB", "limit-size")
    return [*others, *weights]


@lru_cache(maxsize=16)
def _described(folder: Path, files: tuple[tuple[str, int, int], ...]) -> Encoder:
    config = _config(folder)
    digest = hashlib.sha256()
    for name, _, _ in files:
        with open(name, "rb") as file:
            digest.update(f"{Path(name).name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    width, most = config.get("hidden_size"), config.get("max_position_embeddings", LONGEST)
    if not (isinstance(width, int) and 1 <= width <= 1 << 14 and isinstance(most, int) and most >= 4):
        raise OptionError(f"config.json of encoder '{folder.name}' must give hidden_size and max_position_embeddings")
    pad = config.get("pad_token_id")
    shift = pad + 1 if "roberta" in str(config.get("model_type")) and isinstance(pad, int) else 0
    return Encoder(folder, str(config["model_type"]), width, min(LONGEST, most - shift), digest.hexdigest())


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise OptionError(f"config.json of encoder '{folder.name}' must be JSON, it is not") from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise OptionError(f"config.json of encoder '{folder.name}' must be an object with a model_type")
    if config.get("is_encoder_decoder") or config.get("is_decoder"):
        raise OptionError(f"encoder '{folder.name}' must be an encoder such as BERT or RoBERTa, it is a decoder")
    return config


@lru_cache(maxsize=2)
def _loaded(folder: str, sha256: str) -> tuple[Any, Any]:
    from safetensors import SafetensorError

    transformers = optional("transformers", "pretrained")
    given = {"local_files_only": True, "trust_remote_code": False}
    name = Path(folder).name
    quiet = transformers.utils.logging
    before, bar = quiet.get_verbosity(), quiet.is_progress_bar_enabled()
    quiet.set_verbosity_error()
    quiet.disable_progress_bar()
    try:
        tokeniser = transformers.AutoTokenizer.from_pretrained(folder, **given)
        net, told = transformers.AutoModel.from_pretrained(
            folder, **given, use_safetensors=True, output_loading_info=True, dtype="float32"
        )
    except (ValueError, OSError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        why = type(error).__name__
        raise OptionError(f"encoder '{name}' must be a tokeniser and an encoder that transformers reads, it is not ({why})") from error
    finally:
        quiet.set_verbosity(before)
        if bar:
            quiet.enable_progress_bar()
    lost = [key for key in told["missing_keys"] if not key.startswith("pooler.")]
    if lost:
        raise OptionError(f"weights of encoder '{name}' must be whole, {len(lost)} are missing, such as '{sorted(lost)[0]}'")
    return tokeniser, net.requires_grad_(False).eval()
