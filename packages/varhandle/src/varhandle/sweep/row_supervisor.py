"""Make one row in a process of its own, within its limits, so that its failure costs no other row.

The row's process is forked from one that has TensorFlow, and forks what it needs itself. It waits
for the work, which is a thread, counts what it and all its children hold, and ends them with the
row. Should it die, or hang in C, the sandbox sees that.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from varhandle.sandbox.descendants import adopt_orphans, end_descendants, memory_of_descendants
from varhandle.sandbox.fork_server import start_nested_fork_server
from varhandle.sandbox.process import GIB, cancellable, run_isolated
from varhandle.sandbox.record import telling_line
from varhandle.sweep.rows import (
    LOCKS_FOLDER,
    TOKEN_FILE,
    Row,
    RowStoppedError,
    RowTask,
    finished_row,
    library_versions,
    make_row,
    read_row,
    store_row,
)

LOG_FILE = "log.txt"
_POLL_SECONDS = 0.2
_FAREWELL_SECONDS = 10.0  # for the work to notice that its children are gone
# What could not be written says nothing of the model, and the row is to be made again.
_NO_ROOM = re.compile("|".join(re.escape(os.strerror(n)) for n in (errno.ENOSPC, errno.EDQUOT)))


@dataclass(frozen=True)
class CureMaker:
    """Diagnoses and cures the model, and writes what came of it."""

    def prepare(self) -> None:
        """Do nothing: what it runs is isolated."""

    def make(self, task: RowTask) -> None:
        """Write the verdict file and, where there is one, the .tflite file."""
        from varhandle.diagnosis import diagnose
        from varhandle.evaluate.proof import STATEFUL_CALLS
        from varhandle.facts.recipes import needs_calibration
        from varhandle.formats.trust import NotTrustedError
        from varhandle.repair.run import NoCureError, RepairResult, cure
        from varhandle.verdict_file import write_verdict_file

        spec = task.spec
        calls: dict[str, Any] = {
            "signature": spec.signature,
            "inputs": spec.inputs,
            "trust": task.trust,
            "imports": task.imports,
            "lock": task.lock,
            "timeout": task.timeout,
        }
        asked: dict[str, Any] = {"target": spec.target, "quantization": spec.quantization}
        at_least = STATEFUL_CALLS if needs_calibration(spec.quantization) else 0
        diagnosis = diagnose(spec.model, **calls, reference_calls=at_least)
        outcome: RepairResult | NoCureError | NotTrustedError
        try:
            outcome = cure(diagnosis, **asked, **calls)
        except (NoCureError, NotTrustedError) as error:
            outcome = error
        write_verdict_file(task.row_folder, diagnosis, outcome, **asked)

    def sources(self) -> tuple[Path, ...]:
        """Return none: all is in this package."""
        return ()


def run_row(task: RowTask, stop: threading.Event | None = None) -> Row:
    """Make a row, unless it is finished; nothing that happens to it is raised.

    Once ``stop`` is set, the row is given up.
    """
    if fault := _unreachable_paths(task):
        return make_row(task, "failed", fault)
    if kept := read_row(task):
        return kept
    with cancellable(stop or threading.Event()):
        # The row's own limits come first; these hold where the row's process cannot look.
        record = run_isolated(
            supervise,
            task,
            timeout=2 * task.timeout + _FAREWELL_SECONDS,
            memory_limit=2 * task.memory,
            locked=False,  # it locks what it starts
        )
    if record.ok:
        made: Row = record.value
        return made
    verdict, reason = record.outcome, record.message
    if verdict == "crashed" and record.exit_signal is not None:
        reason = f"the row's process died: {last_error_line(task) or record.exit_signal}"
    elif verdict == "timed out":
        reason = f"ended: {_late(task, record.seconds)}"
    elif verdict != "out of memory":
        return make_row(task, "failed", reason or verdict)
    row = make_row(task, verdict, reason, seconds=record.seconds)
    if task.row_folder.is_dir():
        store_row(task, row)
    return row


def _unreachable_paths(task: RowTask) -> str:
    """Say what of a task cannot be seen from here; empty if all can."""
    from varhandle.evaluate.given_inputs import inputs_path

    here = platform.node()
    try:
        token = Path(task.folder, TOKEN_FILE).read_text(encoding="utf-8")
    except OSError:
        return f"{here} cannot see {task.folder}: the output folder must be shared by all workers"
    if token != task.token:
        return f"{task.folder} on {here} is not the output folder of this sweep: it must be shared"
    inputs = task.spec.inputs
    for path in (task.spec.model, inputs and inputs_path(inputs)):
        if path is not None and not os.path.lexists(path):
            return f"{here} cannot see {path}"
    return ""


def last_error_line(task: RowTask) -> str:
    """Return the last line of a row's log that says why a library gave up, or ``""``."""
    try:
        log = (task.row_folder / LOG_FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return telling_line(log)


def supervise(task: RowTask) -> Row:
    """Make a row, in the row's process, as soon as no other process is at it."""
    from filelock import FileLock

    # Before the lock, which a forked process would hold as well, and before any thread.
    start_nested_fork_server()
    task.maker.prepare()
    adopt_orphans()
    with FileLock(task.folder / LOCKS_FOLDER / task.id):
        if kept := read_row(task):
            return kept
        differing = sorted({name for name, _ in set(library_versions()) ^ set(task.versions)})
        if differing:
            names = ", ".join(differing)
            fault = f"{platform.node()} and the sweep have different versions of {names}"
            return make_row(task, "failed", fault)
        try:
            _clear(task.row_folder)
            task.row_folder.mkdir(parents=True)
            with _logged(task.row_folder / LOG_FILE):
                row = _within_limits(task)
            if not _NO_ROOM.search(row.reason):
                store_row(task, row)
        except OSError as error:
            fault = f"{error.filename or task.row_folder}: {error.strerror or error}"
            return make_row(task, "failed", fault)
        return row


def _clear(folder: Path) -> None:
    """Remove what a killed attempt has left, or whatever else took its place."""
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder, ignore_errors=True)
    else:  # ``rmtree`` would wait for a pipe's writer
        folder.unlink(missing_ok=True)


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Send what this process and its children write on standard error to a file, unless empty.

    What crashes leaves its last words there.
    """
    kept = os.dup(2)
    with path.open("wb") as log:
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        if path.exists() and not path.stat().st_size:
            path.unlink()


def _within_limits(task: RowTask) -> Row:
    started = time.monotonic()
    work = futures.ThreadPoolExecutor(1).submit(task.maker.make, task)
    over = None
    while over is None and not futures.wait([work], _POLL_SECONDS).done:
        over = _overrun(task, time.monotonic() - started)
    end_descendants()
    futures.wait([work], _FAREWELL_SECONDS)
    end_descendants()  # it may have been starting one
    seconds = time.monotonic() - started
    error = work.exception() if work.done() else None
    cell = error.cell if isinstance(error, RowStoppedError) else ""
    if over is not None:
        verdict, why = over
        where = f" in cell {cell}" if cell else ""
        return make_row(task, verdict, f"ended{where}: {why}", seconds=seconds, cell=cell)
    if error is None:
        return finished_row(task, seconds)
    if isinstance(error, OSError):
        raise error
    if isinstance(error, RowStoppedError):
        return make_row(task, error.verdict, error, seconds=seconds, cell=cell)
    return make_row(task, "failed", f"{type(error).__name__}: {error}", seconds=seconds)


def _late(task: RowTask, seconds: float) -> str:
    return f"after {seconds:.0f} s; it may take {task.timeout:g} s"


def _overrun(task: RowTask, seconds: float) -> tuple[str, str] | None:
    """Say which limit is met, if one is."""
    if seconds > task.timeout:
        return "timed out", _late(task, seconds)
    held = memory_of_descendants(task.memory)
    if held > task.memory:
        limit = task.memory / GIB
        return "out of memory", f"it held {held / GIB:.2f} GiB; it may hold {limit:.2f} GiB"
    return None
