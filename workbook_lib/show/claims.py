"""The article's claims, each with its verdict and the cell that proves it."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from varhandle.display import CAPTION_STYLE, TONES, Rich, table_text

_HEADERS = ("claim", "verdict", "since", "proof", "note")
_TONES = {"holds": "right", "holds in part": "waiting", "does not hold": "wrong"}


@dataclass(frozen=True)
class Claim:
    """One claim and what became of it."""

    claim: str  # what the article says
    verdict: str  # ``"holds"``, ``"holds in part"`` or ``"does not hold"``
    since: str  # the TensorFlow release from which the verdict is true
    notebook: str  # name of the notebook that proves it, without the ending
    cell: str  # id of the cell that proves it
    note: str  # anything to add


@dataclass(frozen=True, repr=False)
class ClaimsTable(Rich):
    """Claims and verdicts, in the order given."""

    claims: tuple[Claim, ...]

    def __repr__(self) -> str:
        return f"ClaimsTable({self._caption()})"

    def _caption(self) -> str:
        counts = Counter(claim.verdict for claim in self.claims)
        verdicts = ", ".join(f"{verdict}: {counts[verdict]}" for verdict in _TONES)
        return f"{len(self.claims)} claims ({verdicts})"

    def text(self) -> str:
        """Set the claims as a table."""
        rows = [
            (each.claim, each.verdict, each.since, f"{each.notebook}#{each.cell}", each.note)
            for each in self.claims
        ]
        return f"{self._caption()}\n\n{table_text(_HEADERS, rows)}"

    def html(self) -> str:
        """Set the claims as a table whose proofs are links."""
        head = "".join(
            f'<th scope="col" style="text-align: left">{title}</th>' for title in _HEADERS
        )
        return (
            f'<table><caption style="{CAPTION_STYLE}">{self._caption()}</caption>'
            f"<thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(map(_row_html, self.claims))}</tbody></table>"
        )


def claims_table(claims: Iterable[Mapping[str, Any]]) -> ClaimsTable:
    """Set the article's claims as a table.

    Raises ``ValueError``: A verdict is not one of the three.
    """
    entries = tuple(
        Claim(
            entry["claim"],
            entry["verdict"],
            entry.get("since") or "",
            entry["proof"]["notebook"].removesuffix(".ipynb"),
            entry["proof"]["cell"],
            entry.get("note") or "",
        )
        for entry in claims
    )
    for entry in entries:
        if entry.verdict not in _TONES:
            raise ValueError(f"{entry.claim!r}: verdict {entry.verdict!r}, not one of {[*_TONES]}")
    return ClaimsTable(entries)


def _row_html(claim: Claim) -> str:
    mark, color = TONES[_TONES[claim.verdict]]
    cell = '<td style="text-align: left">'
    link = f"{quote(claim.notebook)}.ipynb#cell-id={quote(claim.cell)}"  # JupyterLab opens it there
    return (
        f'<tr><th scope="row" style="text-align: left; font-weight: normal">'
        f"{html.escape(claim.claim)}</th>"
        f'<td style="text-align: left; white-space: nowrap"><span aria-hidden="true" '
        f'style="color: {color}; font-weight: bold">{mark}</span> '
        f"{html.escape(claim.verdict)}</td>"
        f"{cell}{html.escape(claim.since)}</td>"
        f'{cell}<a href="{html.escape(link, quote=True)}">{html.escape(claim.notebook[:2])}: '
        f"{html.escape(claim.cell)}</a></td>"
        f"{cell}{html.escape(claim.note)}</td></tr>"
    )
