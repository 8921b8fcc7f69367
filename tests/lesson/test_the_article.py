"""Lesson 91: answers to its exercise, and the keys of its prediction."""

import pytest
import tensorflow as tf
from notebook_cells import EXERCISES, assert_says

from varhandle.sandbox import Record
from workbook_lib.lesson.checks import the_article as checks
from workbook_lib.lesson.content import the_article

OTHER_MEND = "the_article/other-mend"
ADDED = """\
    model.add(dense(128, activation="softmax", use_bias=False, kernel_initializer=constant))
"""
TEN_UNITS = ('dense(128, activation="softmax"', 'dense(10, activation="softmax"')
TEN_COLUMNS = ("[10, 128]), name", "[10, 10]), name")
AS_RANDOM = "=tf.keras.initializers.RandomNormal(stddev=1.0)"
HIDDEN = 'dense(128, activation="relu"), '


def changed(*changes):
    """Return the solution, with parts of it replaced."""
    code = EXERCISES[OTHER_MEND].solution
    for old, new in changes:
        assert old in code
        code = code.replace(old, new)
    return code


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ([], "right", "[features, units]"),
        ([TEN_UNITS], "raised", "InvalidArgumentError"),
        ([TEN_COLUMNS], "raised", "InvalidArgumentError"),
        ([TEN_UNITS, TEN_COLUMNS], "wrong", "Leave the constant"),
        ([("    return model", "")], "wrong", "None"),
        ([("return model", "return model.layers")], "wrong", "the Keras model itself"),
        ([("return model", "return constant")], "wrong", "the Keras model itself"),
        ([("return model", "return start")], "wrong", "the Keras model itself"),
        ([(ADDED, "")], "wrong", "third layer"),
        ([(HIDDEN, "")], "wrong", "lost a layer"),
        ([(", kernel_initializer=constant", "")], "wrong", "random constant"),
        ([("=constant)", f"{AS_RANDOM})")], "wrong", "random constant"),
        ([("tf.random.normal([10, 128])", "tf.zeros([10, 128])")], "wrong", "random constant"),
        ([("tf.keras.Input([10]), ", "")], "wrong", "not built"),
        ([("dense(128, activation=\"softmax\"", "dense(64, activation=\"softmax\"")], "raised", ""),
        (
            [("    return", "    model.add(tf.keras.layers.Softmax())\n    return")],
            "right",
            "[features, units]",
        ),
        (
            [
                (
                    ADDED,
                    "    last = dense(128, use_bias=False, kernel_initializer=constant)\n"
                    "    model = tf.keras.Model(model.inputs, last(model.outputs[0]))\n",
                )
            ],
            "right",
            "[features, units]",
        ),
    ],
)  # fmt: skip
def test_other_mends(outcome, changes, status, told):
    assert_says(outcome(OTHER_MEND, changed(*changes)), told, status)


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


def test_a_model_in_place_of_the_function_is_told_so():
    model = tf.keras.Sequential([tf.keras.Input([10]), tf.keras.layers.Dense(10)])
    assert_says(checks.other_mend(model), "the function itself", "wrong")
