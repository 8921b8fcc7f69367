"""The verdict on one model: what notebook 08 found, for people and, as JSON, for programs.

``data/verdict.schema.json`` describes the file.
"""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbook_lib import __version__
from workbook_lib.failures.diagnosis import Diagnosis
from workbook_lib.failures.version_matrix import fails_on
from workbook_lib.rendering import Rich, panel_html, printable, table_html, table_text

if TYPE_CHECKING:
    from workbook_lib.device.parity import Parity
    from workbook_lib.failures.cure import Cured

SCHEMA = 1
VERDICT_FILE = "verdict.json"
MODEL_FILE = "model.tflite"
STATE_FILE = "model.state.npz"

_PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy")
_TONES = {"ready": "right", "convertible": "wrong", "blocked": "raised", "wrong-answers": "raised"}


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
        said = self.content["verdict"]
        if self.ok:
            return f"{said}: {self.content['file']}, {self.content['bytes']:,} bytes, proved"
        return f"{said}: no .tflite file"

    def __repr__(self) -> str:
        return f"ModelVerdict({self._headline()})"

    def _rows(self) -> list[tuple[str, str]]:
        content = self.content
        found = content["diagnosis"]["findings"]
        ids = dict.fromkeys(f["id"] for f in found if f["severity"] != "info")
        way, recipe = content["way"], content["quantization"]
        rows = [
            ("model", f"{content['model']} ({content['format']})"),
            ("signature", content["signature"] or "none"),
            ("to run on", content["target"]),
            ("found", ", ".join(ids) or "nothing wrong"),
            ("way", ", then ".join(way["steps"]) if way else "none"),
            ("answers", _compared(content["parity"], content["calls"])),
        ]
        if recipe:
            rows.append((f"quantized: {recipe}", _compared(content["quantization_parity"], None)))
        return [*rows, ("because", content["reason"])]

    def text(self) -> str:
        """Return the verdict and what it rests on, a line each."""
        return f"{self._headline()}\n{table_text(('', ''), self._rows())}"

    def html(self) -> str:
        """Return the same as a panel."""
        table = table_html(("", ""), self._rows(), "What was asked, and what came of it")
        return panel_html(_TONES[self.content["verdict"]], self._headline(), table)


def _compared(parity: Mapping[str, Any] | None, calls: str | None) -> str:
    if parity is None:
        return "not compared"
    runs = "; ".join(
        f"{run['kernels']}: {run['agreeing']} of {run['calls']} calls agree"
        + (f" ({run['refusal']})" if run["refusal"] else "")
        for run in parity["runs"]
    )
    return f"{runs}; inputs {calls}" if calls else runs


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
        outcome: What ``cure`` returned, or the ``NoCureError``, ``NotTrustedError`` or
            ``NotRepeatableError`` that it raised.
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
    files = _files(cured)
    for name in (VERDICT_FILE, MODEL_FILE, STATE_FILE):  # never a new file beside an old verdict
        (place / name).unlink(missing_ok=True)
    for name, data in files.items():
        (place / name).write_bytes(data)
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
        "file": MODEL_FILE if cured else None,
        "bytes": len(cured.content) if cured else None,
        "parity": _parity(_comparison(diagnosis, cured)),
        "quantization_parity": _parity(cured.quantized if cured else None),
        "calls": calls if _comparison(diagnosis, cured) else None,
        "fails_on": _releases(diagnosis),
        "versions": _versions(),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (place / VERDICT_FILE).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    return ModelVerdict(content, place)


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
    from workbook_lib.device.reference import NotRepeatableError, NotTrustedError

    unproven = isinstance(outcome, (NotTrustedError, NotRepeatableError))
    if diagnosis.verdict != "ready" and (unproven or not diagnosis.ok):
        return diagnosis.verdict
    return "blocked"  # it converts, and not to what was asked for


def _comparison(diagnosis: Diagnosis, cured: Cured | None) -> Parity | None:
    """Return the comparison of the cured file, or else of the file that the converter made."""
    if cured is not None:
        return cured.parity
    return diagnosis.proof.parity if diagnosis.proof else None


def _parity(parity: Parity | None) -> dict[str, Any] | None:
    if parity is None:
        return None
    return {
        "passed": parity.passed,
        "tolerance": parity.tolerance,
        "runs": [
            {
                "kernels": run.kernels,
                "agreeing": run.agreeing,
                "calls": run.calls,
                "largest_difference": run.largest_difference,
                "refusal": printable(run.refusal, None),
            }
            for run in parity.runs
        ],
    }


def _way(cured: Cured | None) -> dict[str, Any] | None:
    if cured is None:
        return None
    return {"id": cured.way.id, "steps": list(cured.way.steps), "why": cured.way.why}


def _releases(diagnosis: Diagnosis) -> list[str]:
    """Return the measured releases on which a family of the model's was seen to fail."""
    families = {f.id for f in diagnosis.findings if f.severity == "error"}
    failing = {version for family in families for version in fails_on(family).fails}
    return sorted(failing, key=_numbers)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _versions() -> dict[str, str]:
    packages = {name: metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **packages, "workbook": __version__}
