"""Where a class stands: many learners' progress files, read together.

A file is handed in by its learner: nothing is sent by itself. It is ``.workbook/progress.jsonl``
of their copy, and what it is called says whose it is.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from varhandle.display import join_all, printable, table_text
from varhandle.errors import VarhandleError
from workbook_lib.lesson.drill_catalog import all_drills
from workbook_lib.lesson.outline import NotebookOutline, read_outlines
from workbook_lib.lesson.progress import ExerciseRecord, Progress, fold
from workbook_lib.lesson.standing import LessonStanding, standing_in
from workshop.homes import LARGEST_PROGRESS, PROGRESS
from workshop.presence import LARGEST_PRESENCE, PRESENCE, Presence, read_presence, seconds_since

#: How a learner can stand with an exercise, in the order in which they are shown.
STATES = ("right", "trying", "stuck", "untouched")

_STUCK_ATTEMPTS = 3
_STUCK_HINTS = 3
_DEEPEST = 4  # folders
_NOTHING = fold([])


class ClassroomError(VarhandleError):
    """A folder that cannot be read as a class; the message names it."""


def state_of(record: ExerciseRecord) -> str:
    """Say how a learner stands with an exercise: one of ``STATES``.

    Stuck is who has not got it right after three checked answers, after the third hint, or with the
    solution open.
    """
    if record.best == "right":
        return "right"
    tried_enough = record.attempts >= _STUCK_ATTEMPTS or record.hints >= _STUCK_HINTS
    if tried_enough or record.solution_opened:
        return "stuck"
    return "trying" if record.attempts or record.hints else "untouched"


@dataclass(frozen=True, eq=False)
class Learner:
    """What one learner has recorded, and, at a hub, what their server has noted."""

    name: str  # what the file, or the folder around it, is called; not yet printable
    progress: Progress
    damage: str = ""  # what is wrong with the file, in a few words
    presence: Presence | None = None  # ``None`` where the file was handed in

    @property
    def last(self) -> datetime | None:
        """When a cell last ran, or something was last recorded; ``None`` if never."""
        seen = self.presence.seen.values() if self.presence else ()
        return max([*self.progress.times.values(), *seen], default=None)


@dataclass(frozen=True, eq=False)
class LearnerStanding:
    """How far one learner is."""

    learner: Learner
    lessons: Sequence[LessonStanding]  # in the order in which they are taught
    stuck: Sequence[str]  # exercises
    quiz: int  # questions answered, right or not
    drills: int  # right

    @property
    def predictions(self) -> int:
        """How many predictions are made."""
        return sum(lesson.predictions for lesson in self.lessons)

    @property
    def exercises(self) -> int:
        """How many exercises are right."""
        return sum(lesson.exercises for lesson in self.lessons)

    def is_seen(self, lesson: LessonStanding) -> bool:
        """Whether the learner has a trace in a lesson: something done, or the notebook opened."""
        presence = self.learner.presence
        opened = presence is not None and lesson.notebook.file in presence.seen
        return opened or lesson.done > 0 or lesson.last is not None


@dataclass(frozen=True)
class ExerciseStanding:
    """How a class stands with one exercise."""

    id: str
    notebook: str  # its number
    learners: Mapping[str, Sequence[str]]  # each of ``STATES`` -> the names of the learners in it

    def count(self, state: str) -> int:
        """Count the learners in a state."""
        return len(self.learners[state])


@dataclass(frozen=True)
class PredictionStanding:
    """How a class has answered one prediction."""

    id: str
    notebook: str  # its number
    votes: Mapping[str, int]  # option -> how many chose it, the most chosen first
    right: int  # how many of those who have compared it were right
    compared: int


@dataclass(frozen=True, eq=False)
class Classroom:
    """The learners of a class, sorted by name, and what there is to do."""

    learners: Sequence[Learner]
    notebooks: Sequence[NotebookOutline] = field(default_factory=read_outlines)

    @cached_property
    def exercises(self) -> Sequence[ExerciseStanding]:
        """Every exercise, in the order in which they are taught."""
        standings = []
        for notebook in self.notebooks:
            for exercise in notebook.exercises:
                found: dict[str, list[str]] = {state: [] for state in STATES}
                for learner in self.learners:
                    found[state_of(learner.progress.exercise(exercise))].append(learner.name)
                standings.append(ExerciseStanding(exercise, notebook.number, found))
        return standings

    @cached_property
    def worst_first(self) -> Sequence[ExerciseStanding]:
        """The exercises at which somebody is stuck, most first."""
        held_up = [standing for standing in self.exercises if standing.count("stuck")]
        return sorted(held_up, key=lambda standing: -standing.count("stuck"))

    @cached_property
    def predictions(self) -> Sequence[PredictionStanding]:
        """Every prediction that somebody has made, in the order in which they are taught."""
        standings = []
        for notebook in self.notebooks:
            for id in notebook.predictions:
                every = [learner.progress.predictions.get(id) for learner in self.learners]
                records = [record for record in every if record is not None]
                votes = dict(Counter(record.answer for record in records).most_common())
                right = [one.correct for one in records if one.correct is not None]
                if records:
                    standings.append(
                        PredictionStanding(id, notebook.number, votes, sum(right), len(right))
                    )
        return standings

    @cached_property
    def standings(self) -> Sequence[LearnerStanding]:
        """How far each learner is."""
        return [self._standing(learner) for learner in self.learners]

    def _standing(self, learner: Learner) -> LearnerStanding:
        known = learner.progress
        every = [id for notebook in self.notebooks for id in notebook.exercises]
        quiz = {id for notebook in self.notebooks for id in notebook.quiz}
        return LearnerStanding(
            learner,
            [standing_in(notebook, known) for notebook in self.notebooks],
            [id for id in every if state_of(known.exercise(id)) == "stuck"],
            len(quiz & known.quizzes.keys()),
            sum(known.exercise(drill.id).best == "right" for drill in all_drills()),
        )

    @cached_property
    def is_live(self) -> bool:
        """Whether it is known who is here now."""
        return any(learner.presence is not None for learner in self.learners)

    def whole(self) -> dict[str, int]:
        """Count what there is to do, of each kind."""
        return {
            "predictions": sum(len(notebook.predictions) for notebook in self.notebooks),
            "exercises": sum(len(notebook.exercises) for notebook in self.notebooks),
            "quiz": sum(len(notebook.quiz) for notebook in self.notebooks),
            "drills": len(all_drills()),
        }

    def label(self, file: str) -> str:
        """Name a notebook by its number and title; one that is no lesson has no name here."""
        found = [one for one in self.notebooks if one.file == file]
        return f"{found[0].number} {found[0].title}" if found else "another notebook"

    def open_notebooks(self, learner: Learner) -> str:
        """Say what a learner has open, the last used first, and where a cell is running."""
        every = learner.presence.notebooks if learner.presence else ()
        labels = (f"{self.label(one.file)}{', running' * one.is_busy}" for one in every)
        return "; ".join(dict.fromkeys(labels))

    def _text_tables(self) -> Iterator[str]:
        whole = self.whole()
        stuck = [
            (
                standing.id,
                *map(standing.count, STATES),
                ", ".join(map(printable, standing.learners["stuck"])),
            )
            for standing in self.worst_first
        ]
        yield (
            table_text(("exercise", *STATES, "who is stuck"), stuck)
            if stuck
            else ("Nobody is stuck.")
        )
        headers = ["learner", *(f"{kind} (of {count})" for kind, count in whole.items())]
        rows = [
            [one.learner.name, one.predictions, one.exercises, one.quiz, one.drills]
            for one in self.standings
        ]
        if self.is_live:
            headers[1:1] = ["place", "open"]
            for row, learner in zip(rows, self.learners, strict=True):
                row[1:1] = [place_status(learner), self.open_notebooks(learner) or "·"]
        headers += ["last active", "lessons begun"]
        for row, one in zip(rows, self.standings, strict=True):
            begun = (lesson.notebook.number for lesson in one.lessons if one.is_seen(lesson))
            last = one.learner.last
            row += [f"{last.astimezone():%Y-%m-%d %H:%M}" if last else "·", join_all(begun, "·")]
        yield table_text(headers, rows)
        votes = [
            (
                one.id,
                "; ".join(f"{count} x {printable(option)}" for option, count in one.votes.items()),
                f"{one.right} of {one.compared}",
            )
            for one in self.predictions
        ]
        if votes:
            yield table_text(("prediction", "votes", "right"), votes)

    def text(self) -> str:
        """Return all tables, where a class is stuck first."""
        faults = [
            f"{printable(one.name)}: {printable(one.damage)}" for one in self.learners if one.damage
        ]
        return "\n\n".join([f"{len(self.learners)} learners", *self._text_tables(), *faults])

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "learners": [self._learner_dict(one) for one in self.standings],
            "exercises": [
                {"id": one.id, "notebook": one.notebook, **one.learners} for one in self.exercises
            ],
            "predictions": [asdict(one) for one in self.predictions],
        }

    def _learner_dict(self, one: LearnerStanding) -> dict[str, Any]:
        learner = one.learner
        presence = learner.presence
        states = {
            notebook.number: Counter(
                state_of(learner.progress.exercise(id)) for id in notebook.exercises
            )
            for notebook in self.notebooks
            if notebook.exercises
        }
        return {
            "name": learner.name,
            "damage": learner.damage or None,
            "place": place_status(learner),
            "open": [note.file for note in presence.notebooks] if presence else None,
            "last": learner.last.isoformat() if learner.last else None,
            "predictions": one.predictions,
            "quiz": one.quiz,
            "drills": one.drills,
            "begun": [each.notebook.number for each in one.lessons if one.is_seen(each)],
            "notebooks": states,
        }


def place_status(learner: Learner) -> str:
    """Say whether a learner's place at the hub is ``open``, ``closed``, or ``not used`` so far."""
    if learner.presence is None:
        return "not known"
    if learner.presence.is_open:
        return "open"
    return "closed" if learner.last else "not used"


