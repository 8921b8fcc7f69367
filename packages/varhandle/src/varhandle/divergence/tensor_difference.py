"""How far one tensor is from another, and whether that is more than its dtype may round."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from varhandle.evaluate.parity import TOLERANCES, absolute_errors, largest_of, odd_values

Array = npt.NDArray[Any]

STEPS = 2.0
"""Steps of its own scale that a quantized tensor may differ by."""

_FIRST = 6
"""Values of a tensor that are kept to be shown."""

_NEXT_TO_NOTHING = 1e-3
"""Share of an op's inputs below which its output is what rounding has left of a difference."""


@dataclass(frozen=True)
class Difference:
    """What lies between two tensors.

    Attributes:
        largest: |got - expected| where it is largest; of text, 1.0 where any differs.
        share: The same as a share of the largest |expected|: what ``allowed`` is measured in.
        similarity: The cosine of the angle between the two; 1.0 for the same.
        allowed: Share that the dtype may differ by.
        steps: The largest difference in steps of the tensor's scale; ``None`` if not quantized.
        note: What is odd, in words.
        mean: The mean of |got - expected|, where both are numbers.
        place: The index at which the difference is largest; of text, at which it is the first.
        got: The first values of the file's tensor, and last that at ``place``.
        expected: The same of the model's.
        lost: The activation (``"Relu"``) that makes what is expected of what was got, if one does.
    """

    largest: float
    share: float
    similarity: float
    allowed: float
    steps: float | None = None
    note: str = ""
    mean: float = 0.0
    place: tuple[int, ...] = ()
    got: tuple[Any, ...] = ()
    expected: tuple[Any, ...] = ()
    lost: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it is no more than rounding."""
        return not self.note and (
            self.share <= self.allowed or (self.steps is not None and self.steps <= STEPS)
        )

    def without(self, error: float) -> Difference:
        """Return what is left of it where an absolute error is explained."""
        left = max(0.0, 1 - error / self.largest) if 0 < self.largest < float("inf") else 1.0
        steps = None if self.steps is None else left * self.steps
        return replace(self, largest=left * self.largest, share=left * self.share, steps=steps)

    def _shown(self, got: Array, expected: Array, errors: Array) -> Difference:
        """Return it with what is shown of the two: where they differ most, and by how much."""
        if not got.size:
            return self
        worst = int(np.argmax(errors))
        finite = errors[np.isfinite(errors)]
        return replace(
            self,
            mean=float(finite.mean()) if finite.size else float("inf"),
            place=tuple(map(int, np.unravel_index(worst, got.shape))),
            got=_values(np.ravel(got), worst),
            expected=_values(np.ravel(expected), worst),
        )


def difference(
    got: Array, expected: Array, *, step: float = 0.0, inputs: float = 0.0, allowed: float = 0.0
) -> Difference:
    """Compare a tensor with what it should be.

    ``step`` is that of its scale, where it is quantized; ``inputs`` the largest value that its op
    takes; ``allowed`` a share that may differ, where that is more than the dtype's. Shapes may
    differ where the sizes are the same: a file may drop a dimension of 1.
    """
    if got.size != expected.size:
        note = f"shape {list(got.shape)} where the model has {list(expected.shape)}"
        return Difference(float("inf"), float("inf"), 0.0, 0.0, None, note)
    mine, theirs = np.ravel(got), np.ravel(expected)
    if mine.dtype.kind not in "fciub" and mine.dtype.name != "bfloat16":
        same = bool(np.all(mine.astype(object) == theirs.astype(object)))
        one = Difference(0.0 if same else 1.0, 0.0 if same else 1.0, float(same), 0.0)
        return one._shown(got, expected, mine.astype(object) != theirs.astype(object))
    if mine.dtype.kind in "iub" and theirs.dtype.kind in "iub" and not step:
        apart = np.fmax(1.0, np.abs(mine.astype(np.float64) - theirs))  # above 2**53 as well
        errors = np.where(mine == theirs, 0.0, apart)
        worst = float(errors.max(initial=0.0))
        scale = max(float(np.max(np.abs(theirs.astype(np.float64)), initial=0.0)), 1.0)
        one = Difference(worst, worst / scale, _similarity(mine, theirs), 0.0)
        return one._shown(got, expected, errors)
    errors = absolute_errors(mine, theirs)
    scale = max(reach(theirs), _NEXT_TO_NOTHING * inputs, 1e-9)
    worst = float(errors.max(initial=0.0))
    note = odd_values(mine, theirs, "the model")
    allowed = max(allowed, _tolerance(mine), _tolerance(theirs))
    steps = worst / step if step else None
    one = Difference(worst, worst / scale, _similarity(mine, theirs), allowed, steps, note)
    if not one.agrees:
        one = replace(one, lost=_lost_activation(mine, theirs, allowed * scale))
    return one._shown(got, expected, errors)


def reach(value: Array) -> float:
    """Return the largest absolute value, but for what stands for infinity: it rounds nothing."""
    wide = np.abs(value.astype(np.complex128 if value.dtype.kind == "c" else np.float64))
    return float(np.max(wide, initial=0.0, where=wide < largest_of(value.dtype)))


def has_largest(value: Array) -> bool:
    """Whether a value holds the largest number of its dtype, which may stand for infinity."""
    return value.dtype.kind == "f" and bool(np.any(np.abs(value) == largest_of(value.dtype)))


_FUSED = {"Relu": (0.0, None), "Relu6": (0.0, 6.0), "clip to -1..1": (-1.0, 1.0)}
"""The activations that ops of a file have in them, each with the values that it lets through."""


def _lost_activation(got: Array, expected: Array, allowed: float) -> str:
    """Name the activation that makes one array of the other; empty where none does."""
    if got.dtype.kind != "f" or expected.dtype.kind != "f":
        return ""
    for name, limits in _FUSED.items():
        if np.all(absolute_errors(np.clip(got, *limits), expected) <= allowed):
            return name
    return ""


def _values(flat: Array, worst: int) -> tuple[Any, ...]:
    values = [*flat[:_FIRST], flat[worst]]
    return tuple(
        float(value) if value.dtype.name == "bfloat16" else value.item()
        for value in map(np.asarray, values)
    )


def _tolerance(array: Array) -> float:
    return TOLERANCES.get("float32" if array.dtype.kind == "c" else array.dtype.name, 0.0)


def _similarity(one: Array, other: Array) -> float:
    kind = np.complex128 if "c" in (one.dtype.kind, other.dtype.kind) else np.float64
    a: Any = one.astype(kind)
    b: Any = other.astype(kind)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return 0.0
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    if lengths == 0.0:
        return float(np.array_equal(a, b))
    return float(np.real(np.vdot(a, b)) / lengths)
