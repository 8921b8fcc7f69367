"""On which TensorFlow releases a model's trouble was seen: the measured matrix, for one model."""

from __future__ import annotations

import html
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from varhandle.display import Rich, table_html, table_text

if TYPE_CHECKING:
    from varhandle.diagnosis import Diagnosis, Finding
    from varhandle.matrix.version_matrix import CaseReleases

_HEADERS = ("finding", "a program that has it", "on TensorFlow")


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
        return f"Of {count} measured releases, none of it was seen on {self._spans()}."

    def _spans(self) -> str:
        """Write the releases that escape, those in a row as a span."""
        runs = [
            [version for version, _ in group]
            for out, group in groupby(
                ((version, version in self.escapes) for version in self.measured),
                key=lambda pair: pair[1],
            )
            if out
        ]
        return ", ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)

    def text(self) -> str:
        """Return a line for each program, and what follows."""
        if not self.rows:
            return self.conclusion
        return f"{table_text(_HEADERS, self.rows)}\n\n{self.conclusion}"

    def html(self) -> str:
        """Return the same as a table and a sentence."""
        sentence = f"<p>{html.escape(self.conclusion)}</p>"
        if not self.rows:
            return sentence
        return table_html(_HEADERS, self.rows, "programs with the same findings") + sentence


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
        own = replace(family, cases=_cases(finding, diagnosis, family.cases))
        if not wrong:
            works = tuple(case for case in own.cases if measured[-1] in case.versions("works"))
            own = replace(own, cases=works)
        rows.extend((finding.id, case.title, case.text()) for case in own.cases)
        failing.update(own.fails)
    escapes = tuple(version for version in measured if version not in failing)
    return ReleaseTable(tuple(rows), measured, escapes, bool(wrong))


def _cases(
    finding: Finding, diagnosis: Diagnosis, cases: tuple[CaseReleases, ...]
) -> tuple[CaseReleases, ...]:
    """Return the programs that have what this model has: of its dtype, where they name one."""
    dtypes = {v.dtype for v in diagnosis.variables if v.name in finding.variables}
    own = tuple(case for case in cases if case.title.split()[0].rstrip(",") in dtypes)
    return own or cases
