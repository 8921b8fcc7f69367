"""Freeze some variables of a function: what TensorFlow counts and runs is what is shown."""

import base64
import html
import re
from collections import Counter
from xml.etree import ElementTree

import pytest

from varhandle.conversion.freezing import freeze
from varhandle.inspection.dataflow import Box
from varhandle.inspection.graph_drawing import GraphDrawing
from workbook_lib import controls
from workbook_lib.controls.partial_freeze import boxes_without_equal

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def functions():
    import tensorflow as tf

    class Scale(tf.Module):
        def __init__(self):
            self.weight = tf.Variable([1.0, 2.0], name="weight")
            self.count = tf.Variable(0.0, name="count")

        @tf.function(input_signature=[tf.TensorSpec([2])])
        def counting(self, x):
            self.count.assign_add(1.0)
            return self.weight * x + self.count

        @tf.function(input_signature=[tf.TensorSpec([2])])
        def peek(self, x):
            return self.weight * x + self.count

    owner = Scale()
    made = {name: getattr(owner, name).get_concrete_function() for name in ("counting", "peek")}
    yield owner, made


def ops(function):
    return Counter(node.op for node in function.graph.as_graph_def().node)


def row(shown, op):
    return next((each.counts for each in shown.ops.rows if each.op == op), None)


def test_what_is_only_read_becomes_a_constant_and_the_rest_stays(functions):
    _, made = functions
    shown = controls.freeze_some(made["counting"], ["weight"])
    assert (shown.chosen, shown.left, shown.refusal) == (("weight",), ("count",), "")
    frozen = freeze(made["counting"], ["weight"])
    assert (frozen.variables, frozen.captured) == (1, 1)
    for op in ("ReadVariableOp", "AssignAddVariableOp", "Const", "Placeholder"):
        assert row(shown, op) == (ops(made["counting"])[op], ops(frozen.function)[op])
    assert row(shown, "ReadVariableOp") == (2, 1)
    lines = shown.text().splitlines()
    assert "gone: 1 variable, 1 ReadVariableOp" in lines
    assert "weight (constant float32 [2]), x (input float32) -> Mul" in lines


def test_a_function_that_is_frozen_in_part_still_runs_and_counts(functions):
    import numpy as np
    import tensorflow as tf

    owner, made = functions
    frozen = freeze(made["counting"], ["weight"]).function
    owner.weight.assign([7.0, 7.0])
    before = owner.count.numpy()
    feeds = {"x": tf.ones([2])}
    arguments = [
        owner.count.handle if spec.dtype == tf.resource else feeds["x"] for spec in frozen.inputs
    ]
    answer = frozen(*arguments)
    owner.weight.assign([1.0, 2.0])
    np.testing.assert_allclose(answer[0], [before + 2, before + 3])  # the weight of that moment
    assert owner.count.numpy() == before + 1


@pytest.mark.parametrize("chosen", [["count"], ["weight", "count"]])
def test_what_is_assigned_is_refused_in_the_words_of_tensorflow(functions, chosen):
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    _, made = functions
    with pytest.raises(ValueError, match="incompatible with expected resource") as refused:
        convert_variables_to_constants_v2(made["counting"])
    shown = controls.freeze_some(made["counting"], chosen)
    assert shown.refusal == str(refused.value)
    assert shown.assigned == ("count",)
    assert repr(shown) == "PartialFreeze(Refused: the function assigns count)"


def test_a_function_that_only_reads_freezes_whole(functions):
    shown = controls.freeze_some(functions[1]["peek"], ["weight", "count"])
    assert (set(shown.chosen), shown.left) == ({"weight", "count"}, ())
    assert row(shown, "ReadVariableOp") == (2, 0)
    lines = shown.text().splitlines()
    assert {"gone: 2 variables, 2 ReadVariableOp", "new: 2 constants"} <= set(lines)


def test_nothing_chosen_changes_nothing(functions):
    shown = controls.freeze_some(functions[1]["counting"], [])
    assert shown.left == ("count", "weight")
    assert "gone: nothing\nnew: nothing\n" in shown.text()


def test_what_is_gone_and_new_is_marked_by_a_word_in_both_pictures(functions):
    shown = controls.freeze_some(functions[1]["counting"], ["weight"])
    images = re.findall(
        r'<img alt="([^"]*)"[^>]*src="data:image/svg\+xml;base64,([^"]+)"', shown.html()
    )
    gone = boxes_without_equal(shown.before, shown.after)
    new = boxes_without_equal(shown.after, shown.before)
    assert [box.kind for box in gone] == ["variable", "read"] and [box.kind for box in new] == [
        "constant"
    ]
    for (alt, encoded), drawing, word, boxes in zip(
        images, (shown.before, shown.after), ("gone", "new"), (gone, new), strict=True
    ):
        root = ElementTree.fromstring(base64.b64decode(encoded))
        assert [text.text for text in root.iter(f"{SVG}text")].count(word) == len(boxes)
        assert html.unescape(alt).split("; ") == drawing.text().splitlines()


def drawn(*boxes):
    return GraphDrawing("Flow", tuple(boxes))


def test_one_of_two_equal_boxes_is_gone():
    one, again = Box("one", "op", "MatMul"), Box("again", "op", "MatMul #2")
    assert boxes_without_equal(drawn(one, again), drawn(one)) == [again]
    assert boxes_without_equal(drawn(one), drawn(one, again)) == []


def test_the_read_that_is_gone_is_that_of_the_variable_that_is_gone():
    """Two reads of one op, one of a variable that stays: the other one is marked."""
    weight, count = (Box(f"variable {name}", "variable", name) for name in ("weight", "count"))
    first = Box("a", "read", "ReadVariableOp", "", (weight.id,), (), weight.id)
    second = Box("b", "read", "ReadVariableOp #2", "", (count.id,), (), count.id)
    left = Box("c", "read", "ReadVariableOp", "", (count.id,), (), count.id)
    gone = boxes_without_equal(drawn(weight, count, first, second), drawn(count, left))
    assert gone == [weight, first]


def test_an_unknown_variable_is_answered_with_those_that_there_are(functions):
    with pytest.raises(KeyError, match="no variable 'bias'; there are: count, weight"):
        controls.freeze_some(functions[1]["counting"], ["bias"])


def test_a_headless_run_freezes_what_is_only_read(functions):
    assert repr(controls.freeze_chooser(functions[1]["counting"])) == (
        "PartialFreeze(Frozen: weight; left as a variable: count)"
    )


def test_the_controls_offer_each_variable_and_freeze_at_once(functions, watched):
    boxes, answer, *_ = controls.freeze_chooser(functions[1]["counting"]).children
    ticked = {box.description: box.value for box in boxes.children}
    assert ticked == {"freeze count": False, "freeze weight": True}
    assert "Frozen: weight" in answer.value
    boxes.children[0].value = True
    assert "incompatible with expected resource" in answer.value
    boxes.children[0].value = boxes.children[1].value = False
    assert "Frozen: nothing" in answer.value


def test_all_is_frozen_at_first_where_all_is_only_read(functions, watched):
    boxes, answer, *_ = controls.freeze_chooser(functions[1]["peek"]).children
    assert all(box.value for box in boxes.children)
    assert "Frozen: weight, count" in answer.value
