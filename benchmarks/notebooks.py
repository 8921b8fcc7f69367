"""What all notebooks take beside plain papermill."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Chapter, Figure
from workbook_lib.locations import project_root
from workbook_lib.runs import all_notebooks

COMMAND = "python -m benchmarks notebooks"


def measure() -> Chapter:
    """Time all notebooks, executed by the workbook's command and by papermill's."""
    paths = all_notebooks()
    with tempfile.TemporaryDirectory() as folder:
        plain = sum(_seconds(_papermill(path, Path(folder))) for path in paths)
        one, two, three = (_seconds(_workbook(Path(folder, jobs), jobs)) for jobs in "123")
    against = "papermill, one after the other"
    return Chapter(
        "All notebooks",
        f"The {len(paths)} notebooks from the command line, once each way. The workbook's command "
        "writes its report as well.",
        COMMAND,
        (
            Figure("`workbook run`", one, against, plain),
            Figure("`workbook run --jobs 2`", two, against, plain),
            Figure("`workbook run --jobs 3`", three, against, plain, "ratio < 0.333"),
        ),
        unit="s",
    )


def _papermill(path: Path, folder: Path) -> list[str]:
    options = ["--kernel", "python3-cold", "--cwd", str(path.parent), "--no-progress-bar"]
    return ["-m", "papermill", str(path), str(folder / path.name), *options]


def _workbook(folder: Path, jobs: str) -> list[str]:
    return ["-m", "workbook_lib.cli", "run", "--output", str(folder), "--jobs", jobs]


def _seconds(arguments: list[str]) -> float:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=project_root(),
        env={**os.environ, "WORKBOOK_PROGRESS": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError((done.stdout + done.stderr)[-500:])
    return time.perf_counter() - started
