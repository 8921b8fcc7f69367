"""Drills: small programs, each broken in one way, to be mended in a minute and checked on saving.

A drill is one file in ``drills/``: the program, the parts of it in which its variants differ,
and its check, whose docstring has the hints, as with an exercise::

    # The converter stops at 'tf.VarHandleOp'.
    # To be true: `file` adds up what it is called with.
    import tensorflow as tf
    ...
    # ---- broken
            self.total = tf.Variable([0.0], dtype=tf.float16)
    # ---- right 1
            self.total = tf.Variable([0.0])
    # ---- end
    ...
    # ---- check unsupported-variable-dtype
    def check(file):
        '''Keep a total that converts.

        1. Which dtypes ...
        '''

The learner gets the broken variant, ``right 1`` is the solution, and the others are for the tests.
A part that does not name a variant has the broken one's lines in it. The check is given the names
that the program has made, runs in the same process after it, and finds ``np``, ``tf`` and the names
of ``workbook_lib.lesson.drill_checks``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from varhandle.display import RichTable, Table
from varhandle.sandbox import Record, run_isolated
from varhandle.sandbox.record import short_message
from workbook_lib.lesson import progress
from workbook_lib.lesson.drill_checks import judge
from workbook_lib.lesson.exercises import STATUS_STYLES, Outcome
from workbook_lib.lesson.panels import Panel
from workbook_lib.locations import project_root

VARIANTS = ("broken", "right 1", "right 2", "wrong 1", "wrong 2", "wrong 3")
PAGE = "drills.ipynb"  # the drills in JupyterLab, beside the programs

_MARK = re.compile(r" *# ---- (.+)")
_SECONDS = 120.0
_PRINTED = 8  # lines of what a program printed that are shown


@dataclass(frozen=True)
class Drill:
    """One drill; its file in the learner's folder has the same name."""

    name: str  # such as ``02_packets``
    family: str  # id of the family of failures that it shows
    hints: tuple[str, ...]
    variants: dict[str, str]  # of ``VARIANTS``: a whole program each
    check_source: str

    @property
    def number(self) -> str:
        """Its place: ``02``."""
        return self.name[:2]

    @property
    def title(self) -> str:
        """Its name in words: ``packets``."""
        return self.name[3:].replace("_", " ")

    @property
    def id(self) -> str:
        """Its id in the progress."""
        return f"drill/{self.name}"

    @property
    def file(self) -> Path:
        """Where the learner's program is."""
        return learner_folder() / f"{self.name}.py"

    @property
    def about(self) -> str:
        """The comment that opens the program: what goes wrong, and what is to be true."""
        lines = self.variants["broken"].splitlines()
        end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
        return "\n".join(line.removeprefix("#").strip() for line in lines[:end])

    @property
    def symptom(self) -> str:
        """The first line of that."""
        return self.about.partition("\n")[0]

    @property
    def solved(self) -> bool:
        """Whether it was right once."""
        return progress.read().exercise(self.id).best == "right"

    def stamp(self) -> tuple[int, int] | None:
        """Return what changes when the file is saved; ``None`` while there is none, or it is empty.

        An editor empties a file before it writes it.
        """
        try:
            found = self.file.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size) if found.st_size else None

    def check(self) -> Outcome:
        """Run the learner's program, look at what it made, and note what came of it."""
        try:
            program = self.file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            return _outcome("raised", f"{self.file} cannot be read: {error}")
        outcome = self.judge(program)
        if outcome.status not in progress.STATUSES[1:]:
            return outcome
        warning = progress.record("exercise", id=self.id, status=outcome.status)
        return _outcome(outcome.status, f"{outcome.body}\n{warning}".strip())

    def judge(self, program: str) -> Outcome:
        """Say what comes of a program, in a child process of its own."""
        record = run_isolated(
            judge, program, str(self.file), self.check_source, timeout=_SECONDS, locked=False
        )
        status, advice = record.value if record.ok else ("raised", _ended(record))
        if status != "right" and _same_code(program, self.variants["broken"]):
            status, advice = "not attempted", f"So far:\n{advice}"
        printed = record.output.strip().splitlines()[-_PRINTED:]
        if printed and status != "not attempted":
            advice = "\n".join([advice, "Your program printed:", *printed])
        return _outcome(status, advice)

    def hint(self) -> Panel:
        """Give the next hint; the last one again where all were seen."""
        number = min(progress.read().exercise(self.id).hints + 1, len(self.hints))
        progress.record("hint", id=self.id, number=number)
        return Panel("waiting", f"Hint {number} of {len(self.hints)}", self.hints[number - 1])

    def solution(self) -> str:
        """Return a program that is right, and note that it was asked for."""
        progress.record("solution", id=self.id)
        return self.variants["right 1"]

    def reset(self) -> None:
        """Write the program as it was handed out, and forget what came of it."""
        self.file.write_text(self.variants["broken"], encoding="utf-8")
        progress.record("reset", ids=[self.id])


