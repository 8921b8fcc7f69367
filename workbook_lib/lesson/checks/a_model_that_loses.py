"""Check of lesson 28."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt, expect

_LAYERS: tuple[dict[str, Any], ...] = tuple(
    {"op": op, "tensor": tensor, "error": error, "step": step}
    for op, tensor, error, step in (
        ("FULLY_CONNECTED", "model/wide/MatMul;model/wide/BiasAdd", 0.9, 3.0),
        ("CONV_2D", "model/narrow/Relu;model/narrow/Conv", 0.02, 0.01),
        ("CONV_2D", "model/middle/Relu", 0.06, 0.1),
        ("ADD", "model/limit/add", 0.0625, 0.125),  # half a step, exactly
        ("RESHAPE", "model/exact/Reshape", 0.0, 0.1),
        ("FULLY_CONNECTED", "model/coarse/MatMul", 0.1, 0.8),
    )
)


@exercise("a_model_that_loses/float-layers")
def float_layers(function: Callable[..., Any]) -> str:
    """Name the tensors of the layers whose error in steps is above a limit.

    1. Look at one entry: `layers[0]`. Its error is in the layer's own unit. Which other value of
       the entry is in the same unit?
    2. An error divided by the step is a number of steps, and 0.29 steps are rounding alone. Keep a
       layer in float if its number of steps is above the limit.
    3. A list comprehension with a condition does it: it keeps `layer["tensor"]` if
       `layer["error"] / layer["step"]` is above the limit.
    """
    for limit in (0.5, 5.0, 0.25):
        answer = attempt(function, [dict(layer) for layer in _LAYERS], limit)
        expect(answer, (list, tuple, set), "a list of names")
        _judge_layers(list(answer), limit)
    return (
        "The layer with the largest error in its own unit stays in int8: its steps are large as "
        "well. An error tells something only beside the step that it is made of."
    )


def _judge_layers(given: list[Any], limit: float) -> None:
    steps = {str(layer["tensor"]): layer["error"] / layer["step"] for layer in _LAYERS}
    errors = {str(layer["tensor"]): layer["error"] for layer in _LAYERS}
    expected = {name for name, count in steps.items() if count > limit}
    names = {one.get("tensor") if isinstance(one, dict) else one for one in given}
    if names == expected:
        if any(isinstance(one, dict) for one in given):
            raise Wrong("These are the right layers. The converter wants their `tensor`, a text.")
        if len(given) > len(names):
            raise Wrong("The right layers, and some of them twice. Name each once.")
        return
    if names and names <= {layer["op"] for layer in _LAYERS}:
        raise Wrong(
            "These are ops, and several layers have the same one. Name the `tensor` of each."
        )
    if not expected:
        raise Wrong(f"No layer reaches a limit of {limit} steps, and the list is not empty.")
    if names == {str(layer["tensor"]) for layer in _LAYERS if layer["step"] > limit}:
        raise Wrong("This compares `step`, the size of a step. How many of them is the error?")
    if names == {name for name, error in errors.items() if error > limit}:
        raise Wrong(
            "This compares `error`, which is in each layer's own unit. How many steps are that?"
        )
    if names == {name for name, count in steps.items() if count >= limit}:
        raise Wrong("A layer that lies at the limit is not above it.")
    if names and not names & expected and names <= set(steps):
        raise Wrong("These are the layers below the limit. Which are to leave int8?")
    raise Wrong(
        f"Of the check's {len(_LAYERS)} layers, {len(expected)} lie above a limit of {limit} "
        f"steps. Yours names {len(names)}: {', '.join(map(str, names)) or 'none'}."
    )
