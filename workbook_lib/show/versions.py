"""What TensorFlow releases do: with every case, as one grid, and with the trouble of one model."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from varhandle.display import CAPTION_STYLE, Rich, table_html, table_text
from varhandle.facts.releases import runs, short, span

if TYPE_CHECKING:
    from varhandle.diagnosis import Diagnosis, Finding
    from varhandle.matrix.version_matrix import CaseReleases


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
# Every minor release is a column, all of one width, so that the newest is seen without scrolling.
_CELL = "text-align: center; padding: 4px 0; white-space: nowrap"
_HEAD, _MARK = f"{_CELL}; font-size: 0.75em; font-weight: normal", "font-size: 1.15em"
_PLAIN = "background: none"  # JupyterLab's stripes would make two tints of one meaning
_FIRST = (
    "text-align: left; position: sticky; left: 0; background-color: var(--jp-layout-color0, white)"
)
_TITLE = f"{_FIRST}; font-weight: normal; white-space: normal; padding-right: 0.5em"
_WIDE = "table-layout: fixed; width: 100%; min-width: 48em; border-collapse: collapse"

Cells = tuple[tuple[MatrixOutcome, str], ...]
"""What each release did with one case, and the words that gave it away."""


@dataclass(frozen=True, repr=False)
class VersionGrid(Rich):
    """Cases against releases."""

    versions: tuple[str, ...]  # the releases, in the order of the columns
    pythons: tuple[str, ...]  # the Python version each was run on, in step with ``versions``
    cases: tuple[tuple[str, Cells], ...]

    def __repr__(self) -> str:
        return f"VersionGrid({len(self.cases)} cases, {len(self.versions)} releases)"

    @property
    def _caption(self) -> str:
        return f"What each TensorFlow release does: {len(self.cases)} cases, one column a release"

    def _legend(self) -> Iterator[MatrixOutcome]:
        shown = {outcome for _, cells in self.cases for outcome, _ in cells}
        return (outcome for outcome in (*OUTCOMES.values(), NOT_RUN) if outcome in shown)

    def _case_lines(self, cells: Cells) -> Iterator[str]:
        """Say a case in a line for each run of releases that did the same."""
        for (outcome, label), run in runs(zip(self.versions, cells, strict=True)):
            yield f"{span(run)}: {outcome.word}{f', {label}' if label else ''}"

    def text(self) -> str:
        """Set the legend, a letter for each cell, then what was seen, release by release."""
        grid = table_text(
            ("case", *self.versions),
            [(title, *(outcome.letter for outcome, _ in cells)) for title, cells in self.cases],
        )
        legend = "\n".join(f"{each.letter}  {each.word}: {each.meaning}" for each in self._legend())
        seen = "\n".join(
            "\n  ".join([title, *self._case_lines(cells)]) for title, cells in self.cases
        )
        return f"{self._caption}\n\n{legend}\n\n{grid}\n\n{seen}"

    def html(self) -> str:
        """Set the legend, the grid of marks, and a folded list of what each release said."""
        head = "".join(
            f'<th scope="col" style="{_HEAD}" title="TensorFlow {html.escape(version)}'
            f'{html.escape(f", Python {python}" if python else "")}">'
            f"{html.escape(short(version))}</th>"  # some twenty are to fit a page
            for version, python in zip(self.versions, self.pythons, strict=True)
        )
        body = ""
        for title, cells in self.cases:
            body += (
                f'<tr style="{_PLAIN}"><th scope="row" style="{_TITLE}">{html.escape(title)}</th>'
            )
            for outcome, label in cells:
                body += (
                    f'<td style="{_CELL}; background-color: {_TINTS[outcome.tone]}" '
                    f'title="{html.escape(label)}"><strong role="img" style="{_MARK}" '
                    f'aria-label="{outcome.word}">{outcome.mark}</strong></td>'
                )
            body += "</tr>"
        legend = "".join(
            f'<li style="margin: 0 1.5em 0.3em 0"><span style="padding: 2px 6px; '
            f'background-color: {_TINTS[each.tone]}"><strong style="{_MARK}">{each.mark}</strong> '
            f"{each.word}</span> {each.meaning}</li>"
            for each in self._legend()
        )
        seen = "".join(
            f"<dt>{html.escape(title)}</dt>"
            + "".join(f"<dd>{html.escape(line)}</dd>" for line in self._case_lines(cells))
            for title, cells in self.cases
        )
        return (
            '<ul style="display: flex; flex-wrap: wrap; list-style-type: none; padding-left: 0">'
            f'{legend}</ul><div style="overflow-x: auto"><table style="{_WIDE}">'
            f'<caption style="{CAPTION_STYLE}">{html.escape(self._caption)}</caption>'
            f'<thead><tr><th scope="col" style="{_FIRST}; width: 13em">case</th>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
            f"<details><summary>What each release said</summary><dl>{seen}</dl></details>"
        )


def version_grid(data: Mapping[str, Any]) -> VersionGrid:
    """Draw what TensorFlow releases did with those cases that ``data`` does not leave out.

    It leaves one out by ``"drawn": false``. Raises ``ValueError``: an outcome is not known.
    """
    versions = data["versions"]
    return VersionGrid(
        tuple(entry["version"] for entry in versions),
        tuple(entry.get("python") or "" for entry in versions),
        tuple(
            (case["title"], tuple(_cell(entry, case["id"]) for entry in versions))
            for case in data["cases"]
            if case.get("drawn", True)
        ),
    )


def _cell(entry: Mapping[str, Any], case: str) -> tuple[MatrixOutcome, str]:
    result = entry.get("results", {}).get(case)
    if not entry.get("installed", True) or result is None:
        return NOT_RUN, ""
    if result["outcome"] not in OUTCOMES:
        raise ValueError(
            f"TensorFlow {entry['version']}, case {case}: outcome {result['outcome']!r} "
            f"is not one of {', '.join(OUTCOMES)}"
        )
    return OUTCOMES[result["outcome"]], result.get("label") or ""


@dataclass(frozen=True, repr=False)
class ReleaseTable(Rich):
    """What the matrix of releases says of a model's findings."""

    # id of the finding, title of a program that has the same, and what that did
    rows: tuple[tuple[str, str, str], ...]
    measured: tuple[str, ...]  # the releases that were measured, in their order
    escapes: tuple[str, ...]  # those on which none of these programs fails
    wrong: bool  # whether the findings are errors or warnings, and not merely worth knowing

    def __repr__(self) -> str:
        return f"ReleaseTable({self.conclusion})"

    @property
    def conclusion(self) -> str:
        """What follows, in one sentence."""
        count, first, last = len(self.measured), self.measured[0], self.measured[-1]
        if not self.rows:
            return "No program of the catalog has a finding of this model: nothing was measured."
        if not self.wrong:
            return f"All of it works on {last}; {count} releases were measured, from {first} on."
        if not self.escapes:
            return f"None of the {count} measured releases, {first} to {last}, gets round it."
        found = runs((version, version in self.escapes) for version in self.measured)
        spans = ", ".join(span(run) for escapes, run in found if escapes)
        return f"Of {count} measured releases, none of it was seen on {spans}."

    def _table(self) -> tuple[Sequence[str], Sequence[Sequence[object]]]:
        return ("finding", "a program that has it", "on TensorFlow"), self.rows

    def text(self) -> str:
        """Return a line for each program, and what follows."""
        table = f"{table_text(*self._table())}\n\n" if self.rows else ""
        return f"{table}{self.conclusion}"

    def html(self) -> str:
        sentence = f"<p>{html.escape(self.conclusion)}</p>"
        if not self.rows:
            return sentence
        return table_html(*self._table(), "Programs with the same findings") + sentence


