"""Where a class stands: many learners' progress files, read together.

A file is handed in by its learner: nothing is sent by itself. It is ``.workbook/progress.jsonl``
of their copy, and what it is called says whose it is.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from varhandle.display import Table, printable, table_html, table_text
from varhandle.errors import VarhandleError
from workbook_lib.lesson.outline import NotebookOutline, read_outlines
from workbook_lib.lesson.progress import ExerciseRecord, Progress, fold
from workbook_lib.runs.page import page_templates
from workbook_lib.show.pictures import Picture, picture
from workshop.homes import LARGEST_PROGRESS, PROGRESS

#: How a learner can stand with an exercise, in the order in which they are shown.
STATES = ("right", "trying", "stuck", "untouched")

# As in ``display.TONES``, which can be told apart; the hatching does it without colors as well.
_LOOKS = {
    "right": ("#388e3c", ""),
    "trying": ("#4fa3d9", "//"),
    "stuck": ("#e53935", "xx"),
    "untouched": ("#e0e0e0", ""),
}

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
    """One progress file."""

    name: str  # what the file, or the folder around it, is called; not yet printable
    progress: Progress
    damage: str = ""  # what is wrong with it, in a few words


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

    def _by_notebook(self, learner: Learner) -> dict[str, Counter[str]]:
        """Count a learner's exercises by state, for each notebook that has any."""
        return {
            notebook.number: Counter(
                state_of(learner.progress.exercise(id)) for id in notebook.exercises
            )
            for notebook in self.notebooks
            if notebook.exercises
        }

    def _tables(self) -> tuple[Table, ...]:
        """Return each table, where the class is stuck first; one may have no rows."""
        stuck = [
            (
                standing.id,
                *map(standing.count, STATES),
                ", ".join(map(printable, standing.learners["stuck"])),
            )
            for standing in self.worst_first
        ]
        numbers = [notebook.number for notebook in self.notebooks if notebook.exercises]
        learners = [
            (one.name, *map(_how_far, self._by_notebook(one).values())) for one in self.learners
        ]
        predictions = [
            (
                one.id,
                "; ".join(f"{count} {printable(option)}" for option, count in one.votes.items()),
                f"{one.right} of {one.compared}",
            )
            for one in self.predictions
        ]
        damaged = [(one.name, one.damage) for one in self.learners if one.damage]
        exercise_headers = ("exercise", *STATES, "who is stuck")
        return (
            (exercise_headers, stuck, "where somebody is stuck, most first"),
            (("learner", *numbers), learners, "exercises right, a column for each notebook"),
            (("prediction", "votes", "right"), predictions, "how the class predicted"),
            (("file", "fault"), damaged, "files that are damaged"),
        )

    def text(self) -> str:
        """Return all tables, where a class is stuck first."""
        *tables, (_, damaged, _) = self._tables()
        stuck, *others = (table_text(headers, rows) if rows else "" for headers, rows, _ in tables)
        faults = [f"{printable(name)}: {damage}" for name, damage in damaged]
        parts = [f"{len(self.learners)} learners", stuck or "Nobody is stuck.", *others]
        return "\n\n".join([*filter(None, parts), *faults])

    def html(self) -> str:
        """Return the same tables in HTML."""
        stuck, *others = (table_html(*table) if table[1] else "" for table in self._tables())
        return "".join([stuck or "<p>Nobody is stuck.</p>", *others])

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "learners": [
                {
                    "name": learner.name,
                    "damage": learner.damage or None,
                    "notebooks": self._by_notebook(learner),
                }
                for learner in self.learners
            ],
            "exercises": [
                {"id": one.id, "notebook": one.notebook, **one.learners} for one in self.exercises
            ],
            "predictions": [asdict(one) for one in self.predictions],
        }


def _how_far(states: Counter[str]) -> str:
    """Say how far a learner is in a notebook; a dot for one that is untouched."""
    whole = sum(states.values())
    if states["untouched"] == whole:
        return "·"
    stuck = f", {states['stuck']} stuck" if states["stuck"] else ""
    return f"{states['right']} of {whole}{stuck}"


