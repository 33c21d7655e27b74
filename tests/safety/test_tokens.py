"""1,000 synthetic patients with a unique token in every cell: none is found in anything that Osler writes or prints."""

from __future__ import annotations

import datetime
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from osler.cli import main

N = 1000
SMALL = ["--folds", "2", "--repeats", "1", "--boot", "200", "--workers", "1"]
OPTIONS = ["--target", "outcome", "--unit", "person", "--model", "logistic", "--model", "tree", *SMALL]
QUICK = ["--target", "outcome", "--unit", "person", "--model", "logistic:penalty=1", *SMALL, "--quiet"]

#: Places where an exception with a cell's value in its message is thrown.
PLACES = (
    "osler.engine.fit:prepare", "osler.engine.fit:cross_validate", "osler.engine.fit:fit_rows", "osler.engine.fit:assess", "osler.engine.fit:certify",
    "osler.engine.fit:split_table", "osler.engine.fit:prediction_table", "osler.engine.fit:describe", "osler.engine.fit:make_predictor",
    "osler.engine.fit:learn_domain", "osler.engine.fit:environment", "osler.engine.fit:write_parquet", "osler.engine.fit:whole_folder",
    "osler.engine.prepare:read", "osler.engine.prepare:open_cohort", "osler.engine.train:fit_states", "osler.engine.train:encode", "osler.engine.train:run_split",
    "osler.engine.train:rows_hash", "osler.engine.train:write_fold", "osler.engine.assess:score", "osler.engine.batches:encode", "osler.cohort.read:cohort_of",
    "osler.cohort.infer:infer", "osler.engine.describe:card",
)  # fmt: skip


