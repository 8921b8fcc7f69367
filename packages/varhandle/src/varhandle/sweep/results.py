"""The results of a sweep as files: CSV for people and diffs, Parquet for programs, and a page."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import quote

from varhandle.atomic_write import write_all
from varhandle.display import printable
from varhandle.formats.regular_file import read_text
from varhandle.html_page import page_html
from varhandle.sweep.baseline import Change
from varhandle.sweep.row_specs import SweepInputError
from varhandle.sweep.row_supervisor import LOG_FILE
from varhandle.sweep.rows import OUTCOMES, Row
from varhandle.verdict_file import VERDICT_FILE

CSV_FILE = "sweep.csv"
PAGE_FILE = "index.html"
RESULT_FILES = (CSV_FILE, "sweep.parquet", PAGE_FILE)
NOTEBOOK_FILE = "notebook.ipynb"

_COLUMNS: Mapping[str, Any] = get_type_hints(Row)
_PARSERS = {int | None: int, float | None: float, float: float}
_LATER = {"first_difference"}  # columns that a sweep of an older release has not got
_BASELINE_COLUMNS = ("before", "change")
_SEPARATOR = "; "
# A spreadsheet reads a cell that begins so as a formula. A mark that it hides makes it text. Where
# people write decimals with a comma, a semicolon begins a cell as well.
_FORMULA = re.compile(r"(^|;\s*)(?=[-=+@\t\r'])")
_MARKED = re.compile(r"(^|;\s*)'")
_TEMPLATE = Path(__file__).with_name("sweep.html.j2")
_STYLE = Path(__file__).with_name("sweep.css")
_SIGNS = {"same": "=", "better": "▲", "worse": "▼", "drifted": "▼", "new": "+", "missing": "?"}


def write_results(folder: Path, rows: Sequence[Row], changes: Sequence[Change]) -> None:
    """Write ``RESULT_FILES``, all or none; ``changes`` as ``compare_rows`` returns them."""
    compared: Sequence[Change | None] = changes[: len(rows)] or (None,) * len(rows)
    changed = list(zip(rows, compared, strict=True))
    table = []
    for row, change in changed:
        record = {name: getattr(row, name) for name in _COLUMNS}
        record["before"] = change.before or None if change else None
        record["change"] = change.kind if change else None
        table.append(record)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_COLUMNS, *_BASELINE_COLUMNS])
    writer.writerows([_cell(value) for value in record.values()] for record in table)
    page = _page(folder, changed, changes)
    contents = (text.getvalue().encode(), _parquet(table), page.encode(errors="backslashreplace"))
    names = (folder / name for name in RESULT_FILES)
    write_all(dict(zip(names, contents, strict=True)))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        value = _SEPARATOR.join(value)
    return _FORMULA.sub(r"\1'", value) if isinstance(value, str) else str(value)


def _parquet(table: list[dict[str, Any]]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    kinds = {
        int | None: pyarrow.int64(),
        float | None: pyarrow.float64(),
        float: pyarrow.float64(),
        tuple[str, ...]: pyarrow.list_(pyarrow.string()),
    }
    columns = {**_COLUMNS, **dict.fromkeys(_BASELINE_COLUMNS, str)}
    schema = pyarrow.schema(
        [(name, kinds.get(kind, pyarrow.string())) for name, kind in columns.items()]
    )
    content = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(table, schema), content)
    return content.getvalue()


def _page(
    folder: Path, rows: Sequence[tuple[Row, Change | None]], changes: Sequence[Change]
) -> str:
    """Return the page, which needs neither a script nor the network."""
    import jinja2

    counted = Counter(row.verdict for row, _ in rows)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True)
    good = sum(row.good for row, _ in rows)
    body = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        marks={row.verdict: row.mark for row, _ in rows},
        signs=_SIGNS,
        good=good,
        counts=[(outcome, counted[outcome]) for outcome in OUTCOMES if counted[outcome]],
        compared=bool(changes),
        regressions=[change for change in changes if change.regression],
        rows=[(row, _links(row, folder), change) for row, change in rows],
    )
    title = f"Sweep: {good} of {len(rows)} good"
    return page_html(title, body, style=_STYLE.read_text(encoding="utf-8"))


def _links(row: Row, folder: Path) -> list[tuple[str, str]]:
    """Return title and address of each of a row's files that exist."""
    files = [
        ("page", "notebook.html"),
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


_GIVE_SWEEP = "give the --output of an earlier sweep"


def read_rows(folder: Path) -> tuple[Row, ...]:
    """Read the rows of a sweep's output folder, of which ``sweep.csv`` is enough.

    Raises ``SweepInputError`` if it is no sweep.
    """
    try:
        lines = read_text(folder / CSV_FILE).decode().splitlines()
        reader = csv.DictReader(lines, strict=True)
        if not set(_COLUMNS) - _LATER <= set(reader.fieldnames or ()):
            raise ValueError("its columns are others")
        return tuple(_row(record) for record in reader)
    except UnicodeError as error:
        fault = f"no sweep: {CSV_FILE}: it is no UTF-8 text"
        raise SweepInputError(f"{folder}: {fault}: {_GIVE_SWEEP}") from error
    except (OSError, csv.Error, ValueError, TypeError, AttributeError) as error:
        fault = str(getattr(error, "strerror", None) or error)
        raise SweepInputError(f"{folder}: no sweep: {CSV_FILE}: {fault}: {_GIVE_SWEEP}") from error


def _row(record: Mapping[str, str]) -> Row:
    if record["verdict"] not in OUTCOMES:
        raise ValueError(f"the verdict {record['verdict']!r}")
    row = Row(**{name: _value(kind, record.get(name, "")) for name, kind in _COLUMNS.items()})
    if row.calls is not None and not 0 <= (row.agreeing or 0) <= row.calls:
        raise ValueError("more calls agree than there are")
    return row


def _value(kind: Any, cell: str) -> Any:
    text = printable(_MARKED.sub(r"\1", cell), None)
    if kind == tuple[str, ...]:
        return tuple(text.split(_SEPARATOR)) if text else ()
    if not text:
        return "" if kind is str else None
    return _PARSERS.get(kind, str)(text)
