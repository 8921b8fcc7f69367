"""A small .tflite file whose state is of the older kind: a tensor that the file marks as variable.

No converter of today makes one of a ``tf.Variable``. So this one is put together by hand, of a
single SVDF op, which keeps its last inputs in such a tensor.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

LENGTH = 4


def delay_line_file() -> bytes:
    """Make the file.

    ``x`` float32 [1, 1] to ``y`` float32 [1, 1], the sum of the last four inputs; those before the
    first are zero.
    """
    file = schema.ModelT()
    file.version = 3
    file.description = "the sum of the last four inputs"
    file.buffers = [_buffer(), _buffer([[1.0]]), _buffer([[1.0] * LENGTH])]
    operator_code = schema.OperatorCodeT()
    operator_code.builtinCode = operator_code.deprecatedBuiltinCode = schema.BuiltinOperator.SVDF
    operator_code.version = 1
    file.operatorCodes = [operator_code]
    file.subgraphs = [_subgraph()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _subgraph() -> Any:
    subgraph = schema.SubGraphT()
    subgraph.name = "main"
    subgraph.tensors = [
        _tensor("x", [1, 1]),
        _tensor("feature_weight", [1, 1], buffer=1),
        _tensor("time_weights", [1, LENGTH], buffer=2),
        _tensor("last_inputs", [1, LENGTH], variable=True),
        _tensor("y", [1, 1]),
    ]
    subgraph.inputs, subgraph.outputs = [0], [4]
    svdf = schema.OperatorT()
    svdf.inputs, svdf.outputs = [0, 1, 2, -1, 3], [4]  # -1: no bias
    svdf.opcodeIndex = 0
    svdf.builtinOptionsType = schema.BuiltinOptions.SVDFOptions
    svdf.builtinOptions = schema.SVDFOptionsT()
    svdf.builtinOptions.rank = 1
    subgraph.operators = [svdf]
    return subgraph


def _tensor(name: str, shape: list[int], buffer: int = 0, variable: bool = False) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer = name, shape, buffer
    tensor.type = schema.TensorType.FLOAT32
    tensor.isVariable = variable
    return tensor


def _buffer(values: list[list[float]] | None = None) -> Any:
    buffer = schema.BufferT()
    if values is not None:
        buffer.data = np.frombuffer(np.array(values, np.float32).tobytes(), np.uint8)
    return buffer
