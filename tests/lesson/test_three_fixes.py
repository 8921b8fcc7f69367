"""Lesson 12: answers to its exercise, the keys of its predictions, and the cure of its card."""

import textwrap

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure
from notebook_cells import assert_says

from varhandle.sandbox import Record
from workbook_lib.lesson.checks import isolated_conversion
from workbook_lib.lesson.content import three_fixes

MEND = "three_fixes/mend-the-update"
WHOLE = "self.window.assign(tf.concat([self.window[1:], x], axis=0))"
CAST = "return tf.cast(self.window, tf.float16)"
ONE = "@tf.function(input_signature=[tf.TensorSpec([1])])"


def window(*lines, init="", before=ONE, base="LastFour"):
    """Write a MyLastFour whose ``__call__`` has these lines."""
    body = textwrap.indent("\n".join(lines), "        ")
    made = f"    def __init__(self):\n        super().__init__()\n        {init}\n" if init else ""
    return f"class MyLastFour({base}):\n{made}    {before}\n    def __call__(self, x):\n{body}\n"


@pytest.mark.parametrize(
    "answer",
    [
        window(WHOLE, CAST),
        window(f"return tf.cast({WHOLE}, tf.float16)"),
        window("moved = tf.roll(self.window, -1, 0)",
               "self.window.assign(tf.tensor_scatter_nd_update(moved, [[3]], x))", CAST),
        window("first, second, third, fourth = tf.unstack(self.window)",
               "self.window.assign(tf.stack([second, third, fourth, x[0]]))", CAST),
        window("last = tf.constant([False, False, False, True])",
               "self.window.assign(tf.where(last, x, tf.roll(self.window, -1, 0)))", CAST),
        window("whole = tf.concat([self.older, x], 0)", "self.older.assign(whole[1:])",
               "return tf.cast(whole, tf.float16)", init="self.older = tf.Variable(tf.zeros([3]))"),
        window(WHOLE, CAST, base="tf.Module",
               init="self.window = tf.Variable(tf.zeros([4]), name='window')"),
    ],
    ids=["concat", "what-assign-returns", "roll", "unstack", "where", "three", "class-of-its-own"],
)  # fmt: skip
def test_whole_values_in_any_style_are_right(outcome, answer):
    result = outcome(MEND, answer)
    assert result.status == "right", result.advice


SLICES = ("self.window[:3].assign(self.window[1:])", "self.window[3:].assign(x)")
HALF = "self.window = tf.Variable(tf.zeros([4], tf.float16), name='window')"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (window(*SLICES, CAST), "A part is still assigned"),
        (
            window("self.window.assign(tf.roll(self.window, -1, 0))",
                   "self.window.scatter_nd_update([[3]], x)", CAST),
            "ResourceScatterNdUpdate",
        ),
        (window(WHOLE.replace("x]", "tf.cast(x, 'half')]"), "return self.window.read_value()",
                init=HALF), "in a dtype that the builtin ops do not take"),
        (window(WHOLE, "return self.window.read_value()"), "float32"),
        (window("self.window.assign(tf.concat([x, self.window[:3]], 0))", CAST), "comes first"),
        (window("return tf.cast(tf.concat([self.window[1:], x], 0), tf.float16)"), "has forgotten"),
        (window("self.window = tf.concat([self.window[1:], x], 0)", CAST), "has forgotten"),
        (window("self.window.assign(tf.concat([self.window[:3], x], 0))", CAST), "has forgotten"),
        (window("self.window.assign(tf.roll(self.window, -1, 0))",
                "self.window.assign_add(x * [0, 0, 0, 1.0])", CAST), "after the calls"),
        (window("self.window.assign_add(tf.repeat(x, 4))", CAST), "after the calls"),
        (window("old = self.window.read_value()", WHOLE, "return tf.cast(old, tf.float16)"),
         "as it was before"),
        (window(WHOLE, "return tf.cast(self.window[3:], tf.float16)"), "shape [1]"),
        (window("self.window.assign(tf.concat([self.window[1:], tf.cast(x, tf.int32)], 0))",
                CAST, init="self.window = tf.Variable(tf.zeros([4], tf.int32))"), "it answers"),
        (window(WHOLE, "return {'window': tf.cast(self.window, tf.float16)}"), "Return one tensor"),
        (window(WHOLE, "return tf.cast(self.window, tf.float16), x"), "Return one tensor"),
        (window(WHOLE, CAST, before=""), "stay a `tf.function`"),
        (window(WHOLE, CAST, before="@tf.function"), "input signature"),
        (window(WHOLE.replace("x]", "tf.cast(x, 'float32')]"), CAST,
                before="@tf.function(input_signature=[tf.TensorSpec([1], tf.float16)])"),
         "Keep LastFour's input signature"),
        (window("return tf.cast(tf.concat([tf.zeros([3]), x], 0), tf.float16)",
                base="tf.Module", init="self.window = [0, 0, 0]"), "`tf.Variable`"),
        (window(WHOLE, CAST) + "MyLastFour = MyLastFour()", "class itself"),
        (window(WHOLE, CAST).replace("    @", "    def __init__(self, dtype):\n"
                                     "        super().__init__()\n\n    @", 1), "no arguments"),
        (window(WHOLE), "returned `None`"),
    ],
)  # fmt: skip
def test_windows_that_are_not_right_yet(outcome, answer, told):
    assert_says(outcome(MEND, answer), told)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (window(WHOLE.replace("concat", "concatenate"), CAST), "concatenate"),
        (window("self.window.assign(tf.concat([self.window, x], 0))", CAST), "hape"),
    ],
)
def test_a_window_that_raises_is_said_to(outcome, answer, told):
    assert_says(outcome(MEND, answer), told, "raised")


def test_a_call_that_is_not_written_yet_is_not_attempted(outcome):
    for body in ("...", "pass", '"""Answer."""'):
        assert outcome(MEND, window(body)).status == "not attempted"


def test_a_conversion_that_hangs_is_not_told_as_a_refusal(outcome, monkeypatch):
    record = Record("timed out", message="ended: it ran longer than it may")
    monkeypatch.setattr(isolated_conversion, "run_source", lambda *_, **__: record)
    result = outcome(MEND, window(WHOLE, CAST))
    assert "refuses" not in result.advice
    assert "ran longer" in result.advice


LISTED = (
    "loc(x): 'tf.VarHandleOp' op is neither a custom op nor a flex op\n'tf.Other' op is neither"
)


@pytest.mark.parametrize(
    ("record", "key"),
    [
        (Record("ok"), ""),
        (Record("raised", message=LISTED), "tf.VarHandleOp"),
        (Record("raised", message="another error"), "another error"),  # none of the options
    ],
)
def test_the_op_that_is_named_first_is_read_off_the_message(record, key):
    assert three_fixes.named_first(record) == key


def test_the_cure_of_the_card_converts_and_keeps_the_window(tf):
    class Cured(tf.Module):
        def __init__(self):
            self.window = tf.Variable(tf.zeros([4]), name="window")

        @tf.function(input_signature=[tf.TensorSpec([1])])
        def __call__(self, x):
            run_cure("three_fixes", self=self, x=x)
            return self.window.read_value()

    cured = Cured()
    functions = [cured.__call__.get_concrete_function()]
    content = tf.lite.TFLiteConverter.from_concrete_functions(functions, cured).convert()
    call = Interpreter(model_content=content).get_signature_runner()
    answers = [next(iter(call(x=np.array([n], np.float32)).values())).tolist() for n in (1, 2, 3)]
    assert answers == [[0, 0, 0, 1], [0, 0, 1, 2], [0, 1, 2, 3]]
