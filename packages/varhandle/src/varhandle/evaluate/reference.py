"""A model's own answers: what a .tflite file made from it must answer.

A model file is a program, and TensorFlow may crash on it: so it is loaded and called in a child
process, in inference mode (``training=False``, no optimizer). A file that brings code along (a
Lambda layer, an op that calls Python or writes files) is not loaded at all unless the caller trusts
it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from varhandle.errors import InternalError
from varhandle.formats import format_of
from varhandle.formats.base import LoadedModel, ModelSource
from varhandle.formats.custom_code import Import
from varhandle.formats.trust import check_trust
from varhandle.graph import Graph
from varhandle.progress_bar import busy
from varhandle.sandbox import Record, run_isolated
from varhandle.sandbox.record import short_message

Call = Mapping[str, Any]
Names = str | Sequence[str | None] | None
"""The signature of all calls, or that of each."""

Answer = dict[str, npt.NDArray[Any]]


class NotRepeatableError(InternalError, ValueError):
    """The model itself answers differently each time: there is nothing to compare with."""


class RefusedCallError(InternalError, RuntimeError):
    """A model that was loaded refused a call: what it was called with may be the cause."""


class ModelAnswers(NamedTuple):
    """What a fresh copy of a model answered to successive calls."""

    answers: list[Answer]
    refusal: str = ""  # why it refused the next call; those before it count


@dataclass(frozen=True)
class Loader:
    """What makes fresh copies of a model in a locked process, and the files that it reads there."""

    load: Callable[[], LoadedModel]
    reads: Sequence[str | Path]

    def __call__(self) -> LoadedModel:
        """Make one, in the child process."""
        return self.load()


def loader_of(
    graph: Graph,
    signature: str | None = None,
    trust: bool = False,
    imports: Sequence[Import] = (),
) -> Loader:
    """Return what loads fresh copies of a model with TensorFlow, for ``ask_model``.

    Where a call names none, ``signature`` is called; a SavedModel's first one if ``None``.

    Raises:
        NotTrustedError: It brings code along, and ``trust`` is not given.
        KeyError: There is no such signature.
    """
    check_trust(graph, trust)
    model_format = format_of(graph)
    called = model_format.call_signature(graph, signature)
    path = model_format.path_to_load(graph.source)
    source = ModelSource(path, called, trust=trust, imports=tuple(imports))
    return Loader(functools.partial(model_format.load, source), source.reads)


def ask_model(
    load: Callable[[], LoadedModel],
    calls: Sequence[Call],
    signature: Names = None,
    *,
    timeout: float = 300.0,
    tensorflow: bool = True,
) -> Record:
    """Ask for the answers of a fresh copy over successive calls, in a child; ``load`` makes copies.

    It is asked twice: a model that draws random numbers has no answer to compare with
    (``exception_type`` is then ``"NotRepeatableError"``). The ``value`` is ``ModelAnswers``. A
    model that refuses the first call already has none.
    """
    steps = [(name, dict(call)) for name, call in steps_of(calls, signature)]
    reads = load.reads if isinstance(load, Loader) else ()
    with busy("running the model"):
        return run_isolated(
            _answers, load, steps, timeout=timeout, tensorflow=tensorflow, reads=reads
        )


def steps_of(calls: Sequence[Call], signature: Names) -> list[tuple[str | None, Call]]:
    """Pair each call with its signature."""
    if signature is None or isinstance(signature, str):
        signature = [signature] * len(calls)
    return list(zip(signature, calls, strict=True))


def _answers(load: Callable[[], LoadedModel], steps: list[tuple[str | None, Call]]) -> ModelAnswers:
    model, answers, refusal = load(), [], ""
    for name, call in steps:
        try:
            answers.append(_answer(model, name, call))
        except Exception as error:
            refusal = short_message(_telling_line(str(error))) or type(error).__name__
            if not answers:
                raise RefusedCallError(refusal) from error
            break
    # What keeps no state gives the same answers again. Only for the rest is another copy loaded.
    if _first_difference(model, steps, answers):
        different = _first_difference(load(), steps, answers)
        if different:
            raise NotRepeatableError(
                "two fresh copies of the model give different answers to the same calls, from "
                f"{different}: it draws random numbers, or reads a variable that it assigns in no "
                "fixed order"
            )
    return ModelAnswers(answers, refusal)


_NO_NEWS = re.compile(r"\s*($|Graph execution error|Detected at node|<stack traces|\[\[)")


def _telling_line(message: str) -> str:
    """Return the line of TensorFlow's message that says why, and not where."""
    return next((line for line in message.splitlines() if not _NO_NEWS.match(line)), message)


def _answer(model: LoadedModel, name: str | None, call: Call) -> Answer:
    return {output: np.array(value) for output, value in model(call, name).items()}


def _first_difference(
    model: LoadedModel, steps: list[tuple[str | None, Call]], answers: list[Answer]
) -> str:
    """Say from which call on a model answers differently; empty if it never does."""
    for number, ((name, call), before) in enumerate(zip(steps, answers, strict=False), start=1):
        try:
            now = _answer(model, name, call)
        except Exception:  # a state that is full, for one
            return f"call {number} on"
        different = [output for output in before if not _alike(before[output], now[output])]
        if different:
            return f"call {number} on, output {different[0]}"
    return ""


def same_values(one: Any, other: Any) -> bool:
    """Tell whether two arrays hold the same values, NaN included."""
    mine, theirs = np.asarray(one), np.asarray(other)
    return bool(np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == theirs.dtype.kind == "f"))


def _alike(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    """Tell whether two answers are the same, but for the order of additions."""
    if one.shape != other.shape:
        return False
    if one.dtype.kind in "fc":
        return bool(np.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True))
    return same_values(one, other)
