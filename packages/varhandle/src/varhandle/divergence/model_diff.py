"""``diff``: what became of the variables of one model in another, and which ops came and went."""

from __future__ import annotations

import html
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from varhandle.display import (
    Rich,
    counted,
    join_names,
    panel_html,
    printable,
    table_html,
    table_text,
)
from varhandle.divergence.weight_matching import Recognized, recognize
from varhandle.divergence.weights import Weight, share_outlines, weights_of
from varhandle.families.base import inference_signature
from varhandle.formats import format_of, read_graph
from varhandle.graph import Graph
from varhandle.inspection.variables import shape_text

Status = Literal["frozen", "kept", "fused", "lost", "changed", "added", "unused"]

_BAD: tuple[Status, ...] = ("lost", "changed")
_ORDER: tuple[Status, ...] = ("lost", "changed", "added", "kept", "frozen", "fused", "unused")
_LISTED = 200  # rows of a text
_WIDEST = 48  # letters of a name in a table


@dataclass(frozen=True)
class VariableChange:
    """What became of one variable (of a frozen model: of one weight).

    Attributes:
        status: ``frozen`` (a constant now), ``kept``, ``fused`` (it only lives within what others
            hold), ``lost``, ``changed`` (it has other values), ``added``, or ``unused``: nothing
            reads it, and it is not in the other model.
        how: How it was recognized, or what is wrong with it.
        partners: What it is called in the second model.
        before: Its dtype, shape and values in the first model; ``after`` in the second.
        difference: The largest |after - before|; ``None`` where there are no two values.
    """

    name: str
    status: Status
    how: str
    partners: tuple[str, ...] = ()
    before: str = ""
    after: str = ""
    difference: float | None = None


@dataclass(frozen=True, repr=False)
class ModelDiff(Rich):
    """What is different between two models."""

    a: str
    b: str
    variables: tuple[VariableChange, ...]  # those that are at fault first
    ops: tuple[tuple[str, int, int], ...]  # op, how often in ``a``, how often in ``b``
    operators: tuple[Any, ...] = ()  # of two .tflite files: each one that is not the same
    doubts: tuple[str, ...] = field(default=())

    @property
    def agrees(self) -> bool:
        """Whether nothing was lost or changed."""
        return not self.operators and all(one.status not in _BAD for one in self.variables)

    def _headline(self) -> str:
        counts = Counter(one.status for one in self.variables)
        parts = [f"{counts[status]} {status}" for status in _ORDER if counts[status]]
        if self.operators:
            numbers = {(one.signature, one.change == "came", one.number) for one in self.operators}
            parts.append(f"{counted(len(numbers), 'operator')} not the same")
        other = any(before != after for _, before, after in self.ops)
        return ", ".join(parts) or f"no variables, and {'other' if other else 'the same'} ops"

    def __repr__(self) -> str:
        return f"ModelDiff({self._headline()})"

    def _variable_table(self) -> tuple[Sequence[str], list[Sequence[object]]]:
        headers = ("variable", "", "how", "in the second", "before", "after", "largest difference")
        rows: list[Sequence[object]] = [
            (
                printable(one.name, _WIDEST),
                one.status,
                printable(one.how, None),
                join_names([printable(name, _WIDEST) for name in one.partners], 2),
                one.before,
                one.after,
                "" if one.difference is None else f"{one.difference:.3g}",
            )
            for one in self.variables
        ]
        return headers, rows

    def _op_table(self) -> tuple[Sequence[str], list[Sequence[object]]]:
        return ("op", "before", "after"), [row for row in self.ops if row[1] != row[2]]

    def _operator_table(self) -> tuple[Sequence[str], list[Sequence[object]]]:
        rows: list[Sequence[object]] = [
            (
                f"{one.op} ({one.number})",
                printable(one.tensor, _WIDEST),
                one.change,
                printable(one.detail),
            )
            for one in self.operators
        ]
        return ("operator", "tensor", "", "what"), rows

    def text(self) -> str:
        """Return the tables in plain text."""
        parts = [self._headline()]
        for headers, rows in (self._variable_table(), self._operator_table(), self._op_table()):
            if rows:
                more = f"\n… and {len(rows) - _LISTED} more" if len(rows) > _LISTED else ""
                parts.append(table_text(headers, rows[:_LISTED]) + more)
        parts += self.doubts
        return "\n\n".join(parts)

    def html(self) -> str:
        """Return the same as a panel of tables."""
        tables = (
            (*self._variable_table(), "Variables"),
            (*self._operator_table(), "Operators that are not the same"),
            (*self._op_table(), "Ops that came and went"),
        )
        body = "".join(table_html(*table) for table in tables if table[1])
        body += "".join(f"<p>{html.escape(line)}</p>" for line in self.doubts)
        return panel_html("right" if self.agrees else "wrong", self._headline(), body)

    def as_dict(self) -> dict[str, Any]:
        """Return the whole comparison as plain data, fit for JSON."""
        return {
            "a": self.a,
            "b": self.b,
            "agrees": self.agrees,
            "variables": [_plain(one) for one in self.variables],
            "ops": [{"op": op, "before": a, "after": b} for op, a, b in self.ops],
            "operators": [asdict(one) for one in self.operators],
            "doubts": list(self.doubts),
        }


