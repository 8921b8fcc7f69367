"""An infinity that the converter replaces by the largest number of its dtype.

A mask of -inf, the maximum of nothing, a first value that is infinite: what the converter of
TensorFlow 2.21 knows before the model runs it writes as ±3.4028235e38. Behind a softmax nobody
sees that; where the infinity is the answer, or is multiplied by 0, everybody does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading
from varhandle.families.harness import Answers, Trace, case

SETTING = "converter.canonicalizing_inf_as_min_max_float = False"
"""What leaves an infinite constant as it is."""

FINITE = (
    "Write a finite number in its place, as large as the model needs (-1e9 in a mask): the plain "
    "kernels of LiteRT cut what they add, subtract, multiply or divide to what is finite."
)
"""What to do where the setting is not enough."""

_CUT = frozenset({"ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "DIV", "FULLY_CONNECTED", "MUL", "SUB"})
"""Ops of a file that may have an activation in them, and have limits without one as well."""


@case("infinite-constant", "an infinity in a constant")
def infinite_constant(trace: Trace) -> Answers:
    """Convert a mask that puts -inf in the place of small values."""
    tf = trace.tf
    module = trace.module(lambda _, x: tf.where(x > 2.0, x, -float("inf")))
    return trace.convert_saved(module)


def _in_difference(reading: Reading, first: Mapping[str, Any]) -> Finding | None:
    """Say that this is why a file parts from its model; ``None`` if it is not.

    ``first`` is what parts, as ``locate`` has it: it holds the largest number of its dtype as a
    constant, where the model has infinity or what comes of it.
    """
    if not first.get("clamped"):
        return None
    message = (
        f"{reading.capital_subject} has an infinity that is known before it runs (a mask of -inf, "
        "the maximum of nothing): the converter of TensorFlow 2.21 writes it as the largest "
        "number of its dtype, ±3.4028235e38 for float32."
    )
    fix = FINITE
    if first.get("op") not in _CUT:
        fix = code.convert_with(reading.graph, reading.signature, SETTING)
    return FAMILY.finding("error", (), message, fix)


FAMILY = Family(
    id="clamped-infinity",
    order=156,
    what="It converts, and the file has 3.4028235e38 where the model has infinity.",
    cause=(
        "The converter writes an infinite constant, or what it has computed itself (the maximum of"
        " nothing), as the largest number of its dtype."
    ),
    fix=f"Let the converter leave infinities as they are, and compare.\n\n{SETTING}",
    cases=(infinite_constant,),
    difference_rule=_in_difference,
    repair_step="keep-infinities",
    of_variables=False,
    answers_wrongly=True,
)
