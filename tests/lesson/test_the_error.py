"""Lesson 11: answers to its exercise, the keys of its predictions, and the cure of its card."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure
from notebook_cells import EXERCISES, assert_says

from varhandle.sandbox import Record
from workbook_lib.lesson.content import the_error

KEEP = "the_error/keep-the-total"
STUB = EXERCISES[KEEP].stub
FLOAT = "tf.Variable(tf.zeros([4]))"
ADD = "self.total.assign_add(tf.cast(x, self.total.dtype))"
ANSWER = "return tf.cast(self.total, tf.float16)"
SHARED = "SHARED = tf.Variable(tf.zeros([4]))\n"


def kept(variable, *changes):
    """Write the line of the stub, and change other lines of it."""
    source = STUB.replace("...", variable)
    for before, after in changes:
        assert before in source
        source = source.replace(before, after)
    return source


@pytest.mark.parametrize(
    "answer",
    [
        kept(FLOAT),
        kept("tf.Variable([0.0] * 4, name='total')"),
        kept("tf.Variable(np.zeros(4, np.float32), trainable=False)"),
        kept(FLOAT, (f"{ADD}\n        return tf.cast(self.total,",
                     "total = self.total + tf.cast(x, 'float32')\n"
                     "        return tf.cast(self.total.assign(total),")),
    ],
    ids=["float32", "list", "numpy", "assign"],
)  # fmt: skip
def test_totals_of_any_style_are_right(outcome, answer):
    result = outcome(KEEP, answer)
    assert result.status == "right", result.advice


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (kept("tf.Variable(tf.zeros([4], tf.float16))"), "takes float16"),
        (kept("tf.Variable(tf.zeros([4], tf.bfloat16))"), "takes bfloat16"),
        (kept("tf.Variable(tf.zeros([4], tf.float64))"), "no builtin op adds in it"),
        (kept("tf.Variable(tf.zeros([4], tf.int32))"), "Where did the fractions go"),
        (kept("tf.Variable(tf.zeros([4], tf.int16))"), "Where did the fractions go"),
        (kept("tf.Variable(tf.ones([4]))"), "At which numbers does it start"),
        (kept(FLOAT, (ANSWER, "return tf.cast(self.total[:1], tf.float16)")), "the shape [1]"),
        (kept(FLOAT, (ADD, "pass")), "what is assigned"),
        (kept(FLOAT, (ANSWER, "return self.total.read_value()")), "answers in float32"),
        (kept(FLOAT, (ANSWER, "return {'total': tf.cast(self.total, tf.float16)}")),
         "Return one tensor"),
        (kept(FLOAT, ("TensorSpec([4], tf.float16)", "TensorSpec([4])")), "input signature"),
        (kept(FLOAT, ("@tf.function(input_signature=[tf.TensorSpec([4], tf.float16)])", "")),
         "no `tf.function`"),
        (kept("tf.zeros([4])"), "is to be a `tf.Variable`"),
        (SHARED + kept("SHARED"), "the file answers otherwise"),
        (SHARED + kept(FLOAT, (ADD, "SHARED.assign_add(tf.cast(x, 'float32'))"),
                       (ANSWER, "return tf.cast(SHARED, tf.float16)")), "cannot be saved"),
        (kept(FLOAT) + "\nHalfTotal = HalfTotal()", "the class, no instance"),
    ],
)  # fmt: skip
def test_totals_that_are_not_right_yet(outcome, answer, told):
    assert_says(outcome(KEEP, answer), told)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (kept("tf.Variable(tf.zeros([3]))"), "hape"),
        (kept("tf.Variable(tf.zeros([2, 4]))"), "hape"),
        (kept("tf.Variable(tf.zeros([4], tf.float8))"), "float8"),
    ],
)
def test_a_total_that_raises_is_said_to(outcome, answer, told):
    assert_says(outcome(KEEP, answer), told, "raised")


@pytest.mark.parametrize(
    ("record", "observed"),
    [
        (Record("raised"), "float16: the first fails"),
        (Record("raised", output="read in float16 converts\n"), "an assignment: the second fails"),
        (Record("ok", output="a converts\nb converts\nc converts\n"), "nothing: none fails"),
    ],
)
def test_where_it_stopped_is_read_off_what_was_printed(record, observed):
    assert the_error.PREDICTIONS[0].observed(record) == observed


def test_the_cure_of_the_card_converts_and_keeps_the_total(tf):
    class Cured(tf.Module):
        def __init__(self):
            run_cure("the_error", self=self, lines=slice(1))

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float16)])
        def __call__(self, x):
            return run_cure("the_error", self=self, x=x, lines=slice(1, 3))["answer"]

    cured = Cured()
    functions = [cured.__call__.get_concrete_function()]
    content = tf.lite.TFLiteConverter.from_concrete_functions(functions, cured).convert()
    call = Interpreter(model_content=content).get_signature_runner()
    answers = [next(iter(call(x=np.ones(4, np.float16)).values())) for _ in range(3)]
    assert [float(answer[0]) for answer in answers] == [1, 2, 3]
    assert answers[0].dtype == np.float16
