"""The same file, run in other ways: with its memory shared, with delegates, by CompiledModel.

To look at every tensor, the interpreter keeps each in memory of its own, without delegates. That
may hide the very fault. So the answers are compared with those of the file as people run it; and
where these differ, the op is found without looking: by files that end at one op after the other.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from varhandle.divergence.cutting import cut, taken
from varhandle.divergence.file_trace import WITHOUT_VALUE, FileTrace, dequantized, quantized
from varhandle.divergence.tensor_difference import Difference, difference
from varhandle.evaluate.parity import DELEGATES, PLAIN, file_answers
from varhandle.evaluate.reference import same_values
from varhandle.sandbox import Record, run_isolated
from varhandle.tflite.flatbuffer import indices, pack, with_callees

Array = npt.NDArray[Any]
Answers = Sequence[Mapping[str, Array]]

Calls = Sequence[Sequence[Array]]

COMPILED = "CompiledModel"
KEPT = "plain kernels, each tensor in memory of its own"


def run_otherwise(
    content: bytes, signature: str | None, calls: Sequence[dict[str, Array]], timeout: float
) -> dict[str, Record]:
    """Run a file as people do, each way in a child process; a value is a list of answers."""
    limits: dict[str, Any] = {"timeout": timeout, "tensorflow": False}
    ways: dict[str, Any] = {PLAIN: _values, DELEGATES: _values, COMPILED: compiled_answers}
    return {
        kernels: run_isolated(run, content, calls, signature, kernels, **limits)
        for kernels, run in ways.items()
    }


def _values(
    content: bytes, calls: Sequence[dict[str, Array]], signature: str | None, kernels: str
) -> list[dict[str, Array]]:
    given = file_answers(content, calls, signature, kernels)
    return [{name: value for name, (value, _) in one.items()} for one in given]


def compiled_answers(
    content: bytes, calls: Sequence[dict[str, Array]], signature: str | None, _: str = COMPILED
) -> list[dict[str, Array]]:
    """Run a file by CompiledModel; return the outputs that it has a name of their own for.

    Two outputs that are one tensor have the same name there.
    """
    file = FileTrace(content, signature)
    run = _Compiled(content, signature)
    names, tensors = run.outputs, file.subgraph.tensors
    return [
        {
            name: dequantized(value, tensors[file.outputs[name]])
            for name, value in zip(names, run(_in_order(file, call)), strict=True)
            if value is not None and names.count(name) == 1
        }
        for call in calls
    ]


class _Compiled:
    """A file that CompiledModel runs, with its inputs and outputs in their order."""

    def __init__(self, content: bytes, signature: str | None) -> None:
        from ai_edge_litert.compiled_model import CompiledModel

        self._model = CompiledModel.from_buffer(content)
        self._index = 0 if signature is None else self._model.get_signature_index(signature)
        self.outputs = list(self._model.get_signature_by_index(self._index)["outputs"])

    def __call__(self, values: Sequence[Array]) -> list[Array | None]:
        """Make the next call, with values as they lie in memory; what cannot be read is none."""
        model, index = self._model, self._index
        fed = model.create_input_buffers(index)
        shapes = [buffer.get_tensor_details()["shape"] for buffer in fed]
        if shapes != [list(value.shape) for value in values]:
            for place, value in enumerate(values):
                model.resize_input_tensor(place, value.shape, index, strict=False)
            fed = model.create_input_buffers(index)
        for buffer, value in zip(fed, values, strict=True):
            buffer.write(np.ascontiguousarray(value))
        given = model.create_output_buffers(index)
        model.run_by_index(index, fed, given)
        return list(map(_read, given))


def _read(buffer: Any) -> Array | None:
    told = buffer.get_tensor_details()
    shape, dtype = told["shape"], np.dtype(told["dtype"])
    with contextlib.suppress(ValueError):  # it reads no 64 bits
        return np.array(buffer.read(int(np.prod(shape)), dtype)).reshape(shape)
    return None


def compared(looked_at: Answers, record: Record, kernels: str, allowed: float = 0.0) -> str:
    """Say how another run answers beside the one that was looked at.

    ``allowed`` is a share that it may differ by, where that is more than the dtype's.
    """
    if not record.ok:
        return "refused"
    calls = list(zip(looked_at, record.value, strict=False))
    pairs = [(other[n], one[n]) for one, other in calls for n in one if n in other]
    if not pairs:
        return "refused"
    if all(same_values(*pair) for pair in pairs):
        return "the same bits"
    agree = all(run_difference(*pair, kernels, allowed).agrees for pair in pairs)
    return "agrees" if agree else "differs"


def run_difference(got: Array, expected: Array, kernels: str, allowed: float = 0.0) -> Difference:
    """Return how far a run is from the one that was looked at; the same kernels give the same."""
    one = difference(got, expected, allowed=allowed)
    if kernels == PLAIN and one.agrees and not same_values(got, expected):
        return replace(one, note="other bits")
    return one


@dataclass(frozen=True)
class UnseenDifference:
    """Where a run parts from the one that was looked at.

    Attributes:
        call: The call.
        number: The operator; -1 where no operator makes what differs.
        name: Its output.
        largest: The largest difference.
        group: The operator and those before it that are needed to see the difference.
        whole: Whether every operator's output agrees in a file that ends there.
        tried: How many files were run.
    """

    call: int
    number: int
    name: str
    largest: float
    group: tuple[int, ...]
    whole: bool
    tried: int


def first_without_looking(
    content: bytes,
    signature: str | None,
    calls: Sequence[dict[str, Array]],
    kernels: str,
    allowed: float = 0.0,
) -> UnseenDifference | None:
    """Return where a run parts from the one looked at; ``None`` where it does not.

    Every operator's output is read from a file that ends there, so that nothing else is kept. The
    operators are then left out from the front, as long as the rest still differs on the values that
    they gave. In a child process.
    """
    return _Unseen(content, signature, calls, kernels, allowed).first()


def run_cut(content: bytes, calls: Calls, kernels: str) -> list[Sequence[Array | None]]:
    """Return what a file without a signature gives, as it lies in memory; it may end the process.

    ``kernels`` is a way that people run it in, or ``KEPT``.
    """
    if kernels == COMPILED:
        run = _Compiled(content, None)
        return [run(values) for values in calls]
    file = FileTrace(content, delegates=kernels == DELEGATES, keep=kernels == KEPT)
    found: list[Sequence[Array | None]] = []
    for values in calls:
        file.run(values)
        raw = (file.raw(tensor) for tensor in indices(file.subgraph.outputs))
        found.append([None if value is None else np.array(value) for value in raw])
    return found


class _Unseen:
    """Runs files that are cut out of one, in another way than the one that was looked at."""

    def __init__(
        self,
        content: bytes,
        signature: str | None,
        calls: Sequence[dict[str, Array]],
        kernels: str,
        allowed: float,
    ) -> None:
        self._trace, self._kernels, self._allowed = FileTrace(content, signature), kernels, allowed
        self._tried = 0
        self._calls = [_in_order(self._trace, call) for call in calls]
        made = [op for op in self._trace.ops if op.op not in WITHOUT_VALUE]
        self._outputs = [(op.number, tensor) for op in made for tensor in op.outputs]
        self._keeps_state = len(made) < len(self._trace.ops)
        self._ends = list(self._trace.outputs.values())
        taken_or_made = {t for op in self._trace.ops for t in (*op.inputs, *op.outputs) if t >= 0}
        tensors = [*(t for t in taken_or_made if not self._trace.is_constant(t)), *self._ends]
        self._seen: list[dict[int, Array]] = []
        for call in calls:
            self._trace(call)
            raw = {tensor: self._trace.raw(tensor) for tensor in tensors}
            self._seen.append({t: np.array(v) for t, v in raw.items() if v is not None})

    def first(self) -> UnseenDifference | None:
        parted = [
            (place + 1, number, tensor, largest)
            for number, tensor in self._outputs
            for place, largest in self._parts([tensor])[:1]
        ]
        if parted:
            call, number, tensor, largest = min(parted)
            group, whole = self._group(number, tensor, call), False
        else:
            ends = self._fewest_ends()
            found = self._parts(ends) if ends else []
            if not found:
                return None
            (place, largest), tensor, whole = found[0], ends[0], True
            maker = self._trace.producers.get(tensor)
            call, number, group = place + 1, -1 if maker is None else maker.number, []
        name = self._trace.name(tensor)
        return UnseenDifference(call, number, name, largest, tuple(group), whole, self._tried)

    def _parts(self, ends: Sequence[int]) -> list[tuple[int, float]]:
        """Return the calls in which a file that ends at some tensors differs, and by how much."""
        model, number = copy.copy(self._trace.model), self._trace.subgraph_index
        subgraph = copy.copy(self._trace.subgraph)
        subgraph.outputs = list(ends)
        if not self._keeps_state:
            subgraph.operators = subgraph.operators[: self._end_of(ends)]
        model.subgraphs = [*model.subgraphs[:number], subgraph, *model.subgraphs[number + 1 :]]
        model.signatureDefs = None
        _make_main(model, number)
        found = self._run(pack(model), self._calls)
        apart = ((n, self._apart(n, ends, values)) for n, values in enumerate(found))
        return [(n, largest) for n, largest in apart if largest is not None]

    def _end_of(self, ends: Sequence[int]) -> int:
        """Return how many operators make some tensors; all where one takes what is made later."""
        ops = self._trace.ops
        count = max((op.number + 1 for op in ops if {*op.outputs} & {*ends}), default=0)
        made = {tensor for op in ops[:count] for tensor in op.outputs}
        later = {tensor for op in ops[count:] for tensor in op.outputs} - made
        return len(ops) if any(later & {*op.inputs} for op in ops[:count]) else count

    def _apart(
        self, call: int, ends: Sequence[int], values: Sequence[Array | None]
    ) -> float | None:
        """Return the largest difference of a call; ``None`` where all agree."""
        parted = []
        for tensor, value in zip(ends, values, strict=True):
            wanted, held = self._seen[call].get(tensor), self._trace.subgraph.tensors[tensor]
            if value is not None and wanted is not None:
                pair = dequantized(value, held), dequantized(wanted, held)
                one = run_difference(*pair, self._kernels, self._allowed)
                parted += [] if one.agrees else [one.largest]
        return max(parted, default=None)

    def _run(self, content: bytes, calls: Calls) -> list[Sequence[Array | None]]:
        self._tried += 1
        return run_cut(content, calls, self._kernels)

    def _group(self, number: int, tensor: int, call: int) -> list[int]:
        """Return the last operators, up to one, that differ on what the others gave."""
        before = [op.number for op in self._trace.ops if op.number <= number]
        low, high = 0, len(before) - 1  # of those that are left out
        group = before
        while low <= high:
            middle = (low + high + 1) // 2
            some = before[middle:]
            if self._parts_alone(some, tensor, call):
                group, low = some, middle + 1
            else:
                high = middle - 1
        return group

    def _parts_alone(self, numbers: Sequence[int], tensor: int, call: int) -> bool:
        fed, seen = taken(self._trace, numbers), self._seen[call - 1]
        ops = self._trace.ops
        left_out = {t for op in ops[: numbers[0]] for t in op.outputs}
        made_anew = left_out & {t for number in numbers for t in ops[number].outputs}
        if made_anew or not all(one in seen for one in fed):
            return False
        try:
            (values,) = self._run(cut(self._trace, numbers, tensor), [[seen[one] for one in fed]])
        except (RuntimeError, ValueError):  # of a variable that nothing assigns, for one
            return False
        return self._apart(call - 1, [tensor], values) is not None

    def _fewest_ends(self) -> list[int]:
        """Return the fewest outputs that a file must have to differ; none where it does not."""
        ends = list(dict.fromkeys(self._ends))
        if not self._parts(ends):
            return []
        for tensor in list(ends):
            fewer = [one for one in ends if one != tensor]
            if fewer and self._parts(fewer):
                ends = fewer
        return ends


def _make_main(model: schema.ModelT, number: int) -> None:
    """Let a subgraph and the first one change places; every operator stays."""
    moved = {0: number, number: 0}
    order = [moved.get(n, n) for n in range(len(model.subgraphs))]
    model.subgraphs = [copy.copy(model.subgraphs[n]) for n in order]
    for each in model.subgraphs:
        each.operators = [with_callees(one, moved) for one in each.operators or []]


def _in_order(trace: FileTrace, call: Mapping[str, Array]) -> list[Array]:
    """Return the inputs of a call, as they lie in memory, in the order of the subgraph's."""
    held = {trace.session.inputs[name].index: value for name, value in call.items()}
    order = [int(number) for number in trace.subgraph.inputs]
    dtypes = {one.index: one.dtype for one in trace.session.inputs.values()}
    tensors = trace.subgraph.tensors
    return [
        np.asarray(quantized(np.asarray(held[n]), tensors[n])).astype(dtypes[n], copy=False)
        for n in order
    ]
