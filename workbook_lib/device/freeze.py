"""Freeze: turn the variables that a function reads into constants of its graph."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbook_lib.graph import Graph, read_graph
from workbook_lib.rendering import Rich

if TYPE_CHECKING:
    from tensorflow.types.experimental import ConcreteFunction


class FrozenButAssignedError(ValueError):
    """A variable cannot become a constant, because the graph still assigns it.

    Attributes:
        nodes: The nodes that assign, as ``(name, op)``.
    """

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
    """A function whose variables have become constants.

    Attributes:
        function: The frozen ``ConcreteFunction``, to run or to convert.
        before: Op counts of the function as it was given.
        after: Op counts of the frozen function.
        graph: The frozen function as plain data.
        variables: How many variables it read before.
        captured: How many resources it still asks for as inputs, such as tables: 0 for a
            function that can be converted alone.
    """

    function: Any
    before: Counter[str] = field(hash=False)
    after: Counter[str] = field(hash=False)
    graph: Graph
    variables: int
    captured: int

    def __repr__(self) -> str:
        return (
            f"FrozenGraph({self.variables} variables became constants, "
            f"{self.captured} resources left)"
        )

    def text(self) -> str:
        """Return the one line of the ``repr``."""
        return repr(self)


def freeze(function: ConcreteFunction) -> FrozenGraph:
    """Freeze a concrete function.

    Args:
        function: A ``tf.function``'s concrete function, or a signature of a loaded SavedModel.

    Returns:
        The frozen function, with what changed.

    Raises:
        FrozenButAssignedError: The function assigns a variable. TensorFlow itself says
            "incompatible with expected resource" (``convert_to_constants.py`` replaces the handle
            by its value, and the assignment is left with a float where it needs a resource).
        ValueError: TensorFlow's own, where another op than an assignment needs the handle.
    """
    # TensorFlow keeps this function out of its public API; its own converter imports it from here.
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    before = read_graph(function.graph.as_graph_def())
    try:
        frozen = convert_variables_to_constants_v2(function)
    except ValueError as error:
        assigns = [(at.node, at.op) for variable in before.variables for at in variable.assigns]
        if not assigns:
            raise
        raise FrozenButAssignedError(tuple(assigns)) from error
    after = read_graph(frozen.graph.as_graph_def())
    return FrozenGraph(
        function=frozen,
        before=before.op_counts(),
        after=after.op_counts(),
        graph=after,
        variables=sum(bool(variable.reads) for variable in before.variables),
        captured=sum(tensor.dtype.name == "resource" for tensor in frozen.inputs),
    )
