"""Checks of notebook 01."""

from __future__ import annotations

import tempfile
from typing import Any

from workbook_lib.failures import version_matrix
from workbook_lib.lesson.exercises import Wrong, attempt, exercise, same


@exercise(
    "reproduce/other-mend",
    hints=(
        "The layer's kernel has one row for each feature that comes in and one column for each "
        "unit. Which of the two can you still choose?",
        "Ten features come in. A [10, 128] kernel has 128 columns.",
        "Change the number of units of the added layer, and leave the constant alone.",
    ),
)
def other_mend(build_model: object) -> str:
    """Keep the article's [10, 128] constant, and change the added layer so that it fits."""
    import numpy as np
    import tensorflow as tf

    model = attempt(build_model)
    if not isinstance(model, tf.keras.Model):
        raise Wrong(
            "Return the Keras model itself: the last line of the function is `return model`."
        )
    if len(model.layers) < 3:
        raise Wrong("The model has lost a layer. The article's third layer is to be added as well.")
    kernel = model.layers[-1].kernel
    if tuple(kernel.shape) == (10, 10):
        raise Wrong(
            "This mends it by changing the constant, as the cell above did. Leave the constant at "
            "[10, 128]; what else decides the shape of the kernel?"
        )
    if tuple(kernel.shape) != (10, 128):
        raise Wrong(f"The last kernel has the shape {list(kernel.shape)}, the constant [10, 128].")
    # tf.random.normal spreads by 1; Glorot's default for this shape by about 0.12.
    if not 0.8 < float(np.std(kernel.numpy())) < 1.2:
        raise Wrong("The last kernel does not hold the random constant. Is the initialiser there?")
    tf.lite.TFLiteConverter.from_keras_model(model).convert()
    return "The kernel is [features, units]: with 128 units it is [10, 128], and it converts."


@exercise(
    "reproduce/mend-the-state",
    hints=(
        "The converter carries some dtypes in a variable and not others. Section 2 printed one "
        "that it carries.",
        "Keep the state in float32. Nothing forces the state to have the dtype of the answer.",
        "Make the variable with `tf.zeros([4])`, and cast only where the answer is returned.",
    ),
)
def mend_the_state(module_class: object) -> str:
    """Write a RunningTotal that converts, and still answers in float16."""
    import tensorflow as tf

    from workbook_lib.device.parity import check_parity

    if not callable(module_class):
        raise Wrong("Pass the class itself: `check.mend_the_state(MyRunningTotal)`.")
    module, reference = attempt(module_class), attempt(module_class)
    if not isinstance(module, tf.Module) or not module.variables:
        raise Wrong("The class is to be a `tf.Module` that keeps its total in a `tf.Variable`.")
    try:
        signature = module.__call__.get_concrete_function()
    except (AttributeError, ValueError) as error:
        raise Wrong("`__call__` is to stay a `tf.function` with an input signature.") from error
    answered = {spec.dtype.name for spec in tf.nest.flatten(signature.structured_outputs)}
    if answered != {"float16"}:
        raise Wrong(
            f"It answers in {', '.join(answered)}. The callers of this model expect float16."
        )
    folder = tempfile.mkdtemp()
    tf.saved_model.save(module, folder, signatures=signature)
    content = _converted(folder)
    calls = [tf.fill([4], float(value)).numpy() for value in (1, 2, 3)]
    parity = check_parity(reference, content, calls, tolerance=1e-2)
    if not parity.passed:
        raise Wrong("It converts, but does not add up: " + parity.runs[0].verdict + ".")
    totals = [reference(call).numpy()[0] for call in calls]
    if totals[0] == totals[1]:
        raise Wrong("It converts, but the total does not grow from call to call.")
    return "The state is float32, which VAR_HANDLE carries; the cast happens on the way out."


def _converted(folder: str) -> bytes:
    from workbook_lib.isolated import run_source

    record = run_source(
        "import tensorflow as tf\n"
        "content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()",
        inputs={"folder": folder},
        keep=["content"],
    )
    if not record.ok:
        named = ", ".join(record.failing_ops) or record.exception_type or record.outcome
        raise Wrong(f"The converter still refuses it, and names {named}.")
    content: bytes = record.value["content"]
    return content


@exercise(
    "reproduce/read-the-matrix",
    hints=(
        "Read the row of the float32 variable that is assigned, from left to right.",
        "You look for the first column in that row that says it works.",
    ),
)
def read_the_matrix(version: Any) -> str:
    """Name the first measured release on which assigned float32 state works by default."""
    matrix = version_matrix.load()
    measured = [entry for entry in matrix["versions"] if entry["installed"]]
    works = [e["version"] for e in measured if e["results"]["float32-state"]["outcome"] == "works"]
    if not isinstance(version, str):
        raise Wrong('Give the version as text, such as `"2.21.0"`.')
    version = {entry["version"].rpartition(".")[0]: entry["version"] for entry in measured}.get(
        version, version
    )
    if version not in {entry["version"] for entry in measured}:
        raise Wrong(
            f"`{version}` is not a column of the matrix. Copy a version as it stands there."
        )
    if same(version, works[0]):
        return (
            f"From {works[0]} on, resource variables are on by default: most advice on the web is "
            "older than that."
        )
    if version in works:
        raise Wrong("It works there, but an earlier release works as well.")
    raise Wrong("In that column the row does not say that it works.")
