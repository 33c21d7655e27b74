"""A network from its JSON description, ensembles of networks, and warm start from another run's weights."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from osler.blocks import Block
from osler.cohort.split import stratified_group_folds
from osler.errors import OptionError
from osler.models.base import Batches, Params
from osler.models.neural import loop, pictures, spreads, starting
from osler.models.neural.checkpoint import Checkpoint, fingerprint
from osler.models.neural.encoders import ENCODERS
from osler.models.neural.fusion import Fusion, hidden
from osler.models.neural.heads import Head, head_of
from osler.models.neural.inputs import Branch, Tensors, plan_branches, tensors
from osler.models.neural.options import Training
from osler.models.neural.rows import Rows
from osler.tasks.base import Prediction

#: Changes when the meaning of a saved network changes.
FORMAT = "osler.network/1"


class Net(nn.Module):
    """Encoders, a fusion and a last linear layer: tensors of n rows → (n, n_outputs) logits.

    Args:
        branches: the inputs.
        head: what the logits mean.
        architecture: width, dropout, depth, embedding, graph_steps, fusion, hide; for `dmpnn` hidden and aggregation.
    """

    def __init__(self, branches: list[Branch], head: Head, architecture: dict[str, Any]) -> None:
        super().__init__()
        self.branches, self.hide = branches, architecture.get("hide", 0.0)
        width = architecture["width"]
        self.encoders = nn.ModuleList(ENCODERS[b.encoder](b, architecture) for b in branches)
        self.fusion = Fusion(architecture["fusion"], len(branches), width, architecture["dropout"])
        self.head = nn.Linear(width, head.n_outputs)
        with torch.no_grad():
            self.head.weight.mul_(0.5)
            if head.kind == "survival":  # start from proportional hazards: one direction for all intervals
                self.head.weight.copy_(self.head.weight[:1].expand_as(self.head.weight).clone())
            self.head.bias.copy_(torch.tensor(head.bias))

    def forward(self, inputs: list[Tensors]) -> Tensor:
        """One dict of tensors per branch → (n, n_outputs)."""
        present = torch.stack([rows["present"] for rows in inputs], dim=1)
        if self.training and self.hide and len(inputs) > 1:
            present = hidden(present, self.hide)
            inputs = [{**rows, "present": present[:, i]} for i, rows in enumerate(inputs)]
        encoded = torch.stack([encoder(rows).float() for encoder, rows in zip(self.encoders, inputs)], dim=1)
        return self.head(self.fusion(encoded, present))


@dataclass(frozen=True)
class Extras:
    """What a training may be given besides rows and options.

    Attributes:
        init: params of another network whose encoders are taken over where a column has the same name and shape.
        checkpoint: where the state of training is kept, or None.
        progress: called with a dict after every epoch, or None.
    """

    init: Params | None = None
    checkpoint: Checkpoint | None = None
    progress: Callable[[dict[str, Any]], None] | None = None

    def report(self, event: dict[str, Any]) -> None:
        """Pass an event on, if anyone listens."""
        if self.progress is not None:
            self.progress(event)


# -- fit ------------------------------------------------------------------------------------------------------------


def fit(
    batches: Batches, rng: np.random.Generator, architecture: dict[str, Any], options: Training, extras: Extras
) -> Params:
    """Train an ensemble of networks.

    Args:
        batches: n training rows with target and groups.
        rng: one number is drawn from it; everything random follows from that number.
        architecture: JSON values: `Net`'s, and bins, joined, max_length, and rounds where graphs are read by `dmpnn`.

    Returns:
        Params: arrays `branch{i}/...` float64 (scales) and `member{m}/...` float32 (weights); meta as JSON.

    Raises:
        OptionError: `model-diverged` (not finite), or an option has a value it cannot have.
        ColumnError: no usable column, or infinite numbers.
    """
    seed = int(rng.integers(2**62))
    keys = ("bins", "joined", "max_length")
    drawn = np.random.default_rng([seed, 1])
    branches = plan_branches(batches, *(architecture[k] for k in keys), drawn, **_ways(architecture))
    branches = pictures.pictured(branches, architecture)
    branches, source = _take_over(branches, extras.init, architecture)
    o = options
    head = head_of(batches.target, o.class_weight, o.huber, o.intervals, o.uncertainty)
    head = replace(head, smoothing=o.label_smoothing)
    folds = inner_folds(batches, options.validation_folds, np.random.default_rng([seed, 2]))
    n_members = options.members_for(len(batches))
    asked = {"seed": seed, "architecture": architecture, "options": asdict(options), "format": FORMAT}
    described = {"head": head.to_json(), "branches": [b.to_json() for b in branches]}
    mark = fingerprint(asked | described, _fingerprint_arrays(batches, branches, extras.init))
    store = _Store(extras.checkpoint, mark)
    device = loop.device_of(options.device)
    with loop.threads(options.threads), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        for member in range(len(store.done), n_members):
            torch.manual_seed(int(np.random.default_rng([seed, 3, member]).integers(2**62)))
            net = Net(branches, head, architecture)
            if getattr(options, "weights", ""):
                starting.start(net, options.weights)
            _load_encoders(net, extras.init, source, member)
            feeds = _feeds(batches, None if folds is None else folds == member % options.validation_folds, branches, head, device)
            net = net.to(device)
            state = loop.State(net, loop.optimiser_of(net, options), np.random.default_rng([seed, 4, member]))
            store.resume(state)

            def said(event: dict[str, Any], member: int = member) -> None:
                extras.report({"member": member, "members": n_members} | event)

            loop.train(state, *feeds, options, store.save, said)
            store.finish(state)
    learnt = {"warm_start": [branches[i].name for i in source], "precision": options.precision}
    return _params(branches, store, {"format": FORMAT, "architecture": architecture, **described, **learnt})


def _params(branches: list[Branch], store: _Store, meta: dict[str, Any]) -> Params:
    """Scales of the inputs and weights of the finished members."""
    arrays = {f"branch{i}/{k}": v for i, b in enumerate(branches) for k, v in b.arrays.items()}
    for member, (weights, _) in enumerate(store.done):
        arrays |= {f"member{member}/{k}": v for k, v in weights.items()}
    return Params(meta | {"members": len(store.done), "training": [t for _, t in store.done]}, arrays)


def _feeds(
    batches: Batches, inner: np.ndarray | None, branches: list[Branch], head: Head, device: torch.device
) -> tuple[loop.Feed, loop.Feed | None]:
    """Rows to learn from, and those (mask) that say when to stop."""
    whole = Rows.fit(branches, len(batches))
    if inner is None:
        return loop.Feed(batches, branches, head, device, whole), None
    parts = (batches.take(np.flatnonzero(mask)) for mask in (~inner, inner))
    learn, stop = (loop.Feed(part, branches, head, device, whole) for part in parts)
    return learn, stop


def _ways(architecture: dict[str, Any]) -> dict[str, Any]:
    """How graphs and sequences are read, where the architecture says it."""
    return {k: architecture[k] for k in ("rounds", "codes") if k in architecture}


def inner_folds(batches: Batches, k: int, rng: np.random.Generator) -> np.ndarray | None:
    """(n,) fold of every row, whole groups together; None if early stopping is off or there are too few groups."""
    n_groups = len(np.unique(batches.groups))
    if k == 0 or n_groups < max(2 * k, 10):
        return None
    return stratified_group_folds(batches.groups, batches.target.strata, k, rng)


def _fingerprint_arrays(batches: Batches, branches: list[Branch], init: Params | None) -> dict[str, np.ndarray]:
    target = batches.target
    arrays = {f"{i}/{k}": v for i, b in enumerate(branches) for k, v in b.arrays.items()}
    arrays |= {"y": target.y, "groups": batches.groups}
    arrays |= {} if target.event is None else {"event": target.event}
    arrays |= {} if target.weight is None else {"weight": target.weight}
    return arrays | ({} if init is None else {f"init/{k}": v for k, v in init.arrays.items()})


class _Store:
    """Finished members and the one in training, in memory and in the checkpoint."""

    def __init__(self, checkpoint: Checkpoint | None, mark: str) -> None:
        self.checkpoint, self.mark = checkpoint, mark
        self.done: list[tuple[dict[str, np.ndarray], dict[str, Any]]] = []
        self.arrays, self.meta = checkpoint.read(mark) if checkpoint else ({}, {})
        for member, learnt in enumerate(self.meta.get("done", [])):
            self.done.append((_part(self.arrays, f"done{member}"), learnt))
        self.due = loop.due(checkpoint.seconds if checkpoint else 0.0)

    def resume(self, state: loop.State) -> None:
        """Take up the member that was in training when the checkpoint was written."""
        if self.meta.get("state"):
            state.restore(_part(self.arrays, "state"), self.meta["state"])
        self.arrays, self.meta = {}, {}

    def save(self, state: loop.State) -> None:
        """After an epoch."""
        if self.checkpoint is not None and self.due():
            self._write({f"state/{k}": v for k, v in state.arrays().items()}, state.meta())

    def finish(self, state: loop.State) -> None:
        """After a member."""
        best = state.meta()["best"]
        learnt = {"epochs": state.epoch, "best_epoch": state.best_epoch, "validation_loss": best}
        self.done.append((loop.weights_of(state.net), learnt))
        if self.checkpoint is not None:
            self._write({}, None)

    def _write(self, arrays: dict[str, np.ndarray], state: dict[str, Any] | None) -> None:
        whole = dict(arrays)
        for member, (weights, _) in enumerate(self.done):
            whole |= {f"done{member}/{k}": v for k, v in weights.items()}
        self.checkpoint.write(whole, {"fingerprint": self.mark, "done": [t for _, t in self.done], "state": state})


def _part(arrays: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    return {k[len(name) + 1 :]: v for k, v in arrays.items() if k.startswith(f"{name}/")}


# -- warm start -----------------------------------------------------------------------------------------------------

#: What must be equal in two architectures for an encoder to fit.
_SHAPE = {
    "dense": ("width", "depth", "embedding"),
    "sequence": ("width",),
    "grid": ("width",),
    "graph": ("width", "graph_steps"),
    "dmpnn": ("width", "hidden", "aggregation"),
    "tokens": ("width", "hidden"),
    "pretrained": ("width", "pretrained"),
    "convolutions": ("width", "kind", "filters", "blocks"),
}


def _take_over(
    branches: list[Branch], init: Params | None, architecture: dict[str, Any]
) -> tuple[list[Branch], dict[int, int]]:
    """Branches with the source's scales where its encoder fits, and which branch of the source each of them is."""
    if init is None:
        return branches, {}
    if init.meta.get("format") != FORMAT:
        raise OptionError("init must be the params of a network (mlp or network), these are of another model")
    theirs = {b.name: (i, b) for i, b in enumerate(branches_of(init))}
    found, source = [], {}
    for i, branch in enumerate(branches):
        number, other = theirs.get(branch.name, (0, None))
        same = all(architecture[k] == init.meta["architecture"].get(k) for k in _SHAPE[branch.encoder])
        if other is not None and same and branch.is_shaped_like(other):
            branch, source[i] = other, number
        found.append(branch)
    return found, source


