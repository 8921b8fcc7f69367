"""Constants of a file that are not the model's, though no answer of the calls shows it.

A weight of a unit that stays at 0 behind its ReLU, a row of a table that nobody looks up, a branch
that is not taken: what is computed agrees, and the file is another one nevertheless.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.schema_py_generated import TensorT

from varhandle.display import counted
from varhandle.divergence.cutting import weight_rounding
from varhandle.divergence.file_trace import FileOp, FileTrace, dequantized, scales_of
from varhandle.divergence.inside import Inside, file_of_subgraph
from varhandle.divergence.model_trace import ModelPart
from varhandle.divergence.op_check import Fault, OpCheck
from varhandle.divergence.reasons import FLOAT16
from varhandle.divergence.tensor_difference import STEPS, reach
from varhandle.divergence.weight_matching import Recognized, recognize
from varhandle.divergence.weights import Weight, weights_of
from varhandle.errors import VarhandleError
from varhandle.evaluate.parity import TOLERANCES, absolute_errors
from varhandle.formats import read_graph
from varhandle.graph import Graph
from varhandle.sandbox.scratch import temporary_folder
from varhandle.tflite.flatbuffer import callees, indices

Array = npt.NDArray[Any]

ROUNDED = 1e-2
"""Share of a quantized constant's range that it may differ by: recipes clip and correct it."""

_BRANCHES = {
    "IF": ("the first branch", "the second branch"),
    "WHILE": ("the condition", "the body"),
}


def explains_constants(model: Graph, file: str | os.PathLike[str] | bytes) -> bool:
    """Whether each constant of a float file is recognized as a weight of the model, unchanged.

    Where one is not, it may be the converter's own: a fresh conversion tells.
    """
    try:
        with _opened(file) as graph:
            return _explains(model, graph)
    except VarhandleError:
        return False


def unexplained_constants(model: Graph, file: str | os.PathLike[str] | bytes) -> dict[str, str]:
    """Return the constants of a file that are not recognized as a weight of the model, unchanged.

    Their names, and by how much each differs from a weight that it is mostly, in words.
    """
    try:
        with _opened(file) as graph:
            theirs, _ = weights_of(graph)
            recognized = recognize(weights_of(model)[0], theirs).values()
    except VarhandleError:
        return {}
    same = {partner for one in recognized if not one.is_changed for partner in one.partners}
    found = {one.name: "" for one in theirs if one not in same and _counts(one)}
    for one in recognized:
        for partner in one.partners if one.is_changed and one.difference else ():
            found[partner.name] = f", by {one.difference:.3g} at most"
    return found


@contextlib.contextmanager
def _opened(file: str | os.PathLike[str] | bytes) -> Iterator[Graph]:
    """Read a file; its constants are read as long as it is open."""
    if not isinstance(file, bytes):
        yield read_graph(file)
        return
    with temporary_folder("constants-") as folder:
        path = Path(folder) / "file.tflite"
        path.write_bytes(file)
        yield read_graph(path)


def _explains(model: Graph, file: Graph) -> bool:
    (ours, doubt), (theirs, _) = weights_of(model), weights_of(file)
    found = recognize(ours, theirs)
    taken = {partner for one in found.values() for partner in one.partners}
    return (
        not doubt
        and all(_is_kept(weight, found) for weight in ours)
        and all(one in taken or not _counts(one) for one in theirs)
    )


def _is_kept(weight: Weight, found: Mapping[Weight, Recognized]) -> bool:
    if weight.kind != "variable" or not weight.is_used:
        return True
    return weight in found and not found[weight].is_changed


def _counts(constant: Weight) -> bool:
    """Whether a constant is no axis or shape, and not the zeros that stand for a bias."""
    outline = constant.outline
    return constant.kind == "constant" and not (
        outline is not None and (outline.kind in "iub" or outline.is_zero)
    )


def unseen_change(check: OpCheck, calls: int) -> tuple[Fault, Inside | None] | None:
    """Return the first op that takes and gives what its twin does, and holds another constant."""
    if check.other is None:
        return None
    shown = not_shown(calls)
    pairs = check.tensor_pairs()
    for op in check.file.ops:
        twin = check.twin(op)
        if twin is None or twin[1].op != op.op:
            continue
        why = _changed(check, op, twin[1], pairs)
        inside = None if why else _inside(check, op, twin[1], calls)
        why = f"{why}, {shown}" if why else inside.fault.why if inside and inside.fault else ""
        if why:
            tensor = op.outputs[0] if op.outputs else -1
            return Fault(op, tensor, why, [op]), inside
    return None


def not_shown(calls: int) -> str:
    """Say that the calls do not show a change."""
    return f"though no answer of {'this call' if calls == 1 else f'these {calls} calls'} shows it"


