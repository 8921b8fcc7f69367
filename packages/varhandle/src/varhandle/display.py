"""Text and HTML forms of small results: the one look that the whole workbook shares.

Standard library only. Every result has both forms, because a screen reader, a terminal
and nbval read the text, and a notebook draws the HTML. Colors are fixed ones that can be
told apart on a light and on a dark page: JupyterLab strips its own theme variables from
the stored output of a notebook that is not yet trusted. They never carry a meaning alone:
each tone has a word and a mark as well.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

#: tone -> (mark, color). The caller always writes the word beside the mark.
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

_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_COMMAND = re.compile(r"^\s*:(?=:)|#(?=#\[)")

_SHORT = 20  # characters of a cell that stays on one line: "[3, 3, 8, 16]", "ops that need Flex"
_NUMBER = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)? ?%?")

#: Of every table's caption: near its table, in one line.
CAPTION_STYLE = "text-align: left; white-space: nowrap; padding-bottom: 0.3em"

# JupyterLab breaks preformatted lines in the middle of a word, and sets them larger than code.
_CODE_STYLE = (
    "margin: 0.3em 0; font-size: 13px; white-space: pre-wrap; word-break: normal; "
    "overflow-wrap: anywhere"
)


def printable(name: object, most: int | None = _LONGEST_NAME) -> str:
    r"""Write a name out of a file so that it can be shown: one line, and nothing but its letters.

    A file's names are its author's choice. A newline would forge a line of a report, an escape
    sequence moves a terminal's cursor or sets its title, a bidirectional override shows a name
    backwards, and a lone surrogate cannot be written out at all. HTML still has to be escaped.
    """
    text = str(name)
    if most is not None and len(text) > most:
        text = f"{text[: most // 2]}…{text[len(text) - (most - 1) // 2 :]}"
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def one_line(told: object, most: int | None = None) -> str:
    """Write what an error says, or anybody, as one line that can be shown (``printable``)."""
    # A KeyError puts quotes around what it says.
    said = told.args[0] if isinstance(told, KeyError) and told.args else told
    text = " ".join(str(said).split())
    if not text and isinstance(told, BaseException):
        text = type(told).__name__
    return printable(text, most)


def without_color(text: str) -> str:
    """Take a terminal's colors out of what a library says: Keras sets its faults in bold."""
    return _COLOR.sub("", text)


def inert(line: str) -> str:
    """Write a line of a program's output so that no CI service takes it for a command of its own.

    GitHub's runner reads both streams of a step: it obeys a line that begins with ``::``, and
    ``##[`` anywhere in one. A file's name may be so.
    """
    return _COMMAND.sub(lambda found: f"{found[0][:-1]}\\x{ord(found[0][-1]):x}", line)


def join_names(names: Iterable[object], most: int = 4) -> str:
    """Write different names out of a file for a sentence: the first few, and how many more."""
    every = list(dict.fromkeys(printable(name) for name in names))
    more = len(every) - most
    return ", ".join(every[:most]) + (f" and {more} more" if more > 0 else "")


def counted(number: int, noun: str, plural: str = "") -> str:
    """Write a number of things: ``1 node``, ``2 nodes``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def join_words(words: Sequence[str]) -> str:
    """Write words for a sentence, all of them: ``a, b and c``."""
    *first, last = words or [""]
    return f"{', '.join(first)} and {last}" if first else last


def join_all(names: Iterable[str], empty: str = "none") -> str:
    """Join all names with commas; ``empty`` where there are none."""
    return ", ".join(names) or empty


class Rich:
    """Base of results that a notebook shows: subclasses define ``text`` or ``html``, or both."""

    def text(self) -> str:
        """Return the plain form, which a terminal, a screen reader and nbval see: the ``repr``."""
        return repr(self)

    def html(self) -> str:
        """Return the HTML form; by default the text, kept as it is set."""
        return code_html(self.text())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self.text(), "text/html": self.html()}


Table = tuple[Sequence[str], Sequence[Sequence[object]], str]
"""Column titles, rows and caption."""


class RichTable(Rich):
    """A result that is one table: subclasses define ``_table``."""

    def _table(self) -> Table:
        """Return column titles, rows and caption."""
        raise NotImplementedError(f"{type(self).__name__} must define _table()")

    def text(self) -> str:
        """Return the table in plain text."""
        headers, rows, _ = self._table()
        return table_text(headers, rows)

    def html(self) -> str:
        """Return the same in HTML."""
        return table_html(*self._table())


def code_html(text: str) -> str:
    """Set code, or a program's own words, as it stands; lines too long break between words."""
    return f'<pre style="{_CODE_STYLE}">{html.escape(text)}</pre>'


def table_text(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Set a table in plain text."""
    columns = [*zip(headers, *rows, strict=True)]
    padded = []
    for title, *values in columns:
        cells = [printable(value, _LONGEST_CELL) for value in (title, *values)]
        width = max(map(len, cells))
        numeric = bool(values) and all(isinstance(value, (int, float)) for value in values)
        set_flush = str.rjust if numeric else str.ljust
        lines = [set_flush(cell, width) for cell in cells]
        padded.append([lines[0], "-" * width, *lines[1:]])
    return "\n".join("  ".join(line).rstrip() for line in zip(*padded, strict=True))


def table_html(headers: Sequence[str], rows: Iterable[Sequence[object]], caption: str) -> str:
    """Set a table in HTML, with a caption and column scopes for screen readers.

    Numbers are set flush right under their title, also those that are given as text.
    """
    body = [tuple(row) for row in rows]
    sides = [
        "right" if any(value != "" for value in values) and all(map(_is_number, values)) else "left"
        for values in ([row[column] for row in body] for column in range(len(headers)))
    ]
    head = "".join(
        f'<th scope="col" style="text-align: {side}">{_cell_html(title)}</th>'
        for title, side in zip(headers, sides, strict=True)
    )
    lines = []
    for row in body:
        cells = ""
        for value, side in zip(row, sides, strict=True):
            wrap = "; white-space: nowrap" if len(str(value)) <= _SHORT else ""
            cells += f'<td style="text-align: {side}{wrap}">{_cell_html(value)}</td>'
        lines.append(f"<tr>{cells}</tr>")
    return (
        f'<table><caption style="{CAPTION_STYLE}">{html.escape(printable(caption, most=None))}'
        f"</caption>{f'<thead><tr>{head}</tr></thead>' if any(headers) else ''}"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _is_number(value: object) -> bool:
    """Whether it reads as a number; an empty cell between numbers does not stand in their way."""
    return isinstance(value, (int, float)) or (
        isinstance(value, str) and (not value or bool(_NUMBER.fullmatch(value)))
    )


def _cell_html(value: object) -> str:
    own = getattr(value, "__html__", None)
    return str(own()) if own else html.escape(printable(value, _LONGEST_CELL))


def panel_html(tone: str, title: str, body_html: str = "") -> str:
    """Frame a message: one colored rule at the left, a mark, a title, and the body."""
    mark, color = TONES[tone]
    return (
        f'<div role="group" style="border-left: 4px solid {color}; '
        f'padding: 0.25em 0.9em; margin: 0.3em 0">'
        f'<div><span aria-hidden="true" style="color: {color}; font-weight: bold">{mark}</span> '
        f"<strong>{html.escape(printable(title, most=None))}</strong></div>{body_html}</div>"
    )
