"""Two flows of one model beside each other: what a step of the way took out, and what it put in."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from varhandle.display import Rich, printable
from workbook_lib.show.drawing import Marks, image_html
from workbook_lib.show.flow import Step
from workbook_lib.show.flowchart import Flowchart

_GONE, _NEW = "gone", "new"
_EDGES = ("input", "output")
"""A frozen graph has no signature that would name these, so they are not compared."""


@dataclass(frozen=True, repr=False)
class BeforeAfter(Rich):
    """Two flows, compared."""

    before: Flowchart  # the flow before
    after: Flowchart  # the flow after
    gone: tuple[str, ...]  # ids of the steps of ``before`` that have no equal in ``after``
    new: tuple[str, ...]  # ids of the steps of ``after`` that have no equal in ``before``

    def __repr__(self) -> str:
        return f"BeforeAfter({len(self.gone)} boxes gone, {len(self.new)} new)"

    def text(self) -> str:
        """Return what is gone and what is new, then both flows in words."""
        return "\n".join(
            [
                f"gone: {_counted(self.before.steps, self.gone)}",
                f"new: {_counted(self.after.steps, self.new)}",
                f"Before. {self.before.text()}",
                f"After. {self.after.text()}",
            ]
        )

    def html(self) -> str:
        """Return both drawings, beside each other where the page is wide enough."""
        parts = (
            ("Before", self.before, Marks(dict.fromkeys(self.gone, _GONE)), self.gone, "gone"),
            ("After", self.after, Marks(dict.fromkeys(self.new, _NEW)), self.new, "new"),
        )
        drawn = "".join(
            # A basis below their own width: they shrink before they go below each other.
            '<figure style="flex: 1 1 22em; margin: 0; min-width: 0">'
            f"<figcaption><strong>{title}</strong>, {word}: "
            f"{html.escape(_counted(chart.steps, ids))}</figcaption>"
            f"{image_html(chart.svg(marks), chart.text())}</figure>"
            for title, chart, marks, ids, word in parts
        )
        return f'<div style="display: flex; flex-wrap: wrap; gap: 1.5em">{drawn}</div>'


def before_after(before: Flowchart, after: Flowchart) -> BeforeAfter:
    """Set two flows of one model beside each other, and mark what differs.

    Two boxes are equal if kind, name, dtype and shape are, and for an access its variable; of
    several equal ones as many are left as the other graph has. Inputs and outputs are not compared.
    """
    return BeforeAfter(
        before,
        after,
        _without_equal(before.steps, after.steps),
        _without_equal(after.steps, before.steps),
    )


def _without_equal(steps: Iterable[Step], others: Iterable[Step]) -> tuple[str, ...]:
    left = Counter(_nature(step) for step in others)
    unpaired = []
    for step in steps:
        if step.kind in _EDGES:
            continue
        if left[_nature(step)]:
            left[_nature(step)] -= 1
        else:
            unpaired.append(step.id)
    return tuple(unpaired)


def _nature(step: Step) -> tuple[str, str, str, str | None]:
    return step.kind, _unnumbered(step), step.detail, step.variable


def _unnumbered(step: Step) -> str:
    """Return the name as it was before steps of one op were told apart: ``AddV2 #2``."""
    return re.sub(r" #\d+$", "", step.name) if step.kind in {"op", "read", "assign"} else step.name


def _counted(steps: Iterable[Step], ids: Iterable[str]) -> str:
    chosen = set(ids)
    counts = Counter(
        step.kind if step.kind in {"variable", "constant"} else _unnumbered(step)
        for step in steps
        if step.id in chosen
    )
    return ", ".join(f"{count} {printable(name)}" for name, count in counts.items()) or "nothing"
