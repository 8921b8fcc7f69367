"""Plots come with words: those of any figure, of recipes, and of the answers of a cured file."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot

from varhandle.evaluate.latency import Latency
from varhandle.evaluate.recipe_comparison import MeasuredFile, RecipeTable
from varhandle.repair.run import cure
from workbook_lib import show
from workbook_lib.show import picture, plots


@pytest.fixture
def figure():
    drawn, axes = pyplot.subplots(figsize=(6, 3))
    axes.plot([1, 2], [3, 4])
    yield drawn
    pyplot.close(drawn)


def test_the_html_holds_the_picture_and_its_words(figure):
    shown = picture(figure, alt='Size "falls"\nfrom 4 to 1', caption="size & accuracy")
    page = shown.html()
    assert 'alt="Size &quot;falls&quot; from 4 to 1"' in page
    assert "size &amp; accuracy" in page
    png = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", page)[1])
    pixels = pyplot.imread(io.BytesIO(png))
    assert pixels[0, 0, :3].tolist() == [1, 1, 1]  # white, and not see-through
    assert pixels[..., :3].min() < 0.5  # with ink on it
    width = int(re.search(r'width="(\d+)"', page)[1])
    assert pixels.shape[1] // 2 == width  # letters of the page: half its dots
    assert 6 * 96 * 0.8 < width < 6 * 96 * 1.1
    assert not figure.axes[0].spines["top"].get_visible()
    assert figure.number not in pyplot.get_fignums()


def test_the_text_is_the_words(figure):
    shown = picture(figure, alt="falls", caption="below")
    assert shown.text() == "picture: falls\nbelow"
    assert repr(shown) == "Picture(falls)"


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_a_picture_without_words_is_refused(figure, alt):
    with pytest.raises(ValueError, match="alternative text"):
        picture(figure, alt=alt)


@pytest.mark.parametrize("drawn", ["polar", "image"])
def test_a_plot_without_two_sides_keeps_its_frame(drawn):
    figure, axes = pyplot.subplots(subplot_kw={"polar": drawn == "polar"})
    if drawn == "image":
        axes.imshow([[0, 1], [1, 0]])
    before = [spine.get_visible() for spine in axes.spines.values()]
    picture(figure, alt="a frame")
    assert [spine.get_visible() for spine in axes.spines.values()] == before


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are turned into pictures."""
    figures = []
    monkeypatch.setattr(
        plots, "picture", lambda figure, *words: figures.append(figure) or picture(figure, *words)
    )
    return figures


def row(name, size, right, milliseconds):
    latency = Latency(milliseconds, milliseconds * 0.9, milliseconds * 1.2, 100)
    return MeasuredFile(name, size, right, 0, latency)


TABLE = RecipeTable((row("float32", 19176, 351, 0.0023), row("<16x8>", 10008, 350, 0.0275)), 360)


def test_the_words_of_recipes_hold_every_number():
    shown = show.plot_recipes(TABLE)
    for part in (
        "float32: 19,176 bytes, 351 of 360 right, median 2.3 µs (quartiles 2.1 to 2.8)",
        "<16x8>: 10,008 bytes, 350 of 360 right, median 27.5 µs (quartiles 24.8 to 33.0)",
    ):
        assert part in shown.text()
    assert "&lt;16x8&gt;: 10,008 bytes" in re.search(r'<img[^>]* alt="([^"]*)"', shown.html())[1]


def test_the_bars_of_recipes_are_as_long_as_the_values(drawn):
    show.plot_recipes(TABLE)
    size, right, latency = drawn[0].axes
    widths = [
        [round(bar.get_width(), 3) for bar in axis.patches] for axis in (size, right, latency)
    ]
    assert widths == [[19.176, 10.008], [97.5, 97.222], [2.3, 27.5]]
    assert [label.get_text() for label in size.get_yticklabels()] == ["float32", "<16x8>"]
    assert size.yaxis_inverted()  # the first recipe is at the top
    assert {axis.get_xlim()[0] for axis in drawn[0].axes} == {0.0}  # so lengths can be compared
    (lines,) = latency.collections
    ends = [sorted(point[0] for point in segment) for segment in lines.get_segments()]
    assert ends == [pytest.approx([2.07, 2.76]), pytest.approx([24.75, 33.0])]  # the quartiles


