r"""What you have predicted and solved, in one local file of events that only grows.

The file holds one JSON object a line. Several notebooks may append at once, because each event
is one ``write`` at the end of the file. The order in the file decides, not the clock.
It holds no names and no facts about the machine, and nothing leaves the machine.

The environment variable ``WORKBOOK_PROGRESS`` names another file, or says ``off``: then events
live in memory only, and no buttons are drawn. Headless runs use that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

_VARIABLE = "WORKBOOK_PROGRESS"

#: What an attempt can come to, worst first.
STATUSES = ("not attempted", "raised", "wrong", "right")

# Events that no file takes, because progress is off or the file cannot be written.
_unsaved: list[dict[str, Any]] = []


@dataclass(frozen=True)
class ExerciseRecord:
    """What is known of one exercise."""

    best: str = "not attempted"  # of ``STATUSES``
    attempts: int = 0
    hints: int = 0  # number of the last hint seen
    solution_opened: bool = False


@dataclass(frozen=True)
class PredictionRecord:
    """What is known of one prediction."""

    answer: str  # the option last chosen
    correct: bool | None = None  # whether the code then showed the same, once it is compared


@dataclass(frozen=True)
class Progress:
    """All records, by id. An exercise that was never touched has none."""

    exercises: Mapping[str, ExerciseRecord]
    predictions: Mapping[str, PredictionRecord]

    def exercise(self, exercise_id: str) -> ExerciseRecord:
        """Look up the record of an exercise."""
        return self.exercises.get(exercise_id, ExerciseRecord())


def working_copy() -> Path:
    """Return the folder that holds ``notebooks/`` and ``workbook_lib/``, or the working folder.

    The working folder and its parents come first, so that a copied workbook keeps its own
    progress; then the folder that this package was installed from.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "notebooks").is_dir() and (folder / "workbook_lib").is_dir():
            return folder
    package_parent = Path(__file__).resolve().parents[2]
    return package_parent if (package_parent / "notebooks").is_dir() else here


def is_off() -> bool:
    """Return whether progress is kept in memory only."""
    return os.environ.get(_VARIABLE) == "off"


@contextmanager
def progress_off() -> Iterator[None]:
    """Turn progress off for the kernels that start meanwhile.

    A run must show the unsolved workbook, and must not write into a learner's progress.
    """
    kept = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = "off"
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE)
        if kept is not None:
            os.environ[_VARIABLE] = kept


def progress_file() -> Path:
    """Return the path of the event log; it need not exist."""
    chosen = os.environ.get(_VARIABLE)
    return Path(chosen).expanduser() if chosen else working_copy() / ".workbook" / "progress.jsonl"


def record(event: str, **fields: object) -> str:
    """Append one event.

    Returns an empty text, or one line that says why progress is not kept. It never raises for a
    file that cannot be written.
    """
    entry: dict[str, Any] = {"event": event, **fields}
    if is_off():
        _unsaved.append(entry)
        return ""
    path = progress_file()
    stamp = datetime.now(timezone.utc).isoformat(timespec="seconds")
    try:
        _append(path, json.dumps({**entry, "time": stamp}).encode())
    except OSError as error:
        _unsaved.append(entry)
        return f"Your progress is not kept: {path} cannot be written ({error.strerror})."
    return ""


def _append(path: Path, line: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        end = os.lseek(descriptor, 0, os.SEEK_END)
        os.lseek(descriptor, max(end - 1, 0), os.SEEK_SET)
        cut_short = end > 0 and os.read(descriptor, 1) != b"\n"
        whole = (b"\n" if cut_short else b"") + line + b"\n"
        if os.write(descriptor, whole) < len(whole):
            raise OSError(0, "the disk is full")
    finally:
        os.close(descriptor)


def read() -> Progress:
    """Read all events and fold them into what is known now.

    Lines that are no event, such as the last one after a power cut, are passed over, and so is a
    file that cannot be read.
    """
    return fold([*(() if is_off() else _read_events(progress_file())), *_unsaved])


def _read_events(path: Path) -> Iterator[dict[str, Any]]:
    try:
        content = path.read_bytes()
    except OSError:
        return
    for line in content.split(b"\n"):
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            continue


def fold(events: Iterable[Mapping[str, Any]]) -> Progress:
    """Fold events, oldest first, into what is known after the last one."""
    exercises: dict[str, ExerciseRecord] = {}
    predictions: dict[str, PredictionRecord] = {}
    for event in events:
        try:
            _apply(event, exercises, predictions)
        except (KeyError, TypeError, ValueError):
            continue
    return Progress(exercises, predictions)


def _apply(
    event: Mapping[str, Any],
    exercises: dict[str, ExerciseRecord],
    predictions: dict[str, PredictionRecord],
) -> None:
    kind = event["event"]
    if kind == "reset":
        for forgotten in event["ids"]:
            exercises.pop(forgotten, None)
            predictions.pop(forgotten, None)
        return
    key = event["id"]
    if kind == "prediction":
        predictions[key] = PredictionRecord(str(event["answer"]))
    elif kind == "comparison":
        predictions[key] = replace(predictions[key], correct=bool(event["correct"]))
    elif kind in ("exercise", "hint", "solution"):
        exercises[key] = _after(exercises.get(key, ExerciseRecord()), event)


def _after(known: ExerciseRecord, event: Mapping[str, Any]) -> ExerciseRecord:
    if event["event"] == "hint":
        return replace(known, hints=max(known.hints, int(event["number"])))
    if event["event"] == "solution":
        return replace(known, solution_opened=True)
    best = max(known.best, event["status"], key=STATUSES.index)
    return replace(known, best=best, attempts=known.attempts + 1)
