"""What each quantized activation of a .tflite file can hold.

Scheme, as in the specification of TensorFlow Lite's 8-bit quantization: a real value is
``scale * (integer - zero_point)``. So a tensor can hold nothing outside the range that its dtype,
scale and zero point span: what is larger *saturates*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from varhandle.display import RichTable, Table


@dataclass(frozen=True)
class TensorRange:
    """What a quantized tensor can hold: real values from ``smallest`` to ``largest``.

    ``name`` is the signature's own for an input or output. ``role`` is ``"input"``, or the op that
    computes the tensor, such as ``"READ_VARIABLE"``. Where each channel has a scale, the first one
    is given.
    """

    name: str
    role: str
    dtype: str
    scale: float
    zero_point: int
    smallest: float
    largest: float


@dataclass(frozen=True, repr=False)
class Ranges(RichTable):
    """The ranges of a file's quantized activations, inputs among them, in the file's order."""

    tensors: tuple[TensorRange, ...]

    def of_op(self, op: str) -> tuple[TensorRange, ...]:
        """Return the ranges of what an op (``"READ_VARIABLE"``, or ``"input"``) computes."""
        return tuple(tensor for tensor in self.tensors if tensor.role == op)

    def __repr__(self) -> str:
        return f"Ranges({len(self.tensors)} quantized tensors)"

    def _table(self) -> Table:
        headers = ("tensor", "computed by", "dtype", "scale", "zero point", "range")
        rows = [
            (
                tensor.name,
                tensor.role,
                tensor.dtype,
                f"{tensor.scale:.4g}",
                tensor.zero_point,
                f"{tensor.smallest:.4g} to {tensor.largest:.4g}",
            )
            for tensor in self.tensors
        ]
        return headers, rows, "What each quantized tensor can hold"


def quantized_ranges(content: bytes) -> Ranges:
    """Read the ranges of all quantized tensors that are no constants, main subgraph first.

    ``ModelFileError`` if it is no .tflite file, or a damaged one.
    """
    from varhandle.tflite.flatbuffer import decode, indices, op_name, tensor_maps, unpack

    model = unpack(content)
    names = {
        (signature.subgraphIndex, entry.tensorIndex): decode(entry.name)
        for signature in model.signatureDefs or ()
        for entry in tensor_maps(signature)
    }
    found = []
    for number, subgraph in enumerate(model.subgraphs):
        roles = dict.fromkeys(indices(subgraph.inputs), "input")  # what fills a tensor
        for operator in subgraph.operators or ():
            roles.update(dict.fromkeys(indices(operator.outputs), op_name(model, operator)))
        for index, role in roles.items():
            tensor = subgraph.tensors[index]
            quantization = tensor.quantization
            if quantization is None or quantization.scale is None or not len(quantization.scale):
                continue
            # Of ops that were fused into one, the first gives the name.
            name = names.get((number, index), decode(tensor.name).partition(";")[0])
            found.append(_range(name, role, tensor, quantization))
    return Ranges(tuple(found))


#: Number of a dtype in the schema's TensorType -> NumPy's name.
_DTYPES = {2: "int32", 3: "uint8", 4: "int64", 7: "int16", 9: "int8"}


def _range(name: str, role: str, tensor: Any, quantization: Any) -> TensorRange:
    dtype = _DTYPES.get(tensor.type, f"type {tensor.type}")
    limits = np.iinfo(dtype if dtype in _DTYPES.values() else "int8")
    scale = float(quantization.scale[0])
    zero_points = quantization.zeroPoint
    zero_point = int(zero_points[0]) if zero_points is not None and len(zero_points) else 0
    smallest, largest = (scale * (int(end) - zero_point) for end in (limits.min, limits.max))
    return TensorRange(name, role, dtype, scale, zero_point, smallest, largest)
