"""Run a file whose caller carries the state, and compare it with TensorFlow.

``check_parity`` calls a file with the inputs that TensorFlow gets. A lifted file wants its state
besides, and gives a new one at each call: here it is carried. A quantized file answers in steps, so
it is compared by another measure: the share of the range in which TensorFlow's own answers lie.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.evaluate.parity import (
    DELEGATES,
    PLAIN,
    Parity,
    Run,
    answer_call,
    compare_run,
    paired_outputs,
)
from varhandle.evaluate.session import Session
from varhandle.facts.recipes import RECIPES
from varhandle.progress_bar import busy
from varhandle.sandbox import Record, run_isolated
from varhandle.tflite.externalize_state import UNSIGNED, Lifted

Array = npt.NDArray[Any]
Call = Mapping[str, Any]
Answers = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class State:
    """What a caller carries for one signature of a lifted file.

    Attributes:
        first: The state before the first call.
        takes: The names of the state that the signature takes.
        gives: The names of the state that it gives.
    """

    first: Mapping[str, Array] = field(default_factory=dict)
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()

    @classmethod
    def of(cls, lifted: Lifted | None, signature: str | None) -> State:
        """Return what one signature of a lifted file carries."""
        if lifted is None:
            return cls()
        key = UNSIGNED if signature is None else signature
        return cls(lifted.start(), lifted.inputs.get(key, ()), lifted.outputs.get(key, ()))


def compare_file(
    content: bytes,
    calls: Sequence[Call],
    expected: Answers,
    signature: str | None = None,
    state: State | None = None,
    *,
    recipe: str | None = None,
    tolerance: float | None = None,
    micro: bool = False,
    timeout: float = 120.0,
) -> Parity:
    """Compare a .tflite file with answers of TensorFlow, its state carried from call to call."""
    carried = state or State()
    wanted = [dict(answer) for answer in expected]
    runs = []
    with busy("comparing with TensorFlow"):
        for kernels in (DELEGATES, PLAIN, *([MICRO] if micro else [])):
            record = run_isolated(
                micro_answers if kernels == MICRO else answers,
                content, list(calls), signature, kernels, carried,
                timeout=timeout, tensorflow=False,
            )  # fmt: skip
            if kernels == MICRO and not record.ok:
                record = replace(record, message=_words_of_micro(record))
            if recipe is None:
                runs.append(compare_run(kernels, record, wanted, tolerance))
            else:
                runs.append(_by_range(kernels, record, wanted, RECIPES[recipe].tolerance))
    return Parity(tuple(runs), tolerance if recipe is None else RECIPES[recipe].tolerance)


def answers(
    content: bytes, calls: Sequence[Call], signature: str | None, kernels: str, state: State
) -> list[dict[str, tuple[Array, float]]]:
    """Run a file over successive calls, its state carried. It may end the process.

    Raises:
        KeyError: The file has no such signature, or no such input.
        RuntimeError: The interpreter refuses to run it.
    """
    session = Session(content, signature=signature, delegates=kernels == DELEGATES, strict=False)
    held = dict(state.first)
    told = []
    for call in calls:
        fed = {name: held[name] for name in state.takes}
        got = answer_call(session, {**_paired(call, session, state), **fed})
        held.update({name: got.pop(name)[0] for name in state.gives})
        told.append(got)
    return told


MICRO = "TensorFlow Lite Micro"
_REASON = re.compile(r"(?:not support|n't support|Didn't find op|failed to (?:invoke|prepare))")
_ARENA = 16 * 2**20  # bytes; a device has less, but this is about the answers


def _words_of_micro(record: Record) -> str:
    """Return why the runtime refused, which it writes to the log and does not raise."""
    lines = [line.strip() for line in record.log.splitlines() if _REASON.search(line)]
    return "; ".join(lines[:2]) or record.message


def has_micro() -> bool:
    """Return whether TensorFlow Lite Micro's Python package is installed."""
    return importlib.util.find_spec("tflite_micro") is not None


