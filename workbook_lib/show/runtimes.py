"""Which runtimes take a .tflite file, and why the others do not."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from varhandle.display import Rich, printable, table_html
from workbook_lib.show.layout import Cell


@dataclass(frozen=True, repr=False)
class RuntimeTable(Rich):
    """What each runtime says of a file."""

    # Name of the runtime, and its reasons not to take the file; none where it does.
    rows: tuple[tuple[str, tuple[str, ...]], ...]

    def __repr__(self) -> str:
        taking = sum(not reasons for _, reasons in self.rows)
        return f"RuntimeTable({taking} of {len(self.rows)} runtimes take the file)"

    def text(self) -> str:
        width = max((len(name) for name, _ in self.rows), default=0)
        lines = []
        for name, reasons in self.rows:
            lines.append(f"{name.ljust(width)}  {'refuses it:' if reasons else 'takes it'}")
            lines.extend(f"  - {printable(reason, None)}" for reason in reasons)
        return "\n".join(lines)

    def html(self) -> str:
        rows = []
        for name, reasons in self.rows:
            lines = "".join(f"<li>{html.escape(printable(r, None))}</li>" for r in reasons)
            refusal = f'✗ refuses it<ul style="margin: 0">{lines}</ul>'
            rows.append((name, Cell("; ".join(reasons), refusal if reasons else "✓ takes it")))
        return table_html(("runtime", "what it says of this file"), rows, "Where the file runs")


def runtime_table(content: bytes, others: Sequence[str] = ()) -> RuntimeTable:
    """Ask the three runtimes that have a name, and ``others``, whether they take a .tflite file.

    Raises ``ModelFileError``: it is no .tflite file; ``ValueError``: there is no such target.
    """
    from varhandle.facts.targets import TARGETS
    from varhandle.formats import read_graph
    from varhandle.tflite.runtime_support import refusals

    graph = read_graph(content)
    names = dict.fromkeys((*TARGETS, *others))
    return RuntimeTable(tuple((name, refusals(graph, name, content)) for name in names))
