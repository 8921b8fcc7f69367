"""What of an executed notebook answers a question, and which outputs come before any is asked."""

from __future__ import annotations

import re
from typing import Any

QUESTION, OBSERVED = "Predict: ", "Observed: "
"""How the text of a question begins, and the line that answers it."""

EXPLANATION = "explanation"
"""Tag of a text that tells what a run has shown: it would stand in sight of the question."""


def question_lines(output: Any) -> list[str]:
    """Return the question and the options that an output shows; nothing if it shows none."""
    lines = _plain(output).splitlines()
    return lines if lines and lines[0].startswith(QUESTION) else []


def observed_line(output: Any) -> str:
    """Return the line of an output that says what was observed; nothing if none does."""
    return next((line for line in _plain(output).splitlines() if line.startswith(OBSERVED)), "")


def answering_cells(notebook: dict[str, Any]) -> set[str]:
    """Return the ids of the cells below each question, up to the one that says what was observed.

    The run that is asked about is among them.
    """
    found: set[str] = set()
    below: list[str] | None = None  # cells since a question that is still open
    for cell in notebook["cells"]:
        outputs = cell.get("outputs", ())
        if any(question_lines(output) for output in outputs):
            below = below or []
        elif below is not None:
            below.append(cell["id"])
        if any(observed_line(output) for output in outputs):
            found.update(below or [cell["id"]])
            below = None
    return found


def opening_cells(notebook: dict[str, Any]) -> set[str]:
    """Return the ids of the folded cells that draw something before the first question.

    What they draw is all that shows of them. It is the same on every machine. A notebook that asks
    nothing has none: it is a report, and tells of a run alone.
    """
    found: set[str] = set()
    for cell in notebook["cells"]:
        about, outputs = cell["metadata"], cell.get("outputs", ())
        if any(question_lines(output) for output in outputs):
            return found
        is_folded = about.get("jupyter", {}).get("source_hidden")
        is_fixed = "nbval-ignore-output" not in about.get("tags", ())
        if is_folded and is_fixed and all("data" in output for output in outputs):
            found.add(cell["id"])
    return set()


def folded_explanation(text: str) -> str:
    """Fold a text that tells what a run has shown, up to its first heading, until it is opened."""
    told, *below = re.split(r"\n\n(?=#)", text, maxsplit=1)
    folded = f"<details><summary>What it means</summary>\n\n{told}\n\n</details>"
    return "\n\n".join([folded, *below])


def _plain(output: Any) -> str:
    return "".join(output.get("data", {}).get("text/plain", ""))
