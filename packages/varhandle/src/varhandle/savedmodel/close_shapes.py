"""Give the inputs of a SavedModel's signatures sizes, where the converter needs them.

A call with a batch of 1 is not enough: a recurrent layer keeps its tensors in lists, and the shape
of their elements is a constant of the graph, with -1 in the place of the batch. So these constants
are closed too, in a copy. What comes of it is compared with the model as it was.

This module runs inside a child process, where TensorFlow is.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from varhandle.formats.custom_code import Import
from varhandle.savedmodel.resave_tracked import batch_of_one, entries_of, export_keras, input_specs

Sizes = Mapping[str, Sequence[int | None]]
"""Input name to its shape, ``None`` for what stays open."""


def close_signatures(source: str, target: str, shapes: Mapping[str, Sizes]) -> None:
    """Write a SavedModel whose signatures, by name, take inputs of these shapes and no others.

    What ``shapes`` does not name gets a batch of 1. ``NoEntryError`` if there is no such signature.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory(prefix="closed-") as folder:
        copy = Path(folder, "model")
        for file in (path for path in Path(source).rglob("*") if path.is_file()):
            (copy / file.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy / file.relative_to(source))  # a locked child sets no modes
        batches = {shape[0] for sizes in shapes.values() for shape in sizes.values() if shape}
        if len(batches) < 2 and None not in batches:
            _close_lists(copy / "saved_model.pb", next(iter(batches), 1) or 1)
        module = tf.Module()
        entries = entries_of(str(copy), list(shapes))
        module.owner, module.calls, traced = entries[0].owner, [], {}
        for entry in entries:
            call = _calling(tf, entry.function)
            module.calls.append(call)
            specs = {
                name: tf.TensorSpec(
                    shapes[entry.name].get(name, batch_of_one(spec.shape)), spec.dtype, name
                )
                for name, spec in input_specs(entry.function).items()
            }
            traced[entry.name] = call.get_concrete_function(**specs)
        tf.saved_model.save(module, target, signatures=traced)


def export_closed(
    source: str,
    target: str,
    shapes: Mapping[str, Sizes],
    loading: tuple[bool, Sequence[Import], bool],
) -> None:
    """Write a Keras file as a SavedModel whose inputs have these shapes.

    What ``shapes`` does not name gets a batch of 1. ``loading`` are trust, imports and whether it
    is loaded in float32, as ``export_keras`` takes them. Traced with the shapes, its layers tell
    more than an open graph: that one is closed where the model does not tell its inputs.
    """
    (sizes,) = shapes.values()
    open_one = f"{target}-open"
    trust, imports, float32 = loading
    if export_keras(source, open_one, trust, imports, float32=float32, shapes=sizes):
        Path(open_one).rename(target)
    else:
        close_signatures(open_one, target, shapes)


def _calling(tf: Any, function: Any) -> Any:
    @tf.function(autograph=False)
    def call(**inputs: Any) -> Any:
        return function(**inputs)

    return call


def _close_lists(file: Path, batch: int) -> None:
    """Put the batch in the place of -1 where the elements of a list of tensors begin with it."""
    import tensorflow as tf
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    model = SavedModel.FromString(file.read_bytes())
    for meta in model.meta_graphs:
        for function in meta.graph_def.library.function:
            # By this mark of Keras 2 the converter knows an LSTM, and makes one op of it, which
            # carries its state from call to call.
            function.attr.pop("api_implements", None)
        for nodes in (meta.graph_def.node, *(f.node_def for f in meta.graph_def.library.function)):
            by_name = {node.name: node for node in nodes}
            for node in nodes:
                place = _element_shape(node.op)
                source = by_name.get(node.input[place].split(":")[0]) if place is not None else None
                if source is None or source.op != "Const":
                    continue
                shape = tf.make_ndarray(source.attr["value"].tensor)
                if shape.ndim == 1 and list(shape < 0) == [True] + [False] * (len(shape) - 1):
                    closed = tf.constant([batch, *shape[1:]], shape.dtype)
                    source.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(closed))
    file.write_bytes(model.SerializeToString())


def _element_shape(op: str) -> int | None:
    """Return which input of an op on lists is the shape of their elements."""
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(op) if "TensorList" in op else None
    names = [argument.name for argument in definition.input_arg] if definition else []
    return names.index("element_shape") if "element_shape" in names else None