def learner_folder() -> Path:
    """Return the folder in which the learner edits the programs; it need not exist."""
    from workbook_lib.lesson.learner_copy import find_copy

    return find_copy() / "drills"


@cache
def all_drills() -> tuple[Drill, ...]:
    """Read the drills, from the easy to the hard."""
    return tuple(read_drill(path) for path in sorted((project_root() / "drills").glob("[0-9]*.py")))


def page_of_drills() -> Path:
    """Return the notebook that shows the drills in JupyterLab."""
    return project_root() / "drills" / PAGE


def read_drill(path: Path) -> Drill:
    """Read one file of ``drills/``."""
    variants: dict[str, list[str]] = {name: [] for name in VARIANTS}
    part: dict[str, list[str]] = {}
    labels: Iterable[str] = VARIANTS
    family, check = "", ""
    lines = iter(path.read_text(encoding="utf-8").splitlines())
    for line in lines:
        mark = _MARK.fullmatch(line)
        if mark is None:
            for label in labels:
                part.setdefault(label, []).append(line)
            continue
        labels = [label.strip() for label in mark[1].split(",")]
        if "broken" in labels or mark[1] == "end" or mark[1].startswith("check "):
            for name, taken in variants.items():
                taken.extend(part.get(name, part.get("broken", [])))
            part, labels = {}, labels if "broken" in labels else VARIANTS
        for label in labels:
            part.setdefault(label, [])
        if mark[1].startswith("check "):
            family, check = mark[1].removeprefix("check "), "\n".join(lines)
    _, *hints = re.split(r"^\d\. ", _docstring(check), flags=re.MULTILINE)
    return Drill(
        path.stem,
        family,
        tuple(" ".join(hint.split()) for hint in hints),
        {name: _program(taken) for name, taken in variants.items()},
        check,
    )


def find_drill(name: str) -> Drill:
    """Return the drill of a name, of its number, or of the file that holds it.

    Raises ``ValueError``: there is none; the message says how to see those there are.
    """
    wanted = Path(name).name.removesuffix(".py")
    for drill in all_drills():
        if wanted in (drill.name, drill.name[3:], drill.name[:2], drill.name[:2].lstrip("0")):
            return drill
    raise ValueError(f"there is no drill {name!r}; workbook drill --list names them all")


def first_unsolved() -> Drill:
    """Return the first drill that was never right; the first of all where all were."""
    return next((drill for drill in all_drills() if not drill.solved), all_drills()[0])


def next_drill(drill: Drill) -> Drill:
    """Return the next drill that was never right; the next one where all were."""
    place = all_drills().index(drill) + 1
    others = [*all_drills()[place:], *all_drills()[: place - 1], drill]
    return next((other for other in others if not other.solved), others[0])


@dataclass(frozen=True)
class DrillList(RichTable):
    """The drills and what came of each."""

    def _table(self) -> Table:
        known = progress.read()
        rows = [(d.number, d.title, d.symptom, known.exercise(d.id).best) for d in all_drills()]
        return ("No.", "Drill", "What goes wrong", "Best so far"), rows, "The drills"


def drill_list() -> DrillList:
    """List the drills."""
    return DrillList()


def hand_out() -> str:
    """Make the learner's copy, or bring it up to date, where one of the programs is missing.

    Returns what was done there, a line for each file; empty where nothing was. The progress is
    that copy's from now on, wherever this process works.
    """
    from workbook_lib.lesson.learner_copy import find_copy, update_copy

    copy = find_copy()
    progress.keep_in(copy)
    if all(drill.file.exists() for drill in all_drills()):
        return ""
    return update_copy(copy)


def _outcome(status: str, advice: str) -> Outcome:
    return Outcome(*STATUS_STYLES[status], advice, status)


def _program(lines: Iterable[str]) -> str:
    """Join lines; what lay around a part that is empty leaves no gap."""
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).rstrip() + "\n"


def _docstring(check: str) -> str:
    function = next(node for node in ast.parse(check).body if isinstance(node, ast.FunctionDef))
    return ast.get_docstring(function) or ""


def _same_code(program: str, other: str) -> bool:
    """Compare programs without their comments and their layout."""
    try:
        return ast.dump(ast.parse(program)) == ast.dump(ast.parse(other))
    except (SyntaxError, ValueError):
        return False


def _ended(record: Record) -> str:
    """Say how a program, or the interpreter that ran its file, took the process with it."""
    return f"What you made did not come to its end: {short_message(record.message)}."
