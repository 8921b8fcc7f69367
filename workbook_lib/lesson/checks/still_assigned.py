"""Checks of lesson 22."""

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

_COLLECTION = (list, tuple, set, frozenset)


def _traced(function: Callable[..., Any], shape: list[int | None]) -> Any:
    traced = tf.function(function, autograph=False).get_concrete_function(tf.TensorSpec(shape))
    traced.owner = function  # a concrete function does not keep its variables alive
    return traced


@exercise("still_assigned/assigning-nodes")
def assigning_nodes(function: Any) -> str:
    """Name the nodes of a concrete function whose op has `Assign` in its name.

    1. The nodes are in `function.graph.as_graph_def().node`. Each has a name, and an op that says
       what the node does.
    2. Several ops assign: `AssignVariableOp`, `AssignAddVariableOp`, `AssignSubVariableOp`,
       `ResourceStridedSliceAssign`. What have their names in common?
    3. Ask each node whether its *op* holds that word, and keep its *name* if so.
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
    if answer and not any(isinstance(name, str) for name in answer):
        raise Wrong("Return names, which are text, and not the nodes themselves.")
    given = set(map(str, answer))
    op_of = {node.name: node.op for node in nodes}
    if given and given <= set(op_of.values()) and not given <= set(op_of):
        raise Wrong("These are ops. The list is to hold the *names* of the nodes that have them.")
    strange = given - set(expected)
    extra = sorted({op_of.get(name, "?") for name in strange})
    if extra == ["Placeholder"] and all("Assign" in name for name in strange):
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


@exercise("still_assigned/serving-function")
def serving_function(function: Any) -> str:
    """Write a function of the model that can be frozen, and answers as on a device.

    1. The layers ask one argument of the call in which mode they are. The lesson tried what each of
       its values does.
    2. What you give `get_concrete_function` besides the spec goes to the call of the model. A
       function of your own can hand it on as well.
    3. `tf.TensorSpec([None, 4])` leaves the batch open. Which `training` is to stand beside it?
    """
    layers = keras.layers
    open_mode = _model(layers.BatchNormalization(name="normalize"))
    _judge_serving(function, open_mode)
    built_in = _model(layers.BatchNormalization(name="normalize"), training=True)
    try:
        _judge_serving(function, built_in)
    except Wrong as error:
        raise Wrong(
            "For the first model it is right: outside `fit`, inference is the default. In the "
            f"second, the normalization was built with `training=True`. {error}"
        ) from error
    return (
        "In inference mode nothing is assigned: the moving statistics are read as weights are, "
        "and Dropout, which keeps the state of a random generator, is gone."
    )


def _judge_serving(function: Any, model: Any) -> None:
    x = tf.constant(np.random.default_rng(7).random((3, 4), np.float32))
    expected = model(x, training=False).numpy()  # before the learner's function can change it
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
        places = {re.sub(r"(_\d+)+$", "", (name.split("/")[-2:])[0]) for name, _ in error.nodes}
        nodes = "1 node" if len(error.nodes) == 1 else f"{len(error.nodes)} nodes"
        raise Wrong(
            f"It still assigns at {nodes}, in {' and '.join(sorted(places))}. In which mode does "
            "your function call the model?"
        ) from error
    shapes = [str(tensor.shape) for tensor in given.inputs if tensor.dtype != tf.resource]
    if shapes != ["(None, 4)"]:
        raise Wrong(
            f"It freezes, but takes inputs of the shape {' and '.join(shapes) or 'none'}. The "
            "task asks for one of `[None, 4]`, so that a batch of any size fits."
        )
    answers = tf.nest.flatten(frozen.function(x))[0]
    if answers.shape != expected.shape or not np.allclose(answers, expected, atol=1e-5):
        raise Wrong(
            "It freezes, and answers something else than the model does in inference. Does it "
            "call the whole model that it is given?"
        )


def _model(normalize: Any, training: bool | None = None) -> Any:
    """Return a model with a normalization, of a mode or of none, and a Dropout."""
    x = keras.Input([4], name="x")
    hidden = normalize(keras.layers.Dense(3, name="dense")(x), training=training)
    answer = keras.layers.Dropout(0.5, seed=1, name="drop")(hidden)
    normalize.moving_mean.assign([1.0, 2.0, 3.0])
    normalize.moving_variance.assign([4.0, 1.0, 0.25])
    return keras.Model(x, answer, name="check")
