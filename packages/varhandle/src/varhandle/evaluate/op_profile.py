"""Where the time of a .tflite file goes, op by op.

The Python side of ``ai_edge_litert`` 2.3.0 offers no profiler: the runtime has one, but only its C
interface reaches it, and ``ai_edge_litert.tools`` times whole models. So :func:`profile_ops` cuts
each op out of the file, with its own weights and the real tensors that flow into it, and times it
as a model of one op. That is an estimate: the ops of a whole model are fused, share caches and
hand their results on. The sum of the estimates therefore stands beside the time of the whole.
Beside the runtime's own profiler, reached through the C interface once, on one machine,
convolutions came out near its figures, and a fully connected layer at one and a half times.
"""

from __future__ import annotations

import copy
import html
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from varhandle.display import RichTable, Table
from varhandle.evaluate.latency import Latency
from varhandle.evaluate.session import Array, Inputs, Model, Session, model_bytes
from varhandle.progress_bar import with_progress_bar

if TYPE_CHECKING:
    from ai_edge_litert import schema_py_generated as schema

_WARM_UP, _RUNS = 10, 100  # rounds before the timing, and rounds that are timed
_LISTED = 12  # ops that a profile lists one by one
_WHOLE, _NOTHING = "the whole model", "an empty model"


@dataclass(frozen=True)
class OpTime:
    """The median time of a model of one op alone, without the cost of the call."""

    position: int  # in the subgraph, counted from 0
    op: str  # such as ``CONV_2D``
    milliseconds: float | None  # ``None`` where it shares a state, and so cannot run alone


@dataclass(frozen=True, repr=False)
class OpProfile(RichTable):
    """The ops of a model with the time of each."""

    ops: tuple[OpTime, ...]  # in the order in which they run
    whole: Latency  # of the model as a whole, the cost of the call included
    call_cost: float  # milliseconds that a call of a model without ops takes

    @property
    def total(self) -> float:
        """Milliseconds of all ops that were timed, together."""
        return sum(self.by_kind().values())

    @property
    def accounted(self) -> float:
        """The sum of the ops as a share of the whole, both without the cost of a call.

        Near 1 the estimate holds. Above it the whole gains from fusion and warm caches; below it
        something is left out, such as ops that cannot run alone.
        """
        return self.total / max(self.whole.median - self.call_cost, 1e-9)

    @property
    def untimed(self) -> tuple[str, ...]:
        """The ops that cannot run alone, each name once, sorted."""
        return tuple(sorted({one.op for one in self.ops if one.milliseconds is None}))

    def by_kind(self) -> dict[str, float]:
        """Return milliseconds by kind of op, such as ``CONV_2D``, for the ops that were timed."""
        kinds: dict[str, float] = {}
        for one in self.ops:
            if one.milliseconds is not None:
                kinds[one.op] = kinds.get(one.op, 0.0) + one.milliseconds
        return kinds

    def _table(self) -> Table:
        timed = sorted(self.ops, key=lambda one: -(one.milliseconds or 0.0))
        rows: list[tuple[object, ...]] = [
            (one.position, one.op, *self._figures(one.milliseconds)) for one in timed[:_LISTED]
        ]
        if rest := timed[_LISTED:]:
            together = sum(one.milliseconds or 0.0 for one in rest)
            rows.append(("", f"{len(rest)} more", *self._figures(together)))
        return ("position", "op", "ms alone", "share"), rows, "Time by op, an estimate"

    def _figures(self, milliseconds: float | None) -> tuple[str, str]:
        if milliseconds is None:
            return "not timed", ""
        share = f"{milliseconds / self.total:.0%}" if self.total else ""
        return f"{milliseconds:.4f}", share

    def _footer(self) -> str:
        words = (
            f"sum {self.total:.4f} ms, the whole model {self.whole.median:.4f} ms, of which "
            f"{self.call_cost:.4f} ms are the call: {self.accounted:.0%} accounted for"
        )
        return words + (f"; not timed: {', '.join(self.untimed)}" if self.untimed else "")

    def __repr__(self) -> str:
        return f"OpProfile({len(self.ops)} ops, {self._footer()})"

    def text(self) -> str:
        """Return the slowest ops, and the sum beside the time of the whole."""
        return f"{super().text()}\n{self._footer()}"

    def html(self) -> str:
        """Return the same as a table."""
        return f"{super().html()}<p>{html.escape(self._footer())}</p>"


