"""What each notebook asks of its learner, read from the notebooks themselves."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from workbook_lib.lesson.content import lessons, quiz_questions
from workbook_lib.lesson.progress import working_copy

_NAME = re.compile(r"\d\d_[a-z0-9_]+\.ipynb")
_ASKS = re.compile(r"""^\s*lesson\.(predict|quiz)\(\s*(["'])(.+?)\2""", re.MULTILINE)

#: First digit of a notebook's number -> the part of the workbook, in the order of the digits.
PARTS = {
    "0": "Start here",
    "1": "Part 1 · The failure",
    "2": "Part 2 · The way to the device",
    "3": "Part 3 · The state, and your own model",
    "9": "Appendix",
}


@dataclass(frozen=True)
class NotebookOutline:
    """What one notebook offers."""

    file: str  # file name, such as ``11_the_error.ipynb``
    title: str  # its title
    question: str  # the question that it answers
    minutes: int | None  # that a first-time reader takes; ``None`` if the notebook does not say
    predictions: tuple[str, ...]  # ids of its predictions, in order
    exercises: tuple[str, ...]  # ids of its exercises, in order
    quiz: tuple[str, ...] = ()  # ids of the questions of its quiz, in order

    @property
    def number(self) -> str:
        """The number it is taught under: ``11``."""
        return self.file[:2]

    @property
    def name(self) -> str:
        """The name of its modules in ``lesson.content`` and ``lesson.checks``."""
        return self.file[3:].removesuffix(".ipynb")

    @property
    def is_appendix(self) -> bool:
        """Whether it is a side road, which nobody has to take."""
        return self.number.startswith("9")

    @property
    def part(self) -> str:
        """The part of the workbook that it belongs to, by its first digit."""
        return PARTS.get(self.file[0], "")


def read_outlines(folder: Path | None = None) -> tuple[NotebookOutline, ...]:
    """Outline every notebook of a folder, by default of the workbook that the reader is in.

    A file that is no notebook is passed over.
    """
    every = (folder or working_copy() / "notebooks").glob("*.ipynb")
    files = sorted(file for file in every if _NAME.fullmatch(file.name))
    return tuple(found for file in files if (found := _outline_of(file)) is not None)


def _outline_of(file: Path) -> NotebookOutline | None:
    try:
        notebook = json.loads(file.read_bytes())
        about = notebook["metadata"].get("workbook", {})
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        code = "\n".join("".join(cell["source"]) for cell in cells)
        stubs = [
            cell["metadata"] for cell in cells if "exercise" in cell["metadata"].get("tags", ())
        ]
        exercises = [stub["workbook"]["exercise"] for stub in stubs]
        asks = [(kind, name) for kind, _, name in _ASKS.findall(code)]
        quizzes = [name for kind, name in asks if kind == "quiz" and name in lessons()]
        quiz = [question.id for name in quizzes for question in quiz_questions(name)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return NotebookOutline(
        file=file.name,
        title=about.get("title") or file.stem[3:].replace("_", " ").capitalize(),
        question=about.get("question", ""),
        minutes=about.get("minutes"),
        predictions=tuple(dict.fromkeys(name for kind, name in asks if kind == "predict")),
        exercises=tuple(dict.fromkeys(exercises)),
        quiz=tuple(dict.fromkeys(quiz)),
    )
