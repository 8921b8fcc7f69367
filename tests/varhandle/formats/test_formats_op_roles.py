"""What an op does to a variable: one answer for the readers and for the pictures."""

import re

import pytest

from varhandle.formats import read_graph
from varhandle.formats.proto_schema import MESSAGES
from varhandle.graph import variable_role
from varhandle.graph.model import output_index


@pytest.mark.parametrize(
    ("op", "role"),
    [
        ("VarHandleOp", "handle"),
        ("VAR_HANDLE", "handle"),
        ("VariableV2", "handle"),
        ("AutoReloadVariable", "handle"),
        ("ReadVariableOp", "read"),
        ("ResourceGather", "read"),
        ("FlexReadVariableOp", "read"),
        ("AssignAddVariableOp", "assign"),
        ("Assign", "assign"),
        ("ASSIGN_VARIABLE", "assign"),
        ("FlexAssignVariableOp", "assign"),
        ("ResourceScatterAdd", "assign"),
        ("ResourceApplyAdam", "assign"),
        ("ResourceStridedSliceAssign", "assign"),
        ("ResourceCountUpTo", "assign"),
        ("ScatterNdUpdate", "assign"),
        ("ApplyAdam", "assign"),
        ("SparseApplyAdagrad", "assign"),
        ("CountUpTo", "assign"),
        ("RngReadAndSkip", "assign"),
        ("StatefulStandardNormalV2", "assign"),
        ("CALL_ONCE", "initialize"),
        ("MatMul", None),
        ("ScatterNd", None),
        ("ScatterNdNonAliasingAdd", None),
        ("StatefulPartitionedCall", None),
        ("HashTableV2", None),
        ("ResourceGatherNd", "read"),
    ],
)
def test_role(op, role):
    assert variable_role(op) == role


@pytest.fixture(scope="module")
def every_op(tf):
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session as session

    listed = op_def_pb2.OpList.FromString(session.TF_GetBuffer(session.TF_GetAllOpList()))
    assert len(listed.op) > 1000
    return listed.op


def test_nothing_assigns_that_takes_no_variable(tf, every_op):
    resource = tf.resource.as_datatype_enum
    for op in every_op:
        if variable_role(op.name) == "assign":
            assert any(arg.is_ref or arg.type == resource for arg in op.input_arg), op.name


def test_every_op_of_tensorflow_that_changes_a_variable_assigns(tf, every_op):
    """An optimizer calls it ``var``; the others say in their names what they do."""
    resource = tf.resource.as_datatype_enum
    verbs = re.compile(r"Assign|Scatter|CountUpTo|ReadAndSkip|RngSkip|Stateful(?!P)")
    changing = [
        op.name
        for op in every_op
        if any(arg.is_ref or arg.type == resource for arg in op.input_arg)
        and (any(arg.name == "var" for arg in op.input_arg) or verbs.match(op.name))
    ]
    assert len(changing) > 60
    assert [name for name in changing if variable_role(name) != "assign"] == []


@pytest.mark.parametrize("op", ["RngReadAndSkip", "ResourceCountUpTo", "ResourceApplyAdam"])
def test_the_readers_go_by_it(op):
    graph_def = MESSAGES["GraphDef"]()
    graph_def.node.add(name="v", op="VarHandleOp")
    graph_def.node.add(name="change", op=op, input=["v"])
    (variable,) = read_graph(graph_def).variables
    assert [access.op for access in variable.assigns] == [op]


@pytest.mark.parametrize(
    ("tensor", "number"), [("node", 0), ("node:1", 1), ("node:output:2", 2), ("7", 0), ("a:b", 0)]
)
def test_output_index(tensor, number):
    assert output_index(tensor) == number
