"""A variable of a .tflite file, and what its values have in common: dtype, shape, quantization.

A variable has no type of its own in a .tflite file. It has that of the tensors that are read from
it and assigned to it, which need not agree.
"""

from __future__ import annotations

import copy
import math
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ai_edge_litert import schema_py_generated as schema

from varhandle.errors import VarhandleError
from varhandle.graph import shape_fits
from varhandle.tflite.flatbuffer import indices
from varhandle.tflite.plain_array import SIZES, PlainArray

if TYPE_CHECKING:
    import numpy.typing as npt

_NAMES = {value: name.lower() for name, value in vars(schema.TensorType).items()}


KEEP_OUTSIDE = "keep the state outside: make it an input and an output of the model"


class CannotLiftError(VarhandleError, ValueError):
    """The state of a file cannot become inputs and outputs; the message names op and variable.

    Attributes:
        fault: Why, in one line.
        step: What to do instead.
    """

    def __init__(self, fault: str, step: str = KEEP_OUTSIDE) -> None:
        self.fault, self.step = " ".join(fault.split()), step
        super().__init__(f"cannot lift the state: {self.fault}: {step}")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.fault, self.step)


class VariableKey(NamedTuple):
    """What identifies a variable in the file: the two settings of ``VAR_HANDLE``."""

    container: str
    name: str


def dtype_name(tensor: schema.TensorT) -> str:
    """Return the schema's name of a tensor's dtype, in lower case, such as ``"float32"``."""
    return _NAMES.get(tensor.type, str(tensor.type))


def value_dtype(key: VariableKey, tensor: schema.TensorT) -> str:
    """Return the dtype of a variable's value; ``CannotLiftError`` if NumPy lacks it."""
    name = dtype_name(tensor)
    if name not in SIZES:
        raise CannotLiftError(f"the variable {key.name} is of dtype {name}, which NumPy lacks")
    return name


def shape_of(tensor: schema.TensorT) -> tuple[int, ...] | None:
    """Return a tensor's shape, -1 where a dimension is not known; ``None`` for an unknown rank."""
    if tensor.shape is None and not tensor.hasRank:
        return None
    return tuple(indices(tensor.shapeSignature) or indices(tensor.shape))


def _quantization(tensor: schema.TensorT) -> tuple[Any, ...]:
    """Return what the integers of a tensor mean: scales, zero points and their axis."""
    parameters = tensor.quantization
    if parameters is None or parameters.scale is None or not len(parameters.scale):
        return ()
    count = len(parameters.scale)
    scales = struct.unpack(f"{count}f", struct.pack(f"{count}f", *parameters.scale))
    return scales, tuple(indices(parameters.zeroPoint)), parameters.quantizedDimension


def value_spec(
    tensors: Sequence[schema.TensorT], initial: PlainArray | None = None
) -> schema.TensorT:
    """Return a tensor as all values of a variable are: dimensions on which they differ are open."""
    shapes = [shape for shape in map(shape_of, tensors) if shape is not None]
    spec = copy.copy(tensors[0])
    spec.buffer, spec.isVariable, spec.sparsity = 0, False, None
    if not shapes:
        return spec
    common = [dims[0] if len(set(dims)) == 1 else -1 for dims in zip(*shapes, strict=False)]
    known = list(initial.shape) if initial is not None else [1 if n < 0 else n for n in common]
    spec.shape, spec.hasRank = known, True
    spec.shapeSignature = common if -1 in common else None
    return spec


def check_values(key: VariableKey, tensors: Sequence[schema.TensorT]) -> None:
    """Refuse a variable whose bytes do not mean the same wherever they are read or assigned."""
    value_dtype(key, tensors[0])
    variable = f"the variable {key.name}"
    if len({tensor.type for tensor in tensors}) > 1:
        raise CannotLiftError(f"{variable} is of several dtypes")
    if len({_quantization(tensor) for tensor in tensors}) > 1:
        raise CannotLiftError(
            f"{variable} is quantized, and what is read from it has another scale or zero point "
            "than what was assigned",
            "lift the float model, and quantize that",
        )
    shapes = {shape_of(tensor) for tensor in tensors}
    if None in shapes or len({len(shape or ()) for shape in shapes}) > 1:
        raise CannotLiftError(f"{variable} has no fixed rank")
    if len(shapes) > 1 and any(0 in (shape or ()) for shape in shapes):
        raise CannotLiftError(
            f"{variable} starts empty and grows, and the converter took it to stay empty: what "
            "adds to it is not in the file",
            "give it a first row and convert again",
        )


def constant_value(key: VariableKey, tensor: schema.TensorT, data: memoryview | None) -> PlainArray:
    """Return a stored first value; ``CannotLiftError`` if its bytes are no plain array."""
    dtype, shape = value_dtype(key, tensor), tuple(indices(tensor.shape))
    stored = 0 if data is None else len(data)
    if tensor.sparsity is not None or stored != SIZES[dtype] * math.prod(shape):
        raise CannotLiftError(
            f"the initial value of the variable {key.name} is not stored as a plain array"
        )
    return PlainArray(dtype, shape, b"" if data is None else bytes(data))


def checked_value(key: VariableKey, given: npt.ArrayLike, tensor: schema.TensorT) -> PlainArray:
    """Return a first value that a caller gives, in the variable's dtype, or say why not."""
    import numpy as np

    dtype, shape = np.dtype(value_dtype(key, tensor)), shape_of(tensor) or ()
    value = np.asarray(given)
    if not np.can_cast(value.dtype, dtype, "same_kind"):
        raise ValueError(f"initial_values: {key.name} takes {dtype}, and not {value.dtype}")
    if not shape_fits(value.shape, shape):
        raise ValueError(
            f"initial_values: {key.name} takes shape {list(shape)}, and not {list(value.shape)}"
        )
    return PlainArray.of(value.astype(dtype))
