"""Checks of lesson 15."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import LearnerRaised, Wrong, attempt


class _Several(tf.Module):
    """Uses its variables in every way that the exercise names."""

    def __init__(self) -> None:
        self.weight = tf.Variable(tf.ones([4]), name="weight")
        self.bias = tf.Variable(tf.zeros([4]), name="bias")
        self.total = tf.Variable(tf.zeros([4]), name="total")
        self.left = tf.Variable(10, name="left")
        self.seen = tf.Variable(tf.zeros([4]), name="seen")
        self.AssignedNever = tf.Variable(1.0, name="AssignedNever")

    @tf.function(input_signature=[tf.TensorSpec([4])])
    def train(self, x: Any) -> Any:
        """Assign, add, subtract, and assign a part."""
        self.left.assign_sub(1)
        self.seen[:2].assign(x[:2])
        self.bias.assign(x)
        return self.total.assign_add(self.weight * x * self.AssignedNever)

    @tf.function(input_signature=[tf.TensorSpec([4])])
    def answer(self, x: Any) -> Any:
        """Read only."""
        return self.weight * x + self.bias + self.total

    @tf.function(input_signature=[])
    def reset(self) -> Any:
        """Read one, assign another."""
        return self.bias.assign(2 * self.weight)


_ASSIGNED = {
    "answer": set(),
    "reset": {"bias"},
    "train": {"left", "seen", "bias", "total"},
}


@exercise("whose_variable_is_it/assigned-by")
def assigned_by(function: object, step: Any) -> str:
    """Return the set of names of the variables that a function assigns.

    1. `argument.consumers()` gives the ops that take the handle. Look at all of them: `total` has
       two.
    2. The type of an op is text, `op.type`, and `"Assign" in text` looks for it anywhere.
    3. `any(… for op in ops)` says whether something holds for one of the ops or more.
    """
    _judge(attempt(function, step), {"total", "calls"}, {"gain", "total", "calls"}, "step")
    module = _Several()
    known = {variable.name.removesuffix(":0") for variable in module.variables}
    for name, expected in _ASSIGNED.items():
        concrete = getattr(module, name).get_concrete_function()
        try:
            _judge(attempt(function, concrete), expected, known, name)
        except (Wrong, LearnerRaised) as verdict:
            raise type(verdict)(
                f"Right for `step`, and not for another function. {verdict}"
            ) from None
    return (
        "What is in this set stays a variable in the file, if you convert this function. Other "
        "models assign by a ResourceScatter op as well."
    )


def _judge(answer: Any, expected: set[str], known: set[str], which: str) -> None:
    names = _names(answer)
    for name in sorted(names - expected):
        if name not in known:
            raise Wrong(f"You name `{name}`, which is no variable. Give the names of variables.")
        raise Wrong(f"You name `{name}`, and `{which}` does not assign it. Which ops take it?")
    if expected and not names:
        raise Wrong(f"You find nothing, and `{which}` does assign. Print the types of the ops.")
    if missing := sorted(expected - names):
        raise Wrong(
            f"You miss `{missing[0]}`. There are several ops that assign. What have their types in "
            "common?"
        )


def _names(answer: Any) -> set[str]:
    if isinstance(answer, (str, Mapping)) or not isinstance(answer, Iterable):
        raise Wrong(f"Return a set of names. This is of type `{type(answer).__name__}`.")
    values = list(answer)
    if any(isinstance(value, tf.Variable) for value in values):
        raise Wrong("You return the variables themselves. The question is for their names.")
    if any(not isinstance(value, str) for value in values):
        raise Wrong("Return the names of the variables, as text.")
    return {value.removesuffix(":0") for value in values}
