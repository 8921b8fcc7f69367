"""A plot comes with words, and is closed once it is a picture."""

import base64
import re

import pytest
from matplotlib import image, pyplot

from workbook_lib.show import picture


@pytest.fixture
def figure():
    drawn, axes = pyplot.subplots(figsize=(3, 2))
    axes.plot([1, 2], [3, 4])
    yield drawn
    pyplot.close(drawn)


def test_the_html_holds_the_picture_and_its_words(figure, tmp_path):
    shown = picture(figure, alt='Size "falls"\nfrom 4 to 1', caption="size & accuracy")
    page = shown.html()
    assert 'alt="Size &quot;falls&quot; from 4 to 1"' in page
    assert "size &amp; accuracy" in page
    encoded = re.search(r"data:image/png;base64,([^\"]+)", page)[1]
    (tmp_path / "plot.png").write_bytes(base64.b64decode(encoded))
    pixels = image.imread(tmp_path / "plot.png")
    assert pixels.shape[0] > 100
    assert pixels[0, 0, :3].tolist() == [1, 1, 1]  # white, and not see-through


def test_the_text_is_the_words(figure):
    shown = picture(figure, alt="falls", caption="below")
    assert shown.text() == "picture: falls\nbelow"
    assert set(shown._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_the_figure_is_closed(figure):
    picture(figure, alt="falls")
    assert figure.number not in pyplot.get_fignums()


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_a_picture_without_words_is_refused(figure, alt):
    with pytest.raises(ValueError, match="alternative text"):
        picture(figure, alt=alt)
