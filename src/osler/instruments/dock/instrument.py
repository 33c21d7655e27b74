"""How a molecule may sit in a protein, and how well: `osler dock`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from osler.adapters import posebusters, spyrmsd
from osler.adapters.rdkit import poses as spatial
from osler.adapters.rdkit.interactions import features
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.lineage import Step
from osler.errors import InputError, OptionError
from osler.instruments.base import Findings, Instrument
from osler.instruments.columns import one_of, within
from osler.instruments.dock import box as boxes
from osler.instruments.dock import engine as engines
from osler.instruments.dock import interactions, ligand, picture, receptor

#: Most pictures of one run.
MOST_PICTURES = 20
_CAUTION = "a score orders poses of one molecule better than molecules: it is no measured affinity"
_COLUMNS = {
    "row": pl.Int64, "pose": pl.Int64, "score": pl.Float64, "score_per_heavy_atom": pl.Float64, "rmsd": pl.Float64,
    "checks_passed": pl.Boolean, "checks_failed": pl.String, "hydrogen_bonds": pl.String, "hydrophobic": pl.String,
    "pi_stacking": pl.String, "salt_bridges": pl.String, "notes": pl.String,
}  # fmt: skip
_CELLS = dict(
    zip(("hydrogen_bonds", "hydrophobic", "pi_stacking", "salt_bridges"), interactions.KINDS, strict=True)
)


@dataclass(frozen=True)
class DockOptions:
    """Options of `osler dock`."""

    receptor: str = field(
        default="", metadata={"help": "protein structure, PDB or mmCIF (may be packed by gzip)"}
    )
    column: str = field(
        default="", metadata={"help": "column of molecules (SMILES or mol blocks); found by modality or name"}
    )
    reference: str = field(
        default="", metadata={"help": "SDF of a known pose: gives the RMSD, and the box if no other is named"}
    )
    box_ligand: str = field(
        default="", metadata={"help": "SDF of a molecule in the pocket: the box is around it"}
    )
    residues: tuple[str, ...] = field(
        default=(), metadata={"help": "the box is around these residues, such as A:315,A:381"}
    )
    center: str = field(default="", metadata={"help": "centre of the box, x,y,z in Å"})
    size: str = field(default="20,20,20", metadata={"help": "sides of the box in Å, with --center"})
    blind: bool = field(default=False, metadata={"help": "the box is around the whole protein"})
    padding: float = field(
        default=4.0, metadata={"help": "Å left free around a ligand or residues on each side"}
    )
    altlocs: tuple[str, ...] = field(
        default=(), metadata={"help": "alternate place of a residue, such as A:45=B; else by occupancy"}
    )
    waters: bool = field(default=False, metadata={"help": "keep the waters of the structure"})
    metals: bool = field(
        default=True, metadata={"help": "keep metal ions (Zn, Mg, Mn, Ca, Fe, Cu, Co, Ni, Cd)"}
    )
    start: str = field(
        default="new",
        metadata={"help": "new (conformer from the bonds alone) or given (coordinates of the mol block)"},
    )
    engine: str = field(default="vina", metadata={"help": "docking engine: vina"})
    scoring: str = field(default="vina", metadata={"help": "scoring function: vina or vinardo"})
    exhaustiveness: int = field(
        default=8, metadata={"help": "independent searches per ligand; 32 for large ligands"}
    )
    poses: int = field(default=9, metadata={"help": "most poses per ligand"})
    energy_range: float = field(
        default=3.0, metadata={"help": "poses up to this much above the best score, kcal/mol"}
    )
    checks: str = field(default="best", metadata={"help": "PoseBusters on the best pose, all or none"})
    seed: int = field(default=1, metadata={"help": "seed of conformers and search, from 1 on"})
    cpu: int = field(default=1, metadata={"help": "threads of the search"})


class Dock(Instrument):
    """Poses with scores, plausibility checks and contacts; SDF files and pictures beside the table."""

    name = "dock"
    summary = "dock molecules into a protein structure, with checks of every claim about the pose"
    example = "osler dock ligands.csv --receptor protein.pdb --box-ligand pocket.sdf --out docked"
    needs = "a column of molecules, and a protein structure with --receptor"
    gives = "one row per pose: score, RMSD to a reference, PoseBusters checks, contacts; poses.sdf, receptor files and pictures"
    extra = "molecules"
    references = (
        "Eberhardt, Santos-Martins, Tillack, Forli: AutoDock Vina 1.2.0. J Chem Inf Model 2021",
        "Trott, Olson: AutoDock Vina. J Comput Chem 2010",
        "Buttenschoen, Morris, Deane: PoseBusters. Chem Sci 2024",
        "Meli, Biggin: spyrmsd: symmetry-corrected RMSD calculations in Python. J Cheminform 2020",
        "Salentin, Schreiber, Haupt, Adasme, Schroeder: PLIP. Nucleic Acids Res 2015",
    )
    Options = DockOptions

    def run(self, cohort: Cohort, options: DockOptions) -> Findings:
        """Prepare the receptor, set the box, dock every row's molecule, describe its poses.

        A row that cannot be docked gets one line with the reason in `notes`; if no row can be, the first reason is
        raised.

        Raises:
            InputError: receptor, box, column or an option is not what is needed.
            MissingExtraError: the extra `molecules` is not installed.
        """
        _check(options)
        column = ligand.column_of(cohort, options.column)
        target = receptor.prepare(options.receptor, options.altlocs, options.waters, options.metals)
        reference = ligand.pose_of(options.reference) if options.reference else None
        box = _box(options, target, reference)
        boxes.check(box, target.xyz)
        engine = engines.start(options.engine, target.pdbqt, box, options.scoring, options.seed, options.cpu)
        result = _dock_all(cohort, column, _Site(target, engine, reference, options))
        table = pl.DataFrame(result.rows, schema=_COLUMNS)
        facts = _facts(target, box, engine, options, table)
        files = {"poses.sdf": "".join(result.sdf), "receptor.pdb": target.pdb, "receptor.pdbqt": target.pdbqt}
        step = Step("dock", len(cohort), table.height, {"engine": engine.name, "seed": options.seed})
        made = Cohort(
            table,
            tuple(Column(c, _modality(k), "prediction") for c, k in _COLUMNS.items()),
            (*cohort.lineage, step),
        )
        return Findings(made, facts, result.figures, files)


@dataclass(frozen=True)
class _Site:
    """What every ligand of a run meets."""

    target: receptor.Receptor
    engine: engines.Engine
    reference: Any
    options: DockOptions


@dataclass
class _Result:
    """What a run gathers."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    sdf: list[str] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)


