"""Where in the lessons each family of failure is met: a notebook, and the cell that begins it.

Each lesson says it of itself, as ``FAMILIES`` in its module of ``lesson.content``.
"""

from __future__ import annotations

import contextlib
import html
import json
import re
from dataclasses import dataclass
from functools import cache

from workbook_lib.lesson.content import families_of, lessons
from workbook_lib.lesson.outline import read_outlines
from workbook_lib.lesson.progress import working_copy

_HEADING = re.compile(r"#+ (.+)")


@dataclass(frozen=True)
class Place:
    """A section of a lesson; in HTML a link that JupyterLab opens at its cell."""

    file: str  # of the notebook
    cell: str  # id of the cell that begins the section

    def __str__(self) -> str:
        titles = {one.file: f"{one.number} · {one.title}" for one in read_outlines()}
        heading = heading_of(self.file, self.cell)
        return titles.get(self.file, self.file) + (f", “{heading}”" if heading else "")

    def __html__(self) -> str:
        target = html.escape(f"{self.file}#cell-id={self.cell}")
        return f'<a href="{target}">{html.escape(str(self))}</a>'


def place_of(family: str) -> Place:
    """Return where the lessons meet a family, by its id."""
    return family_places()[family]


@cache
def family_places() -> dict[str, Place]:
    """Map the id of every family to its place."""
    files = {one.name: one.file for one in read_outlines()}
    return {
        family: Place(files[lesson], cell)
        for lesson in lessons()
        if lesson in files
        for family, cell in families_of(lesson).items()
    }


def heading_of(file: str, cell_id: str) -> str:
    """Return the heading that a cell stands under; empty if it cannot be read."""
    heading = ""
    with contextlib.suppress(OSError, ValueError, KeyError):
        notebook = json.loads((working_copy() / "notebooks" / file).read_bytes())
        for cell in notebook["cells"]:
            found = _HEADING.match("".join(cell["source"]))
            if found and cell["cell_type"] == "markdown":
                heading = found[1]
            if cell["id"] == cell_id:
                return heading
    return ""
