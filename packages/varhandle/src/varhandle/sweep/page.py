"""The HTML page of a sweep: a row for each model and setting, readable from a disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from varhandle.atomic_write import write_text
from varhandle.sweep.baseline import Change
from varhandle.sweep.row_supervisor import LOG_FILE
from varhandle.sweep.rows import OUTCOMES, Row
from varhandle.verdict_file import VERDICT_FILE

PAGE_FILE = "index.html"
NOTEBOOK_FILE = "notebook.ipynb"
NOTEBOOK_PAGE = "notebook.html"
_TEMPLATE = Path(__file__).with_name("sweep.html.j2")
_SIGNS = {"same": "=", "better": "▲", "worse": "▼", "drifted": "▼", "new": "+", "missing": "?"}


def write_page(folder: Path, rows: Sequence[Row], changes: Sequence[Change]) -> None:
    """Write ``index.html``, which needs neither a script nor the network."""
    import jinja2

    counted = Counter(row.verdict for row in rows)
    of_rows = changes[: len(rows)] or (None,) * len(rows)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True)
    text = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        marks={row.verdict: row.mark for row in rows},
        signs=_SIGNS,
        good=sum(row.good for row in rows),
        counts=[(outcome, counted[outcome]) for outcome in OUTCOMES if counted[outcome]],
        compared=bool(changes),
        regressions=[change for change in changes if change.regression],
        rows=[
            (row, _links(row, folder), change) for row, change in zip(rows, of_rows, strict=True)
        ],
    )
    write_text(folder / PAGE_FILE, text)


def _links(row: Row, folder: Path) -> list[tuple[str, str]]:
    """Return title and address of each of a row's files that exist."""
    files = [
        ("page", NOTEBOOK_PAGE),
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
