"""Checks of lesson 14."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tensorflow.core.framework import graph_pb2, types_pb2

from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt, expect, same

_HANDLES = {"total": "float32", "calls": "int32", "gain": "float64", "seen": "bool"}


@exercise("what_a_handle_is/find-handles")
def find_handles(function: object) -> str:
    """Return the shared_name and the dtype of every VarHandleOp of a GraphDef.

    1. Two handles with one name led to one value, above. Which attribute had that name?
    2. `node.name` is the name of the node, which changes where a graph is put into another one.
    3. The field `s` of an attribute holds bytes, and `.decode()` makes text of them.
    """
    graph_def = _graph_def({name: (name, dtype) for name, dtype in _HANDLES.items()})
    _compare_handles(attempt(function, graph_def), _HANDLES)
    with _in_another_model():
        _compare_handles(
            attempt(function, _graph_def({"gain": ("gain", "int64")})), {"gain": "int64"}
        )
    named = attempt(function, _graph_def({"import/seen_2": ("calls", "int64")}))
    if any(same(named, {name: "int64"}) for name in ("import/seen_2", "seen_2", "seen")):
        raise Wrong(
            "Right for one model. In another graph the node is called `import/seen_2` and its "
            "`shared_name` is `calls`: the name of the node is not that of the variable."
        )
    with _in_another_model():
        _compare_handles(named, {"calls": "int64"})
    nested = attempt(function, _graph_def({"inner": ("inner", "int8")}, in_function=True))
    if same(nested, {}):
        raise Wrong(
            "Right where all handles stand in the main graph. In another graph one stands inside a "
            "function, and your walk does not get there. Where else are nodes?"
        )
    with _in_another_model():
        _compare_handles(nested, {"inner": "int8"})
    if not same(attempt(function, graph_pb2.GraphDef()), {}):
        raise Wrong("A graph without a node has no handles. Return an empty dictionary for it.")
    return "Every handle of a graph, wherever it stands. None of them carries a value."


@contextmanager
def _in_another_model() -> Iterator[None]:
    """Say of an answer that is wrong here that it was right for another model."""
    try:
        yield
    except Wrong as verdict:
        raise Wrong(f"Right for one model, and not for another. {verdict}") from None


def _compare_handles(found: Any, expected: Mapping[str, str]) -> None:
    expect(found, Mapping, "a dictionary, with the names as keys")
    if not found:
        raise Wrong(
            "Your function finds no handle at all. Compare `node.op` with the name of the op that "
            "makes a handle, letter by letter. And does it look at the graph that it is given?"
        )
    if any(isinstance(name, bytes) or str(name).startswith("b'") for name in found):
        raise Wrong(
            "The names are bytes, as the protocol buffer keeps them. How do bytes become text?"
        )
    if "" in found:
        raise Wrong(
            "A name is empty: a node gives an empty attribute where it has none. Which attributes "
            "does the handle have in Netron?"
        )
    extra = sorted(str(name) for name in found.keys() - expected.keys())
    if extra and not found.keys() & expected.keys():
        raise Wrong(
            f"The check's graph has {', '.join(expected)}, and you name {extra[0]!r}. Does your "
            "function look at the graph that it is given, and at nothing else?"
        )
    if extra:
        raise Wrong(
            f"{len(extra)} of your names belong to no handle, `{extra[0]!r}` among them. What is "
            "the op of that node?"
        )
    missing = len(expected) - len(found)
    if missing:
        raise Wrong(
            f"{missing} of {len(expected)} handles are missing. Is the walk "
            "cut short, or does one name stand for several handles?"
        )
    for name, dtype in found.items():
        _compare_dtype(name, getattr(dtype, "name", dtype), expected[name])


def _compare_dtype(name: str, dtype: Any, expected: str) -> None:
    if isinstance(dtype, int):
        raise Wrong(
            f"The dtype of `{name}` is `{dtype}`, a number of the protocol buffer. Which call "
            "above made a name of it?"
        )
    if not isinstance(dtype, str):
        raise Wrong(f"The value of `{name}` is of type `{type(dtype).__name__}`, and no name.")
    if dtype.startswith("DT_"):
        raise Wrong(f"`{dtype}` is the protocol buffer's name. TensorFlow calls it `{expected}`.")
    if dtype != expected:
        raise Wrong(f"`{name}` is not of the dtype `{dtype}`. Which attribute did you read?")


def _graph_def(handles: Mapping[str, tuple[str, str]], *, in_function: bool = False) -> Any:
    """Return a GraphDef with handles: name of the node -> name of the variable and its dtype."""
    graph_def = graph_pb2.GraphDef()
    function = graph_def.library.function.add(signature={"name": "step"})
    nodes, others = graph_def.node, function.node_def
    if in_function:
        nodes, others = others, nodes
    others.add(name="nothing", op="NoOp")
    nodes.add(name="x", op="Placeholder").attr["dtype"].type = types_pb2.DT_HALF
    for name, (shared_name, dtype) in handles.items():
        node = nodes.add(name=name, op="VarHandleOp")
        node.attr["shared_name"].s = shared_name.encode()
        node.attr["dtype"].type = _TYPES[dtype]
        node.attr["shape"].shape.dim.add(size=3)
        nodes.add(name=f"{name}/Read", op="ReadVariableOp", input=[name])
    return graph_def


_TYPES = {
    "float32": types_pb2.DT_FLOAT,
    "float64": types_pb2.DT_DOUBLE,
    "int8": types_pb2.DT_INT8,
    "int32": types_pb2.DT_INT32,
    "int64": types_pb2.DT_INT64,
    "bool": types_pb2.DT_BOOL,
}
