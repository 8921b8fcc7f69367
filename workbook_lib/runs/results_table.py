"""The results of a sweep as a table in a file: CSV for people and diffs, Parquet for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from varhandle.atomic_write import write_all
from workbook_lib.runs.baseline import Change
from workbook_lib.runs.row_specs import SweepInputError
from workbook_lib.runs.rows import COLUMNS, OUTCOMES, Row

CSV_FILE = "sweep.csv"
PARQUET_FILE = "sweep.parquet"

_INTEGERS = ("agreeing", "calls", "bytes")
_NUMBERS = ("largest_difference", "tolerance", "seconds")
_TEXTS = ("model", "target", "verdict", "reason", "cell", "folder")  # these are never missing
_BASELINE_COLUMNS = ("before", "change")
_SEPARATOR = "; "


def records(rows: Sequence[Row], changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Return the table as plain data.

    Args:
        rows: The rows.
        changes: What ``compare`` returned for them; empty if there was no baseline.

    Returns:
        For each row its fields, and what the baseline said (``before``) and what became of that
        (``change``), both ``None`` without a baseline.
    """
    table = []
    for number, row in enumerate(rows):
        record = {name: getattr(row, name) for name in COLUMNS}
        change = changes[number] if changes else None
        record["before"] = change.before or None if change else None
        record["change"] = change.kind if change else None
        table.append(record)
    return table


def write_tables(folder: Path, table: Sequence[Mapping[str, Any]]) -> None:
    """Write ``sweep.csv`` and ``sweep.parquet``, each in one step.

    Args:
        folder: Where they go.
        table: What ``records`` returned.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *_BASELINE_COLUMNS])
    writer.writerows([_text(value) for value in record.values()] for record in table)
    csv_file = text.getvalue().encode()
    write_all({folder / CSV_FILE: csv_file, folder / PARQUET_FILE: _parquet(table)})


def _text(value: Any) -> str:
    if value is None:
        return ""
    return _SEPARATOR.join(value) if isinstance(value, tuple) else str(value)


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
    """Read the results of a sweep.

    Args:
        folder: A sweep's output folder, of which ``sweep.csv`` is enough.

    Returns:
        Its rows.

    Raises:
        SweepInputError: It is no sweep.
    """
    path = folder / CSV_FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        fault = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise SweepInputError(f"{folder}: no sweep: {CSV_FILE}: {fault}") from error
    reader = csv.DictReader(lines, strict=True)
    try:
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            raise ValueError("its columns are others")
        return tuple(_row(record) for record in reader)
    except (csv.Error, ValueError, TypeError) as error:
        raise SweepInputError(f"{folder}: no sweep: {CSV_FILE}: {error}") from error


def _row(record: Mapping[str, str]) -> Row:
    if record["verdict"] not in OUTCOMES:
        raise ValueError(f"the verdict {record['verdict']!r}")
    values: dict[str, Any] = {}
    for name in COLUMNS:
        text = record[name]
        if name == "findings":
            values[name] = tuple(text.split(_SEPARATOR)) if text else ()
        elif name in _TEXTS:
            values[name] = text
        elif not text:
            values[name] = None
        else:
            values[name] = int(text) if name in _INTEGERS else _number(name, text)
    return Row(**values)


def _number(name: str, text: str) -> float | str:
    return float(text) if name in _NUMBERS else text
