"""Check of lesson 27."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt, same


@exercise("scale_and_zero_point/int8-parameters")
def int8_parameters(function: Callable[..., Any]) -> str:
    """Work out scale and zero point of int8 for a range of real values.

    1. The zero point is the integer that stands for 0.0. Of which real value do you know the
       integer?
    2. Put the smallest value and its integer, -128, into real = scale · (integer minus zero point).
    3. Divide by the scale: `smallest / scale` is -128 minus the zero point.
    """
    for smallest, largest, what in (
        (-0.67, 1.83, "a lopsided range"),  # first: no two mistakes give the same numbers here
        (-1.0, 1.0, "a range around zero"),
        (0.0, 5.0, "a range that starts at zero"),
        (2.0, 6.0, "a range without zero"),
        (-3.0, -1.0, "a range below zero"),
    ):
        where = f"For {what}, {smallest} to {largest}, "
        _judge_pair(attempt(function, smallest, largest), smallest, largest, where)
    return (
        "So a tensor with one scale gets its two numbers from the range that calibration has "
        "found. What lies outside that range is cut off."
    )


def _parameters(smallest: float, largest: float) -> tuple[float, int]:
    """Return what the specification gives for a range: 255 steps, 0.0 one of them."""
    smallest, largest = min(smallest, 0.0), max(largest, 0.0)
    scale = (largest - smallest) / 255
    return scale, round(-128 - smallest / scale)


def _judge_pair(answer: Any, smallest: float, largest: float, where: str) -> None:
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise Wrong("Return two values: the scale, then the zero point.")
    given_scale, given_zero = answer
    scale, zero_point = _parameters(smallest, largest)
    if not same(given_scale, scale, tolerance=scale * 1e-6):
        if same(given_zero, scale, tolerance=1e-9):
            raise Wrong("The two are the other way round: first the scale, then the zero point.")
        _judge_scale(given_scale, smallest, largest, where)
    if same(given_zero, zero_point + 128):
        raise Wrong(f"{where}the zero point counts from 0, as in uint8. int8 starts at -128.")
    if not isinstance(given_zero, (int, np.integer)):
        if same(given_zero, zero_point, tolerance=0.5):
            raise Wrong("The zero point is an integer: it stands for 0.0 among the int8 values.")
        raise Wrong(f"The zero point is a whole number. This is {given_zero!r}.")
    exact = -128 - min(smallest, 0.0) / scale  # where it ends in .5, either neighbor will do
    if abs(int(given_zero) - exact) > 0.5 + 1e-6:
        raise Wrong(
            f"{where}the zero point is {given_zero}. With it the smallest value becomes "
            f"{round(min(smallest, 0.0) / scale) + int(given_zero)}, and not -128."
        )


def _judge_scale(given: object, smallest: float, largest: float, where: str) -> NoReturn:
    if same(given, (max(largest, 0.0) - min(smallest, 0.0)) / 256, tolerance=1e-9):
        advice = "the scale is the width over 256. Between 256 values there are fewer steps."
    elif same(given, (max(largest, 0.0) - min(smallest, 0.0)) / 254, tolerance=1e-9):
        advice = "the scale is the width over 254. From -128 to 127 there is a step more."
    elif same(given, (largest - smallest) / 255, tolerance=1e-9):
        advice = (
            "the scale fits, and 0.0 is not in it. 0.0 must be a value exactly, because padding is "
            "made of it."
        )
    elif same(given, max(abs(smallest), abs(largest)) / 127, tolerance=1e-9):
        advice = (
            "this is the scale of a symmetric range, as weights have it. Activations use all 256 "
            "values for the range that was met."
        )
    elif same(given, _parameters(smallest, largest)[0], tolerance=2e-4):
        advice = f"the scale is {given!r}, which is rounded. Every digit of it counts: leave them."
    else:
        advice = f"the scale is {given!r}; how wide is the range, and how many steps has int8?"
    raise Wrong(where + advice)
