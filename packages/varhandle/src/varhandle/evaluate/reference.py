"""TensorFlow's own answers of a model file: what a .tflite file made from it must answer.

A model file is a program, and TensorFlow may crash on it: so it is loaded and called in a child
process. A file that brings code along (a Lambda layer, an op that calls Python or writes files) is
not loaded at all unless the caller trusts it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.errors import VarhandleError
from varhandle.formats import ModelFormat, format_of, read_graph
from varhandle.formats.base import ModelSource
from varhandle.formats.trust import check_trust
from varhandle.graph import ModelFileError
from varhandle.sandbox import Record, run_isolated


class NotRepeatableError(VarhandleError, ValueError):
    """TensorFlow itself answers differently each time: there is nothing to compare with."""


def reference_answers(
    source: str | os.PathLike[str],
    calls: Sequence[Mapping[str, Any]],
    signature: str | None = None,
    trust: bool = False,
    timeout: float = 300.0,
) -> Record:
    """Ask TensorFlow for the answers of a model, over successive calls of one loaded copy.

    It is asked twice, each time with a fresh copy: a model that draws random numbers has no answer
    to compare with (``exception_type`` is then ``"NotRepeatableError"``). The ``value`` is, for
    each call, output name to array. Without ``signature``, a SavedModel's first one is called.

    Raises:
        ModelFileError: There is no such model, or it is a .tflite file.
        NotTrustedError: It brings code along, and ``trust`` is not given.
        KeyError: There is no such signature.
    """
    graph = read_graph(source)
    model_format = format_of(graph)
    if model_format.is_converted:
        raise ModelFileError(source, "a .tflite file is what is compared, and no reference")
    check_trust(graph, trust)
    path, called = model_format.path_to_load(source), model_format.call_signature(graph, signature)
    opened = ModelSource(path, called, trust=trust)
    inputs = [dict(call) for call in calls]
    return run_isolated(_answers, model_format, opened, inputs, timeout=timeout)


def _answers(
    model_format: ModelFormat, source: ModelSource, calls: list[dict[str, Any]]
) -> list[dict[str, npt.NDArray[Any]]]:
    """Answer all calls twice, in the child process."""
    rounds = []
    for _ in range(2):
        model = model_format.load(source)
        answers = (model(call) for call in calls)
        rounds.append([{n: np.array(value) for n, value in a.items()} for a in answers])
    for number, (one, other) in enumerate(zip(*rounds, strict=True), start=1):
        different = [name for name in one if not _alike(one[name], other[name])]
        if different:
            raise NotRepeatableError(
                f"two fresh copies of the model give different answers to the same calls, from "
                f"call {number} on, output {different[0]}: it draws random numbers"
            )
    return rounds[0]


def _alike(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    """Tell whether two answers are the same, but for the order of additions."""
    if one.shape != other.shape:
        return False
    if one.dtype.kind in "fc":
        return bool(np.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True))
    return bool(np.array_equal(one, other))
