"""Exercises as they stand in a notebook: the stub, the solution, and what runs before them."""

import json
from typing import Any, ClassVar

from workbook_lib.editions.solved import solution_code
from workbook_lib.locations import project_root


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


class StoredExercises:
    """What holds for the exercises of every notebook.

    A test module makes a subclass of it, and a fixture ``outcome`` that checks what a learner
    wrote for an exercise.

    Attributes:
        notebook: The notebook's file.
        checks: Exercise to the name that the learner defines, and its check.
    """

    notebook = ""
    checks: ClassVar[dict[str, Any]] = {}

    def test_the_untouched_stub_is_not_attempted(self, outcome):
        stored = load(self.notebook)
        for exercise_id in self.checks:
            result = outcome(exercise_id, stub(stored, exercise_id))
            assert result.status == "not attempted", exercise_id

    def test_the_solution_in_the_notebook_is_right(self, outcome):
        stored = load(self.notebook)
        for exercise_id in self.checks:
            result = outcome(exercise_id, solution_code(stored, exercise_id))
            assert result.status == "right", f"{exercise_id}: {result.advice}"

    def test_three_hints_lead_to_the_answer(self):
        for exercise_id, (_, checked) in self.checks.items():
            assert len(checked.hints) == 3, exercise_id
            assert checked.id == exercise_id

    def test_the_checks_are_those_that_the_notebook_calls(self):
        called = {
            "".join(cell["source"])
            for cell in load(self.notebook)["cells"]
            if "check" in cell["metadata"].get("tags", ())
        }
        assert called == {f"check.{name}({name})" for name, _ in self.checks.values()}


__all__ = ["StoredExercises", "execute", "load", "solution_code", "source", "stub"]
