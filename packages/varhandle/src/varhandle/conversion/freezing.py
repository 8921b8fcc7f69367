"""Freeze: turn the variables that a function reads into constants of its graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from varhandle.display import Rich
from varhandle.errors import VarhandleError
from varhandle.formats import read_graph
from varhandle.graph import Graph

if TYPE_CHECKING:
    from tensorflow.types.experimental import ConcreteFunction


class FrozenButAssignedError(VarhandleError, ValueError):
    """A variable cannot become a constant: the nodes, each (name, op), still assign it."""

    def __init__(self, nodes: tuple[tuple[str, str], ...]) -> None:
        self.nodes = nodes
        listed = ", ".join(name if op in name else f"{name} ({op})" for name, op in nodes)
        super().__init__(
            f"cannot freeze: the function assigns a variable at {listed}. "
            "Freeze a function that only reads, or convert with the variable kept."
        )

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.nodes,)


@dataclass(frozen=True, repr=False)
class FrozenGraph(Rich):
    """A function whose variables have become constants."""

    function: Any  # the frozen ``ConcreteFunction``, to run or to convert
    before: Counter[str] = field(hash=False)  # op counts of the function as it was given
    graph: Graph  # the frozen function as plain data
    variables: int  # how many became constants
    captured: int  # resources that it still takes as inputs; with 0 it can be converted alone

    @property
    def after(self) -> Counter[str]:
        """Op counts of the frozen function."""
        return self.graph.op_counts()

    def __repr__(self) -> str:
        return (
            f"FrozenGraph({self.variables} variables became constants, "
            f"{self.captured} resources left)"
        )


def captured_variables(function: ConcreteFunction) -> dict[str, str]:
    """Return the variables that a concrete function captures, in that order.

    The node that stands for a handle in the function's graph (a ``Placeholder``) is mapped to the
    name of its variable.
    """
    names = {id(variable.handle): variable.name for variable in function.graph.variables}
    return {
        inside.name.partition(":")[0]: names[id(handle)].partition(":")[0]
        for handle, inside in function.graph.captures
        if id(handle) in names
    }


def freeze(function: ConcreteFunction, only: Collection[str] | None = None) -> FrozenGraph:
    """Freeze a ``tf.function``'s concrete function, or a signature of a loaded SavedModel.

    The variables named in ``only`` become constants, and the handles of the others stay as inputs;
    all become constants when it is ``None``.

    Raises:
        FrozenButAssignedError: The function assigns a variable. TensorFlow itself says
            "incompatible with expected resource" (``convert_to_constants.py`` replaces the handle
            by its value, and the assignment is left with a float where it needs a resource).
        KeyError: The function captures no variable of a name in ``only``.
        ValueError: TensorFlow's own, where another op than an assignment needs the handle.
    """
    before = read_graph(function.graph.as_graph_def())
    captured = captured_variables(function)
    unknown = set(only or ()).difference(captured.values())
    if unknown:
        known = ", ".join(dict.fromkeys(captured.values())) or "none"
        raise KeyError(f"no variable {min(unknown)!r}; there are: {known}")
    chosen = None  # stands for all nodes
    if only is not None:
        chosen = frozenset(node for node, name in captured.items() if name in only)
    variables = [one for one in before.variables if chosen is None or one.name in chosen]
    try:
        frozen = _converted(function, chosen)
    except ValueError as error:
        assigns = tuple((at.node, at.op) for variable in variables for at in variable.assigns)
        if not assigns:
            raise
        raise FrozenButAssignedError(assigns) from error
    return FrozenGraph(
        function=frozen,
        before=before.op_counts(),
        graph=read_graph(frozen.graph.as_graph_def()),
        variables=len(variables),
        captured=sum(tensor.dtype.name == "resource" for tensor in frozen.inputs),
    )


def _converted(function: ConcreteFunction, chosen: frozenset[str] | None) -> Any:
    """Put constants in the place of the handles.

    As ``convert_variables_to_constants_v2`` does, by which TensorFlow's own converter freezes: it
    takes no list of some alone, and its parts do.
    """
    from tensorflow.python.framework import convert_to_constants

    data = convert_to_constants._FunctionConverterDataInEager(
        func=function,
        lower_control_flow=True,
        aggressive_inlining=False,
        variable_names_allowlist=chosen,
    )
    graph_def, indices = convert_to_constants._replace_variables_by_constants(data)
    return convert_to_constants._construct_concrete_function(function, graph_def, indices)
