"""Reading molecules: what is read, what is refused and why, and that no text ends or holds up the process."""

from __future__ import annotations

import random
import signal
import threading
import time

import pytest

pytest.importorskip("rdkit")

from rdkit import Chem

from osler.adapters.rdkit import apart, screen
from osler.adapters.rdkit.parse import KINDS, parse, parse_all

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
#: Molecules that mutations start from: rings, charges, stereo, salts, brackets.
SEEDS = (
    ASPIRIN, "CN1CCC[C@H]1c1cccnc1", "C[N+](C)(C)CC(=O)[O-]", "F/C=C/F", "[Na+].[Cl-]", "c1ccc2c(c1)[nH]c1ccccc12",
    "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O", "O=C1CCCN1C%11CCCC%11", "N#Cc1ccc(Cl)cc1Br", "[13CH3][C@](F)(Cl)Br",
)  # fmt: skip
BROKEN = (
    "C(C)(C)(C)(C)C", "C1CC", "CC)", "C((", "[", "]", "\0", ">>", "*", "[*]", "%99", "[C", "=", "c1",
    "[99999999999C]", "{-}", "é", "\u2028",
    "[Og+12]", "[CH99]", "$", "->", "(=O)", "..", "[H]", "@@", "C%(12345)C", "~", "-", "[#7]", "[Xx]",
)  # fmt: skip

#: Lines of properties, wrong for most records.
PROPERTIES = (
    "M  CHG  1  99  15", "M  ISO  1   1 999", "M  RAD  1   1   9", "M  V30 BEGIN CTAB", "M  STY  1   1 SRU", "M  END",
)  # fmt: skip
#: Buckminsterfullerene: 60 atoms and 31 rings.
FULLERENE = (
    "c12c3c4c5c1c1c6c7c2c2c8c3c3c9c4c4c%10c5c5c1c1c6c6c%11c7c2c2c7c8c3c3c8c9c4c4c9c%10c5c5c1c1c6c6c%11c2c2c7c3c3c8"
    "c4c4c9c5c1c1c6c2c3c41"
)


def block(smiles: str, v3000: bool = False) -> str:
    """A mol block as RDKit writes it."""
    return Chem.MolToMolBlock(Chem.MolFromSmiles(smiles), forceV3000=v3000)


@pytest.fixture(scope="module", autouse=True)
def no_process_is_left():
    yield
    apart.stop()
    assert apart._RUNNING == {}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (ASPIRIN, "smiles"),
        (f"  {ASPIRIN} aspirin", "smiles"),
        ("InChI=1S/C9H8O4/c1-6(10)13-8-5-3-2-4-7(8)9(11)12/h2-5H,1H3,(H,11,12)", "inchi"),
        (block(ASPIRIN), "mol"),
        (block(ASPIRIN, v3000=True), "mol"),
    ],
)
def test_every_notation_of_aspirin_is_the_same_molecule(text, kind):
    found = parse(text, kind)
    assert found.reason == ""
    assert Chem.MolToSmiles(found.mol) == Chem.CanonSmiles(ASPIRIN)


def test_mol2_of_water_needs_its_hydrogens():
    text = (
        "@<TRIPOS>MOLECULE\nwater\n3 2\nSMALL\nNO_CHARGES\n\n@<TRIPOS>ATOM\n"
        "1 O1 0.0 0.0 0.0 O.3\n2 H1 0.9 0.0 0.0 H\n3 H2 -0.2 0.9 0.0 H\n@<TRIPOS>BOND\n1 1 2 1\n2 1 3 1\n"
    )
    assert Chem.MolToSmiles(parse(text, "mol2").mol) == "O"
    bare = "@<TRIPOS>MOLECULE\nmethane\n1 0\nSMALL\nNO_CHARGES\n\n@<TRIPOS>ATOM\n1 C1 0.0 0.0 0.0 C.3\n"
    assert parse(bare, "mol2").reason == "lacks hydrogens, which a MOL2 block must hold"
    broken = text.replace("0.0 0.0 0.0", "nan 0.0 0.0")
    assert parse(broken, "mol2").reason == "holds a coordinate that is not a finite number"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no molecule"),
        ("   ", "holds no molecule"),
        (None, "holds no molecule"),
        ("CC\0C", "holds a NUL character"),
        ("C" * 1001, "more than 1,000 atoms"),
        ("C" * 10_001, "longer than 10,000 characters"),
        ("CCO>>CC=O", "a reaction, not one molecule"),
        ("CCO>[Na+]>CC=O", "a reaction, not one molecule"),
        ("*CC*", "holds a wildcard atom (*): part of a polymer or a query, not a molecule"),
        ("C€", "holds a character that SMILES do not have"),
        ("CxC", "syntax error"),
        ("C1CC", "unclosed ring"),
        ("C(C", "extra open parentheses"),
        ("CC)", "extra close parentheses"),
        ("CN(C)(C)C", "Explicit valence for atom # 1 N, 4, is greater than permitted"),
    ],
)
def test_reasons_of_refused_smiles(text, reason):
    assert parse(text) == type(parse("C"))(None, reason)


