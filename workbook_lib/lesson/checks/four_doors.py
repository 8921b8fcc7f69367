"""Checks of lesson 23."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from varhandle.evaluate.parity import check_parity
from varhandle.formats import read_graph
from varhandle.graph import ModelFileError
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt, is_stub
from workbook_lib.older_keras import add_litert_format


@exercise("four_doors/strict-export")
def strict_export(function: Any) -> str:
    """Write the `.tflite` file of a Keras model, or raise if it needs more than builtin ops.

    1. Keras hands an argument on to the converter if the converter has an attribute of that name.
    2. `target_spec` may be a dictionary. Its key `supported_ops` takes a list of sets of ops, which
       are named in `tf.lite.OpsSet`.
    3. Two sets are allowed if you say nothing. Which of them has LiteRT's own ops?
    """
    if is_stub(function) or not callable(function):
        attempt(function)  # which says so
    add_litert_format()
    with tempfile.TemporaryDirectory() as folder, _quiet_keras():
        _judge_plain(function, Path(folder, "plain.tflite"))
        _judge_half(function, Path(folder, "half.tflite"))
        _judge_named(function, Path(folder, "named.tflite"))
    return "Now the export stops where the converter does, and no file with Flex ops is left."


def _judge_plain(function: Any, path: Path) -> None:
    model = _counter("float32")
    allowed = _note_op_sets(model)
    _call(function, model, str(path))
    content = _content(path)
    ops = read_graph(content).op_counts()
    if flex := sorted(op for op in ops if op.startswith("Flex")):
        raise Wrong(
            "For the check's first model builtin ops are enough, and your file has "
            f"{', '.join(flex)}. Which set is the one of the builtin ops?"
        )
    if not check_parity(_counter("float32"), content, [np.ones((1, 4), np.float32)] * 3).passed:
        raise Wrong("It writes a file, which answers something else than the model.")
    if not all(sets and all(isinstance(each, tf.lite.OpsSet) for each in sets) for sets in allowed):
        raise Wrong(
            "It is strict by chance: the converter passes over what is no member of "
            "`tf.lite.OpsSet`. Name the set that you allow."
        )


def _note_op_sets(model: Any) -> list[Collection[Any]]:
    """Return a list of the sets of ops that the model's ``export`` is given, once it is called."""
    noted: list[Collection[Any]] = []
    export = model.export

    def noting(*arguments: Any, **settings: Any) -> Any:
        target_spec = settings.get("target_spec")
        if isinstance(target_spec, dict):
            sets = target_spec.get("supported_ops")
            if isinstance(sets, Collection):
                noted.append(sets)
        return export(*arguments, **settings)

    model.export = noting
    return noted


def _judge_named(function: Any, path: Path) -> None:
    """Refuse a search for ``Flex`` in the bytes of a file: names stand among them as well."""
    name = "FlexLayer"
    try:
        function(_counter("float32", name), str(path))
    except Exception as error:
        raise Wrong(
            f"A model with builtin ops alone has a layer called `{name}`, and your function "
            f"raises {type(error).__name__}. A name is a label. Ask for the ops of the file."
        ) from error


def _judge_half(function: Any, path: Path) -> None:
    try:
        function(_counter("float16"), str(path))
    except Exception:
        if path.exists():
            raise Wrong(
                "For a model with a float16 state it raises, and leaves a file behind, which "
                "somebody will ship. Raise before anything is written."
            ) from None
        return
    if not path.exists():
        raise Wrong(
            "For a model with a float16 state, which builtin ops cannot hold, it writes nothing "
            "and says nothing. Let the error come."
        )
    ops = read_graph(path.read_bytes()).op_counts()
    strange = sorted(op for op in ops if op.startswith(("Flex", "Var")))
    raise Wrong(
        "The check's second model has a float16 state, which builtin ops cannot hold. Your "
        f"function writes a file all the same, with {', '.join(strange) or 'another state'} in it."
    )


def _call(function: Any, *arguments: Any) -> None:
    """Call the learner's function, which need not return anything."""

    @functools.wraps(function)  # so that what is told is a line of the learner's, and not of this
    def called(*given: Any) -> bool:
        function(*given)
        return True

    attempt(called, *arguments)


def _content(path: Path) -> bytes:
    if path.is_dir():
        raise Wrong("It makes a folder, which is a SavedModel. Which `format` makes a file?")
    if not path.exists():
        raise Wrong("There is no file at the path that it is given.")
    content = path.read_bytes()
    try:
        read_graph(content)
    except ModelFileError as error:
        raise Wrong("What it writes is no `.tflite` file.") from error
    return content


@contextlib.contextmanager
def _quiet_keras() -> Iterator[None]:
    """Keep Keras from printing the paths of the check."""
    was_on = keras.config.is_interactive_logging_enabled()
    keras.config.disable_interactive_logging()
    try:
        yield
    finally:
        if was_on:
            keras.config.enable_interactive_logging()


class _Counter(keras.layers.Layer):
    def __init__(self, state_dtype: str, name: str | None) -> None:
        super().__init__(name=name)
        self.state_dtype = state_dtype

    def build(self, _: Any) -> None:
        self.state = self.add_weight(
            shape=[4], initializer="zeros", dtype=self.state_dtype, trainable=False
        )

    def call(self, x: Any) -> Any:
        self.state.assign_add(tf.cast(x[0] * 2.0, self.state_dtype))
        return tf.cast(self.state, tf.float32) + tf.zeros_like(x)


def _counter(state_dtype: str, name: str | None = None) -> Any:
    return keras.Sequential([keras.Input([4], batch_size=1), _Counter(state_dtype, name)])
