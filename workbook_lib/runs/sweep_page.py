"""The HTML page of a sweep: a row for each model and setting, readable from a disk."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from varhandle.atomic_write import write_text
from varhandle.facts.verdicts import MEANINGS
from workbook_lib.runs.page import NO_SCRIPTS, style
from workbook_lib.runs.rows import LOG_FILE, NOTEBOOK_FILE, OUTCOMES, PAGE_FILE, VERDICT_FILE, Row

if TYPE_CHECKING:
    from workbook_lib.runs.sweep import Sweep

MARKS = {name: MEANINGS[name].mark if name in MEANINGS else "!" for name in OUTCOMES}
"""The mark beside each outcome; the outcome's own word always stands with it."""

_CHANGES = {"same": "=", "better": "▲", "worse": "▼", "drifted": "▼", "new": "+", "missing": "?"}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
{{ policy }}
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sweep: {{ good }} of {{ rows | length }} good</title>
<style>{{ style }}
.index { max-width: 96rem; }
thead th { white-space: nowrap; }
tbody th { min-width: 11rem; overflow-wrap: anywhere; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
th.number { text-align: right; }
td.why { min-width: 16rem; overflow-wrap: anywhere; }
.parity { white-space: nowrap; }
.verdict { white-space: nowrap; }
.findings { margin: 0; padding: 0; list-style: none; }
.findings code { font-size: .85em; }
.quiet { opacity: .8; }
.counts { display: flex; flex-wrap: wrap; gap: .3rem 1.5rem; list-style: none; padding: 0; }
</style>
</head>
<body>
<main class="index">
<h1>Sweep</h1>
<p>{{ good }} of {{ rows | length }} rows are ready or convertible.</p>
<ul class="counts">
{% for outcome, number in counts %}
<li><span aria-hidden="true">{{ marks[outcome] }}</span> {{ outcome }}: {{ number }}</li>
{% endfor %}
</ul>
{% if compared %}
<h2>Since the baseline</h2>
{% if regressions %}
<ul>
{% for change in regressions %}
<li class="failed"><span aria-hidden="true">{{ signs[change.kind] }}</span> {{ change.kind }}:
{{ change.title }}: {{ change.text }}</li>
{% endfor %}
</ul>
{% else %}
<p>Nothing got worse, drifted, or went missing.</p>
{% endif %}
<h2>Rows</h2>
{% endif %}
<div class="wide" role="region" aria-label="Rows" tabindex="0">
<table>
<caption>One row for each model and setting, in the order in which they were given.
Parity: the calls on which the file answered
as TensorFlow does, and the largest difference, as a share of max(1, |expected|).</caption>
<thead><tr><th scope="col">model</th><th scope="col">setting</th><th scope="col">verdict</th>
<th scope="col">reason and findings</th>
<th scope="col">parity</th><th scope="col" class="number">bytes</th>
<th scope="col" class="number">seconds</th>{% if compared %}<th scope="col">baseline</th>{% endif %}
<th scope="col">files</th></tr></thead>
<tbody>
{% for row, links, change in rows %}
<tr>
<th scope="row">{{ row.model }}</th>
<td>{{ row.setting }}</td>
<td class="verdict{% if not row.good %} failed{% endif %}">
<span aria-hidden="true">{{ marks[row.verdict] }}</span> {{ row.verdict }}</td>
<td class="why">{{ row.reason }}
{% if row.findings %}
<ul class="findings">
{% for finding in row.findings %}
<li><code>{{ finding }}</code></li>
{% endfor %}
</ul>
{% endif %}
</td>
<td class="parity">{% if row.agreeing is not none %}{{ row.agreeing }} of {{ row.calls }} calls
{% if row.largest_difference is not none %}
<br><span class="quiet">difference {{ "%.2g" | format(row.largest_difference) }}</span>
{% endif %}{% else %}<span class="quiet">not compared</span>{% endif %}</td>
<td class="number">
{% if row.bytes is not none %}{{ "{:,}".format(row.bytes) }}{% else %}none{% endif %}</td>
<td class="number">{{ "%.1f" | format(row.seconds) }}</td>
{% if compared %}
<td{% if change.regression %} class="failed"{% endif %}>
<span aria-hidden="true">{{ signs[change.kind] }}</span> {{ change.kind }}
{% if change.text %}<br>{{ change.text }}{% endif %}</td>
{% endif %}
<td>{% for title, address in links %}
<a href="{{ address }}" aria-label="{{ title }} of {{ row.title }}">{{ title }}</a>
{% if not loop.last %} · {% endif %}{% endfor %}</td>
</tr>
{% endfor %}
</tbody>
</table>
</div>
<p>The same table: <a href="sweep.csv">sweep.csv</a> · <a href="sweep.parquet">sweep.parquet</a></p>
</main>
</body>
</html>
"""


def write_sweep_page(sweep: Sweep) -> Path:
    """Write ``index.html``, which needs neither a script nor the network.

    Args:
        sweep: The finished sweep.

    Returns:
        Path of the page.
    """
    import jinja2
    from markupsafe import Markup

    counted = Counter(row.verdict for row in sweep.rows)
    changes = sweep.changes[: len(sweep.rows)] or (None,) * len(sweep.rows)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True)
    text = environment.from_string(_PAGE).render(
        policy=Markup(NO_SCRIPTS),
        style=Markup(style()),
        marks=MARKS,
        signs=_CHANGES,
        good=sum(row.good for row in sweep.rows),
        counts=[(outcome, counted[outcome]) for outcome in OUTCOMES if counted[outcome]],
        compared=bool(sweep.changes),
        regressions=sweep.regressions,
        rows=[
            (row, _links(row, sweep.folder), change)
            for row, change in zip(sweep.rows, changes, strict=True)
        ],
    )
    index = sweep.folder / "index.html"
    write_text(index, text)
    return index


def _links(row: Row, folder: Path) -> list[tuple[str, Any]]:
    """Return title and address of each of a row's files that exist."""
    files = [
        ("page", PAGE_FILE),
        ("notebook", NOTEBOOK_FILE),
        (".tflite", row.file),
        ("verdict", VERDICT_FILE),
        ("log", LOG_FILE),
    ]
    return [
        (title, quote(f"{row.folder}/{name}"))
        for title, name in files
        if row.folder and name and (folder / row.folder / name).is_file()
    ]
