"""The shape of the house, measured: who imports whom, sizes, names, docstrings, banned calls."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "osler"
FILES = sorted(SOURCE.rglob("*.py"))
TREES = {f: ast.parse(f.read_text(encoding="utf-8")) for f in FILES}

#: Low to high; a module may import from its own layer's package and from layers below.
LAYERS = [
    {"errors"}, {"registry"}, {"cohort"}, {"catalogue"}, {"blocks", "scenes"}, {"tasks"}, {"adapters"},
    {"modalities", "models", "instruments"}, {"evaluation"}, {"explanation"}, {"engine"}, {"report"}, {"scale"},
    {"service"}, {"cli"},
]  # fmt: skip
HEIGHT = {name: i for i, layer in enumerate(LAYERS) for name in layer}
#: Everywhere; other third-party libraries only in adapters, or where stated.
FREE = {"numpy", "polars", "scipy", "sklearn", "lightgbm", "safetensors"}
ALLOWED = {
    "torch": {"models/neural", "explanation", "scale"},
    "typer": {"cli"}, "rich": {"cli", "engine"}, "jinja2": {"report", "service"}, "matplotlib": {"report"},
    "fastapi": {"service"}, "uvicorn": {"service"}, "pydantic": {"service"}, "starlette": {"service"}, "yaml": {"engine"},
}  # fmt: skip
BANNED_CALLS = {
    "eval", "exec", "pickle.load", "pickle.loads", "joblib.load", "joblib.dump", "dill.load", "cloudpickle.load", "marshal.loads", "yaml.load",
    "torch.load", "os.system",
}  # fmt: skip
BANNED_NAMES = {"utils", "helpers", "common", "misc", "manager"}


def part_of(file: Path) -> str:
    """The layer that a file belongs to."""
    first = file.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imports_of(tree: ast.Module) -> list[tuple[int, str]]:
    """Line and dotted name of every import, those inside functions and under TYPE_CHECKING included."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, a.name) for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == "osler":
                found += [(node.lineno, f"osler.{a.name}") for a in node.names]
            else:
                found.append((node.lineno, node.module))
    return found


