"""Compare a sweep with an earlier one: which verdict got worse, which answers drifted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from varhandle.evaluate.parity import TOLERANCES
from varhandle.facts.verdicts import VERDICTS
from varhandle.sweep.rows import OUTCOMES, Row

DRIFT_FACTOR = 10.0
"""How many times as large the largest difference must be to count as drift."""

NOISE_SHARE = 0.01
"""Share of the tolerance below which a difference is rounding, however it grows."""

_REGRESSIONS = ("worse", "drifted", "missing")
# A model that came to no verdict is as bad off in one way as in another.
_RANKS = {outcome: min(rank, len(VERDICTS)) for rank, outcome in enumerate(OUTCOMES)}


@dataclass(frozen=True)
class Change:
    """What became of one row since the baseline."""

    title: str  # the model and its settings
    kind: str  # "same", "better", "worse", "drifted", "new" or "missing"
    text: str  # what changed, in a few words
    before: str = ""  # the baseline's verdict; empty for a new row

    def __str__(self) -> str:
        return f"{self.kind}: {self.title}: {self.text}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, fit for JSON."""
        return {**vars(self), "before": self.before or None, "regression": self.regression}

    @property
    def regression(self) -> bool:
        """Whether it is a step back."""
        return self.kind in _REGRESSIONS


def compare_rows(rows: Sequence[Row], baseline: Sequence[Row]) -> tuple[Change, ...]:
    """Return a change for each row, in order, and then one for each row that is missing.

    Rows belong together if model name and settings are the same.
    """
    before = {row.title: row for row in baseline}
    now = {row.title for row in rows}
    changes = [_change(row, before.get(row.title)) for row in rows]
    missing = [
        Change(row.title, "missing", f"was {row.verdict}", row.verdict)
        for row in baseline
        if row.title not in now
    ]
    return (*changes, *missing)


def _change(row: Row, before: Row | None) -> Change:
    if before is None:
        return Change(row.title, "new", "not in the baseline")
    step = _RANKS[row.verdict] - _RANKS[before.verdict]
    kind, text = "same", ""
    if step > 0:
        kind, text = "worse", f"{before.verdict} → {row.verdict}"
    elif drift := _drift(row, before):
        kind, text = "drifted", drift
    elif step < 0:
        kind, text = "better", f"{before.verdict} → {row.verdict}"
    return Change(row.title, kind, text, before.verdict)


def _drift(row: Row, before: Row) -> str:
    """Say how the answers drifted away from TensorFlow's; empty if they did not."""
    if before.agreeing is None or not before.calls:
        return ""
    if row.agreeing is None or not row.calls:
        return "answers are no longer compared" if row.verdict == before.verdict else ""
    if row.agreeing / row.calls < before.agreeing / before.calls:
        return f"{before.agreeing} of {before.calls} → {row.agreeing} of {row.calls} calls agree"
    was, now = before.largest_difference, row.largest_difference
    if was is None or now is None or math.isnan(was):
        return ""
    # Where each output was allowed what its dtype is, take that of float32.
    floor = NOISE_SHARE * (TOLERANCES["float32"] if row.tolerance is None else row.tolerance)
    if now <= max(floor, DRIFT_FACTOR * was):
        return ""
    return f"largest difference {was:.2g} → {now:.2g}"
