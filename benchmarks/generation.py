"""Are molecules of `osler generate` worth having, beside a CharRNN that learnt for the same time?

    OSLER_DATA_MIRROR=FOLDER python benchmarks/generation.py [--seconds 200] [--most 40000] [MODEL ...]

Every model learns for the same CPU seconds on one thread from the same training part of ChEMBL (scaffolds held out), then 10,000
strings are drawn. Models (all without an argument):

- `gru`: generator_gru, bfloat16 products, alternating bonds and grammar; `gru_plain`: the same weights drawn without the grammar;
- `gan_wasserstein`, `gan_least_squares`, `gan_vanilla`: generator_gan with each loss, 60 % of the time by likelihood;
- `graph_gan`: generator_graph_gan on molecules of up to 20 atoms;
- `char_rnn`: the peer, written here after the baseline of MOSES: a character-level LSTM of three layers, Adam at 0.001 halved every ten
  epochs, batches of 64, dropout 0.2, padded batches in random order, drawn at temperature 1; its width is chosen so that it has
  at least as many parameters as `gru`;
- `training`: 10,000 training molecules themselves, the floor of the Fréchet distance.

Lines are added to benchmarks/logs/generation.txt.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from osler.engine.library import read_library
from osler.engine.progress import Progress
from osler.evaluation.generation import Drawn, Reference, judge
from osler.models.neural.generation import get
from osler.models.neural.generation.learner import generator_of
from osler.models.neural.generation.options import GeneratorOptions

LIBRARY = Path(os.environ["OSLER_DATA_MIRROR"]) / "drugs" / "chembl_smiles_100k.smi.gz"
LOG = Path(__file__).parent / "logs" / "generation.txt"
MODELS = ("training", "gru", "char_rnn", "gan_wasserstein", "gan_least_squares", "gan_vanilla", "graph_gan")
DRAWN, BATCH, LONGEST = 10_000, 64, 110
SHOWN = ("validity", "unique_1k", "unique_10k", "novelty", "internal_diversity", "scaffold_similarity", "fragment_similarity",
         "nearest_similarity", "fcd", "sa", "qed")  # fmt: skip


class CharRNN(nn.Module):
    """The peer: characters, three LSTM layers, one linear layer."""

    def __init__(self, characters: str, width: int) -> None:
        super().__init__()
        self.number = {c: i + 3 for i, c in enumerate(characters)}
        self.text = ["", "", "", *characters]
        n = len(self.text)
        self.enter = nn.Embedding(n, n, padding_idx=0)
        self.cells = nn.LSTM(n, width, 3, dropout=0.2)
        self.leave = nn.Linear(width, n)

    def draw(self, n: int) -> list[str]:
        """n strings at temperature 1."""
        generator, found = generator_of(1, 7), []
        self.eval()
        with torch.no_grad():
            for _ in range(0, n, 1000):
                token, state = torch.ones(1, 1000, dtype=torch.long), None
                rows = []
                for _ in range(LONGEST):
                    out, state = self.cells(self.enter(token), state)
                    chances = torch.softmax(self.leave(out[0]), dim=1)
                    token = torch.multinomial(chances, 1, generator=generator).t()
                    rows.append(token[0])
                for row in torch.stack(rows, 1).tolist():
                    stop = row.index(2) if 2 in row else len(row)
                    found.append("".join(self.text[i] for i in row[:stop]))
        return found


def char_rnn(smiles: list[str], seconds: float, parameters: int) -> tuple[list[str], str]:
    """Train the peer and draw from it."""
    torch.manual_seed(1)
    characters = "".join(sorted(set("".join(smiles))))
    n = len(characters) + 3
    width = next(w for w in range(32, 2000) if 4 * w * (n + w + 2) + 2 * 4 * w * (2 * w + 2) + w * n + n + n * n >= parameters)
    net = CharRNN(characters, width)
    rows = [torch.tensor([1, *(net.number[c] for c in s), 2]) for s in smiles if len(s) < LONGEST - 2]
    optimiser = torch.optim.Adam(net.parameters(), lr=0.001)
    halve = torch.optim.lr_scheduler.StepLR(optimiser, 10, 0.5)
    rng, start, seen = np.random.default_rng(1), time.process_time(), 0
    while time.process_time() - start < seconds:
        order = rng.permutation(len(rows))
        for at in range(0, len(order) - BATCH, BATCH):
            batch = nn.utils.rnn.pad_sequence([rows[i] for i in order[at : at + BATCH]])
            out = net.leave(net.cells(net.enter(batch[:-1]))[0])
            loss = nn.functional.cross_entropy(out.flatten(0, 1), batch[1:].flatten(), ignore_index=0)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            seen += BATCH
            if time.process_time() - start >= seconds:
                break
        else:
            halve.step()
    count = sum(p.numel() for p in net.parameters())
    return net.draw(DRAWN), f"width {width}, {count:,} parameters, {seen / len(rows):.2f} epochs, last loss {loss.item():.3f} nats a character"


def ours(name: str, smiles: list[str], seconds: float, options: GeneratorOptions) -> tuple[Any, str]:
    """Train one of Osler's generators for about so many CPU seconds; the number of steps is set by timing the first ones."""
    share = 1.0 if name == "generator_gru" else 0.6
    learner, used = get(name).learn_from(smiles, replace(options, model=name))
    n = int(used.sum())
    if name == "generator_graph_gan":
        options = replace(options, adversarial_steps=round(seconds / pace(learner, [0, 1, 2, 3, 4])))
    else:
        epochs = share * seconds / pace(learner, range(12)) * options.batch_size / n
        if name == "generator_gan":
            slow = pace(learner, [learner.likelihood_steps + i for i in range(4)])
            options = replace(options, adversarial_steps=round((1 - share) * seconds / slow))
        options = replace(options, epochs=epochs)
    options = replace(options, model=name)
    learner, used = get(name).learn_from(smiles, options)
    start = time.process_time()
    for step in range(learner.total):
        losses = learner.step(step)
    spent = time.process_time() - start
    count = sum(p.numel() for p in learner.net.parameters())
    told = ", ".join(f"{k} {v:.3f}" for k, v in losses.items())
    return learner, f"{spent:.0f} CPU s, {learner.total} steps of {options.batch_size}, {n:,} molecules, {count:,} parameters, {told}"


