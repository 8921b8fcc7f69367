"""Checks of notebook 01."""

from __future__ import annotations

import inspect
import tempfile
from typing import Any

import numpy as np
import tensorflow as tf

from varhandle.evaluate.parity import check_parity
from varhandle.matrix import version_matrix
from varhandle.sandbox import run_source
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt


@exercise("reproduce/other-mend")
def other_mend(build_model: object) -> str:
    """Keep the article's [10, 128] constant, and change the added layer so that it fits.

    1. The layer's kernel has one row for each feature that comes in and one column for each unit.
       Which of the two can you still choose?
    2. Ten features come in. A [10, 128] kernel has 128 columns.
    3. Change the number of units of the added layer, and leave the constant alone.
    """
    model = attempt(build_model)
    if not isinstance(model, tf.keras.Model):
        raise Wrong(
            "Return the Keras model itself: the last line of the function is `return model`."
        )
    if not model.built:
        raise Wrong("The model is not built yet. Start it with `tf.keras.Input([10])`.")
    dense = [layer for layer in model.layers if isinstance(layer, tf.keras.layers.Dense)]
    if len(dense) < 3:
        raise Wrong("The model has lost a layer. The article's third layer is to be added as well.")
    kernel = dense[-1].kernel
    if tuple(kernel.shape) == (10, 10):
        raise Wrong(
            "This mends it by changing the constant, as the cell above did. Leave the constant at "
            "[10, 128]; what else decides the shape of the kernel?"
        )
    if tuple(kernel.shape) != (10, 128):
        raise Wrong(f"The last kernel has the shape {list(kernel.shape)}, the constant [10, 128].")
    starts_from = dense[-1].kernel_initializer
    # tf.random.normal spreads by 1; Glorot's default for this shape by about 0.12.
    spread = float(np.std(kernel.numpy()))
    if not isinstance(starts_from, tf.keras.initializers.Constant) or not 0.8 < spread < 1.2:
        raise Wrong("The last kernel does not hold the random constant. Is the initializer there?")
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        _converted(folder)
    return "The kernel is [features, units]: with 128 units it is [10, 128], and it converts."


@exercise("reproduce/mend-the-state")
def mend_the_state(module_class: object) -> str:
    """Write a RunningTotal that converts, and still answers in float16.

    1. The converter carries some dtypes in a variable and not others. Section 2 printed one that it
       carries.
    2. Keep the state in float32. Nothing forces the state to have the dtype of the answer.
    3. Make the variable with `tf.zeros([4])`, and cast only where the answer is returned.
    """
    if not isinstance(module_class, type):
        raise Wrong("Pass the class itself: `check.mend_the_state(MyRunningTotal)`.")
    try:
        inspect.signature(module_class.__init__).bind(None)  # type: ignore[misc]
    except TypeError as error:
        raise Wrong("The check makes it with no arguments: `MyRunningTotal()`.") from error
    module, asked = attempt(module_class), attempt(module_class)
    if not isinstance(module, tf.Module) or not module.variables:
        raise Wrong("The class is to be a `tf.Module` that keeps its total in a `tf.Variable`.")
    signature = _one_tensor_to_one(module)
    totals = np.cumsum(_CALLS, axis=0)
    _judge_totals([np.array(attempt(asked, call)) for call in _CALLS], totals)
    with tempfile.TemporaryDirectory() as folder:
        try:
            tf.saved_model.save(module, folder, signatures=signature)
        except Exception as error:
            raise Wrong(f"It cannot be saved: {str(error).partition('. ')[0]}.") from error
        content = _converted(folder)
    expected = iter(totals.astype(np.float16))
    parity = check_parity(lambda _: next(expected), content, list(_CALLS), tolerance=_TOLERANCE)
    if not parity.passed:
        raise Wrong("It converts, but does not add up: " + parity.runs[0].verdict + ".")
    return "The state is float32, which VAR_HANDLE carries; the cast happens on the way out."


# Fractions, negatives, and no two slots alike; every total is exact in float16.
_CALLS = np.array([[0.5, 1.25, -2, 3], [0.25, -0.75, 1.5, 10], [1, 2, 3, -4.5]], np.float32)
_TOLERANCE = 1e-2


def _one_tensor_to_one(module: Any) -> Any:
    """Trace a module's ``__call__``: one float32 [4] tensor in, one float16 tensor out."""
    function: Any = getattr(module, "__call__", None)  # noqa: B004 - its attributes are wanted
    specs = getattr(function, "input_signature", None)
    if not hasattr(function, "get_concrete_function") or specs is None:
        raise Wrong("`__call__` is to stay a `tf.function` with an input signature.")
    if [(spec.shape, spec.dtype) for spec in tf.nest.flatten(specs)] != [([4], tf.float32)]:
        raise Wrong("Keep RunningTotal's input signature: one float32 tensor of four numbers.")
    signature = attempt(function.get_concrete_function)
    answered = signature.structured_outputs
    if not tf.is_tensor(answered):
        raise Wrong(f"It answers with a `{type(answered).__name__}`. Return one tensor.")
    if answered.dtype != tf.float16:
        raise Wrong(
            f"It answers in {answered.dtype.name}. The callers of this model expect float16."
        )
    return signature


def _judge_totals(answers: list[Any], totals: Any) -> None:
    for before, call, answer, total in zip([None, *answers], _CALLS, answers, totals, strict=False):
        if answer.shape == total.shape and np.allclose(answer, total, _TOLERANCE, _TOLERANCE):
            continue
        if before is not None and any(np.array_equal(answer, same) for same in (before, call)):
            raise Wrong("The total does not grow from call to call.")
        where = "first" if before is None else "next"
        raise Wrong(
            f"In TensorFlow itself it does not add up: the {where} call gives it {call.tolist()}, "
            f"the total is then {total.tolist()}, and it answers {answer.tolist()}."
        )


def _converted(folder: str) -> bytes:
    record = run_source(
        "import tensorflow as tf\n"
        "content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()",
        inputs={"folder": folder},
        keep=["content"],
    )
    if record.outcome == "raised":
        named = ", ".join(record.failing_ops) or record.exception_type
        raise Wrong(f"The converter still refuses it, and names {named}.")
    if not record.ok:
        raise Wrong(f"The conversion did not come to an end ({record.message}). Check once more.")
    content: bytes = record.value["content"]
    return content


@exercise("reproduce/read-the-matrix")
def read_the_matrix(version: Any) -> str:
    """Name the first measured release on which assigned float32 state works by default.

    1. Read the row of the float32 variable that is assigned, from left to right.
    2. You look for the first column in that row that says it works.
    """
    measured = [entry for entry in version_matrix.load()["versions"] if entry["installed"]]
    works = [e["version"] for e in measured if e["results"]["float32-state"]["outcome"] == "works"]
    if not isinstance(version, str):
        raise Wrong('Give the version as text, such as `"2.21.0"`.')
    columns = [entry["version"] for entry in measured]
    version = {column.rpartition(".")[0]: column for column in columns}.get(version, version)
    if version not in columns:
        raise Wrong(
            f"`{version}` is not a column of the matrix. Copy a version as it stands there."
        )
    if version not in works:
        raise Wrong("In that column the row does not say that it works.")
    if version != works[0]:
        raise Wrong("It works there, but an earlier release works as well.")
    return (
        f"From {works[0]} on, resource variables are on by default: most advice on the web is "
        "older than that."
    )
