"""Workshops of simulated participants at a hub of this machine, all at the same time."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from unittest import mock

import numpy as np
import psutil

from benchmarks.frame import Chapter, Row, sampled
from benchmarks.participant import Kernel, Visitor, wait_until
from warm_kernels.fork_server import SWITCH
from workbook_lib.editions.solved import fill_in_solutions
from workbook_lib.lesson.outline import read_outlines
from workshop.classroom import Learner, read_classroom
from workshop.hub_folder import USER_NUMBERS, HubFolder, HubSettings
from workshop.launcher import Workshop, free_port
from workshop.user_numbers import processes_of

SIZES = (1, 5, 20)
_UNFORKED = 5
NOTEBOOKS = ("26_run_it.ipynb", "12_three_fixes.ipynb")
PICTURE = Path(__file__).with_name("workshop.png")
_PATIENCE = 600.0  # seconds; twenty participants have two processors
_SAMPLE_SECONDS = 5.0
_BEFORE_SECONDS = 15.0  # a hub is up before anybody comes; it imports TensorFlow then


@dataclass
class Day:
    """What one participant lived through."""

    startup: float = 0.0  # seconds from asking for a server to the first answer of its first kernel
    cells: list[float] = field(default_factory=list)  # seconds of each code cell of both notebooks
    finished: int = 0  # notebooks


@dataclass(frozen=True)
class Outcome:
    """What a workshop of one size came to."""

    days: Sequence[Day]  # one for each participant
    memory: float  # gigabytes of all its processes (PSS), the highest that was seen
    idle: float  # the same before anybody came in

    @property
    def each(self) -> float:
        """Gigabytes for a participant."""
        return (self.memory - self.idle) / len(self.days)

    @property
    def startups(self) -> list[float]:
        """Every participant's seconds until they could start."""
        return [day.startup for day in self.days]

    @property
    def cells(self) -> list[float]:
        """The seconds of every cell that anybody ran."""
        return [seconds for day in self.days for seconds in day.cells]


def measure() -> Chapter:
    """Hold workshops of several sizes; in the fullest, kill the hub half way."""
    outcomes = {size: hold(size, kill_the_hub=size == SIZES[-1]) for size in SIZES}
    alone = outcomes[1]
    rows = []
    for size in SIZES[1:]:
        one = outcomes[size]
        rows += [
            Row(f"{size} participants: start-up", one.startups, "one: start-up", alone.startups),
            Row(f"{size} participants: a cell", one.cells, "one: a cell", alone.cells),
            Row(
                f"{size} participants: a cell, 95th percentile",
                [_slow(one.cells)],
                "one: a cell, 95th percentile",
                [_slow(alone.cells)],
            ),
            Row(
                f"{size} participants: memory for each (GB)",
                [one.each],
                "one: memory (GB)",
                [alone.each],
                "ratio < 1",
            ),
        ]
    forked = outcomes[_UNFORKED]
    with mock.patch.dict(os.environ, {SWITCH: "off"}):
        unforked = hold(_UNFORKED)
    what, against = f"{_UNFORKED} participants", f"with `{SWITCH}=off`, importing for themselves"
    rows += [
        Row(f"{what}: start-up", forked.startups, against, unforked.startups, "ratio < 0.5"),
        Row(
            f"{what}: memory for each (GB)", [forked.each], against, [unforked.each], "ratio < 0.5"
        ),
    ]
    return Chapter(
        "A workshop",
        "Simulated participants at `make hub` on this machine, all at the same time, "
        f"{_BEFORE_SECONDS:.0f} s after it has started: each signs in, opens the first of two "
        "notebooks, runs every cell with the exercises solved, and then the other, both left open. "
        f"In the workshop of {SIZES[-1]} the hub is killed half way. Nobody met an error, and "
        "everybody's progress "
        "holds every exercise of both. Start-up is from asking for a server to the first answer "
        "of a kernel; memory is the highest proportional set size of all processes, less the "
        "hub's own.",
        rows,
        unit="s",
        picture=_picture(outcomes),
    )


def hold(size: int, kill_the_hub: bool = False) -> Outcome:
    """Let participants work through both notebooks."""
    days = [Day() for _ in range(size)]
    names = [f"learner{number:02d}" for number in range(size)]
    with tempfile.TemporaryDirectory() as place:
        folder = HubFolder(Path(place, "hub"))
        settings = HubSettings(places=size, ip="127.0.0.1", port=free_port())
        with closing(Workshop(folder, settings)) as workshop, ThreadPoolExecutor(size) as pool:
            time.sleep(_BEFORE_SECONDS)
            idle = _memory_of(workshop)
            with sampled(functools.partial(_memory_of, workshop), _SAMPLE_SECONDS) as held:
                work = [
                    pool.submit(_work_through, workshop, name, day)
                    for name, day in zip(names, days, strict=True)
                ]
                while not all(one.done() for one in work):
                    if kill_the_hub and sum(day.finished for day in days) >= size / 2:
                        _kill_the_hub(workshop)
                        kill_the_hub = False
                    workshop.keep_going()
                    time.sleep(0.1)
                for one in work:
                    one.result()
                held.append(_memory_of(workshop))
            if kill_the_hub:
                raise RuntimeError("the hub was not killed half way")
            learners = read_classroom(folder.homes).learners
    _check(learners, names)
    return Outcome(days, max(held), idle)


