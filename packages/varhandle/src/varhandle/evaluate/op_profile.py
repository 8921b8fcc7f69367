"""Where the time of a .tflite file goes, op by op.

The Python side of ``ai_edge_litert`` 2.3.0 offers no profiler: the runtime has one, but only its C
interface reaches it, and ``ai_edge_litert.tools`` times whole models. So :func:`profile_ops` cuts
each op out of the file, with its own weights and the real tensors that flow into it, and times it
as a model of one op. That is an estimate: the ops of a whole model are fused, share caches and
hand their results on. The sum of the estimates therefore stands beside the time of the whole.

How far off it is has been looked at once, in a first-run comparison with the runtime's own
profiler, asked through the C interface about the digits classifier on 256 images with the default
delegates (ai-edge-litert 2.3.0, one core of an x86-64): convolutions, pooling and softmax came out
near its figures, the fully connected layer at about one and a half times. One run on one machine
bounds nothing: judge a profile by its ``accounted``.
"""

from __future__ import annotations

import copy
import html
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from varhandle.display import RichTable, Table
from varhandle.evaluate.latency import Latency, latency_of
from varhandle.evaluate.session import Array, Inputs, Model, Session, read_model
from varhandle.progress_bar import steps

if TYPE_CHECKING:
    from ai_edge_litert import schema_py_generated as schema

    Cut = tuple[bytes, list[Array]]
    """A model of one op, and its inputs."""

_WARM_UP = 10  # rounds before the timing
_LISTED = 12  # ops that a profile lists one by one
_WHOLE, _NOTHING = "the whole model", "an empty model"


@dataclass(frozen=True)
class OpTime:
    """What one op takes.

    Attributes:
        position: Its place in the subgraph, counted from 0.
        op: Such as ``CONV_2D``.
        milliseconds: Median of the model of this op alone, without the cost of the call;
            ``None`` where the op cannot run alone, because it shares a state with others.
    """

    position: int
    op: str
    milliseconds: float | None


@dataclass(frozen=True, repr=False)
class OpProfile(RichTable):
    """The ops of a model with the time of each.

    Attributes:
        ops: The ops, in the order in which they run.
        whole: What the model takes when it runs as a whole, the cost of the call included.
        call_cost: Milliseconds that a call of a model without ops takes.
    """

    ops: tuple[OpTime, ...]
    whole: Latency
    call_cost: float

    @property
    def total(self) -> float:
        """Milliseconds of all ops that were timed, together."""
        return sum(one.milliseconds or 0.0 for one in self.ops)

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
            (one.position, one.op, _time(one.milliseconds), _share(one.milliseconds, self.total))
            for one in timed[:_LISTED]
        ]
        rest = sum(one.milliseconds or 0.0 for one in timed[_LISTED:])
        if timed[_LISTED:]:
            rows.append(("", f"{len(timed) - _LISTED} more", _time(rest), _share(rest, self.total)))
        return ("position", "op", "ms alone", "share"), rows, "Time by op, an estimate"

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


def _time(milliseconds: float | None) -> str:
    return "not timed" if milliseconds is None else f"{milliseconds:.4f}"


def _share(milliseconds: float | None, total: float) -> str:
    return "" if milliseconds is None or not total else f"{milliseconds / total:.0%}"


def profile_ops(
    model: Model,
    inputs: Inputs = None,
    *,
    signature: str | None = None,
    threads: int | None = None,
    delegates: bool = True,
    runs: int = 100,
) -> OpProfile:
    """Estimate what each op of a model takes, by timing each as a model of its own.

    The ops, the whole model and an empty model take turns, so a machine that slows down slows all
    of them. The whole runs in this process: give a model that you trust. Delegates fuse ops of the
    whole model, which no op alone can show: without them the sum lies nearer the whole. Arguments
    and errors are those of :class:`~varhandle.evaluate.session.Session`, and ``ValueError`` for
    fewer than 2 runs.
    """
    from varhandle.tflite.flatbuffer import op_name, subgraph_of, unpack

    if runs < 2:
        raise ValueError(f"runs must be at least 2, not {runs}")
    content, source = read_model(model)
    session = Session(content, signature=signature, threads=threads, delegates=delegates)
    session(inputs)
    parts = unpack(content, source)
    number = subgraph_of(parts, session.signature)
    operators = parts.subgraphs[number].operators
    cutter = _Cutter(parts, number, _values(content, session.signature, number, inputs))
    cuts = [cutter.cut(operator) for operator in operators]
    calls: dict[str, Callable[[], Any]] = {_WHOLE: _whole(session, inputs)}
    calls[_NOTHING] = _invoker((cutter.empty(), []), threads, delegates)
    for position, cut in enumerate(cuts):
        if cut is not None:
            calls[str(position)] = _invoker(cut, threads, delegates)
    times = _in_turns(calls, runs)
    cost = times[_NOTHING].median
    ops = tuple(
        OpTime(
            position,
            op_name(parts, operator),
            None if cut is None else max(times[str(position)].median - cost, 0.0),
        )
        for position, (operator, cut) in enumerate(zip(operators, cuts, strict=True))
    )
    return OpProfile(ops, times[_WHOLE], cost)


