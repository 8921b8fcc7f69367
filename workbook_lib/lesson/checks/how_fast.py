"""Check of lesson 29. It imports no TensorFlow: the notebook's kernel has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt, expect

# Each number is a float16, and each sum a float32.
_PAIRS = (
    (2048.0, 1.0),
    (2048.0, 2.0),
    (1024.0, 1.0),
    (1024.0, 0.5),
    (3.0, 4096.0),
    (4096.0, 4.0),
    (-2048.0, -1.0),
    (-2048.0, 1.0),
    (0.5, 0.25),
    (0.25, 512.0),
    (30000.0, -16.0),
    (30000.0, 0.25),
)


@exercise("how_fast/tells")
def tells(function: Callable[..., Any]) -> str:
    """Say whether a sum shows in which type it was added.

    1. Add the two numbers twice: once as two float16, and once as two float32.
    2. `np.float16(2048)` is 2048 as a float16, and the sum of two float16 is a float16.
    3. Of 2048 and 1, the two sums are `np.float16(2048) + np.float16(1)` and
       `np.float32(2048) + np.float32(1)`. A sum tells if these differ.
    """
    answers = {}
    for pair in _PAIRS:
        answer = attempt(function, *pair)
        expect(answer, (bool, np.bool_), "True or False")
        answers[pair] = bool(answer)
    _judge_answers(answers)
    return (
        "With such numbers you can ask any runtime in which type it adds, also that of a GPU whose "
        "code you cannot read."
    )


def _half_sum(first: float, second: float) -> float:
    """Return what a float16 holds of a sum."""
    return float(np.float16(first + second))


def _judge_answers(answers: dict[tuple[float, float], bool]) -> None:
    expected = {pair: _half_sum(*pair) != sum(pair) for pair in answers}
    if answers == expected:
        return
    if not any(answers.values()):
        raise Wrong(
            "It says False of every pair. Is one sum a `np.float16`, and the other a `np.float32`? "
            "NumPy takes a Python number beside a float16 for a float16."
        )
    if all(answers.values()):
        raise Wrong("It says True of every pair. 2048 and 2 make 2050, which both types have.")
    if all(answers[pair] != expected[pair] for pair in answers):
        raise Wrong("It is the other way round: a sum tells if the two types differ in it.")
    first, second = next(pair for pair in answers if answers[pair] != expected[pair])
    raise Wrong(
        f"Of {first:g} and {second:g} it says {answers[first, second]}. As a float16 the sum is "
        f"{_half_sum(first, second):g}, and as a float32 {first + second:.7g}."
    )
