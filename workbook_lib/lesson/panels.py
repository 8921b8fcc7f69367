"""A message in a frame: the form that hints, notes and outcomes share."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from varhandle.display import Rich, panel_html

_CODE = re.compile(r"`([^`<]+)`")  # within one element: escaped text holds no "<"


def inline_code_html(markup: str) -> str:
    """Set what stands between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", markup)


def paragraphs_html(text: str) -> str:
    """Set lines of plain text as HTML, what stands between backticks as code."""
    lines = (html.escape(line, quote=False) for line in text.splitlines() if line.strip())
    return "".join(f"<div>{inline_code_html(line)}</div>" for line in lines)


@dataclass(frozen=True, repr=False)
class Panel(Rich):
    """A framed message."""

    tone: str  # A key of ``varhandle.display.TONES``
    title: str  # what it is, in words
    body: str = ""  # lines of plain text; backticks mark code

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.title})"

    def text(self) -> str:
        """Return the title and the body, a line each."""
        return "\n".join(part for part in (self.title, self.body) if part)

    def html(self) -> str:
        """Return the message in its frame."""
        return panel_html(self.tone, self.title, paragraphs_html(self.body))