def _in_turns(calls: Mapping[str, Callable[[], Any]], runs: int) -> dict[str, Latency]:
    """Time calls one after the other, over and over, as the ops of the whole model take turns.

    Many runs of one op in a row would find its weights in the cache, which the ops between two
    runs of the whole model displace: on six dense layers of 4 MiB each, that made the sum 40 % of
    the whole in a first comparison on one machine, and taking turns made it 84 to 96 %.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for run in steps(range(_WARM_UP + runs), "profiling"):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if run >= _WARM_UP:
                seconds[name].append(time.perf_counter() - started)
    return {name: latency_of(times) for name, times in seconds.items()}


def _whole(session: Session, inputs: Inputs) -> Callable[[], Any]:
    """Return a call of the whole model: ``invoke`` alone where the public interface has it."""
    if session.runs_main:
        return session.interpreter.invoke
    return lambda: session(inputs, raw=True)


def _invoker(cut: Cut, threads: int | None, delegates: bool) -> Callable[[], Any]:
    """Open a model of one op, give it its inputs, and return the call that runs it."""
    content, values = cut
    interpreter = Session(content, threads=threads, delegates=delegates, strict=False).interpreter
    for detail, value in zip(interpreter.get_input_details(), values, strict=False):
        interpreter.set_tensor(detail["index"], value)
    invoke: Callable[[], Any] = interpreter.invoke
    return invoke


def _values(
    content: bytes, signature: str | None, subgraph: int, inputs: Inputs
) -> Callable[[int], Array]:
    """Run the model once with every tensor kept, and return what reads them."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    session = Session.on(interpreter, content, signature)
    session(inputs)
    return lambda index: np.asarray(interpreter.get_tensor(index, subgraph))


class _Cutter:
    """Cuts single ops out of one subgraph, each with the values that flow into it."""

    def __init__(self, parts: schema.ModelT, subgraph: int, values: Callable[[int], Array]) -> None:
        self._parts = parts
        self._number = subgraph
        self._subgraph = parts.subgraphs[subgraph]
        self._values = values

    def cut(self, operator: schema.OperatorT) -> Cut | None:
        """Return a model of one op and its inputs, or nothing if the op shares a state."""
        if self._shares_state(operator):
            return None
        inputs = dict.fromkeys(index for index in _present(operator.inputs) if self._flows(index))
        values = {index: self._values(index) for index in inputs}
        tensors = list(self._subgraph.tensors)
        for index, value in values.items():  # of the size that it has in this call
            tensors[index] = copy.copy(tensors[index])
            tensors[index].shape = list(value.shape)
            tensors[index].shapeSignature = None
        content = self._model([operator], tensors, list(inputs), _present(operator.outputs))
        return content, list(values.values())

    def empty(self) -> bytes:
        """Return a model without ops, to time a call that does nothing."""
        from ai_edge_litert import schema_py_generated as schema

        tensor = schema.TensorT()
        tensor.name, tensor.shape = b"x", [1]
        tensor.type, tensor.buffer = schema.TensorType.FLOAT32, 0
        return self._model([], [tensor], [0], [0])

    def _model(
        self, operators: list[Any], tensors: list[Any], inputs: list[int], outputs: list[int]
    ) -> bytes:
        from varhandle.tflite.flatbuffer import compact, pack

        subgraph = copy.copy(self._subgraph)
        subgraph.operators, subgraph.tensors = operators, tensors
        subgraph.inputs, subgraph.outputs = inputs, outputs
        parts = copy.copy(self._parts)
        parts.subgraphs = list(parts.subgraphs)
        parts.subgraphs[self._number] = subgraph
        return pack(compact(parts, [self._number]))

    def _flows(self, index: int) -> bool:
        """Whether a tensor comes from another op: neither a constant nor a kept state."""
        from varhandle.tflite.flatbuffer import has_data

        tensor = self._subgraph.tensors[index]
        return not has_data(self._parts.buffers[tensor.buffer]) and not tensor.isVariable

    def _shares_state(self, operator: schema.OperatorT) -> bool:
        """Whether an op, or what it calls, has to do with a handle; one without outputs may."""
        from ai_edge_litert import schema_py_generated as schema

        from varhandle.tflite.flatbuffer import callees, op_name, reachable

        outputs = _present(operator.outputs)
        if op_name(self._parts, operator) == "CALL_ONCE" or not outputs:
            return True
        touched = (*_present(operator.inputs), *outputs)
        types = {self._subgraph.tensors[index].type for index in touched}
        for number in reachable(self._parts, callees(operator)):
            types |= {tensor.type for tensor in self._parts.subgraphs[number].tensors}
        return bool(types & {schema.TensorType.RESOURCE, schema.TensorType.VARIANT})


def _present(vector: Any) -> list[int]:
    """Return the tensors of an op, without the optional inputs (-1) that it does without."""
    from varhandle.tflite.flatbuffer import indices

    return [index for index in indices(vector) if index >= 0]
