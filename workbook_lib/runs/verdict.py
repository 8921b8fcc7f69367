"""The verdict on one model: what notebook 08 found, for people and, as JSON, for programs.

``data/verdict.schema.json`` describes the file.
"""

from __future__ import annotations

import hashlib
import html
import io
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varhandle.atomic_write import write_all
from varhandle.diagnosis import Diagnosis
from varhandle.display import Rich, code_html, panel_html, printable, table_html
from varhandle.facts.verdicts import MEANINGS
from varhandle.formats import format_of
from varhandle.matrix.version_matrix import fails_on
from varhandle.repair.plan import STEPS, NoCureError
from workbook_lib import __version__

if TYPE_CHECKING:
    from varhandle.evaluate.parity import Parity
    from varhandle.repair.run import Cured

SCHEMA = 1
VERDICT_FILE = "verdict.json"
MODEL_FILE = "model.tflite"
STATE_FILE = "model.state.npz"

_PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy")
_PLAIN = ("not-immutable",)
"""Findings that are no fault today, whose programs in the matrix are plain conversions: a model
that has one of them fails on the releases where they do."""

_TRUST = "Set trust = True if you trust where the model comes from: its code then runs here."


@dataclass(frozen=True, repr=False, eq=False)
class ModelVerdict(Rich):
    """What became of a model.

    Attributes:
        content: What the verdict file holds.
        folder: The folder that it was written to, with the .tflite file if there is one.
    """

    content: Mapping[str, Any]
    folder: Path = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether a file was made, and proved."""
        return bool(self.content["verdict"] == "ready")

    def _headline(self) -> str:
        content = self.content
        if not self.ok:
            return f"{content['verdict']}: no .tflite file"
        before = content["float_bytes"]
        size = f"{content['bytes']:,} bytes"
        if content["quantization"]:
            size += f", {before:,} before it was quantized"
        return f"ready: {content['file']} ({size}), proved"

    def __repr__(self) -> str:
        return f"ModelVerdict({self._headline()})"

    def _rows(self) -> list[tuple[str, str]]:
        content = self.content
        way, recipe = content["way"], content["quantization"]
        asked = f"to run on {content['target']}, " + (f"quantized: {recipe}" if recipe else "float")
        rows = [
            ("what to do", self._next()),
            ("model", f"{content['model']} ({content['format']})"),
            ("signature", content["signature"] or "none"),
            ("asked for", asked),
            ("as it came", _as_it_came(content["diagnosis"])),
            ("way", ", then ".join(STEPS[step] for step in way["steps"]) if way else "none"),
            ("because", content["reason"]),
            (f"beside {content['compared_with'] or 'TensorFlow'}", _compared(content["parity"])),
        ]
        if recipe:
            rows.append(("once quantized", _compared(content["quantization_parity"])))
        if content["calls"]:
            rows.append(("inputs", content["calls"]))
        if content["state_file"]:
            rows.append(
                ("state", f"carried by the caller; the first is in {content['state_file']}")
            )
        return [*rows, *(("note", note) for note in content["notes"])]

    def _next(self) -> str:
        """Say what the reader is to do, by the sections of notebook 08."""
        content, change = self.content, self.content["change"]
        if self.ok:
            files = " and ".join(filter(None, (content["file"], content["state_file"])))
            return f"Take {files} out of the output folder. Section 7 has the code that calls it."
        if change is None:
            return "Nothing is known that would help. Section 2 has what was seen."
        return change if "\n" not in change else "Change the model: section 4 says what."

    def text(self) -> str:
        """Return the verdict and what it rests on, a line each."""
        rows = self._rows()
        width = max(len(name) for name, _ in rows)
        lines = [f"{name.ljust(width)}  {printable(said, None)}" for name, said in rows]
        return "\n".join([self._headline(), "", *lines])

    def html(self) -> str:
        """Return the same as a panel."""
        table = table_html(("", ""), self._rows(), "What was asked, and what came of it")
        meaning = MEANINGS[self.content["verdict"]]
        tone = "neutral" if meaning.good and not self.ok else meaning.tone
        return panel_html(tone, self._headline(), table)


def _as_it_came(diagnosis: Mapping[str, Any]) -> str:
    """Say in one line what was wrong with the model before anything was mended."""
    ids = dict.fromkeys(f["id"] for f in diagnosis["findings"] if f["severity"] != "info")
    causes = list(ids) or list(diagnosis.get("other") or ()) or ["nothing found"]
    return f"{diagnosis['verdict']}: {', '.join(causes)}"


def _compared(parity: Mapping[str, Any] | None) -> str:
    if parity is None:
        return "not compared"
    return "; ".join(
        f"{run['kernels']}: "
        + (f"refused: {run['refusal']}" if run["refusal"] else "")
        + ("" if run["refusal"] else f"{run['agreeing']} of {run['calls']} calls agree")
        for run in parity["runs"]
    )


@dataclass(frozen=True, repr=False)
class NoFile(Rich):
    """Why there is no file, and what has to change.

    Attributes:
        reason: Why, in one line.
        change: What its author must change, or what is to be said besides; may be empty.
    """

    reason: str
    change: str = ""

    @classmethod
    def of(cls, outcome: ValueError) -> NoFile:
        """Return what is to be said of an error that ``cure`` raised."""
        from varhandle.formats.trust import NotTrustedError

        if isinstance(outcome, NotTrustedError):
            return cls(f"Nothing was run: {outcome}.", _TRUST)
        if isinstance(outcome, NoCureError):
            found = outcome.finding
            if found is not None and outcome.change == found.fix:
                return cls(
                    outcome.reason, f"Its author must change it: the fix of {found.id} above."
                )
            return cls(outcome.reason, outcome.change)
        return cls(str(outcome))

    def __repr__(self) -> str:
        return f"NoFile({printable(self.reason)})"

    def __str__(self) -> str:
        return self.text()

    def _change(self) -> str:
        return "\n".join(printable(line, None) for line in self.change.splitlines())

    def _change_html(self) -> str:
        """Set code as code, and a sentence as one."""
        if "\n" in self.change:
            return code_html(self._change())
        return f"<p>{html.escape(self._change())}</p>"

    def text(self) -> str:
        """Return the reason, and below it what has to change."""
        return "\n\n".join(filter(None, [printable(self.reason, None), self._change()]))

    def html(self) -> str:
        """Return the same as a panel."""
        if not self.change:
            return f"<p>{html.escape(printable(self.reason, None))}</p>"
        return panel_html("raised", self.reason, self._change_html())


NO_FILE = NoFile("There is no file, and section 4 says why.")
"""What notebook 08 shows where it would show the file."""


def write_verdict(
    folder: str | Path,
    diagnosis: Diagnosis,
    outcome: Cured | ValueError,
    *,
    target: str = "litert",
    quantization: str | None = None,
    calls: str = "made up",
) -> ModelVerdict:
    """Write the verdict file and, where there is one, the .tflite file beside it.

    Args:
        folder: Where to; made if it is not there. What an earlier verdict left there is replaced.
        diagnosis: What was found in the model.
        outcome: What ``cure`` returned, or the ``NoCureError`` or ``NotTrustedError`` that it
            raised.
        target: What was asked for.
        quantization: The recipe that was asked for; ``None`` for none.
        calls: Where the inputs of the comparison came from: ``"given"`` or ``"made up"``.

    Returns:
        The verdict. The file is ``verdict.json``; the others ``model.tflite`` and, if the state
        was lifted, ``model.state.npz``, the state before the first call.

    Raises:
        OSError: The folder cannot be written to.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    cured = None if isinstance(outcome, ValueError) else outcome
    files, comparison = _files(cured), _comparison(diagnosis, cured)
    content = {
        "schema": SCHEMA,
        "model": Path(diagnosis.model).name,
        "format": diagnosis.format,
        "signature": diagnosis.signature,
        "target": target,
        "quantization": quantization,
        "verdict": "ready" if cured else _without_file(diagnosis, outcome),
        "reason": printable(cured.way.why if cured else outcome, None),
        "diagnosis": diagnosis.as_dict(),
        "way": _way(cured),
        "change": _change(outcome),
        **_made(cured, target),
        "parity": comparison and comparison.as_dict(),
        "quantization_parity": cured.quantized.as_dict() if cured and cured.quantized else None,
        "compared_with": _compared_with(diagnosis, cured),
        "calls": calls if comparison else None,
        "fails_on": _releases(diagnosis),
        "versions": _versions(),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    files[VERDICT_FILE] = (text + "\n").encode(errors="backslashreplace")
    write_all({place / name: data for name, data in files.items()})
    for name in {MODEL_FILE, STATE_FILE} - set(files):  # an earlier verdict's
        (place / name).unlink(missing_ok=True)
    return ModelVerdict(content, place)


def _change(outcome: object) -> str | None:
    """Return what has to change before there is a file: code, or a sentence."""
    from varhandle.formats.trust import NotTrustedError

    if isinstance(outcome, NotTrustedError):
        return _TRUST
    return (outcome.change or None) if isinstance(outcome, NoCureError) else None


def _made(cured: Cured | None, target: str) -> dict[str, Any]:
    """Describe the file, or say of each field that there is none."""
    from workbook_lib.show.runtimes import OLD_RUNTIMES, runtime_table

    if cured is None:
        return {
            **dict.fromkeys(("file", "bytes", "float_bytes", "sha256", "state_file", "runs_on")),
            "notes": [],
        }
    rows = runtime_table(cured.content, [target, *OLD_RUNTIMES]).rows
    return {
        "file": MODEL_FILE,
        "bytes": len(cured.content),
        "float_bytes": cured.float_bytes,
        "sha256": hashlib.sha256(cured.content).hexdigest(),
        "state_file": STATE_FILE if cured.initial_state else None,
        "runs_on": {name: list(reasons) for name, reasons in rows},
        "notes": [printable(note, None) for note in cured.notes],
    }


def _files(cured: Cured | None) -> dict[str, bytes]:
    import numpy as np

    if cured is None:
        return {}
    files = {MODEL_FILE: cured.content}
    if cured.initial_state:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **cured.initial_state)
        files[STATE_FILE] = buffer.getvalue()
    return files


