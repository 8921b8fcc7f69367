"""Stateful parity: run a file whose caller carries the state, and compare it with TensorFlow.

``check_parity`` calls a file with the inputs that TensorFlow gets. A lifted file wants its state
besides, and gives a new one at each call: here it is carried from call to call. A quantized file
answers in steps, so it is compared by another measure: the share of the range in which TensorFlow's
own answers lie.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from varhandle.evaluate.parity import (
    DELEGATES,
    PLAIN,
    Answer,
    Parity,
    Run,
    absolute_errors,
    answer_call,
    checked_names,
    compare_run,
    open_sessions,
    paired_outputs,
)
from varhandle.evaluate.reference import Call, Names, steps_of
from varhandle.evaluate.session import Array, Session
from varhandle.facts.recipes import RECIPES, Recipe
from varhandle.formats import read_graph
from varhandle.formats.base import LoadedModel
from varhandle.progress_bar import busy
from varhandle.sandbox import Record, run_isolated, run_with_retry
from varhandle.tflite.externalize_state import UNSIGNED, Lifted


@dataclass(frozen=True, eq=False)
class CarriedState:
    """What a caller carries for one signature of a lifted file."""

    first: Mapping[str, Array] = field(default_factory=dict)  # before the first call
    takes: tuple[str, ...] = ()  # the names of the state that the signature takes
    gives: tuple[str, ...] = ()  # and of that which it gives

    @classmethod
    def of(cls, lifted: Lifted | None, signature: str | None) -> CarriedState:
        """Return what a signature of a lifted file carries; nothing where nothing was lifted."""
        if lifted is None:
            return cls()
        key = UNSIGNED if signature is None else signature
        return cls(lifted.start(), lifted.inputs.get(key, ()), lifted.outputs.get(key, ()))


States = CarriedState | Mapping[str | None, CarriedState] | None
"""What the caller carries, for all calls or by signature."""


def compare_file(
    content: bytes,
    calls: Sequence[Call],
    expected: Sequence[Mapping[str, Any]],
    signature: Names = None,
    state: States = None,
    *,
    recipe: str | None = None,
    tolerance: float | None = None,
    rounding: float | None = None,
    micro: bool = False,
    timeout: float = 120.0,
) -> Parity:
    """Compare a .tflite file with a model's answers, its state carried from call to call.

    It runs with the default delegates, with the plain kernels, and where ``micro`` says so on
    TensorFlow Lite Micro. Of a file that was quantized by ``recipe``, each answer may be off by the
    recipe's share of the range of TensorFlow's answers; ``tolerance`` is for a float file. If that
    is exceeded by no more than ``rounding``, and nothing else is odd, the file passes, and the
    result's tolerance is ``rounding``.
    """
    wanted = [dict(answer) for answer in expected]
    names = [name for name, _ in steps_of(calls, signature)]
    records = {}
    with busy("comparing with TensorFlow"):
        for kernels in (DELEGATES, PLAIN, *([MICRO] if micro else [])):
            record = run_with_retry(
                micro_answers if kernels == MICRO else stateful_answers,
                content,
                list(calls),
                signature,
                kernels,
                state,
                timeout=timeout,
                tensorflow=False,
            )
            if kernels == MICRO and not record.ok:
                record = replace(record, message=_micro_refusal(record))
            records[kernels] = checked_names(record)

    def compared(limit: float | None) -> Parity:
        runs = [compare_run(kernels, one, wanted, limit) for kernels, one in records.items()]
        if recipe is None:
            return Parity(tuple(runs), limit)
        return Parity(
            tuple(
                compare_by_range(run, records[run.kernels], wanted, names, RECIPES[recipe])
                for run in runs
            ),
            RECIPES[recipe].tolerance,
        )

    parity = compared(tolerance)
    if parity.passed or recipe or rounding is None:
        return parity
    # Where NaN or a stuck state was noted, no tolerance makes it right.
    small = all(not run.refusal and not run.notes for run in parity.runs)
    loose = compared(rounding)
    return loose if small and loose.passed else parity


def insensitive_signatures(
    expected: Sequence[Mapping[str, Any]],
    signature: Names,
    parity: Parity,
    recipe: str | None = None,
) -> set[str | None]:
    """Return the signatures of whose answers a comparison would have missed a constant.

    That is asked by comparing such a file: it answers each call of a signature as the first one.
    Where it is hardly further off than the real one is, the comparison proves nothing.
    """
    wanted = [dict(answer) for answer in expected]
    names = [name for name, _ in steps_of(wanted, signature)]
    error = max((run.largest_difference for run in parity.runs), default=0.0)
    told = set()
    for name in dict.fromkeys(names):
        mine = [answer for own, answer in zip(names, wanted, strict=True) if own == name]
        stuck = [{output: (value, 0.0) for output, value in mine[0].items()}] * len(mine)
        record, each = Record("ok", stuck), [name] * len(mine)
        run = compare_run("", record, mine, parity.tolerance)
        if recipe is not None:
            run = compare_by_range(run, record, mine, each, RECIPES[recipe])
        if run.agreeing < run.calls or run.largest_difference > 2 * error:
            told.add(name)
    return told


def _carry(
    run: Callable[[Session, Call], Answer],
    sessions: Mapping[str | None, Session],
    steps: Sequence[tuple[str | None, Call]],
    state: States,
) -> Iterator[tuple[dict[str, Any], Answer]]:
    """Make successive calls; yield what each was fed, state included, and what else it answered.

    A call's inputs get the names of the file, where it has names of its own for as many.
    """
    states = state if isinstance(state, Mapping) else dict.fromkeys(sessions, state)
    carried = {name: states[name] or CarriedState() for name in sessions}
    current = {name: value for one in carried.values() for name, value in one.first.items()}
    for signature, call in steps:
        session, mine = sessions[signature], carried[signature]
        own = [name for name in session.inputs if name not in mine.takes]
        named = dict(call)
        if set(own) != set(call) and len(own) == len(call):
            named = dict(zip(own, call.values(), strict=True))
        fed = {**named, **{name: current[name] for name in mine.takes}}
        answer = run(session, fed)
        current.update({name: answer.pop(name)[0] for name in mine.gives})
        yield fed, answer


def _lite_calls(
    content: bytes, calls: Sequence[Call], signature: Names, kernels: str, state: States
) -> Iterator[tuple[dict[str, Any], Answer]]:
    steps = steps_of(calls, signature)
    sessions = open_sessions(content, (name for name, _ in steps), delegates=kernels == DELEGATES)
    return _carry(answer_call, sessions, steps, state)


def stateful_answers(
    content: bytes, calls: Sequence[Call], signature: Names, kernels: str, state: States
) -> list[Answer]:
    """Run a file over successive calls, its state carried; return the rest of its answers.

    It may end the process.
    """
    return [answer for _, answer in _lite_calls(content, calls, signature, kernels, state)]


def load_file(content: bytes) -> LoadedModel:
    """Load a .tflite file as a model that keeps its own state, with its plain kernels."""
    graph = read_graph(content)
    names: list[str | None] = [signature.name for signature in graph.signatures]
    names = names or [None]
    sessions = open_sessions(content, names, delegates=False)

    def answer(call: Call, signature: str | None) -> Mapping[str, Any]:
        session = sessions[signature if signature in sessions else names[0]]
        return {name: value for name, (value, _) in answer_call(session, call).items()}

    return answer


MICRO = "TensorFlow Lite Micro"
_REASON = re.compile(r"(?:not support|n't support|Didn't find op|failed to (?:invoke|prepare))")
_ARENA = 16 * 2**20  # bytes; a device has less, but this is about the answers


def _micro_refusal(record: Record) -> str:
    """Return why the runtime refused, which it writes to the log and does not raise."""
    lines = [line.strip() for line in record.log.splitlines() if _REASON.search(line)]
    return "; ".join(lines[:2]) or record.message


def has_micro() -> bool:
    """Return whether TensorFlow Lite Micro's Python package is installed."""
    return importlib.util.find_spec("tflite_micro") is not None


