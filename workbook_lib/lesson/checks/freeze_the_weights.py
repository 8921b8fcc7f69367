"""Checks of notebook 03."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from varhandle.conversion.freezing import FrozenButAssignedError, FrozenGraph, freeze
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt, expect, same
from workbook_lib.samples import load_classifier

_COLLECTION = (list, tuple, set, frozenset)


@exercise("freeze/constant-bytes")
def constant_bytes(function: Any) -> str:
    """Return how many bytes the constants of a concrete function take.

    1. Loop over `function.graph.as_graph_def().node`, and look at each `node.op`.
    2. An array knows how many bytes its values take: look at its attributes.
    3. Add up `tf.make_ndarray(node.attr["value"].tensor).nbytes` over the nodes whose op is
       `Const`.
    """
    traced = _mixed_constants()
    frozen = freeze(traced).function
    for name, given in (("as it was traced", traced), ("frozen", frozen)):
        _judge_bytes(attempt(function, given), given, name)

    classifier = load_classifier()
    traced = _traced(classifier, [None, 8, 8, 1])
    gained = attempt(function, freeze(traced).function) - attempt(function, traced)
    weights = classifier.count_params()
    if gained != weights * 4:
        raise Wrong(
            f"On the digits classifier the difference is {gained} bytes. It has {weights} weights, "
            "and each is a float32. Does your function look at the one that it is given?"
        )
    return (
        f"Freezing the digits classifier adds {gained:,} bytes of constants: {weights:,} weights, "
        "4 bytes each."
    )


def _judge_bytes(answer: object, function: Any, name: str) -> None:
    if isinstance(answer, bool) or not hasattr(answer, "__index__"):
        raise Wrong(f"Return one whole number. This is of type `{type(answer).__name__}`.")
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
    if same(answer, sum(len(node.attr["value"].tensor.tensor_content) for node in nodes)):
        raise Wrong(
            "This misses values that are stored in short form: a constant full of zeros has no "
            "`tensor_content`. Which function makes an array of either form?"
        )
    raise Wrong(
        f"For the check's own small function, {name}, it returns {answer}; its {len(values)} "
        f"constants take {expected} bytes. Which nodes does yours leave out or add?"
    )


def _mixed_constants() -> Any:
    """Return a function with constants of several dtypes, one of them stored in short form."""
    weight = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    half = tf.Variable(tf.constant([0.5, 0.25], tf.float16))

    def mixed(x: Any) -> Any:
        offset = tf.constant([0.0] * 7)
        return tf.reduce_sum(x @ weight) + tf.cast(tf.reduce_sum(half), tf.float32) + offset

    return _traced(mixed, [None, 3])


def _traced(function: Callable[..., Any], shape: list[int | None]) -> Any:
    traced = tf.function(function, autograph=False).get_concrete_function(tf.TensorSpec(shape))
    traced.owner = function  # a concrete function does not keep its variables alive
    return traced


@exercise("freeze/assigning-nodes")
def assigning_nodes(function: Any) -> str:
    """Name the nodes of a concrete function whose op has `Assign` in its name.

    1. Section 3 printed a graph with one such node. What is in its first column?
    2. Several ops assign: `AssignVariableOp`, `AssignAddVariableOp`, `AssignSubVariableOp`,
       `ResourceStridedSliceAssign`. What have their names in common?
    3. Loop over `function.graph.as_graph_def().node`, and keep `node.name` where `node.op` contains
       `Assign`.
    """
    traced = _reads_and_assigns()
    nodes = list(traced.graph.as_graph_def().node)
    expected = [node.name for node in nodes if "Assign" in node.op]
    _judge_names(attempt(function, traced), expected, nodes)
    weight = tf.Variable([1.0, 2.0, 3.0, 4.0], name="assigned_elsewhere")
    read_only = _traced(lambda x: weight * x + tf.gather(weight, [0, 1, 2, 3]), [4])
    answer = attempt(function, read_only)
    if not isinstance(answer, _COLLECTION) or answer:
        raise Wrong(
            "A function that only reads is to give an empty list. Yours names nodes in it: "
            f"{answer!r}."
        )
    return (
        "What a node does is in its op. An empty list is a good sign, not a proof: "
        "`ResourceScatter…`, `ResourceApply…` and ops inside called functions assign as well."
    )


def _judge_names(answer: Any, expected: list[str], nodes: list[Any]) -> None:
    expect(answer, _COLLECTION, "a list of names")
    if same(answer, set(expected)):
        return
    given = {getattr(name, "name", name) for name in answer}
    op_of = {node.name: node.op for node in nodes}
    if given and not any(isinstance(name, str) for name in answer):
        raise Wrong("Return names, which are text, and not the nodes themselves.")
    if given and given <= set(op_of.values()) and not given <= set(op_of):
        raise Wrong("These are ops. The list is to hold the *names* of the nodes that have them.")
    extra = sorted({op_of.get(str(name), "?") for name in given - set(expected)})
    if extra == ["Placeholder"]:
        raise Wrong(
            "The list holds a `Placeholder`: it has an assignment's name in its own, and assigns "
            "nothing. A name is a label. Where does a node say what it does?"
        )
    if extra:
        raise Wrong(f"The list holds nodes that assign nothing, of the op {', '.join(extra)}.")
    missing = sorted({op_of[name] for name in set(expected) - given})
    raise Wrong(
        f"The check's function assigns in {len(expected)} ways. Yours found {len(given)}, and not "
        f"those of the op {', '.join(missing)}."
    )


def _reads_and_assigns() -> Any:
    read, total, count, left, window = (
        tf.Variable(tf.zeros([4]), name=name)
        for name in ("read", "total", "count", "left", "window")
    )

    def function(x: Any) -> Any:
        total.assign(x)
        count.assign_add(x)
        left.assign_sub(x)
        window[:2].assign(x[:2])
        return x * read + tf.gather(read, [0, 1, 2, 3])

    return _traced(function, [4])


@exercise("freeze/serving-function")
def serving_function(function: Any) -> str:
    """Write a function of the model that can be frozen, and answers as on a device.

    1. The layers ask one argument of the call in which mode they are. Section 4 printed what each
       of its values does.
    2. `tf.function(model)` can be traced. What you give `get_concrete_function` besides the spec
       goes to the call of the model.
    3. Return `tf.function(model).get_concrete_function(spec, training=False)`, with
       `tf.TensorSpec([None, 4])` as the spec.
    """
    model = normalized_model(keras.layers.Dropout(0.5, seed=1, name="drop"))
    x = tf.constant(np.random.default_rng(7).random((3, 4), np.float32))
    expected = model(x, training=False).numpy()
    given = attempt(function, model)
    if isinstance(given, FrozenGraph):
        raise Wrong("Return the concrete function as it is before freezing: the check freezes it.")
    if not hasattr(given, "graph") or not hasattr(given, "captured_inputs"):
        raise Wrong(
            f"Return a concrete function. This is of type `{type(given).__name__}`; what does "
            "`get_concrete_function` of a `tf.function` need?"
        )
    try:
        frozen = freeze(given)
    except FrozenButAssignedError as error:
        layers = {re.sub(r"(_\d+)+$", "", name.split("/")[-2]) for name, _ in error.nodes}
        nodes = "1 node" if len(error.nodes) == 1 else f"{len(error.nodes)} nodes"
        raise Wrong(
            f"It still assigns at {nodes}, in {' and '.join(sorted(layers))}. In which mode does "
            "your function call the model?"
        ) from error
    shapes = [str(tensor.shape) for tensor in given.inputs if tensor.dtype != tf.resource]
    if shapes != ["(None, 4)"]:
        raise Wrong(
            f"It freezes, but takes inputs of the shape {' and '.join(shapes) or 'none'}. The "
            "task asks for one of `[None, 4]`, so that a batch of any size fits."
        )
    answers = frozen.function(x)
    answers = answers[0] if isinstance(answers, (list, tuple)) else answers
    if answers.shape != expected.shape or not np.allclose(answers, expected, atol=1e-5):
        raise Wrong(
            "It freezes, and answers something else than the model does in inference. Does it "
            "call the whole model that it is given?"
        )
    return (
        "In inference mode nothing is assigned: the moving statistics are read as weights are, "
        "and Dropout, which keeps the state of a random generator, is gone."
    )


def normalized_model(*last_layers: Any) -> Any:
    """Return a model in which two variables that are read are not trained."""
    x = keras.Input([4], name="x")
    answer = keras.layers.Dense(3, name="dense")(x)
    for layer in (keras.layers.BatchNormalization(name="normalize"), *last_layers):
        answer = layer(answer)
    model = keras.Model(x, answer, name="check")
    model.get_layer("normalize").moving_mean.assign([1.0, 2.0, 3.0])
    model.get_layer("normalize").moving_variance.assign([4.0, 1.0, 0.25])
    return model
