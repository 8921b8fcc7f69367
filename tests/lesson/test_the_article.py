"""Lesson 91: the keys of its predictions, and the cure of its card."""

import pytest
from lesson_cards import run_cure

from varhandle.sandbox import Record
from workbook_lib.lesson.content import the_article


@pytest.mark.parametrize(
    ("record", "key"),
    [
        (Record("ok"), "nowhere"),
        (Record("raised", line="model.add("), "model.add"),
        (Record("raised", line="file = converter.convert()"), "convert()"),
        (Record("raised", line="Interpreter(file)"), "Interpreter"),
        (Record("raised", line="import x"), "import x"),  # none of the options
    ],
)
def test_where_the_example_stops_is_read_off_the_record(record, key):
    assert the_article.stage_of(record) == key


@pytest.mark.parametrize(
    ("told", "key"), [("refused: ConverterError", None), (False, False), (True, True)]
)
def test_what_the_converter_did_is_read_off_what_was_told(told, key):
    assert the_article.answers_right(told) is key


@pytest.mark.parametrize("stateful", [False, True])
def test_the_cure_of_the_card_names_the_variable_that_stayed(tf, capfd, stateful):
    layers = [tf.keras.Input([2, 3], batch_size=1), tf.keras.layers.LSTM(2, stateful=stateful)]
    run_cure("the_article", model=tf.keras.Sequential(layers))
    assert ("VAR_HANDLE(" in capfd.readouterr().out) == stateful
