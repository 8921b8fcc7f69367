"""TensorFlow's dtypes, and what a variable of each may do in a .tflite file.

Measured on TensorFlow 2.21, dtype by dtype and update by update; a test
(``tests/varhandle/facts/test_facts_dtypes.py``) measures it again. Add a dtype here, nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Dtype:
    """One dtype of TensorFlow's."""

    name: str  # as ``tf.DType.name`` writes it
    number: int  # its ``DataType`` in ``types.proto``
    spellings: tuple[str, ...] = ()  # how MLIR and messages write it too, in lower case
    carried: bool = False  # whether VAR_HANDLE carries a variable of it that is assigned whole
    calculated: bool = False  # whether builtins add, gather and select it, for other updates
    widened: str = ""  # the dtype that holds all its values, in which ``cure`` carries them
    advised: str = ""  # the dtype in which its author should hold the variable
    loss: str = ""  # what ``advised`` does not hold of it


_ROUNDED = "float32 rounds what needs more than 7 digits"

_ALL = (
    Dtype("float32", 1, ("f32", "float"), carried=True, calculated=True),
    Dtype("float64", 2, ("f64", "double"), carried=True, advised="float32", loss=_ROUNDED),
    Dtype("int32", 3, ("i32",), carried=True, calculated=True),
    Dtype("uint8", 4, ("ui8",), carried=True, widened="int32", advised="int32"),
    Dtype("int16", 5, ("i16",), widened="int32", advised="int32"),
    Dtype("int8", 6, ("i8",), carried=True, widened="int32", advised="int32"),
    Dtype("string", 7, advised="int64", loss="a number stands for each string"),
    Dtype("complex64", 8, ("complex",), carried=True, advised="float32",
          loss="the real and the imaginary part are a variable each"),
    Dtype("int64", 9, ("i64",), carried=True, calculated=True),
    Dtype("bool", 10, ("i1",), carried=True, calculated=True),
    Dtype("qint8", 11, advised="int32"),
    Dtype("quint8", 12, advised="int32"),
    Dtype("qint32", 13, advised="int32"),
    Dtype("bfloat16", 14, ("bf16",), widened="float32", advised="float32"),
    Dtype("qint16", 15, advised="int32"),
    Dtype("quint16", 16, advised="int32"),
    Dtype("uint16", 17, ("ui16",), widened="int32", advised="int32"),
    Dtype("complex128", 18, carried=True, advised="float32",
          loss=f"the real and the imaginary part are a variable each, and {_ROUNDED}"),
    Dtype("float16", 19, ("f16", "half"), widened="float32", advised="float32"),
    Dtype("uint32", 22, ("ui32",), widened="int64", advised="int64"),
    Dtype("uint64", 23, ("ui64",), advised="int64", loss="int64 ends at 2**63 - 1"),
    Dtype("float8_e5m2", 24, ("f8e5m2",), advised="float32"),
    Dtype("float8_e4m3fn", 25, ("f8e4m3fn",), advised="float32"),
    Dtype("float8_e4m3fnuz", 26, ("f8e4m3fnuz",), advised="float32"),
    Dtype("float8_e4m3b11fnuz", 27, ("f8e4m3b11fnuz",), advised="float32"),
    Dtype("float8_e5m2fnuz", 28, ("f8e5m2fnuz",), advised="float32"),
    Dtype("int4", 29, ("i4",), widened="int32", advised="int32"),
    Dtype("uint4", 30, ("ui4",), widened="int32", advised="int32"),
    Dtype("int2", 31, ("i2",), advised="int32"),
    Dtype("uint2", 32, ("ui2",), advised="int32"),
    Dtype("float4_e2m1fn", 33, ("f4e2m1fn",), advised="float32"),
)  # fmt: skip

DTYPES: Mapping[str, Dtype] = {one.name: one for one in _ALL}
"""Name to dtype."""

_BY_SPELLING = {spelling: one for one in _ALL for spelling in (one.name, *one.spellings)}


def dtype_of(written: str) -> Dtype:
    """Find a dtype by its name, or as MLIR or a message writes it, in any letters.

    Returns:
        The dtype; one that no variable op carries if it is not known.
    """
    return _BY_SPELLING.get(written.lower()) or Dtype(written, -1, advised="float32")
