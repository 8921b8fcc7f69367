"""Lesson 22: answers to its exercise, and the cure of its card."""

import numpy as np
import pytest
from lesson_cards import run_cure
from notebook_cells import assert_says

from varhandle.conversion.freezing import freeze

SERVING = """
    def serving_function(model):
        {before}
        function = tf.function(lambda x: {call})
        return {returned}
"""
CONCRETE = "function.get_concrete_function(tf.TensorSpec([None, 4]))"
ONE_ROW = CONCRETE.replace("None", "1")
NO_SPEC = "function.get_concrete_function()"
UNTRAINED = "model.trainable = False"
INFERENCE = "model(x, training=False)"
DIRECT = "tf.function(model).get_concrete_function(tf.TensorSpec([None, 4]){})"
FROZEN = f"freeze({CONCRETE}).function"


@pytest.mark.parametrize(
    ("before", "call", "returned", "status", "told"),
    [
        ("", "model(x, training=True)", CONCRETE, "wrong", "3 nodes, in drop and normalize"),
        (UNTRAINED, "model(x, training=True)", CONCRETE, "wrong", "1 node, in drop"),
        ("", INFERENCE, "function", "wrong", "get_concrete_function"),
        ("", INFERENCE, "model", "wrong", "concrete function"),
        ("", INFERENCE, f"freeze({CONCRETE})", "wrong", "before freezing"),
        ("", "model.layers[1](x)", CONCRETE, "wrong", "whole model"),
        ("", "model(x, training=False) * 2", CONCRETE, "wrong", "something else"),
        ("", INFERENCE, ONE_ROW, "wrong", "(1, 4)"),
        ("", "model(x)", "None", "wrong", "return"),
        ("", "model(x)", NO_SPEC, "raised", "TypeError"),
        # Nobody says the mode: right for a model that has none, and told so.
        ("", "model(x)", CONCRETE, "wrong", "outside `fit`, inference is the default"),
        ("", "model(x)", CONCRETE, "wrong", "3 nodes, in drop and normalize"),
        # An untrainable normalization is in inference mode, and a Dropout is not.
        (UNTRAINED, "model(x)", CONCRETE, "wrong", "1 node, in drop"),
        ("", "model(x)", DIRECT.format(", training=None"), "wrong", "3 nodes"),
        ("", "model(x, training=None)", CONCRETE, "wrong", "were built with `training=True`"),
        ("", "model(x)", DIRECT.format(""), "wrong", "For the first model it is right"),
        ("", "model(x)", DIRECT.format(", training=True"), "wrong", "in drop and normalize"),
        ("", "model.predict(x)", CONCRETE, "raised", ""),
        ("", "model(x, False)", CONCRETE, "raised", "TypeError"),
        ("", "model.layers[-1](model.layers[1](x))", CONCRETE, "wrong", "something else"),
        ("", "tf.nn.softmax(model(x, training=False))", CONCRETE, "wrong", "something else"),
        ("", "model(x[:1], training=False)", CONCRETE, "wrong", "something else"),
        ("model.set_weights([w * 0 for w in model.get_weights()])", INFERENCE, CONCRETE, "wrong",
         "something else"),
    ],
)  # fmt: skip
def test_functions_to_serve(outcome, *, before, call, returned, status, told):
    source = SERVING.format(before=before or "pass", call=call, returned=returned)
    assert_says(outcome("still_assigned/serving-function", source), told, status)


@pytest.mark.parametrize(
    ("before", "call", "returned"),
    [
        ("", INFERENCE, CONCRETE),
        ("", "model.call(x, training=False)", CONCRETE),
        ("", "", DIRECT.format(", training=False")),
        ("", "{'answer': model(x, training=False)}", CONCRETE),
        ("", INFERENCE, FROZEN),  # what is frozen can be frozen
        (
            "def call(x):\n            for layer in model.layers[1:]:\n"
            "                x = layer(x, training=False) if 'd' in layer.name[:1] else layer(x)\n"
            "            return x",
            "call(x)",
            CONCRETE,
        ),
    ],
    ids=["lambda", "call", "traced model", "dictionary", "frozen", "by layers"],
)
def test_other_functions_to_serve_are_as_good(outcome, before, call, returned):
    source = SERVING.format(before=before or "pass", call=call or "x", returned=returned)
    assert_says(outcome("still_assigned/serving-function", source), "In inference mode", "right")


def test_an_exported_model_has_its_mode_built_in(outcome):
    source = """
        import tempfile

        def serving_function(model):
            folder = tempfile.mkdtemp()
            model.export(folder, verbose=False)
            loaded = tf.saved_model.load(folder)
            function = loaded.signatures["serving_default"]
            function.loaded = loaded  # otherwise its variables go
            return function
    """
    assert_says(outcome("still_assigned/serving-function", source), "For the first model")


def test_the_cure_of_the_card_traces_a_function_that_freezes(tf):
    x = tf.keras.Input([4])
    model = tf.keras.Model(x, tf.keras.layers.BatchNormalization()(x, training=True))
    frozen = freeze(run_cure("still_assigned", model=model)["traced"]).function
    ones = np.ones((2, 4), np.float32)
    np.testing.assert_allclose(
        tf.nest.flatten(frozen(tf.constant(ones)))[0], model(ones, training=False), atol=1e-6
    )
