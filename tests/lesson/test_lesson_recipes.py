"""The chooser of recipes: controls that a keyboard reaches, and a plain call that does the same."""

import types

import pytest

from workbook_lib import lesson
from workbook_lib.lesson import recipes


@pytest.fixture
def watched(monkeypatch, tmp_path):
    """A kernel that somebody looks at."""
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(tmp_path / "progress.jsonl"))
    monkeypatch.setattr("IPython.get_ipython", lambda: types.SimpleNamespace(kernel=object()))


@pytest.fixture
def tried(monkeypatch):
    """Note what is tried, and answer at once."""
    calls = []

    def trial(recipe="int8", size=100):
        calls.append((recipe, size))
        if recipe == "16x8":
            raise RuntimeError("<no kernels>")
        return types.SimpleNamespace(html=lambda: f"<table>{recipe} {size}</table>")

    monkeypatch.setattr(recipes, "try_recipe", trial)
    return calls


def test_a_trial_says_what_came_of_it():
    trial = lesson.try_recipe("int8", 10)
    assert repr(trial).startswith("Trial(int8, calibrated with 10 digits: ")
    assert trial.total == 360 and trial.right >= 345
    assert trial.quantized.calls == 10
    assert f"{trial.right} of 360" in trial.text()
    assert f"{trial.widest.smallest:.1f} to {trial.widest.largest:.1f}" in trial.html()


def test_more_digits_may_find_a_wider_range():
    one, many = (lesson.try_recipe("int8", size).widest for size in (1, 500))
    assert many.largest - many.smallest > one.largest - one.smallest


def test_a_recipe_without_calibration_has_no_range():
    trial = lesson.try_recipe("float16", 10)
    assert trial.widest is None and trial.quantized.calls == 0
    assert "activations stay float32" in trial.text()
    assert "calibrated" not in repr(trial)


@pytest.mark.parametrize(
    ("recipe", "size", "words"),
    [
        ("int4", 10, "no recipe 'int4'; there are: float32, dynamic range"),
        ("int8", 0, "from 1 to 1437, and is not 0"),
        ("int8", 1438, "from 1 to 1437, and is not 1438"),
        ("int8", "many", "a whole number, and not 'many'"),
        ("int8", True, "a whole number, and not True"),
    ],
)
def test_a_choice_that_is_none_is_refused(recipe, size, words):
    with pytest.raises(ValueError, match=words):
        lesson.try_recipe(recipe, size)


def test_headless_the_chooser_gives_the_default_trial(monkeypatch, tried):
    monkeypatch.setenv("WORKBOOK_PROGRESS", "off")
    assert lesson.recipe_chooser().html() == "<table>int8 100</table>"


@pytest.fixture
def controls(watched, tried):
    return lesson.recipe_chooser()


def test_every_control_is_a_labelled_native_element(controls):
    from ipywidgets import Button, Dropdown

    recipe, size, button, answer = controls.children
    assert isinstance(recipe, Dropdown) and isinstance(size, Dropdown)
    assert isinstance(button, Button)
    assert (recipe.description, size.description) == ("Recipe:", "Calibration digits:")
    assert button.description == "Quantize"
    assert 'role="status"' in answer.value  # a screen reader says what comes of it


def test_the_button_tries_what_is_chosen(controls, tried):
    recipe, size, button, answer = controls.children
    recipe.value, size.value = "int8, float inputs", 10
    button.click()
    assert tried == [("int8, float inputs", 10)]
    assert "<table>int8, float inputs 10</table>" in answer.value
    assert not button.disabled


def test_the_size_is_for_recipes_that_calibrate(controls):
    recipe, size, _, _ = controls.children
    recipe.value = "float16"
    assert size.disabled
    recipe.value = "16x8"
    assert not size.disabled


def test_a_failure_is_told_and_the_button_stays_usable(controls):
    recipe, _, button, answer = controls.children
    recipe.value = "16x8"
    button.click()
    assert "RuntimeError: &lt;no kernels&gt;" in answer.value
    assert not button.disabled


def test_a_clock_counts_while_one_waits(controls, monkeypatch):
    import time

    seen = []
    monkeypatch.setattr(recipes, "_TICK", 0.02)

    def slow(recipe, size):
        time.sleep(0.2)
        return types.SimpleNamespace(html=lambda: "done")

    monkeypatch.setattr(recipes, "try_recipe", slow)
    _, _, button, answer = controls.children
    answer.observe(lambda change: seen.append(change["new"]), names="value")
    button.click()
    assert any("Quantizing: int8, 0 s" in words for words in seen)
    assert "done" in seen[-1]
