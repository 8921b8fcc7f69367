"""One row of a sweep: notebook 08 on one model, for one target, with one quantization.

A row is a pure function of a ``RowTask``, which is plain data: it can be called here, or sent to
another machine that sees the same files. The notebook runs below a *keeper* (``runs.keeper``), a
process that holds the row to its limits and ends with all that it started. A row that is finished
is one file, ``row.json``; whoever asks for the same row again is given what it says.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import IO, Any, Literal, get_args

from varhandle.atomic_write import write_text
from varhandle.display import printable
from varhandle.facts.verdicts import MEANINGS, VERDICTS, Verdict
from warm_kernels import fork_server
from warm_kernels.forked_process import ForkedProcess
from workbook_lib.locations import project_root

Outcome = Literal[Verdict, "crashed", "timed out", "out of memory", "failed"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
"""From the best to the worst; the last four say that the row came to no verdict."""

NOTEBOOK_FILE = "notebook.ipynb"
PAGE_FILE = "notebook.html"
VERDICT_FILE = "verdict.json"
LOG_FILE = "log.txt"
ROW_FILE = "row.json"
ROWS_FOLDER = "rows"
LOCKS_FOLDER = ".locks"
TOKEN_FILE = ".sweep"

NOT_DONE = 3
"""Exit code of a keeper that could not do the row, and says why in one line."""

_MODULES = ("papermill", "workbook_lib.runs.keeper")
"""What a forked keeper and its kernel would otherwise import for themselves, row by row."""

_POLL_SECONDS = 0.1
_FAREWELL_SECONDS = 20.0
_LONGEST_REASON = 300


@dataclass(frozen=True)
class RowTask:
    """All that is needed to make a row, as plain data.

    Attributes:
        id: Name of the row's folder, unique in the sweep.
        name: What the model is called in the table.
        model: Its absolute path.
        signature: The signature to call; ``None`` for the notebook's choice.
        inputs: Absolute path of an ``.npz`` file of example calls; ``None`` for made-up ones.
        target: Where the model is to run.
        quantization: How it is to be quantized; ``None`` for not at all.
        trust: Whether code that the model brings along may run.
        notebook: Absolute path of the notebook.
        folder: Absolute path of the sweep's folder.
        token: What the sweep has written into that folder, to know it again on another machine.
        key: Digest of everything that the row's result depends on.
        timeout: Seconds of wall-clock time that the row may take.
        memory: Bytes that the kernel and its children may hold together.
        versions: The libraries that the result depends on, with their versions.
    """

    id: str
    name: str
    model: str
    signature: str | None
    inputs: str | None
    target: str
    quantization: str | None
    trust: bool
    notebook: str
    folder: str
    token: str
    key: str
    timeout: float
    memory: int
    versions: tuple[tuple[str, str], ...]

    @property
    def row_folder(self) -> Path:
        """The folder that the row's files go to."""
        return Path(self.folder, ROWS_FOLDER, self.id)

    @property
    def lock(self) -> Path:
        """The file that whoever makes the row holds."""
        return Path(self.folder, LOCKS_FOLDER, self.id)


@dataclass(frozen=True)
class Row:
    """One row of the results. The names are the columns of ``sweep.csv`` and ``sweep.parquet``.

    Attributes:
        model: What the model is called.
        signature: As in the task.
        inputs: File name of the example calls.
        target: As in the task.
        quantization: As in the task.
        verdict: One of ``OUTCOMES``.
        reason: Why, in one line.
        findings: Ids of what was found in the model, the worst first.
        agreeing: Calls on which all outputs agreed, in the run where that were fewest; ``None``
            if nothing was compared.
        calls: How many calls were made.
        largest_difference: The largest difference of any run, as a share of max(1, |expected|).
        tolerance: What was allowed of that; ``None`` for what each output's dtype is.
        bytes: Size of the .tflite file.
        seconds: Wall-clock time.
        cell: Id of the notebook's cell at which it stopped; empty if it came to its end.
        folder: The row's folder, seen from the sweep's.
        file: Name of the .tflite file in it; ``None`` if there is none.
    """

    model: str
    signature: str | None
    inputs: str | None
    target: str
    quantization: str | None
    verdict: Outcome
    reason: str
    findings: tuple[str, ...] = ()
    agreeing: int | None = None
    calls: int | None = None
    largest_difference: float | None = None
    tolerance: float | None = None
    bytes: int | None = None
    seconds: float = 0.0
    cell: str = ""
    folder: str = ""
    file: str | None = None

    @property
    def good(self) -> bool:
        """Whether the model can be used."""
        return self.verdict in MEANINGS and MEANINGS[self.verdict].good

    @property
    def setting(self) -> str:
        """The row's settings in a few words."""
        parts = [self.target, self.quantization or "", self.signature or "", self.inputs or ""]
        return ", ".join(part for part in parts if part)

    @property
    def title(self) -> str:
        """The model and the settings, in one line that can be shown anywhere."""
        return f"{self.model} ({self.setting})"