def profile_ops(
    model: Model,
    inputs: Inputs = None,
    *,
    signature: str | None = None,
    delegates: bool = True,
) -> OpProfile:
    """Estimate what each op of a model takes, by timing each as a model of its own.

    The ops, the whole model and an empty model take turns, so a machine that slows down slows all
    of them. The whole runs in this process: give a model that you trust. Delegates fuse ops of the
    whole model, which no op alone can show: without them the sum lies nearer the whole. Arguments
    and errors are those of :class:`~varhandle.evaluate.session.Session`.
    """
    from varhandle.tflite.flatbuffer import op_name, subgraph_of, unpack

    whole = Session(model, signature=signature, delegates=delegates)
    kept = Session(model, signature=signature, delegates=False, keep_tensors=True)
    whole(inputs)
    kept(inputs)
    parts = unpack(*model_bytes(model))
    number = subgraph_of(parts, whole.signature)
    operators = parts.subgraphs[number].operators
    calls: dict[str, Callable[[], Any]] = {
        _WHOLE: whole.interpreter.invoke if whole.runs_main else lambda: whole(inputs, raw=True),
        _NOTHING: _invoker(_without_ops(parts, number), (), delegates),
    }
    for position, operator in enumerate(operators):
        alone = _alone(parts, number, operator, kept.interpreter)
        if alone is not None:
            calls[str(position)] = _invoker(*alone, delegates)
    times = _in_turns(calls)
    cost = times[_NOTHING].median
    alone_times = {name: max(one.median - cost, 0.0) for name, one in times.items()}
    ops = [
        OpTime(position, op_name(parts, operator), alone_times.get(str(position)))
        for position, operator in enumerate(operators)
    ]
    return OpProfile(tuple(ops), times[_WHOLE], cost)


def _in_turns(calls: Mapping[str, Callable[[], Any]]) -> dict[str, Latency]:
    """Time calls one after the other, over and over, as the ops of the whole model take turns.

    Many runs of one op in a row would find its weights in the cache, which the ops between two
    runs of the whole model displace: on six dense layers of 4 MiB each, that made the sum 40 % of
    the whole in a first comparison on one machine, and taking turns made it 84 to 96 %.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for run in with_progress_bar(range(_WARM_UP + _RUNS), "profiling"):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if run >= _WARM_UP:
                seconds[name].append(time.perf_counter() - started)
    return {name: Latency.of(times) for name, times in seconds.items()}


def _invoker(content: bytes, values: Sequence[Array], delegates: bool) -> Callable[[], Any]:
    """Open a model without signatures, give it its inputs, and return the call that runs it."""
    interpreter = Session(content, delegates=delegates, strict=False).interpreter
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), values, strict=False):
        interpreter.set_tensor(detail["index"], value)
    invoke: Callable[[], Any] = interpreter.invoke
    return invoke


def _alone(
    parts: schema.ModelT, number: int, operator: schema.OperatorT, whole: Any
) -> tuple[bytes, list[Array]] | None:
    """Return a file of one op and the values of its inputs, or nothing if it shares a state.

    ``whole`` is an interpreter that has kept every tensor of a call.
    """
    from varhandle.tflite.flatbuffer import has_data

    if _shares_state(parts, number, operator):
        return None
    subgraph = copy.copy(parts.subgraphs[number])
    tensors, inputs, values = list(subgraph.tensors), [], []
    for index in dict.fromkeys(_present(operator.inputs)):
        tensor = tensors[index]
        if has_data(parts.buffers[tensor.buffer]) or tensor.isVariable:
            continue  # a constant or a kept state comes from no other op
        inputs.append(index)
        values.append(np.asarray(whole.get_tensor(index, number)))
        tensors[index] = copy.copy(tensor)  # of the size that it has in this call
        tensors[index].shape = list(values[-1].shape)
        tensors[index].shapeSignature = None
    subgraph.operators, subgraph.tensors = [operator], tensors
    subgraph.inputs, subgraph.outputs = inputs, _present(operator.outputs)
    return _packed(parts, number, subgraph), values


def _without_ops(parts: schema.ModelT, number: int) -> bytes:
    """Return a model that hands its input through, to time a call that does nothing."""
    from ai_edge_litert import schema_py_generated as schema

    tensor = schema.TensorT(name=b"x", shape=[1], type=schema.TensorType.FLOAT32, buffer=0)
    subgraph = copy.copy(parts.subgraphs[number])
    subgraph.operators, subgraph.tensors = [], [tensor]
    subgraph.inputs, subgraph.outputs = [0], [0]
    return _packed(parts, number, subgraph)


def _packed(parts: schema.ModelT, number: int, subgraph: schema.SubGraphT) -> bytes:
    """Write a file with another subgraph in the place of one, and what that one needs."""
    from varhandle.tflite.flatbuffer import compact, pack

    parts = copy.copy(parts)
    parts.subgraphs = list(parts.subgraphs)
    parts.subgraphs[number] = subgraph
    return pack(compact(parts, [number]))


def _shares_state(parts: schema.ModelT, number: int, operator: schema.OperatorT) -> bool:
    """Whether an op, or what it calls, has to do with a handle; one without outputs may."""
    from ai_edge_litert import schema_py_generated as schema

    from varhandle.tflite.flatbuffer import callees, op_name, reachable

    outputs = _present(operator.outputs)
    if op_name(parts, operator) == "CALL_ONCE" or not outputs:
        return True
    tensors = parts.subgraphs[number].tensors
    types = {tensors[index].type for index in (*_present(operator.inputs), *outputs)}
    for called in reachable(parts, callees(operator)):
        types |= {tensor.type for tensor in parts.subgraphs[called].tensors}
    return bool(types & {schema.TensorType.RESOURCE, schema.TensorType.VARIANT})


def _present(vector: Any) -> list[int]:
    """Return the tensors of an op, without the optional inputs (-1) that it does without."""
    from varhandle.tflite.flatbuffer import indices

    return [index for index in indices(vector) if index >= 0]
