"""Which predictions and exercises each notebook has, read from the notebooks themselves."""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbook_lib.lesson.exercises import Exercise
from workbook_lib.lesson.progress import working_copy

_CHECKS = "workbook_lib.lesson.checks"
_NAME = re.compile(r"\d\d_[a-z0-9_]+\.ipynb")


@dataclass(frozen=True)
class NotebookOutline:
    """What one notebook offers."""

    file: str  # file name, such as ``01_reproduce_the_failure.ipynb``
    title: str  # its title
    question: str  # the question that it answers
    read_minutes: int | None  # minutes to read; ``None`` if the notebook does not say
    do_minutes: int | None  # minutes for the exercises; ``None`` if the notebook does not say
    predictions: tuple[str, ...]  # ids of its predictions, in order
    exercises: tuple[str, ...]  # ids of its exercises, in order

    @property
    def number(self) -> str:
        """The number it is taught under: ``01``."""
        return self.file[:2]


def read_outlines(folder: Path | None = None) -> tuple[NotebookOutline, ...]:
    """Outline every notebook of the workbook.

    A file that is no notebook is passed over, and so is a cell that does not parse or a check that
    does not exist: a learner may have left it so.
    """
    folder = working_copy() / "notebooks" if folder is None else folder
    files = sorted(file for file in folder.glob("*.ipynb") if _NAME.fullmatch(file.name))
    return tuple(found for file in files if (found := _outline_of(file)) is not None)


def _outline_of(file: Path) -> NotebookOutline | None:
    try:
        notebook = json.loads(file.read_bytes())
        about: Mapping[str, Any] = notebook["metadata"].get("workbook", {})
        cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    trees = [tree for cell in cells if (tree := _parse(cell)) is not None]
    return NotebookOutline(
        file=file.name,
        title=about.get("title") or file.stem[3:].replace("_", " ").capitalize(),
        question=about.get("question", ""),
        read_minutes=about.get("read_minutes"),
        do_minutes=about.get("do_minutes"),
        predictions=tuple(dict.fromkeys(_predictions(trees))),
        exercises=tuple(dict.fromkeys(_exercises(trees))),
    )


def _parse(cell: str) -> ast.Module | None:
    from IPython.core.inputtransformer2 import TransformerManager

    if cell.startswith("%%"):
        _, _, cell = cell.partition("\n")
    try:
        return ast.parse(TransformerManager().transform_cell(cell))
    except SyntaxError:
        return None


def _method_calls(trees: list[ast.Module]) -> Iterator[tuple[str, str, ast.Call]]:
    """Yield each call of the form ``name.method(...)``, in the order it is written."""
    for tree in trees:
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
            if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
                yield call.func.value.id, call.func.attr, call


def _predictions(trees: list[ast.Module]) -> Iterator[str]:
    for name, method, call in _method_calls(trees):
        if (name, method) == ("lesson", "predict") and call.args:
            first = call.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def _exercises(trees: list[ast.Module]) -> Iterator[str]:
    modules = {
        alias.asname or alias.name: f"{_CHECKS}.{alias.name}"
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == _CHECKS
        for alias in node.names
    }
    for name, method, _ in _method_calls(trees):
        if name not in modules:
            continue
        try:
            found = getattr(importlib.import_module(modules[name]), method, None)
        except ImportError:
            continue
        if isinstance(found, Exercise):
            yield found.id
