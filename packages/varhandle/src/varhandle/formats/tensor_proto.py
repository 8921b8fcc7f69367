"""Constants of a GraphDef: the values of its ``TensorProto`` messages."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401 - brings NumPy the dtype bfloat16
import numpy as np

from varhandle.formats.constants import MOST_VALUES, Array, Constant, Constants
from varhandle.formats.graph_def_reader import MAIN_GRAPH, read_shape
from varhandle.formats.proto_bytes import content_of
from varhandle.formats.proto_schema import dtype_of_number

_VALUES = ("float_val", "double_val", "int_val", "string_val", "int64_val", "bool_val")


def constants_of_graph_def(graph_def: Any, path: Path) -> Constants:
    """Return the ``Const`` nodes of a GraphDef message and of its functions.

    ``path`` is the file that it was read from, where big ones are left (``proto_bytes``).
    """
    parts = {MAIN_GRAPH: graph_def.node}
    parts |= {one.signature.name: one.node_def for one in graph_def.library.function}
    return {
        (name, node.name): _constant(node.attr["value"].tensor, path)
        for name, nodes in parts.items()
        for node in nodes
        if node.op == "Const"
    }


def _constant(tensor: Any, path: Path) -> Constant:
    return Constant(
        read_shape(tensor.tensor_shape), partial(values_of_tensor_proto, tensor, path=path)
    )


def values_of_tensor_proto(
    tensor: Any, most: int = MOST_VALUES, path: Path | None = None
) -> Array | None:
    """Decode a TensorProto; ``None`` for one too large, damaged, or of a dtype NumPy lacks.

    ``path`` is the file that it was read from, if that left big ones there.
    """
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.tensor_shape.unknown_rank or not 0 <= math.prod(shape) <= most:
        return None
    name = dtype_of_number(tensor.dtype)
    try:
        dtype = np.dtype(object if name == "string" else name)
        if tensor.tensor_content:
            return np.frombuffer(content_of(tensor, path), dtype).reshape(shape)
        found = np.array([value for field in _VALUES for value in getattr(tensor, field)], dtype)
        # The last value listed stands for all that follow.
        fill = found[-1:] if len(found) else np.zeros(1, dtype)
        return np.concatenate([found, np.repeat(fill, math.prod(shape) - len(found))]).reshape(
            shape
        )
    except (TypeError, ValueError):
        return None