def _plain(one: VariableChange) -> dict[str, Any]:
    """Return it as JSON takes it, which has no word for what is not finite."""
    told = {**asdict(one), "partners": list(one.partners)}
    if one.difference is not None and not math.isfinite(one.difference):
        told["difference"] = None
    return told


def diff_models(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> ModelDiff:
    """Say what became of the variables of a model in another, and which ops came and went.

    Any two of the formats that ``read_graph`` takes from a path: a SavedModel and its .tflite file,
    a Keras file and its SavedModel, a graph with its checkpoint and its frozen form. Nothing is
    run, and TensorFlow is not needed. Where both are .tflite files, their operators are compared
    one by one as well.

    Raises:
        ModelFileError: One of the two is no model that can be read.
    """
    graphs = read_graph(a), read_graph(b)
    (ours, mine), (theirs, other) = (weights_of(graph) for graph in graphs)
    doubts = [f"{g.source}: {line}" for g, line in zip(graphs, (mine, other), strict=True) if line]
    are_files = all(format_of(graph).is_converted for graph in graphs)
    same = share_outlines(ours, theirs) if are_files else ()
    variables = _variables(graphs[0], ours, graphs[1], theirs)
    operators: list[Any] = []
    if are_files:
        from varhandle.divergence.operator_diff import diff_operators

        operators = diff_operators(Path(graphs[0].source), Path(graphs[1].source), same)
    counts = [_op_counts(graph) for graph in graphs]
    return ModelDiff(
        graphs[0].source,
        graphs[1].source,
        tuple(sorted(variables, key=lambda one: (_ORDER.index(one.status), one.name))),
        tuple((op, counts[0][op], counts[1][op]) for op in sorted(counts[0] | counts[1])),
        tuple(operators),
        tuple(doubts),
    )


def _op_counts(graph: Graph) -> Counter[str]:
    return graph.op_counts(inference_signature(graph))


def _variables(
    a: Graph, ours: Sequence[Weight], b: Graph, theirs: Sequence[Weight]
) -> list[VariableChange]:
    # A model that has variables keeps its weights there; its constants are what they start from.
    with_constants = format_of(a).is_converted or not any(w.kind == "variable" for w in ours)
    mine = [w for w in ours if w.kind == "variable" or (with_constants and _is_weight(w))]
    used = [w for w in mine if w.is_used is not False]
    found = recognize(used, [w for w in theirs if w.is_used is not False])
    changes = [_change(weight, found.get(weight), _assigned(a, b, weight)) for weight in used]
    changes += [
        VariableChange(w.name, "unused", "nothing reads it", before=_described(w))
        for w in mine
        if w.is_used is False
    ]
    taken = {partner for one in found.values() for partner in one.partners}
    changes += [
        VariableChange(w.name, "added", _added_how(w), after=_described(w))
        for w in theirs
        if w.kind == "variable" and w not in taken and w.is_used is not False
    ]
    return changes


def _is_weight(constant: Weight) -> bool:
    """Whether a constant is a weight, and no axis, shape or epsilon."""
    outline = constant.outline
    is_real = outline is not None and (outline.kind == "f" or constant.scales is not None)
    return is_real and (constant.count or 0) > 1


def _assigned(a: Graph, b: Graph, weight: Weight) -> bool:
    """Whether a signature that both models have assigns a variable: it is a state."""
    if weight.variable is None:
        return False
    common = {one.name for one in a.signatures} & {one.name for one in b.signatures}
    return any(
        not common or not access.signatures or common & set(access.signatures)
        for access in weight.variable.assigns
    )


def _change(weight: Weight, found: Recognized | None, is_state: bool) -> VariableChange:
    before = _described(weight)
    if found is None:
        if weight.is_used is None and not (weight.dtype.startswith(("float", "bfloat"))):
            how = "integers that inference need not read"
            return VariableChange(weight.name, "unused", how, before=before)
        return VariableChange(weight.name, "lost", "nothing holds it", before=before)
    partner = next(iter(found.partners), None)
    status: Status = "frozen" if weight.kind == "variable" else "kept"
    how = found.how
    if partner is not None and partner.kind == "variable":
        status = "kept"
    if found.is_fused:
        status = "fused"
    if partner is not None and partner.kind == "variable" and partner.initialized is False:
        status, how = "lost", "nothing gives it a first value"
    elif is_state and status != "kept":
        status, how = "lost", f"it is assigned, and now a constant; found by {how}"
    elif found.is_changed:
        status = "changed"
        if partner is not None and weight.count != partner.count:
            how = f"{how}; it has another shape"
    names = tuple(one.name for one in found.partners)
    after = "" if partner is None else _described(partner)
    return VariableChange(weight.name, status, how, names, before, after, found.difference)


def _added_how(weight: Weight) -> str:
    return "nothing gives it a first value" if weight.initialized is False else "only there"


def _described(weight: Weight) -> str:
    parts = [f"{weight.dtype} {shape_text(weight.shape)}", weight.summary()]
    return ": ".join(filter(None, parts))
