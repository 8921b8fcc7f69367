"""The picture of the recipes: every number of the table in words, and the bars in its order."""

import base64
import re

import pytest
from matplotlib import image

from varhandle.evaluate.latency import Latency
from varhandle.evaluate.recipe_comparison import MeasuredFile, RecipeTable
from workbook_lib import show


def row(name, size, right, milliseconds):
    latency = Latency(milliseconds, milliseconds * 0.9, milliseconds * 1.2, 100)
    return MeasuredFile(name, size, right, 0, latency)


@pytest.fixture
def table():
    rows = (row("float32", 19176, 351, 0.0023), row("<16x8>", 10008, 350, 0.0275))
    return RecipeTable(rows, 360)


def test_the_words_hold_every_number(table):
    words = show.plot_recipes(table).text()
    for part in (
        "float32: 19,176 bytes, 351 of 360 right, median 2.3 µs (quartiles 2.1 to 2.8)",
        "<16x8>: 10,008 bytes, 350 of 360 right, median 27.5 µs (quartiles 24.8 to 33.0)",
    ):
        assert part in words


def test_the_picture_has_its_words_as_alt_text(table, tmp_path):
    page = show.plot_recipes(table).html()
    assert "&lt;16x8&gt;: 10,008 bytes" in re.search(r'<img alt="([^"]*)"', page)[1]
    path = tmp_path / "plot.png"
    path.write_bytes(base64.b64decode(re.search(r"base64,([^\"]+)", page)[1]))
    height, width, _ = image.imread(path).shape
    assert width > 2 * height


@pytest.fixture
def drawn(monkeypatch):
    """Return the figures that are turned into pictures."""
    import sys

    figures = []
    module = sys.modules["workbook_lib.show.recipe_plot"]
    real = module.picture
    monkeypatch.setattr(
        module, "picture", lambda figure, *words: figures.append(figure) or real(figure, *words)
    )
    return figures


def test_the_bars_are_as_long_as_the_values(table, drawn):
    show.plot_recipes(table)
    size, right, latency = drawn[0].axes
    widths = [
        [round(bar.get_width(), 3) for bar in axis.patches] for axis in (size, right, latency)
    ]
    assert widths == [[19.176, 10.008], [97.5, 97.222], [2.3, 27.5]]
    assert [label.get_text() for label in size.get_yticklabels()] == ["float32", "<16x8>"]
    assert size.yaxis_inverted()  # the first recipe is at the top
    assert {axis.get_xlim()[0] for axis in drawn[0].axes} == {0.0}  # so lengths can be compared


def test_whiskers_end_at_the_quartiles(table, drawn):
    show.plot_recipes(table)
    (lines,) = drawn[0].axes[2].collections
    ends = [sorted(point[0] for point in segment) for segment in lines.get_segments()]
    assert ends == [pytest.approx([2.07, 2.76]), pytest.approx([24.75, 33.0])]
