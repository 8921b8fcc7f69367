"""Exercises as they stand in a notebook: the stub, the solution, and what runs before them."""

import json

from workbook_lib.lesson.solutions import solution_code
from workbook_lib.samples import project_root


def load(name):
    """Return a stored notebook as JSON."""
    path = project_root() / "notebooks" / name
    return json.loads(path.read_text(encoding="utf-8"))


def source(notebook, cell_id):
    """Return the source of a cell."""
    return next("".join(c["source"]) for c in notebook["cells"] if c["id"] == cell_id)


def stub(notebook, exercise_id):
    """Return the source of an exercise's stub cell."""
    for cell in notebook["cells"]:
        is_stub = "exercise" in cell["metadata"].get("tags", [])
        if is_stub and cell["metadata"]["workbook"]["exercise"] == exercise_id:
            return "".join(cell["source"])
    raise KeyError(exercise_id)


def execute(code, namespace):
    """Execute code as a cell of ``__main__`` would be, and return the namespace."""
    exec(compile(code, "<cell>", "exec"), namespace)
    return namespace


__all__ = ["execute", "load", "solution_code", "source", "stub"]
