"""The verdict on one model as a file: what was found, what was made, and what that rests on.

``data/schemas/verdict.schema.json`` describes it. The diagnosis, the comparisons and the plan are
in it as ``diagnose --json`` and ``cure --json`` print them.
"""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varhandle import __version__
from varhandle.atomic_write import write_all
from varhandle.diagnosis import Diagnosis
from varhandle.display import printable
from varhandle.facts.targets import DEFAULT_TARGET, OLD_RUNTIMES, TARGETS
from varhandle.families.catalog import family
from varhandle.formats import format_of, read_graph
from varhandle.formats.trust import NotTrustedError
from varhandle.installation import installed_version
from varhandle.matrix.version_matrix import fails_on
from varhandle.repair.refusal import NoCureError
from varhandle.tflite.runtime_support import refusals
from varhandle.tflite.state_files import as_npz

if TYPE_CHECKING:
    from varhandle.repair.run import RepairResult

SCHEMA = 2
VERDICT_FILE = "verdict.json"
MODEL_FILE = "model.tflite"
STATE_FILE = "model.state.npz"
TRUST_IT = "Set trust = True if you trust where the model comes from: its code then runs here."

PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "ai-edge-quantizer", "numpy")
"""Those on which it depends what becomes of a model."""


def write_verdict_file(
    folder: Path,
    diagnosis: Diagnosis,
    outcome: RepairResult | ValueError,
    *,
    target: str = DEFAULT_TARGET,
    quantization: str | None = None,
) -> dict[str, Any]:
    """Write the verdict file and, where there is one, the .tflite file and its first state.

    ``outcome`` is what ``cure`` returned, or the ``NoCureError`` or ``NotTrustedError`` that it
    raised. The folder is made, and what an earlier verdict left in it is replaced. Returns what the
    verdict file holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = verdict_content(diagnosis, outcome, target=target, quantization=quantization)
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    files = {VERDICT_FILE: (text + "\n").encode(errors="backslashreplace")}
    if not isinstance(outcome, ValueError):
        files[MODEL_FILE] = outcome.content
        if outcome.initial_state:
            files[STATE_FILE] = as_npz(outcome.initial_state)
    write_all({folder / name: data for name, data in files.items()})
    for name in {MODEL_FILE, STATE_FILE} - set(files):  # an earlier verdict's
        (folder / name).unlink(missing_ok=True)
    return content


def verdict_content(
    diagnosis: Diagnosis,
    outcome: RepairResult | ValueError,
    *,
    target: str,
    quantization: str | None,
) -> dict[str, Any]:
    """Return what the verdict file holds, as plain data."""
    cured = None if isinstance(outcome, ValueError) else outcome
    made = cured.as_dict() if cured else {}
    parity, calls = made.get("parity"), made.get("inputs")
    if cured is None and diagnosis.proof and diagnosis.proof.parity:
        proof = diagnosis.proof.as_dict()  # of the file that the converter made
        parity, calls = proof["parity"], proof["inputs"]
    against = "itself" if format_of(diagnosis.graph).is_converted else "TensorFlow"
    return {
        "schema": SCHEMA,
        "model": Path(diagnosis.model).name,
        "format": diagnosis.format,
        "signature": diagnosis.signature,
        "target": target,
        "quantization": quantization,
        "verdict": cured.verdict if cured else _without_file(diagnosis, outcome),
        "reason": printable((cured.doubt or cured.plan.why) if cured else outcome, None),
        "diagnosis": diagnosis.as_dict(),
        "plan": made.get("plan"),
        "change": _change(outcome),
        "file": MODEL_FILE if cured else None,
        "bytes": made.get("bytes"),
        "float_bytes": cured.float_bytes if cured else None,
        "sha256": hashlib.sha256(cured.content).hexdigest() if cured else None,
        "state_file": STATE_FILE if cured and cured.initial_state else None,
        "runs_on": _runs_on(cured.content, target) if cured else None,
        "notes": [printable(note, None) for note in made.get("notes", ())],
        "parity": parity,
        "quantization_parity": made.get("quantized_parity"),
        "compared_with": against if parity else None,
        "first_difference": _first_difference(diagnosis, outcome),
        "calls": calls if parity else None,
        "fails_on": _releases(diagnosis),
        "versions": _versions(),
    }


def _change(outcome: object) -> str | None:
    """Return what has to change before there is a file: code, or a sentence."""
    if isinstance(outcome, NotTrustedError):
        return TRUST_IT
    return (outcome.change or None) if isinstance(outcome, NoCureError) else None


def _first_difference(diagnosis: Diagnosis, outcome: object) -> str | None:
    """Return where the file parts from the model; of a file that was made rightly, nothing."""
    if not isinstance(outcome, ValueError):
        return None
    location = getattr(outcome, "location", None) or diagnosis.location
    return location.line if location else None


def _without_file(diagnosis: Diagnosis, outcome: object) -> str:
    """Say what is to be said of a model that came to no file."""
    untrusted = isinstance(outcome, NotTrustedError)
    if diagnosis.verdict != "ready" and (untrusted or not diagnosis.ok):
        return diagnosis.verdict
    return "blocked"  # it converts, and not to what was asked for


def _runs_on(content: bytes, target: str) -> dict[str, list[str]]:
    graph = read_graph(content)
    names = dict.fromkeys((*TARGETS, target, *OLD_RUNTIMES))
    return {name: list(refusals(graph, name, content)) for name in names}


def _releases(diagnosis: Diagnosis) -> list[str]:
    """Return the measured releases on which a family of the model's was seen to fail."""
    failing = {
        version
        for finding in diagnosis.findings
        if finding.severity == "error" or family(finding.id).shown_by_releases
        for version in fails_on(finding.id).fails
    }
    return sorted(failing, key=lambda version: [int(part) for part in version.split(".")])


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "varhandle": __version__}
    installed = {name: installed_version(name) for name in PACKAGES}
    return found | {name: version for name, version in installed.items() if version}
