"""The outline read from notebooks, and the board and map made of it."""

import json

import pytest

from workbook_lib import lesson
from workbook_lib.lesson import outline as outline_module
from workbook_lib.lesson import overview, progress
from workbook_lib.lesson.outline import read_outlines


def write(folder, name, *cells, exercises=(), **about):
    sources = [("markdown", "lesson.predict('in/prose')", {})]
    sources += [("code", cell, {}) for cell in cells]
    for exercise in exercises:
        metadata = {"tags": ["exercise"], "workbook": {"exercise": exercise}}
        sources.append(("code", "def f(): ...", metadata))
    notebook = {
        "cells": [
            {"cell_type": kind, "source": source.splitlines(keepends=True), "metadata": metadata}
            for kind, source, metadata in sources
        ],
        "metadata": {"workbook": about} if about else {},
    }
    (folder / name).write_text(json.dumps(notebook), encoding="utf-8")


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    """A project of its own in which the progress is empty."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (tmp_path / ".workbook").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(tmp_path / "progress.jsonl"))
    monkeypatch.setattr(progress, "_unsaved", [])
    return folder


def test_ids_are_read_in_the_order_they_are_written(notebooks):
    write(
        notebooks,
        "11_one.ipynb",
        'lesson.predict(\n    "demo/b")\nlesson.predict("demo/a")',
        'lesson.predict("demo/b")\nother.predict("no")\nlesson.quiz("the_error")',
        'lesson.quiz("no such lesson")',
        exercises=("demo/names", "demo/freeze"),
        title="One",
        question="Why?",
        minutes=7,
    )
    (found,) = read_outlines()
    assert found == outline_module.NotebookOutline(
        *("11_one.ipynb", "One", "Why?", 7, ("demo/b", "demo/a"), ("demo/names", "demo/freeze")),
        ("the_error/quiz-gone", "the_error/quiz-look", "the_error/quiz-end"),
    )
    assert found.number == "11"


@pytest.mark.parametrize(
    "cell",
    [
        '%%isolated --seconds 5\nlesson.predict("demo/p")',
        '%matplotlib inline\nlesson.predict("demo/p")',
        '!ls\nfiles = !ls\nlesson.predict("demo/p")',
        'x = %time 1\nlesson.predict?\nif x:\n    %pwd\n    lesson.predict("demo/p")',
        'x = (7\n % 2)\nlesson.predict("demo/p")',
    ],
)
def test_magics_do_not_hide_what_is_beside_them(notebooks, cell):
    write(notebooks, "11_one.ipynb", cell)
    assert read_outlines()[0].predictions == ("demo/p",)


@pytest.mark.parametrize(
    "cell",
    [
        "%%bash\nfor f in *; do echo $f; done",
        "def unfinished(",
        "lesson.predict(name)",
        "lesson.predict()",
        "# lesson.predict('demo/gone')",
    ],
)
def test_cells_that_say_nothing_are_passed_over(notebooks, cell):
    write(notebooks, "11_one.ipynb", cell, 'lesson.predict("demo/p")')
    (found,) = read_outlines()
    assert (found.predictions, found.exercises) == (("demo/p",), ())


def test_copies_scratch_files_and_broken_files_are_no_notebooks_of_ours(notebooks):
    write(notebooks, "02_two_words.ipynb")
    write(notebooks, "02_two_words-Copy1.ipynb")
    write(notebooks, "Untitled.ipynb")
    (notebooks / "03_cut.ipynb").write_text('{"cells": [')
    (notebooks / "04_list.ipynb").write_text("[]")
    (notebooks / "05_odd.ipynb").write_text('{"cells": [1], "metadata": {}}')
    (found,) = read_outlines()
    assert found.file == "02_two_words.ipynb"
    assert found.title == "Two words"
    assert found.minutes is None


@pytest.fixture
def two(notebooks):
    ask = [f'lesson.predict("demo/{name}")' for name in "pq"]
    write(notebooks, "00_start.ipynb", title="Start & go", question="Ready?", minutes=2)
    ids = ("demo/names", "demo/freeze")
    write(notebooks, "11_one.ipynb", *ask, exercises=ids, title="One")


def test_an_empty_board(two):
    assert lesson.board().text() == (
        "No.  Notebook              Predictions made  Exercises right  Quiz right  Done\n"
        "---  --------------------  ----------------  ---------------  ----------  "
        "----------------------\n"
        "00   Start & go            none here         none here        none here\n"
        "     Part 1 · The failure\n"
        "11   One                   0 of 2            0 of 2           none here   "
        "[....................]\n"
        "     Drills                none here         0 of 33          none here   "
        "[....................]\n"
        "Next: One"
    )
    assert lesson.board().html() == lesson.board().html()


def test_the_board_counts_what_is_predicted_and_what_is_right(two):
    progress.record("prediction", id="demo/p", answer="x")
    progress.record("exercise", id="demo/names", status="right")
    progress.record("exercise", id="demo/freeze", status="wrong")
    progress.record("prediction", id="of/another", answer="x")
    board = lesson.board()
    assert "1 of 2            1 of 2           none here   [##########..........]" in board.text()
    assert 'aria-label="One: 2 of 4 done"' in board.html()
    assert 'aria-valuenow="2"' in board.html()
    progress.record("prediction", id="demo/q", answer="x")
    progress.record("exercise", id="demo/freeze", status="right")
    assert f"[{'#' * 20}]" in lesson.board().text()
    assert "Next" not in lesson.board().text()


def test_the_board_counts_the_quiz_and_a_reset_forgets_it(notebooks):
    write(notebooks, "11_one.ipynb", 'lesson.quiz("the_error")', title="One")
    lesson.quiz("the_error").answer(1, "b")
    lesson.quiz("the_error").answer(2, "b")
    assert "none here         none here        1 of 3      [######" in lesson.board().text()
    lesson.reset("11")
    assert "0 of 3" in lesson.board().text()
    assert not progress.read().quizzes


def test_board_and_map_link_to_the_notebooks_beside_them(two):
    for shown in (lesson.board(), lesson.map_of_notebooks()):
        assert '<a href="00_start.ipynb">Start &amp; go</a>' in shown.html()


def test_the_map(two):
    assert lesson.map_of_notebooks().text().splitlines()[2] == (
        "00   Start & go            Ready?        2"
    )
    assert repr(lesson.map_of_notebooks()) == "NotebookMap(2 notebooks)"


@pytest.mark.parametrize("name", ["11", "11_one", "11_one.ipynb"])
def test_a_reset_is_for_one_notebook(two, name):
    progress.record("prediction", id="demo/p", answer="x")
    progress.record("exercise", id="demo/names", status="right")
    progress.record("exercise", id="of/another", status="right")
    assert "“One” starts again" in lesson.reset(name).text()
    assert "0 of 2            0 of 2" in lesson.board().text()
    assert progress.read().exercise("of/another").best == "right"


def test_a_reset_of_an_unknown_notebook_names_those_there_are(two):
    with pytest.raises(ValueError, match=r"00_start\.ipynb, 11_one\.ipynb"):
        lesson.reset("07")


def test_a_folder_without_notebooks(notebooks):
    assert read_outlines() == ()
    assert "Next" not in lesson.board().text()
    assert overview.map_of_notebooks().rows == []


@pytest.fixture
def board_box(notebooks, monkeypatch):
    """The control of two notebooks, each with a prediction that is made; and how often it drew."""
    write(notebooks, "11_one.ipynb", 'lesson.predict("demo/a")', title="One")
    write(notebooks, "12_two.ipynb", 'lesson.predict("demo/b")', title="Two")
    progress.record("prediction", id="demo/a", answer="x")
    progress.record("prediction", id="demo/b", answer="y")
    drawn = []
    return overview.reset_control(lambda: drawn.append(lesson.board().text())), drawn


def parts(box):
    line, said, sure, *_ = box.children
    return *line.children, said, *sure.children, sure


def test_a_notebook_is_forgotten_only_after_a_second_press(board_box):
    box, drawn = board_box
    choice, ask, said, yes, _, sure = parts(box)
    assert sure.layout.display == "none"
    choice.value = "11_one.ipynb"
    ask.click()
    assert sure.layout.display is None
    assert "Forget your answers in 11 One?" in said.value
    assert set(progress.read().predictions) == {"demo/a", "demo/b"}
    assert not drawn
    yes.click()
    assert set(progress.read().predictions) == {"demo/b"}
    assert "starts again from zero" in said.value
    assert len(drawn) == 1
    assert "0 of 1" in drawn[0]
    assert sure.layout.display == "none"


def test_no_keeps_everything(board_box):
    _, ask, said, _, no, sure = parts(board_box[0])
    ask.click()
    no.click()
    assert set(progress.read().predictions) == {"demo/a", "demo/b"}
    assert "Nothing is forgotten" in said.value
    assert sure.layout.display == "none"


def test_another_choice_takes_the_question_back(board_box):
    choice, ask, said, _, _, sure = parts(board_box[0])
    ask.click()
    choice.value = "12_two.ipynb"
    assert sure.layout.display == "none"
    assert said.value == ""


def test_the_board_leads_to_what_is_next(notebooks):
    write(notebooks, "11_one.ipynb", 'lesson.predict("demo/a")', title="One")
    board = lesson.board()
    assert board.text().endswith("Next: One")
    assert board.html().endswith('Next: <a href="11_one.ipynb">One</a></div>')
