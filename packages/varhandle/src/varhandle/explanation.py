"""What a pasted traceback or a log of TFLite is about: the families of failure that it shows.

Each family of ``families`` says what it sees in the phrases of a log: which failure it shows, which
of its lines is only an echo, and what to do on today's TensorFlow.
"""

from __future__ import annotations

import html
import textwrap
from dataclasses import dataclass
from typing import Any

from varhandle.display import Rich, code_html, panel_html
from varhandle.families.catalog import diagnose_log
from varhandle.families.log_index import LogDiagnosis
from varhandle.families.log_text import decode_log, without_noise

_NOTHING = (
    "nothing in this log is about a converter or a runtime of TFLite: give all of it, from the "
    "first error on, or try `varhandle diagnose MODEL`"
)


@dataclass(frozen=True, repr=False)
class Explanation(Rich):
    """What a log is about: nothing, or families of failure, the cause before its echoes."""

    matches: tuple[LogDiagnosis, ...]

    def __repr__(self) -> str:
        found = ", ".join(match.id for match in self.matches)
        return f"Explanation({found or 'nothing recognized'})"

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain data, fit for JSON."""
        names = ("id", "line", "line_number", "message", "fix")
        return {
            "matches": [{name: getattr(match, name) for name in names} for match in self.matches]
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

    The log may be of any release of TensorFlow, as it was pasted: with colors, prefixes, wrapped
    lines and quote marks. Bytes are decoded. Anything else shows nothing; nothing is ever raised.
    """
    return Explanation(diagnose_log(without_noise(decode_log(text))))


def _match_text(match: LogDiagnosis) -> str:
    sentence, _, code = match.fix.partition("\n\n")
    lines = [
        f"{match.id}: {match.message}",
        f"  line {match.line_number}: {match.line}",
        f"  What to do: {sentence}",
    ]
    if code:
        lines += ["", textwrap.indent(code, "    ")]
    return "\n".join(lines)


def _match_html(match: LogDiagnosis) -> str:
    sentence, _, code = match.fix.partition("\n\n")
    body = (
        f"<p>{html.escape(match.message)}</p>"
        f"<p>line {match.line_number}: <code>{html.escape(match.line)}</code></p>"
        f"<p>What to do: {html.escape(sentence)}</p>"
    )
    if code:
        body += code_html(code)
    return panel_html("wrong", match.id, body)
