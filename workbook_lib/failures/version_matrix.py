"""Which case fails on which TensorFlow: measure it, each release in an environment of its own.

``python -m workbook_lib.failures.version_matrix 2.15.1 2.21.0`` measures releases and merges them
into ``data/version_matrix.json``. It needs ``uv``, and a Python for each release on the PATH.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbook_lib.failures import cases
from workbook_lib.samples import data_path

_SCRIPT = Path(cases.__file__)
_TIMEOUT_SECONDS = 600


def load() -> dict[str, Any]:
    """Return the measured matrix, as ``show.version_matrix`` draws it."""
    return json.loads(data_path("version_matrix.json").read_text(encoding="utf-8"))


def label(result: Mapping[str, Any]) -> dict[str, str]:
    """Reduce what ``cases.run_case`` returns to one cell of the matrix.

    Args:
        result: The result of a case.

    Returns:
        ``outcome`` (``works``, ``error``, ``refused`` by the interpreter, ``wrong``, ``absent`` or
        ``crash``) and a ``label`` that says what gave it away.
    """
    outcome = result["outcome"]
    if outcome == "works":
        return {"outcome": outcome, "label": "works"}
    if outcome == "wrong":
        return {"outcome": outcome, "label": "runs, wrong answers"}
    if outcome == "absent":
        return {"outcome": outcome, "label": result["message"]}
    if outcome == "crash":
        return {"outcome": outcome, "label": f"the process died: {result['message']}"}
    if result["stage"] in {"load", "run"}:
        outcome = "refused"
    telling = _telling_line(result["message"])
    return {"outcome": outcome, "label": f"{result['stage']}: {result['exception']}: {telling}"}


def _telling_line(message: str) -> str:
    """Return the part of a message that names its cause, or the start of the message."""
    for sign in (
        "'tf.VarHandleOp' op is neither a custom op nor a flex op",
        "incompatible with expected resource",
        "Variable constant folding is failed",
        "is not immutable",
        "Encountered unresolved custom op",
        "Select TensorFlow op(s)",
        "variable != nullptr was not true",
        "neither a custom op nor a flex op",
    ):
        if sign in message:
            return sign
    first = message.strip().splitlines()[0] if message.strip() else ""
    return re.sub(r"\[\[.*|\{\{.*?\}\} ", "", first)[:100].strip()  # values, node paths


def measure(version: str, python: str) -> dict[str, Any]:
    """Run every case on one release of TensorFlow.

    Args:
        version: Such as ``"2.15.1"``.
        python: The Python to install it for, such as ``"3.11"``.

    Returns:
        One entry of the matrix: ``version``, ``python``, ``installed``, ``results`` (case id to
        ``label``), and ``reason`` where it could not be installed.
    """
    entry: dict[str, Any] = {"version": version, "python": python, "installed": False}
    with tempfile.TemporaryDirectory() as folder:
        executable, reason = _install(version, python, Path(folder))
        if executable is None:
            return {**entry, "reason": reason, "results": {}}
        return {**entry, "installed": True, "results": _run_cases(executable)}


def _install(version: str, python: str, folder: Path) -> tuple[Path | None, str]:
    environment = folder / "environment"
    executable = environment / "bin" / "python"
    # Releases before 2.9 set no upper limit on protobuf, nor those before 2.18 on NumPy or
    # setuptools (which they import), and fail to import with later ones.
    old = tuple(int(part) for part in version.split(".")[:2])
    limits = ["numpy<2"] if old < (2, 18) else []
    limits += ["protobuf<3.21"] if old < (2, 9) else []
    limits += ["setuptools<70"] if old < (2, 17) else []
    into = ["--quiet", "--python", str(executable)]
    for command in (
        ["uv", "venv", "--quiet", "--python", python, str(environment)],
        ["uv", "pip", "install", *into, f"tensorflow=={version}", *limits],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            # uv draws a tree; the words start after its lines.
            reasons = re.findall(r"[A-Za-z].*", done.stderr)
            return None, reasons[0] if reasons else "uv gave no reason"
    return executable, ""


def _run_cases(executable: Path) -> dict[str, dict[str, str]]:
    """Run all cases, in a new process after each one that killed or hung its own."""
    results: dict[str, dict[str, str]] = {}
    waiting = list(cases.CASES)
    while waiting:
        printed, ended = _run_script(executable, waiting)
        for line in printed.splitlines():
            if line.startswith("CASE "):
                result = json.loads(line.removeprefix("CASE "))
                results[result["id"]] = label(result)
        left = [identifier for identifier in waiting if identifier not in results]
        if not left:
            break
        results[left[0]] = label({"outcome": "crash", "message": ended})
        waiting = left[1:]
    return {identifier: results[identifier] for identifier in cases.CASES}


def _run_script(executable: Path, identifiers: Sequence[str]) -> tuple[str, str]:
    """Run cases on another Python; return what it printed, and how it ended."""
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONNOUSERSITE": "1",
        # TensorFlow 1.15 starts its converter as a program of this folder.
        "PATH": os.pathsep.join([str(executable.parent), os.environ.get("PATH", "")]),
    }
    try:
        done = subprocess.run(
            [str(executable), str(_SCRIPT), *identifiers],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_TIMEOUT_SECONDS,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        printed = error.stdout or b""
        text = printed.decode(errors="replace") if isinstance(printed, bytes) else printed
        return text, f"still running after {_TIMEOUT_SECONDS} s"
    return done.stdout, _last_words(done)


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    telling = [line for line in done.stderr.splitlines() if "LLVM ERROR" in line or "Error" in line]
    return telling[-1].strip()[:100] if telling else f"exit code {done.returncode}"


def merge(matrix: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put measured entries into a matrix, in the order of their versions.

    Args:
        matrix: A matrix as ``load`` returns it, or an empty mapping.
        entries: What ``measure`` returned.

    Returns:
        The new matrix, with the titles of the cases as they are today.
    """
    versions = {entry["version"]: entry for entry in [*matrix.get("versions", ()), *entries]}
    ordered = sorted(versions, key=lambda version: [int(part) for part in version.split(".")])
    titles = [{"id": name, "title": function.title} for name, function in cases.CASES.items()]
    return {"cases": titles, "versions": [versions[version] for version in ordered]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the named releases (``VERSION`` or ``VERSION@PYTHON``) and store the matrix."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("versions", nargs="+", metavar="VERSION[@PYTHON]")
    options = parser.parse_args(arguments)
    if shutil.which("uv") is None:
        print("the version matrix needs uv (pip install uv)", file=sys.stderr)
        return 2
    path = data_path("version_matrix.json")
    for item in options.versions:
        version, _, python = item.partition("@")
        entry = measure(version, python or f"{sys.version_info.major}.{sys.version_info.minor}")
        matrix = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        text = json.dumps(merge(matrix, [entry]), indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
        print(version, "measured" if entry["installed"] else f"not installed: {entry['reason']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
