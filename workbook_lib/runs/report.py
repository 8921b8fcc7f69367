"""The HTML report of a run: an index page, and a page for each executed notebook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbook_lib.runs.execute import RunReport

_INDEX = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Workbook run: {{ passed }} of {{ runs | length }} passed</title>
<style>
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; padding-bottom: .5rem; }
th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8886;
  vertical-align: top; }
td.time { text-align: right; white-space: nowrap; }
.failed { font-weight: bold; }
</style>
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
    from nbconvert import HTMLExporter

    exporter = HTMLExporter()
    rows = []
    for run in report.notebooks:
        page = run.executed.with_suffix(".html")
        if run.executed.exists():
            body, _ = exporter.from_filename(str(run.executed))
            page.write_text(body, encoding="utf-8")
        rows.append(
            {
                "name": run.name,
                "seconds": run.seconds,
                "ok": run.ok,
                "verdict": run.verdict,
                "page": page.name,
            }
        )
    environment = jinja2.Environment(autoescape=True, trim_blocks=True)
    passed = sum(run.ok for run in report.notebooks)
    index = report.folder / "index.html"
    text = environment.from_string(_INDEX).render(runs=rows, passed=passed)
    index.write_text(text, encoding="utf-8")
    return index
