"""Rows without TensorFlow: a "model" is a JSON file that says what becomes of its row."""

import contextlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import psutil

from varhandle.sweep.rows import make_row, store_row
from varhandle.sweep.run import RowPool

NUMBERS = ("agreeing", "calls", "largest_difference", "tolerance", "bytes", "seconds")
SLEEP = "import time; time.sleep(600)"
EAT = "import time; held = b'x' * 1_500_000_000; time.sleep(600)"


@dataclass(frozen=True)
class ProbeMaker:
    """Does what the model says, and writes the verdict that the model says."""

    source: Path | None = None
    beside: Path | None = None  # where the id of a child goes that is started before the clock

    def sources(self):
        return [self.source] if self.source else []

    def prepare(self):
        if self.beside:
            _start({"pids": self.beside}, SLEEP)

    def make(self, task):
        told = json.loads(task.spec.model.read_text())
        row = f"{task.spec.model.name} {task.spec.target} {task.spec.quantization}"
        _append(told["log"], f"began {row}")
        _append(told["pids"], os.getpid())
        while "until" in told and not Path(told["until"]).exists():
            time.sleep(0.05)
        _act(told)
        (task.row_folder / "model.tflite").write_bytes(b"x" * 1234)
        if told.get("verdict_file", True):
            content = told.get("content") or json.dumps(_verdict(told))
            (task.row_folder / "verdict.json").write_text(content)
        _append(told["log"], f"ended {row}")


def _append(path, line):
    with Path(path).open("a") as file:
        file.write(f"{line}\n")


def _start(told, source):
    # In a session of its own, as an isolated child is: a signal to the row's group passes it by.
    child = subprocess.Popen([sys.executable, "-c", source], start_new_session=True)
    _append(told["pids"], child.pid)


def _act(told):
    act = told.get("act")
    if act == "abort":
        os.write(2, b"LLVM ERROR: no such thing\n")
        os.abort()
    elif act in ("hang", "eat"):
        if act == "eat":
            _start(told, EAT)
        time.sleep(600)
    elif act == "spin":  # and never let go
        while True:
            pass
    elif act == "raise":
        raise KeyError("<gone>")
    elif act == "full":
        raise OSError(28, "No space left on device", "/full")
    elif act == "leave":
        _start(told, SLEEP)


def _verdict(told):
    difference = told.get("difference", 1e-7)
    sizes = {"default delegates": (difference, told.get("agreeing", 5))}
    sizes["plain kernels"] = (difference / 2, 5)
    runs = [
        {"kernels": kernels, "agreeing": agreeing, "calls": 5, "largest_difference": size}
        for kernels, (size, agreeing) in sizes.items()
    ]
    return {
        "verdict": told.get("verdict", "ready"),
        "reason": told.get("reason", "it runs"),
        "diagnosis": {"findings": [{"id": name} for name in told.get("findings", [])]},
        "file": "model.tflite",
        "bytes": 1234,
        "parity": {"passed": True, "tolerance": None, "runs": runs},
    }


class Probe:
    """A folder with models, and what has become of their rows."""

    def __init__(self, folder):
        self.folder = folder
        self.log = folder / "log.txt"
        self.pids_file = folder / "pids.txt"

    def model(self, name, **told):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        told = {"log": str(self.log), "pids": str(self.pids_file), **told}
        path.write_text(json.dumps(told))
        return path

    def counted(self, what):
        """Model and settings of each row that began, or that ended."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return sorted(line.partition(" ")[2] for line in lines if line.startswith(what))

    def left_behind(self):
        """Processes that the rows were, or started, and that still live."""
        pids = self.pids_file.read_text().split() if self.pids_file.exists() else []
        return [pid for pid in map(int, pids) if lives(pid)]


def lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(condition, seconds=60):
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


class PretendedRows:
    """In the place of ``open_pool``: each model says what its row comes to, and nothing runs."""

    def __init__(self, monkeypatch):
        self.made, self.asked = [], []
        monkeypatch.setattr("varhandle.sweep.run.open_pool", self.open_pool)

    @contextlib.contextmanager
    def open_pool(self, workers, scheduler):
        self.asked.append((workers, scheduler))
        yield RowPool("by pretending", self.submit)

    def submit(self, task):
        told = json.loads(task.spec.model.read_text())
        task.row_folder.mkdir(parents=True, exist_ok=True)
        more = {name: told[name] for name in NUMBERS if name in told}
        more["findings"] = tuple(told.get("findings", ()))
        row = make_row(task, told.get("verdict", "ready"), told.get("reason", ""), **more)
        store_row(task, row)
        self.made.append(task)
        future = Future()
        future.set_result(row)
        return future
