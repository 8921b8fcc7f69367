"""What a verdict is called, how good it is, what it means, and which exit code it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Verdict = Literal["ready", "convertible", "unproved", "blocked", "wrong-answers"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""From the best to the worst."""

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Of a finding, from the worst to the mildest."""


@dataclass(frozen=True)
class VerdictMeaning:
    """What is to be said of a verdict."""

    exit_code: int  # of ``diagnose``; of ``cure`` that wrote a file
    tone: str  # of a panel that shows it
    mark: str  # beside the word, which always stands with it
    proved: str  # what it says of a model that was converted and compared
    read: str = ""  # what it says of a model that was only read
    of_a_file: str = ""  # what it says of a .tflite file

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return self.exit_code == 0

    def sentence(self, converted: bool, proved: bool) -> str:
        """Say what the verdict means for a model, or for a .tflite file: one that is converted."""
        found = (self.of_a_file if converted else "") or self.proved
        return found if proved else self.read or found


_NOTHING = "by reading alone, nothing in it stands in the way"

MEANINGS: dict[Verdict, VerdictMeaning] = {
    "ready": VerdictMeaning(
        0, "right", "✓", "a .tflite file that runs", _NOTHING,
        "a .tflite file that runs; it was compared with nothing but itself",
    ),
    "convertible": VerdictMeaning(0, "right", "✓", "it converts to .tflite", _NOTHING),
    "unproved": VerdictMeaning(
        3, "neutral", "?", "it converts, and nothing that means anything could be compared",
        "nothing was run, so nothing is proved",
        "nothing that means anything could be compared",
    ),
    "blocked": VerdictMeaning(
        1, "raised", "✗", "it gives no .tflite file that runs", of_a_file="the file does not run"
    ),
    "wrong-answers": VerdictMeaning(
        1, "raised", "✗", "it converts, and the file answers wrongly",
        of_a_file="the file runs, and answers wrongly",
    ),
}  # fmt: skip
