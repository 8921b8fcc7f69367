"""The article's claims, each with its verdict and the cell that proves it."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from varhandle.display import TONES, Rich, table_html, table_text

_HEADERS = ("claim", "verdict", "since", "proof", "note")
_TONES = {"holds": "right", "holds in part": "waiting", "does not hold": "wrong"}


@dataclass(frozen=True)
class _Verdict:
    words: str

    def __str__(self) -> str:
        return self.words

    def __html__(self) -> str:
        mark, color = TONES[_TONES[self.words]]
        mark = f'<span aria-hidden="true" style="color: {color}; font-weight: bold">{mark}</span>'
        return f"{mark} {self.words}"


@dataclass(frozen=True)
class _Proof:
    """The cell that proves a claim; JupyterLab opens the link there."""

    notebook: str  # without the ending
    cell: str

    def __str__(self) -> str:
        return f"{self.notebook}#{self.cell}"

    def __html__(self) -> str:
        link = f"{quote(self.notebook)}.ipynb#cell-id={quote(self.cell)}"
        return f'<a href="{link}">{html.escape(f"{self.notebook[:2]}: {self.cell}")}</a>'


@dataclass(frozen=True, repr=False)
class ClaimsTable(Rich):
    """Claims and verdicts, in the order given."""

    rows: tuple[tuple[str, _Verdict, str, _Proof, str], ...]

    def __repr__(self) -> str:
        return f"ClaimsTable({self._caption()})"

    def _caption(self) -> str:
        counts = Counter(verdict.words for _, verdict, *_ in self.rows)
        verdicts = ", ".join(f"{verdict}: {counts[verdict]}" for verdict in _TONES)
        return f"{len(self.rows)} claims ({verdicts})"

    def text(self) -> str:
        """Set the claims as a table."""
        return f"{self._caption()}\n\n{table_text(_HEADERS, self.rows)}"

    def html(self) -> str:
        """Set the claims as a table whose proofs are links."""
        return table_html(_HEADERS, self.rows, self._caption())


def claims_table(claims: Iterable[Mapping[str, Any]]) -> ClaimsTable:
    """Set the article's claims as a table.

    They are those of ``samples.article_claims()``; a notebook's name may have its ending or not.
    Raises ``ValueError``: a verdict is not one of the three.
    """
    rows = []
    for each in claims:
        claim, verdict, proof = each["claim"], each["verdict"], each["proof"]
        if verdict not in _TONES:
            raise ValueError(f"{claim!r}: verdict {verdict!r}, not one of {[*_TONES]}")
        cell = _Proof(proof["notebook"].removesuffix(".ipynb"), proof["cell"])
        rows.append(
            (claim, _Verdict(verdict), each.get("since") or "", cell, each.get("note") or "")
        )
    return ClaimsTable(tuple(rows))
