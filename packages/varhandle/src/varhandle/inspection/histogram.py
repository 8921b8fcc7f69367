"""Op counts of one graph, or of several side by side, the variable ops first."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from varhandle.display import Rich, counted, printable, table_text
from varhandle.graph import Graph, variable_role

Counts = Mapping[str, int]

_ROLE_ORDER = ("handle", "read", "assign", "initialize")  # in which a lesson meets them
_BAR_LENGTH = 24
# Fixed colors that read on light and dark: JupyterLab takes theme variables out of the outputs
# of a notebook that it does not trust yet, and the bars would be gone.
_MARKED_COLOR = "#e07b00"
_PLAIN_COLOR = "#8d8d8d"


@dataclass(frozen=True)
class OpRow:
    """One op, or the ops that were left out together."""

    op: str  # the op type
    role: str  # what it does to a variable (``"read"``), or an empty string
    counts: tuple[int, ...]  # number of nodes in each graph
    together: bool = False  # whether the row stands for several ops

    @property
    def change(self) -> str:
        """What happened from the first graph to the last, in a word or a signed number."""
        first, last = self.counts[0], self.counts[-1]
        if first == last:
            return "same"
        if last == 0:
            return "gone"
        return "new" if first == 0 else f"{last - first:+d}"


@dataclass(frozen=True, repr=False)
class OpHistogram(Rich):
    """Op counts, ready to be shown."""

    titles: tuple[str, ...]  # title of each graph
    rows: tuple[OpRow, ...]  # variable ops first, then the others, most frequent first
    totals: tuple[int, ...]  # number of nodes in each graph

    def __repr__(self) -> str:
        return f"OpHistogram({self._caption()})"

    def _caption(self) -> str:
        totals = ", ".join(
            (f"{printable(title)} " if len(self.titles) > 1 else "") + counted(total, "node")
            for title, total in zip(self.titles, self.totals, strict=True)
        )
        marked = ", ".join(printable(r.op) for r in self.rows if r.role and any(r.counts))
        return f"Op counts: {totals}; variable ops: {marked or 'none'}"

    def _bar(self, row: OpRow, graph: int, length: int) -> int:
        """Return the length of a bar; ops counted together have none, it would say nothing."""
        count = 0 if row.together else row.counts[graph]
        return max(1, round(length * count / self._most)) if count else 0

    @cached_property
    def _most(self) -> int:
        return max((max(each.counts) for each in self.rows if not each.together), default=1)

    def text(self) -> str:
        """Set the counts as a table: bars for one graph, a column of changes for several."""
        if not self.rows:
            return self._caption()
        several = len(self.titles) > 1
        headers = ["op", "variable", *self.titles, "change" if several else ""]
        rows = [
            (
                printable(row.op),
                row.role,
                *row.counts,
                row.change if several else "#" * self._bar(row, 0, _BAR_LENGTH),
            )
            for row in self.rows
        ]
        return f"{self._caption()}\n\n{table_text(headers, rows)}"

    def html(self) -> str:
        """Set the counts as a table whose bars are as long as the counts."""
        several = len(self.titles) > 1
        columns = "".join(
            f'<th scope="col" colspan="2" style="text-align: left">{html.escape(title)}</th>'
            for title in map(printable, self.titles)
        )
        change = '<th scope="col" style="text-align: left">change</th>' if several else ""
        return (
            '<table><caption style="text-align: left">'
            f"{html.escape(self._caption())}</caption>"
            '<thead><tr><th scope="col" style="text-align: left">op</th>'
            f'<th scope="col" style="text-align: left">variable</th>{columns}{change}</tr></thead>'
            f"<tbody>{''.join(self._row_html(row) for row in self.rows)}</tbody></table>"
        )

    def _row_html(self, row: OpRow) -> str:
        weight, mark = ("bold", "◆&nbsp;") if row.role else ("normal", "")
        color = _MARKED_COLOR if row.role else _PLAIN_COLOR
        cells = "".join(
            f'<td style="text-align: right">{count}</td>'
            '<td style="text-align: left; min-width: 5em">'
            f'<div style="background-color: {color}; height: 10px; '
            f'width: {self._bar(row, graph, 100)}%"></div></td>'
            for graph, count in enumerate(row.counts)
        )
        if len(self.titles) > 1:
            cells += f'<td style="text-align: left">{row.change}</td>'
        return (
            f'<tr><th scope="row" style="text-align: left; font-weight: {weight}">'
            f"{mark}{html.escape(printable(row.op))}</th>"
            f'<td style="text-align: left">{html.escape(row.role)}</td>{cells}</tr>'
        )


def op_histogram(
    graphs: Graph | Mapping[str, Graph | Counts], *, most: int | None = None
) -> OpHistogram:
    """Count the ops of one graph, or compare several graphs, or counts, by title.

    The ops that touch a variable come first; ``most`` limits the rows of the others.
    """
    named = {"nodes": graphs} if isinstance(graphs, Graph) else graphs
    counted = [each.op_counts() if isinstance(each, Graph) else each for each in named.values()]
    marked: list[OpRow] = []
    plain: list[OpRow] = []
    for op in {op for counts in counted for op in counts}:
        role = variable_role(op)
        row = OpRow(op, role or "", tuple(counts.get(op, 0) for counts in counted))
        (marked if role else plain).append(row)
    marked.sort(key=lambda row: (_ROLE_ORDER.index(row.role), row.op))
    plain.sort(key=lambda row: (-max(row.counts), row.op))
    if most is not None and len(plain) > most + 1:  # one left over gets its own row
        others = plain[most:]
        sums = tuple(map(sum, zip(*(row.counts for row in others), strict=True)))
        plain[most:] = [OpRow(f"({len(others)} other ops)", "", sums, together=True)]
    totals = tuple(sum(counts.values()) for counts in counted)
    return OpHistogram(tuple(named), (*marked, *plain), totals)
