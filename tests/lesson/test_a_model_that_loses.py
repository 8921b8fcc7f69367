"""Lesson 28: answers to its exercise, the key of its prediction, and the cure of its card."""

import io

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure
from notebook_cells import assert_says

from varhandle.conversion.quantization_debugger import read_layer_statistics
from varhandle.evaluate.recipe_comparison import count_right
from workbook_lib.lesson.content import a_model_that_loses
from workbook_lib.samples import load_digits, load_fragile_classifier

STEPS = 'one["error"] / one["step"]'


def layers(line):
    return f"def float_layers(layers, limit):\n    {line}"


@pytest.mark.parametrize(
    ("returned", "status", "advice"),
    [
        ('[one["tensor"] for one in layers if one["error"] > limit]',
         "wrong", "in each layer's own unit"),
        (f"[one for one in layers if {STEPS} > limit]", "wrong", "a text"),
        (f'[one["op"] for one in layers if {STEPS} > limit]', "wrong", "These are ops"),
        (f'[one["tensor"] for one in layers if {STEPS} < limit]', "wrong", "below"),
        (f'[one["tensor"] for one in layers if {STEPS} <= limit]', "wrong", "below"),
        (f'[max(layers, key=lambda one: {STEPS})["tensor"]]', "wrong", "2 lie above"),
        ('[one["tensor"] for one in layers]', "wrong", "Yours names 6"),
        (f'[one["tensor"] for one in layers if {STEPS} >= limit]', "wrong", "at the limit"),
        (f'[one["tensor"].split(";")[0] for one in layers if {STEPS} > limit]',
         "wrong", "Yours names"),
        (f'max(layers, key=lambda one: {STEPS})["tensor"]', "wrong", "a list"),
        (f'[one["tensor"] for one in layers if {STEPS} > 0.5]', "wrong", "is not empty"),
        ('[one["tensor"] for one in layers if one["step"] > limit]', "wrong", "the size of a step"),
        ('[one["tensor"] for one in layers if one["error"] * one["step"] > limit]',
         "wrong", "in each layer's own unit"),
        ('[one["tensor"] for one in layers if one["step"] / one["error"] > limit]',
         "raised", "ZeroDivisionError"),
        ('[one["tensor"] for one in layers if round(one["error"] / one["step"]) > limit]',
         "wrong", "Yours names"),
        (f"[n for n, one in enumerate(layers) if {STEPS} > limit]", "wrong", "Yours names"),
        (f'{{one["tensor"]: {STEPS} for one in layers if {STEPS} > limit}}', "wrong", "a list"),
        (f'2 * [one["tensor"] for one in layers if {STEPS} > limit]', "wrong", "twice"),
        ("[]", "wrong", "none"),
        ('[one["tensor"] for one in layers if one["rmse"] > limit]', "raised", "KeyError"),
        ('[one["tensor"] for one in layers if one["error"] > limit * one["step"]]',
         "right", "beside the step"),
        (f'{{one["tensor"] for one in sorted(layers, key=lambda one: {STEPS}) if {STEPS} > limit}}',
         "right", "beside the step"),
    ],
)  # fmt: skip
def test_float_layers(outcome, returned, status, advice):
    source = layers(f"return {returned}")
    assert_says(outcome("a_model_that_loses/float-layers", source), advice, status)


@pytest.mark.parametrize(
    ("share", "word"), [(1.0, "all"), (0.81, "all"), (0.3, "some"), (0.05, "none"), (-0.1, "none")]
)
def test_what_is_left_of_a_loss_in_a_word(share, word):
    assert a_model_that_loses.share_left(share) == word


@pytest.fixture(scope="module")
def converters(tf):
    """Return what makes an int8 converter of the fragile classifier, and its calibration."""
    images, classifier = load_digits().train_images[:100], load_fragile_classifier()

    def dataset():
        return ([image[None]] for image in images)

    def converter():
        made = tf.lite.TFLiteConverter.from_keras_model(classifier)
        made.optimizations = [tf.lite.Optimize.DEFAULT]
        made.representative_dataset = dataset
        return made

    return converter, dataset


def test_the_cure_of_the_card_wins_back_what_int8_lost(tf, converters):
    converter, dataset = converters
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter(), debug_dataset=dataset
    )
    debugger.run()
    statistics = io.StringIO()
    debugger.layer_statistics_dump(statistics)
    worst = read_layer_statistics(statistics.getvalue()).worst(1)[0].tensor
    assert "strokes" in worst
    names = run_cure("a_model_that_loses", worst=worst, converter=converter(), dataset=dataset)
    digits = load_digits()
    lost, cured = (
        count_right(content, digits.test_images, digits.test_labels)
        for content in (converter().convert(), names["content"])
    )
    assert cured > lost + 20
    # What flows to the layer is still in int8, in steps of 6.67: the loss lay in its weights.
    _, edges = tensor_of_shape(names["content"], [1, 8, 8, 8])
    assert edges["quantization_parameters"]["scales"][0] == pytest.approx(6.67, abs=0.01)


def tensor_of_shape(content, shape):
    """Return an interpreter of a file, and the details of the tensor that has a shape."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    details = interpreter.get_tensor_details()
    [found] = (one for one in details if one["shape"].tolist() == shape and one["dtype"] == np.int8)
    return interpreter, found


def test_int8_rounds_away_the_weights_for_the_largest_channel(converters):
    converter, _dataset = converters
    interpreter, weights = tensor_of_shape(converter().convert(), [32, 3, 3, 8])
    lost = np.mean(interpreter.get_tensor(weights["index"]) == 0, axis=(0, 1, 2))
    model = load_fragile_classifier()
    edges = model.get_layer("edges")(load_digits().train_images[:100]).numpy().max(axis=(0, 1, 2))
    assert lost[edges.argmax()] == 1
    assert lost[edges.argmin()] < 0.1


def test_stretching_the_channels_changes_no_float_answer(tf):
    from data.train_fragile_classifier import FACTORS

    model, digits = load_fragile_classifier(), load_digits()
    stretched = model(digits.test_images).numpy()
    kernel, bias = model.get_layer("edges").get_weights()
    model.get_layer("edges").set_weights([kernel / FACTORS, bias / FACTORS])
    kernel, bias = model.get_layer("strokes").get_weights()
    model.get_layer("strokes").set_weights([kernel * FACTORS[:, np.newaxis], bias])
    np.testing.assert_allclose(model(digits.test_images).numpy(), stretched, atol=1e-4)
