"""Lesson 34: answers to its exercise, the key of its prediction, and the cure of its card."""

import textwrap

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure
from notebook_cells import EXERCISES, assert_says

from workbook_lib.lesson.checks import train_on_the_device as check
from workbook_lib.lesson.content import train_on_the_device as content
from workbook_lib.samples import load_digits

OPEN = "tf.cast(x > 0, tf.float32) * tf.cast(x < 6, tf.float32)"


def custom(gradient, forward="tf.nn.relu6(x)"):
    body = textwrap.indent(textwrap.dedent(gradient).strip(), " " * 8)
    return (
        "@tf.custom_gradient\ndef relu6(x):\n    def gradient(upstream):\n"
        f"{body}\n    return {forward}, gradient\n"
    )


def finished(lets_through):
    """Write the line that the stub lacks."""
    stub = EXERCISES["train_on_the_device/relu6"].stub
    return stub.replace("lets_through = ...", f"lets_through = {lets_through}")


def plain(returned):
    return f"def relu6(x):\n    return {returned}\n"


@pytest.mark.parametrize(
    "code",
    [
        finished("(x > 0) & (x < 6)"),
        finished("tf.logical_and(x > 0, 6 > x)"),
        finished("tf.abs(x - 3) < 3"),
        finished("tf.nn.relu6(x) == x"),
        finished(OPEN),
        custom(f"return upstream * {OPEN}"),
        custom("return tf.where((x > 0) & (x < 6), upstream, tf.zeros_like(upstream))"),
        custom("return upstream * tf.cast(tf.abs(x - 3) < 3, tf.float32)"),
        custom(f"return upstream * {OPEN}", forward="tf.clip_by_value(x, 0, 6)"),
        custom("return upstream * tf.cast(tf.nn.relu6(x) == x, tf.float32)"),
        custom("return tf.map_fn(lambda b: b[1] * tf.cast((b[0] > 0) & (b[0] < 6), tf.float32), "
               "(x, upstream), fn_output_signature=tf.float32)"),
        "def relu6(x):\n"
        f"    return tf.nn.relu6(x), lambda upstream: upstream * {OPEN}\n"
        "relu6 = tf.custom_gradient(relu6)\n",
        plain("tf.minimum(tf.maximum(x, 0.0), 6.0)"),
        plain("tf.clip_by_value(x, 0.0, 6.0)"),
        plain("tf.where(x < 0, 0.0, tf.where(x > 6, 6.0, x))"),
        plain("tf.maximum(x, 0.0) - tf.maximum(x - 6.0, 0.0)"),
    ],
)  # fmt: skip
def test_ways_to_learn_through_relu6(outcome, code):
    assert_says(outcome("train_on_the_device/relu6", code), "made of builtin ops", "right")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (finished("x > 0"), "`x` is 20"),
        (finished("x < 6"), "`x` is -3"),
        (finished("(x > 0) | (x < 6)"), "Where is `relu6` flat"),
        (finished("tf.nn.relu6(x)"), "*changes*"),
        (finished("(x < 0) | (x > 6)"), "How much does `relu6` change there"),
        (custom("return upstream * tf.cast(x > 0, tf.float32)"), "`x` is 20"),
        (custom("return upstream * tf.cast(x < 6, tf.float32)"), "`x` is -3"),
        (custom(f"return {OPEN}"), "what is `upstream` for"),
        (custom(f"return -upstream * {OPEN}"), "sign"),
        (custom("return upstream * tf.nn.relu6(x)"), "*changes*"),
        (custom("return upstream"), "Where is `relu6` flat"),
        (custom("return upstream * (x > 0) * (x < 6)"), "of booleans"),
        (custom("return upstream * x"), "How much does `relu6` change there"),
        (custom(f"return tf.reduce_sum(upstream * {OPEN})"), "has the shape ()"),
        (custom("return tf.raw_ops.Relu6Grad(gradients=upstream, features=x)"), "tf.Relu6Grad"),
        (custom(f"return upstream * {OPEN}", forward="tf.nn.relu(x)"), "For 6.5 `relu6` is 6"),
        (custom(f"return upstream * {OPEN}", forward="x"), "For -3 `relu6` is 0"),
        (custom(f"return upstream * {OPEN}", forward="tf.reduce_sum(x)"), "the shape of `x`"),
        (custom("return tf.constant(upstream.numpy() * (abs(x.numpy() - 3) < 3))"),
         "cannot be traced for the converter"),
        (plain("tf.nn.relu6(x)"), "no builtin for tf.Relu6Grad"),
        (plain("tf.nn.relu(x)"), "For 6.5"),
        (plain("tf.stop_gradient(tf.nn.relu6(x))"), "No gradient comes out"),
        (plain("tf.nn.relu6(x).numpy()"), "No gradient comes out"),
        (plain("tf.round(tf.clip_by_value(x, 0.0, 6.0))"), "For 0.25"),
    ],
)  # fmt: skip
def test_wrong_gradients(outcome, code, told):
    assert_says(outcome("train_on_the_device/relu6", code), told)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (EXERCISES["train_on_the_device/relu6"].stub, "not attempted"),
        (plain("..."), "not attempted"),
        (finished("0 < x < 6"), "raised"),
        (finished("x > 0 and x < 6"), "raised"),
        (custom("return upstream * (x > 0 and x < 6)"), "raised"),
        (custom("return upstream * tf.cast(0 < x < 6, tf.float32)"), "raised"),
        (custom("return upstream * lets_through"), "raised"),
        (f"def relu6(x):\n    return tf.nn.relu6(x), lambda upstream: upstream * {OPEN}", "wrong"),
    ],
)
def test_what_is_no_gradient_at_all(outcome, code, status):
    result = outcome("train_on_the_device/relu6", code)
    assert result.status == status, result.advice
    assert "workbook_lib" not in result.advice


