"""Trials of recipes: a table and a picture that grow, and the plain calls that do the same."""

import dataclasses
import re
import threading
import types

import pytest

from workbook_lib import controls
from workbook_lib.controls import recipes

RANGE = types.SimpleNamespace(smallest=-24.4, largest=12.4, scale=0.144)


def trial(name="int8", size=9000, right=351, calls=100, widest=RANGE, *, times=None):
    """A trial without a converter."""
    made = types.SimpleNamespace(
        recipe=types.SimpleNamespace(name=name), content=b"x" * size, calls=calls
    )
    return recipes.Trial(made, right, 360, widest, times)


FLOAT = trial("float32", 20_000, 352, 0, None)


@pytest.fixture
def tried(monkeypatch):
    """Note what is tried, and answer at once."""
    calls = []

    def answer(recipe, size, *, float32=None):
        calls.append((recipe, size, float32))
        if recipe == "16x8":
            raise RuntimeError("<no kernels>")
        if recipe == "float32":
            return dataclasses.replace(FLOAT, times_float32=float32 and 1.01)
        return trial(recipe, calls=size, times=float32 and 0.8)

    monkeypatch.setattr(recipes, "try_recipe", answer)
    return calls


def test_trials_are_set_beside_the_float32_file():
    trials = controls.compare_trials([("int8", 10), ("float16", 10)])
    float32, int8, float16 = trials.trials
    assert all(one.total == 360 for one in trials.trials)
    assert int8.right < float32.right - 20  # the model is made to lose in int8
    assert abs(float16.right - float32.right) <= 3
    assert (float32.quantized.calls, int8.quantized.calls, float16.quantized.calls) == (0, 10, 0)
    assert float16.widest is None
    rows = [re.split(r"  +", line.strip()) for line in trials.text().splitlines()[2:]]
    span = f"{int8.widest.smallest:.1f} to {int8.widest.largest:.1f}"
    assert rows[1][1:3] == ["int8", "10 digits"] and rows[1][-1].startswith(span)
    assert rows[2][1:3] == ["float16", "nothing"]
    assert rows[2][-1] == "none: activations stay float32"


def test_more_digits_may_find_a_wider_range():
    one, many = (recipes.try_recipe("int8", size).widest for size in (1, 500))
    assert many.largest - many.smallest > one.largest - one.smallest


def test_a_file_is_timed_beside_the_float32_file(monkeypatch):
    timed = []

    def compare(calls, runs):
        timed.extend(calls)
        for call in calls.values():
            call()
        return types.SimpleNamespace(ratio=lambda name: 0.5 if name == "this" else 1.0)

    monkeypatch.setattr("varhandle.evaluate.latency.compare_latency", compare)
    base = recipes.try_recipe("float32", 1)
    made = recipes.try_recipe("dynamic range", 1, float32=base)
    assert timed == ["float32", "this"]  # the first is the measure of the other
    assert made.times_float32 == 0.5


@pytest.mark.parametrize(
    ("recipe", "size", "words"),
    [
        ("int4", 10, "no recipe 'int4'; there are: 'float32', 'dynamic range'"),
        ("int8", 0, "from 1 to 1437, and is not 0"),
        ("int8", 1438, "from 1 to 1437, and is not 1438"),
    ],
)
def test_a_choice_that_is_none_is_refused(recipe, size, words):
    with pytest.raises(ValueError, match=words):
        recipes.try_recipe(recipe, size)


def test_trials_stand_beside_each_other():
    trials = controls.Trials((FLOAT, trial(size=9000)))
    header, _, *rows = trials.text().splitlines()
    assert "right of 360" in header
    assert rows[0].split()[:5] == ["1", "float32", "nothing", "20000", "1.00"]
    assert rows[1].split()[:7] == ["2", "int8", "100", "digits", "9000", "0.45", "351"]
    assert "times float32" not in header  # what was not timed is not stored
    timed = trials.with_trial(trial("16x8", times=11.5))
    assert "times float32" in timed.text() and "11.50" in timed.text()
    assert "not timed" in timed.text()


def test_a_choice_tried_again_is_measured_anew():
    trials = controls.Trials((FLOAT, trial(right=340), trial("16x8")))
    trials = trials.with_trial(trial(right=351))
    assert [one.title for one in trials.trials] == [
        "float32",
        "16x8, calibrated with 100 digits",
        "int8, calibrated with 100 digits",
    ]
    assert trials.trials[-1].right == 351


