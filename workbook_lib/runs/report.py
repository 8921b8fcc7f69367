"""The HTML report of a run: an index page, and a page for each executed notebook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbook_lib.runs.execute import RunReport

STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; padding-bottom: .5rem; }
th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8886;
  vertical-align: top; }
td.time { text-align: right; white-space: nowrap; }
.failed { font-weight: bold; }
"""
"""The look of every index page: the reader's own light or dark colours."""

NO_SCRIPTS = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "style-src 'unsafe-inline'; img-src data:; font-src data:\">"
)
"""Forbids a page to run a script and to fetch anything (Content Security Policy, W3C)."""

_INDEX = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Workbook run: {{ passed }} of {{ runs | length }} passed</title>
<style>{{ style }}</style>
</head>
<body>
<main>
<h1>Workbook run</h1>
<table>
<caption>{{ passed }} of {{ runs | length }} notebooks passed.</caption>
<thead><tr><th scope="col">notebook</th><th scope="col">time</th><th scope="col">result</th>
<th scope="col">files</th></tr></thead>
<tbody>
{% for run in runs %}
<tr>
<th scope="row">{{ run.name }}</th>
<td class="time">{{ "%.0f" | format(run.seconds) }} s</td>
<td{% if not run.ok %} class="failed"{% endif %}>{{ "✓" if run.ok else "✗" }} {{ run.verdict }}</td>
<td><a href="{{ run.page }}">page</a> · <a href="{{ run.name }}">notebook</a></td>
</tr>
{% endfor %}
</tbody>
</table>
</main>
</body>
</html>
"""


def write_report(report: RunReport) -> Path:
    """Write ``index.html`` and one page for each executed notebook into the report's folder.

    Args:
        report: The run.

    Returns:
        Path of the index page.
    """
    import jinja2

    rows = []
    for run in report.notebooks:
        if run.executed.exists():
            write_page(run.executed)
        rows.append(
            {
                "name": run.name,
                "seconds": run.seconds,
                "ok": run.ok,
                "verdict": run.verdict,
                "page": run.executed.with_suffix(".html").name,
            }
        )
    environment = jinja2.Environment(autoescape=True, trim_blocks=True)
    passed = sum(run.ok for run in report.notebooks)
    index = report.folder / "index.html"
    text = environment.from_string(_INDEX).render(style=STYLE, runs=rows, passed=passed)
    index.write_text(text, encoding="utf-8")
    return index


def write_page(executed: Path, *, scripts: bool = True) -> Path:
    """Write the HTML page of an executed notebook beside it.

    Args:
        executed: The notebook.
        scripts: Whether the page may run scripts, which draw formulas and Mermaid diagrams and are
            fetched from the internet. Without, a browser neither runs nor fetches anything.

    Returns:
        Path of the page.
    """
    from nbconvert import HTMLExporter

    body, _ = HTMLExporter().from_filename(str(executed))
    if not scripts:
        body = body.replace("<head>", f"<head>{NO_SCRIPTS}", 1)
    page = executed.with_suffix(".html")
    page.write_text(body, encoding="utf-8")
    return page
