"""Stateful parity: run a file whose caller carries the state, and compare it with TensorFlow.

``check_parity`` calls a file with the inputs that TensorFlow gets. A lifted file wants its state
besides, and gives a new one at each call: here it is carried from call to call. A quantized file
answers in steps, so it is compared by another measure: the share of the range in which TensorFlow's
own answers lie.
"""

from __future__ import annotations

import functools
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
    compare_run,
    paired_outputs,
)
from varhandle.evaluate.session import Array, Session
from varhandle.facts.recipes import RECIPES
from varhandle.progress_bar import busy
from varhandle.sandbox import Record, run_isolated
from varhandle.tflite.externalize_state import UNSIGNED, Lifted

Call = Mapping[str, Any]


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


def compare_file(
    content: bytes,
    calls: Sequence[Call],
    expected: Sequence[Mapping[str, Any]],
    signature: str | None = None,
    state: CarriedState | None = None,
    *,
    recipe: str | None = None,
    tolerance: float | None = None,
    micro: bool = False,
    timeout: float = 120.0,
) -> Parity:
    """Compare a .tflite file with TensorFlow's answers, its state carried from call to call.

    It runs with the default delegates, with the plain kernels, and where ``micro`` says so on
    TensorFlow Lite Micro. Of a file that was quantized by ``recipe``, each answer may be off by the
    recipe's share of the range of TensorFlow's answers; ``tolerance`` is for a float file.
    """
    wanted = [dict(answer) for answer in expected]
    limit = tolerance if recipe is None else RECIPES[recipe].tolerance
    runs = []
    with busy("comparing with TensorFlow"):
        for kernels in (DELEGATES, PLAIN, *([MICRO] if micro else [])):
            record = run_isolated(
                micro_answers if kernels == MICRO else stateful_answers,
                content,
                list(calls),
                signature,
                kernels,
                state or CarriedState(),
                timeout=timeout,
                tensorflow=False,
            )
            if kernels == MICRO and not record.ok:
                record = replace(record, message=_micro_refusal(record))
            if recipe is None:
                runs.append(compare_run(kernels, record, wanted, tolerance))
            else:
                runs.append(_compare_by_range(kernels, record, wanted, RECIPES[recipe].tolerance))
    return Parity(tuple(runs), limit)


def _carry(
    run: Callable[[Call], Answer], calls: Sequence[Call], session: Session, state: CarriedState
) -> Iterator[tuple[dict[str, Any], Answer]]:
    """Make successive calls; yield what each was fed, state included, and what else it answered.

    A call's inputs get the names of the file, where it has names of its own for as many.
    """
    current = dict(state.first)
    own = [name for name in session.inputs if name not in state.takes]
    for call in calls:
        named = dict(call)
        if set(own) != set(call) and len(own) == len(call):
            named = dict(zip(own, call.values(), strict=True))
        fed = {**named, **{name: current[name] for name in state.takes}}
        answer = run(fed)
        current.update({name: answer.pop(name)[0] for name in state.gives})
        yield fed, answer


def _lite_calls(
    content: bytes, calls: Sequence[Call], signature: str | None, kernels: str, state: CarriedState
) -> Iterator[tuple[dict[str, Any], Answer]]:
    session = Session(content, signature=signature, delegates=kernels == DELEGATES, strict=False)
    return _carry(functools.partial(answer_call, session), calls, session, state)


def stateful_answers(
    content: bytes, calls: Sequence[Call], signature: str | None, kernels: str, state: CarriedState
) -> list[Answer]:
    """Run a file over successive calls, its state carried; return the rest of its answers.

    It may end the process.
    """
    return [answer for _, answer in _lite_calls(content, calls, signature, kernels, state)]


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
    content: bytes, calls: Sequence[Call], signature: str | None, _kernels: str, state: CarriedState
) -> list[Answer]:
    """Run a file's main graph on TensorFlow Lite Micro, as :func:`stateful_answers` does on LiteRT.

    The runtime ends the process on what it cannot do. LiteRT tells which input is which: the
    package knows inputs and outputs by their places alone.
    """
    from tflite_micro import runtime

    session = Session(content, signature=signature, delegates=False, strict=False)
    lite = session.interpreter
    input_place = {one["index"]: place for place, one in enumerate(lite.get_input_details())}
    output_place = {one["index"]: place for place, one in enumerate(lite.get_output_details())}
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=_ARENA)

    def run(fed: Call) -> Answer:
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

    return [answer for _, answer in _carry(run, calls, session, state)]


def _compare_by_range(
    kernels: str, record: Record, expected: Sequence[dict[str, Array]], limit: float
) -> Run:
    """Compare the answers of a quantized file, output by output, by the range of each."""
    exact = compare_run(kernels, record, list(expected), None)
    if exact.refusal:
        return exact
    ranges = {name: _range([answer[name] for answer in expected]) for name in expected[0]}
    errors = [
        max(
            _share(got[mine][0], wanted[theirs], ranges[theirs])
            for mine, theirs in paired_outputs(got, wanted)
        )
        for got, wanted in zip(record.value, expected, strict=True)
    ]
    agreeing = sum(error <= limit for error in errors)
    return replace(exact, agreeing=agreeing, largest_difference=max(errors))


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


def with_state(
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


def answers_with_own_state(
    content: bytes, calls: Sequence[Call], signature: str | None
) -> list[Any]:
    """Return what a file that keeps its own state answers, by its plain kernels.

    It may end the process.
    """
    found = stateful_answers(content, calls, signature, PLAIN, CarriedState())
    return [{name: value for name, (value, _) in answer.items()} for answer in found]
