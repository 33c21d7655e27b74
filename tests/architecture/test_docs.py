"""The documentation is complete and true to the code: names, options, links, and pages made from it."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import subprocess
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import osler
from osler import instruments, modalities, models, tasks
from osler.cohort.finding import FINDINGS
from osler.errors import CODES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
INDEXES = {"modalities": modalities, "tasks": tasks, "instruments": instruments, "models": models}
NAMES = [(shape, name) for shape, module in INDEXES.items() for name in module.INDEX] + [
    ("models", name) for name in (*models.SCORES, *models.DRAWERS)
]
METRICS = set(
    (  # noqa: SIM905
        "auroc auprc accuracy precision recall specificity npv f1 balanced_accuracy mcc brier log_loss ece "
        "calibration_slope calibration_intercept observed_expected mae rmse r2 pearson spearman c_harrell c_uno ibs "
        "dice jaccard hd95 asd nsd ap ap_50 f1_50 map map_50 cpm sensitivity_at_1"
    ).split()
)
#: Never in the repository: addresses and folders of somebody's machine. In halves, so that this file may hold them.
MACHINE = [
    "/wor" + "k/main", "/wor" + "k/shared", "/roo" + "t/", "/home/" + r"(?!user\b|you\b|someone\b)[a-z]\w*/",
    "/Use" + r"rs/[a-z]\w*/", "index" + "-url", r"pypi\.(?!org)", r"https?://(10|192\.168|172\.(1[6-9]|2\d|3[01]))\.",
]  # fmt: skip


def text(path: Path) -> str:
    """A page."""
    return path.read_text(encoding="utf-8")


@cache
def generator() -> ModuleType:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def commands() -> dict[str, Any]:
    """Command → click command."""
    return generator().commands()


def without_code(page: str) -> str:
    """A page without its blocks and spans of code."""
    page = re.sub(r"^```.*?^```", "", page, flags=re.M | re.S)
    page = re.sub(r"^ {4}.*$", "", page, flags=re.M)
    return re.sub(r"`[^`\n]*`", "", page)


def anchors(page: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    body = re.sub(r"^```.*?^```", "", page, flags=re.M | re.S)
    heads = re.findall(r"^#+ (.+)$", body, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", h.replace("`", "").lower()).strip().replace(" ", "-") for h in heads}


def test_made_pages_are_current():
    stale = [
        name
        for name, made in generator().render().items()
        if not (REFERENCE / name).is_file() or text(REFERENCE / name) != made
    ]
    assert stale == [], "run: make docs"


@pytest.mark.parametrize(("shape", "name"), NAMES)
def test_every_name_has_a_page(shape: str, name: str):
    page = REFERENCE / shape / f"{name}.md"
    assert page.is_file()
    first = text(page).splitlines()[0]
    assert first.startswith("# ")
    assert name in first
    assert re.search(r"osler |osler\.", text(page)), "an example command or call"


@pytest.mark.parametrize(("shape", "name"), [(s, n) for s, n in NAMES if s in ("models", "instruments")])
def test_every_option_is_on_its_page(shape: str, name: str):
    if name in models.SCORES:
        page = text(REFERENCE / "models" / "clinical_scores.md") + text(REFERENCE / "models" / f"{name}.md")
    elif name in ("network", "mlp", "dmpnn", "smiles_rnn", "pretrained", "cnn"):
        page = "".join(text(REFERENCE / "models" / f"{other}.md") for other in {"network", "mlp", name})
    else:
        page = text(REFERENCE / shape / f"{name}.md")
    made = models.drawer(name) if shape == "models" and name in models.DRAWERS else INDEXES[shape].get(name)
    options = [f.name for f in fields(type(made).Options)]
    missing = [o for o in options if f"`{o}`" not in page and f"`--{o.replace('_', '-')}`" not in page]
    assert missing == []


def test_no_page_describes_what_is_not_there():
    known = {(shape, f"{name}.md") for shape, name in NAMES} | {("models", "clinical_scores.md")}
    found = {(p.parent.name, p.name) for p in REFERENCE.glob("*/*.md")}
    assert found - known == set()


def test_every_command_and_option_is_documented():
    page = text(REFERENCE / "cli.md")
    missing = []
    for name, command in commands().items():
        section = page.split(f"\n## osler {name}\n")[1].split("\n## ")[0]
        inner = getattr(command, "commands", {})
        parts = [(verb, part, section.split(f"\n### osler {name} {verb}\n")[1].split("\n### ")[0]) for verb, part in inner.items()]
        missing += [
            f"{name} {verb} {opt}"
            for verb, part, said in [("", command, section), *parts]
            for p in part.params
            for opt in p.opts
            if opt.startswith("--") and opt != "--help" and f"`{opt}`" not in said
        ]
    assert missing == []


def test_every_command_is_in_an_example_somewhere_besides_the_reference():
    prose = "\n".join(text(p) for p in PAGES if p.name != "cli.md")
    assert [name for name in commands() if not re.search(rf"\bosler {name}\b", prose)] == []


def test_every_error_code_is_documented():
    page = text(REFERENCE / "errors.md")
    assert [code for code in CODES if f"| `{code}` |" not in page] == []


def test_every_error_code_that_is_raised_is_known():
    """Codes given as the second argument of an error, by reading the source."""
    errors = {n for n in vars(importlib.import_module("osler.errors")) if n.endswith("Error")}
    unknown = []
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(text(file))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in errors
                and len(node.args) > 1
            ):
                code = node.args[1]
                if isinstance(code, ast.Constant) and code.value not in CODES:
                    unknown.append(f"{file.name}:{node.lineno} {code.value}")
    assert unknown == []


def test_every_finding_is_documented():
    page = text(REFERENCE / "findings.md") + text(DOCS / "concepts" / "proof.md")
    assert [code for code in FINDINGS if f"`{code}`" not in page] == []


def test_every_metric_is_documented():
    pages = text(REFERENCE / "metrics.md") + "".join(text(p) for p in (REFERENCE / "tasks").glob("*.md"))
    assert [name for name in METRICS if not re.search(rf"`[^`]*\b{name}\b[^`]*`", pages)] == []


def test_metrics_named_here_are_those_that_are_printed():
    from osler.cli.show import SHOWN

    assert {name for names in SHOWN.values() for name in names} <= set(METRICS)


def test_every_public_name_is_documented():
    page = text(REFERENCE / "python.md")
    assert [
        name for name in osler.__all__ if not name.startswith("_") and f"\n## osler.{name}\n" not in page
    ] == []


def test_every_field_of_a_study_is_documented():
    from osler.engine.study import Study

    page = text(REFERENCE / "study.md")
    assert [f.name for f in fields(Study) if f"`{f.name}`" not in page] == []


def test_extras_are_documented():
    import tomllib

    extras = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]
    readme = text(ROOT / "README.md")
    assert [e for e in extras if e != "test" and f"| `{e}` |" not in readme] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_pages_are_well_formed(page: Path):
    content = text(page)
    body = re.sub(r"^```.*?^```", "", content, flags=re.M | re.S)
    assert len(re.findall(r"^# ", body, flags=re.M)) == 1, "one first-level heading"
    assert content.startswith("# "), "the heading comes first"
    assert content.count("\n```") % 2 == 0, "every block is closed"
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(content)):
        if re.match(r"(https?|mailto):", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(text(there))):
            broken.append(target)
    assert broken == []


def command_lines() -> list[tuple[str, str]]:
    """(page, command line) of every `osler ...` in a block of code."""
    found = []
    for page in PAGES:
        lines = text(page).splitlines()
        for line, below in zip(lines, [*lines[1:], ""]):
            if below.startswith("osler: command must be"):
                continue  # a mistake on purpose
            match = re.match(r"^(?: {4}|\$ |\| ?`)(?:\$ )?(osler [a-z].*?)(?:`.*)?$", line)
            if (
                match
                and "..." not in line
                and "osler: " not in line
                and not re.match(r"osler [a-z]+ \|", match[1])
            ):
                found.append((str(page.relative_to(ROOT)), re.split(r"  +|\s#|\s[|&>]", match[1])[0]))
    return found


def test_commands_in_the_docs_exist_with_their_options():
    wrong = []
    lines = command_lines()
    for page, line in lines:
        words = shlex.split(line.rstrip("\\ "))
        command = commands().get(words[1])
        if hasattr(command, "commands"):
            command = command.commands.get(words[2]) if words[2:] else command
        if command is None:
            wrong.append(f"{page}: {line}")
            continue
        known = {o for p in command.params for o in [*p.opts, *p.secondary_opts]} | {
            "--help",
            "--debug",
            "-h",
        }
        wrong += [
            f"{page}: {line}: {w}"
            for w in words[2:]
            if w.startswith("--") and w.partition("=")[0] not in known
        ]
    assert len(lines) > 60
    assert wrong == []


def test_the_two_set_up_commands_are_targets():
    readme, make = text(ROOT / "README.md"), text(ROOT / "Makefile")
    for target in ("demo", "test"):
        assert re.search(rf"^    make {target}\b", readme, flags=re.M)
        assert re.search(rf"^{target}:", make, flags=re.M)
    assert "docs/generate.py" in make


def test_every_page_can_be_reached_from_the_readme():
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen or not page.is_file():
            continue
        seen.add(page)
        for target in re.findall(r"\]\(([^)\s#]+\.md)(?:#[^)]*)?\)", text(page)):
            todo.append((page.parent / target).resolve())
    assert [str(p.relative_to(ROOT)) for p in PAGES if p not in seen] == []


def test_no_machine_is_named():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        files = [p for p in ROOT.rglob("*.md")]
    else:
        files = [ROOT / name for name in listed.stdout.split("\0") if name]
    wrong = []
    for file in files:
        if (
            not file.is_file()
            or file.suffix in (".lock", ".parquet", ".safetensors", ".gz", ".onnx")
            or file.stat().st_size > 2**20
        ):
            continue
        content = file.read_bytes().decode("utf-8", errors="ignore")
        patterns = (
            MACHINE[:-1] if "tests" in file.relative_to(ROOT).parts else MACHINE
        )  # tests hold hostile addresses
        wrong += [
            f"{file.relative_to(ROOT)}: {pattern}" for pattern in patterns if re.search(pattern, content)
        ]
    assert wrong == []


def test_pictures_are_small_and_safe():
    pictures = sorted((DOCS / "pictures").iterdir())
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size <= 200_000
        if picture.suffix == ".svg":
            content = text(picture)
            assert "<script" not in content
            assert not re.search(r"\son\w+=|href=\"http", content)
