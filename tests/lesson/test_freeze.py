"""Lesson 21: answers to its exercise, and the cure of its card."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure
from notebook_cells import EXERCISES, assert_says

OVER_CONSTANTS = """
    def constant_bytes(function):
        graph = function.graph.as_graph_def()
        constants = [node for node in graph.node if node.op == "Const"]
        arrays = [tf.make_ndarray(node.attr["value"].tensor) for node in constants]
        return {}
"""


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("sum(array.size for array in arrays)", "counts the values"),
        ("sum(array.size * 4 for array in arrays)", "four bytes for every value"),
        ("len(arrays)", "counts the nodes"),
        ("sum(node.ByteSize() for node in constants)", "its name included"),
        (
            'sum(len(n.attr["value"].tensor.tensor_content) for n in constants)',
            "stored in short form",
        ),
        ("[array.nbytes for array in arrays]", "one whole number"),
        ("np.array([array.nbytes for array in arrays])", "one whole number"),
        ("sum(a.nbytes for a in arrays if a.dtype == np.float32)", "leave out or add"),
        ("15272", "the function that it is given"),
        ("graph.ByteSize()", "the whole graph"),
        ('sum(n.attr["value"].tensor.ByteSize() for n in constants)', "dtype and shape included"),
        ("arrays[-1].nbytes", "leave out or add"),
        ("arrays[0].nbytes", "leave out or add"),
        ("f'{sum(array.nbytes for array in arrays)} bytes'", "one whole number"),
        ("sum(len(array.tobytes()) for array in arrays if array.ndim)", "leave out or add"),
        ("sum(array.itemsize for array in arrays)", "leave out or add"),
        ("sum(array.nbytes for array in arrays) / 1024", "one whole number"),
        (
            'sum(tf.make_ndarray(n.attr["value"].tensor).nbytes for n in graph.node'
            ' if n.attr["value"].tensor.dtype and n.op == "Const" and n.name[0] != "C")',
            "leave out or add",
        ),
        (
            "sum(v.numpy().nbytes for v in function.graph.variables)",
            "leave out or add",
        ),
        ("classifier.count_params() * 4", "NameError"),
    ],
)
def test_wrong_weights_of_constants(outcome, expression, told):
    found = outcome("freeze/constant-bytes", OVER_CONSTANTS.format(expression))
    assert_says(found, told, "raised" if told == "NameError" else "wrong")


@pytest.mark.parametrize(
    "expression",
    [
        "np.sum([array.nbytes for array in arrays])",
        "sum(len(array.tobytes()) for array in arrays)",
        "sum(array.size * array.itemsize for array in arrays)",
        "tf.add_n([tf.constant(array.nbytes) for array in arrays])",
        "float(sum(array.nbytes for array in arrays))",
        'sum(op.get_attr("value").ByteSize() * 0 + tf.make_ndarray(op.get_attr("value")).nbytes'
        ' for op in function.graph.get_operations() if op.type == "Const")',
    ],
)
def test_other_ways_to_weigh_are_as_good(outcome, expression):
    found = outcome("freeze/constant-bytes", OVER_CONSTANTS.format(expression))
    assert_says(found, "15,272 bytes", "right")


def test_a_weight_of_constants_that_raises(outcome):
    source = "def constant_bytes(function): return function.as_graph_def().node.nbytes"
    assert_says(outcome("freeze/constant-bytes", source), "AttributeError", "raised")


def test_what_is_said_of_the_solution(outcome):
    solution = EXERCISES["freeze/constant-bytes"].solution
    assert_says(outcome("freeze/constant-bytes", solution), "15,272 bytes", "right")


def test_the_cure_of_the_card_gives_a_file_with_a_signature_that_answers_right(tf):
    weight = tf.Variable([1.0, 2.0])
    traced = tf.function(lambda x: x * weight).get_concrete_function(tf.TensorSpec([2]))
    content = run_cure("freeze", traced=traced)["content"]
    call = Interpreter(model_content=content).get_signature_runner()
    [answer] = call(x=np.float32([3, 4])).values()
    assert answer.tolist() == [3, 8]
