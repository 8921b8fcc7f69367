"""A measured figure, and the page that lists them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NAME = re.compile(r"Alone: `python -m benchmarks (\S+)`")


@dataclass(frozen=True)
class Figure:
    """One thing measured beside another, in the same run.

    Attributes:
        what: What was measured.
        measured: Its median, in the unit of its chapter.
        against: What it was measured against.
        against_measured: The median of that.
        aim: What it is meant to be, in words; empty where nothing was promised.
    """

    what: str
    measured: float
    against: str
    against_measured: float
    aim: str = ""

    @property
    def ratio(self) -> float:
        """How many times as long, or as much, as what it was measured against."""
        return self.measured / self.against_measured


@dataclass(frozen=True)
class Plot:
    """A drawn plot beside the page.

    Attributes:
        file: Its name.
        alt: What it shows, in words.
    """

    file: str
    alt: str


@dataclass(frozen=True)
class Chapter:
    """The figures of one benchmark.

    Attributes:
        title: Its heading.
        method: How they were measured, in a sentence or two.
        command: What runs this benchmark alone.
        figures: What was measured.
        unit: What it was measured in.
        plot: What shows it, below the table.
    """

    title: str
    method: str
    command: str
    figures: tuple[Figure, ...]
    unit: str = "ms"
    plot: Plot | None = None

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
    """Set all chapters on one page.

    Args:
        chapters: What was measured, in Markdown.
        machine: Where, in one line that names no user and no host.

    Returns:
        The page, in Markdown.
    """
    opening = [
        "# What it costs",
        "",
        f"Written by `make bench` on {machine}. Every row is one run in which both sides took "
        "turns, so read the ratios; the milliseconds are this machine's. Medians.",
    ]
    return "\n\n".join(["\n".join(opening), *chapters]) + "\n"


def chapters_of(page: str) -> dict[str, str]:
    """Take a page apart again.

    Args:
        page: As :func:`page` returns it.

    Returns:
        Name of each benchmark, as the command takes it, to its chapter.
    """
    chapters = ["## " + part.rstrip() for part in page.split("\n## ")[1:]]
    return {_NAME.findall(chapter)[0]: chapter for chapter in chapters}
