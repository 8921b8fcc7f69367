"""A measured figure, and the page that lists them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NAME = re.compile(r"Alone: `python -m benchmarks (\S+)`")


@dataclass(frozen=True)
class Figure:
    """One thing measured beside another, in the same run."""

    what: str  # what was measured
    measured: float  # its median, in the unit of its chapter
    against: str  # what it was measured against
    against_measured: float  # the median of that
    aim: str = ""  # what it is meant to be, in words; empty where nothing was promised

    @property
    def ratio(self) -> float:
        """How many times as long, or as much, as what it was measured against."""
        return self.measured / self.against_measured


@dataclass(frozen=True)
class Plot:
    """A drawn plot beside the page."""

    file: str  # its name
    alt: str  # what it shows, in words


@dataclass(frozen=True)
class Chapter:
    """The figures of one benchmark."""

    title: str  # its heading
    method: str  # how they were measured, in a sentence or two
    command: str  # what runs this benchmark alone
    figures: tuple[Figure, ...]  # what was measured
    unit: str = "ms"  # what it was measured in
    plot: Plot | None = None  # what shows it, below the table

    def markdown(self) -> str:
        """Return the chapter with one table."""
        lines = [
            f"## {self.title}",
            "",
            f"{self.method} Alone: `{self.command}`.",
            "",
            f"| what | {self.unit} | against | {self.unit} | ratio | aim |",
            "|---|---:|---|---:|---:|---|",
        ]
        lines += [
            f"| {one.what} | {_number(one.measured)} | {one.against} | "
            f"{_number(one.against_measured)} | {_number(one.ratio)} | {one.aim or '-'} |"
            for one in self.figures
        ]
        if self.plot:
            lines += ["", f"![{self.plot.alt}]({self.plot.file})"]
        return "\n".join(lines)


def _number(value: float) -> str:
    """Return three digits that mean something, without an exponent for what is large."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def page(chapters: Sequence[str], machine: str) -> str:
    """Set all chapters on one page."""
    opening = [
        "# What it costs",
        "",
        f"Written by `make bench` on {machine}. Every row is one run in which both sides took "
        "turns, so read the ratios; the milliseconds are this machine's. Medians.",
    ]
    return "\n\n".join(["\n".join(opening), *chapters]) + "\n"


def chapters_of(page: str) -> dict[str, str]:
    """Take a page apart again."""
    chapters = ["## " + part.rstrip() for part in page.split("\n## ")[1:]]
    return {_NAME.findall(chapter)[0]: chapter for chapter in chapters}
