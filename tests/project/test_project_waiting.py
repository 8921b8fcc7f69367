"""Bars and clocks: drawn in a kernel that somebody watches, and nowhere else."""

import re
import time

import nbformat
import pytest
from nbclient import NotebookClient

from varhandle.progress_bar import busy, with_progress_bar


def outputs_of(code):
    """Run code in a kernel, and return every text that it displayed, in order, and what stays."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    seen = []

    class Watching(NotebookClient):
        def process_message(self, msg, cell, cell_index):
            if msg["msg_type"] in ("display_data", "update_display_data"):
                seen.append(msg["content"]["data"].get("text/html", ""))
            return super().process_message(msg, cell, cell_index)

    Watching(notebook).execute()
    return seen, [output.data.get("text/html", "") for output in notebook.cells[0].outputs]


@pytest.fixture
def watched(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(tmp_path / "progress.jsonl"))


def test_a_bar_fills_step_by_step_and_is_gone_at_the_end(watched):
    seen, left = outputs_of(
        "from varhandle.progress_bar import with_progress_bar\n"
        "for _ in with_progress_bar('abc', 'calibrating <x>'):\n    pass"
    )
    filled = [
        int(found[1]) for text in seen if (found := re.search(r'value="(\d+)" max="3"', text))
    ]
    assert filled == [0, 1, 2, 3]
    assert "calibrating &lt;x&gt;" in "".join(seen)
    assert left == [""]


def test_a_bar_is_gone_when_the_work_fails(watched):
    _, left = outputs_of(
        "from varhandle.progress_bar import with_progress_bar\n"
        "try:\n    for n in with_progress_bar([1, 0], 'dividing'):\n        1 / n\n"
        "except ZeroDivisionError:\n    pass\n"
        "import gc; gc.collect();"
    )
    assert left == [""]


def test_a_clock_counts_and_is_gone_at_the_end(watched):
    seen, left = outputs_of(
        "import time\nfrom varhandle.progress_bar import busy\n"
        "with busy('converting'):\n    time.sleep(2.6)"
    )
    assert [text for text in seen if re.fullmatch(r"converting: [12] s", text)]
    assert left == [""]


def test_what_is_over_at_once_draws_no_clock(watched):
    seen, left = outputs_of(
        "from varhandle.progress_bar import busy\nwith busy('converting'):\n    pass"
    )
    assert (seen, left) == ([], [])


def test_headless_shows_nothing(monkeypatch):
    monkeypatch.setenv("WORKBOOK_PROGRESS", "off")
    seen, left = outputs_of(
        "from varhandle.progress_bar import busy, with_progress_bar\nimport time\n"
        "with busy('a'):\n    time.sleep(1.6)\n    list(with_progress_bar([1], 'b'))"
    )
    assert (seen, left) == ([], [])


def test_without_a_notebook_the_items_come_through_and_nothing_is_printed(capsys):
    assert list(with_progress_bar([3, 1], "label")) == [3, 1]
    assert list(with_progress_bar([], "label")) == []
    with busy("label"):
        time.sleep(0)
    assert capsys.readouterr() == ("", "")


def test_an_error_inside_reaches_the_caller():
    with pytest.raises(KeyError), busy("label"):
        raise KeyError("x")
