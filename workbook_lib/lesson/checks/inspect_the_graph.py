"""Checks of notebook 02."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from varhandle.formats import read_graph
from varhandle.graph import Access, Function, Graph, Variable
from workbook_lib.lesson.exercises import exercise
from workbook_lib.lesson.submissions import Wrong, attempt, expect, same


@exercise("inspect/find-handles")
def find_handles(function: object, graph_def: Any) -> str:
    """Return the shared_name, dtype and shape of every VarHandleOp of a GraphDef.

    1. A `GraphDef` keeps nodes in two places. The text above the cell that printed the handle of
       the total names both.
    2. Collect all nodes into one list first: `list(graph_def.node)`, extended by the `node_def` of
       each function in `graph_def.library.function`. Then keep those whose `op` fits.
    3. Three attributes of each: `shared_name` (field `s`, bytes, so `.decode()`), `dtype` (field
       `type`, through `tf.as_dtype(…).name`) and `shape` (field `shape`, through
       `tf.TensorShape(…).as_list()`).
    """
    expected = {
        variable.name: (variable.dtype, None if variable.shape is None else list(variable.shape))
        for variable in read_graph(graph_def).variables
    }
    # A copy, because asking a node for an attribute that it lacks adds the attribute.
    _compare_handles(attempt(function, copy.deepcopy(graph_def)), expected)
    named = attempt(function, _one_handle("import/counter", "counter"))
    if same(list(named), ["import/counter"]):
        raise Wrong(
            "Right for this model. In another graph the node is called `import/counter` and its "
            "`shared_name` is `counter`: the name of the node is not that of the variable."
        )
    if not same(list(named), ["counter"]):
        raise Wrong(
            f"Right for this model. In another graph, with one handle, it finds {len(named)}. Does "
            "your function look at the `GraphDef` that it is given, and at nothing else?"
        )
    nested = attempt(function, _one_handle("inner", "inner", in_function=True))
    if not same(list(nested), ["inner"]):
        raise Wrong(
            "Right for this model, whose handles all stand in the main graph. In another graph one "
            "stands inside a function, and your walk does not get there. Where else are nodes?"
        )
    for handle in (named["counter"], nested["inner"]):
        with _in_another_model():
            _compare_handle("counter", handle, ("int64", [3]))
    return (
        f"These are the {len(expected)} handles that `read_graph` finds as well. None of them "
        "carries a value: that is what a handle is."
    )


@contextmanager
def _in_another_model() -> Iterator[None]:
    """Say of an answer that is wrong here that it was right for the notebook's model."""
    try:
        yield
    except Wrong as verdict:
        raise Wrong(f"Right for this model, and not for another. {verdict}") from None


def _compare_handles(found: Any, expected: Mapping[str, Any]) -> None:
    expect(found, Mapping, "a dictionary, with the names as keys")
    if not found:
        raise Wrong(
            "Your function finds no handle at all. Compare `node.op` with the name of the op that "
            "makes a handle, letter by letter."
        )
    if any(isinstance(name, bytes) for name in found):
        raise Wrong(
            "The names are bytes, as the protocol buffer keeps them. How do bytes become text?"
        )
    extra = sorted(str(name) for name in found.keys() - expected.keys())
    if extra:
        raise Wrong(
            f"{len(extra)} of your names belong to no handle, `{extra[0]!r}` among them. What is "
            "the op of that node?"
        )
    missing = len(expected) - len(found)
    if missing:
        raise Wrong(f"{missing} of {len(expected)} handles are missing. Is the walk cut short?")
    for name, handle in found.items():
        _compare_handle(name, handle, expected[name])