def micro_answers(
    content: bytes, calls: Sequence[Call], signature: Names, _kernels: str, state: States
) -> list[Answer]:
    """Run a file's main graph on TensorFlow Lite Micro, as :func:`stateful_answers` does on LiteRT.

    The runtime ends the process on what it cannot do. LiteRT tells which input is which: the
    package knows inputs and outputs by their places alone.
    """
    from tflite_micro import runtime

    steps = steps_of(calls, signature)
    name = steps[0][0]
    session = Session(content, signature=name, delegates=False, strict=False)
    lite = session.interpreter
    input_place = {one["index"]: place for place, one in enumerate(lite.get_input_details())}
    output_place = {one["index"]: place for place, one in enumerate(lite.get_output_details())}
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=_ARENA)

    def run(_: Session, fed: Call) -> Answer:
        for name, tensor in session.inputs.items():
            value = np.asarray(fed[name])
            is_real = tensor.quantized and value.dtype.kind == "f"
            value = tensor.quantize(value) if is_real else value.astype(tensor.dtype)
            interpreter.set_input(value, input_place[tensor.index])
        interpreter.invoke()
        answer = {}
        for name, tensor in session.outputs.items():
            value = np.array(interpreter.get_output(output_place[tensor.index]))
            real = tensor.dequantize(value) if tensor.quantized else value
            answer[name] = (real, tensor.scale if tensor.quantized else 0.0)
        return answer

    return [answer for _, answer in _carry(run, {name: session}, steps, state)]


