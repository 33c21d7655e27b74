"""Small molecules: fingerprints, descriptors, graphs and tokens of what a cell writes as SMILES or InChI."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.blocks import Block, dense
from osler.cohort.column import Column
from osler.cohort.facts import is_missing_word
from osler.errors import OptionError
from osler.modalities.base import Modality

#: The tokens of a SMILES: P. Schwaller et al., ACS Cent Sci 5:1572 (2019), supporting information.
_TOKEN = re.compile(r"\[[^\]]+\]|Br|Cl|%\(\d+\)|%\d\d|[BCNOPSFIbcnops]|\d|[().=#$\-+\\/:~@?>*]|.")
#: Code of a token that no training row had.
UNKNOWN = 0
#: A token in fewer training molecules than this is unknown.
_MIN_COUNT = 2
#: Texts from which on it is only asked whether they are molecules: what is made of so many would not be kept anyway.
_MANY = 16_384
#: What many values of a column of molecules look like, before RDKit is asked.
_LIKE_SMILES = r"^[A-Za-z0-9@+\-\[\]()=#$:/\\.%~]+$"


@dataclass(frozen=True)
class MoleculeOptions:
    """Options of a molecule column.

    Attributes:
        features: of the dense block, any of ecfp, ecfp2, ecfp6, avalon, erg, maccs, pairs, basics, descriptors;
            "fast" stands for ecfp2, pairs and basics; "none" beside an encoder.
        notation: how cells are written: "smiles", "inchi", or "auto" (a cell that starts with InChI= is one).
        salts: "strip" known counter-ions and solvents, or "keep" them.
        mixtures: of several parts left, the "largest" is taken, all are kept ("keep"), or the cell is refused
            ("refuse").
        charges: "neutralise" what can be, or "keep".
        isotopes: "keep" or "drop" labels.
        stereo: "keep" or "drop" stereo of atoms and double bonds.
        tautomer: "keep" the form as written, or the "canonical" one.
        spellings: SMILES of each molecule in the sequence of tokens, the canonical one first.
        encoder: folder of a pre-trained encoder of SMILES: its embedding joins the dense features, its tokens make the
            sequence.
    """

    features: tuple[str, ...] = ("ecfp", "avalon", "erg", "descriptors")
    notation: str = "auto"
    salts: str = "strip"
    mixtures: str = "largest"
    charges: str = "neutralise"
    isotopes: str = "keep"
    stereo: str = "keep"
    tautomer: str = "keep"
    spellings: int = 8
    encoder: str = ""


class Molecule(Modality):
    """A small molecule. Emits counts and descriptors (J. H. Notwell, M. W. Wood, arXiv:2310.00174, 2023), a graph of
    atoms and bonds, or a sequence of SMILES tokens.
    """

    name = "molecule"
    emits = "dense"
    also = ("graph", "sequence")
    suggests = ("boosting", "gaussian_process")
    is_thing = True
    asks = "a molecule as SMILES or InChI, or null"
    unit_kinds = ("scaffold", "cluster")
    extra = "molecules"
    Options = MoleculeOptions

    def sniff(self, values: pl.Series) -> float:
        """Share of a sample of 200 values that are molecules; 0 where they do not look like SMILES or InChI."""
        present = _texts(values).drop_nulls().head(200)
        if values.dtype != pl.String or not len(present) or float(present.str.len_chars().mean() or 0.0) < 5.0:
            return 0.0
        if float((present.str.contains(_LIKE_SMILES) | present.str.starts_with("InChI=")).mean() or 0.0) < 0.95:
            return 0.0
        found = _features().facts(present.to_list(), _keep_all(), "auto")
        return float(np.mean([reason == "" for reason, _, _ in found]))

    def check(self, values: pl.Series, column: Column) -> pl.Series:
        """True where a value is present but is no molecule that the options take."""
        return pl.Series([bool(reason) for reason in self.reasons(values, column)], dtype=pl.Boolean)

    def reasons(self, values: pl.Series, column: Column) -> pl.Series:
        """(n,) RDKit's or Osler's reason per refused cell, "" elsewhere; no reason holds any part of a cell.

        Few molecules are standardised and kept for the next step; of many it is only asked whether they can be read.
        """
        if values.dtype != pl.String:
            return pl.Series(["not text" if there else "" for there in values.is_not_null()], dtype=pl.String)
        options = self.options_of(column)
        if len(values) > _MANY and options.mixtures != "refuse":
            from osler.adapters.rdkit import readable

            return pl.Series(readable.reasons(_texts(values), _notation(options.notation)), dtype=pl.String)
        found = _features().facts(_texts(values).to_list(), _policy(asdict(options)), _notation(options.notation))
        return pl.Series([reason for reason, _, _ in found], dtype=pl.String)

    def fit(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """Write down the options, and learn the vocabulary of tokens from training rows."""
        options = self.options_of(column)
        alone = tuple(options.features) == ("none",) and options.encoder
        settings = asdict(options) | {
            "features": [] if alone else list(_features().known(tuple(options.features))),
            "notation": _notation(options.notation),
        }
        if options.encoder:
            found = _pretrained().encoder(options.encoder)
            facts = {"kind": found.kind, "width": found.width, "sha256": found.sha256}
            settings["encoder"] = {"folder": options.encoder, **facts}
        if options.spellings < 1:
            raise OptionError(f"spellings of molecules must be at least 1, was {options.spellings}")
        policy = _policy(settings)
        texts = _texts(values).to_list()
        seen: Counter[str] = Counter()
        n_present = 0
        for text in texts:
            smiles = _features().smiles(text, policy, settings["notation"])
            if smiles:
                n_present += 1
                seen.update({token for one in _spellings(smiles, options.spellings) for token in tokens(one)})
        vocabulary = sorted(token for token, count in seen.items() if count >= _MIN_COUNT)
        return {
            "modality": self.name, "version": self.version, "column": column.name, **settings,
            "n": len(values), "n_present": n_present, "tokens": vocabulary,
        }  # fmt: skip

    def encode(self, values: pl.Series, state: dict[str, Any], root: Path | None = None) -> Block:
        """Features (n, p) of the standardised molecules: counts, and continuous descriptors; NaN where there is
        none.
        """
        features = _features()
        numbers = features.dense(_texts(values).to_list(), state["features"], _policy(state), state["notation"])
        kinds = [
            kind for f in state["features"]
            for kind in ("continuous" if f in features.CONTINUOUS else "count",) * features.WIDTH[f]
        ]
        names = [f"{state['column']}: {name}" for name in features.names(state["features"])]
        if state.get("encoder"):
            learnt = embedded(_written(values, state), state)
            numbers = np.concatenate([numbers, learnt], axis=1)
            kinds += ["continuous"] * learnt.shape[1]
            names += [f"{state['column']}: {state['encoder']['kind']} {i}" for i in range(learnt.shape[1])]
        return dense(numbers, names, present=~np.isnan(numbers).any(axis=1), kinds=kinds)

    def encode_as(self, layout: str, values: pl.Series, state: dict[str, Any], root: Path | None = None) -> Block:
        """The dense block; a graph (`osler.adapters.rdkit.graphs`); or a ragged sequence (sum t, k) of codes of SMILES
        tokens in k spellings, 0 for a token that no two training molecules had, 1 + its position in the state's
        `tokens` for others, -1 after the end of a spelling that is shorter than others of its molecule.
        """
        if layout == "graph":
            from osler.adapters.rdkit import graphs

            mols = _features().molecules(_texts(values).to_list(), _policy(state), state["notation"])
            return Block(
                "graph", graphs.graphs(mols), np.array([mol is not None for mol in mols], dtype=bool), graphs.NODE_NAMES
            )
        if layout == "sequence":
            return self._sequence(values, state)
        return super().encode_as(layout, values, state, root)

    def _sequence(self, values: pl.Series, state: dict[str, Any]) -> Block:
        written, k = _written(values, state), state["spellings"]
        present = np.array([bool(smiles) for smiles in written], dtype=bool)
        names = tuple(f"{state['column']}: token" + (f" of spelling {j + 1}" if j else "") for j in range(k))
        return Block("sequence", coded(written, state), present, names)

    def units(self, kind: str, values: pl.Series) -> pl.Series:
        """(n,) the scaffold's SMILES (kind "scaffold"), or the name of the cluster of similar molecules (kind
        "cluster": Butina on ECFP bits, Tanimoto distance 0.35), of each molecule by the default policy; null where
        there is none.
        """
        if kind not in self.unit_kinds:
            return super().units(kind, values)
        from osler.adapters.rdkit import fingerprints, scaffolds, standardise

        mols = _features().molecules(_texts(values).to_list(), standardise.Policy(), "auto")
        if kind == "scaffold":
            return pl.Series(values.name, scaffolds.scaffolds(mols), dtype=pl.String)
        there = [mol for mol in mols if mol is not None]
        codes = iter(scaffolds.butina(fingerprints.bits(there)).tolist())
        return pl.Series(
            values.name, [None if mol is None else f"cluster {next(codes) + 1}" for mol in mols], dtype=pl.String
        )

    def identities(self, values: pl.Series, root: Path | None = None) -> dict[str, pl.Series]:
        """(n,) keys of five senses of being the same molecule, see `osler.adapters.rdkit.identity.SENSES`; null where
        unreadable.
        """
        found = _features().identities(_texts(values).to_list(), _keep_all(), "auto")
        return {sense: pl.Series(values.name, keys, dtype=pl.String) for sense, keys in found.items()}

    def pretraining(self, values: pl.Series, column: Column) -> str:
        """How many of these molecules the column's encoder saw before, by the list in its folder; unknown where there is
        none.
        """
        folder = self.options_of(column).encoder
        if not folder:
            return ""
        from osler.adapters.rdkit import seen

        found = _pretrained().encoder(folder)
        listed = seen.list_in(found.folder)
        if listed is None:
            return f"unknown: the encoder of '{column.name}' holds no list of the molecules that it was trained on"
        mols = _features().molecules(_texts(values).to_list(), _keep_all(), "auto")
        n, there = sum(seen.seen(mols, listed)), sum(mol is not None for mol in mols)
        if n:
            return f"seen: {n} of {there} molecules of '{column.name}' are on the list that its encoder was trained on"
        return f"disjoint: none of {there} molecules of '{column.name}' is on the list that its encoder was trained on"

    def summarise(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """n, missing, unreadable, how often the policy changed a molecule and how, and the range of heavy atoms."""
        missing = int(_texts(values).null_count()) if values.dtype == pl.String else values.null_count()
        facts: dict[str, Any] = {"n": len(values), "missing": missing}
        if len(values) - missing < 10 or values.dtype != pl.String:
            return facts
        options = self.options_of(column)
        found = _features().facts(_texts(values).to_list(), _policy(asdict(options)), _notation(options.notation))
        atoms = [n for _, _, n in found if n]
        changed = Counter(word for _, changes, _ in found for word in changes)
        if atoms:
            facts |= {"heavy_atoms_p5": float(np.quantile(atoms, 0.05)), "heavy_atoms_median": float(np.median(atoms)),
                      "heavy_atoms_p95": float(np.quantile(atoms, 0.95))}  # fmt: skip
        return facts | {
            "unreadable": sum(bool(reason) for reason, _, _ in found),
            "changed": dict(sorted(changed.items())),
        }


def tokens(smiles: str) -> list[str]:
    """The tokens of a SMILES: an atom, a bracket, a bond, a ring closure or a branch each."""
    return _TOKEN.findall(smiles)


def _written(values: pl.Series, state: dict[str, Any]) -> list[str]:
    """The canonical SMILES of each standardised molecule, "" where there is none."""
    policy = _policy(state)
    return [_features().smiles(text, policy, state["notation"]) for text in _texts(values).to_list()]


def embedded(written: Sequence[str], state: dict[str, Any]) -> np.ndarray:
    """(n, width) the numbers of the column's encoder for n canonical SMILES, NaN where one is "".

    Raises:
        OptionError: the encoder of the training is not there.
    """
    there = [i for i, smiles in enumerate(written) if smiles]
    out = np.full((len(written), state["encoder"]["width"]), np.nan)
    out[there] = _pretrained().embed_kept(_encoder(state), [written[i] for i in there])
    return out


def coded(written: Sequence[str], state: dict[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of a ragged sequence of tokens (see `Molecule.encode_as`) of n canonical SMILES, none where one is ""."""
    k = state["spellings"]
    spelled = [one for smiles in written if smiles for one in _spellings(smiles, k)]
    if state.get("encoder"):
        each = iter(_pretrained().token_ids(_encoder(state), spelled))
    else:
        places = {token: i + 1 for i, token in enumerate(state["tokens"])}
        each = iter([places.get(token, UNKNOWN) for token in tokens(one)] for one in spelled)
    codes = [[next(each) for _ in range(k)] if smiles else [] for smiles in written]
    offsets = np.cumsum([0, *(max(map(len, row), default=0) for row in codes)]).astype(np.int64)
    flat = np.full((offsets[-1], k), -1.0)
    for start, row in zip(offsets, codes):
        for j, one in enumerate(row):
            flat[start : start + len(one), j] = one
    return {"values": flat, "offsets": offsets}