def _compare_handle(name: str, handle: Any, expected: tuple[str, Any]) -> None:
    if not isinstance(handle, (tuple, list)) or len(handle) != 2:
        raise Wrong(f"The entry of `{name}` is to be a pair: the dtype and the shape.")
    dtype, shape = getattr(handle[0], "name", handle[0]), handle[1]
    if not isinstance(dtype, str):
        raise Wrong(
            f"The dtype of `{name}` is `{dtype}`, a number of the protocol buffer. Which call "
            "above made a name of it?"
        )
    if dtype != expected[0]:
        raise Wrong(f"`{name}` is not of the dtype `{dtype}`. Which attribute did you read?")
    shape = shape.as_list() if hasattr(shape, "as_list") else shape
    if not isinstance(shape, (list, tuple)):
        raise Wrong(
            f"The shape of `{name}` is a `{type(shape).__name__}`. Which call above made a list of "
            "it?"
        )
    if not same(shape, expected[1]):
        raise Wrong(
            f"`{name}` does not have the shape {list(shape)}. Which attribute did you read?"
        )


def _one_handle(name: str, shared_name: str, *, in_function: bool = False) -> Any:
    """Return a GraphDef with one handle, of int64 [3]: in the main graph or inside a function."""
    from tensorflow.core.framework import graph_pb2, types_pb2

    graph_def = graph_pb2.GraphDef()
    function = graph_def.library.function.add(signature={"name": "makes_a_handle"})
    nodes, others = graph_def.node, function.node_def
    if in_function:
        nodes, others = others, nodes
    others.add(name="nothing", op="NoOp")
    node = nodes.add(name=name, op="VarHandleOp")
    node.attr["shared_name"].s = shared_name.encode()
    node.attr["dtype"].type = types_pb2.DT_INT64
    node.attr["shape"].shape.dim.add(size=3)
    return graph_def


@exercise("inspect/assigned-by")
def assigned_by(function: object, graph: Graph) -> str:
    """Return the set of names of the variables that a signature of a Graph assigns.

    1. Go through `graph.variables`. The cell above printed what one of them knows about its reads;
       its assigns look the same.
    2. Each entry of `variable.assigns` has `signatures`, a tuple of names.
    3. Keep `variable.name` if `any("step" in access.signatures for access in …)`, with the argument
       `signature` in the place of `"step"`.
    """
    for name in sorted(signature.name for signature in graph.signatures):
        _compare_assigned(attempt(function, graph, name), graph, name)
    other = _two_signatures()
    for name in ("train", "infer"):
        with _in_another_model():
            _compare_assigned(attempt(function, other, name), other, name)
    return (
        "`assign_add` counts as well: you asked for any op that assigns, and not for one by its "
        "name."
    )


def _compare_assigned(answer: Any, graph: Graph, signature: str) -> None:
    names = _names(answer)
    known = {variable.name: variable for variable in graph.variables}
    assigned, read = set(), set()
    for variable in graph.variables:
        if any(signature in access.signatures for access in variable.assigns):
            assigned.add(variable.name)
        if any(signature in access.signatures for access in variable.reads):
            read.add(variable.name)
    extra = sorted(names - assigned)
    if extra and extra[0] not in known:
        raise Wrong(f"For `{signature}` you name `{extra[0]}`, which is no variable of the model.")
    if extra and known[extra[0]].assigns:
        raise Wrong(
            f"For `{signature}` you name `{extra[0]}`. Something assigns it, but from another "
            "signature. Which field says from which?"
        )
    if extra and extra[0] in read:
        raise Wrong(f"For `{signature}` you name `{extra[0]}`, which it reads and never assigns.")
    if extra:
        raise Wrong(f"For `{signature}` you name `{extra[0]}`, which nothing assigns.")
    if assigned and not names:
        raise Wrong(
            f"For `{signature}` you find nothing, and it does assign. Print the `assigns` of one "
            "variable: what does each entry have as its `op`, and what as its `signatures`?"
        )
    if names != assigned:
        raise Wrong(
            f"For `{signature}` you find {len(names)} of {len(assigned)} variables. Every entry of "
            "`assigns` counts, whatever its op is called."
        )


