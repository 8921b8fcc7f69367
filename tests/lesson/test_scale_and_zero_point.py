"""Lesson 27: answers to its exercise, and the cure of its card."""

import numpy as np
import pytest
from lesson_cards import run_cure
from notebook_cells import EXERCISES, assert_says

from varhandle import quantized_ranges
from workbook_lib.lesson.checks import scale_and_zero_point as check
from workbook_lib.samples import load_classifier, load_digits


def pair(line, after="smallest, largest = min(smallest, 0.0), max(largest, 0.0)"):
    return f"def int8_parameters(smallest, largest):\n    {after}\n    {line}"


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
        (pair("s = round((largest - smallest) / 255, 4)\n    return s, round(-128 - smallest / s)"),
         "wrong", "which is rounded"),
        (pair("return 1 / 0, 0"), "raised", "ZeroDivisionError"),
        (pair("s = (largest - smallest) / 254\n    return s, round(-127 - smallest / s)"),
         "wrong", "over 254"),
        (pair("s = (largest - smallest) / 255\n    return s, round(-127 - smallest / s)"),
         "wrong", "and not -128"),
        (pair("s = (largest - smallest) / 255\n    return s, round(-128 + smallest / s)"),
         "wrong", "and not -128"),
        (pair("s = (largest - smallest) / 255\n    return s, 0"), "wrong", "and not -128"),
        (pair("s = (largest - smallest) / 255\n    return s, -128"), "wrong", "and not -128"),
        (pair("s = (largest - smallest) / 127\n    return s, round(-128 - smallest / s)"),
         "wrong", "how many steps"),
        (pair("s = (smallest - largest) / 255\n    return s, round(-128 - smallest / s)"),
         "wrong", "how wide is the range"),
        (pair("s = (largest - smallest) / 255\n    return s, round(-128 - smallest / s)",
              "smallest = min(smallest, 0.0)"),
         "wrong", "0.0 is not in it"),
        (pair("s = (largest - smallest) / 255\n"
              "    return {'scale': s, 'zero_point': round(-128 - smallest / s)}"),
         "wrong", "Return two values"),
        (pair("return 2 / 255, 0"), "wrong", "how wide is the range"),
        (pair("return str((largest - smallest) / 255), -128"), "wrong", "how wide is the range"),
        (pair("s = (largest - smallest) / 255\n"
              "    return [s, np.rint(127 - largest / s).astype(np.int8)]"),
         "right", "cut off"),
        (
            pair("s = np.float64(largest - smallest) / 255\n"
                 "    return s, int(np.floor(-128 - smallest / s + 0.5))"),
            "right", "cut off",
        ),
    ],
)  # fmt: skip
def test_pairs(outcome, source, status, advice):
    assert_says(outcome("scale_and_zero_point/int8-parameters", source), advice, status)


@pytest.mark.parametrize(
    ("zero_point", "status", "advice"),
    [
        ("-128 - smallest", "wrong", "and not -128"),
        ("(-128 - smallest) / scale", "wrong", "and not -128"),
        ("-128 - largest / scale", "wrong", "and not -128"),
        ("smallest / scale", "wrong", "and not -128"),
        ("(smallest + largest) / 2", "wrong", "and not -128"),
        ("-128 - smallest * scale", "wrong", "and not -128"),
        ("127 + smallest / scale", "wrong", "and not -128"),
        ("128 - smallest / scale", "wrong", "and not -128"),
        ("-smallest / scale", "wrong", "as in uint8"),
        ("abs(smallest / scale) - 128", "right", "cut off"),
        ("127 - largest / scale", "right", "cut off"),
        ("-0.5 - 255 * (smallest + largest) / (largest - smallest) / 2", "right", "cut off"),
    ],
)
def test_zero_points_in_the_stub(outcome, zero_point, status, advice):
    stub = EXERCISES["scale_and_zero_point/int8-parameters"].stub
    source = stub.replace("zero_point = ...", f"zero_point = {zero_point}")
    assert_says(outcome("scale_and_zero_point/int8-parameters", source), advice, status)


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


def test_the_cure_of_the_card_feeds_an_int8_file(tf):
    digits = load_digits()
    converter = tf.lite.TFLiteConverter.from_keras_model(load_classifier())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([one[None]] for one in digits.train_images[:50])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    given = """
        interpreter = Interpreter(model_content=content)
        runner = interpreter.get_signature_runner()
    """
    content, image = converter.convert(), digits.test_images[:1]
    names = run_cure("scale_and_zero_point", given, content=content, image=image)
    assert names["integers"].dtype == np.int8
    fed = names["integers"].astype(np.float32)
    np.testing.assert_allclose((fed + 128) / 255, digits.test_images[:1], atol=1 / 510)
    answer = names["runner"](image=names["integers"])["output_0"]
    assert answer.argmax() == digits.test_labels[0]