def release_table(diagnosis: Diagnosis) -> ReleaseTable:
    """Say on which measured TensorFlow releases a model's findings were seen.

    A row for each program of the catalog that has one of the errors and warnings; where the model
    has none, for each that has what is worth knowing of it and works on the last release.
    """
    from varhandle.matrix.version_matrix import fails_on

    measured = fails_on("not-immutable").measured
    wrong = [f for f in diagnosis.findings if f.severity != "info"]
    rows: list[tuple[str, str, str]] = []
    failing: set[str] = set()
    first = {finding.id: finding for finding in reversed(wrong or diagnosis.findings)}
    for finding in reversed(first.values()):
        family = fails_on(finding.id)
        cases = _matching_cases(finding, diagnosis, family.cases)
        if not wrong:
            cases = tuple(case for case in cases if measured[-1] in case.versions("works"))
        rows.extend((finding.id, case.title, case.text()) for case in cases)
        failing.update(replace(family, cases=cases).fails)
    escapes = tuple(version for version in measured if version not in failing)
    return ReleaseTable(tuple(rows), measured, escapes, bool(wrong))


def _matching_cases(
    finding: Finding, diagnosis: Diagnosis, cases: tuple[CaseReleases, ...]
) -> tuple[CaseReleases, ...]:
    """Return the programs that have what this model has: of its dtype, where they name one."""
    dtypes = {v.dtype for v in diagnosis.variables if v.name in finding.variables}
    own = tuple(case for case in cases if case.title.split()[0].rstrip(",") in dtypes)
    return own or cases
