"""Where the time and the memory of a .tflite file go, op by op.

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
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from varhandle.display import Rich, table_html, table_text
from varhandle.evaluate.latency import Latency, latency_of
from varhandle.evaluate.session import Array, Inputs, Model, Session, read_model
from varhandle.graph import ModelFileError
from varhandle.progress_bar import steps
from varhandle.sandbox import run_isolated

if TYPE_CHECKING:
    from ai_edge_litert import schema_py_generated as schema

_WARM_UP = 10  # rounds before the timing
_SHOWN = 12  # ops that a profile lists one by one
_WHOLE, _NOTHING = "the whole model", "an empty model"
_STATEFUL = ("RESOURCE", "VARIANT")


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
class OpProfile(Rich):
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

    def _rows(self) -> list[tuple[object, ...]]:
        timed = sorted(self.ops, key=lambda one: -(one.milliseconds or 0.0))
        rows: list[tuple[object, ...]] = [
            (one.position, one.op, _time(one.milliseconds), _share(one.milliseconds, self.total))
            for one in timed[:_SHOWN]
        ]
        rest = sum(one.milliseconds or 0.0 for one in timed[_SHOWN:])
        if timed[_SHOWN:]:
            rows.append(("", f"{len(timed) - _SHOWN} more", _time(rest), _share(rest, self.total)))
        return rows

    def _footer(self) -> str:
        words = (
            f"sum {self.total:.4f} ms, the whole model {self.whole.median:.4f} ms, of which "
            f"{self.call_cost:.4f} ms are the call: {self.accounted:.0%} accounted for"
        )
        return words + (f"; not timed: {', '.join(self.untimed)}" if self.untimed else "")

    def __repr__(self) -> str:
        return f"OpProfile({len(self.ops)} ops, {self._footer()})"

    def decode(self) -> str:
        """Return the slowest ops, and the sum beside the time of the whole."""
        return f"{table_text(_HEADERS, self._rows())}\n{self._footer()}"

    def html(self) -> str:
        """Return the same as a table."""
        table = table_html(_HEADERS, self._rows(), "Time by op, an estimate")
        return f"{table}<p>{html.escape(self._footer())}</p>"


_HEADERS = ("position", "op", "ms alone", "share")


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
    of them. The whole runs in this process: give a model that you trust.

    Raises:
        ValueError: Fewer than 2 runs, or what ``Session`` does not take.
        FileNotFoundError: ``model`` is a path to nothing.
        KeyError: No such signature or input.
        RuntimeError: The interpreter refuses the file.
    """
    from varhandle.tflite import flatbuffer

    if runs < 2:
        raise ValueError(f"runs must be at least 2, not {runs}")
    content, source = read_model(model)
    session = Session(content, signature=signature, threads=threads, delegates=delegates)
    session(inputs)
    parts = flatbuffer.unpack(content, source)
    number = _subgraph(parts, session.signature)
    cutter = _Cutter(parts, number, _values(content, session.signature, number, inputs))
    alone = {position: cutter.cut(position) for position in range(cutter.count)}
    calls: dict[str, Callable[[], Any]] = {_WHOLE: _whole(session, inputs)}
    calls[_NOTHING] = _invoker(cutter.empty(), [], threads, delegates)
    for position, cut in alone.items():
        if cut is not None:
            calls[str(position)] = _invoker(*cut, threads, delegates)
    times = _in_turns(calls, runs)
    cost = times[_NOTHING].median
    ops = tuple(
        OpTime(
            position,
            cutter.name(position),
            None if cut is None else max(times[str(position)].median - cost, 0.0),
        )
        for position, cut in alone.items()
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


def _invoker(
    content: bytes, values: list[Array], threads: int | None, delegates: bool
) -> Callable[[], Any]:
    """Open a model of one op, give it its inputs, and return the call that runs it."""
    interpreter = Session(content, threads=threads, delegates=delegates, strict=False).interpreter
    for detail, value in zip(interpreter.get_input_details(), values, strict=False):
        interpreter.set_tensor(detail["index"], value)
    invoke: Callable[[], Any] = interpreter.invoke
    return invoke


def _subgraph(parts: schema.ModelT, signature: str | None) -> int:
    from varhandle.tflite.flatbuffer import decode

    for definition in parts.signatureDefs or []:
        if decode(definition.signatureKey) == signature:
            return int(definition.subgraphIndex)
    return 0


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
    """Cuts single ops out of one subgraph."""

    def __init__(self, parts: schema.ModelT, subgraph: int, values: Callable[[int], Array]) -> None:
        self._parts = parts
        self._number = subgraph
        self._subgraph = parts.subgraphs[subgraph]
        self._values = values
        self.count = len(self._subgraph.operators)

    def name(self, position: int) -> str:
        from varhandle.tflite.flatbuffer import op_name

        return op_name(self._parts, self._subgraph.operators[position])

    def cut(self, position: int) -> tuple[bytes, list[Array]] | None:
        """Return a model of one op and its inputs, or nothing if the op shares a state."""
        operator = self._subgraph.operators[position]
        if not self._stateless(operator):
            return None
        inputs = dict.fromkeys(index for index in _present(operator.inputs) if self._flows(index))
        values = {index: self._values(index) for index in inputs}
        tensors = list(self._subgraph.tensors)
        for index, value in values.items():
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
        tensor = self._subgraph.tensors[index]
        data = self._parts.buffers[tensor.buffer].data
        return (data is None or not len(data)) and not tensor.isVariable

    def _stateless(self, operator: Any) -> bool:
        from varhandle.tflite.flatbuffer import callees, op_name, reachable

        if op_name(self._parts, operator) == "CALL_ONCE" or not len(_present(operator.outputs)):
            return False
        types = {
            self._subgraph.tensors[index].type
            for side in (operator.inputs, operator.outputs)
            for index in _present(side)
        }
        for number in reachable(self._parts, callees(operator)):
            types |= {tensor.type for tensor in self._parts.subgraphs[number].tensors}
        return not types & _stateful_types()


def _present(vector: Any) -> list[int]:
    return [int(index) for index in (() if vector is None else vector) if index >= 0]


def _stateful_types() -> set[int]:
    from ai_edge_litert import schema_py_generated as schema

    return {getattr(schema.TensorType, name) for name in _STATEFUL}


@dataclass(frozen=True, repr=False)
class Memory(Rich):
    """What a model takes, in bytes.

    Attributes:
        file: The .tflite file itself.
        weights: The constants in it.
        activations: All tensors that are computed, as if none shared its place. The interpreter
            reuses places, so it takes less than that for them.
        opened: By how much the resident memory of a fresh process grew as it opened the file and
            planned its tensors; the file's bytes were there before.
        ran: By how much it had grown after the first call.
    """

    file: int
    weights: int
    activations: int
    opened: int
    ran: int

    def _rows(self) -> list[tuple[str, str]]:
        named = (
            ("the file", self.file),
            ("weights in it", self.weights),
            ("computed tensors, none reused", self.activations),
            ("the process, after opening it", self.opened),
            ("the process, after the first call", self.ran),
        )
        return [(what, f"{size / 1024:,.0f}") for what, size in named]

    def __repr__(self) -> str:
        return (
            f"Memory(file {self.file / 1024:,.0f} KiB, weights {self.weights / 1024:,.0f} KiB, "
            f"process {self.ran / 1024:,.0f} KiB more)"
        )

    def decode(self) -> str:
        """Return a line for each."""
        return table_text(("", "KiB"), self._rows())

    def html(self) -> str:
        """Return the same as a table."""
        return table_html(("", "KiB"), self._rows(), "Memory that the model takes")


def measure_memory(
    model: Model,
    inputs: Inputs = None,
    *,
    signature: str | None = None,
    threads: int | None = None,
    delegates: bool = True,
    timeout: float = 60.0,
) -> Memory:
    """Measure what a model takes, in a fresh process without TensorFlow.

    Raises:
        FileNotFoundError: ``model`` is a path to nothing.
        ModelFileError: It is no .tflite file.
        RuntimeError: The process did not come to its end; the message says how it ended.
    """
    content, source = read_model(model)
    record = run_isolated(
        _measured,
        content,
        inputs,
        {"signature": signature, "threads": threads, "delegates": delegates},
        timeout=timeout,
        tensorflow=False,
    )
    if record.exception_type == "ModelFileError":
        raise ModelFileError(source, record.message.removeprefix("<bytes>: "))
    if not record.ok:
        raise RuntimeError(f"the model could not be measured: {record.message}")
    return Memory(*record.value)


def _measured(content: bytes, inputs: Inputs, options: dict[str, Any]) -> tuple[int, ...]:
    import psutil

    resident = psutil.Process().memory_info
    before = resident().rss
    session = Session(content, **options)
    opened = resident().rss - before
    session(inputs)
    ran = resident().rss - before
    sizes = _tensor_bytes(content, inputs, session.signature)
    return len(content), *sizes, max(opened, 0), max(ran, 0)


def _tensor_bytes(content: bytes, inputs: Inputs, signature: str | None) -> tuple[int, int]:
    """Return the bytes of the constants, and of the computed tensors of the signature.

    Plain kernels make the call: a delegate leaves the tensors that it keeps to itself in the
    shapes that the file declares.
    """
    from varhandle.tflite.flatbuffer import unpack

    parts = unpack(content, "<bytes>")
    full = {n for n, one in enumerate(parts.buffers) if one.data is not None and len(one.data)}
    weights = sum(len(parts.buffers[number].data) for number in full)
    subgraph = _subgraph(parts, signature)
    session = Session(content, signature=signature, delegates=False)
    session(inputs)
    tensors = parts.subgraphs[subgraph].tensors
    details = session.interpreter.get_tensor_details(subgraph)
    computed = [
        one
        for one in details
        if one["index"] < len(tensors) and tensors[one["index"]].buffer not in full
    ]
    sizes = [math.prod(one["shape"].tolist()) * _item_size(one["dtype"]) for one in computed]
    return weights, sum(sizes)


def _item_size(dtype: Any) -> int:
    return np.dtype(dtype).itemsize  # 0 for strings, whose length nobody knows beforehand
