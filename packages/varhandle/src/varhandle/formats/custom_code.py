"""Classes and functions that a model needs and does not bring along: the user's own modules.

They run in the child process that loads the model, because the user named them. What the model file
itself brings along stays as forbidden as it was.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from varhandle.errors import CHECK_PATH, VarhandleError

Import = str | tuple[str, Any]
"""A Python file (``my_layers.py``) or a module; or a name in the model, and what it stands for."""


class CustomCodeError(VarhandleError, ValueError):
    """A file or module that was named cannot be imported; the message says why."""


def check_imports(
    imports: Sequence[str | os.PathLike[str]], custom_objects: Mapping[str, Any] | None = None
) -> tuple[Import, ...]:
    """Return what a child is to import; ``CustomCodeError`` for what it cannot find."""
    named = [os.fspath(each) for each in imports]
    for name in named:
        if _is_file(name) and not Path(name).is_file():
            raise CustomCodeError(f"--import {name}: there is no such file: {CHECK_PATH}")
    for name, value in (custom_objects or {}).items():
        if getattr(value, "__module__", "") == "__main__":
            fault = "is defined in this program or notebook, which a child process cannot import"
            raise CustomCodeError(f"{name} {fault}: write it into a file, and say imports=[file]")
    files = [str(Path(name).absolute()) if _is_file(name) else name for name in named]
    return (*files, *(custom_objects or {}).items())


def import_custom(imports: Iterable[Import]) -> dict[str, Any]:
    """Import what was named, in a child process; return classes and functions by their names."""
    objects: dict[str, Any] = {}
    for each in imports:
        if isinstance(each, tuple):
            objects[each[0]] = each[1]
            continue
        try:
            module = _imported(each)
        except Exception as error:  # whatever the user's own code raises
            cause = f"{type(error).__name__}: {error}"
            fault = f"--import {each}: it cannot be imported ({cause})"
            raise CustomCodeError(f"{fault}: run it by itself, and mend it there") from error
        objects |= {name: it for name, it in vars(module).items() if _can_be_named(it)}
    return objects


def read_folders(imports: Iterable[Import]) -> list[str]:
    """Return the folders that a child reads to import what was named, besides Python's own."""
    return sorted({folder for each in imports if (folder := _folder_of(each)) is not None})


def _imported(name: str) -> ModuleType:
    folder = _folder(name)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # as Python does for a program
    if not _is_file(name):
        return importlib.import_module(name)
    stem = Path(name).stem
    spec = importlib.util.spec_from_file_location(stem, name)
    assert spec is not None and spec.loader is not None
    module = sys.modules[stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _folder_of(what: Import) -> str | None:
    """Return the folder where Python finds a module, or that of an object."""
    if isinstance(what, str):
        return _folder(what)
    name = str(getattr(what[1], "__module__", "")).partition(".")[0]
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:  # it is sent along, or is Python's own
        return None
    return str(Path(file).parents[Path(file).stem == "__init__"])


def _folder(name: str) -> str:
    return str(Path(name).parent if _is_file(name) else Path.cwd())


def _is_file(name: str) -> bool:
    return name.endswith(".py")


def _can_be_named(value: Any) -> bool:
    """Tell what a config can name: a class that is made from a config, or a Python function."""
    is_function = isinstance(getattr(value, "python_function", value), FunctionType)
    return is_function or (isinstance(value, type) and hasattr(value, "from_config"))
