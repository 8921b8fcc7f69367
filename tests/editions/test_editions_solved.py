"""The solved edition: what is substituted, what is refused, and that every check says Right."""

import builtins
import copy
import json

import nbformat
import pytest
from notebook_slice import names, with_exercises

from workbook_lib.editions import make_edition
from workbook_lib.editions.solved import fill_in_solutions
from workbook_lib.lesson.outline import read_outlines
from workbook_lib.lesson.solutions import solution_code
from workbook_lib.locations import project_root
from workbook_lib.runs import RunInputError, all_notebooks


@pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
def test_each_solution_takes_the_place_of_its_stub(tmp_path, path):
    """That the checks say Right of them, tests/lesson/test_exercises_stored.py shows."""
    before = path.read_bytes()
    made = make_edition("solved", [path], tmp_path, run=False)
    assert made.problems == ()
    assert path.read_bytes() == before
    solved = json.loads((tmp_path / path.name).read_text(encoding="utf-8"))
    assert "Observed: " not in (tmp_path / path.name).read_text(encoding="utf-8")
    for cell in solved["cells"]:
        if "exercise" in cell["metadata"].get("tags", ()):
            exercise = cell["metadata"]["workbook"]["exercise"]
            assert "".join(cell["source"]) == solution_code(json.loads(before), exercise)
    assert "Solved edition" in "".join(solved["cells"][0]["source"])
    nbformat.validate(nbformat.from_dict(solved))


@pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
def test_what_a_solution_uses_stands_above_it(path):
    """The test of the checks lends every solution the usual imports."""
    known = set(dir(builtins))
    for cell in fill_in_solutions(json.loads(path.read_text(encoding="utf-8")))["cells"]:
        if cell["cell_type"] == "code":
            lines = "".join(cell["source"]).splitlines()
            code = "\n".join(line for line in lines if not line.startswith("%"))
            bound, _, used, imported = names({"source": code})
            known |= bound | imported
            # What an isolated cell brings back is named beside the magic.
            known |= {word for line in lines if line.startswith("%%") for word in line.split()}
            if {"exercise", "check"} & set(cell["metadata"].get("tags", [])):
                assert used - known == set(), cell["id"]


@pytest.mark.parametrize("stem", ["12_three_fixes", "15_whose_variable_is_it"])
def test_every_check_of_the_solved_notebook_says_right(tmp_path, stem):
    """Of the cells that an exercise reaches; these use what other cells have made."""
    stored = (project_root() / "notebooks" / f"{stem}.ipynb").read_text(encoding="utf-8")
    path = tmp_path / "stored" / f"{stem}.ipynb"
    path.parent.mkdir()
    path.write_text(json.dumps(with_exercises(json.loads(stored))), encoding="utf-8")
    made = make_edition("solved", [path], tmp_path)
    assert made.problems == ()
    solved = json.loads((tmp_path / path.name).read_text(encoding="utf-8"))
    about = next(entry for entry in read_outlines() if entry.file == path.name)
    checked = [cell for cell in solved["cells"] if "check" in cell["metadata"].get("tags", ())]
    assert len(checked) == len(about.exercises)
    for cell in checked:
        said = "".join(cell["outputs"][-1]["data"]["text/plain"])
        assert said.startswith("Right"), (cell["id"], said)
    shown = {cell["id"] for cell in solved["cells"] if cell.get("outputs")}
    opening = {
        c["id"] for c in solved["cells"] if c["metadata"].get("jupyter", {}).get("source_hidden")
    }
    assert shown - opening == {cell["id"] for cell in checked}, "predictions are still to be made"


def exercise(tmp_path, solution, check):
    """Write a notebook with one exercise, whose check is the code given."""
    about = {"workbook": {"exercise": "demo/x"}}
    cells = [
        nbformat.v4.new_markdown_cell("# One\n\nText.", id="title"),
        nbformat.v4.new_code_cell("x = ...", id="stub"),
        nbformat.v4.new_code_cell(check, id="look"),
        nbformat.v4.new_markdown_cell(f"```python\n{solution}\n```", id="answer"),
    ]
    cells[1].metadata = {"tags": ["exercise"], **about}
    cells[2].metadata = {"tags": ["check"]}
    cells[3].metadata = {"tags": ["solution"], **about}
    path = tmp_path / "one.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


CHECK = (
    "from workbook_lib.lesson.panels import Panel\nPanel('right', 'Right' if x == 2 else 'Wrong')"
)