def functions() -> list[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function and method of the package."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [(f, n) for f, t in TREES.items() for n in ast.walk(t) if isinstance(n, kinds)]


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a body without its docstring."""
    first = node.body[0]
    has_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    start = (node.body[1] if has_text and len(node.body) > 1 else first).lineno
    return (node.end_lineno or start) - start + 1


def test_nothing_imports_upward():
    wrong = []
    for file, tree in TREES.items():
        here = part_of(file)
        if here not in HEIGHT:
            continue
        for line, name in imports_of(tree):
            if not name.startswith("osler."):
                continue
            there = name.split(".")[1]
            allowed = there == here or HEIGHT.get(there, 99) < HEIGHT[here]
            if here == "catalogue":
                allowed = there in ("catalogue", "cohort", "errors", "registry")
            if not allowed:
                wrong.append(f"{file.relative_to(ROOT)}:{line} imports {name}")
    assert wrong == []


def test_third_party_libraries_stay_behind_their_doors():
    wrong = []
    for file, tree in TREES.items():
        inside = file.relative_to(SOURCE).as_posix()
        for line, name in imports_of(tree):
            top = name.split(".")[0]
            if top in sys.stdlib_module_names or top in FREE or top in ("osler", "__future__"):
                continue
            if inside.startswith("adapters/") or any(inside.startswith(a) for a in ALLOWED.get(top, ())):
                continue
            wrong.append(f"{inside}:{line} imports {name}")
    assert wrong == []


def test_no_import_cycles():
    graph: dict[str, set[str]] = {}
    modules = {
        ".".join(f.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__"): t
        for f, t in TREES.items()
    }
    for name, tree in modules.items():
        top = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
        found: set[str] = set()
        for node in top:
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {
                    f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in modules else node.module
                    for a in node.names
                }
            elif isinstance(node, ast.Import):
                found |= {a.name for a in node.names}
        graph[name] = {m for m in found if m in modules and m != name}
    state: dict[str, int] = {}
    cycles: list[str] = []

    def visit(name: str, path: list[str]) -> None:
        state[name] = 1
        for other in sorted(graph[name]):
            if state.get(other) == 1:
                cycles.append(" > ".join([*path[path.index(other) if other in path else 0 :], name, other]))
            elif other not in state:
                visit(other, [*path, name])
        state[name] = 2

    for name in graph:
        if name not in state:
            visit(name, [])
    assert cycles == []


@pytest.mark.parametrize("limit", [600])
def test_files_stay_one_room(limit: int):
    long = {str(f.relative_to(ROOT)): n for f in FILES if (n := f.read_text(encoding="utf-8").count("\n")) > limit}
    assert long == {}
    over = [f for f in FILES if f.read_text(encoding="utf-8").count("\n") > 400]
    assert len(over) <= 0.03 * len(FILES), [str(f.relative_to(ROOT)) for f in over]


def test_functions_can_be_read_without_scrolling():
    sizes = [(body_lines(n), f"{f.relative_to(ROOT)}:{n.lineno} {n.name}") for f, n in functions()]
    long = [s for s in sizes if s[0] > 50]
    assert len(long) <= 0.03 * len(sizes), sorted(long, reverse=True)


def test_functions_take_few_parameters():
    wrong = []
    for file, node in functions():
        count = len([a for a in [*node.args.args, *node.args.posonlyargs] if a.arg not in ("self", "cls")])
        if count > 8 and "cli" not in file.parts:
            wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} {node.name} takes {count}")
    assert len(wrong) <= 3, wrong


def test_classes_stay_small():
    wrong = []
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                methods = [n for n in node.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > 300 or len(methods) > 15:
                    wrong.append(
                        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}: {lines} lines, {len(methods)} methods"
                    )
    assert wrong == []


def test_public_things_have_docstrings_and_types():
    wrong = []
    for file, tree in TREES.items():
        if not ast.get_docstring(tree) and tree.body:
            wrong.append(f"{file.relative_to(ROOT)} has no docstring")
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node):
                wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} class {node.name} has no docstring")
        for node in _public_functions(tree):
            if not ast.get_docstring(node):
                wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} {node.name} has no docstring")
            untyped = [
                a.arg
                for a in [*node.args.args, *node.args.kwonlyargs]
                if a.annotation is None and a.arg not in ("self", "cls")
            ]
            if untyped or node.returns is None:
                wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} {node.name} lacks types: {untyped or 'return'}")
    assert wrong == []


def _public_functions(tree: ast.Module) -> list[ast.FunctionDef]:
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            base = {ast.unparse(b) for b in node.bases}
            own = [n for n in node.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]
            is_contract = bool(base & {"Modality", "Estimator", "Task", "Instrument", "Protocol"}) or base
            found += [] if is_contract else own
    return found


def test_nothing_runs_code_out_of_data():
    wrong = []
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in BANNED_CALLS:
                wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} calls {ast.unparse(node.func)}")
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
                wrong.append(f"{file.relative_to(ROOT)}:{node.value.lineno} allows pickles")
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                if {n.split(".")[0] for n in names} & {"pickle", "joblib", "dill", "cloudpickle", "marshal", "shelve"}:
                    wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} imports {names}")
    assert wrong == []


def test_no_error_is_swallowed():
    wrong = []
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler):
                broad = node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
                if broad and all(isinstance(b, (ast.Pass, ast.Continue)) for b in node.body):
                    wrong.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert wrong == []


def test_modules_are_named_after_what_they_hold():
    assert [f for f in FILES if f.stem in BANNED_NAMES or f.parent.name in BANNED_NAMES] == []


def code_lines(file: Path) -> int:
    """Lines that hold code: no blank lines, comments or docstrings."""
    text = file.read_text(encoding="utf-8")
    texts: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(
            node
        ):
            texts |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    silent = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in silent:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - texts)


def test_tests_are_as_long_as_the_code():
    code = sum(code_lines(f) for f in FILES)
    tests = sum(code_lines(f) for f in (ROOT / "tests").rglob("*.py"))
    assert tests >= 0.8 * code, f"{tests} lines of tests for {code} of code"


def _can_fail(function: ast.FunctionDef, checkers: set[str]) -> bool:
    """Whether a function asserts, expects a refusal, or calls one of `checkers`."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name.split(".")[-1] in checkers or any(w in name for w in ("raises", "assert", "refused")):
                return True
    return False


def test_every_test_can_fail():
    wrong = []
    for file in (ROOT / "tests").rglob("test_*.py"):
        found = [n for n in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(n, ast.FunctionDef)]
        checkers = {n.name for n in found if not n.name.startswith("test") and _can_fail(n, set())}
        wrong += [
            f"{file.relative_to(ROOT)}:{n.lineno} {n.name}"
            for n in found
            if n.name.startswith("test") and not _can_fail(n, checkers)
        ]
    assert wrong == []
