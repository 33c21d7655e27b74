"""Every modality keeps the contract of osler.modalities.base, whatever it is: run over INDEX."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler import modalities
from osler.blocks import KINDS, LAYOUTS, Block
from osler.cohort.column import Column
from osler.errors import OptionError
from osler.registry import load

ROOT = Path(__file__).resolve().parents[2]
N = 120
PHRASES = ("pain in the", "no fever at", "cough since the", "left chest")

SAMPLES = {
    "number": [None if i % 11 == 3 else round(20 + (i * 37 % 101) / 3, 3) for i in range(N)],
    "category": [None if i % 13 == 4 else ("red", "green", "Blue ", "grey 2")[i * 7 % 4] for i in range(N)],
    "boolean": [None if i % 9 == 5 else ("yes", "No ", "y", "false")[i * 5 % 4] for i in range(N)],
    "date": [None if i % 17 == 6 else f"20{10 + i % 13}-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(N)],
    "molecule": [
        None if i % 12 == 5 else ("CC(=O)Oc1ccccc1C(=O)O", "CN1CCC[C@H]1c1cccnc1", "CCN(CC)CC.Cl", "OC(=O)c1ccccc1O", "C" * (1 + i % 9))[i * 3 % 5]
        for i in range(N)
    ],
    "protein": [
        None if i % 14 == 3 else ("MKVLAAGIVG" * 3, "GSHMRRWQEDNF" * 2, "mkttyyclpv" * 3, ">p one\nMSTNPKPQRK\nTKRNTNRRPQ")[i * 3 % 4]
        for i in range(N)
    ],
    "image": [None if i % 11 == 8 else f"tests/modalities/scans/p{i * 3 % 4}.png" for i in range(N)],
    "volume": [None if i % 15 == 8 else f"tests/modalities/scans/v{i * 2 % 3}.nii.gz" for i in range(N)],
    "boxes": [
        None if i % 11 == 8 else ('[]', '[{"box": [1, 2, 3, 4], "class": "cell"}]', 'tests/modalities/scans/cells.xml', '[{"box": [5, 6, 7, 8]}]')[i * 3 % 4]
        for i in range(N)
    ],
    "mask": [None if i % 13 == 8 else f"tests/modalities/scans/m{i * 2 % 3}.png" for i in range(N)],
    "text": [
        None if i % 10 == 7 else " ".join(PHRASES[(i // 4**j) % 4] for j in range(4))
        for i in range(N)
    ],
}  # fmt: skip
#: Values of a type that the modality cannot read at all, one cell each.
WRONG = {
    "number": pl.Series(["high", "low", None]),
    "category": pl.Series([[1], [2, 3], None]),
    "boolean": pl.Series(["maybe", "2", None]),
    "date": pl.Series(["tomorrow", "2020-13-45", None]),
    "molecule": pl.Series(["C1CC", "aspirin", None]),
    "protein": pl.Series(["MKV1LAAG", "*", None]),
    "image": pl.Series(["../outside", "/absolute", None]),
    "volume": pl.Series(["../outside", "/absolute", None]),
    "boxes": pl.Series(["../outside", "/absolute", None]),
    "mask": pl.Series(["../outside", "/absolute", None]),
    "text": pl.Series([1.5, 2.5, None]),
}


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch):
    """References to files start from the project's folder."""
    monkeypatch.chdir(ROOT)


EACH = pytest.mark.parametrize("name", sorted(modalities.INDEX))


def sample(name: str) -> pl.Series:
    """Values of a modality, some missing."""
    if name not in SAMPLES:
        pytest.fail(f"modality '{name}' needs a line in SAMPLES and in WRONG")
    return pl.Series("x", SAMPLES[name])


def fitted(name: str):
    """A modality, its state after a trip through JSON, and the values."""
    modality, values = modalities.get(name), sample(name)
    state = json.loads(json.dumps(modality.fit(values, Column("x", name)), allow_nan=False))
    return modality, state, values


def same(a: Block, b: Block) -> bool:
    """Whether two blocks hold the same numbers and names."""
    arrays = all(np.array_equal(a.arrays[k], b.arrays[k], equal_nan=True) for k in a.arrays)
    return (
        arrays and np.array_equal(a.present, b.present) and (a.names, a.kinds, a.levels) == (b.names, b.kinds, b.levels)
    )


@EACH
def test_class_attributes(name):
    cls = load(modalities.INDEX, "modalities", name)
    assert cls.name == name
    assert cls.emits in LAYOUTS
    assert cls.version >= 1
    assert is_dataclass(cls.Options)
    assert cls.Options.__doc__
    assert all(f"{f.name}:" in cls.Options.__doc__ for f in fields(cls.Options))


@EACH
def test_state_survives_json(name):
    modality, state, values = fitted(name)
    direct = modality.fit(values, Column("x", name))
    assert state == direct
    assert same(modality.encode(values, state), modality.encode(values, direct))
    assert (state["modality"], state["version"], state["column"]) == (name, modality.version, "x")


@EACH
def test_block_is_whole(name):
    modality, state, values = fitted(name)
    block = modality.encode(values, state)
    assert len(block) == len(values)
    assert block.layout == modality.emits
    if block.layout == "dense":
        assert block.values.shape == (len(values), len(block.names))
        assert block.values.dtype == np.float64
        assert len(block.kinds) == len(block.levels) == len(block.names)
        assert set(block.kinds) <= set(KINDS)
        assert not np.isinf(block.values).any()
        for kind, levels, column in zip(block.kinds, block.levels, block.values.T):
            assert bool(levels) == (kind == "categorical")
            if levels:
                codes = column[~np.isnan(column)]
                assert levels[-1] == "(other)"
                assert ((codes >= 0) & (codes < len(levels)) & (codes == np.round(codes))).all()


