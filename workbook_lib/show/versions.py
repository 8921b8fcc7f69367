"""What every TensorFlow release does with every case, as one grid."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from varhandle.display import CAPTION_STYLE, Rich, table_text


@dataclass(frozen=True)
class MatrixOutcome:
    """How one outcome is shown: a letter in text, a mark and a word in HTML, a color as well."""

    letter: str
    mark: str
    word: str
    meaning: str
    tone: str


OUTCOMES = {
    id: MatrixOutcome(*shown)
    for id, *shown in (
        ("works", "W", "✓", "works", "converts, and the answer is right", "right"),
        ("error", "E", "✗", "error", "an error, at the latest from the converter", "wrong"),
        ("refused", "R", "⊘", "refused", "converts, but the interpreter refuses", "waiting"),
        ("wrong", "G", "≠", "garbage", "converts and runs, but the answer is wrong", "raised"),
        ("crash", "C", "!", "crash", "the process dies", "raised"),
        ("absent", "A", "∅", "absent", "the release has no such setting", "neutral"),
    )
}
NOT_RUN = MatrixOutcome(
    "-", "·", "not run", "release not installed, or case not tried on it", "neutral"
)

_TINTS = {
    "right": "rgba(46, 125, 50, 0.16)",
    "wrong": "rgba(255, 160, 0, 0.20)",
    "waiting": "rgba(2, 119, 189, 0.18)",
    "raised": "rgba(198, 40, 40, 0.22)",
    "neutral": "rgba(128, 128, 128, 0.10)",
}
# Every minor release is a column: small, so that the newest is seen without scrolling.
_CELL = "text-align: center; padding: 4px 1px; white-space: nowrap; font-size: 0.85em"
_FIRST = (
    "text-align: left; position: sticky; left: 0; background-color: var(--jp-layout-color0, white)"
)
_TITLE = f"{_FIRST}; min-width: 12em; font-weight: normal"


@dataclass(frozen=True)
class Cell:
    """What one release did with one case."""

    version: str
    outcome: MatrixOutcome
    label: str = ""


@dataclass(frozen=True, repr=False)
class VersionGrid(Rich):
    """Cases against releases."""

    versions: tuple[str, ...]  # the releases, in the order of the columns
    pythons: tuple[str, ...]  # the Python version each was run on, in step with ``versions``
    cases: tuple[tuple[str, tuple[Cell, ...]], ...]

    def __repr__(self) -> str:
        return f"VersionGrid({len(self.cases)} cases, {len(self.versions)} releases)"

    def _caption(self) -> str:
        return f"What each TensorFlow release does: {len(self.cases)} cases, one column a release"

    def _legend(self) -> Iterator[MatrixOutcome]:
        shown = {cell.outcome for _, cells in self.cases for cell in cells}
        return (outcome for outcome in (*OUTCOMES.values(), NOT_RUN) if outcome in shown)

    def text(self) -> str:
        """Set a letter for each cell, the legend, then what was seen, release by release."""
        grid = table_text(
            ("case", *self.versions),
            [(title, *(cell.outcome.letter for cell in cells)) for title, cells in self.cases],
        )
        legend = "\n".join(f"{each.letter}  {each.word}: {each.meaning}" for each in self._legend())
        seen = "\n".join(
            f"{title}\n" + "\n".join(f"  {line}" for line in _runs(cells))
            for title, cells in self.cases
        )
        return f"{self._caption()}\n\n{grid}\n\n{legend}\n\n{seen}"

    def html(self) -> str:
        """Set the grid of marks, the legend, and a folded list of what each release said."""
        head = "".join(
            f'<th scope="col" style="{_CELL}" title="TensorFlow {html.escape(version)}'
            f'{html.escape(f", Python {python}" if python else "")}">'
            f"{html.escape('.'.join(version.split('.')[:2]))}</th>"  # some twenty are to fit a page
            for version, python in zip(self.versions, self.pythons, strict=True)
        )
        body = "".join(
            f'<tr><th scope="row" style="{_TITLE}">{html.escape(title)}</th>'
            f"{''.join(map(_cell_html, cells))}</tr>"
            for title, cells in self.cases
        )
        legend = "".join(
            f'<li style="margin-right: 1.5em"><span style="{_CELL}; '
            f'background-color: {_TINTS[each.tone]}">{each.mark} {each.word}</span> '
            f"{each.meaning}</li>"
            for each in self._legend()
        )
        seen = "".join(
            f"<dt>{html.escape(title)}</dt>"
            + "".join(f"<dd>{html.escape(line)}</dd>" for line in _runs(cells))
            for title, cells in self.cases
        )
        return (
            f'<div style="overflow-x: auto"><table><caption style="{CAPTION_STYLE}">'
            f"{html.escape(self._caption())}</caption>"
            f'<thead><tr><th scope="col" style="{_FIRST}">case</th>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
            '<ul style="display: flex; flex-wrap: wrap; list-style-type: none; padding-left: 0">'
            f"{legend}</ul><details><summary>What each release said</summary><dl>{seen}</dl>"
            "</details>"
        )


def version_grid(data: Mapping[str, Any], cases: Sequence[str] | None = None) -> VersionGrid:
    """Draw the outcomes of cases on TensorFlow releases.

    ``cases`` are ids, in the order in which they are drawn; by default those that ``data`` does not
    leave out by ``"drawn": false``. Raises ``KeyError``: there is no such case. Raises
    ``ValueError``: an outcome is not one of those known.
    """
    versions = data["versions"]
    titles = {case["id"]: case["title"] for case in data["cases"]}
    if cases is None:
        cases = [case["id"] for case in data["cases"] if case.get("drawn", True)]
    return VersionGrid(
        tuple(entry["version"] for entry in versions),
        tuple(entry.get("python") or "" for entry in versions),
        tuple((titles[case], tuple(_cell(entry, case) for entry in versions)) for case in cases),
    )


def _cell(entry: Mapping[str, Any], case: str) -> Cell:
    result = entry.get("results", {}).get(case)
    if not entry.get("installed", True) or result is None:
        return Cell(entry["version"], NOT_RUN)
    if result["outcome"] not in OUTCOMES:
        raise ValueError(
            f"TensorFlow {entry['version']}, case {case}: outcome {result['outcome']!r} "
            f"is not one of {', '.join(OUTCOMES)}"
        )
    return Cell(entry["version"], OUTCOMES[result["outcome"]], result.get("label") or "")


def _cell_html(cell: Cell) -> str:
    return (
        f'<td style="{_CELL}; background-color: {_TINTS[cell.outcome.tone]}" '
        f'title="{html.escape(cell.label, quote=True)}">'
        f'<strong role="img" aria-label="{cell.outcome.word}">{cell.outcome.mark}</strong></td>'
    )


def _runs(cells: Sequence[Cell]) -> Iterator[str]:
    """Say a case in a line for each run of releases that did the same."""
    for (outcome, label), group in groupby(cells, key=lambda cell: (cell.outcome, cell.label)):
        versions = [cell.version for cell in group]
        span = versions[0] if len(versions) == 1 else f"{versions[0]} to {versions[-1]}"
        yield f"{span}: {outcome.word}{f', {label}' if label else ''}"
