"""Constants of a model, decoded where somebody asks for their values.

A ``Graph`` tells that there is a constant, and not what is in it: weights are never looked at. What
its inputs take is told by a few small ones, such as the scale of a Rescaling layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from varhandle.graph import Shape

Array = npt.NDArray[Any]

MOST_VALUES = 2**20
"""Elements above which a constant is not decoded: a vocabulary has some hundred thousand."""


@dataclass(frozen=True)
class Constant:
    """A constant: its shape, and how to get at its values (``None`` where they are not decoded)."""

    shape: Shape | None
    read: Callable[..., Array | None]  # takes ``most``, above how many values they are not decoded


Constants = Mapping[tuple[str, str], Constant]
"""By function, and the node (in a .tflite file: the tensor) that holds it."""
