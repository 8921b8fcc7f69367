"""The variables of a model as a table: what reads them, what assigns them, who owns them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from varhandle.display import Rich, counted, join_names, printable, table_html, table_text
from varhandle.graph.model import Access, Graph, Shape, Variable

_HEADERS = ("name", "dtype", "shape", "reads", "assigns", "initialized", "owner")
_INITIALIZED = {True: "yes", False: "no", None: "not known"}


def shape_text(shape: Shape | None) -> str:
    """Write a shape."""
    if shape is None:
        return "[?...]"
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


@dataclass(frozen=True, repr=False)
class VariableTable(Rich):
    """The variables of a graph, ready to be shown."""

    variables: tuple[Variable, ...]  # in the order in which they are listed
    has_owners: bool  # whether the file says of any variable which object owns it
    left_out: tuple[Variable, ...] = ()  # those that are not listed, so that the table stays short

    def __repr__(self) -> str:
        return f"VariableTable({self._caption()})"

    def _caption(self) -> str:
        every = (*self.variables, *self.left_out)
        if not every:
            return "No variables: every weight is a constant."
        assigned = sum(1 for variable in every if variable.assigns)
        caption = f"{counted(len(every), 'variable')}, {assigned} of them assigned"
        more = f"; {len(self.left_out)} of them not listed here" if self.left_out else ""
        return caption + more

    def _table(self) -> tuple[Sequence[str], list[Sequence[object]]]:
        columns = len(_HEADERS) if self.has_owners else len(_HEADERS) - 1
        rows: list[Sequence[object]] = [
            (
                printable(variable.name),
                variable.dtype,
                shape_text(variable.shape),
                _accesses(variable.reads),
                _accesses(variable.assigns),
                _INITIALIZED[variable.initialized],
                printable(variable.owner or "nobody"),
            )[:columns]
            for variable in self.variables
        ]
        return _HEADERS[:columns], rows

    def text(self) -> str:
        """Set the table in plain text, or one sentence when there are no variables."""
        if not self.variables:
            return self._caption()
        return f"{self._caption()}\n\n{table_text(*self._table())}"

    def html(self) -> str:
        """Set the table in HTML, or one sentence when there are no variables."""
        if not self.variables:
            return f"<p>{self._caption()}</p>"
        return table_html(*self._table(), caption=self._caption())


def variable_table(graph: Graph, most: int | None = None) -> VariableTable:
    """List the variables of a graph.

    With ``most``, no more than that, and those first that matter: what is assigned, then what is
    read without a first value, then what is read.
    """
    listed: tuple[Variable, ...] = graph.variables
    left_out: tuple[Variable, ...] = ()
    if most is not None:
        ordered = sorted(
            listed,
            key=lambda v: (not v.assigns, not (v.reads and v.initialized is False), not v.reads),
        )
        listed, left_out = tuple(ordered[:most]), tuple(ordered[most:])
    return VariableTable(listed, any(v.owner for v in graph.variables), left_out)


def _accesses(accesses: Sequence[Access]) -> str:
    """Say which ops, how often, and from which signatures: ``2 ReadVariableOp (serve)``."""
    by_op: dict[str, list[Access]] = defaultdict(list)
    for access in accesses:
        by_op[access.op].append(access)
    parts = []
    for op, same in sorted(by_op.items()):
        signatures = sorted({name for access in same for name in access.signatures})
        names = f" ({join_names(signatures)})" if signatures else ""
        parts.append(f"{len(same)} {printable(op)}{names}")
    return "; ".join(parts) or "none"
