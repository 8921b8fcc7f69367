"""Two .tflite files, operator by operator: what came and went, and what changed in the others."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from varhandle.divergence.file_trace import (
    WITHOUT_VALUE,
    FileOp,
    FileTrace,
    dequantized,
    scales_of,
    zero_points_of,
)
from varhandle.divergence.matching import align_files
from varhandle.divergence.tensor_difference import reach
from varhandle.divergence.weights import HALF_DIGITS, largest_difference, plain_array
from varhandle.formats import TFLITE
from varhandle.formats.tflite_bytes import stored_bytes
from varhandle.tflite.flatbuffer import decode, indices, option_text
from varhandle.tflite.variable_values import dtype_name


@dataclass(frozen=True)
class OperatorChange:
    """An operator that is not the same in both files.

    Attributes:
        number: Its place in the order of execution of the first file; of the second, if it came.
        change: ``came``, ``went``, ``op``, ``options``, ``constant``, ``quantization`` or
            ``tensor`` (dtype or shape).
        detail: What it was and is, in words.
    """

    signature: str
    op: str
    number: int
    tensor: str  # the name of its first output
    change: str
    detail: str = ""


class _StoredTrace(FileTrace):
    """The operators of a file that is not run; its constants are read where they are compared."""

    def __init__(self, path: Path, signature: str) -> None:
        self._path, self._part = path, TFLITE.graph_part(path)
        super().__init__(self._part, signature)

    def data(self, tensor: int) -> Any:
        """Return the bytes of a constant."""
        held = self.model.buffers[self.subgraph.tensors[tensor].buffer].data
        return stored_bytes(self._path, self._part, held)


def diff_operators(
    a: Path, b: Path, same: Collection[tuple[int, int]] = ()
) -> list[OperatorChange]:
    """Compare two files, signature by signature of those that both have.

    ``same`` are the numbers of buffers that are known to hold the same real values.
    """
    first, second = _StoredTrace(a, ""), _StoredTrace(b, "")
    names = [decode(one.signatureKey) for one in first.model.signatureDefs or []]
    others = [decode(one.signatureKey) for one in second.model.signatureDefs or []]
    common = [name for name in names if name in others]
    found = []
    for name in common or [""]:
        found += list(_changes(name, _StoredTrace(a, name), _StoredTrace(b, name), same))
    return found


def _changes(
    signature: str, a: _StoredTrace, b: _StoredTrace, same: Collection[tuple[int, int]]
) -> Iterator[OperatorChange]:
    pairs = align_files(a, b)
    for op in a.ops:
        if op.number not in pairs:
            yield OperatorChange(signature, op.op, op.number, _made(a, op), "went")
            continue
        other = b.ops[pairs[op.number]]
        found = [("op", f"now {other.op}")] if other.op != op.op else list(_options(op, other))
        for change, detail in (*found, *_tensors(a, op, b, other, same)):
            yield OperatorChange(signature, op.op, op.number, _made(a, op), change, detail)
    kept = set(pairs.values())
    for op in b.ops:
        if op.number not in kept:
            yield OperatorChange(signature, op.op, op.number, _made(b, op), "came")


def _made(trace: FileTrace, op: FileOp) -> str:
    return trace.name(op.outputs[0]) if op.outputs else ""


def _options(op: FileOp, other: FileOp) -> Iterator[tuple[str, str]]:
    for place in ("builtinOptions", "builtinOptions2"):
        mine, theirs = (_settings(getattr(one.operator, place)) for one in (op, other))
        for name in sorted(mine.keys() | theirs.keys()):
            if mine.get(name) != theirs.get(name):
                was, now = (option_text(name, one.get(name)) for one in (mine, theirs))
                yield "options", f"{name}: {was}, now {now}"
    if _custom(op) != _custom(other):
        yield "options", "its custom options"


def _settings(options: Any) -> dict[str, Any]:
    found = vars(options) if options is not None else {}
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in found.items()
        if "subgraph" not in name.lower()
    }


def _custom(op: FileOp) -> bytes:
    options = op.operator.customOptions
    return b"" if options is None else bytes(np.asarray(options, np.uint8))


def _tensors(
    a: _StoredTrace,
    op: FileOp,
    b: _StoredTrace,
    other: FileOp,
    same: Collection[tuple[int, int]],
) -> Iterator[tuple[str, str]]:
    if len(op.inputs) != len(other.inputs):
        yield "tensor", f"{len(op.inputs)} inputs, now {len(other.inputs)}"
    sides = [("input", op.inputs, other.inputs), ("output", op.outputs, other.outputs)]
    for side, mine, theirs in sides:
        for place, (one, two) in enumerate(zip(mine, theirs, strict=False)):
            what = f"{side} {place}"
            if (one < 0) != (two < 0):
                yield "tensor", f"{what} {'is there now' if one < 0 else 'is left out now'}"
            elif one >= 0 and not (op.op in WITHOUT_VALUE and side == "output"):
                first, second = a.subgraph.tensors[one], b.subgraph.tensors[two]
                yield from _tensor(what, first, second)
                if (first.buffer, second.buffer) not in same:
                    yield from _constant(what, a, one, b, two)


def _tensor(what: str, a: schema.TensorT, b: schema.TensorT) -> Iterator[tuple[str, str]]:
    mine, theirs = _quantization(a), _quantization(b)
    if mine != theirs:
        steps = [f"{dtype_name(t)}, {_steps(q)}" for t, q in ((a, mine), (b, theirs))]
        yield "quantization", f"{what}: {steps[0]}; now {steps[1]}"
    elif dtype_name(a) != dtype_name(b):
        yield "tensor", f"{what} is {dtype_name(a)}, now {dtype_name(b)}"
    if indices(a.shape) != indices(b.shape):
        yield "tensor", f"{what} is of shape {indices(a.shape)}, now {indices(b.shape)}"


def _quantization(tensor: schema.TensorT) -> tuple[tuple[float, ...], tuple[float, ...]]:
    scales = scales_of(tensor)
    if scales is None:
        return (), ()
    return tuple(scales.tolist()), tuple(zero_points_of(tensor).tolist())


def _steps(one: tuple[tuple[float, ...], tuple[float, ...]]) -> str:
    scales, zeros = one
    if not scales:
        return "not quantized"
    if len(scales) > 1:
        return f"{len(scales)} scales from {min(scales):.6g} to {max(scales):.6g}"
    return f"scale {scales[0]:.6g}, zero point {zeros[0]:.0f}"


def _constant(
    what: str, a: _StoredTrace, one: int, b: _StoredTrace, two: int
) -> Iterator[tuple[str, str]]:
    held, now = a.constant(one), b.constant(two)  # through DEQUANTIZE
    if held is None or now is None:
        if held != now:
            yield "constant", f"{what} is {'a constant' if held is None else 'computed'} now"
        return
    dtypes = [dtype_name(trace.subgraph.tensors[t]) for trace, t in ((a, held), (b, now))]
    if dtypes[0] != dtypes[1] and (held, now) != (one, two):
        yield "tensor", f"{what} is stored as {dtypes[0]}, now {dtypes[1]}"
    if dtypes[0] == dtypes[1] and a.step(held) == b.step(now):
        data, other = a.data(held), b.data(now)
        if np.array_equal(data, other):
            return
    mine, theirs = _real_values(a, held), _real_values(b, now)
    if mine.shape != theirs.shape or np.array_equal(mine, theirs):
        return
    apart = ""
    if mine.dtype.kind in "fiu" and theirs.dtype.kind in "fiu":
        steps = {a.step(held), b.step(now)}
        rounded = 0.51 * max(steps) if len(steps) > 1 else 0.0
        if "float16" in dtypes:
            rounded = max(rounded, HALF_DIGITS * reach(mine))
        largest, count = largest_difference(mine, theirs)
        if largest <= rounded:
            return
        apart = f", {count} of {mine.size} values, by {largest:.6g} at most"
    yield "constant", f"{what} differs{apart}"


def _real_values(trace: _StoredTrace, tensor: int) -> Any:
    """Return the real values of a constant; its bytes, where NumPy lacks the dtype."""
    held, data = trace.subgraph.tensors[tensor], trace.data(tensor)
    value = plain_array(data, dtype_name(held), tuple(indices(held.shape)))
    return data if value is None else dequantized(value, held)
