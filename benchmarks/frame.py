"""The frame of every benchmark: things take turns, and stand side by side in one table."""

from __future__ import annotations

import contextlib
import os
import re
import statistics
import subprocess
import threading
import timeit
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from varhandle.sandbox import run_isolated

Found = TypeVar("Found")
_NAME = re.compile(r"Alone: `python -m benchmarks (\S+)`")


@dataclass(frozen=True)
class Row:
    """One thing measured beside another, in the same run; each with every run's figure."""

    what: str
    measured: Sequence[float]
    against: str
    against_measured: Sequence[float]
    aim: str = ""  # what it is meant to be: "< 300 MB" or "ratio < 0.5"; empty where none is

    def markdown(self) -> str:
        """Return it as a line of the table."""
        ratio = statistics.median(self.measured) / statistics.median(self.against_measured)
        ours, theirs = _cells(self.measured), _cells(self.against_measured)
        return (
            f"| {self.what} | {ours} | {self.against} | {theirs} "
            f"| {_number(ratio)} | {self.aim or '-'} |"
        )


@dataclass(frozen=True)
class Chapter:
    """The rows of one benchmark."""

    title: str
    method: str  # how they were measured, in a sentence or two
    rows: Iterable[Row]
    unit: str = "ms"
    picture: str = ""  # in Markdown, below the table

    def markdown(self, name: str) -> str:
        """Return the chapter of the benchmark of this name."""
        unit = self.unit
        lines = [
            f"## {self.title}",
            "",
            f"{self.method} Alone: `python -m benchmarks {name}`.",
            "",
            f"| what | {unit} | min to max | against | {unit} | min to max | ratio | aim |",
            "|---|---:|---:|---|---:|---:|---:|---|",
            *(row.markdown() for row in self.rows),
        ]
        return "\n".join([*lines, "", self.picture] if self.picture else lines)


def page(chapters: Iterable[str], machine: str) -> str:
    """Set all chapters on one page."""
    opening = (
        f"# What it costs\n\nWritten by `make bench` on {machine}. Every row is one run in which "
        "both sides took turns, so read the ratios; the milliseconds are this machine's. Medians, "
        "and the range of what was measured more than once."
    )
    return "\n\n".join([opening, *chapters]) + "\n"


def chapters_of(page: str) -> dict[str, str]:
    """Take a page apart again."""
    chapters = ["## " + part.rstrip() for part in page.split("\n## ")[1:]]
    return {_NAME.findall(chapter)[0]: chapter for chapter in chapters}


def _cells(figures: Sequence[float]) -> str:
    """Return two cells: the median, and the range if there is one."""
    span = f"{_number(min(figures))} to {_number(max(figures))}" if len(figures) > 1 else "-"
    return f"{_number(statistics.median(figures))} | {span}"


def _number(value: float) -> str:
    """Return three digits that mean something, without an exponent for what is large."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


@dataclass(frozen=True)
class Checkout:
    """Another checkout of the workbook, with an environment of its own, to compare with."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / ".venv" / "bin" / "python"

    @property
    def name(self) -> str:
        """Its commit."""
        return f"commit {run_program(['git', '-C', self.folder, 'rev-parse', '--short', 'HEAD'])}"


def in_turns(
    calls: Mapping[str, Callable[[], object]], runs: int, calls_a_run: int = 1
) -> dict[str, list[float]]:
    """Time calls that take turns, after one that is not counted; return milliseconds of each run.

    A run of something short is many calls, and their mean counts.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(runs):
        for name, call in calls.items():
            times[name].append(1000 * timeit.timeit(call, number=calls_a_run) / calls_a_run)
    return times


@contextlib.contextmanager
def sampled(look: Callable[[], Found], seconds: float) -> Iterator[list[Found]]:
    """Look again and again while something else runs; yields the list of what was seen."""
    seen: list[Found] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(seconds):
            seen.append(look())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def run_program(
    command: Sequence[str | Path],
    accepted: Sequence[int] = (0,),
    cwd: Path | None = None,
    **environment: str,
) -> str:
    """Run a program to its end, and return what it printed; ``RuntimeError`` if it fails."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in accepted:
        raise RuntimeError(f"{command[0]}: {(done.stdout + done.stderr)[-500:]}")
    return done.stdout.strip()


def in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function where it costs the timing nothing; ``RuntimeError`` if it fails."""
    record = run_isolated(function, *arguments, timeout=900, locked=False)
    if not record.ok:
        raise RuntimeError(f"{function.__name__}: {record.message}")
    return record.value
