"""Text and HTML forms of small results: the one look that the whole workbook shares.

Standard library only. Every result has both forms, because a screen reader, a terminal
and nbval read the text, and a notebook draws the HTML. Colours are fixed ones that can be
told apart on a light and on a dark page: JupyterLab strips its own theme variables from
the stored output of a notebook that is not yet trusted. They never carry a meaning alone:
each tone has a word and a mark as well.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

#: tone -> (mark, colour). The caller always writes the word beside the mark.
TONES: dict[str, tuple[str, str]] = {
    "neutral": ("•", "#8a8a8a"),
    "waiting": ("?", "#0288d1"),
    "right": ("✓", "#388e3c"),
    "wrong": ("✗", "#c77700"),
    "raised": ("!", "#e53935"),
}

# A file may hold names of megabytes, and a table pads every row to its longest cell.
_LONGEST_NAME = 300
_LONGEST_CELL = 2000


def printable(name: object, most: int | None = _LONGEST_NAME) -> str:
    r"""Write a name out of a file so that it can be shown: one line, and nothing but its letters.

    A file's names are its author's choice. A newline would forge a line of a report, an escape
    sequence moves a terminal's cursor or sets its title, a bidirectional override shows a name
    backwards, and a lone surrogate cannot be written out at all. HTML still has to be escaped.

    Args:
        name: The name; anything that is not text is taken as ``str`` gives it.
        most: Its middle is left out above this many characters; ``None`` for no limit.

    Returns:
        The name, with Python's escape (``\n``, ``\x1b``, ``\u202e``, ``\ud800``) for each
        character that is neither a printable one nor a blank.
    """
    text = str(name)
    if most is not None and len(text) > most:
        text = f"{text[: most // 2]}…{text[len(text) - (most - 1) // 2 :]}"
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


class Rich:
    """Base of results that a notebook shows: subclasses define ``text`` and ``html``."""

    def text(self) -> str:
        """Return the plain form: what a terminal, a screen reader and nbval see."""
        raise NotImplementedError(f"{type(self).__name__} must define text()")

    def html(self) -> str:
        """Return the HTML form; by default the text, kept as it is set."""
        return f'<pre style="margin: 0">{html.escape(self.text())}</pre>'

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self.text(), "text/html": self.html()}


def table_text(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Set a table in plain text.

    Args:
        headers: Column titles.
        rows: Cells of each row, as many as there are headers. Numbers are set flush right,
            everything else as :func:`printable` writes it.

    Returns:
        The table, columns two spaces apart, without trailing blanks.
    """
    body = [tuple(row) for row in rows]
    cells = [tuple(printable(value, _LONGEST_CELL) for value in row) for row in (headers, *body)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    numeric = [
        bool(body) and all(isinstance(row[column], (int, float)) for row in body)
        for column in range(len(headers))
    ]
    lines = []
    for row in cells:
        padded = (
            value.rjust(width) if right else value.ljust(width)
            for value, width, right in zip(row, widths, numeric, strict=True)
        )
        lines.append("  ".join(padded).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def table_html(headers: Sequence[str], rows: Iterable[Sequence[object]], caption: str) -> str:
    """Set a table in HTML, with a caption and column scopes for screen readers.

    Args:
        headers: Column titles.
        rows: Cells of each row, as many as there are headers; escaped here, unless a cell
            gives its own HTML in a method ``__html__`` (a link, a bar).
        caption: What the table shows.

    Returns:
        One ``<table>`` element.
    """
    head = "".join(
        f'<th scope="col" style="text-align: left">{_cell_html(title)}</th>' for title in headers
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="text-align: {"right" if isinstance(value, (int, float)) else "left"}">'
            f"{_cell_html(value)}</td>"
            for value in row
        )
        + "</tr>"
        for row in rows
    )
    return (
        '<table><caption style="text-align: left; white-space: nowrap">'
        f"{html.escape(printable(caption, most=None))}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _cell_html(value: object) -> str:
    own = getattr(value, "__html__", None)
    return str(own()) if own else html.escape(printable(value, _LONGEST_CELL))


def panel_html(tone: str, title: str, body_html: str = "") -> str:
    """Frame a message: one coloured rule at the left, a mark, a title, and the body.

    Args:
        tone: A key of ``TONES``.
        title: The title, which says the outcome in words; escaped here.
        body_html: HTML set as it is; the caller escapes it.

    Returns:
        One ``<div>`` element.
    """
    mark, colour = TONES[tone]
    return (
        f'<div role="group" style="border-left: 4px solid {colour}; '
        f'padding: 0.25em 0.9em; margin: 0.3em 0">'
        f'<div><span aria-hidden="true" style="color: {colour}; font-weight: bold">{mark}</span> '
        f"<strong>{html.escape(printable(title, most=None))}</strong></div>{body_html}</div>"
    )
