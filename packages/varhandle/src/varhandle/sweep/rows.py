"""One row of a sweep: what is to be done, what came of it, and the file that keeps it.

A finished row is one file, ``row.json``; whoever asks for the same row again is given what it says.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from varhandle.atomic_write import write_text
from varhandle.display import one_line, printable, without_color
from varhandle.errors import VarhandleError
from varhandle.facts.verdicts import MEANINGS, VERDICTS
from varhandle.formats.regular_file import LARGEST_TEXT, read_regular
from varhandle.installation import installed_version
from varhandle.sweep.row_specs import RowSpec
from varhandle.verdict_file import PACKAGES, VERDICT_FILE

OUTCOMES = (*VERDICTS, "crashed", "timed out", "out of memory", "failed")
"""What a row may come to, from the best to the worst; the last four are no verdict on the model."""

ROWS_FOLDER = "rows"
LOCKS_FOLDER = ".locks"
TOKEN_FILE = ".sweep"

_ROW_FILE = "row.json"
_LONGEST_REASON = 300


class RowMaker(Protocol):
    """How a row is made. It is pickled, so it is defined in a module."""

    def prepare(self) -> None:
        """Fork what it needs to fork from the row's process, which has one thread yet."""
        ...

    def make(self, task: RowTask) -> None:
        """Write the verdict file, and what goes with it, into the row's folder.

        What it raises is the row's outcome: an ``OSError`` says that the row could not be kept, a
        ``RowStoppedError`` where it stopped.
        """
        ...

    def sources(self) -> Iterable[Path]:
        """Return the files, beside this package's, whose content decides what it makes."""
        ...


class RowStoppedError(VarhandleError):
    """A row came to an end before its verdict; ``cell`` is the notebook cell that it was in."""

    def __init__(self, verdict: str, reason: str, cell: str = "") -> None:
        self.verdict, self.reason, self.cell = verdict, reason, cell
        super().__init__(reason)


@dataclass(frozen=True)
class RowTask:
    """All that is needed to make a row, on any machine that sees the same files."""

    id: str  # name of the row's folder, unique in the sweep
    name: str  # what the model is called in the table
    spec: RowSpec  # with absolute paths
    key: str  # digest of everything that the result depends on
    trust: bool
    imports: tuple[str, ...]  # the user's own code that the model needs
    maker: RowMaker
    folder: Path  # of the sweep, absolute
    token: str  # what the sweep has written into its folder, to know it again elsewhere
    lock: bool  # whether the processes that open the model are locked
    timeout: float  # seconds
    memory: int  # bytes of the row's process and all its children together
    versions: tuple[tuple[str, str], ...]  # of the libraries that the result depends on

    @property
    def row_folder(self) -> Path:
        """The folder that the row's files go to."""
        return self.folder / ROWS_FOLDER / self.id


@dataclass(frozen=True)
class Row:
    """One row of the results. The names are the columns of ``sweep.csv`` and ``sweep.parquet``."""

    model: str
    signature: str | None
    inputs: str | None  # file name of the example calls
    target: str
    quantization: str | None
    verdict: str  # one of OUTCOMES
    reason: str  # in one line
    findings: tuple[str, ...] = ()  # ids, the worst first
    agreeing: int | None = None  # calls, in the run where fewest agreed
    calls: int | None = None
    largest_difference: float | None = None  # of any run, as a share of max(1, |expected|)
    tolerance: float | None = None  # of that; None: by the dtype of each output
    bytes: int | None = None
    seconds: float = 0.0
    cell: str = ""  # id of the notebook's cell at which it stopped
    folder: str = ""  # the row's, seen from the sweep's
    file: str | None = None  # name of the .tflite file in it
    first_difference: str | None = None  # the first call and op that differ, and why, in one line

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it, which has no word for what is not finite."""
        told = {**asdict(self), "findings": list(self.findings)}
        largest = self.largest_difference
        if largest is not None and not math.isfinite(largest):
            told["largest_difference"] = None
        return told

    @property
    def good(self) -> bool:
        """Whether the model can be used."""
        return self.verdict in MEANINGS and MEANINGS[self.verdict].good

    @property
    def mark(self) -> str:
        """The sign that stands beside the verdict."""
        return MEANINGS[self.verdict].mark if self.verdict in MEANINGS else "!"

    @property
    def setting(self) -> str:
        """The row's settings in a few words."""
        parts = [self.target, self.quantization, self.signature, self.inputs]
        return ", ".join(part for part in parts if part)

    @property
    def title(self) -> str:
        """The model and the settings, in one line that can be shown anywhere."""
        return f"{self.model} ({self.setting})"


