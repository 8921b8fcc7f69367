"""``workbook edition``: what it writes, what it says to bad input."""

import nbformat
import pytest

from workbook_lib.cli import main


@pytest.fixture
def notebook(tmp_path):
    path = tmp_path / "one.ipynb"
    cells = [
        nbformat.v4.new_markdown_cell("# One", id="title"),
        nbformat.v4.new_code_cell("print(6 * 7)", id="sum"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_notebooks_are_executed_first(notebook, tmp_path, capsys):
    output = tmp_path / "out"
    assert main(["edition", "slides", str(notebook), "--output", str(output)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("running one.ipynb\n")
    assert str(output / "one.html") in said
    assert "42\n" in (output / "one.html").read_text()
    assert (output / "index.html").exists()


WRITTEN = {
    "html": "site/lessons/one.html",
    "slides": "slides/one.html",
    "solved": "solved/one.ipynb",
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_without_a_run_the_stored_outputs_are_taken(notebook, tmp_path, monkeypatch, capsys, kind):
    """And each edition has a folder of its own."""
    monkeypatch.chdir(tmp_path)
    assert main(["edition", kind, str(notebook), "--no-run"]) == 0
    said = capsys.readouterr().out
    assert "running" not in said
    assert f"workbook-output/{WRITTEN[kind]}" in said
    assert "42\n" not in (tmp_path / "workbook-output" / WRITTEN[kind]).read_text()


def test_a_notebook_that_fails_is_exit_1_and_nothing_is_written(tmp_path, capsys):
    path = tmp_path / "bad.ipynb"
    cell = nbformat.v4.new_code_cell("raise KeyError('gone')", id="fails")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    assert main(["edition", "html", str(path), "--output", str(tmp_path / "out")]) == 1
    assert "bad.ipynb: failed in cell fails: KeyError: 'gone'" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["html", "slides", "solved"])
@pytest.mark.parametrize("content", [None, b"", b"hello", b"[]"])
def test_bad_input_gets_one_line_and_exit_2(tmp_path, capsys, kind, content):
    path = tmp_path / "bad.ipynb"
    if content is not None:
        path.write_bytes(content)
    assert main(["edition", kind, str(path), "--output", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert str(path) in printed.err


def test_an_exercise_without_a_solution_is_bad_input(tmp_path, capsys):
    path = tmp_path / "bad.ipynb"
    cell = nbformat.v4.new_code_cell("x = ...", id="stub")
    cell.metadata = {"tags": ["exercise"], "workbook": {"exercise": "demo/x"}}
    solution = nbformat.v4.new_markdown_cell("no code", id="answer")
    solution.metadata = {"tags": ["solution"], "workbook": {"exercise": "demo/x"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell, solution]), path)
    assert main(["edition", "solved", str(path), "--output", str(tmp_path / "out")]) == 2
    assert "0 blocks of Python" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_bad_input(notebook, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    output = tmp_path / "file" / "out"
    assert main(["edition", "html", str(notebook), "--no-run", "--output", str(output)]) == 2
    assert str(output) in capsys.readouterr().err


def test_an_unknown_edition_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["edition", "poster"])
    assert stopped.value.code == 2
