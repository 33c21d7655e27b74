"""How `osler targets`, `osler repurpose`, `osler admet` and `osler generate` print what they found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from osler.engine.discovery.drugs import Drugs
    from osler.engine.discovery.known import Known
    from osler.engine.discovery.profile import Profile
    from osler.engine.discovery.reference import Reference
    from osler.engine.discovery.repurpose import Judged
    from osler.engine.discovery.targets import Evaluation


def grid(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
    """A plain table; columns named in `right` stand right-aligned."""
    from rich.markup import escape

    console = Console() if Console().is_terminal else Console(width=150)
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(escape(heading), justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


def within(entry: dict[str, Any]) -> str:
    """A metric as "0.516 (0.455 to 0.581)"."""
    return f"{entry['value']:.3f} ({entry['low']:.3f} to {entry['high']:.3f})"


def show_retrieval(found: Evaluation, known: Known) -> None:
    """Hit rates by method, certificate, what was read."""
    facts = found.facts
    print(
        f"{known.n_read:,} lines read = {facts['pairs']:,} pairs of {facts['molecules']:,} molecules and "
        f"{facts['targets']:,} targets + {sum(known.refused.values()):,} left out"
    )
    for reason, n in known.refused.items():
        print(f"  {n:,}: {reason}")
    names = ("hit_1", "hit_5", "hit_10", "mrr")
    grid(("method", *names), [(m, *(within(s[n]) for n in names)) for m, s in found.scores.items()], names)
    print(
        f"{facts['asked']:,} molecules of left-out scaffolds asked about; "
        f"of {facts['every_target_left_out']:,} every target was left out too"
    )
    print(f"certificate: {found.certificate['verdict']}")


def show_targets(rows: Sequence[dict[str, Any]], known: Known) -> None:
    """One line per listed target."""
    lines, has_right = [], any("right" in row for row in rows)
    for row in rows:
        held = (
            f"{row['right']:.0%} ({row['right_low']:.0%} to {row['right_high']:.0%})"
            if row.get("right") is not None
            else ""
        )
        lines.append(
            (
                row["name"] or str(row["place"]),
                str(row["rank"]),
                row["target"],
                "already known" if row["already_known"] else "",
                f"{row['similarity']:.2f}",
                row["nearest_ligand"] or row["nearest_smiles"][:40],
                f"{row['ligands']:,}",
                f"{row['q_value']:.1e}",
                *((held,) if has_right else ()),
            )
        )
    headings = (
        "molecule",
        "rank",
        "target",
        "",
        "similarity",
        "nearest ligand",
        "ligands",
        "q",
        *(("right when so similar",) if has_right else ()),
    )
    grid(headings, lines, ("rank", "similarity", "ligands", "q"))
    print(f"out of {len(known.targets):,} targets with {len(known):,} known ligands; a list to test, not a finding")


def show_refused(refused: Sequence[tuple[int, str, str]], most: int = 5) -> None:
    """What could not be read."""
    for place, name, reason in refused[:most]:
        print(f"not read: {name or f'entry {place}'} ({reason})")
    if len(refused) > most:
        print(f"not read: {len(refused) - most:,} more")


def write_rows(rows: Sequence[dict[str, Any]], out: Path) -> None:
    """Rows as a CSV file, cells that a spreadsheet would compute made harmless."""
    import polars as pl

    from osler.engine.files import write_atomic
    from osler.engine.tables import defused

    write_atomic(out, defused(pl.DataFrame(list(rows), infer_schema_length=None)).write_csv().encode())
    print(f"written: {out}")


def show_profiles(profiles: Sequence[Profile], reference: Reference, most: int = 5) -> None:
    """The first profiles, line by line."""
    for one in profiles[:most]:
        print(f"\n{one.query.name or one.query.smiles}")
        print(
            "  "
            + ", ".join(
                f"{n['name']} {n['value']:.4g} {n['unit']}".rstrip() for n in one.plain if n["value"] is not None
            )
        )
        broken = [f"{v['name']} ({v['met']})" for v in one.verdicts if not v["passes"]]
        print(f"  rules and alerts met: {', '.join(broken) if broken else 'none'}")
        rows = []
        for line in one.lines:
            k = 2 if line["kind"] == "number" else 3
            limits = f"{line['low']:.{k}f} to {line['high']:.{k}f}" if line["low"] is not None else ""
            seen = (
                f"in its table; left out {line['out_of_fold']:.{k}f}"
                if line["in_training"] and line["out_of_fold"] is not None
                else ""
            )
            percentile = "" if line["percentile"] is None else f"{line['percentile']:.0f}"
            rows.append(
                (
                    line["endpoint"],
                    f"{line['value']:.{k}f} {line['unit']}".strip(),
                    limits,
                    percentile,
                    "inside" if line["in_domain"] else "outside",
                    f"{line['n']:,}",
                    line["certificate"],
                    seen,
                )
            )
        grid(
            ("endpoint", "answer", "interval", "percentile", "domain", "n", "certificate", ""),
            rows,
            ("percentile", "n"),
        )
    if len(profiles) > most:
        print(f"{len(profiles) - most:,} more: see --out")
    if reference.n:
        print(f"percentile: among {reference.n:,} {reference.what}")


def show_drugs(rows: Sequence[dict[str, Any]], drugs: Drugs) -> None:
    """One line per drug, with the drug that it is most like by each source."""
    found = [s for s in drugs.similarity if rows and s in rows[0]]
    lines = [
        (
            str(r["rank"]),
            r["name"],
            "already used" if r["already_used"] else "",
            f"{r['score']:.3f}",
            *(f"{r[s]:.2f} {r[f'{s}_like']}".strip() if r[s] > 0 else "" for s in found),
        )
        for r in rows
    ]
    grid(("rank", "drug", "", "score", *(f"{s}, like" for s in found)), lines, ("rank", "score"))
    print(f"out of {len(drugs):,} drugs; a ranking for research by likeness to drugs in use, no advice on treatment")


def show_judged(found: Judged) -> None:
    """How rankings of left-out drugs did, by method."""
    facts = found.facts
    print(
        f"{facts['drugs']:,} drugs ({facts['drawn']:,} drawn), {facts['uses']:,} uses, "
        f"{facts['judged']} of {facts['indications']} indications have enough drugs to judge"
    )
    names = tuple(next(iter(found.scores.values())))
    grid(("method", *names), [(m, *(within(s[n]) for n in names)) for m, s in found.scores.items()], names)
    print(
        f"left out at a time: {facts['left_out']} ({facts['groups']:,} groups); "
        "hits: share of hidden uses in the first 10 and 50 of all drugs"
    )
    print(f"certificate: {found.certificate['verdict']}")
