"""Saved predictors made by someone who means harm: copies of a good one, each changed in one way and, where that
helps, sealed again.

`build(number, good, folder, canary)` makes the folder (or file) of one number and returns its path and the name of the
attack. A payload that ran would create the file `canary`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from osler.engine.predictor import seal

Attack = Callable[[Path, np.random.Generator, Path], Path | None]

#: Names as an entry point would have them, or as a path.
NAMES = (
    "os:system", "subprocess:call", "builtins:eval", "osler.cli:main", "posix:system", "../../evil", "/etc/passwd", "", "pickle:loads",
    "tree\0", "importlib:import_module", "__import__('os').system('id')", "{{7*7}}", "logistic;id", "LOGISTIC", "osler.models.linear:Logistic",
)  # fmt: skip


class Payload:
    """Unpickling this creates the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.canary}",)


def body_of(folder: Path) -> dict[str, Any]:
    """predictor.json."""
    return json.loads((folder / "predictor.json").read_text())


def reseal(folder: Path, body: Any = None, text: str | None = None) -> None:
    """Write predictor.json and make every hash right."""
    if body is not None:
        (folder / "predictor.json").write_text(json.dumps(body))
    if text is not None:
        (folder / "predictor.json").write_text(text)
    seal(folder)


def manifest(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the manifest and make its own hash right."""
    held = json.loads((folder / "manifest.json").read_text())
    change(held)
    data = json.dumps(held).encode()
    (folder / "manifest.json").write_bytes(data)
    (folder / "manifest.sha256").write_text(hashlib.sha256(data).hexdigest() + "\n")


def pick(rng: np.random.Generator, items: Any) -> Any:
    """One of the items."""
    items = list(items)
    return items[int(rng.integers(len(items)))]


# -- code where data belongs -----------------------------------------------------------------------------------------


def pickle_as_member(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    name = pick(rng, ["predictor.json", "arrays.safetensors", "model.onnx"])
    (folder / name).write_bytes(pickle.dumps(Payload(canary), protocol=int(rng.integers(0, 6))))
    seal(folder)


def pickle_unsealed(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    name = pick(rng, ["predictor.json", "arrays.safetensors", "card.md", "manifest.json", "manifest.sha256"])
    (folder / name).write_bytes(pickle.dumps(Payload(canary)))


def object_array(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    out = io.BytesIO()
    np.save(out, np.array([Payload(canary)], dtype=object), allow_pickle=True)
    (folder / "arrays.safetensors").write_bytes(out.getvalue())
    seal(folder)


def torch_zip(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    with zipfile.ZipFile(folder / "arrays.safetensors", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Payload(canary)))
        archive.writestr("archive/version", "3")
    seal(folder)


def script_beside(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    name = pick(
        rng,
        [
            "__init__.py",
            "sitecustomize.py",
            "model.pkl",
            "weights.pt",
            "conftest.py",
            "setup.py",
            ".hidden",
            "predictor.JSON",
        ],
    )
    (folder / name).write_text(f"import os\nos.system('touch {canary}')\n")
    if rng.random() < 0.5:
        manifest(
            folder,
            lambda m: m["members"].update(
                {name: {"sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(), "bytes": 1}}
            ),
        )


def onnx_outside(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    for key, value in (
        ("location", pick(rng, ["../../../etc/passwd", "/etc/shadow", "arrays.safetensors"])),
        ("length", "4"),
    ):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    node = helper.make_node("Identity", ["w"], ["y"])
    if rng.random() < 0.4:
        node = helper.make_node("Constant", [], ["y"], value=tensor)
        tensor = None
    graph = helper.make_graph([node], "g", [], [out], [tensor] if tensor else [])
    (folder / "model.onnx").write_bytes(onnx.ModelProto(ir_version=8, graph=graph).SerializeToString())
    seal(folder)


# -- files and archives ----------------------------------------------------------------------------------------------


def link(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    name = pick(rng, ["card.md", "predictor.json", "arrays.safetensors", "manifest.json", "model.onnx"])
    (folder / name).unlink(missing_ok=True)
    os.symlink(pick(rng, ["/etc/hostname", "/dev/zero", "/proc/self/environ", str(canary), "."]), folder / name)


def pipe(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    name = pick(rng, ["card.md", "predictor.json", "model.onnx"])
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)


def folder_as_member(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    name = pick(rng, ["card.md", "arrays.safetensors", "more", "manifest.sha256"])
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()


def zip_slip(folder: Path, rng: np.random.Generator, canary: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for member in folder.iterdir():
            archive.write(member, member.name)
        archive.writestr(pick(rng, [f"../{canary.name}", str(canary), f"x/../../{canary.name}", "..\\evil"]), b"evil")
        if rng.random() < 0.5:
            archive.writestr("manifest.json", b"{}")
    return path


def tar_slip(folder: Path, rng: np.random.Generator, canary: Path) -> Path:
    path = folder.with_suffix(".tar")
    with tarfile.open(path, "w") as archive:
        archive.add(folder, "predictor")
        entry = tarfile.TarInfo(pick(rng, [f"../{canary.name}", str(canary)]))
        entry.type = pick(rng, [tarfile.REGTYPE, tarfile.SYMTYPE])
        entry.linkname = "/etc/passwd"
        archive.addfile(entry)
    return path


# -- lies in manifest and headers ------------------------------------------------------------------------------------


def wrong_hash(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    name = pick(rng, ["predictor.json", "arrays.safetensors", "card.md"])
    value = pick(rng, ["0" * 64, "", None, 7, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"])
    manifest(folder, lambda m: m["members"][name].update(sha256=value))


def wrong_size(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    name = pick(rng, ["predictor.json", "arrays.safetensors"])
    manifest(folder, lambda m: m["members"][name].update(bytes=pick(rng, [2**62, -1, 0, None, "12", 1e300, True])))


def stranger_in_manifest(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    name = pick(rng, ["../card.md", "/etc/passwd", "..", "card.md/../../x", "predictor.json\0", "PREDICTOR.JSON"])
    manifest(folder, lambda m: m["members"].update({name: {"sha256": "0" * 64, "bytes": 1}}))


def broken_manifest(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    text = pick(
        rng,
        [
            "[]",
            "null",
            "7",
            "{}",
            '{"format": "osler.predictor/99"}',
            "[" * 100_000,
            '{"format":"osler.predictor/1","members":[]}',
            "NaN",
        ],
    )
    (folder / "manifest.json").write_text(text)
    (folder / "manifest.sha256").write_text(hashlib.sha256(text.encode()).hexdigest() + "\n")


def lost_member(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    (
        folder / pick(rng, ["predictor.json", "arrays.safetensors", "card.md", "manifest.sha256", "manifest.json"])
    ).unlink()


def header_lie(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    path = folder / "arrays.safetensors"
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    key = pick(rng, [k for k in header if k != "__metadata__"])
    lie = int(rng.integers(7))
    if lie == 0:
        header[key]["shape"] = [2**40, 2**20]
    elif lie == 1:
        header[key]["data_offsets"] = [0, 2**60]
    elif lie == 2:
        header[key]["data_offsets"] = [-8, 0]
    elif lie == 3:
        header[key]["dtype"] = pick(rng, ["O", "object", "V8", "BF16", "F8_E4M3"])
    elif lie == 4:
        header[key]["shape"] = [-1]
    elif lie == 5:
        path.write_bytes(struct.pack("<Q", pick(rng, [2**63 - 1, 2**64 - 1, len(data) * 9, 0])) + data[8:])
        return seal(folder)
    else:
        path.write_bytes(data[: len(data) // 2])
        return seal(folder)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])
    return seal(folder)


def strange_arrays(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    arrays = dict(load((folder / "arrays.safetensors").read_bytes()))
    deed = int(rng.integers(6))
    floats = [k for k, v in arrays.items() if v.dtype.kind == "f" and v.size and k.endswith(("coef", "nodes/value"))]
    if deed == 0:
        arrays.pop(pick(rng, [k for k in arrays if "nodes" in k or "coef" in k]))
    elif deed == 1:
        arrays["9/extra"] = np.zeros(3)
    elif deed == 2:
        key = pick(rng, floats)
        arrays[key] = np.full_like(arrays[key], pick(rng, [np.nan, np.inf, -np.inf]) if "coef" in key else np.nan)
    elif deed == 3:
        key = pick(rng, [k for k in arrays if k.endswith("nodes/children")])
        arrays[key] = (
            np.zeros_like(arrays[key]) if rng.random() < 0.5 else np.ascontiguousarray(arrays[key][:, ::-1] + 10**9)
        )
    elif deed == 4:
        key = pick(rng, [k for k in arrays if k.endswith(("nodes/feature", "nodes/roots"))])
        arrays[key] = arrays[key] + 10**6
    else:
        key = pick(rng, [k for k in arrays if k.endswith("design/number")])
        arrays[key] = arrays[key] - 10**6
    (folder / "arrays.safetensors").write_bytes(save(arrays))
    seal(folder)


# -- a well-sealed body that lies -------------------------------------------------------------------------------------


def json_trick(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    text = (folder / "predictor.json").read_text()
    trick = int(rng.integers(7))
    if trick == 0:
        text = text.replace('"task":', '"task": "os:system", "task":', 1)
    elif trick == 1:
        text = text.replace(
            '"card": {', '"card": {"a": ' + pick(rng, ["NaN", "Infinity", "-Infinity", "1e999", "1" * 5000]) + ", ", 1
        )
    elif trick == 2:
        text = text.replace('"card": {', '"card": {"a": ' + "[" * 500 + "]" * 500 + ", ", 1)
    elif trick == 3:
        text = text.replace('"card": {', '"card": {"a": ' + "[" * 100_000 + "]" * 100_000 + ", ", 1)
    elif trick == 4:
        text = text[: len(text) // 2]
    elif trick == 5:
        text = pick(rng, ["[]", "null", '"osler"', "{}", "", "\ufeff{}", "!!python/object/apply:os.system ['id']"])
    else:
        text = text.replace('"chosen":', f'"__reduce__": ["os.system", "touch {canary}"], "chosen":', 1)
    reseal(folder, text=text)


def named_code(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    body, name = body_of(folder), pick(rng, NAMES)
    place = int(rng.integers(8))
    column = pick(rng, body["states"])
    if place == 0:
        body["states"][column]["modality"] = name
    elif place == 1:
        next(c for c in body["columns"] if c["name"] == column)["modality"] = name
    elif place == 2:
        body["task"] = name
    elif place == 3:
        body["models"][0][1] = name
    elif place == 4:
        body["params"]["0"]["members"][int(rng.integers(3))] = name
    elif place == 5:
        body["chosen"] = name
    elif place == 6:
        body["format"] = body["columns"][0]["role"] = name
    else:
        body["states"][column]["state"]["modality"] = name
    reseal(folder, body)


def injected_options(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    body = body_of(folder)
    body["models"][0][1] = pick(rng, [
        f"logistic:penalty=__import__('os').system('touch {canary}')", "logistic:nope=1", "ensemble:members=os:system", "tree:max_depth=1e9e9",
        "network:device=;touch x", "logistic:" + "a" * 10_000, "logistic:__class__=1", "boosting:rounds=ten", "ensemble:folds=[]",
    ])  # fmt: skip
    reseal(folder, body)


def wrong_structure(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    body = body_of(folder)
    deeds: list[Callable[[], Any]] = [
        lambda: body.pop(pick(rng, body)), lambda: body.update(extra=1), lambda: body.update(classes=["no"]), lambda: body.update(classes=["no", "no"]),
        lambda: body.update(columns={}), lambda: body["columns"].append(body["columns"][0]), lambda: body["columns"][0].update(name=7),
        lambda: body["columns"][0].update(evil=1), lambda: body["columns"][0].update(options=[1]), lambda: body["columns"].clear(),
        lambda: body.update(models=[]), lambda: body.update(models=[["a"]]), lambda: body.update(params={"0": []}), lambda: body.update(params={"1": {}}),
        lambda: body.update(horizon="soon"), lambda: body.update(horizon=-1), lambda: body.update(domain=[]), lambda: body.update(domain={"ranges": 1}),
        lambda: body.update(conformal={"kind": "os"}), lambda: body["conformal"].update(quantiles=[1]), lambda: body["conformal"].update(level="high"),
        lambda: body.update(card={"threshold": "x"}), lambda: body.update(background={"weights": [1], "units": [1], "columns": {"age": []}}),
        lambda: body["states"].update(ghost=pick(rng, body["states"].values())), lambda: body["states"]["age"].update(version=99),
        lambda: body["states"]["age"].update(state=[]), lambda: body["states"]["ward"]["state"].update(levels=[[1], {}]),
        lambda: body["states"]["age"]["state"].update(possible=["a", "b"]), lambda: body["states"]["age"]["state"].update(formats=["%s%n{}"]),
        lambda: body["params"]["0"].update(weights=[1, "a", None]), lambda: body["params"]["0"].update(weights=[]), lambda: body["params"]["0"].update(parts=[]),
        lambda: body["params"]["0"]["parts"]["1"]["nodes"].update(depth=10**12), lambda: body["params"]["0"]["parts"]["1"].update(classes=10**12),
        lambda: body["params"]["0"].update(recalibration=[None, {}]), lambda: body["params"]["0"]["parts"]["0"].update(design=None),
        lambda: body["params"]["0"]["parts"]["0"]["design"].update(sources=[["age", 10**12]]),
    ]  # fmt: skip
    pick(rng, deeds)()
    reseal(folder, body)


def changed_text(folder: Path, rng: np.random.Generator, canary: Path) -> None:
    """LightGBM's text is parsed by a native library: lies in it must never get there."""
    body = body_of(folder)
    part = body["params"]["0"]["parts"]["2"]
    text: str = part["text"]
    part["text"] = pick(rng, [
        text.replace("left_child=", "left_child=999999 ", 1), text.replace("split_feature=", "split_feature=-7 ", 1), text[: len(text) // 2],
        text.replace("num_leaves=", "num_leaves=9", 1), text.replace("tree_sizes=", "tree_sizes=9", 1), text.replace("max_feature_idx=", "max_feature_idx=9", 1),
        text.replace("num_cat=0", "num_cat=5", 1), text.replace("is_linear=0", "is_linear=1", 1), text.replace("num_class=1", "num_class=99999999", 1),
        text.replace("leaf_value=", "leaf_value=nan ", 1), "tree\n" + "A" * 10_000, text.replace("end of trees", "Tree=7\nnum_leaves=2\nend of trees", 1),
        text.replace("threshold=", "threshold=1e99", 1), text.replace("decision_type=", "decision_type=9 ", 1), [], None, text + "\n\0",
    ])  # fmt: skip
    if part["text"] == text + "\n\0":
        part["text"] = text.replace("version=v4", "version=v4\0", 1)
    reseal(folder, body)


#: Attack → how many of the 200.
ATTACKS: list[tuple[Attack, int]] = [
    (pickle_as_member, 12), (pickle_unsealed, 6), (object_array, 2), (torch_zip, 2), (script_beside, 10), (onnx_outside, 8), (link, 10), (pipe, 3),
    (folder_as_member, 5), (zip_slip, 8), (tar_slip, 4), (wrong_hash, 8), (wrong_size, 7), (stranger_in_manifest, 6), (broken_manifest, 8),
    (lost_member, 5), (header_lie, 14), (strange_arrays, 14), (json_trick, 12), (named_code, 22), (injected_options, 9), (wrong_structure, 15), (changed_text, 10),
]  # fmt: skip


def build(number: int, good: Path, folder: Path, canary: Path) -> tuple[Path, str]:
    """Hostile predictor of one number (0 to 199)."""
    plan = [attack for attack, count in ATTACKS for _ in range(count)]
    attack = plan[number]
    shutil.copytree(good, folder)
    made = attack(folder, np.random.default_rng([20261120, number]), canary)
    return made or folder, attack.__name__
