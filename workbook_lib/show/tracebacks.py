"""A traceback as the reader's own terminal showed it: red, whole, in a box that scrolls."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from itertools import dropwhile

from varhandle.display import TONES, Rich

_RED = TONES["raised"][1]
_BOX = (
    f"max-height: 13em; overflow: auto; border-left: 4px solid {_RED}; margin: 0; "
    "padding: 0.2em 0.8em; font-size: 12px; line-height: 1.4; "
    "white-space: pre-wrap; overflow-wrap: anywhere"
)
# Its letters keep the color of the page, which can be read in a light and in a dark theme.
_MARKED = "background: rgba(229, 57, 53, 0.18)"
TRACEBACK = 'aria-label="the traceback"'
_FRAME = re.compile(r'  File ".*\n(?:    .*\n)?')
_FAULT = re.compile(r"^(\w[\w.]*(?:Error|Exception)\b|.*' op is neither ).*", re.MULTILINE)


@dataclass(frozen=True, repr=False)
class RedError(Rich):
    """A traceback; a notebook shows the whole of it in a box of a few lines that scrolls."""

    traceback: str

    def __repr__(self) -> str:
        return f"RedError({len(self.traceback.splitlines())} lines)"

    def text(self) -> str:
        return self.traceback

    def html(self) -> str:
        inner, start, end = self._inner_frames()
        folded = (
            f"<details><summary>{len(inner)} more frames, inside the libraries</summary>"
            f"{html.escape(self.traceback[start:end], quote=False)}</details>"
        )
        markup = (
            html.escape(self.traceback[:start], quote=False)
            + (folded if inner else "")
            + _FAULT.sub(_marked, html.escape(self.traceback[end:], quote=False))
        )
        return f'<pre tabindex="0" role="region" {TRACEBACK} style="{_BOX}">{markup}</pre>'

    def excerpt(self, lines: int, across: int) -> RedError:
        """Keep the two ends of a message of more lines; below the first, lines are cut off."""
        _, _, end = self._inner_frames()
        first, *others = self.traceback[end:].splitlines() or [""]
        message = [first, *(line[:across] for line in others)]
        if len(message) > lines:
            message = [*message[: lines // 2], "…", *message[-(lines // 2) :]]
        return RedError(self.traceback[:end] + "\n".join(message))

    def _inner_frames(self) -> tuple[list[re.Match[str]], int, int]:
        """Return the frames inside the libraries, and where they begin and end."""
        frames = list(_FRAME.finditer(self.traceback))
        inner = list(dropwhile(lambda frame: '"cell"' in frame[0], frames))
        return inner, *((inner[0].start(), inner[-1].end()) if inner else (0, 0))


def _marked(line: re.Match[str]) -> str:
    return f'<b style="{_MARKED}">{line[0]}</b>'


def red_error(traceback: str) -> RedError:
    """Show a traceback, such as ``Record.traceback``, as a terminal does."""
    return RedError(traceback.rstrip())
