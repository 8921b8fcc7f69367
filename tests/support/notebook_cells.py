"""Exercises as they stand in a notebook: the stub, the check, the solution."""

import json
from collections import namedtuple

from workbook_lib.lesson.solutions import solution_code
from workbook_lib.locations import project_root
from workbook_lib.runs import all_notebooks

StoredExercise = namedtuple("StoredExercise", "notebook stub check solution")
"""The notebook's name without its ending, and the code of three cells."""


def load(name):
    """Return a stored notebook as JSON."""
    return json.loads((project_root() / "notebooks" / name).read_text(encoding="utf-8"))


def source(notebook, cell_id):
    """Return the source of a cell."""
    return next("".join(c["source"]) for c in notebook["cells"] if c["id"] == cell_id)


def execute(code, namespace):
    """Execute code as a cell of ``__main__`` would be, and return the namespace."""
    exec(compile(code, "<cell>", "exec"), namespace)
    return namespace


def stored_exercises():
    """Map the id of each exercise to its cells."""
    found = {}
    for path in all_notebooks():
        notebook = load(path.name)
        cells = iter(notebook["cells"])
        for cell in cells:
            if "exercise" in cell["metadata"].get("tags", ()):
                exercise_id = cell["metadata"]["workbook"]["exercise"]
                check = next(c for c in cells if "check" in c["metadata"].get("tags", ()))
                found[exercise_id] = StoredExercise(
                    path.stem,
                    "".join(cell["source"]),
                    "".join(check["source"]).splitlines()[-1],
                    solution_code(notebook, exercise_id),
                )
    return found


EXERCISES = stored_exercises()


def assert_says(outcome, told, status="wrong"):
    """Hold an outcome to its status and to words of its advice."""
    assert (outcome.status, told in " ".join(outcome.advice.split())) == (status, True), (
        outcome.advice
    )
