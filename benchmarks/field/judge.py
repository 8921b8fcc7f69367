"""Run ``varhandle diagnose`` and ``cure`` as processes, and grade them against what is right."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.field.case import Made

ROOT = Path(__file__).parents[2]
PATIENCE = 300
EXITS = {
    "ready": 0,
    "convertible": 0,
    "blocked": 1,
    "wrong-answers": 1,
    "refused": 2,
    "unproved": 3,
}
FIRST_WORDS = {0: "cured:", 3: "unproved:"}


@dataclass(frozen=True)
class Run:
    """A process that has ended."""

    exit_code: int
    printed: str
    warned: str
    seconds: float
    megabytes: float  # the most that its largest process ever held


def run(command: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None) -> Run:
    """Run a program to its end, or to the end of one's patience."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **(environment or {})}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=out, stderr=err,
        )  # fmt: skip
        usage = _wait(process)
        seconds = time.perf_counter() - started
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
    return Run(process.returncode, texts[0], texts[1], seconds, usage.ru_maxrss / 1000)


def _wait(process: subprocess.Popen[bytes]) -> resource.struct_rusage:
    """Wait for a process and what it waited for; end it where that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        time.sleep(0.02)


@dataclass
class Grade:
    """What came of one model."""

    name: str
    kind: str
    verdict: str = ""
    cure_exit: int = -1
    written: bool = False
    difference: float | None = None  # of the file from TensorFlow, on inputs of the benchmark's own
    by_hand_difference: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    megabytes: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)  # in verdict, reason, or exit code
    wrong_file: bool = False
    text: str = ""


def judge(case: Mapping[str, Any], cache: Path, keras2: Mapping[str, str]) -> Grade:
    """Diagnose and cure one model, and convert it by hand, in turns."""
    grade = Grade(case["name"], case["kind"])
    folder = cache / case["name"]
    if case["not_made"]:
        grade.faults = ["the benchmark could not make it"]
        return grade
    made = Made.load(folder)
    file = folder / "cured.tflite"
    for old in folder.glob("cured*"):
        old.unlink()
    tool = [sys.executable, "-m", "varhandle.cli"]
    options = [part.format(folder=folder) for part in case["options"]]
    more = [part.format(folder=folder) for part in case["cure_options"]]
    model = str(made.path)
    diagnosed = run([*tool, "diagnose", model, "--json", *options], cache)
    cured = run([*tool, "cure", model, str(file), *options, *more], cache)
    grade.seconds = {"diagnose": diagnosed.seconds, "cure": cured.seconds}
    grade.megabytes = {"diagnose": diagnosed.megabytes, "cure": cured.megabytes}
    grade.cure_exit, grade.written = cured.exit_code, file.exists()
    if made.hand:
        environment = keras2 if case["keras2"] else {}
        hand = run(_python("by_hand", str(folder)), ROOT, environment)
        grade.seconds["by hand"], grade.megabytes["by hand"] = hand.seconds, hand.megabytes
        grade.by_hand_difference = _number(hand)
        if grade.by_hand_difference is None:
            grade.text += f"BY HAND: {hand.warned[-1500:]}\n"
    if grade.written and made.answers:
        checked = run(_python("by_hand", str(folder), "--check", str(file)), ROOT)
        grade.difference = _number(checked)
        # No number: the file took none of the calls, or did not run.
        off = grade.difference is None or grade.difference > case["tolerance"]
        grade.wrong_file = off and cured.exit_code == 0
        if grade.difference is None:
            grade.text += f"CHECK: {checked.warned[-800:]}\n"
    grade.text += "\n".join(
        [diagnosed.printed, diagnosed.warned, cured.printed, cured.warned]
    ).replace(str(cache), "")
    find_faults(grade, case["truth"], diagnosed, cured)
    return grade


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.field.{module}", *arguments]


def _number(done: Run) -> float | None:
    lines = done.printed.split()
    return float(lines[-1]) if done.exit_code == 0 and lines else None


def find_faults(grade: Grade, truth: Mapping[str, Any], diagnosed: Run, cured: Run) -> None:
    """Note what is wrong with what both commands said, did and returned."""
    faults = grade.faults
    try:
        grade.verdict = json.loads(diagnosed.printed)["verdict"]
    except (ValueError, KeyError, TypeError):
        grade.verdict = "refused" if diagnosed.exit_code == 2 else "none"
    accepted = truth["verdict"].split()
    if grade.verdict not in accepted:
        faults.append(f"verdict {grade.verdict}, not {' or '.join(accepted)}")
    elif diagnosed.exit_code != EXITS[grade.verdict]:
        faults.append(f"{grade.verdict} with exit {diagnosed.exit_code}")
    if str(cured.exit_code) not in truth["cure"].split():
        faults.append(f"cure exits {cured.exit_code}, not {truth['cure'].replace(' ', ' or ')}")
    if grade.written != (cured.exit_code in (0, 3)):
        faults.append("a file was written" if grade.written else "no file was written")
    begins = FIRST_WORDS.get(cured.exit_code, "")
    if not cured.printed.lstrip().startswith(begins):
        faults.append(f"the first line of cure does not begin with {begins}")
    faults += [f"no reason names {n}" for n in truth["names"] if not re.search(n, grade.text)]
    never = [*truth["never"], "Traceback"]
    faults += [f"it says {n}" for n in never if re.search(n, _said(diagnosed, cured))]
    if set(accepted) <= {"ready", "convertible"} and '"severity": "error"' in diagnosed.printed:
        faults.append("an error is found in a sound model")
    if grade.wrong_file:
        faults.append(f"the file differs by {grade.difference}")


def _said(*runs: Run) -> str:
    return "\n".join(run.printed + run.warned for run in runs)