def _check(options: DockOptions) -> None:
    if not options.receptor:
        raise OptionError(
            "option 'receptor' must name a protein structure, it is empty: give --receptor FILE"
        )
    one_of("start", options.start, ("new", "given"))
    one_of("scoring", options.scoring, ("vina", "vinardo"))
    engines.check(options.engine)
    one_of("checks", options.checks, ("best", "all", "none"))
    for name, low, high in (
        ("exhaustiveness", 1, 512),
        ("poses", 1, 100),
        ("energy_range", 0.1, 50),
        ("cpu", 1, 256),
        ("seed", 1, 2**31 - 1),
        ("padding", 0, 30),
    ):
        within(name, getattr(options, name), low, high)

    named = [n for n in ("box_ligand", "residues", "center", "blind") if getattr(options, n)]
    if len(named) > 1:
        raise OptionError(f"the box must be named once, it was named by {' and '.join(named)}: keep one")
    if not named and not options.reference:
        raise OptionError(
            "the box must be named: give --box-ligand, --residues, --center, --reference or --blind"
        )


def _box(options: DockOptions, target: receptor.Receptor, reference: Any) -> boxes.Box:
    """The one box that the options name."""
    if options.box_ligand:
        return boxes.around(
            spatial.positions(ligand.pose_of(options.box_ligand)), options.padding, "around a ligand"
        )
    if options.residues:
        return boxes.residues(options.residues, target.structure, options.padding)
    if options.center:
        return boxes.explicit(options.center, options.size)
    if options.blind:
        return boxes.around(target.xyz, options.padding, "the whole protein (blind)")
    return boxes.around(spatial.positions(reference), options.padding, "around the reference pose")


def _dock_all(cohort: Cohort, column: str, site: _Site) -> _Result:
    result, refused = _Result(), []
    for row, cell in zip(cohort.rows.tolist(), cohort.values(column).to_list(), strict=True):
        try:
            if cell is None or not str(cell).strip():
                raise InputError("a ligand must be SMILES or a mol block, one is empty: fill in its row")
            _dock_one(row, ligand.ready(str(cell), site.options.seed, site.options.start), site, result)
        except InputError as error:
            refused.append(error)
            result.rows.append({"row": row, "notes": error.message})
    if refused and len(refused) == len(cohort):
        raise refused[0]
    return result


