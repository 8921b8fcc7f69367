"""The solved edition: what is substituted, and what is refused."""

import copy
import json

import nbformat
import pytest

from workbook_lib.editions.solved import fill_in_solutions, solution_code

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
