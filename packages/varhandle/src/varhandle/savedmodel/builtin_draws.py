"""Draw with the builtins of a .tflite file in the place of TensorFlow's random ops.

The builtins draw without a seed, standard normal or uniform numbers. The other distributions are
made of these: the same distribution, and other numbers. A draw whose seed and shape never change
always gives the same numbers, and becomes a constant.

This module runs inside a child process, where TensorFlow is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from varhandle.facts.random_ops import drawn_from, is_generator
from varhandle.graph.model import closure
from varhandle.savedmodel.functional_updates import CannotRewriteError

_BOUND = 2.0  # where TensorFlow cuts a truncated normal off
_REDRAWS = 8  # of what lies outside, 4.6 % each time: one number in 50 thousand million is left


class Draws:
    """Draws, in the function that is being traced; if ``held``, always the same number."""

    def __init__(self, tf: Any, held: bool) -> None:
        self._tf = tf
        self._held = held
        self._seeds: list[Any] = []

    def numbers_behind(self, values: Sequence[Any]) -> set[int]:
        """Return the positions of those values of which seeds were made."""
        return numbers_behind(self._seeds, values)

    def drawn(self, operation: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        """Return what stands for the outputs of a random op; ``CannotRewriteError`` if nothing."""
        self._seeds.extend(inputs)
        constants = self._constants(operation, inputs)
        if constants is not None:
            return constants
        if is_generator(operation.type):
            return self._no_keys(operation)
        given = dict(zip((a.name for a in operation.op_def.input_arg), inputs, strict=True))
        draw = _DRAWS.get(drawn_from(operation.type))
        if draw is None:
            raise CannotRewriteError(f"{operation.type} draws what no builtin op does")
        value = draw(self._tf, given, self._uniform, self._normal)
        wanted = operation.outputs[0].dtype
        return (value if value.dtype == wanted else self._tf.cast(value, wanted),)

    def _no_keys(self, operation: Any) -> Sequence[Any]:
        """Return zeros for keys that only a draw takes, which has no use for them.

        Whoever looks for constants must not take them for such.
        """
        shapes = (
            [size or 1 for size in t.shape] if t.shape.rank else [] for t in operation.outputs
        )
        return [
            self._tf.raw_ops.PlaceholderWithDefault(
                input=self._tf.zeros(shape, t.dtype), shape=shape
            )
            for shape, t in zip(shapes, operation.outputs, strict=True)
        ]

    def _constants(self, operation: Any, inputs: Sequence[Any]) -> Sequence[Any] | None:
        """Return what an op with a constant seed always gives; ``None`` for any other."""
        if not operation.type.startswith("Stateless"):
            return None
        known = [self._tf.get_static_value(value) for value in inputs]
        if any(value is None for value in known):
            return None
        raw = getattr(self._tf.raw_ops, operation.type)
        takes = inspect.signature(raw).parameters
        given = {a.name: operation.get_attr(a.name) for a in operation.op_def.attr}
        names = [a.name for a in operation.op_def.input_arg]
        with self._tf.init_scope():
            eager = (self._tf.constant(value) for value in known)
            given.update(zip(names, eager, strict=True))
            values = raw(**{name: value for name, value in given.items() if name in takes})
            values = [value.numpy() for value in self._tf.nest.flatten(values)]
        return [self._tf.constant(value) for value in values]

    def _uniform(self, shape: Any) -> Any:
        shape = self._tf.cast(shape, self._tf.int32)
        return self._tf.fill(shape, 0.5) if self._held else self._tf.random.uniform(shape)

    def _normal(self, shape: Any) -> Any:
        shape = self._tf.cast(shape, self._tf.int32)
        return self._tf.fill(shape, 0.25) if self._held else self._tf.random.normal(shape)


_Draw = Callable[[Any], Any]


def _integers(tf: Any, given: Mapping[str, Any], uniform: _Draw, _: _Draw) -> Any:
    lowest, size = given["minval"], tf.cast(given["maxval"] - given["minval"], tf.float32)
    number = tf.minimum(tf.floor(uniform(given["shape"]) * size), size - 1.0)
    return tf.cast(number, lowest.dtype) + lowest


def _truncated(tf: Any, given: Mapping[str, Any], _: _Draw, normal: _Draw) -> Any:
    value = normal(given["shape"])
    for _again in range(_REDRAWS):
        value = tf.where(tf.abs(value) > _BOUND, normal(given["shape"]), value)
    return tf.clip_by_value(value, -_BOUND, _BOUND)


def _shuffled(tf: Any, given: Mapping[str, Any], uniform: _Draw, _: _Draw) -> Any:
    size = tf.shape(given["value"])[0]
    order = tf.math.top_k(uniform(size[None]), size).indices
    return tf.gather(given["value"], order)


def _chosen(tf: Any, given: Mapping[str, Any], uniform: _Draw, _: _Draw) -> Any:
    """Draw classes: the largest of the logits plus noise of Gumbel's is such a draw."""
    logits = tf.cast(given["logits"], tf.float32)
    shape = tf.stack([tf.shape(logits)[0], given["num_samples"], tf.shape(logits)[1]])
    noise = -tf.math.log(-tf.math.log(tf.clip_by_value(uniform(shape), 1e-20, 1.0 - 1e-7)))
    return tf.argmax(logits[:, None, :] + noise, -1)


_DRAWS: Mapping[str, Callable[[Any, Mapping[str, Any], _Draw, _Draw], Any]] = {
    "Uniform": lambda _, given, uniform, __: uniform(given["shape"]),
    "Normal": lambda _, given, __, normal: normal(given["shape"]),
    "UniformInt": _integers,
    "TruncatedNormal": _truncated,
    "Multinomial": _chosen,
    "Shuffle": _shuffled,
}


def numbers_behind(tensors: Sequence[Any], values: Sequence[Any]) -> set[int]:
    """Return the positions of those values of which tensors of a traced function are made.

    What a branch takes from outside is followed; what a loop passes on is not.
    """

    def key(tensor: Any) -> tuple[int, str]:
        return id(tensor.graph), tensor.name

    def before(one: tuple[int, str]) -> list[tuple[int, str]]:
        tensor = known[one]
        sources = list(tensor.op.inputs)
        if tensor.op.type == "Placeholder":
            captures = getattr(tensor.graph, "captures", ())
            sources = [outer for outer, inner in captures if inner.name == tensor.name]
        known.update({key(source): source for source in sources if _is_symbolic(source)})
        return [key(source) for source in sources if _is_symbolic(source)]

    known = {key(tensor): tensor for tensor in tensors if _is_symbolic(tensor)}
    found = closure(list(known), before)
    return {number for number, value in enumerate(values) if key(value) in found}


def _is_symbolic(tensor: Any) -> bool:
    """Tell whether it is a tensor of a graph, and neither a value nor a handle."""
    return hasattr(tensor, "graph") and not hasattr(tensor, "numpy")
