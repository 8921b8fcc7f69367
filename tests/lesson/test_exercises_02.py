"""The exercises of notebook 02: typical mistakes, each with its advice."""

import pytest
from notebook_cells import assert_says


def handles(nodes="graph_def.node", name="shared_name", dtype="name", shape=".as_list()", op=""):
    """Write a find_handles that goes about it in some other way than the solution."""
    key = {
        "shared_name": 'node.attr["shared_name"].s.decode()',
        "bytes": 'node.attr["shared_name"].s',
        "node": "node.name",
    }[name]
    kind = {
        "name": 'tf.as_dtype(node.attr["dtype"].type).name',
        "number": 'node.attr["dtype"].type',
        "dtype": 'tf.as_dtype(node.attr["dtype"].type)',
        "of the output": '"resource"',
        "fixed": '"float32"',
    }[dtype]
    return f"""
def find_handles(graph_def):
    nodes = list({nodes})
    return {{
        {key}: ({kind}, tf.TensorShape(node.attr["shape"].shape){shape})
        for node in nodes
        if node.op{op or ' == "VarHandleOp"'}
    }}
"""


EVERY_NODE = "graph_def.node) + [n for f in graph_def.library.function for n in f.node_def]  # ("


@pytest.mark.parametrize(
    ("answer", "status", "telling"),
    [
        (handles(), "wrong", "inside a function"),
        (handles(EVERY_NODE, name="node"), "wrong", "name of the node"),
        (handles(EVERY_NODE, name="bytes"), "wrong", "bytes"),
        (handles(EVERY_NODE, dtype="number"), "wrong", "a number"),
        (handles(EVERY_NODE, dtype="of the output"), "wrong", "not of the dtype `resource`"),
        (handles(EVERY_NODE, shape=".rank"), "wrong", "The shape of"),
        (handles(EVERY_NODE, op=' == "VarHandleOP"'), "wrong", "letter by letter"),
        (handles(EVERY_NODE, op='.endswith("Op")'), "raised", "TypeError"),
        (
            handles(EVERY_NODE, name="node", op=' in ("VarHandleOp", "Placeholder")'),
            "wrong",
            "belong to no handle",
        ),
        (handles("graph_def.node[:20]"), "wrong", "are missing"),
        (handles("classifier_graph_def.node"), "wrong", "that it is given"),
        (
            "def find_handles(graph_def):\n    return [n.name for n in graph_def.node]",
            "wrong",
            "a dictionary",
        ),
        ("def find_handles(graph_def):\n    {n.name for n in graph_def.node}", "wrong", "`return`"),
        (
            "def find_handles(graph_def):\n    return {n.shared_name: 1 for n in graph_def.node}",
            "raised",
            "AttributeError",
        ),
        (handles(EVERY_NODE, dtype="fixed"), "wrong", "not for another"),
        (handles(EVERY_NODE, dtype="dtype", shape=""), "right", "value"),
    ],
)
def test_find_handles_advises(answer, status, telling, outcome):
    assert_says(outcome("inspect/find-handles", answer), telling, status)


def assigned(condition, result="v.name", graph="graph"):
    """Write an assigned_by with some other condition than the solution's."""
    return (
        "def assigned_by(graph, signature):\n"
        f"    return [{result} for v in {graph}.variables if {condition}]\n"
    )


FROM_SIGNATURE = "any(signature in access.signatures for access in v.assigns)"


@pytest.mark.parametrize(
    ("answer", "status", "telling"),
    [
        (assigned("v.assigns"), "wrong", "another signature"),
        (
            assigned(FROM_SIGNATURE.replace("assigns", "reads")),
            "wrong",
            "which it reads and never assigns",
        ),
        (
            assigned("any(a.signatures == signature for a in v.assigns)"),
            "wrong",
            "what as its `signatures`",
        ),
        (
            assigned(
                'any(a.op == "AssignVariableOp" and signature in a.signatures for a in v.assigns)'
            ),
            "wrong",
            "as its `op`",
        ),
        (assigned("v.assigns and signature in v.assigns[0].signatures"), "wrong", "Every entry"),
        (assigned(FROM_SIGNATURE, result="v"), "wrong", "their names"),
        (assigned(FROM_SIGNATURE, graph="total_graph"), "wrong", "not for another"),
        ('def assigned_by(graph, signature):\n    return "total"', "wrong", "a set"),
        (assigned("signature in v.assigns.signatures"), "raised", "AttributeError"),
        (assigned(FROM_SIGNATURE), "right", "assign_add"),
    ],
)
def test_assigned_by_advises(answer, status, telling, outcome):
    assert_says(outcome("inspect/assigned-by", answer), telling, status)


def never_set(condition, result="v.name"):
    """Write a read_but_never_set with some other condition than the solution's."""
    return (
        "def read_but_never_set(graph):\n"
        f"    return {{{result} for v in graph.variables if {condition}}}\n"
    )


@pytest.mark.parametrize(
    ("answer", "status", "telling"),
    [
        (never_set("not v.initialized"), "wrong", "does anything read it"),
        (never_set("v.reads"), "wrong", "has its value"),
        (never_set("not v.reads and not v.initialized"), "wrong", "does anything read it"),
        (never_set('v.reads == "none" and v.initialized == "no"'), "wrong", "you miss 6"),
        (never_set("v.reads and not v.initialized", result="v.owner"), "wrong", "Return the names"),
        (never_set("v.reads and not v.initialised"), "raised", "initialised"),
        (never_set("v.reads and not v.initialized"), "wrong", "cannot say"),
        (never_set("v.reads and not v.owner"), "wrong", "has its value"),
        (never_set("v.reads and not v.owner and v.initialized is False"), "wrong", "has an owner"),
        (never_set("len(graph.variables) == 12 and v.reads"), "wrong", "you miss"),
        (never_set("v.reads and v.initialized == False"), "right", "6 variables"),
    ],
)
def test_read_but_never_set_advises(answer, status, telling, outcome):
    assert_says(outcome("inspect/read-but-never-set", answer), telling, status)