def compare_by_range(
    exact: Run,
    record: Record,
    expected: Sequence[dict[str, Array]],
    names: Sequence[str | None],
    recipe: Recipe,
) -> Run:
    """Compare the answers of a quantized file, output by output, by the range of each."""
    if exact.refusal:
        return exact
    values: dict[tuple[str | None, str], list[Array]] = {}
    for name, answer in zip(names, expected, strict=True):
        for output, value in answer.items():
            values.setdefault((name, output), []).append(value)
    ranges = {output: _range(all_of_it) for output, all_of_it in values.items()}
    errors = [
        [
            _share(got[mine][0], wanted[theirs], ranges[name, theirs])
            for mine, theirs in paired_outputs(got, wanted)
        ]
        for name, got, wanted in zip(names, record.value, expected, strict=True)
    ]
    agreeing = sum(max(of_call) <= recipe.tolerance for of_call in errors)
    known = [error for of_call in errors for error in of_call if np.isfinite(error)]
    if any(not np.isfinite(error) for of_call in errors for error in of_call):
        known.append(exact.largest_difference)  # integers have no range
    return replace(exact, agreeing=agreeing, largest_difference=max(known, default=0.0))


def _range(values: Sequence[Array]) -> float:
    """Return the span of all answers of one output; their size where they are all the same."""
    if values[0].dtype.kind not in "fc":
        return 0.0
    flat = np.concatenate([np.abs(v).ravel() if v.dtype.kind == "c" else v.ravel() for v in values])
    finite = flat[np.isfinite(flat)].astype(np.float64)
    if not finite.size:
        return 1.0
    return float(finite.max() - finite.min()) or float(np.abs(finite).max()) or 1.0


def _share(got: Array, wanted: Array, span: float) -> float:
    """Return the largest error as a share of a range; 0 or infinity for what is not rounded."""
    if got.shape != wanted.shape:
        return float("inf")
    if not span:
        return 0.0 if np.array_equal(got, wanted) else float("inf")
    return float(absolute_errors(got, wanted).max(initial=0.0)) / span


def add_carried_state(
    lifted: Lifted, calls: Sequence[Call], signature: str | None, *, timeout: float = 120.0
) -> list[dict[str, Array]]:
    """Add to each call the state that a lifted file has by then, as calibration wants it.

    The file runs in a child process; ``RuntimeError`` if it does not run.
    """
    state = CarriedState.of(lifted, signature)
    record = run_isolated(
        _fed, lifted.content, list(calls), signature, state, timeout=timeout, tensorflow=False
    )
    if not record.ok:
        raise RuntimeError(f"the lifted file does not run: {record.message}")
    carried: list[dict[str, Array]] = record.value
    return carried


def _fed(
    content: bytes, calls: Sequence[Call], signature: str | None, state: CarriedState
) -> list[dict[str, Array]]:
    return [fed for fed, _ in _lite_calls(content, calls, signature, DELEGATES, state)]
