"""TensorFlow's ops that draw random numbers, and those of them that a .tflite file has.

A test holds the pattern to TensorFlow's own registry, and converts what is called builtin.
"""

from __future__ import annotations

import re

BUILTIN_DRAWS = frozenset({"RandomUniform", "RandomStandardNormal", "Multinomial"})
"""Draws that the converter takes as they are; the file then draws numbers of its own."""

TFLITE_DRAWS = frozenset({"RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL", "MULTINOMIAL"})
"""The same in a .tflite file."""

_DRAW = re.compile(
    r"(?:Stateful|Stateless|Risc)?(?:Random)?(?P<what>Uniform(?:Int|FullInt)?|(?:Standard)?Normal"
    r"|(?:Parameterized)?TruncatedNormal|Multinomial|(?:Index)?Shuffle|Gamma|Poisson|Binomial|Crop)(?:V\d)?"
    r"|(?:Stateless)?SampleDistortedBoundingBox(?:V\d)?|NonDeterministicInts"
    r"|\w{1,20}CandidateSampler",
    re.IGNORECASE,  # a log may be in any letters
)
_GENERATOR = re.compile(
    r"Rng(?:ReadAndSkip|Skip)|StatelessRandomGet(?:KeyCounter|Alg|KeyCounterAlg)", re.IGNORECASE
)


def is_draw(op: str) -> bool:
    """Tell whether an op of TensorFlow draws random numbers."""
    return _DRAW.fullmatch(op) is not None


def is_generator(op: str) -> bool:
    """Tell whether an op only prepares draws: it makes a key of a seed, or advances a generator."""
    return _GENERATOR.fullmatch(op) is not None


def drawn_from(op: str) -> str:
    """Return the distribution of a draw, such as ``"UniformInt"``; nothing if its name has none.

    ``StandardNormal`` and ``Normal`` are the same one, which is called ``"Normal"``.
    """
    found = _DRAW.fullmatch(op)
    what = (found and found["what"]) or ""
    return "Normal" if what == "StandardNormal" else what
