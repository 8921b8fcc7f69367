"""TensorFlow's own answers of a model file: what a .tflite file made from it must answer.

A model file is a program, and TensorFlow may crash on it: so it is loaded and called in a child
process. A file that brings code along (a Lambda layer, an op that calls Python or writes files) is
not loaded at all unless the caller trusts it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varhandle.errors import VarhandleError
from varhandle.formats import read_graph
from varhandle.formats.trust import NotTrustedError, check_trust
from varhandle.graph import ModelFileError
from varhandle.graph.graph_signature import graph_signature
from varhandle.sandbox import Record, run_isolated

if TYPE_CHECKING:
    import numpy.typing as npt

    Answers = list[dict[str, npt.NDArray[Any]]]

__all__ = [
    "NotRepeatableError",
    "NotTrustedError",
    "check_trust",
    "load_keras",
    "reference_answers",
]


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
    to compare with.

    Args:
        source: A SavedModel folder, a ``.keras`` or ``.h5`` file, or a frozen GraphDef.
        calls: Input name to array, for each call.
        signature: A SavedModel's signature; its only one if ``None``.
        trust: Whether code that the file brings along may run.
        timeout: Seconds that it may take.

    Returns:
        The record. Its ``value`` is, for each call, output name to array. If it raised, its
        ``exception_type`` is ``"NotRepeatableError"`` where the two rounds differ.

    Raises:
        ModelFileError: There is no such model, or it is a .tflite file.
        NotTrustedError: It brings code along, and ``trust`` is not given.
    """
    graph = read_graph(source)
    if graph.format == "tflite":
        raise ModelFileError(source, "a .tflite file is what is compared, and no reference")
    check_trust(graph, trust)
    outputs = graph_signature(graph).outputs if graph.format == "graph_def" else ()
    path = Path(source)
    folder = path.parent if path.name == "saved_model.pb" else path
    asked = _Asked(
        os.fspath(folder), graph.format, signature, tuple(s.name for s in outputs), trust
    )
    return run_isolated(_twice, asked, [dict(call) for call in calls], timeout=timeout)


Model = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True)
class _Asked:
    """Which model is asked, as plain data that goes to another process."""

    source: str
    file_format: str
    signature: str | None
    outputs: tuple[str, ...]
    trust: bool

    def load(self) -> Model:
        """Load a fresh copy, in the child process."""
        if self.file_format == "keras":
            return _keras(self.source, self.trust)
        if self.file_format == "graph_def":
            return _graph_def(self.source, self.outputs)
        return _saved_model(self.source, self.signature)


def _twice(asked: _Asked, calls: list[dict[str, Any]]) -> Answers:
    """Answer all calls twice, in the child process."""
    first, again = (
        [_arrays(model(call)) for call in calls] for model in (asked.load(), asked.load())
    )
    for number, (one, other) in enumerate(zip(first, again, strict=True), start=1):
        different = [name for name in one if not _alike(one[name], other[name])]
        if different:
            raise NotRepeatableError(
                f"two fresh copies of the model give different answers to the same calls, from "
                f"call {number} on, output {different[0]}: it draws random numbers"
            )
    return first


def _arrays(outputs: Mapping[str, Any]) -> dict[str, Any]:
    import numpy as np

    return {name: np.array(value) for name, value in outputs.items()}


def _alike(one: Any, other: Any) -> bool:
    """Tell whether two answers are the same, but for the order of additions."""
    import numpy as np

    if one.shape != other.shape:
        return False
    if one.dtype.kind in "fc":
        return bool(np.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True))
    return bool(np.array_equal(one, other))


def _saved_model(source: str, signature: str | None) -> Model:
    import tensorflow as tf

    loaded = tf.saved_model.load(source)
    name = signature or next(iter(loaded.signatures))
    function = loaded.signatures[name]
    wanted = function.structured_input_signature[1]

    def answer(call: Mapping[str, Any]) -> Mapping[str, Any]:
        # The closure holds ``loaded``: a signature alone does not keep its variables alive.
        assert loaded is not None
        return dict(
            function(**{n: tf.constant(value, dtype=wanted[n].dtype) for n, value in call.items()})
        )

    return answer


def _keras(source: str, trust: bool) -> Model:
    model = load_keras(source, trust)

    def answer(call: Mapping[str, Any]) -> Mapping[str, Any]:
        if len(call) == 1:
            return _named(model(next(iter(call.values()))))
        names = [tensor.name for tensor in model.inputs]
        fed = dict(call) if set(names) == set(call) else list(call.values())
        return _named(model(fed))

    return answer


def load_keras(source: str, trust: bool) -> Any:
    """Load a Keras model, in a child process.

    Keras ignores ``safe_mode`` for a ``.h5`` file: :func:`check_trust` has to come first.
    """
    import tensorflow as tf

    return tf.keras.models.load_model(source, compile=False, safe_mode=not trust)


def _named(outputs: Any) -> dict[str, Any]:
    """Give the outputs of a Keras model names: its own, or their positions."""
    if isinstance(outputs, Mapping):
        return {str(name): value for name, value in outputs.items()}
    several = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return {str(position): value for position, value in enumerate(several)}


def _graph_def(source: str, outputs: Sequence[str]) -> Model:
    import tensorflow as tf

    v1 = tf.compat.v1
    graph_def = v1.GraphDef.FromString(Path(source).read_bytes())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    session = v1.Session(graph=graph)

    def answer(call: Mapping[str, Any]) -> Mapping[str, Any]:
        feeds = {f"{name}:0": value for name, value in call.items()}
        values = session.run([f"{name}:0" for name in outputs], feeds)
        return dict(zip(outputs, values, strict=True))

    return answer
