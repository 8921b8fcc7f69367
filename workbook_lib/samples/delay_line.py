"""A small .tflite file whose state is of the older kind: a tensor that the file marks as variable.

No converter of today makes one of a ``tf.Variable``. So this one is put together by hand, of a
single SVDF op, which keeps its last inputs in such a tensor.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from varhandle.tflite.flatbuffer import pack

LENGTH = 4


def delay_line_file() -> bytes:
    """Make the file.

    ``x`` float32 [1, 1] to ``y`` float32 [1, 1], the sum of the last four inputs; those before the
    first are zero.
    """
    tensors = [
        schema.TensorT([1, 1], name="x"),
        schema.TensorT([1, 1], name="feature_weight", buffer=1),
        schema.TensorT([1, LENGTH], name="time_weights", buffer=2),
        schema.TensorT([1, LENGTH], name="last_inputs", isVariable=True),
        schema.TensorT([1, 1], name="y"),
    ]
    svdf = schema.OperatorT(
        inputs=[0, 1, 2, -1, 3],  # -1: no bias
        outputs=[4],
        builtinOptionsType=schema.BuiltinOptions.SVDFOptions,
        builtinOptions=schema.SVDFOptionsT(rank=1),
    )
    code = schema.BuiltinOperator.SVDF
    ones = (np.frombuffer(np.ones(count, np.float32).tobytes(), np.uint8) for count in (1, LENGTH))
    return pack(
        schema.ModelT(
            version=3,
            operatorCodes=[schema.OperatorCodeT(code, builtinCode=code, version=1)],
            subgraphs=[schema.SubGraphT(tensors, [0], [4], [svdf], name="main")],
            description="the sum of the last four inputs",
            buffers=[schema.BufferT(), *map(schema.BufferT, ones)],
        )
    )
