"""The exercises of notebook 05: typical mistakes, each with its advice."""

import textwrap

import numpy as np
import pytest
from notebook_cells import assert_says

from varhandle import quantized_ranges
from workbook_lib.lesson.checks import quantize as check


def pair(line, after="smallest, largest = min(smallest, 0.0), max(largest, 0.0)"):
    return f"def scale_and_zero_point(smallest, largest):\n    {after}\n    {line}"


@pytest.mark.parametrize(
    ("source", "status", "advice"),
    [
        (
            pair("s = (largest - smallest) / 255\n    return s, int(-128 - smallest / s)"),
            "wrong",
            "and not -128",
        ),
        (pair("s = (largest - smallest) / 256\n    return s, round(-128 - smallest / s)"),
         "wrong", "over 256"),
        (pair("s = (largest - smallest) / 255\n    return s, round(-128 - smallest / s)", "pass"),
         "wrong", "0.0 is not in it"),
        (pair("s = max(-smallest, largest) / 127\n    return s, 0"),
         "wrong", "the scale of a symmetric range"),
        (pair("s = (largest - smallest) / 255\n    return s, round(-smallest / s)"),
         "wrong", "as in uint8"),
        (pair("s = (largest - smallest) / 255\n    return s, -128 - smallest / s"),
         "wrong", "is an integer"),
        (pair("s = (largest - smallest) / 255\n    return round(-128 - smallest / s), s"),
         "wrong", "other way round"),
        (pair("return (largest - smallest) / 255"), "wrong", "Return two values"),
        (pair("return 1.0, 0"), "wrong", "how wide is the range"),
        (pair("return 1 / 0, 0"), "raised", "ZeroDivisionError"),
        (
            pair("s = np.float64(largest - smallest) / 255\n"
                 "    return s, int(np.floor(-128 - smallest / s + 0.5))"),
            "right", "cut off",
        ),
    ],
)  # fmt: skip
def test_pairs(outcome, source, status, advice):
    assert_says(outcome("quantize/scale-zero-point", source), advice, status)


def dataset(body):
    lines = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    return f"def balanced_dataset(images, labels):\n{lines}"


EACH = "for digit in range(10):\n    for image in images[labels == digit][:10]:\n        "


@pytest.mark.parametrize(
    ("source", "status", "advice"),
    [
        (dataset("for image in images[:100]:\n    yield [image[np.newaxis]]"),
         "wrong", "Do you choose by the label?"),
        (dataset(f"{EACH}yield image[np.newaxis]"), "wrong", "a list with one array"),
        (dataset(f"{EACH}yield [image]"), "wrong", "[1, 8, 8, 1]?"),
        (dataset(f"{EACH}yield (image[np.newaxis],)"), "wrong", "yields a tuple"),
        (dataset("while True:\n    yield [images[:1]]"), "wrong", "Where does it end?"),
        (dataset(f"{EACH}yield [image[np.newaxis] * 16]"), "wrong", "values from 0 to 1"),
        (dataset(f"{EACH}yield [image[np.newaxis].astype(np.float64)]"), "wrong", "float64"),
        (dataset(f"{EACH}yield [image[np.newaxis], digit]"), "wrong", "has one input"),
        (dataset(f"{EACH}yield [image[:, :, 0]]"), "wrong", "and not [1, 8, 8, 1]"),
        (dataset("for _ in range(2):\n    for digit in range(10):\n"
                 "        for image in images[labels == digit][:5]:\n"
                 "            yield [image[np.newaxis]]"),
         "wrong", "come twice"),
        (dataset("for digit in range(10):\n    for image in images[labels == digit][:5]:\n"
                 "        yield [image[np.newaxis]]"),
         "wrong", "It yields 50 images"),
        (dataset("yield [images[labels == 0][:1]]\nreturn"), "wrong", "It yields 1 images"),
        (dataset("return lambda: iter([])"), "wrong", "Call it"),
        (dataset("return iter([])"), "wrong", "yields nothing"),
        (dataset("return 7"), "wrong", "does your function `yield`?"),
        (dataset("print(images)"), "wrong", "`None`"),
        (dataset("yield [images[labels.index(3)]]"), "raised", "AttributeError"),
        (dataset("return [[image[None]] for digit in range(10)"
                 " for image in images[labels == digit][-10:]]"),
         "right", "its say"),
    ],
)  # fmt: skip
def test_datasets(outcome, source, status, advice):
    assert_says(outcome("quantize/balanced-dataset", source), advice, status)


def layers(line):
    return f"def float_layers(layers, limit):\n    {line}"


@pytest.mark.parametrize(
    ("source", "status", "advice"),
    [
        (layers("return [one.tensor for one in layers if one.error > limit]"),
         "wrong", "in each layer's own unit"),
        (layers("return [one.layer for one in layers if one.steps > limit]"), "wrong", "labels"),
        (layers("return [one for one in layers if one.steps > limit]"), "wrong", "a text"),
        (layers("return [one.tensor for one in layers if one.steps < limit]"), "wrong", "below"),
        (layers("return [max(layers, key=lambda one: one.steps).tensor]"),
         "wrong", "2 lie above"),
        (layers("return [one.tensor for one in layers]"), "wrong", "Yours names 5"),
        (
            layers("return [one.tensor for one in layers if one.steps >= limit]"),
            "wrong",
            "at the limit",
        ),
        (
            layers("return [one.tensor.split(';')[0] for one in layers if one.steps > limit]"),
            "wrong",
            "Yours names",
        ),
        (layers("return max(layers, key=lambda one: one.steps).tensor"), "wrong", "a list"),
        (layers("return [one.tensor for one in layers if one.steps > 0.5]"), "wrong", "empty"),
        (layers("return [one.tensor for one in layers if one.rmse > limit]"),
         "raised", "AttributeError"),
        (layers("return {one.tensor for one in layers if one.error / one.scale > limit}"),
         "right", "beside the step"),
    ],
)  # fmt: skip
def test_float_layers(outcome, source, status, advice):
    assert_says(outcome("quantize/float-layers", source), advice, status)


def test_the_check_agrees_with_the_converter(tf):
    """A range that TensorFlow calibrates has the scale and zero point that the check asks for."""

    class Shift(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([2])])
        def __call__(self, x):
            return tf.nn.relu(x) + x

    module = Shift()
    for smallest, largest in ((-2.0, 0.5), (2.0, 6.0), (-3.0, -1.0)):
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [module.__call__.get_concrete_function()], module
        )
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        sample = np.array([smallest, largest], np.float32)
        converter.representative_dataset = lambda sample=sample: iter([[sample]])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        (taken,) = quantized_ranges(converter.convert()).of_op("input")
        scale, zero_point = check._parameters(smallest, largest)
        assert taken.scale == pytest.approx(scale)
        assert taken.zero_point == zero_point