def marks(trials):
    axes = trials.figure().axes[0]
    return [
        (line.get_xdata()[0], line.get_ydata()[0], text.get_text().strip())
        for line, text in zip(axes.lines, axes.texts, strict=True)
    ]


def test_the_picture_puts_smaller_files_left_and_better_ones_up():
    trials = controls.Trials((FLOAT, trial("16x8", size=10_000, right=300)))
    assert marks(trials) == [(20_000, 352, "1"), (10_000, 300, "2")]
    axes = trials.figure().axes[0]
    assert axes.get_xlim()[0] == 0
    assert axes.get_ylim()[0] < 300 and axes.get_ylim()[1] > 352
    assert len(axes.get_xticks()) <= 7 and len(axes.get_yticks()) <= 9
    alt = re.search(r'<img[^>]* alt="(Size[^"]*)"', trials.html())[1]
    assert "1, float32: 20,000 bytes, 352 right; 2, 16x8, calibrated with 100 digits" in alt


@pytest.mark.parametrize("rights", [(360, 360), (351, 360), (0, 360)])
def test_no_accuracy_is_drawn_that_no_file_can_have(rights):
    trials = controls.Trials((trial("float32", right=rights[0]), trial(right=rights[1])))
    low, high = trials.figure().axes[0].get_ylim()
    assert 0 <= low < min(rights) + 1 and low < high == 360


def test_trials_on_one_spot_share_a_mark():
    trials = controls.Trials((FLOAT, trial(size=9000), trial("16x8", size=9020)))
    assert [label for _, _, label in marks(trials)] == ["1", "2, 3"]


def test_headless_the_chooser_gives_the_default_trial_without_times(monkeypatch, tried):
    monkeypatch.setenv("WORKBOOK_PROGRESS", "off")
    trials = controls.recipe_chooser()
    assert [one.quantized.recipe.name for one in trials.trials] == ["float32", "int8"]
    assert "times" not in trials.text()
    assert [call[2] for call in tried] == [None, None]


@pytest.fixture
def chooser(watched, tried):
    return recipes._Chooser()


def press(chooser):
    """Press Quantize, and wait until the trial is over."""
    chooser.work.start.click()
    chooser.work.wait(60)


def test_trials_join_the_table_beside_float32(chooser, tried):
    chooser.recipe.value, chooser.size.value = "int8, float inputs", 10
    press(chooser)
    assert [call[:2] for call in tried] == [("float32", 100), ("int8, float inputs", 10)]
    assert tried[1][2].title == "float32"  # timed against it
    assert "2, int8, float inputs" in chooser.shown.value
    assert "9,000 bytes, 0.45 of float32; 351 of 360 digits right, 1 fewer" in (
        chooser.work.status.value
    )
    chooser.recipe.value = "int8"
    press(chooser)
    assert tried[2][0] == "int8" and len(tried) == 3  # float32 is made once
    assert [one.title for one in chooser.trials.trials] == [
        "float32",
        "int8, float inputs, calibrated with 10 digits",
        "int8, calibrated with 10 digits",
    ]
    chooser.forget.click()
    assert chooser.shown.value == "" and chooser.trials is None and chooser.forget.disabled


def test_as_many_right_is_said_in_words(chooser, monkeypatch):
    monkeypatch.setattr(recipes, "try_recipe", lambda *a, **k: FLOAT)
    press(chooser)
    assert "digits right, as many as float32<" in chooser.work.status.value


def test_the_size_is_for_recipes_that_calibrate(chooser):
    chooser.recipe.value = "float16"
    assert chooser.size.disabled
    chooser.recipe.value = "16x8"
    assert not chooser.size.disabled


def test_a_failure_is_told_and_the_table_stays(chooser):
    press(chooser)
    before = chooser.shown.value
    chooser.recipe.value = "16x8"
    press(chooser)
    assert "RuntimeError: &lt;no kernels&gt;" in chooser.work.status.value
    assert chooser.shown.value == before and before


def test_a_cancelled_trial_leaves_the_table_as_it_is(chooser, monkeypatch):
    press(chooser)
    before = chooser.shown.value
    under_way, go = threading.Event(), threading.Event()

    def slow(recipe, size, *, float32):
        under_way.set()
        go.wait(60)
        return trial("float16")

    monkeypatch.setattr(recipes, "try_recipe", slow)
    chooser.work.start.click()
    assert under_way.wait(60)
    chooser.work.cancel.click()
    go.set()
    chooser.work.wait(60)
    assert "Cancelled" in chooser.work.status.value
    assert chooser.shown.value == before
    assert len(chooser.trials.trials) == 2
