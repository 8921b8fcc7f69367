"""Lesson 92: answers to its exercise, the keys of its prediction, and the cure of its card."""

import re

import numpy as np
import pytest
from lesson_cards import run_cure
from notebook_cells import assert_says

from varhandle.families.catalog import FAMILIES
from varhandle.matrix import version_matrix
from workbook_lib.lesson.checks import releases
from workbook_lib.lesson.content import prediction_question, quiz_questions
from workbook_lib.lesson.where_taught import place_of
from workbook_lib.show import version_grid


@pytest.mark.parametrize(
    ("answer", "told", "status"),
    [
        ("2.21.0", "earlier release", "wrong"),
        ("2.10", "earlier release", "wrong"),
        ("2.6", "does not say that it works", "wrong"),
        ("2.8.4", "does not say that it works", "wrong"),
        ("2.9.99", "not a column", "wrong"),
        ("2.9.0", "not a column", "wrong"),
        ("TensorFlow 2.10", "earlier release", "wrong"),
        ("", "not a column", "wrong"),
        (2.9, "as text", "wrong"),
        ([2, 9, 3], "as text", "wrong"),
        ("2.9.3", "on by default", "right"),
        ("2.9", "were not measured", "right"),
        ("TensorFlow 2.9.3", "on by default", "right"),
        ("v2.9 ", "on by default", "right"),
        ("tf 2.9", "on by default", "right"),
        ("tensorflow v2.9.3", "on by default", "right"),
        ("TF2.10.1", "earlier release", "wrong"),
    ],
)
def test_columns_of_the_matrix(answer, told, status):
    assert_says(releases.read_the_matrix(answer), told, status)


@pytest.mark.parametrize(
    ("outcomes", "key"),
    [
        (["works", "crash", "wrong"], "older"),
        (["error", "works"], "newer"),
        (["works", "error", "works"], "newer"),
        (["error", "refused"], "none"),
    ],
)
def test_outcomes_are_read_as_older_newer_or_none(outcomes, key):
    assert prediction_question("releases/older-helps").key_of(outcomes) == key


def test_the_grid_gives_no_answer_of_a_lesson_that_comes_after_it():
    drawn = {title for title, _ in version_grid(version_matrix.load()).cases}
    met = {
        place_of(family.id).file
        for family in FAMILIES
        for case in family.cases
        if case.title in drawn
    }
    assert met
    assert max(met) <= "92_releases.ipynb"


def test_the_quiz_has_the_words_of_the_grid_and_not_the_letters_that_stand_in_text_alone():
    """In a notebook the grid has marks, which are explained by these words."""
    told = " ".join(
        " ".join((one.text, *one.options, *one.options.values()))
        for one in quiz_questions("releases")
    )
    assert not re.search(r"\b[WERGC]\b", told)
    assert {"garbage", "refused", "error", "crash"} <= set(re.findall(r"\w+", told.lower()))


def test_the_cure_of_the_card_tells_a_right_file_from_one_that_answers_garbage(tf):
    x = np.ones((1, 3), np.float32)
    layers = [tf.keras.Input([3], name="x"), tf.keras.layers.Dense(2)]
    model, other = tf.keras.Sequential(layers), tf.keras.Sequential(layers[:1])
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    run_cure("releases", content=content, model=model, x=x)
    other.add(tf.keras.layers.Dense(2))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        run_cure("releases", content=content, model=other, x=x)