@pytest.fixture(scope="module")
def cured(counting_file, tmp_path_factory):
    """The running total, its state carried by the caller."""
    path = tmp_path_factory.mktemp("model") / "counting.tflite"
    path.write_bytes(counting_file)
    inputs = {"x": np.linspace(0, 1, 24, dtype="float32").reshape(6, 4)}
    return cure(path, target="builtin-only", inputs=inputs)


def with_first(cured, **changes):
    """Change what the first signature was called with, or answered."""
    return replace(cured, asked=[replace(cured.asked[0], **changes)])


def test_answers_that_do_not_move_have_a_range_to_be_compared_by():
    """A share of a range of nothing is no number."""
    theirs = np.full((4, 2), 3.0)
    for off, share in ((0.0, "0.1%"), (0.5, "50.0%")):
        shown = plots.plot_calls("y", "the file", theirs, theirs + off)
        assert f"further from its line than {share} of the range." in shown.text()


def test_the_picture_of_answers_says_in_words_what_it_shows(cured):
    shown = show.plot_answers(cured)
    (name,) = cured.expected[0]
    assert shown.alt.startswith(f"{name} over 6 calls: a line for each value as the file")
    assert "No dot is further from its line than 0.1% of the range." in shown.text()


def test_the_distance_is_the_largest_one_as_a_share_of_the_range(cured):
    (name,) = cured.expected[0]
    values = np.stack([answer[name] for answer in cured.expected])
    away = values.copy()
    away[2].reshape(-1)[0] += (
        np.ptp(values) * 0.25
    )  # inside of the range: the answers go on to grow
    told = show.plot_answers(with_first(cured, answers=[{name: each} for each in away]))
    assert "than 25.0% of the range" in told.text()


def test_of_many_values_those_that_change_most_are_drawn(tf, save_module, drawn):
    class Wide(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([6], tf.float32, "x")])
        def __call__(self, x):
            return {"y": x * tf.constant([0.0, 5.0, 1.0, 4.0, 2.0, 3.0])}

    path = save_module(Wide())
    ramp = np.linspace(0, 1, 5, dtype="float32")[:, None] * np.ones([1, 6], "float32")
    made = cure(path, inputs={"x": ramp})
    shown = show.plot_answers(made)
    assert "y over 5 calls, the 4 of its 6 values that change most: a line" in shown.text()
    assert "as TensorFlow answers" in shown.text()
    labels = [text.get_text() for text in drawn[0].axes[0].get_legend().get_texts()]
    assert labels == ["value 1", "value 3", "value 4", "value 5"]


@pytest.mark.parametrize("values", [np.array(["a"]), np.float32([np.nan]), np.float32([])])
def test_what_cannot_be_drawn_is_said(cured, values):
    (name,) = cured.expected[0]
    told = show.plot_answers(with_first(cured, answers=[{name: values}] * len(cured.expected)))
    assert told.text() == "no picture: no output is of finite numbers in one shape"
    assert told.text() in told.html()
    assert repr(told) == f"Panel({told.text()})"


def test_a_file_that_cannot_be_called_is_no_error(cured):
    told = show.plot_answers(with_first(cured, calls=[{"x": np.zeros([9, 9, 9], "float32")}]))
    assert told.text().startswith("no picture: ")
    assert "\n" not in told.text()


def test_a_hostile_name_is_no_formula_and_no_markup(hostile):
    values = np.arange(4.0)[:, None]
    shown = plots.plot_calls(f"$\\frac{{{hostile}", "TensorFlow", values, values)
    assert "<script" not in shown.html()
