"""What the static diagnosis of a huge file holds in memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Chapter, Figure
from benchmarks.graphs import grown_tflite
from benchmarks.models import running_total

COMMAND = "python -m benchmarks memory"
SIZE = 10**9
# The peak since the program began; ``ru_maxrss`` would count what forked it, before it began.
_PEAK = """
import re, sys
{work}
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""
_DIAGNOSE = """
from varhandle.diagnosis import diagnose
found = diagnose(sys.argv[1], static=True)
assert [variable.name for variable in found.variables] == ["total"], found
"""
_READ = "content = open(sys.argv[1], 'rb').read()"


def measure() -> Chapter:
    """Compare the resident memory of the static diagnosis with that of reading the file."""
    if not sys.platform.startswith("linux"):
        raise RuntimeError("the peak of resident memory is read from Linux's /proc")
    with tempfile.TemporaryDirectory() as folder:
        path = grown_tflite(running_total(), SIZE, Path(folder) / "huge.tflite")
        ours, reading, bare = (_peak(work, path) for work in (_DIAGNOSE, _READ, ""))
    what = "a .tflite of 1 GB: static diagnosis"
    return Chapter(
        "Memory",
        "The most that was resident at any time, once each, in a fresh process; the file has one "
        "constant of random bytes that makes up nearly all of it.",
        COMMAND,
        (
            Figure(what, ours, "reading the file", reading, "< 300 MB"),
            Figure(what, ours, "a new Python that imports nothing", bare),
        ),
        unit="MB",
    )


def _peak(work: str, path: Path) -> float:
    command = [sys.executable, "-c", _PEAK.format(work=work), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-500:])
    return int(done.stdout) * 1024 / 1e6
