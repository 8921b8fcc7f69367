"""Two or three results next to each other."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser

from varhandle.display import Rich


class _TextOnly(HTMLParser):
    """Collects the words of a piece of HTML, a line for each row or block."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_endtag(self, tag: str) -> None:
        self.parts.append(
            "\n" if tag in {"tr", "p", "div", "caption", "li", "h3", "table"} else " "
        )


@dataclass(frozen=True, repr=False)
class SideBySide(Rich):
    """Results next to each other, which wrap where the page is narrow."""

    parts: Mapping[str, Rich | str]  # title to a result, or to HTML that is set as it is

    def __repr__(self) -> str:
        return f"SideBySide({', '.join(self.parts)})"

    def text(self) -> str:
        """Set the parts one below another, each under its title."""
        return "\n\n".join(
            f"{title}\n{'=' * len(title)}\n"
            f"{part.text() if isinstance(part, Rich) else _words(part)}"
            for title, part in self.parts.items()
        )

    def html(self) -> str:
        """Set the parts in a row."""
        blocks = "".join(
            '<section style="flex: 1 1 20em; min-width: 0; overflow-x: auto">'
            f'<div style="font-weight: bold; margin-bottom: 0.3em">{html.escape(title)}</div>'
            f"{part.html() if isinstance(part, Rich) else part}</section>"
            for title, part in self.parts.items()
        )
        return f'<div style="display: flex; flex-wrap: wrap; gap: 2em">{blocks}</div>'


def side_by_side(parts: Mapping[str, Rich | str]) -> SideBySide:
    """Set results next to each other."""
    return SideBySide(dict(parts))


def _words(markup: str) -> str:
    reader = _TextOnly()
    reader.feed(markup)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).splitlines())
    return "\n".join(line for line in lines if line)
