"""Training and answers of the network over pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from osler.blocks import Block
from osler.models.base import Encoded, Params
from osler.models.neural import loop, spreads
from osler.models.neural.affinity_inputs import PairFeed, Side
from osler.models.neural.affinity_net import AffinityNet
from osler.models.neural.assembly import FORMAT, inner_folds
from osler.models.neural.heads import Head, head_of
from osler.models.pairs import pair_of
from osler.tasks.base import Prediction


def fit(data: Encoded, rng: np.random.Generator, options: Any) -> Params:
    """Train the members.

    Args:
        data: n pairs, with views of atoms and residues.
        rng: one number is drawn from it; everything random follows from that number.
        options: `AffinityNetworkOptions`.

    Raises:
        ColumnError: there are not two columns of things.
        OptionError: training lost finite numbers (`model-diverged`).
    """
    seed = int(rng.integers(2**62))
    names = pair_of(data.blocks)
    scale = _scale(data.blocks, names)
    head = head_of(data.target, options.class_weight, options.huber, options.intervals, options.uncertainty)
    device = loop.device_of(options.device)
    whole = _sides(data.blocks, names, options.max_length)
    keys = ("width", "heads", "graph_steps", "dropout", "max_length")
    architecture = {k: getattr(options, k) for k in keys} | {"rest": len(scale["center"])}
    folds = inner_folds(data, options.validation_folds, np.random.default_rng([seed, 1]))
    n_members = options.members_for(len(data))
    arrays, learnt = {f"rest/{k}": v for k, v in scale.items()}, []
    with loop.threads(options.threads), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        for member in range(n_members):
            torch.manual_seed(int(np.random.default_rng([seed, 2, member]).integers(2**62)))
            net = AffinityNet([side.spec() for side in whole], architecture, head.bias).to(device)
            inner = None if folds is None else folds == member % options.validation_folds
            feed = _feed(data if inner is None else data.take(~inner), names, scale, head, options, device)
            valid = None if inner is None else _feed(data.take(inner), names, scale, head, options, device)
            state = loop.State(net, loop.optimiser_of(net, options), np.random.default_rng([seed, 3, member]))
            loop.train(state, feed, valid, options, lambda state: None, lambda event: None)
            arrays |= {f"member{member}/{k}": v for k, v in loop.weights_of(net).items()}
            learnt.append({"epochs": state.epoch, "best_epoch": state.best_epoch})
    described = {"head": head.to_json(), "branches": [side.spec() for side in whole], "architecture": architecture}
    return Params({"format": FORMAT, **described, "members": n_members, "training": learnt}, arrays)


def predict(params: Params, blocks: dict[str, Block], options: Any) -> Prediction:
    """The mean answer of the members for n pairs."""
    meta = params.meta
    head, device = Head.from_json(meta["head"]), loop.device_of(options.device)
    names = tuple(side["name"] for side in meta["branches"])
    n = len(blocks[names[0]])
    if not n:
        return head.answer(np.zeros((0, len(head.bias))))
    scale = {k: params.arrays[f"rest/{k}"] for k in ("center", "spread")}
    feed = PairFeed(
        _sides(blocks, names, meta["architecture"]["max_length"]), _rest(blocks, names, scale), head, None, device
    )
    answers = []
    with loop.threads(options.threads), torch.inference_mode(), torch.random.fork_rng(devices=[]):
        for member in range(meta["members"]):
            net = AffinityNet(meta["branches"], meta["architecture"], head.bias).to(device).eval()
            start = f"member{member}/"
            held = {k.removeprefix(start): v for k, v in params.arrays.items() if k.startswith(start)}
            loop.load_weights(net, held)
            logits = np.concatenate([net(inputs).cpu().numpy() for inputs, _ in feed.slices(0, None)])
            answers.append(head.answer(loop.check_outputs(logits)))
    return spreads.mean(answers)


def _feed(
    data: Encoded, names: tuple[str, str], scale: dict[str, np.ndarray], head: Head, options: Any, device: torch.device
) -> PairFeed:
    sides = _sides(data.blocks, names, options.max_length)
    return PairFeed(sides, _rest(data.blocks, names, scale), head, data.target, device)


def _sides(blocks: dict[str, Block], names: tuple[str, str], max_length: int) -> tuple[Side, Side]:
    return Side.of(names[0], blocks[names[0]], max_length), Side.of(names[1], blocks[names[1]], max_length)


def _others(blocks: dict[str, Block], names: tuple[str, str]) -> np.ndarray:
    """(n, q) the numbers of all other dense columns, codes of categories as they are."""
    held = [b.values for name, b in blocks.items() if name not in names and b.layout == "dense"]
    n = len(blocks[names[0]])
    return np.concatenate([np.empty((n, 0)), *held], axis=1)


def _scale(blocks: dict[str, Block], names: tuple[str, str]) -> dict[str, np.ndarray]:
    """Centre and spread of the other numbers."""
    values = np.ma.masked_invalid(_others(blocks, names))
    spread = values.std(axis=0).filled(1.0)
    return {"center": values.mean(axis=0).filled(0.0), "spread": np.where(spread > 0, spread, 1.0)}


def _rest(blocks: dict[str, Block], names: tuple[str, str], scale: dict[str, np.ndarray]) -> np.ndarray:
    scaled = (_others(blocks, names) - scale["center"]) / scale["spread"]
    return np.clip(np.nan_to_num(scaled), -6.0, 6.0).astype(np.float32)
