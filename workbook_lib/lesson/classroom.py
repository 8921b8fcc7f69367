"""Where a class stands: many learners' progress files, read together.

A file is handed in by its learner: nothing is sent by itself. It is ``.workbook/progress.jsonl``
of their copy, and what it is called says whose it is.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from varhandle.display import Rich, printable, table_html, table_text
from varhandle.errors import VarhandleError
from workbook_lib.lesson.outline import NotebookOutline, outline
from workbook_lib.lesson.progress import ExerciseRecord, Progress, fold

STATES = ("right", "trying", "stuck", "untouched")
"""How a learner can stand with an exercise, in the order in which they are shown."""

STUCK_ATTEMPTS = 3
STUCK_HINTS = 3
_LARGEST = 20_000_000  # bytes; a learner of this workbook writes some ten thousand
_DEEPEST = 4  # folders
_OWN_NAME = "progress.jsonl"


class ClassroomError(VarhandleError, ValueError):
    """A folder that cannot be read as a class; the message names it."""


def state_of(record: ExerciseRecord) -> str:
    """Say how a learner stands with an exercise.

    Stuck is who has not got it right after three checked answers, after the third hint, or with the
    solution open.
    """
    if record.best == "right":
        return "right"
    tried_enough = record.attempts >= STUCK_ATTEMPTS or record.hints >= STUCK_HINTS
    if tried_enough or record.solution_opened:
        return "stuck"
    return "trying" if record.attempts or record.hints else "untouched"


@dataclass(frozen=True, eq=False)
class Learner:
    """One progress file."""

    name: str  # what the file, or the folder around it, is called; as it is, so not yet printable
    progress: Progress  # what it says
    damage: str = ""  # what is wrong with it, in a few words; empty if nothing is


@dataclass(frozen=True)
class ExerciseStanding:
    """How a class stands with one exercise."""

    id: str  # the exercise
    notebook: str  # number of its notebook
    learners: Mapping[str, tuple[str, ...]]  # state to the names of the learners in it

    def count(self, state: str) -> int:
        """Count the learners in a state."""
        return len(self.learners.get(state, ()))


@dataclass(frozen=True)
class Votes:
    """How a class has answered one prediction."""

    id: str  # the prediction
    notebook: str  # number of its notebook
    options: Mapping[str, int]  # option to how many chose it, the most chosen first
    right: int  # how many of those who have compared it were right
    compared: int  # how many have compared it


@dataclass(frozen=True, repr=False, eq=False)
class Classroom(Rich):
    """A class."""

    learners: tuple[Learner, ...]  # sorted by name
    notebooks: tuple[NotebookOutline, ...]  # what there is to do

    def __repr__(self) -> str:
        return f"Classroom({len(self.learners)} learners)"

    @cached_property
    def exercises(self) -> tuple[ExerciseStanding, ...]:
        """Every exercise, in the order in which they are taught."""
        return tuple(
            ExerciseStanding(
                exercise,
                notebook.number,
                {
                    state: tuple(
                        learner.name
                        for learner in self.learners
                        if state_of(learner.progress.exercise(exercise)) == state
                    )
                    for state in STATES
                },
            )
            for notebook in self.notebooks
            for exercise in notebook.exercises
        )

    @cached_property
    def worst_first(self) -> tuple[ExerciseStanding, ...]:
        """The exercises at which somebody is stuck, most first."""
        held_up = [standing for standing in self.exercises if standing.count("stuck")]
        return tuple(sorted(held_up, key=lambda standing: -standing.count("stuck")))

    @cached_property
    def votes(self) -> tuple[Votes, ...]:
        """Every prediction that somebody has made, in the order in which they are taught."""
        found = []
        for notebook in self.notebooks:
            for prediction in notebook.predictions:
                records = [
                    learner.progress.predictions[prediction]
                    for learner in self.learners
                    if prediction in learner.progress.predictions
                ]
                if records:
                    options = Counter(record.answer for record in records)
                    compared = [r.correct for r in records if r.correct is not None]
                    found.append(
                        Votes(
                            prediction,
                            notebook.number,
                            dict(options.most_common()),
                            sum(compared),
                            len(compared),
                        )
                    )
        return tuple(found)

    @property
    def damaged(self) -> tuple[Learner, ...]:
        """The files of which not everything could be read."""
        return tuple(learner for learner in self.learners if learner.damage)

    def done(self, learner: Learner, notebook: NotebookOutline) -> Counter[str]:
        """Count a learner's exercises of a notebook by state."""
        return Counter(
            state_of(learner.progress.exercise(exercise)) for exercise in notebook.exercises
        )

    def learner_rows(self) -> list[tuple[str, ...]]:
        """Return a row for each learner: the name, and a cell for each notebook."""
        return [
            (
                learner.name,
                *(_cell(self.done(learner, notebook)) for notebook in self._with_exercises),
            )
            for learner in self.learners
        ]

    @property
    def _with_exercises(self) -> tuple[NotebookOutline, ...]:
        return tuple(notebook for notebook in self.notebooks if notebook.exercises)

    @property
    def learner_headers(self) -> tuple[str, ...]:
        """The heads of the columns of ``learner_rows``."""
        return ("learner", *(notebook.number for notebook in self._with_exercises))

    def stuck_rows(self) -> list[tuple[object, ...]]:
        """Return a row for each exercise that holds somebody up: counts, and who is stuck."""
        return [
            (
                standing.id,
                *(standing.count(state) for state in STATES),
                ", ".join(map(printable, standing.learners["stuck"])),
            )
            for standing in self.worst_first
        ]

    def vote_rows(self) -> list[tuple[object, ...]]:
        """Return a row for each prediction: how the class voted, and how many were right."""
        return [
            (
                votes.id,
                "; ".join(
                    f"{count} {printable(option)}" for option, count in votes.options.items()
                ),
                f"{votes.right} of {votes.compared}",
            )
            for votes in self.votes
        ]

    def text(self) -> str:
        """Return all tables, where a class is stuck first."""
        parts = [f"{len(self.learners)} learners"]
        if self.worst_first:
            parts.append(table_text(STUCK_HEADERS, self.stuck_rows()))
        else:
            parts.append("Nobody is stuck.")
        parts.append(table_text(self.learner_headers, self.learner_rows()))
        if self.votes:
            parts.append(table_text(VOTE_HEADERS, self.vote_rows()))
        parts += [f"{printable(one.name)}: {one.damage}" for one in self.damaged]
        return "\n\n".join(parts)

    def html(self) -> str:
        """Return the same tables in HTML."""
        parts = [
            table_html(STUCK_HEADERS, self.stuck_rows(), "where somebody is stuck, most first")
            if self.worst_first
            else "<p>Nobody is stuck.</p>",
            table_html(
                self.learner_headers,
                self.learner_rows(),
                "exercises right, a column for each notebook",
            ),
        ]
        if self.votes:
            parts.append(table_html(VOTE_HEADERS, self.vote_rows(), "how the class predicted"))
        if self.damaged:
            rows = [(one.name, one.damage) for one in self.damaged]
            parts.append(table_html(("file", "fault"), rows, "files that are damaged"))
        return "".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "learners": [
                {
                    "name": learner.name,
                    "damage": learner.damage or None,
                    "notebooks": {
                        notebook.number: dict(self.done(learner, notebook))
                        for notebook in self._with_exercises
                    },
                }
                for learner in self.learners
            ],
            "exercises": [
                {
                    "id": standing.id,
                    "notebook": standing.notebook,
                    **{state: list(standing.learners[state]) for state in STATES},
                }
                for standing in self.exercises
            ],
            "predictions": [
                {
                    "id": votes.id,
                    "notebook": votes.notebook,
                    "votes": dict(votes.options),
                    "right": votes.right,
                    "compared": votes.compared,
                }
                for votes in self.votes
            ],
        }


