"""Checks of lesson 31."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, describe
from workbook_lib.lesson.submitted_modules import make_module, trace_methods

_NUMBERS = (4.0, -1.0, 0.5, 8.5)


@exercise("keep_a_state/mean")
def mean(module_class: Any) -> str:
    """Keep the mean of all numbers since the last reset.

    1. The mean is the total by the count. Which values have both to begin with?
    2. `self.total = …` would only give the name to something else. What does the `reset` of
       `RowReader` call?
    3. `assign` writes into a variable, and also gives back what a signature can return. A
       dictionary holds both: `{"total": …, "count": …}`.
    """
    content = _convert(make_module(module_class, "step", "reset"))
    interpreter = _open(content)
    names = set(interpreter.get_signature_list())
    if names != {"step", "reset"}:
        raise Wrong(f"The file has the signatures {', '.join(sorted(names)) or 'none'}.")
    step, reset = map(interpreter.get_signature_runner, ("step", "reset"))
    _judge_means(step, _NUMBERS)
    reset()
    _judge_after_reset(step)
    reset()
    reset()
    _judge_means(step, _NUMBERS[::-1])
    other = _open(content).get_signature_runner("step")
    _judge_means(other, _NUMBERS)
    return (
        "Both variables stayed in the file, and `reset` gave both their first values. Had it "
        "forgotten one, no error would have said so."
    )


def _convert(module: Any) -> bytes:
    functions = trace_methods(module, "step", "reset")
    outputs = functions[0].structured_outputs
    if not isinstance(outputs, dict) or not hasattr(outputs.get("mean"), "shape"):
        raise Wrong('`step` is to answer with one tensor of the name `mean`: `{"mean": …}`.')
    answered = functions[1].structured_outputs
    for name in answered if isinstance(answered, dict) else ():
        if not hasattr(answered[name], "shape"):
            raise Wrong(
                f"`reset` answers with something else than a tensor under `{name}`. Which method "
                "writes into a variable, and gives back its new value?"
            )
    try:
        converter = tf.lite.TFLiteConverter.from_concrete_functions(functions, module)
        return bytes(converter.convert())
    except Exception as error:
        raise Wrong(f"The converter stops: {describe(error, None)}") from error


def _open(content: bytes) -> Interpreter:
    """Open a file with the plain kernels.

    With XNNPACK, `total.assign_sub(total)` ends the process: a SUB that takes one tensor twice.
    """
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return Interpreter(model_content=content, experimental_op_resolver_type=plain)


def _called(step: Any, number: float) -> float:
    names = list(step.get_input_details())
    if names != ["x"]:
        raise Wrong(f"`step` of the file takes {', '.join(names) or 'nothing'}, and not `x`.")
    return float(np.squeeze(step(x=np.array([number], np.float32))["mean"]))


def _judge_means(step: Any, numbers: Sequence[float]) -> None:
    given: list[float] = []
    for number in numbers:
        given.append(number)
        answer, expected = _called(step, number), sum(given) / len(given)
        if np.isclose(answer, expected, atol=1e-5):
            continue
        said = ", ".join(f"{value:g}" for value in given)
        if np.isclose(answer, number) and len(given) > 1:
            raise Wrong(
                f"After {said} the mean is {expected:g}, and yours is {answer:g}, the last number. "
                "What of the earlier calls is still there? A value stays where it is *assigned* "
                "to a variable."
            )
        raise Wrong(f"After {said} the mean is {expected:g}, and yours is {answer:g}.")


def _judge_after_reset(step: Any) -> None:
    answer = _called(step, 2.0)
    if np.isclose(answer, 2.0):
        return
    total, count = sum(_NUMBERS), len(_NUMBERS)
    if np.isclose(answer, 2.0 / (count + 1)):
        raise Wrong("After `reset` and the number 2 the mean is too small: the count went on.")
    if np.isclose(answer, total + 2.0):
        raise Wrong("After `reset` and the number 2 the mean is too large: the total went on.")
    if np.isclose(answer, (total + 2.0) / (count + 1)):
        raise Wrong("`reset` changes nothing: the mean goes on. What has to be assigned in it?")
    raise Wrong(f"After `reset` and the number 2 the mean is 2, and yours is {answer:g}.")
