"""Constants of a model, decoded where somebody asks for their values.

A ``Graph`` tells that there is a constant, and not what is in it: weights are never looked at. What
its inputs take is told by a few small ones, such as the scale of a Rescaling layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import ml_dtypes  # noqa: F401 - brings NumPy the dtype bfloat16
import numpy as np
import numpy.typing as npt

from varhandle.formats.graph_def_reader import MAIN_GRAPH, read_shape
from varhandle.formats.proto_schema import dtype_name
from varhandle.graph import Shape

Array = npt.NDArray[Any]

MOST_VALUES = 2**20
"""Elements above which a constant is not decoded: a vocabulary has some hundred thousand."""

_VALUES = ("float_val", "double_val", "int_val", "string_val", "int64_val", "bool_val")


@dataclass(frozen=True)
class Constant:
    """A constant: its shape, and how to get at its values (``None`` where they are not decoded)."""

    shape: Shape | None
    read: Callable[..., Array | None]  # takes ``most``, above how many values they are not decoded


Constants = Mapping[tuple[str, str], Constant]
"""By function, and the node (in a .tflite file: the tensor) that holds it."""


def constants_of_graph_def(graph_def: Any) -> Constants:
    """Return the ``Const`` nodes of a GraphDef message and of its functions."""
    parts = {MAIN_GRAPH: graph_def.node}
    parts |= {one.signature.name: one.node_def for one in graph_def.library.function}
    return {
        (name, node.name): _constant(node.attr["value"].tensor)
        for name, nodes in parts.items()
        for node in nodes
        if node.op == "Const"
    }


def _constant(tensor: Any) -> Constant:
    return Constant(read_shape(tensor.tensor_shape), partial(tensor_values, tensor))


def tensor_values(tensor: Any, most: int = MOST_VALUES) -> Array | None:
    """Decode a TensorProto; ``None`` for one too large, damaged, or of a dtype NumPy lacks."""
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.tensor_shape.unknown_rank or not 0 <= math.prod(shape) <= most:
        return None
    name = dtype_name(tensor.dtype)
    try:
        dtype = np.dtype(object if name == "string" else name)
        if tensor.tensor_content:
            return np.frombuffer(tensor.tensor_content, dtype).reshape(shape)
        found = np.array([value for field in _VALUES for value in getattr(tensor, field)], dtype)
        # The last value listed stands for all that follow.
        fill = found[-1:] if len(found) else np.zeros(1, dtype)
        return np.concatenate([found, np.repeat(fill, math.prod(shape) - len(found))]).reshape(
            shape
        )
    except (TypeError, ValueError):
        return None