def test_the_slopes_of_the_check_are_tensorflows_own(tf):
    """The check's numbers, worked out by hand there, against the tape."""
    check._judge_slopes(np.asarray(check._gradient(tf.nn.relu6)))


@pytest.mark.parametrize(
    ("outcomes", "key"),
    [
        ({"relu": "refused at tf.ReluGrad", "maximum": "converted"}, (False, True)),
        ({"relu": "converted"}, (True,)),
    ],
)
def test_what_converted_is_read_off_the_outcomes(outcomes, key):
    assert content.converted(outcomes) == key


def test_the_cure_of_the_card_converts_and_learns_as_tensorflow_does(tf):
    class Cured(tf.Module):
        def __init__(self):
            weights = np.random.default_rng(3).normal(0, 0.2, [64, 10])
            self.w1, self.b1 = tf.Variable(weights, dtype=tf.float32), tf.Variable(tf.zeros([10]))

        @tf.function(input_signature=[tf.TensorSpec([32, 64], name="images")])
        def train(self, images):
            names = {"w1": self.w1, "b1": self.b1, "images": images, "rate": 0.1}
            with tf.GradientTape() as tape:
                hidden = run_cure("train_on_the_device", lines=slice(1), **names)["hidden"]
                loss = tf.reduce_mean(tf.square(hidden - 1))
            run_cure("train_on_the_device", lines=slice(1, 3), tape=tape, loss=loss, **names)
            return {"loss": loss}

    cured, images = Cured(), load_digits().train_images[:32].reshape(32, 64)
    functions = [cured.train.get_concrete_function()]
    made = tf.lite.TFLiteConverter.from_concrete_functions(functions, cured).convert()
    train = Interpreter(model_content=made).get_signature_runner()
    losses = [(float(train(images=images)["loss"]), float(cured.train(images)["loss"]))
              for _ in range(5)]  # fmt: skip
    assert np.allclose(*zip(*losses, strict=True), atol=1e-5)
    assert losses[-1][0] < losses[0][0]
