"""A Fourier transform of a length that LiteRT's kernel does not compute.

``tf.signal.rfft``, ``rfft2d`` and ``stft`` become RFFT2D. Its kernel refuses a length that is no
power of two, and for a last length of 1 it gives something else. As a product with a matrix of
cosines and sines, the transform is as exact, at any length.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from varhandle.families.base import Family, Finding, Reading
from varhandle.families.log_index import Meaning
from varhandle.families.log_patterns import Pattern

OF_ONE = "LiteRT's kernel computes no transform of length 1"
"""Why an RFFT2D parts from the model, as ``locate`` has it."""


def _in_difference(reading: Reading, first: Mapping[str, Any]) -> Finding | None:
    """Say that a transform of length 1 is why a file parts from its model; ``None`` if not."""
    if OF_ONE not in first.get("why", ""):
        return None
    message = f"{reading.capital_subject} has a Fourier transform whose last length is 1: {OF_ONE}."
    return FAMILY.finding("error", (), message, FAMILY.fix)


FAMILY = Family(
    id="fft-length",
    order=157,
    what="A Fourier transform has a length that LiteRT does not compute.",
    cause=(
        "The kernel of RFFT2D takes powers of two alone, and gives something else where the last"
        " length is 1."
    ),
    fix=(
        "Write the transform as a product with a matrix, which is as exact at any length (x: the"
        " batch, then the length; another fft_length, padded with zeros, has other"
        " frequencies).\n\n"
        "import numpy as np\n"
        "import tensorflow as tf\n"
        "\n"
        "length = x.shape[-1]\n"
        "turns = np.outer(np.arange(length), np.arange(length // 2 + 1)) / length\n"
        "real = tf.matmul(x, tf.constant(np.cos(2 * np.pi * turns), tf.float32))\n"
        "imaginary = tf.matmul(x, tf.constant(-np.sin(2 * np.pi * turns), tf.float32))"
    ),
    difference_rule=_in_difference,
    log_patterns=(Pattern("fft-length", "IsPowerOfTwo(fft_length"),),
    log_meanings={
        "fft-length": Meaning(
            124,
            "A Fourier transform (RFFT2D) has a length that is no power of two: the kernel of"
            " LiteRT computes no other.",
        )
    },
    of_variables=False,
    answers_wrongly=True,
)
