"""Checks of lesson 21."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt, same
from workbook_lib.samples import load_classifier


@exercise("freeze/constant-bytes")
def constant_bytes(function: Any) -> str:
    """Return how many bytes the constants of a concrete function take.

    1. `constants(function)` gives you a list of arrays. What do you want to know of each?
    2. An array knows how many bytes its values take: look through its attributes.
    3. The attribute is `nbytes`. Add it up over the arrays.
    """
    traced = _traced(*_mixed_constants())
    for name, given in (
        ("as it was traced", traced),
        ("frozen", convert_variables_to_constants_v2(traced)),
    ):
        _judge_bytes(attempt(function, given), given, name)

    classifier = load_classifier()
    traced = _traced(classifier, [None, 8, 8, 1])
    frozen = convert_variables_to_constants_v2(traced)
    gained = _whole(attempt(function, frozen)) - _whole(attempt(function, traced))
    weights = classifier.count_params()
    if gained != weights * 4:
        raise Wrong(
            f"On a classifier of handwritten digits the difference is {gained} bytes. It has "
            f"{weights} weights, and each is a float32. Does your function look at the one that it "
            "is given?"
        )
    return (
        f"Freezing a classifier of handwritten digits adds {gained:,} bytes of constants: "
        f"{weights:,} weights, 4 bytes each."
    )


def _judge_bytes(answer: object, function: Any, name: str) -> None:
    answer = _whole(answer)
    nodes = [node for node in function.graph.as_graph_def().node if node.op == "Const"]
    values = [tf.make_ndarray(node.attr["value"].tensor) for node in nodes]
    expected = sum(value.nbytes for value in values)
    if same(answer, expected):
        return
    if same(answer, sum(value.size for value in values)):
        raise Wrong("This counts the values. How many bytes one takes depends on its dtype.")
    if same(answer, 4 * sum(value.size for value in values)):
        raise Wrong("This takes four bytes for every value. The check's function has other dtypes.")
    if same(answer, len(values)):
        raise Wrong("This counts the nodes. A node may hold one value or ten thousand.")
    if same(answer, sum(node.ByteSize() for node in nodes)):
        raise Wrong("This weighs the whole node, its name included. Weigh the value in it alone.")
    if same(answer, sum(node.attr["value"].tensor.ByteSize() for node in nodes)):
        raise Wrong(
            "This weighs the message that holds the value, its dtype and shape included. How many "
            "bytes does the array take that `tf.make_ndarray` makes of it?"
        )
    if same(answer, function.graph.as_graph_def().ByteSize()):
        raise Wrong("This weighs the whole graph. Weigh the values of its constants alone.")
    if same(answer, sum(len(node.attr["value"].tensor.tensor_content) for node in nodes)):
        raise Wrong(
            "This misses values that are stored in short form: a constant full of zeros has no "
            "`tensor_content`. Which function makes an array of either form?"
        )
    raise Wrong(
        f"For the check's own small function, {name}, it returns {answer}; its {len(values)} "
        f"constants take {expected} bytes. Does yours look at the function that "
        "it is given, and which nodes does it leave out or add?"
    )


def _whole(answer: Any) -> int:
    """Return a whole number as one, whether it is Python's, NumPy's or a tensor."""
    answer = answer.numpy() if isinstance(answer, tf.Tensor) else answer
    if isinstance(answer, float) and answer.is_integer():
        return int(answer)
    if isinstance(answer, bool) or not hasattr(answer, "__index__") or np.ndim(answer):
        raise Wrong(f"Return one whole number. This is of type `{type(answer).__name__}`.")
    return int(answer)


def _mixed_constants() -> tuple[Any, list[int | None]]:
    """Return a function with constants of several dtypes, one of them stored in short form."""
    weight = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    half = tf.Variable(tf.constant([0.5, 0.25], tf.float16))

    def mixed(x: Any) -> Any:
        offset = tf.constant([0.0] * 9)
        total = tf.reduce_sum(x @ weight) * 3.0 - tf.cast(tf.constant(5, tf.int64), tf.float32)
        return total + tf.cast(tf.reduce_sum(half), tf.float32) + offset

    return mixed, [None, 3]


def _traced(function: Any, shape: list[int | None]) -> Any:
    traced = tf.function(function, autograph=False).get_concrete_function(tf.TensorSpec(shape))
    traced.owner = function  # a concrete function does not keep its variables alive
    return traced
