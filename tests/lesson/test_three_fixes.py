"""Lesson 12: answers to its exercise, and the cure of its card."""

import textwrap

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure
from notebook_cells import EXERCISES, assert_says

from varhandle.sandbox import Record
from workbook_lib import lesson
from workbook_lib.lesson.checks import isolated_conversion

MEND = "three_fixes/mend-the-update"
STUB = EXERCISES[MEND].stub
ASSIGN = "self.window.assign(whole)"
ANSWER = "return self.window.read_value()"
CONCAT = "tf.concat([self.window[1:], x], axis=0)"
ONE = "@tf.function(input_signature=[tf.TensorSpec([1])])"


def window(*lines, init="", before=ONE, base="LastFour"):
    """Write a MyLastFour whose ``__call__`` has these lines."""
    body = textwrap.indent("\n".join(lines), "        ")
    made = f"    def __init__(self):\n        super().__init__()\n        {init}\n" if init else ""
    return f"class MyLastFour({base}):\n{made}    {before}\n    def __call__(self, x):\n{body}\n"


def whole(line):
    """Write the one line of the stub."""
    return STUB.replace("...", line)


@pytest.mark.parametrize(
    "answer",
    [
        whole(CONCAT),
        whole("tf.tensor_scatter_nd_update(tf.roll(self.window, -1, 0), [[3]], x)"),
        whole("tf.stack([*tf.unstack(self.window)[1:], x[0]])"),
        whole("tf.where([False, False, False, True], x, tf.roll(self.window, -1, 0))"),
        window(f"return self.window.assign({CONCAT})"),
        window("whole = tf.concat([self.older, x], 0)", "self.older.assign(whole[1:])",
               "return whole", init="self.older = tf.Variable(tf.zeros([3]))"),
        window(f"whole = {CONCAT}", ASSIGN, ANSWER, base="tf.Module",
               init="self.window = tf.Variable(tf.zeros([4]), name='window')"),
    ],
    ids=["concat", "scatter", "unstack", "where", "what-assign-returns", "three", "own-class"],
)  # fmt: skip
def test_whole_values_in_any_style_are_right(outcome, answer):
    result = outcome(MEND, answer)
    assert result.status == "right", result.advice


SLICES = ("self.window[:3].assign(self.window[1:])", "self.window[3:].assign(x)")
HALF = "self.window = tf.Variable(tf.zeros([4], tf.float16), name='window')"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (window(*SLICES, ANSWER), "A part is still assigned"),
        (
            window("self.window.assign(tf.roll(self.window, -1, 0))",
                   "self.window.scatter_nd_update([[3]], x)", ANSWER),
            "ResourceScatterNdUpdate",
        ),
        (window("self.window.assign(tf.concat([self.window[1:], tf.cast(x, 'half')], 0))",
                "return tf.cast(self.window, tf.float32)", init=HALF),
         "in a dtype that the builtin ops do not take"),
        (whole(CONCAT).replace(ANSWER, "return tf.cast(self.window, tf.float16)"),
         "answers in float16"),
        (whole("tf.concat([x, self.window[:3]], 0)"), "comes first"),
        (window(f"return {CONCAT}"), "has forgotten"),
        (window(f"self.window = {CONCAT}", "return self.window"), "lost its variable"),
        (whole("tf.concat([self.window[:3], x], 0)"), "Which three of the old window"),
        (whole("tf.roll(self.window, -1, 0) + x * [0, 0, 0, 2.0]"), "after the calls"),
        (whole("tf.repeat(x, 4)"), "after the calls"),
        (whole("self.window.read_value()"), "as it was before"),
        (window("old = self.window.read_value()", f"self.window.assign({CONCAT})", "return old"),
         "as it was before"),
        (whole(CONCAT).replace(ANSWER, "return self.window[3:]"), "shape [1]"),
        (whole(CONCAT).replace(ANSWER, "return {'window': self.window.read_value()}"),
         "Return one tensor"),
        (whole(CONCAT).replace(ANSWER, "return self.window.read_value(), x"), "Return one tensor"),
        (whole(CONCAT).replace(ONE, ""), "no `tf.function`"),
        (whole(CONCAT).replace("TensorSpec([1])", "TensorSpec([1], tf.float16)")
         .replace("x]", "tf.cast(x, tf.float32)]"), "input signature"),
        (window("return tf.concat([tf.zeros([3]), x], 0)", base="tf.Module",
                init="self.window = [0, 0, 0]"), "`tf.Variable`"),
        (whole(CONCAT) + "\nMyLastFour = MyLastFour()", "the class, no instance"),
        (whole(CONCAT).replace(ANSWER, ""), "returns nothing"),
    ],
)  # fmt: skip
def test_windows_that_are_not_right_yet(outcome, answer, told):
    assert_says(outcome(MEND, answer), told)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (whole(CONCAT.replace("concat", "concatenate")), "concatenate"),
        (whole("tf.concat([self.window, x], 0)"), "hape"),
        (whole(CONCAT).replace(ONE, "@tf.function"), "missing"),
        (window(f"return self.window.assign({CONCAT})").replace("    @", "    def __init__(self, "
         "dtype):\n        super().__init__()\n\n    @", 1), "missing"),
    ],
)  # fmt: skip
def test_a_window_that_raises_is_said_to(outcome, answer, told):
    assert_says(outcome(MEND, answer), told, "raised")


def test_a_call_that_is_not_written_yet_is_not_attempted(outcome):
    for body in ("...", "pass", '"""Answer."""'):
        assert outcome(MEND, window(body)).status == "not attempted"


def test_a_conversion_that_hangs_is_not_told_as_a_refusal(outcome, monkeypatch):
    record = Record("timed out", message="ended: it ran longer than it may")
    monkeypatch.setattr(isolated_conversion, "run_source", lambda *_, **__: record)
    result = outcome(MEND, whole(CONCAT))
    assert "refuses" not in result.advice
    assert "ran longer" in result.advice


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


@pytest.mark.parametrize(
    ("output", "observed"),
    [
        ("off: TF Select ops: VarHandleOp\n", "with Flex, and with custom ops"),
        ("flex: Select TensorFlow op(s) are not supported\n", "with all three"),
        ("flex: TF Select ops: A\ncustom: TF Select ops: A\noff: TF Select ops: A", "none"),
    ],
)  # fmt: skip
def test_what_was_written_is_told_by_who_refused(output, observed):
    seen = lesson.observe("three_fixes/which-write", Record("ok", output=output))
    assert observed in seen.text()


def test_a_cell_that_stopped_shows_nothing():
    stopped = Record("raised", output="defaults: TF Select ops: VarHandleOp\n")
    with pytest.raises(ValueError, match="three_fixes/which-write"):
        lesson.observe("three_fixes/which-write", stopped)
