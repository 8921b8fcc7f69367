"""The article's claims, each with its verdict and the cell that proves it."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from varhandle.display import TONES, Rich, table_html, table_text
from workbook_lib.lesson.where_taught import heading_of
from workbook_lib.show.layout import Cell

_HEADERS = ("claim", "verdict", "since", "proof", "note")
_TONES = {"holds": "right", "holds in part": "waiting", "does not hold": "wrong"}


@dataclass(frozen=True, repr=False)
class ClaimsTable(Rich):
    """Claims and verdicts, in the order given."""

    rows: tuple[tuple[str, Cell, str, Cell, str], ...]

    def __repr__(self) -> str:
        return f"ClaimsTable({self._caption})"

    @property
    def _caption(self) -> str:
        counts = Counter(verdict.text for _, verdict, *_ in self.rows)
        verdicts = ", ".join(f"{verdict}: {counts[verdict]}" for verdict in _TONES)
        return f"{len(self.rows)} claims ({verdicts})"

    def text(self) -> str:
        return f"{self._caption}\n\n{table_text(_HEADERS, self.rows)}"

    def html(self) -> str:
        return table_html(_HEADERS, self.rows, self._caption)


def claims_table(claims: Iterable[Mapping[str, Any]]) -> ClaimsTable:
    """Set the article's claims as a table, whose proofs are links that JupyterLab opens.

    They are those of ``samples.article_claims()``; a notebook's name may have its ending or not.
    Raises ``ValueError``: a verdict is not one of the three.
    """
    rows = []
    for each in claims:
        claim, verdict, cell = each["claim"], each["verdict"], each["proof"]["cell"]
        if verdict not in _TONES:
            raise ValueError(f"{claim!r}: verdict {verdict!r}, not one of {[*_TONES]}")
        mark, color = TONES[_TONES[verdict]]
        mark = f'<span aria-hidden="true" style="color: {color}; font-weight: bold">{mark}</span>'
        notebook = each["proof"]["notebook"].removesuffix(".ipynb")
        link = f"{quote(notebook)}.ipynb#cell-id={quote(cell)}"
        section = heading_of(f"{notebook}.ipynb", cell) or cell
        proof = f'<a href="{link}">{html.escape(f"{notebook[:2]}: {section}")}</a>'
        rows.append(
            (
                claim,
                Cell(verdict, f"{mark} {verdict}"),
                each.get("since") or "",
                Cell(f"{notebook}#{cell}", proof),
                each.get("note") or "",
            )
        )
    return ClaimsTable(tuple(rows))