def people() -> tuple[pl.DataFrame, list[str]]:
    """The table, and every token of text, number and date in it."""
    rng = np.random.default_rng(3)
    ids = [f"QZID{i:05d}X" for i in range(N)]
    names = [f"Qzname{i:05d} Family{i:05d}zq" for i in range(N)]
    notes = [f"seen with qznote{i:05d}x and pain in ward today, tel QZTEL{i:05d}" for i in range(N)]
    groups = [f"qzgroup{i:05d}" if i % 2 else ("north", "south")[i // 2 % 2] for i in range(N)]
    numbers = [f"{x:.7f}" for x in 50 + 10 * rng.normal(size=N)]
    odd = [f"{x:.9f}" for x in rng.normal(size=N)]
    days = [(datetime.date(1931, 1, 1) + datetime.timedelta(days=7 * i)).isoformat() for i in range(N)]
    sick = rng.random(N) < 1 / (1 + np.exp(-(np.array(numbers, dtype=float) - 50) / 6))
    columns = {
        "person": ids,
        "name": names,
        "note": notes,
        "group": groups,
        "level": numbers,
        "lab": odd,
        "seen": days,
        "outcome": np.where(sick, "yes", "no"),
    }
    tokens = [
        w
        for column in (ids, names, notes, groups)
        for cell in column
        for w in cell.split()
        if "qz" in w.lower() or "zq" in w
    ]
    return pl.DataFrame(columns), sorted({t.strip(",") for t in tokens}) + numbers + odd + days


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table as CSV with a few cells that reading refuses, which must not be quoted either."""
    path = tmp_path_factory.mktemp("tokens") / "people.csv"
    frame, _ = people()
    lines = frame.write_csv().splitlines()
    lines[7] = lines[7].replace(frame["level"][6], "QZNOTANUMBER")
    lines[9] += ",QZEXTRACELL"
    path.write_text("\n".join(lines) + "\n")
    return path


def found(places: Iterator[bytes], wanted: list[str]) -> list[str]:
    """Tokens in any of the texts; dates may stand in none, long numbers with all their digits in none."""
    everything = b"\n".join(places).lower()
    return [t for t in wanted if t.lower().encode() in everything]


def written(folder: Path, skip: set[str]) -> Iterator[bytes]:
    """Names and bytes of every file below a folder; Parquet also as the text of its cells."""
    for path in folder.rglob("*"):
        yield str(path.relative_to(folder)).encode()
        if path.is_file() and path.name not in skip:
            yield path.read_bytes()
            if path.suffix == ".parquet":
                yield pl.read_parquet(path).write_csv().encode()


def test_no_token_is_written_or_printed(table: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    _, tokens = people()
    wanted = [*tokens, "QZNOTANUMBER", "QZEXTRACELL"]
    out = tmp_path / "run"
    assert main(["look", str(table), "--target", "outcome", "--unit", "person"]) == 0
    looked = capfd.readouterr()
    assert main(["fit", str(table), "--out", str(out), *OPTIONS, "--debug"]) in (0, 1)
    assert main(["predict", str(out), str(table), "--out", str(tmp_path / "answers.csv")]) == 0
    assert main(["evaluate", str(out), str(table), "--out", str(tmp_path / "external")]) == 0
    assert main(["verify", str(out)]) in (0, 1)
    assert main(["report", str(out)]) == 0
    said = capfd.readouterr()
    texts = [t.encode() for t in (looked.err, said.out, said.err)]
    assert found(iter([*texts, *written(tmp_path, {"answers.csv"})]), wanted) == []
    assert found(iter([looked.out.encode()]), [t for t in wanted if "qz" in t.lower()]) == []
    explained(out, table, tmp_path, capfd)


def explained(run: Path, table: Path, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`osler explain` of every row says and writes no token; of the one row that was asked for, that row's own only.

    The files hold the user's own rows beside their attributions, as the answers of `predict` do.
    """
    frame, tokens = people()
    asked = 20
    own = [str(v) for v in frame.row(asked)]
    few = folder / "rows.csv"
    frame.head(40).write_csv(few)
    assert main(["explain", str(run), str(table), "--out", str(folder / "why.parquet")]) == 0
    assert main(["explain", str(run), str(few)]) == 0
    assert main(["explain", str(run), str(few), "--method", "lime", "--out", str(folder / "why.csv")]) == 0
    said = capfd.readouterr()
    assert found(iter([said.out.encode(), said.err.encode()]), tokens) == []
    assert main(["explain", str(run), str(few), "--row", str(asked + 1), "--out", str(folder / "one.csv")]) == 0
    assert main(["explain", str(run), str(few), "--row", str(asked + 1), "--counterfactual", "--want", "0.5"]) in (0, 1)
    said = capfd.readouterr()
    others = [t for t in tokens if not any(t in cell for cell in own)]
    assert found(iter([said.out.encode()]), others) == []
    assert found(iter([said.err.encode()]), tokens) == []
    rest = written(folder, {"answers.csv", "rows.csv", "why.parquet", "why.csv", "one.csv"})
    assert found(rest, tokens) == []
    assert found(iter([(folder / "one.csv").read_bytes()]), others) == []


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 60 people, for crashes."""
    path = tmp_path_factory.mktemp("crashes") / "few.csv"
    people()[0].head(60).write_csv(path)
    return path


def crash(token: str, kind: type[BaseException]) -> Callable[..., Any]:
    """A function that fails as libraries do: quoting the cell, with another error as its cause."""

    def fail(*args: Any, **options: Any) -> Any:
        held = {"patient": token}
        try:
            float(token)
            raise KeyError(held)
        except (ValueError, KeyError) as error:
            raise kind(f"could not convert string to float: {token!r} in {held}") from error

    return fail


@pytest.mark.parametrize("kind", [ValueError, RuntimeError])
def test_fifty_crashes_show_no_token(
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    kind: type[Exception],
):
    frame, tokens = people()
    wrong, crashed = [], 0
    for i, place in enumerate(PLACES):
        module, _, name = place.partition(":")
        token = [frame["person"][i], frame["level"][i], frame["note"][i]][i % 3]
        with monkeypatch.context() as patch:
            patch.setattr(importlib.import_module(module), name, crash(token, kind))
            crashed += (
                main(["fit", str(small), "--out", str(tmp_path / f"run{i}"), *QUICK, "--no-explain", "--debug"]) == 1
            )
        said = capfd.readouterr()
        wrong += [f"{place}: {t}" for t in found(iter([said.out.encode(), said.err.encode()]), tokens)]
        assert kind.__name__ in said.err or not (tmp_path / f"run{i}").exists()
    assert wrong == []
    assert crashed == len(PLACES) == 25
    assert found(written(tmp_path, set()), tokens) == []