def size_of_gru(smiles: list[str], options: GeneratorOptions) -> int:
    """Parameters of `generator_gru` on these molecules."""
    learner, _ = get("generator_gru").learn_from(smiles, options)
    return sum(p.numel() for p in learner.net.parameters())


def pace(learner: Any, steps: Any) -> float:
    """CPU seconds of a step; the first is a rehearsal."""
    times = []
    for step in steps:
        start = time.process_time()
        learner.step(step)
        times.append(time.process_time() - start)
    return float(np.mean(times[1:]))


def main() -> None:
    """Read, split, train, draw, measure, write."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=200.0)
    parser.add_argument("--most", type=int, default=40_000)
    parser.add_argument("models", nargs="*", default=list(MODELS), choices=MODELS)
    asked = parser.parse_args()
    with Progress() as progress:
        library = read_library(LIBRARY, progress, asked.most)
    held = library.held_out(0.1, np.random.default_rng([1, 101]))
    smiles = [s for s, out in zip(library.smiles, held) if not out]
    rng = np.random.default_rng(2)
    reference = Reference.of(smiles, [library.smiles[i] for i in rng.permutation(np.flatnonzero(held))])
    say = writer()
    say(f"{time.strftime('%Y-%m-%d')} {platform.machine()}, torch {torch.__version__}, one thread, {asked.seconds:g} CPU s each; "
        f"{len(smiles):,} training molecules, {int(held.sum()):,} of held-out scaffolds; {DRAWN:,} drawn")  # fmt: skip
    options = GeneratorOptions(precision="bf16", rarest=10, batch_size=64)
    for name in asked.models:
        if name == "training":
            found = {name: ([smiles[i] for i in rng.permutation(len(smiles))[:DRAWN]], "")}
        elif name == "char_rnn":
            found = {name: char_rnn(smiles, asked.seconds, size_of_gru(smiles, options))}
        elif name == "graph_gan":
            learner, told = ours("generator_graph_gan", smiles, asked.seconds, replace(options, width=64))
            found = {name: (learner.draw(DRAWN, (1,)), told)}
        elif name == "gru":
            learner, told = ours("generator_gru", smiles, asked.seconds, options)
            found = {name: (learner.draw(DRAWN, (1,)), told)}
            learner.options = replace(learner.options, grammar=False)
            found["gru_plain"] = (learner.draw(DRAWN, (1,)), "drawn without the grammar")
        else:
            learner, told = ours("generator_gan", smiles, asked.seconds, replace(options, loss=name.removeprefix("gan_")))
            found = {name: (learner.draw(DRAWN, (1,)), told)}
        for label, (strings, told) in found.items():
            report(say, label, strings, told, reference)


def report(say: Callable[[str], None], label: str, strings: list[str], told: str, reference: Reference) -> None:
    """Two lines of one model."""
    measures = judge(Drawn.read(strings), reference)
    say(f"{label}: {told}")
    say("  " + ", ".join(f"{n} {measures[n]['value']:.3f}" for n in SHOWN if n in measures))


def writer() -> Callable[[str], None]:
    """Prints a line and adds it to the log."""
    LOG.parent.mkdir(exist_ok=True)

    def say(line: str) -> None:
        print(line, flush=True)
        with LOG.open("a", encoding="utf-8") as out:
            out.write(line + "\n")

    return say


if __name__ == "__main__":
    main()
