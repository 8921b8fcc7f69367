"""The answers of a model and of its file, drawn: what the words say is what was measured."""

import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot

from varhandle.repair.run import cure
from workbook_lib import show


@pytest.fixture(scope="module")
def cured(counting_file, tmp_path_factory):
    """The running total, its state carried by the caller."""
    path = tmp_path_factory.mktemp("model") / "counting.tflite"
    path.write_bytes(counting_file)
    inputs = {"x": np.linspace(0, 1, 24, dtype="float32").reshape(6, 4)}
    return cure(path, target="builtin-only", inputs=inputs)


def test_the_picture_says_in_words_what_it_shows(cured):
    drawn = show.plot_answers(cured)
    (name,) = cured.expected[0]
    assert drawn.alt.startswith(f"{name} over 6 calls: a line for each value as the file")
    assert "No dot is further from its line than 0.1% of the range." in drawn.text()
    assert drawn.alt.replace("&", "&amp;") in drawn.html()
    image = pyplot.imread(io.BytesIO(drawn.png))
    assert image[..., :3].min() < 0.5 < image[..., :3].max()  # ink on a ground
    assert repr(drawn).startswith("Picture(")


def shifted(cured, share, name):
    """Return the same with a reference from which the file is off by a share of the range."""
    values = np.stack([answer[name] for answer in cured.expected])
    away = [{name: answer[name].copy()} for answer in cured.expected]
    flat = away[2][name].reshape(-1)
    span = float(np.ptp(values))
    flat[0] += span * share  # inside of the range: the file's answers go on to grow
    return replace(cured, expected=away)


def test_the_distance_is_the_largest_one_as_a_share_of_the_range(cured):
    (name,) = cured.expected[0]
    assert "than 25.0% of the range" in show.plot_answers(shifted(cured, 0.25, name)).text()


def test_of_many_values_those_that_change_most_are_plot(tf, save_module, tmp_path):
    class Wide(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([6], tf.float32, "x")])
        def __call__(self, x):
            return {"y": x * tf.constant([0.0, 5.0, 1.0, 4.0, 2.0, 3.0])}

    path = save_module(Wide())
    ramp = np.linspace(0, 1, 5, dtype="float32")[:, None] * np.ones([1, 6], "float32")
    made = cure(path, inputs={"x": ramp})
    drawn = show.plot_answers(made)
    assert "y over 5 calls, the 4 of its 6 values that change most: a line" in drawn.text()
    assert "as TensorFlow answers" in drawn.text()


def test_which_values_are_drawn(monkeypatch):
    from matplotlib.axes import Axes

    labels = []
    plot = Axes.plot
    monkeypatch.setattr(
        Axes, "plot", lambda self, *a, **k: (labels.append(k.get("label")), plot(self, *a, **k))[1]
    )
    values = np.linspace(0, 1, 5)[:, None] * np.array([0.0, 5.0, 1.0, 4.0, 2.0, 3.0])
    from workbook_lib.show.answer_plot import _plot

    _plot("y", "TensorFlow", values, values)
    assert [label for label in labels if label] == ["value 1", "value 3", "value 4", "value 5"]


@pytest.mark.parametrize("values", [np.array(["a"]), np.float32([np.nan]), np.float32([])])
def test_what_cannot_be_drawn_is_said(cured, values):
    (name,) = cured.expected[0]
    told = show.plot_answers(replace(cured, expected=[{name: values}] * len(cured.expected)))
    assert told.text() == "no picture: no output is of finite numbers in one shape"
    assert told.text() in told.html()
    assert repr(told) == f"Panel({told.text()})"


def test_a_file_that_cannot_be_called_is_no_error(cured):
    told = show.plot_answers(replace(cured, called=[{"x": np.zeros([9, 9, 9], "float32")}]))
    assert told.text().startswith("no picture: ")
    assert "\n" not in told.text()


def test_a_hostile_name_is_no_formula_and_no_markup(hostile):

    values = np.arange(4.0)[:, None]
    from workbook_lib.show.answer_plot import _plot

    drawn = _plot(f"$\\frac{{{hostile}", "TensorFlow", values, values)
    assert "<script" not in drawn.html()