def _names(answer: Any) -> set[str]:
    if isinstance(answer, (str, Mapping)) or not isinstance(answer, Iterable):
        raise Wrong(
            f"Your function returns a value of type `{type(answer).__name__}`. Return a set."
        )
    values = list(answer)
    if any(isinstance(value, Variable) for value in values):
        raise Wrong("You return the variables themselves. The question is for their names.")
    if any(not isinstance(value, str) for value in values):
        raise Wrong("Return the names of the variables, as text.")
    return set(values)


def _two_signatures() -> Graph:
    """Return a model, as plain data, with every way in which a signature can use a variable."""

    def access(op: str, *signatures: str) -> Access:
        return Access(op, "node", "function", signatures)

    counted = (access("AssignVariableOp", "reset"), access("AssignAddVariableOp", "train"))
    applied = (access("ResourceApplyAdam", "infer", "train"),)
    return _graph_of(
        Variable("cache", "float32", (4,), assigns=(access("AssignVariableOp", "infer"),)),
        Variable("scale", "float32", (), reads=(access("ReadVariableOp", "infer", "train"),)),
        Variable("steps", "int64", (), assigns=counted),
        Variable("weight", "float32", (4,), assigns=applied),
    )


def _graph_of(*variables: Variable) -> Graph:
    return Graph("a model of the check", "saved_model", (Function("main graph", ()),), variables)


@exercise("inspect/read-but-never-set")
def read_but_never_set(function: object, classifier: Graph, service: Graph) -> str:
    """Return the set of names of the variables that are read although they have no value.

    1. Go through `graph.variables` again. This time no signature matters.
    2. `reads` and `initialized` decide. An empty `variable.reads` means that nothing reads it;
       `variable.initialized` is `True`, `False`, or `None` where the format cannot say.
    3. Two conditions, one for each field. `initialized` has three values: which one of them says
       that the file has no value, and what does `not` make of the other two?
    """
    for graph, which in ((classifier, "classifier"), (service, "service")):
        _compare_never_set(_names(attempt(function, graph)), graph, which)
    other = _every_combination()
    _compare_never_set(_names(attempt(function, other)), other, "check's own model")
    count = len(_never_set(service))
    return (
        f"The classifier is sound. The service reads {count} variables that have no "
        "value, and nothing warned you when it was saved."
    )


def _never_set(graph: Graph) -> set[str]:
    return {v.name for v in graph.variables if v.reads and v.initialized is False}


def _compare_never_set(names: set[str], graph: Graph, which: str) -> None:
    known = {variable.name: variable for variable in graph.variables}
    missing = [known[name] for name in _never_set(graph) - names]
    for name in sorted(names - _never_set(graph)):
        if name not in known:
            raise Wrong(f"For the {which} you name `{name}`, which is no variable of it.")
        if not known[name].reads:
            raise Wrong(
                f"For the {which} you name `{name}`. It may be empty, but does anything read it?"
            )
        if known[name].initialized is None:
            raise Wrong(
                f"For the {which} you name `{name}`, whose `initialized` is `None`: the format "
                "cannot say. Is that the same as having no value?"
            )
        raise Wrong(f"For the {which} you name `{name}`. It is read, but the file has its value.")
    if any(variable.owner for variable in missing):
        raise Wrong(
            f"For the {which} you miss a variable that has an owner. Does an owner give it a value?"
        )
    if missing:
        raise Wrong(
            f"For the {which} you miss {len(missing)} variables. Look at one of them in the graph: "
            "what do `reads` and `initialized` say?"
        )


def _every_combination() -> Graph:
    """Return a model, as plain data, whose owners and values do not go together."""
    access = (Access("ReadVariableOp", "node", "function", ("serve",)),)

    def variable(name: str, **fields: Any) -> Variable:
        return Variable(name, "float32", (4,), **fields)

    return _graph_of(
        variable("filled", reads=access, initialized=True),
        variable("orphan", reads=access, initialized=False),
        variable("owned", reads=access, initialized=False, owner="layer/owned"),
        variable("unsaid", reads=access, initialized=None),
        variable("written", assigns=access, initialized=False),
    )