@EACH
def test_encode_is_row_wise(name):
    modality, state, values = fitted(name)
    whole = modality.encode(values, state)
    order = np.random.default_rng(5).permutation(N)
    assert same(modality.encode(values[order.tolist()], state), whole.take(order))
    assert same(modality.encode(values[17:41], state), whole.take(np.arange(17, 41)))
    for i in (0, 3, N - 1):
        assert same(modality.encode(values[i : i + 1], state), whole.take(np.array([i])))
    assert len(modality.encode(values[:0], state)) == 0


@EACH
def test_missing_is_not_present_and_not_a_number(name):
    modality, state, values = fitted(name)
    block = modality.encode(values, state)
    assert np.array_equal(block.present, values.is_not_null().to_numpy())
    if block.layout == "dense":
        assert np.isnan(block.values[~block.present]).all()
        assert not np.isnan(block.values[block.present]).any()


@EACH
def test_nothing_but_missing(name):
    modality = modalities.get(name)
    values = pl.Series("x", [None] * 5, dtype=pl.String)
    state = json.loads(json.dumps(modality.fit(values, Column("x", name)), allow_nan=False))
    block = modality.encode(values, state)
    assert not block.present.any()
    assert modality.summarise(values, Column("x", name))["missing"] == 5
    assert not modality.check(values, Column("x", name)).any()


@EACH
def test_fit_does_not_depend_on_the_order_of_rows(name):
    modality, state, values = fitted(name)
    order = np.random.default_rng(6).permutation(N).tolist()
    assert modality.fit(values[order], Column("x", name)) == state


@EACH
def test_values_are_left_alone(name):
    modality, values = modalities.get(name), sample(name)
    before = values.to_list()
    modality.encode(values, modality.fit(values, Column("x", name)))
    assert values.to_list() == before


@EACH
def test_check_passes_its_own_and_refuses_others(name):
    modality = modalities.get(name)
    own = modality.check(sample(name), Column("x", name))
    assert (own.dtype, len(own), own.sum()) == (pl.Boolean, N, 0)
    assert modality.check(WRONG[name], Column("x", name, options={"formats": ("%Y-%m-%d",)})).to_list() == [
        True,
        True,
        False,
    ]


@EACH
def test_what_check_refuses_is_encoded_as_missing(name):
    modality, state, _ = fitted(name)
    block = modality.encode(WRONG[name], state)
    assert not block.present.any()


@EACH
def test_unknown_option_is_refused_with_the_nearest(name):
    modality = modalities.get(name)
    known = [f.name for f in fields(modality.Options)]
    with pytest.raises(OptionError, match=f"did you mean '{known[0]}'") as caught:
        modality.fit(sample(name), Column("x", name, options={known[0] + "z": 1}))
    assert caught.value.code == "option"


@EACH
def test_options_that_inference_wrote_for_another_modality_are_passed_over(name):
    options = {"possible": [0.0, 1e9], "missing_codes": [], "quantity": "age", "quantity_unit": "years"}
    modality = modalities.get(name)
    state = modality.fit(sample(name), Column("x", name, options=options))
    assert modality.encode(sample(name), state).present.any()


@EACH
def test_sniff_likes_its_own_values(name):
    score = modalities.get(name).sniff(sample(name))
    assert 0.5 <= score <= 1.0
    assert 0.0 <= modalities.get(name).sniff(WRONG[name]) < 0.5


@EACH
def test_summary_is_json_and_hides_small_cells(name):
    modality = modalities.get(name)
    facts = json.loads(json.dumps(modality.summarise(sample(name), Column("x", name)), allow_nan=False))
    assert facts["n"] == N
    assert facts["missing"] == sample(name).null_count()
    few = modality.summarise(sample(name)[:8], Column("x", name))
    shown = [v for k, v in few.items() if k not in ("n", "missing", "levels", "hidden_levels") and v]
    assert shown == []


@EACH
def test_preview_is_short(name):
    modality = modalities.get(name)
    assert modality.preview(None) == ""
    assert len(modality.preview("a" * 500)) <= 200


@EACH
def test_augment_keeps_the_shape(name):
    modality, state, values = fitted(name)
    block = modality.encode(values, state)
    again = modality.augment(block, np.random.default_rng(0))
    assert again.values.shape == block.values.shape


@EACH
def test_page_names_every_option(name):
    page = (ROOT / "docs" / "reference" / "modalities" / f"{name}.md").read_text(encoding="utf-8")
    for option in fields(modalities.get(name).Options):
        assert f"`{option.name}`" in page, option.name


def test_fresh_process_gives_the_same_numbers(tmp_path):
    states, sums = {}, {}
    for name in sorted(SAMPLES):
        modality, state, values = fitted(name)
        states[name] = state
        sums[name] = [float(v).hex() for v in np.nan_to_num(modality.encode(values, state).values, nan=-7.0).ravel()]
    (tmp_path / "in.json").write_text(json.dumps({"states": states, "values": SAMPLES}), encoding="utf-8")
    code = (
        "import json, sys, numpy as np, polars as pl\n"
        "from osler import modalities\n"
        "given = json.load(open(sys.argv[1], encoding='utf-8'))\n"
        "out = {}\n"
        "for name, state in given['states'].items():\n"
        "    x = modalities.get(name).encode(pl.Series('x', given['values'][name]), state).values\n"
        "    out[name] = [float(v).hex() for v in np.nan_to_num(x, nan=-7.0).ravel()]\n"
        "print(json.dumps(out))\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "123"}
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "in.json")],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert json.loads(run.stdout) == sums


def test_unknown_modality_suggests_the_nearest():
    with pytest.raises(OptionError, match="did you mean 'number'"):
        modalities.get("numbr")
