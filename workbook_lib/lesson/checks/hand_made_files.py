"""Small .tflite files that checks put together themselves, without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def tensor(name: str, shape: Sequence[int], int8: tuple[float, int] | None = None) -> Any:
    """Return a float32 tensor, or one of int8 with this scale and zero point.

    A size of -1 is open: the tensor has room for one until somebody asks for more.
    """
    from ai_edge_litert import schema_py_generated as schema

    room = [max(size, 1) for size in shape]
    made = schema.TensorT(room, schema.TensorType.FLOAT32, name=name)
    if room != list(shape):
        made.shapeSignature = list(shape)
    if int8 is not None:
        made.type = schema.TensorType.INT8
        scale, zero_point = np.array(int8[:1], np.float32), np.array(int8[1:], np.int64)
        made.quantization = schema.QuantizationParametersT(scale=scale, zeroPoint=zero_point)
    return made


def chain_file(op: str, version: int, *tensors: Any) -> bytes:
    """Return a file that takes each tensor to the next one by the same op.

    The tensors are numbered from the last to the first, and the signature has their names.
    """
    from ai_edge_litert import schema_py_generated as schema

    from varhandle.tflite.flatbuffer import pack

    code, last = getattr(schema.BuiltinOperator, op), len(tensors) - 1
    operators = [schema.OperatorT(inputs=[n], outputs=[n - 1]) for n in range(last, 0, -1)]
    subgraph = schema.SubGraphT(list(tensors[::-1]), [last], [0], operators, name="main")
    op_code = schema.OperatorCodeT(code, builtinCode=code, version=version)
    names = schema.SignatureDefT(
        [schema.TensorMapT(tensors[0].name, last)],
        [schema.TensorMapT(tensors[-1].name, 0)],
        "serving_default",
        0,
    )
    buffers = [schema.BufferT()]
    return pack(schema.ModelT(3, [op_code], [subgraph], buffers=buffers, signatureDefs=[names]))


def below_mean_file(order: Sequence[int], signature: str, source: str, target: str) -> bytes:
    """Return a file that says how far each row, float32 [n, 4], lies below the mean of all rows.

    ``order`` numbers its four tensors (input, axis, mean, output); the names are the signature's.
    """
    from ai_edge_litert import schema_py_generated as schema

    from varhandle.tflite.flatbuffer import pack

    axis = schema.TensorT([1], schema.TensorType.INT32, buffer=1, name="axis")
    parts = (tensor("x", [-1, 4]), axis, tensor("mean", [1, 4]), tensor("y", [-1, 4]))
    tensors = [parts[order.index(number)] for number in range(len(parts))]
    rows, at, mean, below = order
    options = schema.BuiltinOptions
    operators = [
        schema.OperatorT(
            0, [rows, at], [mean], options.ReducerOptions, schema.ReducerOptionsT(keepDims=True)
        ),
        schema.OperatorT(1, [mean, rows], [below], options.SubOptions, schema.SubOptionsT()),
    ]
    codes = [
        schema.OperatorCodeT(code, builtinCode=code, version=1)
        for code in (schema.BuiltinOperator.MEAN, schema.BuiltinOperator.SUB)
    ]
    names = schema.SignatureDefT(
        [schema.TensorMapT(source, rows)], [schema.TensorMapT(target, below)], signature, 0
    )
    buffers = [schema.BufferT(), schema.BufferT(np.zeros(4, np.uint8))]
    subgraph = schema.SubGraphT(tensors, [rows], [below], operators, name="main")
    return pack(schema.ModelT(3, codes, [subgraph], buffers=buffers, signatureDefs=[names]))


def open_plainly(content: bytes) -> Any:
    """Return an allocated interpreter without the default delegates."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    return interpreter
