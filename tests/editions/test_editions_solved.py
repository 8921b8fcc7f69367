"""The solved edition of every notebook is executed, and every check in it says Right."""

import json

import nbformat
import pytest
from notebook_slice import with_exercises

from workbook_lib.editions import make_edition
from workbook_lib.editions.solved import solution_code
from workbook_lib.lesson.outline import read_outlines
from workbook_lib.runs import RunInputError, all_notebooks


@pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
def test_every_check_of_the_solved_notebook_says_right(tmp_path, path):
    """Of the cells that an exercise reaches: the others run in the same way as in the notebook."""
    stored = path.read_text(encoding="utf-8")
    path = tmp_path / "stored" / path.name
    path.parent.mkdir()
    path.write_text(json.dumps(with_exercises(json.loads(stored))), encoding="utf-8")
    before = path.read_bytes()
    made = make_edition("solved", [path], tmp_path)
    assert made.problems == ()
    assert path.read_bytes() == before
    solved = json.loads((tmp_path / path.name).read_text(encoding="utf-8"))
    about = next(entry for entry in read_outlines() if entry.file == path.name)
    checked = [cell for cell in solved["cells"] if "check" in cell["metadata"].get("tags", ())]
    assert len(checked) == len(about.exercises)
    for cell in checked:
        said = "".join(cell["outputs"][-1]["data"]["text/plain"])
        assert said.startswith("Right"), (cell["id"], said)
    for cell in solved["cells"]:
        if "exercise" in cell["metadata"].get("tags", ()):
            exercise = cell["metadata"]["workbook"]["exercise"]
            assert "".join(cell["source"]) == solution_code(json.loads(before), exercise)
    assert "Solved edition" in "".join(solved["cells"][0]["source"])
    nbformat.validate(nbformat.from_dict(solved))


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
