"""How tables, code and plots are set, so that a page looks made and not assembled."""

import pytest
from matplotlib import pyplot

from varhandle import display
from varhandle.sandbox.record import OpError, Record
from workbook_lib.show import picture


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


def test_a_plot_is_shown_at_half_its_dots_with_letters_of_the_page(read_html):
    figure, axes = pyplot.subplots(figsize=(6, 3))
    axes.plot([1, 2], [3, 4])
    shown = picture(figure, alt="rises")
    [image] = read_html(shown.html()).all("img")
    assert int.from_bytes(shown.png[16:20], "big") // 2 == int(image["width"])
    assert 6 * 96 * 0.8 < int(image["width"]) < 6 * 96 * 1.1
    assert not axes.spines["top"].get_visible()


@pytest.mark.parametrize("drawn", ["polar", "image"])
def test_a_plot_without_two_sides_keeps_its_frame(drawn):
    figure, axes = pyplot.subplots(subplot_kw={"polar": drawn == "polar"})
    if drawn == "image":
        axes.imshow([[0, 1], [1, 0]])
    before = [spine.get_visible() for spine in axes.spines.values()]
    picture(figure, alt="a frame")
    assert [spine.get_visible() for spine in axes.spines.values()] == before
