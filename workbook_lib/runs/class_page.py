"""The page of a class: what an instructor opens to see who is stuck where."""

from __future__ import annotations

from pathlib import Path

from varhandle.atomic_write import write_text
from workbook_lib.lesson.classroom import Classroom
from workbook_lib.runs.page import page_templates


def write_class_page(room: Classroom, path: Path) -> Path:
    """Write a page with the picture and the tables of a class."""
    from markupsafe import Markup

    from workbook_lib.show.class_plot import plot_class

    page = page_templates().get_template("class.html.j2").render(
        learners=len(room.learners),
        picture=Markup(plot_class(room).html()),
        tables=Markup(room.html()),
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, page)
    return path
