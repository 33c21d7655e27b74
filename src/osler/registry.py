"""Names to classes, loaded on first use: how every INDEX in Osler works, and the one door for optional libraries."""

from __future__ import annotations

import importlib
import importlib.metadata
from types import ModuleType
from typing import Any

from osler.errors import MissingExtraError, OptionError, nearest


def load(index: dict[str, str], kind: str, name: str) -> Any:
    """The object that `index[name]` ("module:attribute") points to, or an outside entry point of group `osler.<kind>`.

    Raises:
        OptionError: the name is in neither; the nearest known name is suggested.
    """
    if name in index:
        module, _, attribute = index[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    outside = {e.name: e for e in importlib.metadata.entry_points(group=f"osler.{kind}")}
    if name in outside:
        return outside[name].load()
    known = [*index, *outside]
    one = {"modalities": "modality"}.get(kind, kind.rstrip("s"))
    raise OptionError(f"{one} must be one that Osler knows, was '{name}': {nearest(name, known)}")


def optional(module: str, extra: str) -> ModuleType:
    """Import an optional library, or say which extra brings it.

    Raises:
        MissingExtraError: the library is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and not module.startswith(error.name.split(".")[0]):
            raise
        raise MissingExtraError(
            f"this needs the library '{module.split('.')[0]}', which is not installed: pip install 'osler[{extra}]'"
        ) from error
