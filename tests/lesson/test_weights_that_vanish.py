"""Lesson 24: answers to its exercise, and the cure of its card."""

import numpy as np
import pytest
from lesson_cards import run_cure
from notebook_cells import assert_says

from varhandle import check_parity

OWNER = """
    def owner_of(model):
        owner = tf.Module()
        owner.held = {held}
        return owner
"""
RAW = "[v.value for v in model.variables]"
SERVICE = """
    class Service(tf.Module):
        def __init__(self, model):
            self.model = model

        @tf.function(input_signature=[tf.TensorSpec({shape}, name="image")])
        def __call__(self, image):
            return {{"digit": self.model(image)}}


    class CuredService(Service):
        def __init__(self, model):
            super().__init__(model)
            self._variables = {held}


    def owner_of(model):
        return CuredService(model)
"""


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ("model", "8 variables that nothing initializes"),
        ("model.variables", "8 variables that nothing initializes"),
        ("model.layers", "8 variables that nothing initializes"),
        ("None", "owns 0"),
        ("[v.value for v in model.trainable_variables]", "owns 6"),
        ("[v.value for v in model.non_trainable_variables]", "owns 2"),
        ("[tf.Variable(v.value) for v in model.variables]", "owns 0"),
        ("[tf.Variable(v) for v in model.get_weights()]", "owns 0"),
        ("model.get_weights()", "owns 0"),
        ("[v.numpy() for v in model.variables]", "owns 0"),
        ("[tf.constant(v.numpy()) for v in model.variables]", "owns 0"),
        ("model.variables[0].value", "owns 1"),
        ("[v.path for v in model.variables]", "owns 0"),
        ("(v.value for v in model.variables)", "owns 0"),
        ("[v.value.handle for v in model.variables]", "owns 0"),
        ("tf.function(model)", "owns 0"),
    ],
)
def test_wrong_owners(outcome, held, told):
    assert_says(outcome("weights_that_vanish/owner", OWNER.format(held=held)), told)


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("model", "8 variables that nothing initializes"),
        (RAW, "cannot be saved"),
        ("tf.Module", "cannot be saved"),
        ("{'held': " + RAW + "}", "cannot be saved"),
        ("tf.Module()", "owns 0"),
        ("tf.Module(), " + RAW, "cannot be saved"),
        ("tf.function(lambda x: model(x))", "a function, and no owner"),
        ("'owner'", "cannot be saved"),
    ],
)
def test_what_is_no_owner(outcome, returned, told):
    source = f"def owner_of(model): return {returned}"
    assert_says(outcome("weights_that_vanish/owner", source), told)


@pytest.mark.parametrize(
    "held",
    [
        "{v.path: v.value for v in model.variables}",
        "[v.value for v in model.weights]",
        "tuple(v.value for v in model.variables)",
        "[[v.value for v in layer.variables] for layer in model.layers]",
        RAW + " + [model]",
    ],
)
def test_other_owners_are_as_good(outcome, held):
    assert outcome("weights_that_vanish/owner", OWNER.format(held=held)).status == "right"


@pytest.mark.parametrize(
    "owner",
    [
        f"tf.train.Checkpoint(held={RAW})",
        f"type('Owner', (tf.Module,), {{'__init__': lambda self: setattr(self, 'v', {RAW})}})()",
        f"setattr(model, 'raw', {RAW}) or model",
    ],
    ids=["checkpoint", "class", "the model itself"],
)
def test_owners_of_another_class_are_as_good(outcome, owner):
    source = f"def owner_of(model): return {owner}"
    assert outcome("weights_that_vanish/owner", source).status == "right"


def test_an_owner_whose_attributes_have_the_names_of_the_variables_keeps_one_of_each_name(outcome):
    source = """
        def owner_of(model):
            owner = tf.Module()
            for variable in model.variables:
                setattr(owner, variable.name, variable.value)
            return owner
    """
    assert_says(outcome("weights_that_vanish/owner", source), "owns 6")


def test_the_service_of_the_lesson_is_an_owner(outcome):
    source = SERVICE.format(shape="[1, 8, 8, 1]", held=RAW)
    assert outcome("weights_that_vanish/owner", source).status == "right"


def test_an_owner_whose_own_function_does_not_fit_the_model_is_told_so(outcome):
    source = SERVICE.format(shape="[8, 4]", held=RAW)
    found = outcome("weights_that_vanish/owner", source)
    assert_says(found, "that stopped at ValueError")
    assert "owns" not in found.advice
    assert "left out" not in found.advice


def test_a_service_that_is_not_cured_is_no_owner(outcome):
    source = SERVICE.format(shape="[1, 8, 8, 1]", held="None")
    assert_says(outcome("weights_that_vanish/owner", source), "nothing initializes")


def test_an_owner_that_changes_the_values(outcome):
    source = """
        def owner_of(model):
            owner = tf.Module()
            owner.held = [v.value for v in model.variables]
            for variable in owner.held:
                variable.assign(tf.zeros_like(variable))
            return owner
    """
    assert_says(outcome("weights_that_vanish/owner", source), "as they are")


@pytest.mark.parametrize(
    "body",
    [
        "return model.variables.value",
        "owner = tf.Module(); owner.variables = model.variables; return owner",
        "owner = tf.Module(); owner.held = {v.value for v in model.variables}; return owner",
    ],
)
def test_an_owner_that_raises(outcome, body):
    source = f"def owner_of(model): {body}"
    assert_says(outcome("weights_that_vanish/owner", source), "", "raised")


def test_the_cure_of_the_card_keeps_the_weights(tf, tmp_path):
    class Service(tf.Module):
        def __init__(self, model):
            self.model = model

        @tf.function(input_signature=[tf.TensorSpec([1, 4])])
        def __call__(self, x):
            return self.model(x)

    x = tf.keras.Input([4])
    model = tf.keras.Model(x, tf.keras.layers.Dense(3)(x))
    module = Service(model)
    content = run_cure("weights_that_vanish", module=module, model=model, folder=str(tmp_path))
    assert check_parity(model, content["content"], [np.ones((1, 4), np.float32)]).passed
