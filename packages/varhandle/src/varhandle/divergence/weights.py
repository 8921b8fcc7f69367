"""The weights of a model: its variables and its constants, each with its value.

TensorFlow is not needed: values lie in a checkpoint, an HDF5 file, a GraphDef or a .tflite file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from varhandle.display import counted
from varhandle.formats import format_of
from varhandle.formats.constants import Constant
from varhandle.graph import Graph, Shape
from varhandle.graph.model import Variable

Array = npt.NDArray[Any]

_MOST_VALUES = 2**28
"""Elements above which a value is not compared: 1 GB of float32."""

HALF_DIGITS = 2.0**-11  # what float16 rounds a value by, as a share of it


@dataclass(frozen=True, eq=False)
class Weight:
    """A variable or a constant of a model.

    Attributes:
        names: What it may be known by: its own name, its owner, and in a .tflite file the names of
            what is computed with it.
        held: Its value in the file; ``None`` where the file has none.
        initialized: Whether it has a first value; ``None`` if the model's file cannot say.
        is_used: Whether anything reads or assigns it; ``None`` where the file does not show ops.
    """

    name: str
    kind: Literal["variable", "constant"]
    dtype: str
    shape: Shape | None
    names: tuple[str, ...] = ()
    held: Constant | None = field(default=None, repr=False)
    variable: Variable | None = field(default=None, repr=False)
    initialized: bool | None = True
    is_used: bool | None = True
    scales: Array | None = field(default=None, repr=False)  # of a quantized constant, per channel
    zero_points: Array | None = field(default=None, repr=False)

    @cached_property
    def value(self) -> Array | None:
        """Its real value; ``None`` if there is none, or none that NumPy knows."""
        value = None if self.held is None else self.held.read(most=_MOST_VALUES)
        if value is None or (value.dtype.kind not in "fciub" and value.dtype.name != "bfloat16"):
            return None
        if value.dtype.name in ("bfloat16", "float16"):
            return value.astype(np.float32)
        if self.scales is None or self.zero_points is None:
            return value
        real: Array = (value.astype(np.float64) - self.zero_points) * self.scales
        return real.astype(np.float32)

    @property
    def allowed(self) -> float:
        """How far its value may be from the one that it was made of."""
        if self.scales is not None:
            return 0.51 * float(np.max(self.scales))
        if self.dtype in ("float16", "bfloat16") and self.value is not None:
            digits = HALF_DIGITS if self.dtype == "float16" else 2.0**-8
            return 1.01 * digits * float(np.max(np.abs(self.value), initial=0.0))
        return 0.0

    @property
    def count(self) -> int | None:
        """How many elements it has; ``None`` where that is open."""
        if self.held is not None and self.held.shape is not None:
            sizes: Shape = self.held.shape
        elif self.shape is None:
            return None
        else:
            sizes = self.shape
        return None if None in sizes else math.prod(s for s in sizes if s is not None)

    def summary(self) -> str:
        """Return its values in a few words."""
        value = self.value
        if value is None:
            return "" if self.held is None else "not decoded"
        if not value.size:
            return "empty"
        if value.dtype.kind not in "fiu":
            return "" if value.size > 1 else str(value.reshape(-1)[0])
        least, most = float(np.min(value)), float(np.max(value))
        if least == most:
            return f"{least:.6g}" if value.size == 1 else f"all {least:.6g}"
        mean = float(np.mean(value, dtype=np.float64))
        return f"{least:.4g} to {most:.4g}, mean {mean:.4g}"


def weights_of(graph: Graph) -> tuple[list[Weight], str]:
    """Return the variables and constants of a model, and what is not known of them, in a line."""
    model_format = format_of(graph)
    values = model_format.variable_values(graph)
    found = [_of_variable(graph, variable, values) for variable in graph.variables]
    without = [w for w in found if w.held is None and w.initialized is not False]
    doubt = ""
    if without:
        where = (
            "a checkpoint that is not beside it" if model_format.needs_checkpoint else "no value"
        )
        lies = f"lie in {where}" if model_format.needs_checkpoint else "have no value in the file"
        doubt = f"the values of {counted(len(without), 'variable')} {lies}"
    if model_format.is_converted:
        found += _constants_of_file(graph)
    else:
        found += [
            Weight(name, "constant", str(_dtype(constant)), constant.shape, (name,), constant)
            for (_, name), constant in model_format.constants(graph).items()
            if _is_known(constant)
        ]
    return found, doubt


def _dtype(constant: Constant) -> Any:
    value = constant.read(most=_MOST_VALUES)
    return "" if value is None else value.dtype


def _is_known(constant: Constant) -> bool:
    return constant.shape is not None and None not in constant.shape and bool(_dtype(constant))


def _of_variable(graph: Graph, one: Variable, values: Mapping[str, Constant]) -> Weight:
    model_format = format_of(graph)
    held = values.get(one.name)
    initialized = True if held is not None else one.initialized
    if held is None and model_format.needs_checkpoint:
        initialized = None
    used = bool(one.reads or one.assigns) if model_format.shows_ops else None
    names = (one.name, one.owner) if one.owner else (one.name,)
    return Weight(
        one.name, "variable", one.dtype, one.shape, names, held, one, initialized, is_used=used
    )


def _constants_of_file(graph: Graph) -> Iterator[Weight]:
    from varhandle.divergence.file_trace import per_channel, scales_of, zero_points_of
    from varhandle.tflite.flatbuffer import decode, indices, op_name, unpack
    from varhandle.tflite.variable_values import dtype_name

    model = unpack(Path(graph.source).read_bytes(), graph.source)
    for subgraph in model.subgraphs:
        users: dict[int, list[str]] = {}
        dequantized: dict[int, int] = {}
        assigned: set[int] = set()
        for operator in subgraph.operators or []:
            outputs = indices(operator.outputs)
            if op_name(model, operator) == "ASSIGN_VARIABLE":  # what a variable starts from
                assigned.update(indices(operator.inputs)[1:])
                continue
            is_cast = op_name(model, operator) == "DEQUANTIZE"
            for tensor in indices(operator.inputs):
                if is_cast:
                    dequantized[outputs[0]] = tensor
                at = dequantized.get(tensor, tensor)
                users.setdefault(at, []).extend(decode(subgraph.tensors[t].name) for t in outputs)
        for number, tensor in enumerate(subgraph.tensors):
            data = model.buffers[tensor.buffer].data
            if data is None or not len(data) or (number in assigned and number not in users):
                continue
            scales, name = scales_of(tensor), decode(tensor.name)
            dtype, shape = dtype_name(tensor), tuple(indices(tensor.shape))
            yield Weight(
                name,
                "constant",
                dtype,
                shape,
                (name, *users.get(number, ())),
                Constant(shape, partial(plain_array, data, dtype, shape)),
                is_used=number in users,
                scales=per_channel(tensor, scales),
                zero_points=None if scales is None else per_channel(tensor, zero_points_of(tensor)),
            )


def plain_array(data: Array, dtype: str, shape: tuple[int, ...], most: int = _MOST_VALUES) -> Any:
    """Return a stored array; ``None`` for one that is packed, or of a dtype that NumPy lacks."""
    try:
        return None if len(data) > 8 * most else np.asarray(data).view(dtype).reshape(shape)
    except (TypeError, ValueError):
        return None