def micro_answers(
    content: bytes, calls: Sequence[Call], signature: str | None, _kernels: str, state: State
) -> list[dict[str, tuple[Array, float]]]:
    """Run a file's main graph on TensorFlow Lite Micro, as :func:`answers` does on LiteRT.

    The runtime ends the process on what it cannot do.

    Raises:
        RuntimeError: The runtime refuses the file.
    """
    from tflite_micro import runtime

    session = Session(content, signature=signature, delegates=False, strict=False)
    details = session.interpreter.get_input_details()
    places = {d["index"]: n for n, d in enumerate(details)}
    ends = {d["index"]: n for n, d in enumerate(session.interpreter.get_output_details())}
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=_ARENA)
    held, told = dict(state.first), []
    for call in calls:
        fed = {**_paired(call, session, state), **{name: held[name] for name in state.takes}}
        for name, tensor in session.inputs.items():
            value = np.asarray(fed[name])
            quantize = tensor.quantized and value.dtype.kind == "f"
            value = tensor.quantize(value) if quantize else value.astype(tensor.dtype)
            interpreter.set_input(value, places[tensor.index])
        interpreter.invoke()
        got = {}
        for name, tensor in session.outputs.items():
            value = np.array(interpreter.get_output(ends[tensor.index]))
            quantized = bool(tensor.scale) and tensor.quantized
            real = tensor.dequantize(value) if quantized else value
            got[name] = (real, tensor.scale if tensor.quantized else 0.0)
        held.update({name: got.pop(name)[0] for name in state.gives})
        told.append(got)
    return told


def _paired(call: Call, session: Session, state: State) -> dict[str, Any]:
    """Name a call's inputs as the file does, where it has names of its own for the same ones."""
    names = [name for name in session.inputs if name not in state.takes]
    if set(names) == set(call) or len(names) != len(call):
        return dict(call)
    return dict(zip(names, call.values(), strict=True))


def _by_range(
    kernels: str, record: Record, expected: Sequence[dict[str, Array]], limit: float
) -> Run:
    """Compare the answers of a quantized file, output by output, by the range of each."""
    exact = compare_run(kernels, record, list(expected), None)
    if exact.refusal:
        return exact
    ranges = {name: _range([answer[name] for answer in expected]) for name in expected[0]}
    agreeing, largest = 0, 0.0
    for got, wanted in zip(record.value, expected, strict=True):
        pairs = zip(*paired_outputs(got, wanted), strict=True)
        shares = [_share(got[mine][0], wanted[theirs], ranges[theirs]) for mine, theirs in pairs]
        agreeing += max(shares) <= limit
        largest = max(largest, *shares)
    return Run(kernels, agreeing, len(expected), "", largest, exact.notes)


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
    same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    with np.errstate(invalid="ignore", over="ignore"):
        errors = np.where(same, 0.0, np.abs(got.astype(np.float64) - wanted.astype(np.float64)))
    return float(np.nan_to_num(errors / span, nan=np.inf).max()) if errors.size else 0.0


def with_state(
    lifted: Lifted, calls: Sequence[Call], signature: str | None, *, timeout: float = 120.0
) -> list[dict[str, Array]]:
    """Add to each call the state that a lifted file has by then, as calibration wants it.

    Raises:
        RuntimeError: The file does not run.
    """
    state = State.of(lifted, signature)
    record = run_isolated(
        _states, lifted.content, list(calls), signature, state, timeout=timeout, tensorflow=False
    )
    if not record.ok:
        raise RuntimeError(f"the lifted file does not run: {record.message}")
    carried: list[dict[str, Array]] = record.value
    return carried


def _states(
    content: bytes, calls: Sequence[Call], signature: str | None, state: State
) -> list[dict[str, Array]]:
    session = Session(content, signature=signature, strict=False)
    held, fed = dict(state.first), []
    for call in calls:
        fed.append({**_paired(call, session, state), **{name: held[name] for name in state.takes}})
        got = answer_call(session, fed[-1])
        held.update({name: got[name][0] for name in state.gives})
    return fed


def own_answers(content: bytes, calls: Sequence[Call], signature: str | None) -> list[Any]:
    """Return what a .tflite file answers by itself, by its plain kernels. It may end the process."""
    told = answers(content, calls, signature, PLAIN, State())
    return [{name: value for name, (value, _) in answer.items()} for answer in told]
