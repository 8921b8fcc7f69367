"""Lesson 31: answers to its exercise, its reader beside NumPy, and the cure of its card."""

import textwrap

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure
from notebook_cells import EXERCISES, assert_says, execute, load, source

from data import train_row_reader
from workbook_lib.samples import load_digits, load_row_reader, make_row_reader

STUB = EXERCISES["keep_a_state/mean"].stub
STEP = """
        self.total.assign_add(x)
        self.count.assign_add([1.0])
        return {"mean": self.total / self.count}
"""
GIVEN = "        return ..."
BOTH = "self.total.assign([0.0])\nself.count.assign([0.0])\n"
DONE = "return tf.constant(0)"
COUNT = "self.count.assign([0.0])"


def mean(reset, step=STEP, old="", new=""):
    """Fill in the class of the exercise; ``old`` becomes ``new`` in it."""
    bodies = [indented(body) for body in (reset, step)]
    assert STEP in STUB
    assert old in STUB
    assert GIVEN in STUB
    filled = STUB.replace(GIVEN, bodies[0]).replace(STEP, f"\n{bodies[1]}\n")
    return filled.replace(old, new) if old else filled


def finished(line):
    """Write the line of ``reset`` that the stub lacks."""
    return STUB.replace("return ...", line)


def indented(body):
    return textwrap.indent(textwrap.dedent(body).strip(), " " * 8)


@pytest.mark.parametrize(
    "code",
    [
        finished("return {'a': self.total.assign([0.0]), 'b': self.count.assign([0.0])}"),
        finished("return [v.assign_sub(v) for v in self.variables]"),
        finished("return self.total.assign(tf.zeros_like(self.total)), self.count.assign([0])"),
        finished("return self.total.assign([0.0]) + self.count.assign([0.0])"),
        mean(BOTH + 'return {"count": tf.identity(self.count)}'),
        mean(BOTH + "return self.count.read_value()"),
        mean(BOTH + DONE),
        mean(f"self.total.assign_sub(self.total)\nself.count.assign_sub(self.count)\n{DONE}"),
        mean(f"for variable in self.variables:\n    variable.assign(0 * variable)\n{DONE}"),
        mean("return {'total': self.total.assign([0.0]), 'count': self.count.assign([0.0])}"),
        mean(BOTH + "return 1"),
        mean(BOTH + "return tf.zeros([2, 3]), tf.constant('done')"),
    ],
)  # fmt: skip
def test_ways_to_reset(outcome, code):
    assert_says(outcome("keep_a_state/mean", code), "stayed in the file", "right")


def test_a_running_mean_in_one_variable_is_as_good(outcome):
    step = """
        self.count.assign_add([1.0])
        self.total.assign_add((x - self.total) / self.count)
        return {"mean": self.total + 0.0}
    """
    code = mean(BOTH + "return {'ok': tf.constant(1)}", step)
    assert_says(outcome("keep_a_state/mean", code), "stayed in the file", "right")


@pytest.mark.parametrize(
    ("reset", "told"),
    [
        (BOTH, "`reset` returns nothing"),
        ("self.total.assign([0.0])\nreturn self.count + 0.0", "the count went on"),
        ("self.count.assign([0.0])\nreturn self.count + 0.0", "the total went on"),
        (DONE, "`reset` changes nothing"),
        ("self.total, self.count = [0.0], [0.0]\n" + DONE, "has lost its variable"),
        ("total = self.total\ntotal = 0 * total\nreturn total", "`reset` changes nothing"),
        ("self.total.assign([0.0])\nself.count.assign([1.0])\n" + DONE, "yours is 1"),
        ("self.total.assign([1.0])\nself.count.assign([0.0])\n" + DONE, "yours is 3"),
        ("self.total.assign_sub([16.0])\nself.count.assign_sub([4.0])\n" + DONE, "yours is"),
        ("self.total.assign(0.0)\n" + DONE, "Error"),
        ("self.total.assign([0])\nself.count.assign([0])\nself.reset_all()\nreturn 1", "Error"),
        ("self.total = tf.Variable([0.0])\n" + DONE, "Error"),
        ("self.__init__()\n" + DONE, "Error"),
    ],
)  # fmt: skip
def test_wrong_resets(outcome, reset, told):
    result = outcome("keep_a_state/mean", mean(reset))
    assert_says(result, told, "raised" if told == "Error" else "wrong")


