r"""What you have predicted and solved, in one local file of events that only grows.

The file holds one JSON object a line. Several notebooks may append at once, because each event
is one ``write`` at the end of the file. The order in the file decides, not the clock.
It holds no names and no facts about the machine, but the sentences that you write where a lesson
asks why; and nothing leaves the machine by itself.

The environment variable ``WORKBOOK_PROGRESS`` names another file, or says ``off``: then events
live in memory only, and no buttons are drawn. Headless runs use that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

_VARIABLE = "WORKBOOK_PROGRESS"
_FOLDER = ".workbook"

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
class QuizRecord:
    """What is known of one question of a quiz."""

    answer: str  # the option last chosen
    correct: bool


@dataclass(frozen=True)
class Progress:
    """All records, by id. An exercise that was never touched has none."""

    exercises: dict[str, ExerciseRecord] = field(default_factory=dict)
    predictions: dict[str, PredictionRecord] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)  # prediction -> the learner's sentence
    quizzes: dict[str, QuizRecord] = field(default_factory=dict)
    times: dict[str, datetime] = field(default_factory=dict)  # of the last event of each id

    def exercise(self, exercise_id: str) -> ExerciseRecord:
        """Look up the record of an exercise."""
        return self.exercises.get(exercise_id, ExerciseRecord())


def working_copy() -> Path:
    """Return the folder whose lessons and progress these are.

    That is the nearest one, from the working folder upwards, with a folder ``.workbook``, as every
    learner's copy has one; else the one that this package was installed from.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / _FOLDER).is_dir():
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
    return Path(chosen).expanduser() if chosen else working_copy() / _FOLDER / "progress.jsonl"


def keep_in(folder: Path) -> None:
    """Keep the progress in a learner's copy from now on, unless the environment names a file."""
    os.environ.setdefault(_VARIABLE, str(folder / _FOLDER / "progress.jsonl"))


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
    line = json.dumps({**entry, "time": stamp}).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered, and at the end of the file: what others write meanwhile is not torn apart.
        with open(path, "a+b", buffering=0, opener=partial(os.open, mode=0o600)) as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(end - 1, 0))
            cut_short = end > 0 and file.read(1) != b"\n"
            whole = b"\n" + line if cut_short else line
            if file.write(whole) < len(whole):
                raise OSError(0, "the disk is full")
    except OSError as error:
        _unsaved.append(entry)
        return f"Your progress is not kept: {path} cannot be written ({error.strerror})."
    return ""


def read() -> Progress:
    """Read all events and fold them into what is known now.

    Lines that are no event, such as the last one after a power cut, are passed over, and so is a
    file that cannot be read.
    """
    return fold([*(() if is_off() else _kept_events()), *_unsaved])


def _kept_events() -> Iterator[dict[str, Any]]:
    try:
        content = progress_file().read_bytes()
    except OSError:
        return
    for line in content.split(b"\n"):
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            continue


def fold(events: Iterable[Mapping[str, Any]]) -> Progress:
    """Fold events, oldest first, into what is known after the last one."""
    known = Progress()
    for event in events:
        try:
            _apply(event, known)
            _note_time(event, known)
        except (KeyError, TypeError, ValueError):
            continue
    return known


def _note_time(event: Mapping[str, Any], known: Progress) -> None:
    """Keep when something was last done; raises where the event has no time, or a bad one."""
    when = datetime.fromisoformat(event["time"])
    if event["event"] != "reset" and when.tzinfo is not None:
        known.times[event["id"]] = when


def _apply(event: Mapping[str, Any], known: Progress) -> None:
    exercises, predictions = known.exercises, known.predictions
    kind, key = event["event"], event.get("id", "")
    before = exercises.get(key, ExerciseRecord())
    if kind == "reset":
        for forgotten in event["ids"]:
            for records in (exercises, predictions, known.reasons, known.quizzes, known.times):
                records.pop(forgotten, None)
    elif kind == "prediction":
        predictions[key] = PredictionRecord(str(event["answer"]))
    elif kind == "comparison":
        predictions[key] = replace(predictions[key], correct=bool(event["correct"]))
    elif kind == "reason":
        known.reasons[key] = str(event["sentence"])
    elif kind == "quiz":
        known.quizzes[key] = QuizRecord(str(event["answer"]), bool(event["correct"]))
    elif kind == "hint":
        exercises[key] = replace(before, hints=max(before.hints, int(event["number"])))
    elif kind == "solution":
        exercises[key] = replace(before, solution_opened=True)
    elif kind == "exercise":
        best = max(before.best, event["status"], key=STATUSES.index)
        exercises[key] = replace(before, best=best, attempts=before.attempts + 1)