def unjudged(task: RowTask, verdict: Outcome, reason: str, **more: Any) -> Row:
    """Return the row of a task that came to no verdict of its own.

    Args:
        task: The task.
        verdict: What came of it.
        reason: Why; made one printable line here.
        **more: Other fields of the row.

    Returns:
        The row.
    """
    folder = f"{ROWS_FOLDER}/{task.id}" if task.row_folder.is_dir() else ""
    row = Row("", None, None, "", None, verdict, one_line(reason), folder=folder, **more)
    return _named(row, task)


def _named(row: Row, task: RowTask) -> Row:
    """Put in what the model and its settings are called in this sweep."""
    return replace(
        row,
        model=printable(task.name),
        signature=task.signature and printable(task.signature),
        inputs=task.inputs and printable(Path(task.inputs).name),
        target=printable(task.target),
        quantization=task.quantization and printable(task.quantization),
    )


def one_line(text: object) -> str:
    """Return text as one printable line, without colors, cut where it grows too long."""
    without_color = re.sub(r"\x1b\[[0-9;]*m", "", str(text))
    return printable(" ".join(without_color.split()), _LONGEST_REASON)


def judged(task: RowTask, seconds: float) -> Row:
    """Read the verdict file that a row's notebook has written.

    Args:
        task: The task.
        seconds: How long it took.

    Returns:
        The row; ``failed`` where the file is missing or is none.
    """
    path = task.row_folder / VERDICT_FILE
    try:
        row = _read_verdict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return unjudged(task, "failed", f"the notebook wrote no {VERDICT_FILE}", seconds=seconds)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        fault = f"{VERDICT_FILE} is no verdict file: {type(error).__name__}: {error}"
        return unjudged(task, "failed", fault, seconds=seconds)
    return replace(_named(row, task), seconds=seconds, folder=f"{ROWS_FOLDER}/{task.id}")


def _read_verdict(content: Any) -> Row:
    """Read what ``data/verdict.schema.json`` describes, as far as the table needs it.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: It is something else.
    """
    if content["verdict"] not in VERDICTS:
        raise ValueError(f"the verdict is {content['verdict']!r}")
    findings = content["diagnosis"].get("findings", ())
    return Row(
        *("", None, None, "", None),
        verdict=content["verdict"],
        reason=one_line(content["reason"]),
        findings=tuple(dict.fromkeys(one_line(finding["id"]) for finding in findings)),
        bytes=None if content["bytes"] is None else int(content["bytes"]),
        file=_file_name(content["file"]),
        # A quantized file is the one that is delivered.
        **_parity(content.get("quantization_parity") or content["parity"]),
    )


def _file_name(name: Any) -> str | None:
    """Return the name of the .tflite file, which must be one in the row's own folder."""
    if name is None:
        return None
    if not isinstance(name, str) or Path(name).name != name or name in {"", ".", ".."}:
        raise ValueError(f"the file is {name!r}, which is no name of a file beside it")
    return name


def _parity(parity: Any) -> dict[str, Any]:
    if parity is None or not parity["runs"]:
        return {}
    runs = parity["runs"]
    differences = [run["largest_difference"] for run in runs]
    return {
        "agreeing": min(int(run["agreeing"]) for run in runs),
        "calls": max(int(run["calls"]) for run in runs),
        "largest_difference": max((float(d) for d in differences if d is not None), default=None),
        "tolerance": None if parity["tolerance"] is None else float(parity["tolerance"]),
    }


def finished(task: RowTask) -> Row | None:
    """Return a row that was finished before, if it still holds.

    Args:
        task: The task.

    Returns:
        The row; ``None`` if there is none, if something that it depends on has changed, or if it
        met a limit that is wider now.
    """
    try:
        stored = json.loads((task.row_folder / ROW_FILE).read_text(encoding="utf-8"))
        if stored["key"] != task.key:
            return None
        row = Row(**{**stored["row"], "findings": tuple(stored["row"]["findings"])})
        if row.verdict == "timed out" and task.timeout > stored["timeout"]:
            return None
        if row.verdict == "out of memory" and task.memory > stored["memory"]:
            return None
        return _named(row, task)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def store(task: RowTask, row: Row) -> None:
    """Write a finished row, in one step: before it there is none, after it there is all of it.

    Args:
        task: The task.
        row: What came of it.
    """
    content = {
        "key": task.key,
        "timeout": task.timeout,
        "memory": task.memory,
        "versions": dict(task.versions),
        "row": asdict(row),
    }
    write_text(task.row_folder / ROW_FILE, json.dumps(content, indent=1) + "\n")


