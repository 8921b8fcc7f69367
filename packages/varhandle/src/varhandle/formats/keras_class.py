"""Keras models that the converter cannot call: around them goes one with a list of inputs.

A functional model knows its inputs. A class of its author's tells them by its code alone; its file
has the shapes of the call that built it, at best, and says nothing of dtypes. Of a dictionary, the
converter and ``Model.export`` lose the order.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from varhandle.display import join_names, without_color
from varhandle.errors import VarhandleError
from varhandle.graph import TensorSpec

_DTYPES = ("float32", "int32", "string")
_MOST_INPUTS = 3
"""Of so many inputs every combination of dtypes is tried; more are taken to be alike."""

_LONGEST_CAUSE = 200


class UnknownInputsError(VarhandleError, ValueError):
    """A model cannot be called with what its file says; the message is what its author can do."""


def specs_of(build_config: Any, *, open_batch: bool = True) -> dict[str, Any]:
    """Return what a model was built with, by argument: a ``TensorSpec``, or lists and dicts of it.

    A single argument has no name (``inputs``); the dtype is always float32. Empty where the config
    does not say.
    """
    config = build_config if isinstance(build_config, Mapping) else {}
    shapes = config.get("shapes_dict", {"inputs": config.get("input_shape")})
    try:
        names = {str(key).removesuffix("_shape"): shape for key, shape in shapes.items()}
        return {name: _specs(name, shape, open_batch) for name, shape in names.items()}
    except (AttributeError, TypeError):  # a config of the class's own
        return {}


def _specs(name: str, shape: Any, open_batch: bool) -> Any:
    if isinstance(shape, Mapping):
        return {key: _specs(str(key), inner, open_batch) for key, inner in shape.items()}
    if all(size is None or isinstance(size, int) for size in shape):
        batch = [None] if open_batch else []
        return TensorSpec(name, "float32", (*batch, *shape[len(batch) :])[: len(shape)])
    return [_specs(f"{name}_{number}", inner, open_batch) for number, inner in enumerate(shape)]


def flat_specs(specs: Any) -> Iterator[TensorSpec]:
    """Yield the inputs in a structure of them."""
    if isinstance(specs, TensorSpec):
        yield specs
    else:
        for inner in specs.values() if isinstance(specs, Mapping) else specs:
            yield from flat_specs(inner)


def with_inputs(model: Any) -> Any:
    """Return a functional model that calls this one in inference, in a child process.

    Raises:
        UnknownInputsError: No call with what the file says works.
    """
    config, cause = model.get_build_config() or {}, ""
    call = partial(_calling, model, by_name="shapes_dict" in config)
    # An open batch comes first, and is refused where a state has room for one batch alone.
    for specs in (specs_of(config), specs_of(config, open_batch=False)):
        for dtypes in _combinations(len(list(flat_specs(specs)))):
            try:
                made = call(specs, dtypes)
                told = _dtypes_told(made, dtypes)
                return made if told == dtypes else call(specs, told)
            except Exception as error:  # whatever the author's code raises
                cause = cause or " ".join(without_color(str(error)).split())[:_LONGEST_CAUSE]
    raise UnknownInputsError(_next_step(model, cause))


def with_keys(model: Any) -> Any:
    """Return a functional model that calls one that takes a dictionary, in a child process."""
    specs = {key: TensorSpec(key, one.dtype, one.shape) for key, one in model.input.items()}
    return _calling(model, {"inputs": specs}, [one.dtype for one in specs.values()])


def _combinations(count: int) -> Iterator[tuple[str, ...]]:
    if count > _MOST_INPUTS:
        yield from ((dtype,) * count for dtype in _DTYPES)
    elif count:
        yield from itertools.product(_DTYPES, repeat=count)


def _calling(model: Any, specs: Any, dtypes: Sequence[str], by_name: bool = False) -> Any:
    import keras

    inputs = {
        one.name: keras.Input(batch_shape=one.shape, dtype=dtype, name=one.name)
        for one, dtype in zip(flat_specs(specs), dtypes, strict=True)
    }
    given = keras.tree.map_structure(lambda one: inputs[one.name], specs)
    outputs = model(**given, training=False) if by_name else model(*given.values(), training=False)
    return keras.Model(list(inputs.values()), outputs, name=model.name)


def _dtypes_told(model: Any, dtypes: tuple[str, ...]) -> tuple[str, ...]:
    """Put another dtype where a model does nothing with an input but make it one, as an index."""
    import tensorflow as tf

    specs = [tf.TensorSpec(one.shape, one.dtype) for one in model.inputs]
    traced = tf.function(lambda *inputs: model(list(inputs))).get_concrete_function(*specs)
    told = list(dtypes)
    for number, tensor in enumerate(traced.inputs[: len(specs)]):
        uses = {_made_of_it(op) for op in tensor.consumers() if op.type != "Shape"}
        if len(uses) == 1:
            told[number] = uses.pop() or dtypes[number]
    return tuple(told)


def _made_of_it(op: Any) -> str:
    made = op.get_attr("DstT") if op.type == "Cast" else None
    if made is None or not (made.is_integer or made.name == "string"):
        return ""
    return "int32" if made.is_integer else "string"


def _next_step(model: Any, cause: str) -> str:
    named = inspect.signature(model.call).parameters.values()
    needed = [
        one.name
        for one in named
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
        and one.default is one.empty
        and one.name not in {"training", "mask"}
    ]
    names = ", ".join(needed) or "inputs"
    fault = f" (a call with the shapes that it tells: {cause})" if cause else ""
    return (
        f"the file does not say what {type(model).__name__} is called with{fault}; in the program "
        f"that has the model, with {join_names(needed)} as an example: model({names}); "
        "import tensorflow as tf; "
        "specs = tf.nest.map_structure(lambda one: tf.TensorSpec(one.shape, one.dtype), "
        f'[{names}]); model.export("exported", input_signature=specs)'
        "; and then varhandle cure exported model.tflite"
    )
