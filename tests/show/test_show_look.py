"""How tables and code are set, so that a page looks made and not assembled."""

import subprocess
import sys

import pytest

from varhandle import display
from varhandle.sandbox.record import OpError, Record
from workbook_lib import show


def test_numbers_are_flush_right_also_as_text_and_their_title_with_them(read_html):
    rows = [("int8", "0.47", "1,236", "93 %", "2.5 to 2.6"), ("16x8", "", "-12", "0%", "1")]
    page = read_html(display.table_html(("recipe", "share", "KiB", "right", "span"), rows, "c"))
    sides = [cell["style"].split(";")[0] for cell in page.all("td")]
    one = ["text-align: left", *["text-align: right"] * 3, "text-align: left"]
    assert sides == one * 2
    assert [head["style"] for head in page.all("th")] == one


@pytest.mark.parametrize("words", ["3.11.7", "", "int8", "1,23", "1 of 2"])
def test_what_is_no_number_stays_at_the_left(read_html, words):
    page = read_html(display.table_html(("a",), [(words,)], "c"))
    assert page.all("th")[0]["style"] == "text-align: left"


def test_a_short_cell_stays_on_one_line_and_a_long_one_may_wrap(read_html):
    page = read_html(display.table_html(("a", "b"), [("[3, 3, 8, 16]", "w" * 21)], "c"))
    assert ["nowrap" in cell["style"] for cell in page.all("td")] == [True, False]


def test_a_table_without_titles_has_no_empty_head(read_html):
    assert not read_html(display.table_html(("", ""), [("a", "b")], "c")).all("th")


def test_code_breaks_between_words_and_is_escaped():
    code = display.code_html("if a < b:\n    pass")
    assert "word-break: normal" in code
    assert "if a &lt; b:\n    pass" in code


def test_a_record_sets_the_line_that_raised_as_code_and_not_in_its_title(read_html):
    line = "model.add("
    record = Record(
        "raised",
        exception_type="ConverterError",
        message="'tf.VarHandleOp' op is neither a custom op nor a flex op",
        line_number=13,
        line=line,
        errors=(OpError("tf.VarHandleOp", "ERROR_NEEDS_FLEX_OPS"),),
    )
    page = read_html(record.html())
    assert "isolated: raised ConverterError at line 13" in page.words
    assert page.words.count(line) == 1
    assert record.text().startswith("isolated: raised ConverterError at line 13: model.add(")


def test_output_does_not_depend_on_the_hash_seed():
    code = (
        "from workbook_lib import show\n"
        "print(show.op_histogram({'n': {c: 1 for c in 'zyxwv'}}, most=3).text())\n"
        "from varhandle.graph.model import *\n"
        "n = tuple(Node(f'n{i}', 'ADD', (f'a{i}', f'b{i}'), ('', '')) for i in range(9))\n"
        "print(show.draw_graph(Graph('m', 'tflite', (Function('main', n),))).svg())\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


def test_every_result_has_a_one_line_repr(counter):
    for result in (
        show.op_histogram(counter),
        show.variable_table(counter),
        show.draw_graph(counter),
        show.side_by_side({"a": show.variable_table(counter)}),
        show.version_grid({"cases": [], "versions": []}),
        show.claims_table([]),
    ):
        assert "\n" not in repr(result)
        assert repr(result).startswith(type(result).__name__)
