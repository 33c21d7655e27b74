"""Atoms and bonds of a row: every family of models, the order of atoms, and planted substructures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rdkit")

from rdkit import Chem

from osler.engine.batches import encode
from osler.engine.explain import answer_on
from osler.engine.parts import Apart, explain_parts, molecule_columns
from osler.errors import ColumnError, OptionError
from osler.explanation.scales import Scale
from tests.molecule_predictors import SMILES, VALUES, cohort_of, drug_like, planted, points_at, predictor_of, small

FAMILIES = {
    "boosting:rounds=20": ((), "shapley"), "linear": ((), "masking"), "forest:n_trees=10": ((), "masking"),
    "smiles_rnn:epochs=1,hidden=8,width=8,members=1": (("sequence",), "masking"),
    "dmpnn:epochs=2,hidden=16,width=16,members=1": (("graph",), "gradients"),
    "dmpnn:epochs=1,hidden=16,width=16,members=1,features=true": (("graph",), "masking"),
    "network:epochs=1,width=16": (("graph",), "gradients"),
}  # fmt: skip


@pytest.mark.parametrize("spec", list(FAMILIES))
def test_every_family_has_a_way_that_adds_up(spec: str):
    layouts, way = FAMILIES[spec]
    predictor, cohort = small(spec, layouts)
    some = cohort.take(np.array([0, 19]))
    said = predictor.raw(some).value[:, 0]
    for one, prediction in zip(explain_parts(predictor, some), said):
        assert one.found.way == way and one.found.adds_up
        assert one.found.prediction == pytest.approx(prediction, abs=1e-5)
        mol = Chem.MolFromSmiles(one.smiles)
        assert (len(one.of_atoms), len(one.of_bonds)) == (mol.GetNumAtoms(), mol.GetNumBonds())


def test_oxygens_lower_what_oxygens_lower():
    predictor, _cohort = small("boosting:rounds=60,min_leaf=3")
    for way in ("shapley", "masking"):
        one = explain_parts(predictor, cohort_of(["CCCCCCO"]), way=way)[0]
        assert one.atoms[int(np.argmin(one.of_atoms))].startswith("O")
        assert one.of_atoms.min() < 0


def test_atoms_stand_in_the_order_of_the_text_and_bonds_name_its_places():
    predictor, _ = small("boosting:rounds=20")
    one, other = explain_parts(predictor, cohort_of(["OC(=O)CCCl", "ClCCC(O)=O"]))
    assert one.smiles == other.smiles == Chem.CanonSmiles("OC(=O)CCCl")
    np.testing.assert_allclose(one.found.values, other.found.values, atol=1e-9)
    mol = Chem.MolFromSmiles(one.smiles)
    assert [name.rstrip("0123456789") for name in one.atoms] == [a.GetSymbol() for a in mol.GetAtoms()]
    expected = sorted(sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx())) for b in mol.GetBonds())
    assert one.bonds.tolist() == expected


def test_a_row_has_the_same_values_alone_and_in_company():
    predictor, cohort = small("linear")
    every, alone = explain_parts(predictor, cohort.take(np.arange(4))), explain_parts(predictor, cohort.take(np.array([2])))
    np.testing.assert_allclose(every[2].found.values, alone[0].found.values, atol=1e-9)
    assert every[2].row == alone[0].row == 3


@pytest.mark.parametrize(("spec", "layouts", "asked"), [
    ("dmpnn:epochs=2,hidden=16,width=16,members=1", ("graph",), "graph"),
    ("smiles_rnn:epochs=1,hidden=8,width=8,members=1", ("sequence",), "sequence"),
    ("dmpnn:epochs=1,hidden=16,width=16,members=1,features=true", ("graph",), "dense"), ("linear", (), "dense"),
])  # fmt: skip
def test_masking_remakes_only_what_the_model_looks_at(
    spec: str, layouts: tuple[str, ...], asked: str, monkeypatch: pytest.MonkeyPatch
):
    predictor, cohort = small(spec, layouts)
    remade, without = [], Apart.without
    monkeypatch.setattr(Apart, "without", lambda self, b, masks: remade.append(b.layout) or without(self, b, masks))
    one = explain_parts(predictor, cohort.take(np.array([7])), way="masking")[0]
    assert remade[0] == asked and set(remade[1:]) == ({"graph"} if "features=true" in spec else set())
    assert one.found.prediction == pytest.approx(predictor.raw(cohort.take(np.array([7]))).value[0, 0], abs=1e-5)


def test_other_columns_are_in_the_rest_of_trees_and_fixed_elsewhere():
    predictor, cohort = small("boosting:rounds=20", beside=True)
    shared, fixed = (explain_parts(predictor, cohort.take(np.array([5])), way=w)[0] for w in ("shapley", "masking"))
    assert shared.found.adds_up and fixed.found.adds_up and fixed.found.rest == 0.0
    row = encode(cohort.take(np.array([5])), predictor.states)
    assert fixed.found.prediction == pytest.approx(answer_on(predictor, Scale("mean"))(row)[0])


def test_what_is_no_molecule_has_no_parts():
    predictor, _ = small("boosting:rounds=20")
    found = explain_parts(predictor, cohort_of(["CCO", None, "not a molecule", "CCN"]))
    assert [one is None for one in found] == [False, True, True, False]
    assert explain_parts(predictor, cohort_of([])) == []


def test_classes_are_named_and_probabilities_can_be_asked_for():
    predictor, cohort = small("boosting:rounds=20", binary=True)
    some = cohort.take(np.array([3]))
    assert explain_parts(predictor, some)[0].scale.name == "log-odds"
    one = explain_parts(predictor, some, scale="probability")[0]
    assert one.found.way == "masking" and one.found.prediction == pytest.approx(predictor.raw(some).value[0, 1])
    told = one.to_json()
    assert told["base"] + told["rest"] + sum(told["values"]) + sum(told["bond_values"]) == pytest.approx(told["prediction"])
    assert told["smiles"] == "CC(C)O" and told["adds_up"] and told["way"] == "masking" and len(told["bonds"]) == 3


def test_wrong_questions_are_refused():
    predictor, cohort = small("boosting:rounds=20")
    with pytest.raises(OptionError, match="way must be auto, shapley, gradients or masking, was 'shap'"):
        explain_parts(predictor, cohort, way="shap")
    with pytest.raises(OptionError, match="way must be one that the model boosting has, was 'gradients'"):
        explain_parts(predictor, cohort.take(np.array([0])), way="gradients")
    with pytest.raises(ColumnError, match="column must be one of molecules, was 'y': the predictor has smiles"):
        explain_parts(predictor, cohort, column="y")
    assert molecule_columns(predictor) == ["smiles"]


def test_molecules_that_a_pre_trained_encoder_reads(tmp_path: Path):
    pytest.importorskip("transformers")
    from tests.adapters.tiny_encoder import save_encoder

    options = {"encoder": str(save_encoder(tmp_path / "tiny")), "features": ("none",)}
    cohort = cohort_of(SMILES, VALUES).declare(columns={"smiles": {"options": options}})
    predictor = predictor_of(cohort, "linear")
    some = cohort.take(np.array([7, 19]))
    for one, prediction in zip(explain_parts(predictor, some), predictor.raw(some).value[:, 0]):
        assert one.found.way == "masking" and one.found.adds_up
        assert one.found.prediction == pytest.approx(prediction, abs=1e-4)
        assert np.abs(one.of_atoms).max() > 0 and np.abs(one.of_bonds).max() < 1e-12  # a text names no bond


@pytest.mark.parametrize(("spec", "layouts", "ways"), [
    ("boosting:rounds=60,learning_rate=0.1", (), ("shapley", "masking")),
    ("dmpnn:epochs=12,hidden=48,width=48,members=1,validation_folds=0", ("graph",), ("gradients", "masking")),
])  # fmt: skip
def test_explanations_point_at_a_planted_substructure(
    spec: str, layouts: tuple[str, ...], ways: tuple[str, ...], mirror: Path
):
    smarts = "S(=O)(=O)[#7]"
    having, lacking = planted(drug_like(mirror), smarts, 156, 150)
    cohort = cohort_of([*having[:150], *lacking], ["yes"] * 150 + ["no"] * 150)
    predictor = predictor_of(cohort, spec, layouts)
    for way in ways:
        found = explain_parts(predictor, cohort_of(having[150:]), way=way)
        hits = [points_at(one.smiles, one.of_atoms, smarts) for one in found]
        assert all(hits), (way, hits)  # six molecules; the whole test of 200 is benchmarks/attribution.py
