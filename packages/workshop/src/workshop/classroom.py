"""Where a class stands: many learners' progress files, read together.

A file is handed in by its learner: nothing is sent by itself. It is ``.workbook/progress.jsonl``
of their copy, and what it is called says whose it is.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from varhandle.display import Rich, printable, table_html, table_text
from varhandle.errors import VarhandleError
from workbook_lib.lesson.outline import NotebookOutline, read_outlines
from workbook_lib.lesson.progress import ExerciseRecord, Progress, fold

#: How a learner can stand with an exercise, in the order in which they are shown.
STATES = ("right", "trying", "stuck", "untouched")

_STUCK_HEADERS = ("exercise", *STATES, "who is stuck")
_VOTE_HEADERS = ("prediction", "votes", "right")
_STUCK_ATTEMPTS = 3
_STUCK_HINTS = 3
_LARGEST = 20_000_000  # bytes; a learner of this workbook writes some ten thousand
_DEEPEST = 4  # folders
_OWN_NAME = "progress.jsonl"


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
    """One progress file."""

    name: str  # what the file, or the folder around it, is called; not yet printable
    progress: Progress
    damage: str = ""  # what is wrong with it, in a few words


@dataclass(frozen=True)
class ExerciseStanding:
    """How a class stands with one exercise."""

    id: str
    notebook: str  # its number
    learners: Mapping[str, tuple[str, ...]]  # state -> the names of the learners in it

    def count(self, state: str) -> int:
        """Count the learners in a state."""
        return len(self.learners.get(state, ()))


@dataclass(frozen=True)
class Votes:
    """How a class has answered one prediction."""

    id: str
    notebook: str  # its number
    options: Mapping[str, int]  # option -> how many chose it, the most chosen first
    right: int  # how many of those who have compared it were right
    compared: int


@dataclass(frozen=True, repr=False, eq=False)
class Classroom(Rich):
    """The learners of a class, sorted by name, and what there is to do."""

    learners: tuple[Learner, ...]
    notebooks: tuple[NotebookOutline, ...]

    def __repr__(self) -> str:
        return f"Classroom({len(self.learners)} learners)"

    @cached_property
    def exercises(self) -> tuple[ExerciseStanding, ...]:
        """Every exercise, in the order in which they are taught."""
        return tuple(
            ExerciseStanding(exercise, notebook.number, self._by_state(exercise))
            for notebook in self.notebooks
            for exercise in notebook.exercises
        )

    def _by_state(self, exercise: str) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {state: [] for state in STATES}
        for learner in self.learners:
            found[state_of(learner.progress.exercise(exercise))].append(learner.name)
        return {state: tuple(names) for state, names in found.items()}

    @cached_property
    def worst_first(self) -> tuple[ExerciseStanding, ...]:
        """The exercises at which somebody is stuck, most first."""
        held_up = [standing for standing in self.exercises if standing.count("stuck")]
        return tuple(sorted(held_up, key=lambda standing: -standing.count("stuck")))

    @cached_property
    def votes(self) -> tuple[Votes, ...]:
        """Every prediction that somebody has made, in the order in which they are taught."""
        return tuple(self._votes())

    def _votes(self) -> Iterator[Votes]:
        for notebook in self.notebooks:
            for id in notebook.predictions:
                records = [
                    learner.progress.predictions[id]
                    for learner in self.learners
                    if id in learner.progress.predictions
                ]
                if records:
                    options = dict(Counter(record.answer for record in records).most_common())
                    right = [r.correct for r in records if r.correct is not None]
                    yield Votes(id, notebook.number, options, sum(right), len(right))

    @property
    def damaged(self) -> tuple[Learner, ...]:
        """The files of which not everything could be read."""
        return tuple(learner for learner in self.learners if learner.damage)

    @property
    def _with_exercises(self) -> tuple[NotebookOutline, ...]:
        return tuple(notebook for notebook in self.notebooks if notebook.exercises)

    def _done(self, learner: Learner, notebook: NotebookOutline) -> Counter[str]:
        """Count a learner's exercises of a notebook by state."""
        return Counter(state_of(learner.progress.exercise(id)) for id in notebook.exercises)

    def _tables(self) -> Iterator[tuple[str, Sequence[str], list[tuple[object, ...]]]]:
        """Yield caption, headers and rows of each table, where the class is stuck first."""
        yield (
            "where somebody is stuck, most first",
            _STUCK_HEADERS,
            [
                (
                    standing.id,
                    *map(standing.count, STATES),
                    ", ".join(map(printable, standing.learners["stuck"])),
                )
                for standing in self.worst_first
            ],
        )
        yield (
            "exercises right, a column for each notebook",
            ("learner", *(notebook.number for notebook in self._with_exercises)),
            [
                (one.name, *(_cell(self._done(one, notebook)) for notebook in self._with_exercises))
                for one in self.learners
            ],
        )
        yield (
            "how the class predicted",
            _VOTE_HEADERS,
            [
                (
                    votes.id,
                    "; ".join(f"{count} {printable(o)}" for o, count in votes.options.items()),
                    f"{votes.right} of {votes.compared}",
                )
                for votes in self.votes
            ],
        )
        faults: list[tuple[object, ...]] = [(one.name, one.damage) for one in self.damaged]
        yield "files that are damaged", ("file", "fault"), faults

    def text(self) -> str:
        """Return all tables, where a class is stuck first."""
        stuck, learners, votes, _ = (
            table_text(headers, rows) if rows else "" for _, headers, rows in self._tables()
        )
        faults = [f"{printable(one.name)}: {one.damage}" for one in self.damaged]
        parts = [f"{len(self.learners)} learners", stuck or "Nobody is stuck.", learners, votes]
        return "\n\n".join([*filter(None, parts), *faults])

    def html(self) -> str:
        """Return the same tables in HTML."""
        stuck, *others = (
            table_html(headers, rows, caption) if rows else ""
            for caption, headers, rows in self._tables()
        )
        return "".join([stuck or "<p>Nobody is stuck.</p>", *others])

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "learners": [
                {
                    "name": learner.name,
                    "damage": learner.damage or None,
                    "notebooks": {
                        notebook.number: dict(self._done(learner, notebook))
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


def _cell(states: Counter[str]) -> str:
    """Say how far a learner is in a notebook; a dot for one that is untouched."""
    whole = sum(states.values())
    if states["untouched"] == whole:
        return "·"
    stuck = f", {states['stuck']} stuck" if states["stuck"] else ""
    return f"{states['right']} of {whole}{stuck}"


def read_classroom(folder: str | Path) -> Classroom:
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
    return Classroom(tuple(learners), read_outlines())


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
    for line in filter(bytes.strip, content.split(b"\n")):
        try:
            event = json.loads(line)
            events.append({**event, "event": str(event["event"])})
        except (ValueError, RecursionError, TypeError, KeyError):
            broken += 1
    if not events:
        return Learner(name, nothing, "no event in it: no progress file")
    lines = "1 line" if broken == 1 else f"{broken} lines"
    return Learner(name, fold(events), f"{lines} cannot be read" if broken else "")
