"""Hold the variables that a signature captured, and save the model again.

``tf.saved_model.save`` writes a Keras 3 variable twice, once as the Keras object and once as the
variable inside it, and the converter initializes the wrong copy. ``tf.saved_model.load`` goes by
the object graph, and gives each function the right one. So the model is loaded, the variables that
the signature captured are held by a module of their own, as plain variables, and that is saved.

This module runs inside a child process, where TensorFlow is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from varhandle.errors import InternalError
from varhandle.formats.base import LoadedModel
from varhandle.formats.custom_code import Import
from varhandle.formats.saved_model import load_old_optimizers
from varhandle.graph import Signature, TensorSpec

CALL = "__call__"
DEFAULT = "serving_default"


class Entry(NamedTuple):
    """A way into a loaded SavedModel: a signature, or its ``__call__`` as ``serving_default``."""

    name: str
    function: Any  # the concrete function
    owner: Any  # the loaded model, which must live as long as the function is used


class NoEntryError(InternalError, ValueError):
    """A SavedModel has no signature of that name, nor a call that could stand in for one."""


def entries_of(source: str, signatures: Sequence[str]) -> list[Entry]:
    """Load a SavedModel, and find the functions to convert; ``__call__`` stands for its own call.

    ``NoEntryError`` if there is none of such a name.
    """
    import tensorflow as tf

    load_old_optimizers()
    loaded = tf.saved_model.load(source)
    return [_entry(loaded, signature) for signature in signatures]


def _entry(loaded: Any, signature: str) -> Entry:
    if signature in loaded.signatures:
        return Entry(signature, loaded.signatures[signature], loaded)
    if signature != CALL:
        raise NoEntryError(f"no signature {signature}; there are: {', '.join(loaded.signatures)}")
    found = getattr(getattr(loaded, CALL, None), "concrete_functions", [])
    if len(found) != 1:
        raise NoEntryError(
            f"the model has no signature, and {len(found)} traces of a call to choose from"
        )
    return Entry(DEFAULT, found[0], loaded)


def call_of(source: str) -> Signature:
    """Describe the call of a SavedModel that has no signature; of its outputs, the names alone.

    ``NoEntryError`` if it has no call, or several traces of one.
    """
    (entry,) = entries_of(source, [CALL])
    inputs = [
        TensorSpec(
            name, spec.dtype.name, None if spec.shape.rank is None else tuple(spec.shape.as_list())
        )
        for name, spec in input_specs(entry.function).items()
    ]
    outputs = named_outputs(entry.function.structured_outputs)
    named = [TensorSpec(name, "", None) for name in outputs]
    return Signature(DEFAULT, "", tuple(inputs), tuple(named))


def load_call(source: str) -> LoadedModel:
    """Load a SavedModel as its own call; ``NoEntryError`` if it has none, or several traces."""
    import tensorflow as tf

    (entry,) = entries_of(source, [CALL])
    specs = input_specs(entry.function)

    def answer(call: Mapping[str, Any], _: str | None = None) -> Mapping[str, Any]:
        tensors = [tf.constant(call[name], spec.dtype) for name, spec in specs.items()]
        return named_outputs(_called(entry.function, tensors, specs))

    return answer


def input_specs(function: Any) -> dict[str, Any]:
    """Return the inputs of a concrete function, by name."""
    import tensorflow as tf

    arguments, keywords = function.structured_input_signature
    flat = tf.nest.flatten((arguments, keywords))
    specs = {}
    for number, spec in enumerate(s for s in flat if isinstance(s, tf.TensorSpec)):
        name = spec.name or f"input_{number}"
        specs[name] = tf.TensorSpec(spec.shape, spec.dtype, name=name)
    return specs


def named_outputs(structured: Any) -> dict[str, Any]:
    """Name the outputs of a function as ``tf.saved_model.save`` does (``output_0`` …)."""
    import tensorflow as tf

    if isinstance(structured, dict):
        return structured
    return {f"output_{n}": value for n, value in enumerate(tf.nest.flatten(structured))}


def save_tracked(source: str, target: str, signatures: Sequence[str]) -> None:
    """Write a SavedModel whose module holds what its signatures captured.

    ``NoEntryError`` if there is no such way into the model.
    """
    import tensorflow as tf

    entries = entries_of(source, signatures)
    module = tf.Module()
    held = {id(v): v for entry in entries for v in entry.function.graph.variables}
    module.held = list(held.values())
    module.calls = [_call(tf, entry.function) for entry in entries]
    traced = {
        entry.name: call.get_concrete_function(**input_specs(entry.function))
        for entry, call in zip(entries, module.calls, strict=True)
    }
    tf.saved_model.save(module, target, signatures=traced)


def _call(tf: Any, function: Any) -> Any:
    specs = input_specs(function)

    @tf.function(autograph=False)
    def call(**inputs: Any) -> dict[str, Any]:
        return named_outputs(_called(function, [inputs[name] for name in specs], specs))

    return call


def export_keras(
    source: str,
    target: str,
    trust: bool,
    imports: Sequence[Import],
    *,
    float32: bool = False,
    shapes: Mapping[str, Sequence[int | None]] | None = None,
) -> bool:
    """Write a Keras file as a SavedModel, by the model's own ``export``.

    With ``float32``, a model of half precision is loaded in float32 instead. ``shapes`` are those
    of the inputs, by name, instead of the model's; what they do not name gets a batch of 1. Whether
    they were taken is returned: a model that does not tell its inputs is exported as it is.

    ``ValueError``, with Keras's own message, if it cannot load or export it.
    """
    import tensorflow as tf

    from varhandle.formats.keras_loader import load_keras

    model = load_keras(source, trust, imports, float32)
    # Left to itself, export opens the batch, which a layer with a state of a fixed size refuses.
    inputs = getattr(model, "inputs", None) or ()  # a class of its author's tells none
    sizes = {one.name: one.shape for one in inputs}
    if shapes is not None:
        sizes = {name: shapes.get(name, batch_of_one(shape)) for name, shape in sizes.items()}
    specs: Any = [tf.TensorSpec(sizes[one.name], one.dtype, one.name) for one in inputs]
    if type(model).__module__.startswith("tf_keras"):
        model.export(target)
        return False
    signature = (specs if len(specs) == 1 else [specs]) if specs else None
    model.export(target, verbose=False, input_signature=signature)
    return signature is not None


def batch_of_one(shape: Any) -> Any:
    """Close the first size of a shape, if it is open; the others stay as they are."""
    if shape is None or getattr(shape, "rank", 0) is None:
        return shape
    sizes = list(shape)
    return [1, *sizes[1:]] if sizes and sizes[0] is None else sizes


def _called(function: Any, tensors: list[Any], specs: dict[str, Any]) -> Any:
    """Call a concrete function, whose arguments go by position or by name."""
    arguments, keywords = function.structured_input_signature
    if keywords and not arguments:
        return function(**dict(zip(specs, tensors, strict=True)))
    return function(*tensors)
