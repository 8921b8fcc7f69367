"""Check of lesson 29. It imports no TensorFlow: the notebook's kernel has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from workbook_lib.lesson.checks.hand_made_files import chain_file, open_plainly, tensor
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt


@exercise("how_fast/tensor-bytes")
def tensor_bytes(function: Callable[..., Any]) -> str:
    """Return how many bytes all tensors of an interpreter take.

    1. The bytes of one tensor are its number of elements times the bytes of one element.
    2. The elements are the product of the sizes in `one["shape"]`: `np.prod`. The dtype is a NumPy
       type, and NumPy knows how many bytes one element takes.
    3. `np.dtype(one["dtype"]).itemsize` is the bytes of one element. Loop over
       `interpreter.get_tensor_details()`, multiply, and add up.
    """
    interpreter = open_plainly(_negating_file())
    for batch in (1, 6):
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], [batch, 4])
        interpreter.allocate_tensors()
        sizes = [int(np.prod(one["shape"])) for one in interpreter.get_tensor_details()]
        _judge_bytes(attempt(function, interpreter), sizes)
    _judge_bytes(attempt(function, open_plainly(_int8_file())), [5, 5], 1)
    scalars = chain_file("NEG", 1, tensor("x", []), tensor("y", []))
    _judge_bytes(attempt(function, open_plainly(scalars)), [1, 1])
    int8 = tensor("y", [1, 5], (0.25, -10))
    float_and_int8 = chain_file("QUANTIZE", 1, tensor("x", [1, 5]), int8)
    mixed = attempt(function, open_plainly(float_and_int8))
    if mixed != 4 * 5 + 5:
        raise Wrong(
            "For a file of 5 elements of float32 and 5 of int8 it returns "
            f"{mixed}; 25 was expected. Each tensor has a dtype of its own."
        )
    return "Float tensors, int8 tensors and scalars: each is weighed by its shape and its dtype."


def _judge_bytes(answer: Any, elements: list[int], item: int = 4) -> None:
    """Compare an answer with the bytes of tensors of so many elements of so many bytes."""
    if isinstance(answer, float) and answer.is_integer():
        answer = int(answer)  # the product of an empty list is 1.0, and the sum a float
    if isinstance(answer, bool) or not hasattr(answer, "__index__"):
        raise Wrong(f"Return one whole number. This is of type `{type(answer).__name__}`.")
    expected = item * sum(elements)
    if answer == expected:
        return
    if answer == sum(elements):
        raise Wrong("This counts the elements. How many bytes one takes depends on its dtype.")
    if answer == 4 * sum(elements):
        raise Wrong("This takes four bytes for every element. An int8 takes one.")
    if answer == item * elements[0]:
        raise Wrong("This weighs one tensor. The details are a list: add up over all of them.")
    if len(elements) > 2 and answer == item * (elements[0] + elements[-1]):
        raise Wrong(
            "This weighs two of three tensors. What lies between input and output takes memory as "
            "well."
        )
    if elements == [1, 1] and answer == 0:
        raise Wrong("A tensor of the shape `[]` has one element: what is the product of nothing?")
    raise Wrong(
        f"For a file of {len(elements)} tensors with {' and '.join(map(str, elements))} elements "
        f"of {item} bytes it returns {answer}; {expected} was expected."
    )


def _negating_file() -> bytes:
    """Return a file of two NEG, with a tensor between them; the first dimension is open."""
    return chain_file("NEG", 1, *(tensor(name, [-1, 4]) for name in ("x", "between", "y")))


def _int8_file() -> bytes:
    """Return a file of one QUANTIZE, from int8 to int8."""
    return chain_file(
        "QUANTIZE", 2, tensor("x", [1, 5], (0.5, 3)), tensor("y", [1, 5], (0.25, -10))
    )