def _load_encoders(net: Net, init: Params | None, source: dict[int, int], member: int) -> None:
    for mine, theirs in source.items():
        weights = _part(init.arrays, f"member{member % init.meta['members']}")
        head = f"encoders.{theirs}."
        loop.load_weights(net.encoders[mine], {k[len(head) :]: v for k, v in weights.items() if k.startswith(head)})


# -- predict --------------------------------------------------------------------------------------------------------


def branches_of(params: Params) -> list[Branch]:
    """The inputs of a trained network."""
    return [
        Branch(b["name"], b["layout"], tuple(b["columns"]), b["spec"], _part(params.arrays, f"branch{i}"))
        for i, b in enumerate(params.meta["branches"])
    ]


def networks(params: Params) -> list[Net]:
    """The trained networks, rebuilt from JSON and arrays; kept as long as `params` lives."""
    kept = _BUILT.get(id(params))
    if kept is not None and kept[0]() is params:
        return kept[1]
    branches, head = branches_of(params), Head.from_json(params.meta["head"])
    nets = []
    with torch.random.fork_rng(devices=[]):
        for member in range(params.meta["members"]):
            net = Net(branches, head, params.meta["architecture"])
            loop.load_weights(net, _part(params.arrays, f"member{member}"))
            nets.append(net.eval())
    _BUILT[id(params)] = (weakref.ref(params), nets)
    weakref.finalize(params, _BUILT.pop, id(params), None)
    return nets


_BUILT: dict[int, tuple[weakref.ref, list[Net]]] = {}


def predict(params: Params, blocks: dict[str, Block], options: Training) -> Prediction:
    """The mean answer of the ensemble for n rows.

    Raises:
        ColumnError: a column of the training is not there or has another shape.
    """
    branches, head = branches_of(params), Head.from_json(params.meta["head"])
    device = loop.device_of(options.device)
    n = len(blocks[branches[0].columns[0]]) if branches[0].columns[0] in blocks else 0
    size = pictures.rows_at_once(branches)
    parts = []
    used = {c: blocks[c] for b in branches for c in b.columns if c in blocks}
    with loop.threads(options.threads), torch.inference_mode():
        nets = [net.to(device) for net in networks(params)]
        for start in range(0, max(n, 1), size):
            rows = np.arange(start, min(start + size, n))
            inputs = tensors(branches, {k: b.take(rows) for k, b in used.items()}, device)
            logits = [loop.check_outputs(net(inputs).cpu().numpy()) for net in nets]
            parts.append(spreads.mean([head.answer(l) for l in logits]))
    return Prediction.concat(parts)
