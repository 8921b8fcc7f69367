"""Lesson 94: the keys of its prediction, what its quiz tells, and the cure of its card."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure

from workbook_lib.lesson.content import formats_side_by_side


@pytest.mark.parametrize(
    ("names", "key"), [([], ()), (["total", "calls"], ("calls", "total")), (["b", "b"], ("b",))]
)
def test_names_are_a_key_in_any_order(names, key):
    assert formats_side_by_side.in_order(names) == key


@pytest.fixture
def running_total(tf):
    class RunningTotal(tf.Module):
        def __init__(self):
            self.gain = tf.Variable(2.0, name="gain")
            self.total = tf.Variable(tf.zeros([4]), name="total")

        @tf.function(input_signature=[tf.TensorSpec([4], name="x")])
        def step(self, x):
            return {"sum": self.total.assign_add(self.gain * x)}

        @tf.function(input_signature=[tf.TensorSpec([], name="gain")])
        def turn(self, gain):
            return {"gain": self.gain.assign(gain)}

    return RunningTotal()


def test_the_cure_of_the_card_gives_the_first_value(running_total, tmp_path):
    made = run_cure("formats_side_by_side", module=running_total, folder=str(tmp_path))
    step = Interpreter(model_content=made["content"]).get_signature_runner("step")
    assert step(x=np.ones(4, np.float32))["sum"].tolist() == [12, 22, 32, 42]


def test_what_a_second_signature_assigns_changes_for_the_first(tf, running_total):
    functions = [running_total.step, running_total.turn]
    functions = [function.get_concrete_function() for function in functions]
    content = tf.lite.TFLiteConverter.from_concrete_functions(functions, running_total).convert()
    interpreter = Interpreter(model_content=content)
    interpreter.get_signature_runner("turn")(gain=np.float32(5))
    step = interpreter.get_signature_runner("step")
    assert step(x=np.ones(4, np.float32))["sum"].tolist() == [5, 5, 5, 5]