def shows_elsewhere(content: bytes, part: ModelPart, fed: Sequence[Array]) -> bool:
    """Whether a part of a file and the model's differ for other inputs than those of a call.

    ``fed`` are those of a call, as they lie in memory.
    """
    file = FileTrace(content)
    check, (output,) = OpCheck(file, None), indices(file.subgraph.outputs)
    tensors = [file.subgraph.tensors[tensor] for tensor in file.inputs]
    shapes = [indices(tensor.shape) for tensor in file.subgraph.tensors]
    rows = max((shape[0] for shape in shapes if shape), default=1)
    for draw in range(_DRAWS + (rows if any(one.dtype.kind in "iu" for one in fed) else 0)):
        values = [_drawn(one, tensor, draw, rows) for one, tensor in zip(fed, tensors, strict=True)]
        try:
            file.run(values)
            sound = part(list(map(dequantized, values, tensors)))
        except Exception:  # of LiteRT or TensorFlow: one of the two does not take such inputs
            continue
        limits = file.limits(output)
        one = check.difference(output, sound if limits is None else np.clip(sound, *limits))
        if one is None or one.agrees:
            continue
        if not one.without(weight_rounding(content, values)).agrees:
            return True
    return False


def _drawn(value: Array, tensor: TensorT, draw: int, rows: int) -> Array:
    """Return random numbers, farther from 0 each time; of indices, the next ones."""
    random = np.random.default_rng(draw)
    if scales_of(tensor) is not None:
        ends = np.iinfo(value.dtype)
        return random.integers(ends.min, ends.max, value.shape, value.dtype, endpoint=True)
    if value.dtype.kind in "iu":
        return np.resize(np.arange(draw, draw + value.size) % rows, value.shape).astype(value.dtype)
    if value.dtype.kind != "f":
        return value
    reach = (float(np.max(np.abs(value), initial=0.0)) or 1.0) * 10.0 ** (draw % _SCALES)
    least = 0.0 if np.all(value >= 0) else -reach  # what a Relu gave, for one
    return random.uniform(least, reach, value.shape).astype(value.dtype)


_DRAWS = 12
_SCALES = 4
"""Powers of 10 that the inputs of a call are enlarged by in turns: a bias may hold a unit at 0."""


def _changed(check: OpCheck, op: FileOp, twin: FileOp, pairs: dict[int, int]) -> str:
    """Say which constant of an op is another; empty where none is, or it takes something else."""
    file, other, words = check.file, check.other, ""
    assert other
    if len(op.inputs) != len(twin.inputs):
        return ""
    for mine, theirs in zip(op.inputs, twin.inputs, strict=True):
        held = None if mine < 0 else file.constant(mine)
        sound = None if theirs < 0 else other.constant(theirs)
        if held is None or sound is None:
            if mine >= 0 and pairs.get(mine) != theirs:
                return ""
        elif not words:
            words = _apart(file, held, other.value(sound), check.coarseness)
    return words


def _apart(file: FileTrace, tensor: int, sound: Array | None, coarseness: float) -> str:
    """Say that a constant is further from what it should be than rounding brings it."""
    found, raw = file.value(tensor), file.raw(tensor)
    if found is None or raw is None or sound is None or found.size != sound.size:
        return ""
    if found.dtype.kind != "f" or sound.dtype.kind != "f":
        return ""  # an axis, a shape, a mask: there are several ways to say the same
    wanted = sound.reshape(found.shape).astype(np.float64)
    steps = file.steps(tensor)
    share = max(coarseness, FLOAT16 if found.dtype == np.float16 else TOLERANCES["float32"])
    widest = reach(sound)
    allowed = np.asarray(share * widest)
    if steps is not None:
        allowed = np.maximum(ROUNDED * widest, STEPS * steps)
    apart = absolute_errors(found, wanted)
    if raw.dtype.kind in "iu":  # a recipe may clip what lies far out
        ends = np.iinfo(raw.dtype)
        clipped = (raw >= ends.max) & (wanted > found) | (raw <= ends.min + 1) & (wanted < found)
        apart = np.where(clipped, 0.0, apart)
    differ = ~(apart <= allowed)
    if not differ.any():
        return ""
    count, largest = int(differ.sum()), float(np.max(apart[differ]))
    which = counted(count, "value") if found.size > 1 else "its value"
    return f"its weights differ: {file.title(tensor)}, {which}, by {largest:.3g} at most"


def _inside(check: OpCheck, op: FileOp, twin: FileOp, calls: int) -> Inside | None:
    """Look into the branches of an op, those that no call has taken among them."""
    if op.op not in _BRANCHES or check.other is None:
        return None
    numbers = callees(op.operator), callees(twin.operator)
    for where, mine, theirs in zip(_BRANCHES[op.op], *numbers, strict=False):
        try:
            inner = OpCheck(
                file_of_subgraph(check.file, mine), file_of_subgraph(check.other, theirs)
            )
            found = unseen_change(inner, calls)
        except (RuntimeError, ValueError):  # it takes a variable of the file around it
            continue
        if found:
            fault, deeper = found
            own = range(len(inner.file.ops))
            return Inside(where, inner, fault, deeper, {}, {}, (), own)
    return None
