"""What a pasted traceback or a converter's log is about: the families of failure that it shows.

The signs of a log (``log_signs``) are phrases; a phrase is not yet a cause. VarHandleOp is named
for a dtype, for an update, for a graph that nobody froze; "Variable constant folding is failed" for
anything at all. The rules here (``log_meaning``) read the signs together, and say which failure the
log shows, which of its lines is only an echo, and what to do on today's TensorFlow.
"""

from __future__ import annotations

import html
import textwrap
from dataclasses import dataclass
from typing import Any

from varhandle.display import Rich, code_html, panel_html
from varhandle.families.log_meaning import meanings
from varhandle.families.log_signs import sightings
from varhandle.families.log_text import log_text, without_noise

_NOTHING = "nothing in this log is about a variable and a converter"


@dataclass(frozen=True)
class Match:
    """A family of failure that a log shows.

    Attributes:
        id: The family (see ``catalog.FAMILIES``).
        line: The line that gave it away, without colors and prefixes, shortened.
        message: What the line means here, with the names that it gives.
        fix: What to do on TensorFlow 2.21: a sentence, and code where code helps.
        line_number: Number of the line in the log, counted from 1.
    """

    id: str
    line: str
    message: str
    fix: str
    line_number: int


@dataclass(frozen=True, repr=False)
class Explanation(Rich):
    """What a log is about.

    Attributes:
        matches: The families that it shows, the cause before its echoes; none if the log is about
            something else.
    """

    matches: tuple[Match, ...]

    def __repr__(self) -> str:
        found = ", ".join(match.id for match in self.matches)
        return f"Explanation({found or 'nothing recognized'})"

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain data, fit for JSON."""
        return {
            "matches": [
                {
                    "id": match.id,
                    "line": match.line,
                    "line_number": match.line_number,
                    "message": match.message,
                    "fix": match.fix,
                }
                for match in self.matches
            ]
        }

    def text(self) -> str:
        """Return each family with its meaning, its line and its cure."""
        if not self.matches:
            return _NOTHING
        return "\n\n".join(_match_text(match) for match in self.matches)

    def html(self) -> str:
        """Return the same as panels."""
        if not self.matches:
            return panel_html("neutral", _NOTHING)
        return "".join(_match_html(match) for match in self.matches)


def explain(text: str | bytes) -> Explanation:
    """Say what a pasted traceback or a converter's log is about.

    Args:
        text: The whole log, from any release of TensorFlow, as it was pasted: colors, prefixes,
            wrapped lines and quote marks may be in it. Bytes are decoded. Anything else shows
            nothing; nothing is ever raised.

    Returns:
        The families of failure that the log shows, best first.
    """
    found = meanings(sightings(without_noise(log_text(text))))
    return Explanation(
        tuple(
            Match(
                meaning.family,
                meaning.sighting.line,
                meaning.message,
                meaning.fix,
                meaning.sighting.line_number,
            )
            for meaning in found
        )
    )


def _match_text(match: Match) -> str:
    sentence, _, code = match.fix.partition("\n\n")
    lines = [
        f"{match.id}: {match.message}",
        f"  line {match.line_number}: {match.line}",
        f"  What to do: {sentence}",
    ]
    if code:
        lines += ["", textwrap.indent(code, "    ")]
    return "\n".join(lines)


def _match_html(match: Match) -> str:
    sentence, _, code = match.fix.partition("\n\n")
    body = (
        f"<p>{html.escape(match.message)}</p>"
        f"<p>line {match.line_number}: <code>{html.escape(match.line)}</code></p>"
        f"<p>What to do: {html.escape(sentence)}</p>"
    )
    if code:
        body += code_html(code)
    return panel_html("wrong", match.id, body)
