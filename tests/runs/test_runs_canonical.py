"""The canonical form: what it drops, what it keeps, and that stored notebooks are in it."""

import json
import os
import runpy
import sys

import nbformat
import pytest

from workbook_lib.runs import all_notebooks
from workbook_lib.runs.canonical import canonical_form, refresh, write


def notebook(**cell):
    code = {
        "cell_type": "code",
        "id": "one",
        "metadata": {"tags": ["keep"], "execution": {"iopub.execute_input": "2026"}},
        "source": "1",
        "execution_count": 7,
        "outputs": [],
        **cell,
    }
    metadata = {
        "kernelspec": {"name": "mine", "display_name": "mine"},
        "language_info": {"name": "python", "version": "3.11"},
        "widgets": {"state": {}},
        "workbook": {"title": "T"},
    }
    whole = {"cells": [code], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return nbformat.from_dict(whole)


def test_drops_times_widget_states_and_the_kernel_that_it_was():
    result = canonical_form(notebook())
    assert result["cells"][0]["metadata"] == {"tags": ["keep"]}
    assert result["cells"][0]["execution_count"] == 1
    assert set(result["metadata"]) == {"kernelspec", "language_info", "workbook"}
    assert result["metadata"]["kernelspec"]["name"] == "python3"
    assert result["metadata"]["language_info"] == {"name": "python"}


def test_keeps_the_text_of_a_widget_and_drops_its_view():
    view = "application/vnd.jupyter.widget-view+json"
    output = {
        "output_type": "display_data",
        "metadata": {"x": 1},
        "data": {"text/plain": "choose", view: {"model_id": "abc"}},
    }
    result = canonical_form(notebook(outputs=[output]))
    assert result["cells"][0]["outputs"][0]["data"] == {"text/plain": "choose"}


def test_joins_streams_however_they_were_cut():
    parts = [
        {"output_type": "stream", "name": "stdout", "text": text} for text in ("a", "b\n", "c\n")
    ]
    result = canonical_form(notebook(outputs=parts))
    (output,) = result.cells[0].outputs
    assert output == {"output_type": "stream", "name": "stdout", "text": "ab\nc\n"}


def test_is_its_own_canonical_form_and_leaves_what_it_is_given():
    given = notebook()
    before = json.dumps(given)
    once = canonical_form(given)
    assert json.dumps(given) == before
    assert canonical_form(once) == once


@pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
def test_stored_notebooks_are_canonical(path):
    stored = nbformat.read(path, as_version=4)
    assert nbformat.writes(canonical_form(stored)) + "\n" == path.read_text(encoding="utf-8")
    counts = [c["execution_count"] for c in stored["cells"] if c["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1)), "not executed from top to bottom"


def test_refresh_executes_in_place(tmp_path, monkeypatch, capsys):
    path = tmp_path / "small.ipynb"
    path.write_text(json.dumps(notebook(source="print(6 * 7)")))
    monkeypatch.setattr("sys.argv", ["canonical", str(path)])
    monkeypatch.delitem(sys.modules, "workbook_lib.runs.canonical")
    runpy.run_module("workbook_lib.runs.canonical", run_name="__main__")
    assert capsys.readouterr().out == f"{path}: executed and stored\n"
    stored = nbformat.read(path, as_version=4)
    assert stored.cells[0].outputs[0].text == "42\n"
    assert stored.cells[0].metadata == {"tags": ["keep"]}
    assert canonical_form(stored) == stored


def test_a_failing_notebook_is_left_as_it_was(tmp_path):
    path = tmp_path / "broken.ipynb"
    path.write_text(json.dumps(notebook(source="1 / 0")))
    before = path.read_text()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        refresh(path)
    assert path.read_text() == before


def test_an_interrupted_write_leaves_the_old_notebook_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "kept.ipynb"
    path.write_text("the old one")

    def interrupted(file):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(notebook(), path)
    assert path.read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mine", ["mine.jsonl", None])
def test_refresh_turns_progress_off_and_gives_it_back(tmp_path, monkeypatch, mine):
    if mine is None:
        monkeypatch.delenv("WORKBOOK_PROGRESS")
    else:
        monkeypatch.setenv("WORKBOOK_PROGRESS", mine)
    path = tmp_path / "reads.ipynb"
    source = "import os; print(os.environ['WORKBOOK_PROGRESS'])"
    path.write_text(json.dumps(notebook(source=source)))
    refresh(path)
    assert json.loads(path.read_text())["cells"][0]["outputs"][0]["text"] == ["off\n"]
    assert os.environ.get("WORKBOOK_PROGRESS") == mine