STUCK_HEADERS = ("exercise", *STATES, "who is stuck")
VOTE_HEADERS = ("prediction", "votes", "right")


def _cell(states: Counter[str]) -> str:
    """Say how far a learner is in a notebook; a dot for one that is untouched."""
    whole = sum(states.values())
    if states["untouched"] == whole:
        return "·"
    stuck = f", {states['stuck']} stuck" if states["stuck"] else ""
    return f"{states['right']} of {whole}{stuck}"


def classroom(folder: str | Path) -> Classroom:
    """Read the progress files of a class.

    ``folder`` holds a ``.jsonl`` file for each learner, or a folder for each with a
    ``progress.jsonl`` somewhere in it; either is named after them. A damaged file is a learner too:
    what can be read of it counts. Raises ``ClassroomError``: there is no such folder, or no such
    file in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ClassroomError(f"{printable(folder)}: there is no such folder")
    files = sorted(
        path
        for path in folder.rglob("*.jsonl")
        if len(path.relative_to(folder).parts) <= _DEEPEST and path.is_file()
    )
    if not files:
        raise ClassroomError(f"{printable(folder)}: no progress file (.jsonl) in this folder")
    learners = sorted((_read(path, folder) for path in files), key=lambda one: one.name)
    return Classroom(tuple(learners), outline())


def _read(path: Path, folder: Path) -> Learner:
    parts = path.relative_to(folder).parts
    name = parts[0] if path.name == _OWN_NAME and len(parts) > 1 else path.stem
    nothing = Progress({}, {})
    try:
        if path.stat().st_size > _LARGEST:
            return Learner(name, nothing, f"larger than {_LARGEST // 10**6} MB: not read")
        content = path.read_bytes()
    except OSError as error:
        return Learner(name, nothing, f"cannot be read: {error.strerror}")
    events, broken = [], 0
    for line in content.split(b"\n"):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            broken += 1
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            events.append(event)
        else:
            broken += 1
    if not events:
        return Learner(name, nothing, "no event in it: no progress file")
    lines = "1 line" if broken == 1 else f"{broken} lines"
    return Learner(name, fold(events), f"{lines} cannot be read" if broken else "")
