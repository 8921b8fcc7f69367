"""What all notebooks take beside plain papermill."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.frame import Chapter, Row, run_program
from workbook_lib.locations import project_root
from workbook_lib.runs import all_notebooks


def measure() -> Chapter:
    """Time all notebooks, executed by the workbook's command and by papermill's."""
    paths = all_notebooks()
    options = ["--kernel", "python3-cold", "--no-progress-bar", "--cwd"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain = sum(
            _seconds("papermill", path, folder / path.name, *options, path.parent) for path in paths
        )
        one, three = (
            _seconds("workbook_lib.cli", "run", "--output", folder / jobs, "--jobs", jobs)
            for jobs in "13"
        )
    against = "papermill, one after the other"
    return Chapter(
        "All notebooks",
        f"The {len(paths)} notebooks from the command line, once each way. The workbook's command "
        "writes its report as well.",
        (
            Row("`workbook run`", [one], against, [plain]),
            Row("`workbook run --jobs 3`", [three], against, [plain], "ratio < 0.333"),
        ),
        unit="s",
    )


def _seconds(module: str, *arguments: str | Path) -> float:
    started = time.perf_counter()
    command = [sys.executable, "-m", module, *arguments]
    run_program(command, cwd=project_root(), WORKBOOK_PROGRESS="off")
    return time.perf_counter() - started
