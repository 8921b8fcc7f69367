"""Results next to each other, and cells of a table that say more in HTML than in text."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass

from varhandle.display import Rich


@dataclass(frozen=True)
class Cell:
    """A cell of a table: short in text, and drawn in HTML."""

    text: str
    markup: str

    def __str__(self) -> str:
        return self.text

    def __html__(self) -> str:
        return self.markup


@dataclass(frozen=True, repr=False)
class SideBySide(Rich):
    """Results by title, next to each other; they wrap where the page is narrow."""

    parts: Mapping[str, Rich]

    def __repr__(self) -> str:
        return f"SideBySide({', '.join(self.parts)})"

    def text(self) -> str:
        return "\n\n".join(
            f"{title}\n{'=' * len(title)}\n{part.text()}" for title, part in self.parts.items()
        )

    def html(self) -> str:
        blocks = "".join(
            # No <section>: a deck would take it for a slide.
            '<div style="flex: 1 1 20em; min-width: 0; overflow-x: auto">'
            f'<div style="font-weight: bold; margin-bottom: 0.3em">{html.escape(title)}</div>'
            f"{part.html()}</div>"
            for title, part in self.parts.items()
        )
        return f'<div style="display: flex; flex-wrap: wrap; gap: 2em">{blocks}</div>'


def side_by_side(parts: Mapping[str, Rich]) -> SideBySide:
    """Set results of this library next to each other, each under its title."""
    return SideBySide(dict(parts))
