"""A page for each family of failure, beside the page that runs in the browser."""

from __future__ import annotations

import html
import inspect
from collections.abc import Iterator
from pathlib import Path

from varhandle.families import compatibility
from varhandle.families.base import Family
from varhandle.families.catalog import FAMILIES
from varhandle.html_page import page_html

_STYLE = """\
main { max-width: 60rem; }
h1 { font-size: 1.75rem; line-height: 1.2; }
h2 { font-size: 1.25rem; line-height: 1.3; margin-top: 1.5rem; }
pre { padding: .75rem; border: 1px solid var(--line); overflow-x: auto; font-size: .875rem; }
"""


def write_family_pages(folder: Path) -> None:
    """Write ``ID.html`` for each family into a folder of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    for family in FAMILIES:
        page = page_html(family.id, "\n".join(_body(family)), style=_STYLE)
        (folder / f"{family.id}.html").write_text(page, encoding="utf-8")


def _body(family: Family) -> Iterator[str]:
    sentence, _, code = family.fix.partition("\n\n")
    yield '<p><a href="../index.html">Back to the page that reads logs and models</a></p>'
    yield f"<h1>{family.id}</h1><p>{html.escape(family.what)}</p>"
    yield f"<p><strong>Cause.</strong> {html.escape(family.cause)}</p>"
    yield f"<h2>What to do on today's release</h2><p>{html.escape(sentence)}</p>"
    if code:
        yield _code(code)
    for last, advice in family.older:
        words = f"Bound to TensorFlow {last} or older:"
        yield f"<p><strong>{words}</strong> {html.escape(advice)}</p>"
    phrases = sorted({pattern.phrase.strip() for pattern in family.log_patterns})
    if phrases:
        rows = "".join(f"<li><code>{html.escape(phrase)}</code></li>" for phrase in phrases)
        yield f"<h2>What a log shows</h2><ul>{rows}</ul>"
    for case in family.cases:
        releases = compatibility.failing_releases(case.id)
        where = f"Fails on TensorFlow {releases}." if releases else "Fails on no measured release."
        yield f"<h2>Reproduction: {html.escape(case.title)}</h2><p>{where}</p>"
        yield _code(inspect.getsource(case.program).rstrip())


def _code(text: str) -> str:
    """Code that a keyboard can scroll."""
    return f'<pre tabindex="0">{html.escape(text)}</pre>'
