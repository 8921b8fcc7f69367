"""The HTML report of a run: an index page, and a page for each executed notebook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from varhandle.atomic_write import write_text
from workbook_lib.runs.page import Link, environment, places, write_page

if TYPE_CHECKING:
    from workbook_lib.runs.execute import RunReport


def write_report(report: RunReport) -> Path:
    """Write ``index.html`` and one page for each executed notebook into the report's folder."""
    kept = [run for run in report.notebooks if run.executed.exists()]
    links = {
        run.name: Link(quote(run.executed.with_suffix(".html").name), run.executed.stem)
        for run in kept
    }
    placed = places(links, Link("index.html", "Workbook run"))
    for run in kept:
        write_page(run.executed, placed[run.name])
    rows = [
        {
            "name": run.name,
            "seconds": run.seconds,
            "ok": run.ok,
            "verdict": run.verdict,
            "page": links[run.name].address if run.name in links else "",
            "cell": f"#cell-{quote(run.cell)}" if run.cell else "",
        }
        for run in report.notebooks
    ]
    text = (
        environment()
        .get_template("run.html.j2")
        .render(runs=rows, passed=sum(run.ok for run in report.notebooks))
    )
    index = report.folder / "index.html"
    write_text(index, text)
    return index
