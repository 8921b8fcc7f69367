"""TensorFlow Lite Micro, which runs on microcontrollers: the lifted and the stateful file on it."""

import numpy as np
import pytest
from stateful_modules import convert, modules

from varhandle.evaluate.stateful_parity import MICRO, CarriedState, compare_file
from varhandle.tflite.externalize_state import lift_state

STEPS = 20

pytest.importorskip(
    "tflite_micro",
    reason="tflite-micro is not installed: pip install --editable .[runtimes], on Linux x86-64",
)


@pytest.fixture(scope="module")
def made(tf):
    """Modules whose step takes ``x``: an average, a state in branches, two that change places."""

    class Swap(tf.Module):
        """Outputs that are inputs, without any op between them."""

        signatures = ("step",)

        def __init__(self):
            super().__init__()
            self.a, self.b = tf.Variable(1.0, name="a"), tf.Variable(2.0, name="b")

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
        def step(self, x):
            before = self.a.read_value()
            self.a.assign(self.b)
            self.b.assign(before)
            return {"y": self.a * x}

    return {"Leaky": modules(tf).Leaky, "Branch": modules(tf).Branch, "Swap": Swap}


@pytest.fixture(scope="module")
def content(tf, made):
    """Convert each module once."""
    return {name: convert(tf, module()) for name, module in made.items()}


def inputs(name):
    shape = (STEPS, 1, 4) if name == "Leaky" else (STEPS,)
    values = np.random.default_rng(0).standard_normal(shape).astype("float32")
    return [{"x": np.asarray(value)} for value in values]


@pytest.mark.parametrize("lift", [False, True], ids=["stateful", "lifted"])
@pytest.mark.parametrize("name", ["Leaky", "Branch", "Swap"])
def test_it_answers_as_tensorflow_does(made, content, name, lift):
    lifted = lift_state(content[name]) if lift else None
    module, calls = made[name](), inputs(name)
    expected = [{k: v.numpy() for k, v in module.step(**call).items()} for call in calls]
    file = lifted.content if lifted else content[name]
    state = CarriedState.of(lifted, "step")
    parity = compare_file(file, calls, expected, "step", state, micro=True)
    assert parity.run(MICRO).agreeing == STEPS
    assert parity.passed