def read_classroom(folder: Path) -> Classroom:
    """Read the progress files of a class.

    ``folder`` holds a ``.jsonl`` file for each learner, or a folder for each with a
    ``progress.jsonl`` somewhere in it; either is named after them. A damaged file is a learner too:
    what can be read of it counts. Raises ``ClassroomError``: there is no such folder, or no such
    file in it.
    """
    if not folder.is_dir():
        raise ClassroomError(f"{printable(folder)}: there is no such folder")
    learners = []
    for path in folder.rglob("*.jsonl"):
        parts = path.relative_to(folder).parts
        if len(parts) <= _DEEPEST and path.is_file():
            name = parts[0] if path.name == PROGRESS.name and len(parts) > 1 else path.stem
            learners.append(_read_file(name, path))
    if not learners:
        raise ClassroomError(f"{printable(folder)}: no progress file (.jsonl) in this folder")
    return Classroom(sorted(learners, key=lambda one: one.name))


def _read_file(name: str, path: Path) -> Learner:
    try:
        if path.stat().st_size > LARGEST_PROGRESS:
            return Learner(name, _NOTHING, f"larger than {LARGEST_PROGRESS // 10**6} MB: not read")
        return read_learner(name, path.read_bytes())
    except OSError as error:
        return Learner(name, _NOTHING, f"cannot be read: {error.strerror}")


def read_learner(name: str, content: bytes) -> Learner:
    """Read what a progress file holds."""
    events, broken = [], 0
    for line in filter(bytes.strip, content.split(b"\n")):
        try:
            event = json.loads(line)
            events.append({**event, "event": str(event["event"])})
        except (ValueError, RecursionError, TypeError, KeyError):
            broken += 1
    if not events:
        return Learner(name, _NOTHING, "no event in it: no progress file")
    lines = "1 line" if broken == 1 else f"{broken} lines"
    return Learner(name, fold(events), f"{lines} cannot be read" if broken else "")


def plot_class(classroom: Classroom) -> Picture:
    """Draw how many learners are right, trying, stuck and not yet there, for each exercise."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    standings = classroom.exercises
    figure = Figure(figsize=(8, 1.0 + 0.27 * max(len(standings), 1)))
    axes = figure.subplots()
    names = [f"{standing.notebook}  {standing.id}" for standing in standings]
    start = [0] * len(standings)
    for state in STATES:
        counts = [standing.count(state) for standing in standings]
        color, hatch = _LOOKS[state]
        bars = axes.barh(
            names,
            counts,
            left=start,
            label=state,
            color=color,
            hatch=hatch,
            edgecolor="white",
            height=0.8,
        )
        if state == "stuck":
            numbers = [str(count) if count else "" for count in counts]
            paper = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            axes.bar_label(bars, numbers, label_type="center", bbox=paper, fontsize=8)
        start = [before + count for before, count in zip(start, counts, strict=True)]
    axes.invert_yaxis()
    axes.set_xlim(0, max(len(classroom.learners), 1))
    axes.set_xlabel("learners")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(axis="y", labelsize=8, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(ncols=4, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    worst = [f"{standing.count('stuck')} at {standing.id}" for standing in classroom.worst_first]
    held_up = f"stuck: {', '.join(worst[:5])}" if worst else "nobody is stuck"
    extent = f"{len(standings)} exercises, {len(classroom.learners)} learners long"
    return picture(figure, f"A bar for each of {extent}; {held_up}")


def render_class(classroom: Classroom) -> str:
    """Return a page with the picture and the tables of a class; it needs nothing beside it."""
    from markupsafe import Markup

    template = page_templates(Path(__file__).with_name("templates")).get_template("class.html.j2")
    page: str = template.render(
        learners=len(classroom.learners),
        picture=Markup(plot_class(classroom).html()),
        tables=Markup(classroom.html()),
    )
    return page
