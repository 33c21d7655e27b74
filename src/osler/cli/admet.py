"""`osler admet`: what is to be expected of a molecule in the body."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def admet(
    what: Annotated[
        list[str],
        typer.Argument(help="SMILES, InChI or files of molecules; or train, then endpoints, files or FILE:TARGET"),
    ],
    runs: Annotated[Path, typer.Option("--runs", help="folder of runs; train writes them there")] = Path("runs/admet"),
    out: Annotated[Path | None, typer.Option("--out", help="folder for admet.json, admet.csv and admet.html")] = None,
    reference: Annotated[
        str,
        typer.Option(
            "--reference", help="file of molecules to compare with; default the approved drugs of the catalogue"
        ),
    ] = "",
    model: Annotated[
        list[str],
        typer.Option("--model", help="model of the runs (train), as for osler fit; default boosting (may be repeated)"),
    ] = [],  # noqa: B006
    seed: Annotated[int, typer.Option("--seed", help="everything random follows from it (train)")] = 0,
    workers: Annotated[int, typer.Option("--workers", help="processes (train); 0 is one per core")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress")] = False,
) -> int:
    """ADMET profile of molecules from your own runs, rules and alerts; with `train` first, make those runs from
    tables at hand.

    Example: osler admet "CC(=O)Oc1ccccc1C(=O)O" --runs runs/admet --out aspirin

    Example: osler admet train herg bbb caco2 --runs runs/admet

    Example: osler admet train assay.csv:potency --runs runs/admet
    """
    if what[0] == "train":
        return _train(what[1:], runs, model, seed, workers, quiet)
    return _profile(what, runs, out, reference)


def _train(texts: list[str], runs: Path, model: list[str], seed: int, workers: int, quiet: bool) -> int:
    from osler.engine.discovery.panel import open_panel, train
    from osler.engine.discovery.reference import of_panel

    made = train(texts, runs, workers=workers, seed=seed, model=model, silent=quiet, say=print)
    members, _ = open_panel(runs)
    found = of_panel(runs, members)
    print(f"compared with {found.n:,} {found.what}" if found.n else "no reference of approved drugs is at hand")
    print(f"written: {runs}")
    return 0 if all(run.certificate["verdict"] == "clean" for run in made) else 1


def _profile(what: list[str], runs: Path, out: Path | None, reference: str) -> int:
    from osler.cli.show_discovery import show_profiles, show_refused
    from osler.engine.discovery.molecules import asked
    from osler.engine.discovery.panel import open_panel
    from osler.engine.discovery.profile import profile, write
    from osler.engine.discovery.reference import of_panel

    found = [asked(one) for one in what]
    refused = [line for _, lines in found for line in lines]
    members, left = open_panel(runs)
    compared = of_panel(runs, members, reference)
    profiles = profile([q for queries, _ in found for q in queries], members, compared)
    show_profiles(profiles, compared)
    show_refused(refused)
    for name, reason in left.items():
        print(f"left out: {name} ({reason})")
    if out is not None:
        print(f"written: {write(profiles, out, compared, refused) / 'admet.html'}")
    return 0 if all(m.run.certificate["verdict"] == "clean" for m in members) else 1