def test_a_solution_that_is_not_right_is_named_and_nothing_is_written(tmp_path):
    path = exercise(tmp_path, "x = 3", CHECK)
    made = make_edition("solved", [path], tmp_path / "out")
    assert made.problems == ("one.ipynb: check look: Wrong",)
    assert not (tmp_path / "out").exists()
    assert "nothing was written" in made.text()


def test_a_notebook_that_fails_is_named_by_cell_and_error(tmp_path):
    path = exercise(tmp_path, "x = 1 / 0", CHECK)
    made = make_edition("solved", [path], tmp_path / "out")
    assert made.problems == ("one.ipynb: failed in cell stub: ZeroDivisionError: division by zero",)
    assert not (tmp_path / "out").exists()


def test_the_title_says_which_edition_it_is(tmp_path):
    path = exercise(tmp_path, "x = 2", CHECK)
    made = make_edition("solved", [path], tmp_path / "out", run=False)
    cells = nbformat.read(made.files[0], as_version=4).cells
    assert cells[0].source.startswith("# One\n\n*Solved edition")
    assert cells[0].source.endswith("\n\nText.")
    assert cells[1].source == "x = 2"


def test_the_learner_edition_is_not_written_over(tmp_path):
    path = exercise(tmp_path, "x = 2", CHECK)
    before = path.read_bytes()
    with pytest.raises(RunInputError, match="would replace it"):
        make_edition("solved", [path], tmp_path, run=False)
    assert path.read_bytes() == before


CODE = "def f(x):\n    # a comment\n\n    return 2 * x"
SOLUTION = (
    f"<details><summary>Solution: f</summary>\n\n```python\n{CODE}\n```\n\nWhy.\n\n</details>"
)


def cell(kind, source, tag=None, exercise=None):
    metadata = {}
    if tag:
        metadata["tags"] = [tag, "another"]
    if exercise:
        metadata["workbook"] = {"exercise": exercise}
    made = {
        "cell_type": kind,
        "id": f"c{abs(hash(source))}",
        "metadata": metadata,
        "source": source,
    }
    if kind == "code":
        made |= {"outputs": [{"output_type": "stream", "name": "stdout", "text": "x"}]}
        made |= {"execution_count": 3}
    return made


@pytest.fixture
def notebook():
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            cell("markdown", "# One"),
            cell("code", "def f(x):\n    ...", "exercise", "demo/f"),
            cell("code", "check.f(f)", "check"),
            cell("markdown", SOLUTION, "solution", "demo/f"),
        ],
    }


def test_the_solution_takes_the_place_of_the_stub_in_a_copy(notebook):
    before = copy.deepcopy(notebook)
    edition = fill_in_solutions(notebook)
    assert notebook == before
    sources = [cell["source"] for cell in edition["cells"]]
    assert sources == ["# One", CODE, "check.f(f)", SOLUTION]
    assert edition["cells"][1]["id"] == notebook["cells"][1]["id"]


def test_outputs_of_the_learner_edition_are_not_carried_over(notebook):
    for code in fill_in_solutions(notebook)["cells"][1:3]:
        assert (code["outputs"], code["execution_count"]) == ([], None)


def test_a_notebook_node_stays_a_valid_notebook_node(notebook):
    edition = fill_in_solutions(nbformat.reads(json.dumps(notebook), as_version=4))
    assert isinstance(edition, nbformat.NotebookNode)
    nbformat.validate(edition)
    assert edition.cells[1].source == CODE


def test_sources_may_be_lists_of_lines(notebook):
    notebook["cells"][3]["source"] = SOLUTION.splitlines(keepends=True)
    assert solution_code(notebook, "demo/f") == CODE


def test_a_notebook_without_exercises_is_solved(notebook):
    notebook["cells"] = notebook["cells"][:1]
    assert fill_in_solutions(notebook) == notebook


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cells: cells.pop(3), "'demo/f' has no solution cell"),
        (lambda cells: cells.pop(1), "'demo/f' has a solution, and no stub"),
        (lambda cells: cells.append(cells[1]), "two cells with the tag 'exercise'"),
        (lambda cells: cells.append(cells[3]), "two cells with the tag 'solution'"),
        (lambda cells: cells[1]["metadata"].pop("workbook"), "does not name its exercise"),
        (lambda cells: cells[3].update(source="Nothing."), "0 blocks of Python"),
        (lambda cells: cells[3].update(source=SOLUTION + "\n" + SOLUTION), "2 blocks of Python"),
        (lambda cells: cells[3].update(source="```\nplain\n```"), "0 blocks of Python"),
    ],
)
def test_what_is_refused(notebook, change, message):
    change(notebook["cells"])
    with pytest.raises(ValueError, match=message):
        fill_in_solutions(notebook)
