"""Lesson 33: answers to its exercise, and the cure of its card."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure
from notebook_cells import assert_says

from workbook_lib.samples import load_digits, make_row_reader

COUNTER = """
class RowCounter(tf.Module):
    def __init__(self):
        self.count = {count}

    @tf.function(input_signature=[tf.TensorSpec([1, 8], name="row")])
    def step(self, row):
        {step}
        return {{"ink": tf.reduce_sum(row, axis=1), "rows": {rows}}}
"""
RIGHT = {
    "count": 'tf.Variable([0], name="count")',
    "step": "self.count.assign_add([1])",
    "rows": "tf.identity(self.count)",
}
ONES = "self.count.assign_add(tf.ones_like(self.count))"
"""As the stub has it."""


def counter(**changes):
    return COUNTER.format(**(RIGHT | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"step": ONES},
        {"step": ONES, "count": "tf.Variable(0, dtype=tf.int64)"},
        {"step": ONES, "count": "tf.Variable(np.zeros(1, int))"},
        {"rows": "tf.cast(self.count, tf.float32)"},
        {"count": "tf.Variable(0)", "step": "self.count.assign_add(1)"},
        {"count": "tf.Variable([0], dtype=tf.int64)"},
        {"count": "tf.Variable([[0]])", "step": "self.count.assign_add([[1]])"},
        {"step": "self.count.assign(self.count + 1)", "rows": "self.count + 0"},
        {"step": "rows = self.count.assign_add([1])", "rows": "rows"},
        {"count": "tf.Variable([1])", "step": "rows = self.count + 0; self.count.assign_add([1])",
         "rows": "rows"},
        {"count": "tf.Variable([1000])", "step": "self.count.assign_sub([1])",
         "rows": "1000 - self.count"},
    ],
)  # fmt: skip
def test_ways_to_count(outcome, changes):
    assert_says(outcome("state_in_int8/count", counter(**changes)), "computed as it is", "right")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"count": "tf.Variable([0.0])", "step": "self.count.assign_add([1.0])"},
            "right for 40 rows",
        ),
        ({"count": "tf.Variable([0.0])", "step": ONES}, "right for 40 rows"),
        ({"count": "tf.Variable([1])", "step": ONES}, "After row 1 it says 2"),
        ({"count": "tf.Variable([0], dtype=tf.int8)", "step": ONES}, "stops at tf.AddV2"),
        (
            {"step": "self.count.assign(tf.cast(tf.cast(self.count, tf.float32) + 1, tf.int32))"},
            "a float stand anywhere",
        ),
        ({"count": "tf.Variable([0], dtype=tf.int16)"}, "Which dtypes does a variable"),
        ({"count": "tf.Variable([0], dtype=tf.uint8)"}, "can be added?"),
        ({"count": "tf.Variable([0.0], dtype=tf.float64)"}, "can be added?"),
        (
            {"count": "tf.Variable([0.0], dtype=tf.float16)"},
            "Which dtypes does a variable",
        ),
        ({"step": "pass"}, "0 at every call: nothing is kept"),
        ({"step": "self.count = self.count + 1"}, "has lost its variable"),
        ({"count": "0", "step": "self.count += 1", "rows": "tf.constant([self.count])"}, "nothing"),
        ({"step": "rows = self.count + 0; self.count.assign_add([1])", "rows": "rows"}, "0, and"),
        ({"step": "self.count.assign_add([2])"}, "After row 1 it says 2"),
        ({"rows": "tf.stack([self.count, self.count])"}, "is to be one number"),
    ],
)
def test_wrong_counts(outcome, changes, told):
    assert_says(outcome("state_in_int8/count", counter(**changes)), told)


@pytest.mark.parametrize(
    ("old", "new", "told", "status"),
    [
        ('"rows":', '"count":', "`step` is to return", "wrong"),
        ("reduce_sum(row", "reduce_max(row", "`ink` is to be the sum", "wrong"),
        ("(tf.Module)", "", "is to be a `tf.Module`", "wrong"),
        ("assign_add([1])", "assign_add([1.0])", "", "raised"),
        ("assign_add([1])", "assign_add(row)", "", "raised"),
        ("self.count =", "self.total =", "count", "raised"),
        ('tf.Variable([0], name="count")', "...", "Count rows", "not attempted"),
    ],
)
def test_other_counters(outcome, old, new, told, status):
    source = counter()
    assert old in source
    assert_says(outcome("state_in_int8/count", source.replace(old, new)), told, status)


def test_the_cure_of_the_card_counts_on(tf):
    class Cured(tf.Module):
        def __init__(self):
            run_cure("state_in_int8", self=self, lines=slice(1))

        @tf.function(input_signature=[tf.TensorSpec([1, 8], name="row")])
        def step(self, row):
            run_cure("state_in_int8", self=self, lines=slice(1, 2))
            return {"rows": tf.identity(self.count), "ink": tf.reduce_sum(row)}

    rows = load_digits().train_images.reshape(-1, 1, 8)

    def converter(owner):
        functions = [owner.step.get_concrete_function()]
        made = tf.lite.TFLiteConverter.from_concrete_functions(functions, owner)
        made.optimizations = [tf.lite.Optimize.DEFAULT]
        made.representative_dataset = lambda: ([row] for row in rows[:40])
        return made

    def counted(content):
        step = Interpreter(model_content=content).get_signature_runner()
        return [float(np.squeeze(step(row=row)["rows"])) for row in rows[:300]]

    cured, reader = Cured(), make_row_reader()
    assert counted(converter(cured).convert()) == list(range(1, 301))
    assert max(counted(converter(reader).convert())) < 41
    with_sums = converter(reader)
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=with_sums,
        debug_dataset=with_sums.representative_dataset,
        debug_options=run_cure("state_in_int8", lines=slice(2, 3))["options"],
    )
    assert counted(debugger.get_nondebug_quantized_model())[-1] == 300