def run_row(task: RowTask, stop: threading.Event | None = None) -> Row:
    """Make a row, unless it is finished.

    Args:
        task: What to do. All its paths must mean the same files here as where it was made.
        stop: Once it is set, the row is given up.

    Returns:
        The row. Whatever happens to the notebook is in it, and is not raised.
    """
    fault = _out_of_sight(task)
    if fault:
        return unjudged(task, "failed", fault)
    row = finished(task)
    if row is not None:
        return row
    said, code = _run_keeper(task, stop)
    row = finished(task)
    if row is not None:
        return row
    return unjudged(task, "failed", said or f"the row's own process ended early ({code})")


def _out_of_sight(task: RowTask) -> str:
    """Say what of a task cannot be seen from here; empty if all can."""
    here = platform.node()
    try:
        token = Path(task.folder, TOKEN_FILE).read_text(encoding="utf-8")
    except OSError:
        return f"{here} cannot see {task.folder}: the output folder must be shared by all workers"
    if token != task.token:
        return f"{task.folder} on {here} is not the output folder of this sweep: it must be shared"
    for path in (task.model, task.notebook, task.inputs):
        if path is not None and not os.path.lexists(path):
            return f"{here} cannot see {path}"
    return ""


def _run_keeper(task: RowTask, stop: threading.Event | None) -> tuple[str, int]:
    """Run a task below a keeper; return what that said, and its exit code."""
    order = {"parent": os.getpid(), "task": asdict(task)}
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as trouble:
        process = _start_keeper(order, said, trouble)
        try:
            while (code := process.poll()) is None:
                if stop is not None and stop.is_set():
                    return "given up: the sweep was stopped", NOT_DONE
                time.sleep(_POLL_SECONDS)
        finally:
            _end(process)
        return _read_all(said).strip() or last_words(_read_all(trouble)), code


def _start_keeper(
    order: dict[str, Any], said: IO[bytes], trouble: IO[bytes]
) -> ForkedProcess | subprocess.Popen[bytes]:
    """Start a keeper in a session of its own: Ctrl-C in the terminal is for the sweep alone.

    Its folder is one where no file of the user's can pass for a module.
    """
    folder = project_root()
    if fork_server.can_fork_for(os.environ):
        from workbook_lib.runs import keeper

        with tempfile.TemporaryFile() as nothing, contextlib.suppress(OSError):
            return ForkedProcess(
                keeper.main,
                order,
                streams=(nothing.fileno(), said.fileno(), trouble.fileno()),
                environment=os.environ,
                cwd=str(folder),
                modules=_MODULES,
                nested=True,
                ends_with_owner=False,
            )
    with tempfile.TemporaryFile() as given:
        given.write(json.dumps(order).encode())
        given.seek(0)
        command = [sys.executable, "-m", "workbook_lib.runs.keeper"]
        return subprocess.Popen(
            command, stdin=given, stdout=said, stderr=trouble, cwd=folder, start_new_session=True
        )


def _read_all(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="backslashreplace")


def _end(process: ForkedProcess | subprocess.Popen[bytes]) -> None:
    """End a keeper, which ends what it started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_FAREWELL_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def last_words(log: str) -> str:
    """Return the line of a dying process's log that says most; empty if none does.

    Args:
        log: What it wrote to standard error.

    Returns:
        The last line that a C++ library or Python writes when it gives up, or the last line of a
        traceback.
    """
    telling = re.compile(r"LLVM ERROR|Check failed|Fatal Python error|terminate called|^\w+Error\b")
    lines = [line.strip() for line in log.splitlines()]
    return next((line for line in reversed(lines) if telling.search(line)), "")


def read_task(order: dict[str, Any]) -> RowTask:
    """Make a task from what ``asdict`` and JSON have made of it.

    Args:
        order: The fields.

    Returns:
        The task.
    """
    versions = tuple((name, version) for name, version in order["versions"])
    return RowTask(**{**order, "versions": versions})


def library_versions() -> tuple[tuple[str, str], ...]:
    """Return what a row's result depends on, beside its model and its settings.

    Returns:
        Name and version of each library. This project's own is a digest of its source, which
        changes more often than its version does.
    """
    from importlib import metadata

    names = ("tensorflow", "keras", "ai-edge-litert", "ai-edge-quantizer", "numpy")
    digest = hashlib.sha256()
    source = project_root() / "workbook_lib"
    for path in sorted(source.rglob("*.py")):
        digest.update(path.relative_to(source).as_posix().encode())
        digest.update(path.read_bytes())
    own = ("workbook_lib", digest.hexdigest()[:12])
    return (own, *_installed(names, metadata))


def _installed(names: tuple[str, ...], metadata: Any) -> Iterator[tuple[str, str]]:
    for name in names:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "not installed"


COLUMNS = tuple(field.name for field in fields(Row))
"""The columns of the results, in order."""
