"""Lesson 25: answers to its exercise, and the cure of its card."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure
from notebook_cells import EXERCISES, assert_says

WITHOUT_ADD = """
    def without_add(folder):
        converter = TFLiteConverter.from_saved_model(folder{keys})
        return {returned}
"""
RENAMED = """
    def renamed(folder):
        loaded = tf.saved_model.load(folder)
        given = {"peek": loaded.signatures["look"], "reset": loaded.signatures["reset"]}
        tf.saved_model.save(loaded, folder + "/renamed", signatures=given)
        return TFLiteConverter.from_saved_model(folder + "/renamed").convert()
"""
FROZEN = """
    def frozen(folder):
        loaded = tf.saved_model.load(folder)
        return TFLiteConverter.from_concrete_functions([loaded.signatures["look"]]).convert()
"""
ALL_BUT_ADD = ', signature_keys=["look", "reset"]'


@pytest.mark.parametrize(
    ("keys", "returned", "told"),
    [
        ("", "converter.convert()", "still has `add`"),
        (', signature_keys=["add", "look"]', "converter.convert()", "still has `add`"),
        (', signature_keys=["look"]', "converter.convert()", "`look` gives a constant"),
        (', signature_keys=["reset"]', "converter.convert()", "has no `look`"),
        (ALL_BUT_ADD, "converter", "Return the bytes"),
        (ALL_BUT_ADD, "b'TFL3'", "no `.tflite` file"),
        (ALL_BUT_ADD, "None", "returned `None`"),
        ("", "renamed(folder)", "Its signatures are: peek, reset"),
        (', signature_keys=["add"]', "converter.convert()", "still has `add`"),
        (', signature_keys=["add", "reset"]', "converter.convert()", "still has `add`"),
        (', signature_keys=["add", "look", "reset"]', "converter.convert()", "still has `add`"),
        (', signature_keys=None, tags=["serve"]', "converter.convert()", "still has `add`"),
        (", signature_keys=[]", "converter.convert()", "With an empty list"),
        (ALL_BUT_ADD, "converter.convert", "Return the bytes"),
        (ALL_BUT_ADD, "folder", "Return the bytes"),
        (ALL_BUT_ADD, "list(converter.convert())", "Return the bytes"),
        (ALL_BUT_ADD, "converter.convert()[:100]", "no `.tflite` file"),
        (ALL_BUT_ADD, "(converter.convert(), ['look', 'reset'])", "Return the bytes"),
        (ALL_BUT_ADD, "open(folder + '/saved_model.pb', 'rb').read()", "no `.tflite` file"),
        ("", "frozen(folder)", "has no `look`"),
    ],
)
def test_wrong_choices_of_signatures(outcome, keys, returned, told):
    source = WITHOUT_ADD.format(keys=keys, returned=returned) + RENAMED + FROZEN
    assert_says(outcome("signatures/keep-the-total", source), told)


@pytest.mark.parametrize(
    "keys", [', ["reset", "look"]', ', signature_keys=("look", "reset")'], ids=["order", "tuple"]
)
def test_other_ways_to_keep_the_total(outcome, keys):
    source = WITHOUT_ADD.format(keys=keys, returned="bytearray(converter.convert())")
    assert outcome("signatures/keep-the-total", source).status == "right"


def test_a_saved_model_of_two_signatures_keeps_the_total_as_well(outcome):
    source = """
        def without_add(folder):
            loaded = tf.saved_model.load(folder)
            given = {name: loaded.signatures[name] for name in ("look", "reset")}
            tf.saved_model.save(loaded, folder + "/two", signatures=given)
            return TFLiteConverter.from_saved_model(folder + "/two").convert()
    """
    assert outcome("signatures/keep-the-total", source).status == "right"


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (', signature_keys="look"', "Invalid signature key 'l'"),
        (', signature_keys=["look", "Reset"]', "Invalid signature key 'Reset'"),
        (', signature_key=["look", "reset"]', "TypeError"),
    ],
)
def test_keys_that_are_refused_raise(outcome, keys, told):
    source = WITHOUT_ADD.format(keys=keys, returned="converter.convert()")
    assert_says(outcome("signatures/keep-the-total", source), told, "raised")


def test_the_folder_of_the_notebook_is_not_that_of_the_check(outcome):
    source = f"""
import tempfile


class Other(tf.Module):
    def __init__(self):
        self.total = tf.Variable([0.0, 0.0])

    @tf.function(input_signature=[], autograph=False)
    def look(self):
        return {{"total": self.total + 0.0}}

    @tf.function(input_signature=[], autograph=False)
    def reset(self):
        self.total.assign([0.0, 0.0])
        return {{"total": self.total + 0.0}}


other, mine = Other(), tempfile.mkdtemp()
tf.saved_model.save(other, mine, signatures={{"look": other.look, "reset": other.reset}})
{EXERCISES["signatures/keep-the-total"].solution}
right = without_add


def without_add(folder):
    return right(mine)
"""
    assert_says(outcome("signatures/keep-the-total", source), "the folder that it is given")


def test_the_cure_of_the_card_gives_the_names_and_keeps_the_state(tf, tmp_path):
    class Tally(tf.Module):
        def __init__(self):
            self.total = tf.Variable(0.0)

        @tf.function(input_signature=[tf.TensorSpec([], name="x")])
        def add(self, x):
            return {"total": self.total.assign_add(x)}

        @tf.function(input_signature=[])
        def look(self):
            return {"total": self.total + 0.0}

    converter = run_cure("signatures", module=Tally(), folder=str(tmp_path))["converter"]
    interpreter = Interpreter(model_content=converter.convert())
    interpreter.get_signature_runner("add")(x=np.float32(3))
    assert interpreter.get_signature_runner("look")()["total"] == 3