def _without_file(diagnosis: Diagnosis, outcome: object) -> str:
    """Say what is to be said of a model that came to no file."""
    from varhandle.formats.trust import NotTrustedError
    from varhandle.repair.plan import NotProvenError

    unproven = isinstance(outcome, (NotTrustedError, NotProvenError))
    if diagnosis.verdict != "ready" and (unproven or not diagnosis.ok):
        return diagnosis.verdict
    return "blocked"  # it converts, and not to what was asked for


def _comparison(diagnosis: Diagnosis, cured: Cured | None) -> Parity | None:
    """Return the comparison of the cured file, or else of the file that the converter made."""
    if cured is not None:
        return cured.parity
    return diagnosis.proof.parity if diagnosis.proof else None


def _compared_with(diagnosis: Diagnosis, cured: Cured | None) -> str | None:
    if _comparison(diagnosis, cured) is None:
        return None
    return "itself" if format_of(diagnosis.graph).is_converted else "TensorFlow"


def _way(cured: Cured | None) -> dict[str, Any] | None:
    if cured is None:
        return None
    return {"id": cured.way.id, "steps": list(cured.way.steps), "why": cured.way.why}


def _releases(diagnosis: Diagnosis) -> list[str]:
    """Return the measured releases on which a family of the model's was seen to fail."""
    families = {f.id for f in diagnosis.findings if f.severity == "error" or f.id in _PLAIN}
    failing = {version for family in families for version in fails_on(family).fails}
    return sorted(failing, key=_numbers)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _versions() -> dict[str, str]:
    packages = {name: metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **packages, "workbook": __version__}