def _encoder(state: dict[str, Any]) -> Any:
    """The encoder of the training.

    Raises:
        OptionError: the folder is not there, or what it holds has changed.
    """
    known = state["encoder"]
    found = _pretrained().encoder(known["folder"])
    if found.sha256 != known["sha256"]:
        raise OptionError(
            f"encoder of column '{state['column']}' must be the one of the training, what '{found.folder.name}' holds is another: "
            "put the folder of the training back, or fit again"
        )
    return found


def _texts(values: pl.Series) -> pl.Series:
    """Texts without outer spaces; null where a cell is missing, holds a word for "no value", or is no text."""
    if values.dtype != pl.String:
        return pl.Series([None] * len(values), dtype=pl.String)
    text = values.str.strip_chars()
    return text.set((is_missing_word(text) | (text == "")).fill_null(False), None)


def _features() -> Any:
    from osler.adapters.rdkit import features

    return features


def _pretrained() -> Any:
    from osler.adapters import pretrained

    return pretrained


def _spellings(smiles: str, count: int) -> tuple[str, ...]:
    from osler.adapters.rdkit.spellings import spellings

    return spellings(smiles, count)


def _policy(settings: dict[str, Any]) -> Any:
    from osler.adapters.rdkit.standardise import Policy

    return Policy.of(settings)


def _keep_all() -> Any:
    from osler.adapters.rdkit.standardise import Policy

    return Policy(salts="keep", mixtures="keep", charges="keep")


def _notation(given: str) -> str:
    if given not in ("auto", "smiles", "inchi"):
        raise OptionError(f"notation of molecules must be auto, smiles or inchi, was '{given}'")
    return given
