"""Tables and results beside each other: claims with their proofs, runtimes with their reasons."""

import pytest

from varhandle import display
from varhandle.graph import ModelFileError
from varhandle.tflite.externalize_state import lift_state
from workbook_lib import show
from workbook_lib.show.runtimes import RuntimeTable

CLAIMS = [
    {
        "claim": "float16 halves the <file>",
        "verdict": "holds",
        "since": "2.3",
        "proof": {"notebook": "29_how_fast", "cell": "size"},
    },
    {
        "claim": "SELECT_TF_OPS mends it",
        "verdict": "does not hold",
        "since": "2.19",
        "proof": {"notebook": "12_three_fixes.ipynb", "cell": "flex"},
        "note": "no delegate",
    },
]


def test_nothing_of_a_name_is_markup(hostile, read_html):
    table = display.table_html((hostile,), [(hostile,)], hostile)
    page = read_html(table + display.panel_html("right", hostile) + display.code_html(hostile))
    assert page.words.count(hostile) == 5
    assert not page.all("script")


def test_claims_in_text():
    assert show.claims_table(CLAIMS).text() == (
        "2 claims (holds: 1, holds in part: 0, does not hold: 1)\n"
        "\n"
        "claim                      verdict        since  proof                note\n"
        "-------------------------  -------------  -----  -------------------  -----------\n"
        "float16 halves the <file>  holds          2.3    29_how_fast#size\n"
        "SELECT_TF_OPS mends it     does not hold  2.19   12_three_fixes#flex  no delegate"
    )


def test_claims_link_to_the_cell_that_proves_them(read_html):
    page = read_html(show.claims_table(CLAIMS).html())
    assert [link["href"] for link in page.all("a")] == [
        "29_how_fast.ipynb#cell-id=size",
        "12_three_fixes.ipynb#cell-id=flex",
    ]
    assert "float16 halves the <file>" in page.words
    assert "12: flex" in page.words


def test_a_proof_is_named_by_the_section_that_it_stands_in(read_html):
    claim = {**CLAIMS[0], "proof": {"notebook": "29_how_fast", "cell": "times"}}
    assert "29: Measure it" in read_html(show.claims_table([claim]).html()).words


def test_claims_refuse_an_unknown_verdict():
    with pytest.raises(ValueError, match="verdict 'maybe'"):
        show.claims_table([{**CLAIMS[0], "verdict": "maybe"}])


def test_side_by_side_in_text(frozen):
    both = show.side_by_side(
        {
            "before": show.op_histogram({"nodes": {}}),
            "after <1>": show.variable_table(frozen),
        }
    )
    assert both.text() == (
        "before\n======\nOp counts: 0 nodes; variable ops: none\n\n"
        "after <1>\n=========\nNo variables: every weight is a constant."
    )


def test_side_by_side_in_html_wraps(frozen, read_html):
    page = read_html(show.side_by_side({"<b>": show.variable_table(frozen)}).html())
    assert "flex-wrap: wrap" in page.all("div")[0]["style"]
    assert not page.all("b")
    assert "No variables: every weight is a constant." in page.words


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
