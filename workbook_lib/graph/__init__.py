"""A model file as plain data, read without TensorFlow."""

from workbook_lib.graph.model import (
    Access,
    Edge,
    Function,
    Graph,
    ModelFileError,
    Node,
    Shape,
    Signature,
    TensorSpec,
    Variable,
)
from workbook_lib.graph.reader import carried_code, read_graph
from workbook_lib.graph.roles import variable_role

__all__ = [
    "Access",
    "Edge",
    "Function",
    "Graph",
    "ModelFileError",
    "Node",
    "Shape",
    "Signature",
    "TensorSpec",
    "Variable",
    "carried_code",
    "read_graph",
    "variable_role",
]