def read_classroom(folder: Path) -> Classroom:
    """Read the progress files of a class.

    ``folder`` holds a ``.jsonl`` file for each learner, or a folder for each with a
    ``progress.jsonl`` somewhere in it; either is named after them. A damaged file is a learner too:
    what can be read of it counts. Raises ``ClassroomError``: there is no such folder, or no such
    file in it.
    """
    if not folder.is_dir():
        raise ClassroomError(f"{printable(folder)}: there is no such folder")
    found: dict[Path, str] = {}  # progress file -> whose it is
    for path in sorted(folder.rglob("*.json*")):
        parts = path.relative_to(folder).parts
        if len(parts) > _DEEPEST or not path.is_file():
            continue
        if path.name in (PROGRESS.name, PRESENCE.name) and len(parts) > 1:
            found[path.with_name(PROGRESS.name)] = parts[0]
        elif path.suffix == ".jsonl":
            found[path] = path.stem
    if not found:
        raise ClassroomError(f"{printable(folder)}: no progress file (.jsonl) in this folder")
    learners = [_read_file(name, path) for path, name in found.items()]
    return Classroom(sorted(learners, key=lambda one: one.name))


def _read_file(name: str, path: Path) -> Learner:
    is_home = path.name == PROGRESS.name
    presence = _read_note(path.with_name(PRESENCE.name)) if is_home else None
    try:
        if path.stat().st_size > LARGEST_PROGRESS:
            damage = f"larger than {LARGEST_PROGRESS // 10**6} MB: not read"
            return Learner(name, _NOTHING, damage, presence)
        return read_learner(name, path.read_bytes(), presence)
    except FileNotFoundError:  # a home in which lessons were opened, and no more
        return Learner(name, _NOTHING, presence=presence)
    except OSError as error:
        return Learner(name, _NOTHING, f"cannot be read: {error.strerror}", presence)


def _read_note(path: Path) -> Presence | None:
    with contextlib.suppress(OSError), path.open("rb") as file:
        age = seconds_since(path.stat().st_mtime)
        return read_presence(file.read(LARGEST_PRESENCE), age)
    return None


def read_learner(name: str, content: bytes, presence: Presence | None = None) -> Learner:
    """Read what a progress file holds."""
    events, broken = [], 0
    for line in filter(bytes.strip, content.split(b"\n")):
        try:
            event = json.loads(line)
            events.append({**event, "event": str(event["event"])})
        except (ValueError, RecursionError, TypeError, KeyError):
            broken += 1
    if not events:
        return Learner(name, _NOTHING, "no event in it: no progress file", presence)
    lines = "1 line" if broken == 1 else f"{broken} lines"
    return Learner(name, fold(events), f"{lines} cannot be read" if broken else "", presence)
