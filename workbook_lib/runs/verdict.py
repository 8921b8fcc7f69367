"""The verdict on one model as notebook 36 shows it."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varhandle import verdict_file
from varhandle.diagnosis import Diagnosis
from varhandle.display import Rich, code_html, panel_html, printable, table_html
from varhandle.facts.verdicts import MEANINGS
from varhandle.formats.trust import NotTrustedError
from varhandle.repair.refusal import NoCureError
from varhandle.repair.steps import STEPS
from varhandle.verdict_file import TRUST_IT

if TYPE_CHECKING:
    from varhandle.repair.run import RepairResult


def write_verdict(
    folder: str | Path, diagnosis: Diagnosis, outcome: RepairResult | ValueError, **asked: Any
) -> ModelVerdict:
    """Write the verdict file, and what goes with it, as ``varhandle.verdict_file`` does."""
    content = verdict_file.write_verdict_file(Path(folder), diagnosis, outcome, **asked)
    return ModelVerdict(content, Path(folder))


@dataclass(frozen=True, repr=False, eq=False)
class ModelVerdict(Rich):
    """What became of a model."""

    content: Mapping[str, Any]  # what the verdict file holds
    folder: Path  # where it was written to, with the .tflite file if there is one

    @property
    def ok(self) -> bool:
        """Whether a file was made, and proved."""
        return bool(self.content["verdict"] == "ready")

    @property
    def _headline(self) -> str:
        content = self.content
        if not content["file"]:
            return f"{content['verdict']}: no .tflite file"
        size = f"{content['bytes']:,} bytes"
        if content["quantization"]:
            size += f", {content['float_bytes']:,} before it was quantized"
        end = ", proved" if self.ok else ""
        return f"{content['verdict']}: {content['file']} ({size}){end}"

    def __repr__(self) -> str:
        return f"ModelVerdict({self._headline})"

    def _rows(self) -> list[tuple[str, str]]:
        content = self.content
        plan, recipe = content["plan"], content["quantization"]
        asked = f"to run on {content['target']}, " + (f"quantized: {recipe}" if recipe else "float")
        rows = [
            ("what to do", self._next()),
            ("model", f"{content['model']} ({content['format']})"),
            ("signature", content["signature"] or "none"),
            ("asked for", asked),
            ("as it came", _causes(content["diagnosis"])),
            (
                "plan",
                ", then ".join(STEPS[step].does for step in plan["steps"]) if plan else "none",
            ),
            ("because", content["reason"]),
            (f"beside {content['compared_with'] or 'TensorFlow'}", _compared(content["parity"])),
        ]
        if recipe:
            rows.append(("once quantized", _compared(content["quantization_parity"])))
        if content["calls"]:
            rows.append(("inputs", content["calls"]))
        if content["state_file"]:
            where = f"carried by the caller; the first is in {content['state_file']}"
            rows.append(("state", where))
        return [*rows, *(("note", note) for note in content["notes"])]

    def _next(self) -> str:
        """Say what the reader is to do, by the sections of notebook 36."""
        content, change = self.content, self.content["change"]
        if self.ok:
            files = " and ".join(filter(None, (content["file"], content["state_file"])))
            return f"Take {files} out of the output folder. Section 7 has the code that calls it."
        if content["file"]:
            return f"Prove {content['file']} before you rely on it: {content['reason']}."
        if change is None:
            return "Nothing is known that would help. Section 2 has what was seen."
        return change if "\n" not in change else "Change the model: section 4 says what."

    def text(self) -> str:
        """Return the verdict and what it rests on, a line each."""
        rows = self._rows()
        width = max(len(name) for name, _ in rows)
        lines = [f"{name.ljust(width)}  {printable(said, None)}" for name, said in rows]
        return "\n".join([self._headline, "", *lines])

    def html(self) -> str:
        """Return the same as a panel."""
        table = table_html(("", ""), self._rows(), "What was asked, and what came of it")
        meaning = MEANINGS[self.content["verdict"]]
        tone = "neutral" if meaning.good and not self.ok else meaning.tone
        return panel_html(tone, self._headline, table)


def _causes(diagnosis: Mapping[str, Any]) -> str:
    """Say in one line what was wrong with the model before anything was mended."""
    ids = dict.fromkeys(f["id"] for f in diagnosis["findings"] if f["severity"] != "info")
    causes = list(ids) or list(diagnosis.get("other") or ()) or ["nothing found"]
    return f"{diagnosis['verdict']}: {', '.join(causes)}"


def _compared(parity: Mapping[str, Any] | None) -> str:
    if parity is None:
        return "not compared"
    said = []
    for run in parity["runs"]:
        agreeing = f"{run['agreeing']} of {run['calls']} calls agree"
        refused = f"refused: {run['refusal']}" if run["refusal"] else ""
        said.append(f"{run['kernels']}: {refused or agreeing}")
    return "; ".join(said)


@dataclass(frozen=True, repr=False)
class NoFile(Rich):
    """Why there is no file, and what has to change."""

    reason: str  # in one line
    change: str = ""  # what its author must change, or what is to be said besides

    @classmethod
    def of(cls, outcome: ValueError) -> NoFile:
        """Return what is to be said of an error that ``cure`` raised."""
        if isinstance(outcome, NotTrustedError):
            return cls(f"Nothing was run: {outcome.fault}.", TRUST_IT)
        if not isinstance(outcome, NoCureError):
            return cls(str(outcome))
        found = outcome.finding
        if found is not None and outcome.change == found.fix:
            return cls(outcome.reason, f"Its author must change it: the fix of {found.id} above.")
        return cls(outcome.reason, outcome.change)

    def __repr__(self) -> str:
        return f"NoFile({printable(self.reason)})"

    def __str__(self) -> str:
        return self.text()

    @property
    def _change(self) -> str:
        return "\n".join(printable(line, None) for line in self.change.splitlines())

    def text(self) -> str:
        """Return the reason, and below it what has to change."""
        return "\n\n".join(filter(None, [printable(self.reason, None), self._change]))

    def html(self) -> str:
        """Return the same, what has to change as code where it is code."""
        if not self.change:
            return f"<p>{html.escape(printable(self.reason, None))}</p>"
        change = code_html(self._change)
        if "\n" not in self.change:
            change = f"<p>{html.escape(self._change)}</p>"
        return panel_html("raised", self.reason, change)


NO_FILE = NoFile("There is no file, and section 4 says why.")
"""What notebook 36 shows where it would show the file."""
