"""One form for one substance: what a policy changes in a molecule, told in words. The cell it came from is never
overwritten.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache, cached_property
from typing import Any

from osler.errors import OptionError
from osler.registry import optional

#: Field of a policy → what it may be, the default first.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "salts": ("strip", "keep"),
    "mixtures": ("largest", "keep", "refuse"),
    "charges": ("neutralise", "keep"),
    "isotopes": ("keep", "drop"),
    "stereo": ("keep", "drop"),
    "tautomer": ("keep", "canonical"),
}
SALT, PART, CHARGE, ISOTOPE, STEREO, TAUTOMER = CHANGES = (
    "counter-ion or solvent removed", "largest part kept", "charge neutralised", "isotope removed", "stereo removed",
    "canonical tautomer taken",
)  # fmt: skip
#: The one charged group that is drawn in no other way.
_NITRO = "[N+](=O)[O-]"
#: What a SMILES of several parts or with charges has.
_TO_ASK = re.compile(r"\.|\[[^\]]*[+-]")
#: Why a molecule is refused by its policy.
MIXTURE = "a mixture of several molecules, which the option mixtures=refuse does not take"

#: Parts of a salt that are not the drug, uncharged and without stereo; single atoms of `_SINGLE` count too.
_COUNTER_IONS = (
    "OS(=O)(=O)O", "OS(=O)O", "OP(=O)(O)O", "O[N+](=O)[O-]", "ON=O", "OC(=O)O", "OCl(=O)(=O)=O", "O=Cl(=O)(=O)O",
    "OB(O)O", "SC#N", "N#CS",
    "F[P-](F)(F)(F)(F)F", "F[B-](F)(F)F", "CC(=O)O", "OC=O", "OC(=O)C(F)(F)F", "OC(=O)C(=O)O", "OC(=O)CC(=O)O",
    "OC(=O)CCC(=O)O",
    "OC(=O)C=CC(=O)O", "OC(=O)C(O)C(O)C(=O)O", "OC(=O)CC(O)C(=O)O", "OC(=O)CC(O)(CC(=O)O)C(=O)O", "CC(O)C(=O)O",
    "OCC(=O)O",
    "OC(=O)C(O)c1ccccc1", "OC(=O)c1ccccc1", "CS(=O)(=O)O", "CCS(=O)(=O)O", "OCCS(=O)(=O)O", "OS(=O)(=O)CCS(=O)(=O)O",
    "OS(=O)(=O)c1ccccc1", "Cc1ccc(cc1)S(=O)(=O)O", "OS(=O)(=O)C(F)(F)F", "OC(=O)c1cc2ccccc2cc1O",
    "OCC(O)C(O)C(O)C(O)C(=O)O", "C[N+](C)(C)C",
    "OCC[N+](C)(C)C", "OCCNCCO", "NCCO", "NC(CO)(CO)CO", "CNCC(O)C(O)C(O)C(O)CO", "CCN(CC)CC", "CCNCC", "N", "O",
    "CO", "CCO", "CC(C)O",
    "CC#N", "CC(C)=O", "CS(C)=O", "CN(C)C=O", "ClCCl", "ClC(Cl)Cl", "CCOC(C)=O", "C1CCOC1", "C1COCCO1", "NCCN",
    "C1CNCCN1",
)  # fmt: skip
_SINGLE = frozenset({1, 3, 4, 9, 11, 12, 13, 17, 19, 20, 30, 35, 37, 38, 47, 53, 55, 56, 83})


@dataclass(frozen=True)
class Policy:
    """What is done to every molecule before it becomes numbers.

    Attributes:
        salts: "strip" removes known counter-ions and solvents, unless nothing else is there; "keep".
        mixtures: of several parts left: "largest" (most heavy atoms), "keep", or "refuse" the cell.
        charges: "neutralise" adds or takes protons where that is possible; "keep".
        isotopes: "keep" or "drop" labels.
        stereo: "keep" or "drop" stereo of atoms and double bonds.
        tautomer: "keep" the form as written, or RDKit's "canonical" one (slow: a hundred molecules a second).

    Raises:
        OptionError: a field that is none of its `CHOICES`.
    """

    salts: str = "strip"
    mixtures: str = "largest"
    charges: str = "neutralise"
    isotopes: str = "keep"
    stereo: str = "keep"
    tautomer: str = "keep"

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Policy:
        """The policy among a column's settings or its saved state."""
        return cls(**{f.name: settings[f.name] for f in fields(cls)})

    @cached_property
    def words(self) -> str:
        """The policy in one text, a key for what was kept."""
        return " ".join(getattr(self, f.name) for f in fields(self))

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self)):
            if getattr(self, name) not in CHOICES[name]:
                raise OptionError(
                    f"{name} of molecules must be {' or '.join(CHOICES[name])}, was '{getattr(self, name)}'"
                )


def standardise(mol: Any, policy: Policy) -> tuple[Any | None, tuple[str, ...]]:
    """The molecule as the policy wants it, and what was changed (some of `CHANGES`, in their order).

    None where the policy refuses it; the reason is `MIXTURE`. The given molecule is left as it is.
    """
    changes = []
    parts = _queries()["parts"](mol)
    if parts > 1:
        mol, changes = _one_part(mol, policy)
        if mol is None:
            return None, ()
    for field, value, is_there, act, word in _ACTS:
        if getattr(policy, field) == value and is_there(mol):
            changed = act(mol)
            if (field != "charges" or _charges(changed) != _charges(mol)) and _name(changed) != _name(mol):
                mol = changed
                changes.append(word)
    return mol, tuple(changes)


