"""A model file as plain data, read without TensorFlow."""

from varhandle.graph.model import (
    Access,
    CustomObject,
    Function,
    Graph,
    ModelFileError,
    Node,
    Shape,
    Signature,
    TensorSpec,
    Variable,
    damaged_file,
    shape_fits,
)
from varhandle.graph.op_roles import variable_role

__all__ = [
    "Access",
    "CustomObject",
    "Function",
    "Graph",
    "ModelFileError",
    "Node",
    "Shape",
    "Signature",
    "TensorSpec",
    "Variable",
    "damaged_file",
    "shape_fits",
    "variable_role",
]
