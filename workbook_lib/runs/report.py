"""The HTML report of a run: an index page, and a page for each executed notebook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from varhandle.atomic_write import write_text
from workbook_lib.runs.page import page_templates, write_page

if TYPE_CHECKING:
    from workbook_lib.runs.execute import RunReport


def write_report(report: RunReport) -> Path:
    """Write ``index.html``, which is returned, and one page for each executed notebook."""
    kept = [run for run in report.notebooks if run.executed.exists()]
    pages = {run.name: quote(run.executed.with_suffix(".html").name) for run in kept}
    for run in kept:
        write_page(run.executed, pages)
    template = page_templates().get_template("run.html.j2")
    passed = sum(run.ok for run in report.notebooks)
    index = report.folder / "index.html"
    write_text(index, template.render(runs=report.notebooks, pages=pages, passed=passed))
    return index