def test_a_ring_that_has_no_bonds_to_alternate():
    assert parse("c1cccc1").reason.startswith("Can't kekulize mol")


@pytest.mark.parametrize("text", ["secret1name", "C(C)(C)(C)(C)SECRET", "CCOCC(NSC"])
def test_reasons_never_repeat_the_text(text, capfd):
    reason = parse(text).reason
    assert reason
    assert text not in reason
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_refused_records():
    good = block("CCO")
    assert parse(good.replace("  3  2", "  0  0"), "mol").reason == "holds no atom"
    assert parse(good.replace("  3  2", "999999"), "mol").mol is None
    assert parse(good.replace("  3  2", "  9  2"), "mol").mol is None
    query = "holds a wildcard atom or an R group: a query, not a molecule"
    assert parse(good.replace(" O  ", " R# "), "mol").reason == query
    assert parse("\n".join(good.split("\n")[:5]), "mol").mol is None
    assert parse("nothing", "mol").reason == "has no counts line (its fourth line)"
    assert parse(good.replace("  1  2  1", "  1  7  1"), "mol").mol is None
    polymer = good.replace("M  END", "M  STY  1   1 SRU\nM  END")
    assert parse(polymer, "mol").reason == "holds repeating units: a polymer or a formulation, not one molecule"
    lines = good.split("\n")
    lines[4] = lines[4].replace(lines[4][:10], "       nan")
    assert parse("\n".join(lines), "mol").reason == "holds a coordinate that is not a finite number"


def test_parse_all_keeps_places():
    found = parse_all(["CCO", None, "C1CC"])
    assert [p.mol is not None for p in found] == [True, False, False]
    assert [p.reason for p in found] == ["", "", "unclosed ring"]


def test_odd_molecules_are_read_apart():
    cube = "C12C3C4C1C5C2C3C45"
    assert not screen.is_odd(cube, "smiles")
    assert screen.is_odd(FULLERENE, "smiles")
    assert parse(FULLERENE).mol.GetNumAtoms() == 60
    assert screen.is_odd("C" * 450, "smiles")
    assert parse("C" * 450).mol.GetNumAtoms() == 450


def test_a_process_that_dies_is_started_again():
    assert parse("C" * 220).mol is not None
    worker = apart._RUNNING[next(iter(apart._RUNNING))]
    worker.kill()
    worker.wait()
    assert parse("C" * 221).mol.GetNumAtoms() == 221


def test_what_takes_too_long_is_ended_in_time(monkeypatch):
    parse("C" * 230)
    monkeypatch.setattr(apart, "SECONDS", 0.01)
    start = time.perf_counter()
    assert parse("C1CC1" * 190).reason == apart.TOO_LONG
    assert time.perf_counter() - start < 2.0


def test_time_that_a_busy_machine_takes_away_is_not_counted(monkeypatch):
    parse("C" * 231)
    monkeypatch.setattr(apart, "SECONDS", 0.6)
    monkeypatch.setattr(apart, "PATIENCE", 4.0)
    worker = apart._RUNNING[next(iter(apart._RUNNING))]
    worker.send_signal(signal.SIGSTOP)
    later = threading.Timer(0.9, worker.send_signal, (signal.SIGCONT,))
    later.start()
    assert parse("C" * 232).mol.GetNumAtoms() == 232, "it waited longer than its seconds, but did not work as long"
    later.join()
    assert worker.poll() is None


