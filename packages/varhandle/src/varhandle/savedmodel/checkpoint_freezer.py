"""Put the values of a checkpoint into a TensorFlow 1 graph that has none.

All but ``checkpoint_beside`` runs inside a child process, where TensorFlow is.
"""

from __future__ import annotations

import contextlib
import glob
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from varhandle.errors import InternalError
from varhandle.formats.base import LoadedModel
from varhandle.formats.graph_def import GraphDef
from varhandle.formats.registry import recognized_format
from varhandle.graph import Graph

_VARIABLES = ("VarHandleOp", "VariableV2", "Variable")


class CannotFreezeError(InternalError, ValueError):
    """A graph's variables do not get their values from the checkpoint; the message says why."""


def checkpoint_beside(graph: Graph) -> Path | None:
    """Find the checkpoint in a GraphDef's folder that holds a value for every variable.

    Returns its path without ``.index``: that of the graph's own name (``model.ckpt.meta``), or else
    the only one; ``None`` where none holds them all, or more than one does.
    """
    from varhandle.formats.checkpoint import read_checkpoint

    found = []
    own = Path(graph.source).with_suffix("")
    for index in sorted(Path(graph.source).parent.glob("*.index")):
        prefix = index.with_suffix("")
        try:
            held = read_checkpoint(prefix)
        except (OSError, ValueError):
            continue
        if all(
            v.name in held and held[v.name].dtype == v.dtype and held[v.name].shape == v.shape
            for v in graph.variables
        ):
            found.append(prefix)
    return own if own in found else found[0] if len(found) == 1 else None


def files_of(checkpoint: str) -> list[Path]:
    """Return the files of a checkpoint, which is named without their endings."""
    prefix = Path(checkpoint)
    return [
        prefix.with_name(f"{prefix.name}.index"),
        *prefix.parent.glob(f"{glob.escape(prefix.name)}.data-*"),
    ]


@contextlib.contextmanager
def restored_session(graph_def: str, checkpoint: str) -> Iterator[Any]:
    """Open a session on a graph, each variable holding the checkpoint's value of its name.

    ``CannotFreezeError`` if one has no value of its name, dtype and shape.
    """
    import tensorflow as tf

    v1 = tf.compat.v1
    model_format = recognized_format(Path(graph_def))
    assert isinstance(model_format, GraphDef)
    definition = model_format.graph_def(graph_def)
    values = tf.train.load_checkpoint(checkpoint)
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
        made = [op for op in graph.get_operations() if op.type in _VARIABLES]
        assigns = [_assign(tf, op, values) for op in made]
    with v1.Session(graph=graph) as session:
        session.run(assigns)
        yield session


def _assign(tf: Any, operation: Any, values: Any) -> Any:
    shared = operation.get_attr("shared_name").decode()
    held = values.get_variable_to_shape_map()
    name = next((n for n in (shared, operation.name) if n and n in held), None)
    if name is None:
        raise CannotFreezeError(f"the checkpoint has no value for {operation.name}")
    value = values.get_tensor(name)
    shape = tf.TensorShape(operation.get_attr("shape"))
    dtype = operation.get_attr("dtype")
    if not shape.is_compatible_with(value.shape) or tf.as_dtype(value.dtype) != dtype:
        raise CannotFreezeError(f"the checkpoint's value for {name} is of another shape or dtype")
    if operation.type == "VarHandleOp":
        return tf.raw_ops.AssignVariableOp(resource=operation.outputs[0], value=value)
    return tf.raw_ops.Assign(ref=operation.outputs[0], value=value).op


def freeze_checkpoint(graph_def: str, target: str, checkpoint: str, outputs: Sequence[str]) -> None:
    """Write a frozen graph; ``CannotFreezeError`` if a variable has no value, or stays one."""
    import tensorflow as tf

    with restored_session(graph_def, checkpoint) as session:
        frozen = tf.compat.v1.graph_util.convert_variables_to_constants(
            session, session.graph.as_graph_def(), list(outputs)
        )
    left = [node.name for node in frozen.node if node.op in ("VarHandleOp", "VariableV2")]
    if left:
        raise CannotFreezeError(f"the variable {left[0]} could not be frozen")
    Path(target).write_bytes(frozen.SerializeToString())


def load_restored(graph_def: str, checkpoint: str, outputs: Sequence[str]) -> LoadedModel:
    """Load a graph with a checkpoint's values, unfrozen, as what it was made of would answer."""
    stack = contextlib.ExitStack()
    session = stack.enter_context(restored_session(graph_def, checkpoint))
    fetches = {name: f"{name}:0" for name in outputs}

    def answer(call: Mapping[str, Any], _: str | None = None) -> Mapping[str, Any]:
        assert stack is not None  # it holds the session open
        answers: Mapping[str, Any] = session.run(fetches, {f"{n}:0": v for n, v in call.items()})
        return answers

    return answer