def _work_through(workshop: Workshop, name: str, day: Day) -> None:
    """Be a participant."""
    visitor = Visitor(workshop.address, name, _PATIENCE)
    answer = visitor.sign_in(workshop.folder.secrets["workshop code"], f"{name}'s own")
    if answer.status_code != 200:
        raise RuntimeError(f"{name} cannot sign in: {answer.status_code}")
    started = time.perf_counter()
    visitor.start_server()
    for notebook in NOTEBOOKS:
        address = f"api/contents/notebooks/{notebook}"
        edition = fill_in_solutions(visitor.api("GET", address).json()["content"])
        saved = visitor.api("PUT", address, json={"type": "notebook", "content": edition})
        saved.raise_for_status()
        kernel = visitor.kernel(notebook)
        if not day.startup:
            kernel.run("pass")
            day.startup = time.perf_counter() - started
        for cell in edition["cells"]:
            if cell["cell_type"] == "code":
                _run(kernel, cell, day, f"{name}, {notebook}, {cell['id']}")
        day.finished += 1


def _run(kernel: Kernel, cell: dict[str, object], day: Day, where: str) -> None:
    started = time.perf_counter()
    said = kernel.execute(str(cell["source"]))
    day.cells.append(time.perf_counter() - started)
    if said.raised:
        raise RuntimeError(f"{where}: {said.raised}: {said.message}")


def _kill_the_hub(workshop: Workshop) -> None:
    dead = workshop.pid("hub")
    os.kill(dead, signal.SIGKILL)

    def is_back() -> bool:
        workshop.keep_going()
        return workshop.pid("hub") != dead and workshop.answers()

    wait_until(is_back, "the hub is back", _PATIENCE)


def _check(learners: Sequence[Learner], names: list[str]) -> None:
    """Have everybody's progress hold every exercise of both notebooks."""
    exercises = {
        exercise
        for notebook in read_outlines()
        if notebook.file in NOTEBOOKS
        for exercise in notebook.exercises
    }
    if [learner.name for learner in learners] != names:
        raise RuntimeError(f"progress of {len(learners)} participants, not of {len(names)}")
    for learner in learners:
        right = {name for name in exercises if learner.progress.exercise(name).best == "right"}
        if learner.damage or right != exercises:
            raise RuntimeError(f"{learner.name} lost {sorted(exercises - right)} {learner.damage}")


def _memory_of(workshop: Workshop) -> float:
    """Return the gigabytes of all participants' processes, and of the hub's."""
    first = workshop.config.first_number
    own = psutil.Process().children(recursive=True)
    known = {
        process.pid: process
        for process in [*own, *processes_of(range(first, first + USER_NUMBERS))]
    }
    total = 0
    for process in known.values():
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / 1e9


def _slow(seconds: list[float]) -> float:
    """Return the 95th percentile."""
    return float(np.percentile(seconds, 95))


def _picture(outcomes: dict[int, Outcome]) -> str:
    """Draw what grows with the number of participants."""
    from matplotlib.figure import Figure

    every = outcomes.values()
    startup = [(median(one.startups), _slow(one.startups)) for one in every]
    cell = [(median(one.cells), _slow(one.cells)) for one in every]
    figure = Figure(figsize=(9, 3), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for axes, title, values in ((left, "start-up (s)", startup), (middle, "a cell (s)", cell)):
        axes.plot(SIZES, values, "o-", label=["median", "95th percentile"])
        axes.legend(frameon=False)
        axes.set_title(title)
    right.plot(SIZES, [one.memory for one in every], "o-")
    right.set_title("memory of all together (GB)")
    for axes in (left, middle, right):
        axes.set(xlabel="participants", xticks=SIZES, ylim=(0, None))
    figure.savefig(PICTURE, dpi=120, facecolor="white")
    alt = (
        f"Three plots against the number of participants, {SIZES[0]} to {SIZES[-1]}. Start-up "
        f"rises to {startup[-1][0]:.0f} s (median) and {startup[-1][1]:.0f} s (95th percentile), "
        f"a cell to {cell[-1][0]:.2f} s and {cell[-1][1]:.1f} s, memory of all together to "
        f"{outcomes[SIZES[-1]].memory:.1f} GB."
    )
    return f"![{alt}]({PICTURE.name})"
