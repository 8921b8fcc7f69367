"""Latency: how long one call takes, as a person can repeat it.

One run says little on a shared machine. So a call warms up, is timed many times by itself, and
the median and the quartiles are given. Where several candidates are compared, they take turns,
so that a machine that slows down meanwhile slows all of them.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from varhandle.display import Rich, RichTable, Table
from varhandle.progress_bar import with_progress_bar

_TURNS = 10  # a comparison's runs are dealt out in as many turns
_SHORT = 0.1  # milliseconds; what is shorter is given in microseconds, so that digits are left


@dataclass(frozen=True, repr=False)
class Latency(Rich):
    """How long one call took, over many runs, in milliseconds; the warm-up is not among them."""

    median: float
    lower_quartile: float
    upper_quartile: float
    runs: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latency:
        """Sum up the times of at least 2 runs."""
        cuts = statistics.quantiles(seconds, method="inclusive")
        lower, median, upper = (1000 * cut for cut in cuts)
        return cls(median, lower, upper, len(seconds))

    def __repr__(self) -> str:
        unit, factor = _unit(self)
        median, quartiles = _figures(self, factor)
        return f"Latency(median {median} {unit}, quartiles {quartiles} {unit}, {self.runs} runs)"


@dataclass(frozen=True, repr=False)
class LatencyTable(RichTable):
    """Latencies of candidates that took turns, the first of which is the measure of the others."""

    latencies: Mapping[str, Latency]

    def __getitem__(self, name: str) -> Latency:
        return self.latencies[name]

    def ratio(self, name: str) -> float:
        """Return how many times as long as the first candidate one takes, median by median."""
        return self.latencies[name].median / next(iter(self.latencies.values())).median

    def __repr__(self) -> str:
        unit, factor = _unit(*self.latencies.values())
        figures = {name: _figures(one, factor) for name, one in self.latencies.items()}
        listed = ", ".join(f"{name} {median} {unit}" for name, (median, _) in figures.items())
        return f"LatencyTable({listed})"

    def _table(self) -> Table:
        unit, factor = _unit(*self.latencies.values())
        first = next(iter(self.latencies))
        headers = ("", f"median {unit}", f"quartiles {unit}", "runs", f"times {first}")
        rows = [
            (name, *_figures(one, factor), one.runs, f"{self.ratio(name):.2f}")
            for name, one in self.latencies.items()
        ]
        return headers, rows, "Latency of one call, on this machine"


def _unit(*latencies: Latency) -> tuple[str, float]:
    """Return the unit that suits the shortest of them, and how many are a millisecond."""
    short = min(one.median for one in latencies) < _SHORT
    return ("µs", 1000.0) if short else ("ms", 1.0)


def _figures(one: Latency, factor: float) -> tuple[str, str]:
    """Write the median and the quartiles."""
    lower, upper = factor * one.lower_quartile, factor * one.upper_quartile
    return f"{factor * one.median:.3f}", f"{lower:.3f} to {upper:.3f}"


def measure_latency(call: Callable[[], Any], *, runs: int = 200, warm_up: int = 20) -> Latency:
    """Time one call, as :func:`compare_latency` times several."""
    return compare_latency({"timing": call}, runs=runs, warm_up=warm_up)["timing"]


def compare_latency(
    calls: Mapping[str, Callable[[], Any]],
    *,
    runs: int = 200,
    warm_up: int = 20,
    label: str = "timing",
) -> LatencyTable:
    """Time several calls that take turns, each ``runs`` times, after ``warm_up`` untimed ones.

    The others are compared with the first. A progress bar says ``label`` meanwhile. ``ValueError``
    if there is nothing to time, or fewer than 2 runs, or fewer than 0 for the warm-up.
    """
    if not calls:
        raise ValueError("there is no call to time: give at least one")
    if runs < 2 or warm_up < 0:
        raise ValueError(f"take at least 2 runs, no negative warm-up: not {runs}, {warm_up}")
    for call in calls.values():
        for _ in range(warm_up):
            call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    turns = min(_TURNS, runs)
    for turn in with_progress_bar(range(turns), label):
        share = runs // turns + (turn < runs % turns)
        for name, call in calls.items():
            seconds[name] += _times(call, share)
    return LatencyTable({name: Latency.of(times) for name, times in seconds.items()})


def _times(call: Callable[[], Any], runs: int) -> list[float]:
    """Return the seconds of each run, with the garbage collector at rest as in ``timeit``."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        times = []
        call()  # the turn's first call finds caches that the others have filled
        for _ in range(runs):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
        return times
    finally:
        if collecting:
            gc.enable()
