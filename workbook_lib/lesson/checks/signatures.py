"""Checks of lesson 25."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import tensorflow as tf

from varhandle.conversion.converter import inspect_conversion
from varhandle.evaluate.parity import check_parity
from varhandle.graph import ModelFileError
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt, expect


@exercise("signatures/keep-the-total")
def without_add(function: Any) -> str:
    """Return a .tflite file in which `look` reads a variable, and that has no `add`.

    1. `signature_keys` takes a list of names. Which signatures may the file have?
    2. With `look` alone the total became a constant. Which of the others assigns it?
    3. Two names go into the list, as they were given on saving: `look`, and not `read`.
    """
    module = _counter()
    with tempfile.TemporaryDirectory() as folder:
        signatures = {"add": module.add, "look": module.look, "reset": module.reset}
        tf.saved_model.save(module, folder, signatures=signatures)
        content = attempt(function, folder)
    expect(content, (bytes, bytearray), "the bytes of the file, as `convert()` gives them")
    try:
        found = inspect_conversion(bytes(content))
    except ModelFileError as error:
        raise Wrong("These bytes are no `.tflite` file.") from error
    names = [signature.name for signature in found.signatures]
    if "add" in names:
        raise Wrong(
            "The file still has `add`. Is it in your list? With an empty list, or `None`, "
            "the converter takes all signatures."
        )
    if "look" not in names:
        raise Wrong(
            "The file has no `look`, and the device is to look. Its signatures are: "
            f"{', '.join(names) or 'none'}."
        )
    if not any("look" in at.signatures for v in found.variables for at in v.reads):
        raise Wrong(
            "In this file `look` gives a constant, because no signature in it assigns the total. "
            "Which of the three may come with it?"
        )
    if not check_parity(module.look, content, [{}] * 2, signature="look").passed:
        start = np.asarray(module.total).astype(int).tolist()
        raise Wrong(
            f"In the check's SavedModel the total starts as {start}, and `look` of your file "
            "answers otherwise. Does your function convert the folder that it is given?"
        )
    return "`reset` assigns the total, so it is a variable of the file, and `look` reads it."


def _counter() -> Any:
    """Return a module with the notebook's three functions, and with numbers of its own."""

    class Counter(tf.Module):
        def __init__(self) -> None:
            self.total = tf.Variable([10.0, 20.0], name="total")

        @tf.function(input_signature=[tf.TensorSpec([2], name="x")], autograph=False)
        def add(self, x: Any) -> dict[str, Any]:
            self.total.assign_add(x)
            return {"total": self.total + 0.0}

        @tf.function(input_signature=[], autograph=False)
        def look(self) -> dict[str, Any]:
            return {"total": self.total + 0.0}

        @tf.function(input_signature=[], autograph=False)
        def reset(self) -> dict[str, Any]:
            self.total.assign([0.0, 0.0])
            return {"total": self.total + 0.0}

    return Counter()
