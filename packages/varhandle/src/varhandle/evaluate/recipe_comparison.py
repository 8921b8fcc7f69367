"""Size, accuracy and latency of several files of one classifier, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from varhandle.display import RichTable, Table
from varhandle.evaluate.latency import Latency, compare_latency
from varhandle.evaluate.session import Array, Session
from varhandle.progress_bar import with_progress_bar


@dataclass(frozen=True)
class MeasuredFile:
    """What one file costs and what it can do."""

    name: str
    size: int  # bytes
    right: int  # inputs whose largest answer is at the label's place
    moved: int  # inputs whose largest answer is elsewhere than in the first file
    latency: Latency  # of one inference, fed and answered in the dtypes of the file


@dataclass(frozen=True, repr=False)
class RecipeTable(RichTable):
    """Files beside each other, the first of which is the measure of the others."""

    rows: tuple[MeasuredFile, ...]
    total: int  # how many inputs were classified

    def __repr__(self) -> str:
        listed = ", ".join(f"{row.name} {row.size:,} bytes" for row in self.rows)
        return f"RecipeTable({listed})"

    def _table(self) -> Table:
        first = self.rows[0]
        timing = ("median µs", "quartiles µs", f"times {first.name}")
        headers = ("recipe", "bytes", "share", f"right of {self.total}", "moved", *timing)
        rows = []
        for row in self.rows:
            lower, upper = 1000 * row.latency.lower_quartile, 1000 * row.latency.upper_quartile
            timed = (
                f"{1000 * row.latency.median:.1f}",
                f"{lower:.1f} to {upper:.1f}",
                f"{row.latency.median / first.latency.median:.2f}",
            )
            share = f"{row.size / first.size:.2f}"
            rows.append((row.name, row.size, share, row.right, row.moved, *timed))
        return headers, rows, "Size, accuracy and latency of one inference, on this machine"


def compare_recipes(files: Mapping[str, bytes], inputs: Array, labels: Array) -> RecipeTable:
    """Measure files of one classifier, each with one input and one output.

    The files run in this process, on one thread, with the default delegates: give files that you
    trust. For the latency they take turns, so that a machine that slows down slows all of them.
    ``inputs`` are float32 [n, ...], a batch of 1 in each row, ``labels`` their classes, int [n].

    Raises:
        ValueError: There are no files or no inputs, or not a label for each input.
        ModelFileError: A file is no .tflite file.
        RuntimeError: The interpreter refuses a file.
    """
    if not files:
        raise ValueError("there is no file to compare: give at least one")
    if len(inputs) != len(labels) or not len(inputs):
        raise ValueError(f"give a label for each input, and not {len(labels)} for {len(inputs)}")
    sessions = {name: Session(content) for name, content in files.items()}
    classes = {
        name: _classes(session, inputs)
        for name, session in with_progress_bar(list(sessions.items()), "classifying")
    }
    latencies = compare_latency(
        {name: session.interpreter.invoke for name, session in sessions.items()},
        runs=2000,
        warm_up=100,
        label="timing the recipes in turns",
    )
    first = next(iter(classes.values()))
    rows = []
    for name, content in files.items():
        right, moved = np.sum(classes[name] == labels), np.sum(classes[name] != first)
        rows.append(MeasuredFile(name, len(content), int(right), int(moved), latencies[name]))
    return RecipeTable(tuple(rows), len(inputs))


def count_right(content: bytes, inputs: Array, labels: Array) -> int:
    """Return how many inputs a file classifies rightly; all as :func:`compare_recipes` takes it."""
    return int(np.sum(_classes(Session(content), inputs) == labels))


def _classes(session: Session, inputs: Array) -> Array:
    """Return the class of each input, one call for each: a file's batch size may be fixed at 1."""
    output = next(iter(session.outputs))
    return np.array([session(one[np.newaxis])[output].argmax() for one in inputs])
