"""How `index.csv` is made: `python -m osler.catalogue.build MIRROR > index.csv` (reads the four
MANIFEST.csv files)."""

from __future__ import annotations

import csv
import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path

from osler.catalogue.index import DOMAINS, Entry
from osler.catalogue.places import package_folder

_SUFFIX = re.compile(
    r"(\.(csv|tsv|txt|smi|ndjson|fastq|fasta|fa|fna|bed|bim|fam|vcf|gct|cls|gmt|a3m|pdb|cif|sdf|pdbqt"
    r"|npz|h5ad|zip|tar|xz|gz))+$"
)

_SKLEARN = "as distributed with scikit-learn (BSD-3-Clause)"
_LIFELINES = "as distributed with lifelines (MIT)"

#: name, package, file, title, licence, rows, task, official address
INSTALLED = (
    (
        "breast_cancer",
        "sklearn",
        "datasets/data/breast_cancer.csv",
        "Breast cancer Wisconsin (diagnostic)",
        f"CC BY 4.0 (UCI); {_SKLEARN}",
        569,
        "binary classification",
        "https://archive.ics.uci.edu/dataset/17/breast+cancer+wisconsin+diagnostic",
    ),
    (
        "diabetes",
        "sklearn",
        "datasets/data/diabetes_data_raw.csv.gz",
        "Diabetes progression after one year (Efron 2004), predictors",
        _SKLEARN,
        442,
        "regression",
        "https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html",
    ),
    (
        "diabetes_target",
        "sklearn",
        "datasets/data/diabetes_target.csv.gz",
        "Diabetes progression after one year (Efron 2004), target",
        _SKLEARN,
        442,
        "regression",
        "https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html",
    ),
    (
        "gbsg2",
        "lifelines",
        "datasets/gbsg2.csv",
        "German Breast Cancer Study Group 2",
        _LIFELINES,
        686,
        "survival",
        "https://doi.org/10.1200/JCO.1994.12.10.2086",
    ),
    (
        "lung",
        "lifelines",
        "datasets/lung.csv",
        "NCCTG advanced lung cancer",
        _LIFELINES,
        228,
        "survival",
        "https://doi.org/10.1200/JCO.1994.12.3.601",
    ),
    (
        "rossi",
        "lifelines",
        "datasets/rossi.csv",
        "Rossi recidivism trial",
        _LIFELINES,
        432,
        "survival",
        "https://doi.org/10.1016/B978-0-12-598420-9.50005-4",
    ),
    (
        "larynx",
        "lifelines",
        "datasets/larynx.csv",
        "Cancer of the larynx",
        _LIFELINES,
        90,
        "survival",
        "https://doi.org/10.1007/b97377",
    ),
    (
        "stanford_heart",
        "lifelines",
        "datasets/stanford_heart.csv",
        "Stanford heart transplants (several rows per patient)",
        _LIFELINES,
        172,
        "survival, time-varying",
        "https://doi.org/10.2307/2286296",
    ),
    (
        "multicenter_aids_cohort",
        "lifelines",
        "datasets/multicenter_aids_cohort.tsv",
        "Multicenter AIDS Cohort Study",
        _LIFELINES,
        78,
        "survival",
        "https://doi.org/10.1007/b97377",
    ),
    (
        "kidney_transplant",
        "lifelines",
        "datasets/kidney_transplant.csv",
        "Kidney transplants, Ohio State",
        _LIFELINES,
        863,
        "survival",
        "https://doi.org/10.1007/b97377",
    ),
)


def build(mirror: Path) -> list[Entry]:
    """All entries: what comes inside installs first, then every line of `mirror`/DOMAIN/MANIFEST.csv."""
    rows = [(d, row) for d in DOMAINS for row in _manifest(mirror / d / "MANIFEST.csv")]
    stems = Counter(_stem(row["file"]) for _, row in rows)
    taken = {name for name, *_ in INSTALLED}
    made = [_from_manifest(d, row, keep_suffix=stems[_stem(row["file"])] > 1, taken=taken) for d, row in rows]
    return [*map(_installed, INSTALLED), *sorted(made, key=lambda e: (e.domain, e.name))]


def _manifest(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def _stem(file: str) -> str:
    return _SUFFIX.sub("", file.replace("/", "-").lower())


def _from_manifest(domain: str, row: dict[str, str], keep_suffix: bool, taken: set[str]) -> Entry:
    name = row["file"].replace("/", "-").lower() if keep_suffix else _stem(row["file"])
    name = f"{domain}-{name}" if name in taken else name
    source = f"github.com/{row['source_repo']} at {row['source_commit']}: {row['source_path']}"
    page = f"https://github.com/{row['source_repo']}/tree/{row['source_commit']}"
    count = row.get("rows") or row.get("items") or "0"
    return Entry(
        name=name,
        domain=domain,
        package="",
        file=f"{domain}/{row['file']}",
        title=row["name"],
        licence=row["licence"],
        rows=int(count) if count.isdigit() else 0,
        task=row["task"],
        official_url=row["official_url"] or page,
        source=source,
        sha256=row["sha256"],
        bytes=int(row["bytes"]),
    )


def _installed(line: tuple[str, str, str, str, str, int, str, str]) -> Entry:
    name, package, file, title, licence, rows, task, address = line
    folder = package_folder(package)
    if folder is None:
        raise SystemExit(f"the index needs the package {package}, which is not installed")
    data = (folder / file).read_bytes()
    return Entry(
        name=name,
        domain="clinical",
        package=package,
        file=file,
        title=title,
        licence=licence,
        rows=rows,
        task=task,
        official_url=address,
        source=f"the Python package {package}",
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
    )


if __name__ == "__main__":
    writer = csv.DictWriter(sys.stdout, [f.name for f in fields(Entry)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(e) for e in build(Path(sys.argv[1])))
