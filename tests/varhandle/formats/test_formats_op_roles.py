"""What an op does to a variable: one answer for the readers and for the pictures."""

import re

import pytest

from varhandle.graph import variable_role
from varhandle.graph.model import output_index

ROLES = {
    "handle": "VarHandleOp VAR_HANDLE VariableV2 AutoReloadVariable",
    "read": "ReadVariableOp ResourceGather ResourceGatherNd FlexReadVariableOp",
    "assign": "Assign AssignAddVariableOp ASSIGN_VARIABLE FlexAssignVariableOp ResourceScatterAdd "
    "ResourceApplyAdam ResourceStridedSliceAssign ResourceCountUpTo ScatterNdUpdate ApplyAdam "
    "SparseApplyAdagrad CountUpTo RngReadAndSkip StatefulStandardNormalV2",
    "initialize": "CALL_ONCE",
    None: "MatMul ScatterNd ScatterNdNonAliasingAdd StatefulPartitionedCall HashTableV2",
}


@pytest.mark.parametrize(
    ("op", "role"), [(op, role) for role, ops in ROLES.items() for op in ops.split()]
)
def test_role(op, role):
    assert variable_role(op) == role


def _takes_a_variable(op, resource):
    return any(argument.is_ref or argument.type == resource for argument in op.input_arg)


def test_nothing_assigns_that_takes_no_variable(tf, tensorflow_ops):
    resource = tf.resource.as_datatype_enum
    assigning = [op for op in tensorflow_ops if variable_role(op.name) == "assign"]
    assert [op.name for op in assigning if not _takes_a_variable(op, resource)] == []


def test_every_op_of_tensorflow_that_changes_a_variable_assigns(tf, tensorflow_ops):
    """An optimizer calls it ``var``; the others say in their names what they do."""
    resource = tf.resource.as_datatype_enum
    verbs = re.compile(r"Assign|Scatter|CountUpTo|ReadAndSkip|RngSkip|Stateful(?!P)")
    changing = [
        op.name
        for op in tensorflow_ops
        if _takes_a_variable(op, resource)
        and (any(arg.name == "var" for arg in op.input_arg) or verbs.match(op.name))
    ]
    assert len(changing) > 60
    assert [name for name in changing if variable_role(name) != "assign"] == []


@pytest.mark.parametrize(
    ("tensor", "number"), [("node", 0), ("node:1", 1), ("node:output:2", 2), ("7", 0), ("a:b", 0)]
)
def test_output_index(tensor, number):
    assert output_index(tensor) == number