def test_an_odd_molecule_that_comes_again_is_not_asked_again(monkeypatch):
    ring, long = "C1CC1" * 60, "C1CC1" * 191
    first = parse(ring)
    monkeypatch.setattr(apart, "SECONDS", 0.01)
    assert parse(long).reason == apart.TOO_LONG
    monkeypatch.setattr(apart, "_asked", lambda text, kind: pytest.fail("asked again"))
    assert parse(ring) is first
    assert parse(long).reason == apart.TOO_LONG
    apart._ANSWERS.clear()


def mutated(rng: random.Random) -> str:
    """A seed with some characters dropped, doubled, exchanged or replaced by something broken."""
    text = list(rng.choice(SEEDS))
    for _ in range(rng.randint(1, 4)):
        i = rng.randrange(len(text) + 1)
        what = rng.randrange(5)
        if what == 0 and text:
            del text[min(i, len(text) - 1)]
        elif what == 1:
            text.insert(i, rng.choice(BROKEN))
        elif what == 2:
            text.insert(i, rng.choice("CNOc1234()[]=#%+-.@/\\"))
        elif what == 3:
            text += list(rng.choice(SEEDS))
        else:
            text[i:i] = text[: rng.randrange(len(text) + 1)]
    return "".join(text)[: rng.choice((10**6, 10**6, 20))]


def test_four_thousand_mutated_smiles_end_nothing_and_hold_nothing_up():
    rng, slowest, read = random.Random(7), 0.0, 0
    parse("C" * 240)
    for _ in range(4000):
        text = mutated(rng)
        start = time.perf_counter()
        found = parse(text)
        slowest = max(slowest, time.perf_counter() - start)
        assert (found.mol is None) == bool(found.reason)
        assert found.reason.isascii()
        read += found.mol is not None
    assert slowest < 2.0
    assert 100 < read < 3900


def spoilt(rng: random.Random, blocks: list[str]) -> str:
    """A mol block with lines dropped, doubled or cut, numbers exchanged, or characters changed."""
    lines = rng.choice(blocks).split("\n")
    for _ in range(rng.randint(1, 3)):
        i, what = rng.randrange(len(lines)), rng.randrange(8)
        if what == 0:
            del lines[i]
        elif what == 1:
            lines.insert(i, lines[i])
        elif what == 2:
            lines[i] = lines[i][: rng.randrange(len(lines[i]) + 1)]
        elif what == 3:
            lines[3] = f"{rng.randint(0, 999):3d}{rng.randint(0, 999):3d}{lines[3][6:]}"
        elif what == 4:
            lines[i] = lines[i].replace(rng.choice("0123"), rng.choice(("nan", "9", "-", "\0", "1e999")), 1)
        elif what == 5:
            lines[i] += rng.choice(("\r", "\v", "\x1a", "M  CHG  9   1   9", "é"))
        elif what == 6:
            lines.insert(i, rng.choice(PROPERTIES))
        else:
            lines[i] = lines[i].replace(" C ", rng.choice((" * ", " Q ", " Xx", " R#", " D ", " L ")), 1)
        lines = lines or [""]
        lines += [""] * (4 - len(lines))
    return rng.choice(("\n", "\n", "\r\n")).join(lines)


def test_a_thousand_spoilt_records_end_nothing_and_hold_nothing_up():
    rng, slowest = random.Random(11), 0.0
    blocks = [block(s, v3000) for s in SEEDS for v3000 in (False, True)]
    for _ in range(1000):
        text = spoilt(rng, blocks)
        start = time.perf_counter()
        found = parse(text, "mol")
        slowest = max(slowest, time.perf_counter() - start)
        assert (found.mol is None) == bool(found.reason)
    assert slowest < 2.0


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_refused(kind):
    rng = random.Random(3)
    for _ in range(100):
        codes = [rng.randrange(1, rng.choice((127, 0x3000))) for _ in range(rng.randint(30, 80))]
        noise = "".join(map(chr, codes))
        assert parse(noise, kind).mol is None