def is_standard(text: str, kind: str, policy: Policy) -> bool:
    """Whether a SMILES shows at a glance that the policy has nothing to change in it: one part, no charges but those of
    nitro groups, and a policy that asks for no more. True for most molecules of a library, which are then spared the questions.
    """
    more = policy.isotopes, policy.stereo, policy.tautomer
    return kind == "smiles" and more == ("keep",) * 3 and not _TO_ASK.search(text.replace(_NITRO, ""))


def parent(mol: Any) -> Any:
    """The substance itself: without counter-ions, the largest part of a mixture, neutral."""
    return standardise(mol, Policy())[0]


def _one_part(mol: Any, policy: Policy) -> tuple[Any | None, list[str]]:
    """Of a molecule of several parts, those that the policy keeps, as one molecule."""
    chem = optional("rdkit.Chem", "molecules")
    parts = list(chem.GetMolFrags(mol, asMols=True, sanitizeFrags=True))
    changes = []
    if policy.salts == "strip":
        drugs = [part for part in parts if not _is_counter_ion(part)]
        kept = drugs or [part for part in parts if not _is_single(part)]
        if not kept:
            return mol, []
        if len(kept) < len(parts):
            parts, changes = kept, [SALT]
    if len(parts) > 1 and len({_name(part) for part in parts}) == 1 and policy.mixtures == "largest":
        parts = parts[:1]
        changes.append(PART)
    if len(parts) > 1 and policy.mixtures == "refuse":
        return None, []
    if len(parts) > 1 and policy.mixtures == "largest":
        parts = [max(parts, key=lambda part: (part.GetNumHeavyAtoms(), part.GetNumAtoms(), _name(part)))]
        changes.append(PART)
    whole = parts[0]
    for part in parts[1:]:
        whole = chem.CombineMols(whole, part)
    if len(parts) > 1:
        chem.SanitizeMol(whole)
        chem.AssignStereochemistry(whole, cleanIt=False)
    return whole, changes


def _is_counter_ion(part: Any) -> bool:
    names, largest = _counter_ions()
    return _is_single(part) or (part.GetNumHeavyAtoms() <= largest and _plain_name(part) in names)


def _is_single(part: Any) -> bool:
    return part.GetNumHeavyAtoms() <= 1 and part.GetAtomWithIdx(0).GetAtomicNum() in _SINGLE


@cache
def _counter_ions() -> tuple[frozenset[str], int]:
    """Their names, and the heavy atoms of the largest."""
    read = optional("rdkit.Chem", "molecules").MolFromSmiles
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        found = [mol for mol in map(read, _COUNTER_IONS) if mol is not None]
    return frozenset(map(_plain_name, found)), max(mol.GetNumHeavyAtoms() for mol in found)


def _charges(mol: Any) -> list[int]:
    return [atom.GetFormalCharge() for atom in mol.GetAtoms()]


def _plain_name(mol: Any) -> str:
    return optional("rdkit.Chem", "molecules").MolToSmiles(_uncharged(mol), isomericSmiles=False)


def _name(mol: Any) -> str:
    return optional("rdkit.Chem", "molecules").MolToSmiles(mol)


@cache
def _queries() -> dict[str, Any]:
    """Cheap questions that spare most molecules the slow answers."""
    chem = optional("rdkit.Chem", "molecules")
    isotope = optional("rdkit.Chem.rdqueries", "molecules").IsotopeGreaterQueryAtom(0)
    charged = chem.MolFromSmarts("[!+0]")
    return {
        "parts": lambda mol: len(chem.GetMolFrags(mol)),
        "charged": lambda mol: mol.HasSubstructMatch(charged),
        "isotope": lambda mol: len(mol.GetAtomsMatchingQuery(isotope)) > 0,
    }


@cache
def _workers() -> tuple[Any, Any]:
    """RDKit's uncharger and tautomer enumerator, the latter bounded."""
    tools = optional("rdkit.Chem.MolStandardize.rdMolStandardize", "molecules")
    tautomers = tools.TautomerEnumerator()
    tautomers.SetMaxTautomers(200)
    tautomers.SetMaxTransforms(200)
    tautomers.SetRemoveSp3Stereo(False)
    tautomers.SetRemoveBondStereo(False)
    return tools.Uncharger(), tautomers


def _uncharged(mol: Any) -> Any:
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        return _workers()[0].uncharge(mol)


def _without_isotopes(mol: Any) -> Any:
    chem = optional("rdkit.Chem", "molecules")
    copy = chem.Mol(mol)
    for atom in copy.GetAtoms():
        atom.SetIsotope(0)
    copy = chem.RemoveHs(copy)
    chem.AssignStereochemistry(copy, cleanIt=True, force=True)
    return copy


def _without_stereo(mol: Any) -> Any:
    copy = optional("rdkit.Chem", "molecules").Mol(mol)
    optional("rdkit.Chem", "molecules").RemoveStereochemistry(copy)
    return copy


def _canonical_tautomer(mol: Any) -> Any:
    with optional("rdkit.rdBase", "molecules").BlockLogs():
        return _workers()[1].Canonicalize(mol)


def _always(mol: Any) -> bool:
    return True


_ACTS = (
    ("charges", "neutralise", lambda mol: _queries()["charged"](mol), _uncharged, CHARGE),
    ("isotopes", "drop", lambda mol: _queries()["isotope"](mol), _without_isotopes, ISOTOPE),
    ("stereo", "drop", _always, _without_stereo, STEREO),
    ("tautomer", "canonical", _always, _canonical_tautomer, TAUTOMER),
)