def _dock_one(row: int, one: ligand.Ligand, site: _Site, result: _Result) -> None:
    """Search, then one line of the table, one record of the SDF and, for the best pose, one picture."""
    o = site.options
    found = site.engine.dock(one.text.pdbqt, o.exhaustiveness, o.poses, o.energy_range)
    placed = [spatial.place(one.molecule, one.text.atoms, xyz) for _, xyz in found]
    checked = placed[: {"none": 0, "best": 1, "all": len(placed)}[o.checks]]
    passed = (
        posebusters.checks(checked, spatial.read_receptor(_site_pdb(site.target.pdb, checked)))
        if checked
        else []
    )
    heavy = spatial.heavy(site.reference) if site.reference is not None else None
    for i, ((score, _), pose) in enumerate(zip(found, placed, strict=True)):
        contacts = interactions.find(features(pose), site.target.atoms)
        line = {
            "row": row, "pose": i + 1, "score": score, "score_per_heavy_atom": round(score / pose.GetNumHeavyAtoms(), 4),
            "rmsd": _rounded(spyrmsd.symmetric_rmsd(heavy, spatial.heavy(pose))) if heavy else None, "notes": "; ".join(one.notes),
            **{cell: ", ".join(str(c) for c in contacts if c.kind == kind) for cell, kind in _CELLS.items()},
        }  # fmt: skip
        if i < len(passed):
            failed = [name for name, good in passed[i].items() if not good]
            line |= {"checks_passed": not failed, "checks_failed": ", ".join(failed)}
        result.rows.append(line)
        result.sdf.append(spatial.to_sdf([pose], [line]))
        if i == 0 and len(result.figures) < MOST_PICTURES:
            title = f"Row {row}, best pose, {score:.1f} kcal/mol: residues within contact"
            result.figures[f"interactions_row_{row}"] = picture.interactions_svg(pose, contacts, title)


def _site_pdb(pdb: str, placed: list[Any]) -> str:
    """The receptor's lines within 15 Å of the poses: the rest takes no part in the checks."""
    from scipy.spatial import cKDTree

    lines = [line for line in pdb.splitlines(True) if line.startswith(("ATOM", "HETATM"))]
    xyz = np.array([[float(line[a : a + 8]) for a in (30, 38, 46)] for line in lines])
    near, _ = cKDTree(np.vstack([spatial.positions(p) for p in placed])).query(xyz, distance_upper_bound=15.0)
    return "".join(line for line, d in zip(lines, near, strict=True) if np.isfinite(d))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _modality(kind: Any) -> str:
    return "text" if kind == pl.String else "boolean" if kind == pl.Boolean else "number"


def _facts(
    target: receptor.Receptor,
    box: boxes.Box,
    engine: engines.Engine,
    options: DockOptions,
    table: pl.DataFrame,
) -> dict[str, Any]:
    """What a reader must know to repeat the run and to doubt it."""
    keys = pl.concat_str("chain", pl.lit(":"), pl.col("number").cast(pl.String), "insertion")
    inside = set(target.atoms.with_columns(key=keys).filter(pl.Series(box.holds(target.xyz)))["key"])
    cut = [k for k in target.facts["side_chains_cut"] if k in inside]
    warnings = [_CAUTION]
    if cut:
        warnings.append(
            f"side chains in the box are incomplete in the structure and were cut: {', '.join(cut)}"
        )
    if target.facts["hetero_left_out"]:
        warnings.append(
            f"groups of the structure were left out: {', '.join(target.facts['hetero_left_out'])}"
        )
    if options.blind:
        warnings.append(
            "the whole protein was searched: raise --exhaustiveness and confirm in a box around the site found"
        )
    if engine.spacing > 0.4:
        warnings.append(f"the box is large: the grid spacing is {engine.spacing} Å instead of 0.375 Å")
    docked = table.filter(pl.col("pose") == 1)
    return {
        "engine": f"{engine.name} {engine.version}, scoring {options.scoring}, exhaustiveness {options.exhaustiveness}, seed {options.seed}",
        "ligands_docked": docked.height, "ligands_refused": table.filter(pl.col("pose").is_null()).height,
        "protonation": "as given: charges and hydrogens of the ligands were not changed",
        "ligand_start": "a new conformer (ETKDG, MMFF94s)" if options.start == "new" else "the coordinates given",
        "box": {"center": list(box.center), "size": list(box.size), "source": box.source, "spacing": engine.spacing},
        "receptor": target.facts, "warnings": warnings,
    }  # fmt: skip