def make_row(task: RowTask, verdict: str, reason: object, **more: Any) -> Row:
    """Return the row of a task: what it came to, and what it is called in this sweep."""
    return Row(
        **_names(task),
        verdict=verdict,
        reason=_one_line(without_color(str(reason))),
        folder=f"{ROWS_FOLDER}/{task.id}" if task.row_folder.is_dir() else "",
        **more,
    )


def finished_row(task: RowTask, seconds: float) -> Row:
    """Read the verdict file that a row's maker has written; ``failed`` if it is none."""
    path = task.row_folder / VERDICT_FILE
    try:
        fields = _read_verdict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        fields = {"verdict": "failed", "reason": f"there is no {VERDICT_FILE}"}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        fault = f"{VERDICT_FILE} is no verdict file: {type(error).__name__}: {error}"
        fields = {"verdict": "failed", "reason": fault}
    return make_row(task, seconds=seconds, **fields)


def _names(task: RowTask) -> dict[str, Any]:
    spec = task.spec
    names = {
        "model": task.name,
        "signature": spec.signature,
        "inputs": spec.inputs and spec.inputs.name,
        "target": spec.target,
        "quantization": spec.quantization,
    }
    return {column: name and printable(name) for column, name in names.items()}


def _one_line(text: str) -> str:
    return one_line(text.strip(), _LONGEST_REASON)  # what is no text raises


def _read_verdict(content: Any) -> dict[str, Any]:
    """Read what ``data/schemas/verdict.schema.json`` describes, as far as the table needs it."""
    if content["verdict"] not in VERDICTS:
        raise ValueError(f"the verdict is {content['verdict']!r}")
    findings = content["diagnosis"].get("findings", ())
    name, told = content["file"], content.get("first_difference")
    if name is not None and (Path(name).name != name or name in {"", ".", ".."}):
        raise ValueError(f"the file is {name!r}, which is no name of a file beside it")
    fields = {
        "verdict": content["verdict"],
        "reason": content["reason"],
        "findings": tuple(dict.fromkeys(_one_line(finding["id"]) for finding in findings)),
        "bytes": None if content["bytes"] is None else int(content["bytes"]),
        "file": name,
        "first_difference": told and _one_line(told),
    }
    # A quantized file is the one that is delivered.
    parity = content.get("quantization_parity") or content["parity"]
    if parity is not None and parity["runs"]:
        runs = parity["runs"]
        differences = [run["largest_difference"] for run in runs]
        tolerance = parity["tolerance"]
        fields |= {
            "agreeing": min(int(run["agreeing"]) for run in runs),
            "calls": max(int(run["calls"]) for run in runs),
            "largest_difference": max(
                (float(d) for d in differences if d is not None), default=None
            ),
            "tolerance": None if tolerance is None else float(tolerance),
        }
    return fields


def read_row(task: RowTask) -> Row | None:
    """Return a row that was finished before.

    ``None`` if there is none, if something that it depends on has changed, or if it met a limit
    that is wider now.
    """
    try:
        stored = json.loads(read_regular(task.row_folder / _ROW_FILE, LARGEST_TEXT))
        row = Row(**{**stored["row"], "findings": tuple(stored["row"]["findings"])})
        wider = {
            "timed out": task.timeout > stored["timeout"],
            "out of memory": task.memory > stored["memory"],
        }
        if stored["key"] != task.key or wider.get(row.verdict):
            return None
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return replace(row, **_names(task))


def store_row(task: RowTask, row: Row) -> None:
    """Write a finished row, in one step: before it there is none, after it there is all of it."""
    limits = {"timeout": task.timeout, "memory": task.memory}
    content = {"key": task.key, **limits, "row": asdict(row)}
    write_text(task.row_folder / _ROW_FILE, json.dumps(content, indent=1) + "\n")


def library_versions() -> tuple[tuple[str, str], ...]:
    """Return name and version of each library that a row depends on.

    Of this package it is a digest of its source, which changes more often than its version does.
    """
    source = Path(__file__).parents[1]
    found = [("varhandle", digest_of(source.rglob("*.py"), source)[:12])]
    found += [(name, installed_version(name) or "not installed") for name in PACKAGES]
    return tuple(found)


def digest_of(files: Iterable[Path], root: Path = Path("/")) -> str:
    """Return a digest of files, their names seen from a folder."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
