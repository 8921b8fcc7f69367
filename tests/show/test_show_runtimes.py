"""Where a file runs: every runtime once, with its reasons."""

import pytest

from varhandle.graph import ModelFileError
from varhandle.tflite.externalize_state import lift_state
from workbook_lib import show
from workbook_lib.show.runtimes import RuntimeTable


def test_a_file_with_variables_is_refused_where_there_are_none(counting_file):
    table = dict(show.runtime_table(counting_file, ("tflite-2.3", "litert")).rows)
    assert list(table) == ["litert", "builtin-only", "micro", "tflite-2.3"]
    assert table["litert"] == table["micro"] == ()
    for name in ("builtin-only", "tflite-2.3"):
        assert "VAR_HANDLE" in table[name][0]


def test_lifted_it_is_taken_by_a_runtime_of_builtin_ops(counting_file):
    table = dict(show.runtime_table(lift_state(counting_file).content).rows)
    assert table["builtin-only"] == ()


def test_what_is_shown():
    table = RuntimeTable((("litert", ()), ("micro", ("has no <b>\x1b[2J", "too new"))))
    assert repr(table) == "RuntimeTable(1 of 2 runtimes take the file)"
    lines = table.text().split("\n")
    assert lines[:2] == ["litert  takes it", "micro   refuses it:"]
    assert lines[2:] == [r"  - has no <b>\x1b[2J", "  - too new"]
    assert "<b>" not in table.html() and "\x1b" not in table.html()
    assert "✗ refuses it" in table.html() and "✓ takes it" in table.html()


def test_bad_input(counting_file):
    with pytest.raises(ValueError, match="tflite-9"):
        show.runtime_table(counting_file, ["tflite-9.9"])
    with pytest.raises(ModelFileError):
        show.runtime_table(counting_file[:100])
