"""Lesson 14: answers to its exercise, the keys of its predictions, and the cure of its card."""

import pytest
from lesson_cards import run_cure
from notebook_cells import assert_says

from workbook_lib.lesson.content import what_a_handle_is

FIND = "what_a_handle_is/find-handles"


def handles(nodes="graph_def.node", name="shared_name", dtype="name", op=' == "VarHandleOp"'):
    """Write a find_handles that goes about it in some other way than the solution."""
    key = {
        "shared_name": 'node.attr["shared_name"].s.decode()',
        "bytes": 'node.attr["shared_name"].s',
        "bytes in text": 'str(node.attr["shared_name"].s)',
        "another attribute": 'node.attr["name"].s.decode()',
        "one": '"total"',
        "node": "node.name",
        "last of the node": 'node.name.split("/")[-1]',
        "without a number": 'node.name.split("/")[-1].split("_")[0]',
    }[name]
    kind = {
        "name": 'tf.as_dtype(node.attr["dtype"].type).name',
        "number": 'node.attr["dtype"].type',
        "enum": 'types_pb2.DataType.Name(node.attr["dtype"].type)',
        "dtype": 'tf.as_dtype(node.attr["dtype"].type)',
        "of the output": '"resource"',
        "fixed": '"float32"',
        "pair": '("float32", [4])',
    }[dtype]
    return f"""
from tensorflow.core.framework import types_pb2

def find_handles(graph_def):
    nodes = list({nodes})
    return {{{key}: {kind} for node in nodes if node.op{op}}}
"""


EVERY_NODE = "graph_def.node) + [n for f in graph_def.library.function for n in f.node_def]  # ("
BY_HAND = """
def find_handles(graph_def):
    found = {}
    def visit(nodes):
        for node in nodes:
            if node.op == "VarHandleOp":
                name = str(node.attr["shared_name"].s, "utf-8")
                found[name] = tf.dtypes.as_dtype(node.attr["dtype"].type).name
    visit(graph_def.node)
    for function in graph_def.library.function:
        visit(function.node_def)
    return found
"""


@pytest.mark.parametrize(
    "answer",
    [
        handles(EVERY_NODE),
        handles(EVERY_NODE, dtype="dtype"),
        handles(EVERY_NODE, op=' in {"VarHandleOp"}'),
        BY_HAND,
    ],
)
def test_walks_in_any_style_are_right(outcome, answer):
    result = outcome(FIND, answer)
    assert result.status == "right", result.advice


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (handles(), "inside a function"),
        (handles("[n for f in graph_def.library.function for n in f.node_def]"), "finds no handle"),
        (handles(EVERY_NODE, name="node"), "name of the node"),
        (handles(EVERY_NODE, name="last of the node"), "name of the node"),
        (handles(EVERY_NODE, name="without a number"), "name of the node"),
        (handles(EVERY_NODE, name="bytes"), "bytes become text"),
        (handles(EVERY_NODE, name="bytes in text"), "bytes become text"),
        (handles(EVERY_NODE, name="another attribute"), "A name is empty"),
        (handles(EVERY_NODE, name="one"), "one name stand for several"),
        (handles(EVERY_NODE, dtype="number"), "a number"),
        (handles(EVERY_NODE, dtype="enum"), "the protocol buffer's name"),
        (handles(EVERY_NODE, dtype="of the output"), "not of the dtype `resource`"),
        (handles(EVERY_NODE, dtype="fixed"), "not of the dtype `float32`"),
        (handles(EVERY_NODE, dtype="pair"), "of type `tuple`"),
        (handles(EVERY_NODE, op=' == "VarHandleOP"'), "letter by letter"),
        (handles(EVERY_NODE, name="node", op=' in ("VarHandleOp", "Placeholder")'), "no handle"),
        (handles("graph_def.node[:5]"), "are missing"),
        (
            "def find_handles(graph_def): return {'total': 'float32', 'calls': 'int32', "
            "'gain': 'float64', 'seen': 'bool'}",
            "not for another",
        ),
        ("def find_handles(graph_def): return {'total': 'float32'}", "are missing"),
        ("def find_handles(graph_def): return [n.name for n in graph_def.node]", "a dictionary"),
        ("def find_handles(graph_def):\n    {n.name for n in graph_def.node}", "`return`"),
        (BY_HAND.replace("return found", "return found or None"), "`return`"),
    ],
)
def test_walks_that_miss_something(outcome, answer, told):
    assert_says(outcome(FIND, answer), told)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (handles(EVERY_NODE, op='.endswith("Op")'), "TypeError"),
        ("def find_handles(graph_def): return {n.shared_name: 1 for n in graph_def.node}",
         "AttributeError"),
        ("def find_handles(graph_def): return {n.name: 1 for n in graph_def.nodes}",
         "AttributeError"),
    ],
)  # fmt: skip
def test_a_walk_that_raises_is_said_to(outcome, answer, told):
    assert_says(outcome(FIND, answer), told, "raised")


def test_what_a_run_left_behind_is_read_as_a_key():
    (same_name,) = what_a_handle_is.PREDICTIONS
    assert same_name.observed([1.0, 2.0]) == "the value that was assigned"
    assert same_name.observed([0.0, 0.0]) == "zeros"


def test_the_cure_of_the_card_lists_what_has_a_value(tf, tmp_path, capsys):
    module = tf.Module()
    module.total = tf.Variable([1.0, 2.0])
    tf.saved_model.save(module, str(tmp_path))
    names = run_cure("what_a_handle_is", folder=tmp_path)
    assert "total/.ATTRIBUTES/VARIABLE_VALUE [2]" in capsys.readouterr().out
    told = "total/.ATTRIBUTES/VARIABLE_VALUE"
    assert tf.train.load_variable(names["checkpoint"], told).tolist() == [1, 2]
