"""The results of a sweep as a table in a file: CSV for people and diffs, Parquet for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from varhandle.atomic_write import write_all
from varhandle.sweep.baseline import Change
from varhandle.sweep.row_specs import SweepInputError
from varhandle.sweep.rows import COLUMNS, OUTCOMES, Row

CSV_FILE = "sweep.csv"
PARQUET_FILE = "sweep.parquet"

_INTEGERS = ("agreeing", "calls", "bytes")
_NUMBERS = ("largest_difference", "tolerance", "seconds")
_TEXTS = ("model", "target", "verdict", "reason", "cell", "folder")  # these are never missing
_BASELINE_COLUMNS = ("before", "change")
_SEPARATOR = "; "
# A spreadsheet reads a cell that begins so as a formula. A mark that it hides makes it text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MARK = "'"


def table_records(rows: Sequence[Row], changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Return the fields of each row, and its change since the baseline (``None`` without one)."""
    table = []
    for number, row in enumerate(rows):
        record = {name: getattr(row, name) for name in COLUMNS}
        change = changes[number] if changes else None
        record["before"] = change.before or None if change else None
        record["change"] = change.kind if change else None
        table.append(record)
    return table


def write_tables(folder: Path, table: Sequence[Mapping[str, Any]]) -> None:
    """Write ``sweep.csv`` and ``sweep.parquet``, both or none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *_BASELINE_COLUMNS])
    writer.writerows([_cell(value) for value in record.values()] for record in table)
    csv_file = text.getvalue().encode()
    write_all({folder / CSV_FILE: csv_file, folder / PARQUET_FILE: _parquet(table)})


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        value = _SEPARATOR.join(value)
    if isinstance(value, str) and value.startswith((*_FORMULA, _MARK)):
        return f"{_MARK}{value}"
    return str(value)


def _parquet(table: Sequence[Mapping[str, Any]]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    def kind(name: str) -> Any:
        if name in _INTEGERS:
            return pyarrow.int64()
        if name in _NUMBERS:
            return pyarrow.float64()
        return pyarrow.list_(pyarrow.string()) if name == "findings" else pyarrow.string()

    names = [*COLUMNS, *_BASELINE_COLUMNS]
    schema = pyarrow.schema([pyarrow.field(name, kind(name)) for name in names])
    content = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(table), schema), content)
    return content.getvalue()


def read_rows(folder: Path) -> tuple[Row, ...]:
    """Read the rows of a sweep's output folder, of which ``sweep.csv`` is enough.

    Raises ``SweepInputError`` if it is no sweep.
    """
    try:
        lines = (folder / CSV_FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        fault = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise SweepInputError(f"{folder}: no sweep: {CSV_FILE}: {fault}") from error
    reader = csv.DictReader(lines, strict=True)
    try:
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            raise ValueError("its columns are others")
        return tuple(_row(record) for record in reader)
    except (csv.Error, ValueError, TypeError, AttributeError) as error:
        raise SweepInputError(f"{folder}: no sweep: {CSV_FILE}: {error}") from error


def _row(record: Mapping[str, str]) -> Row:
    if record["verdict"] not in OUTCOMES:
        raise ValueError(f"the verdict {record['verdict']!r}")
    return Row(**{name: _value(name, record[name]) for name in COLUMNS})


def _value(name: str, cell: str) -> Any:
    text = cell.removeprefix(_MARK)
    if name == "findings":
        return tuple(text.split(_SEPARATOR)) if text else ()
    if not text:
        return "" if name in _TEXTS else None
    if name in _INTEGERS:
        return int(text)
    return float(text) if name in _NUMBERS else text