@pytest.mark.parametrize(
    ("code", "told", "status"),
    [
        (mean(BOTH + DONE, step='return {"mean": x}'), "the last number", "wrong"),
        (mean(BOTH + DONE, step="return x"), "of the name `mean`", "wrong"),
        (mean(BOTH + DONE, step="return {'mean': [x, x]}"), "of the name `mean`", "wrong"),
        (mean(BOTH + DONE, old="(tf.Module)"), "is to be a `tf.Module`", "wrong"),
        (mean(BOTH + DONE, old="def reset", new="def begin"), "of the name `reset`", "wrong"),
        (mean(BOTH + DONE, old="@tf.function(input_signature=[])"), "no `tf.function`", "wrong"),
        (finished("return {'total': [0.0]}"), "than a tensor under `total`", "wrong"),
        (finished("return tf.constant([0.0])"), "`reset` changes nothing", "wrong"),
        (finished("return 0 * self.total, 0 * self.count"), "`reset` changes nothing", "wrong"),
        (finished("return self.count.assign([0.0])"), "the total went on", "wrong"),
        (finished("return self.total.assign([0.0])"), "the count went on", "wrong"),
        (finished("self.total = self.count = [0.0]; " + DONE), "has lost its variable", "wrong"),
        (finished(f"return {COUNT}, self.total.assign([1.0])"), "yours is 3", "wrong"),
        (finished(f"return {COUNT}, self.total.assign(0.0)"), "Error", "raised"),
        (mean("..."), "Keep the mean", "not attempted"),
    ],
)  # fmt: skip
def test_other_classes(outcome, code, told, status):
    assert_says(outcome("keep_a_state/mean", code), told, status)


def test_an_instance_is_not_the_class(notebook_names):
    names = execute(mean(BOTH + "return 1"), notebook_names("31_keep_a_state"))
    assert_says(eval("check.mean(Mean())", names), "no instance")


@pytest.fixture(scope="module")
def reader_of_the_lesson(tf):
    """The module and the file that the lesson's own cell makes."""
    names = {"__name__": "cells"}
    for cell in ("imports", "row-reader", "convert-reader"):
        execute(source(load("31_keep_a_state.ipynb"), cell), names)
    return names


def test_every_step_of_the_reader_is_that_of_numpy(reader_of_the_lesson):
    interpreter = Interpreter(model_content=reader_of_the_lesson["reader_file"])
    step, reset = map(interpreter.get_signature_runner, ("step", "reset"))
    images = load_digits().test_images[:10]
    expected = softmax(train_row_reader.read_rows(load_row_reader(), images))
    rows_read = 0
    for image, answers in zip(images[..., 0], expected, strict=True):
        reset()
        for row, answer in zip(image, answers, strict=True):
            rows_read += 1
            told = step(row=row[np.newaxis])
            assert np.allclose(told["digit"][0], answer, atol=1e-5)
            assert told["rows"].item() == rows_read


def test_the_reader_that_other_lessons_begin_with_is_the_same(tf, reader_of_the_lesson):
    made = make_row_reader()
    functions = [made.step.get_concrete_function(), made.reset.get_concrete_function()]
    content = tf.lite.TFLiteConverter.from_concrete_functions(functions, made).convert()
    files = content, reader_of_the_lesson["reader_file"]
    runs = [Interpreter(model_content=file) for file in files]
    for image in load_digits().test_images[:3, ..., 0]:
        for row in image:
            ours, theirs = (run.get_signature_runner("step")(row=row[np.newaxis]) for run in runs)
            assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
        ours, theirs = (run.get_signature_runner("reset")() for run in runs)
        assert ours.keys() == theirs.keys()
        assert np.array_equal(ours["start"], theirs["start"])


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_the_cure_of_the_card_converts_both_and_resets(tf):
    model = make_row_reader()
    content = run_cure("keep_a_state", model=model)["content"]
    interpreter = Interpreter(model_content=content)
    step = interpreter.get_signature_runner("step")
    rows = load_digits().test_images[1, ..., 0][:, np.newaxis]
    first, *_ = [step(row=row)["digit"] for row in rows]
    assert not np.allclose(step(row=rows[0])["digit"], first, atol=1e-3)
    run_cure("keep_a_state", model=model, Interpreter=lambda model_content: interpreter)
    assert np.allclose(step(row=rows[0])["digit"], first, atol=1e-5)
