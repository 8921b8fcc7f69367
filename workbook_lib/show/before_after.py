"""Two drawings of one model beside each other: what a step took out, and what it put in."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from varhandle.display import Rich, printable
from varhandle.inspection.dataflow import Box
from varhandle.inspection.graph_drawing import GraphDrawing
from varhandle.inspection.svg_drawing import Marks, image_html


@dataclass(frozen=True, repr=False)
class BeforeAfter(Rich):
    """Two drawings, compared."""

    before: GraphDrawing
    after: GraphDrawing
    gone: tuple[str, ...]  # ids of the boxes of ``before`` that have no equal in ``after``
    new: tuple[str, ...]  # ids of the boxes of ``after`` that have no equal in ``before``

    def __repr__(self) -> str:
        return f"BeforeAfter({len(self.gone)} boxes gone, {len(self.new)} new)"

    def text(self) -> str:
        """Return what is gone and what is new, then both in words."""
        return "\n".join(
            [
                f"gone: {_counted(self.before.boxes, self.gone)}",
                f"new: {_counted(self.after.boxes, self.new)}",
                f"Before. {self.before.text()}",
                f"After. {self.after.text()}",
            ]
        )

    def html(self) -> str:
        """Return both drawings, beside each other where the page is wide enough."""
        sides = (
            ("Before", self.before, self.gone, "gone"),
            ("After", self.after, self.new, "new"),
        )
        drawn = "".join(
            # A basis below their own width: they shrink before they go below each other.
            '<figure style="flex: 1 1 22em; margin: 0; min-width: 0">'
            f"<figcaption><strong>{title}</strong>, {word}: "
            f"{html.escape(_counted(drawing.boxes, ids))}</figcaption>"
            f"{image_html(drawing.svg(Marks(dict.fromkeys(ids, word))), drawing.text())}</figure>"
            for title, drawing, ids, word in sides
        )
        return f'<div style="display: flex; flex-wrap: wrap; gap: 1.5em">{drawn}</div>'


def compare_drawings(before: GraphDrawing, after: GraphDrawing) -> BeforeAfter:
    """Set two drawings of one model beside each other, and mark what differs.

    Two boxes are equal if kind, name, dtype and shape are, and for an access its variable; of
    several equal ones as many are left as the other graph has. Inputs and outputs are not compared:
    a frozen graph has no signature that would name them.
    """
    gone = _without_equal(before.boxes, after.boxes)
    return BeforeAfter(before, after, gone, _without_equal(after.boxes, before.boxes))


def _without_equal(boxes: Iterable[Box], others: Iterable[Box]) -> tuple[str, ...]:
    left = Counter(_nature(box) for box in others)
    unpaired = []
    for box in boxes:
        if box.kind in {"input", "output"}:
            continue
        if left[_nature(box)]:
            left[_nature(box)] -= 1
        else:
            unpaired.append(box.id)
    return tuple(unpaired)


def _nature(box: Box) -> tuple[str, str, str, str | None]:
    return box.kind, _unnumbered(box), box.detail, box.variable


def _unnumbered(box: Box) -> str:
    """Return the name as it was before boxes of one op were told apart: ``AddV2 #2``."""
    return re.sub(r" #\d+$", "", box.name) if box.kind in {"op", "read", "assign"} else box.name


def _counted(boxes: Iterable[Box], ids: tuple[str, ...]) -> str:
    counts = Counter(
        box.kind if box.kind in {"variable", "constant"} else _unnumbered(box)
        for box in boxes
        if box.id in ids
    )
    return ", ".join(f"{count} {printable(name)}" for name, count in counts.items()) or "nothing"
