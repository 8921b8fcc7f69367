"""A room of simulated participants at a hub of this machine, all at the same time."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.figures import Chapter, Figure, Plot
from benchmarks.participant import Kernel, Visitor, wait_until
from warm_kernels.fork_server import SWITCH
from workbook_lib.editions.solved import fill_in_solutions
from workbook_lib.lesson.outline import read_outlines
from workbook_lib.lesson.progress import STATUSES
from workshop import mount_view
from workshop.classroom import Learner, read_classroom
from workshop.hub_folder import HubFolder, HubSettings, free_port
from workshop.launcher import Workshop
from workshop.stopping import processes_of

COMMAND = "python -m benchmarks room"
SIZES = (1, 2, 5, 10, 20)
_FEW = 5
NOTEBOOKS = ("06_run_inference.ipynb", "01_reproduce_the_failure.ipynb")
PICTURE = Path(__file__).with_name("room.png")
_PATIENCE = 600.0  # seconds; a room of twenty has two processors
_SAMPLE_SECONDS = 5.0
_BEFORE_SECONDS = 15.0  # a room is open before anybody comes; the hub imports TensorFlow then


@dataclass
class Day:
    """What one participant lived through."""

    startup: float = 0.0  # seconds from asking for a server to the first answer of its first kernel
    cells: list[float] = field(
        default_factory=list
    )  # seconds of each code cell of both notebooks, from sending it to its end


@dataclass(frozen=True)
class RoomRun:
    """What a room of one size came to."""

    days: tuple[Day, ...]  # one for each participant
    memory: float  # gigabytes of all processes of the room (PSS), the highest that was seen
    idle: float  # the same before anybody came in

    @property
    def each(self) -> float:
        """Gigabytes for a participant."""
        return (self.memory - self.idle) / len(self.days)

    def startup(self, percent: int = 50) -> float:
        """Return seconds within which so many percent of the participants could start."""
        return _percentile([day.startup for day in self.days], percent)

    def cell(self, percent: int = 50) -> float:
        """Return seconds within which so many percent of all cells came to their end."""
        return _percentile([seconds for day in self.days for seconds in day.cells], percent)


def measure() -> Chapter:
    """Fill rooms of several sizes; in the fullest, kill the hub half way."""
    rooms = {size: run(size, kill_the_hub=size == SIZES[-1]) for size in SIZES}
    alone = rooms[1]
    figures = []
    for size in SIZES[1:]:
        one = rooms[size]
        figures += [
            Figure(f"{size} participants: start-up, median", one.startup(), "one: start-up",
                   alone.startup()),
            Figure(f"{size} participants: start-up, 95th percentile", one.startup(95),
                   "one: start-up", alone.startup()),
            Figure(f"{size} participants: a cell, median", one.cell(), "one: a cell, median",
                   alone.cell()),
            Figure(f"{size} participants: a cell, 95th percentile", one.cell(95),
                   "one: a cell, 95th percentile", alone.cell(95)),
            Figure(f"{size} participants: memory for each (GB)", one.each, "one: memory (GB)",
                   alone.each, "ratio < 1"),
        ]  # fmt: skip
    return Chapter(
        "A room",
        "Simulated participants at `make hub` on this machine, all at the same time, "
        f"{_BEFORE_SECONDS:.0f} s after it has started: each signs in, opens notebook 06, runs "
        "every cell with the exercises solved, and then 01, both left open. In the room of "
        f"{SIZES[-1]} the hub is killed half way. Nobody met an error, and everybody's progress "
        "holds every exercise of both. Start-up is from asking for a server to the first answer "
        "of a kernel; memory is the highest proportional set size of all processes of the room, "
        "less the hub's own.",
        COMMAND,
        tuple(figures),
        unit="s",
        plot=_plot(rooms),
    )


def measure_forks() -> Chapter:
    """Fill a room twice: with servers and kernels that are forked, and with others."""
    forked = run(_FEW, kill_the_hub=False)
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "off"
    try:
        others = run(_FEW, kill_the_hub=False)
    finally:
        del os.environ[SWITCH]
        if before is not None:
            os.environ[SWITCH] = before
    against = "that import for themselves"
    what = f"{_FEW} participants, servers and kernels that are forked"
    return Chapter(
        "A room without forks",
        f"The same with {_FEW} participants, once as `make hub` starts it, and once with "
        f"`{SWITCH}=off`.",
        f"{COMMAND}-forks",
        (
            Figure(f"{what}: start-up, median", forked.startup(), against, others.startup(),
                   "ratio < 0.5"),
            Figure(f"{what}: memory for each (GB)", forked.each, against, others.each,
                   "ratio < 0.5"),
        ),
        unit="s",
    )  # fmt: skip


def run(size: int, kill_the_hub: bool) -> RoomRun:
    """Let a room work through both notebooks."""
    days = tuple(Day() for _ in range(size))
    names = [f"learner{number:02d}" for number in range(size)]
    held: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        room = HubFolder(Path(folder, "room"))
        settings = HubSettings(places=size, ip="127.0.0.1", port=free_port())
        with closing(Workshop(room, settings)) as workshop, ThreadPoolExecutor(size) as pool:
            time.sleep(_BEFORE_SECONDS)
            first = workshop.config.first_number
            numbers = range(first, first + mount_view.BLOCK)
            idle = _held(numbers)
            with _sampled(held, numbers):
                futures = [
                    pool.submit(_work_through, workshop, name, day)
                    for name, day in zip(names, days, strict=True)
                ]
                cells = _cells_of_everybody(size)
                while not all(future.done() for future in futures):
                    if kill_the_hub and sum(len(day.cells) for day in days) > cells / 2:
                        _kill_the_hub(workshop)
                        kill_the_hub = False
                    workshop.keep_going()
                    time.sleep(0.1)
                for future in futures:
                    future.result()
            if kill_the_hub:
                raise RuntimeError("the hub was not killed half way")
            learners = read_classroom(room.homes).learners
    _check(learners, names)
    return RoomRun(days, max(held), idle)


def _work_through(workshop: Workshop, name: str, day: Day) -> None:
    """Be a participant."""
    visitor = Visitor(workshop.address, name, _PATIENCE)
    answer = visitor.sign_in(workshop.folder.secrets["room code"], f"{name}'s own")
    if answer.status_code != 200:
        raise RuntimeError(f"{name} cannot sign in: {answer.status_code}")
    started = time.perf_counter()
    visitor.start_server()
    for notebook in NOTEBOOKS:
        address = f"api/contents/notebooks/{notebook}"
        edition = fill_in_solutions(visitor.api("GET", address).json()["content"])
        saved = visitor.api("PUT", address, json={"type": "notebook", "content": edition})
        saved.raise_for_status()
        kernel = visitor.kernel(notebook=notebook)
        if not day.startup:
            kernel.run("pass")
            day.startup = time.perf_counter() - started
        for cell in edition["cells"]:
            if cell["cell_type"] == "code":
                _run(kernel, cell, day, f"{name}, {notebook}, {cell['id']}")


def _run(kernel: Kernel, cell: dict[str, object], day: Day, where: str) -> None:
    started = time.perf_counter()
    said = kernel.execute(str(cell["source"]))
    day.cells.append(time.perf_counter() - started)
    if said.raised:
        raise RuntimeError(f"{where}: {said.raised}: {said.message}")


def _kill_the_hub(workshop: Workshop) -> None:
    os.kill(workshop.pid("hub"), signal.SIGKILL)
    dead = workshop.pid("hub")

    def is_back() -> bool:
        workshop.keep_going()
        return workshop.pid("hub") != dead and workshop.answers()

    wait_until(is_back, "the hub is back", _PATIENCE)


def _cells_of_everybody(size: int) -> int:
    import nbformat

    from workbook_lib.runs import all_notebooks

    own = [path for path in all_notebooks() if path.name in NOTEBOOKS]
    read = [nbformat.read(path, as_version=4).cells for path in own]
    return size * sum(cell.cell_type == "code" for cells in read for cell in cells)


def _check(learners: tuple[Learner, ...], names: list[str]) -> None:
    """Have everybody's progress hold every exercise of both notebooks."""
    asked = {
        exercise
        for notebook in read_outlines()
        if notebook.file in NOTEBOOKS
        for exercise in notebook.exercises
    }
    if [learner.name for learner in learners] != names:
        raise RuntimeError(f"progress of {len(learners)} participants, not of {len(names)}")
    for learner in learners:
        right = {name for name in asked if learner.progress.exercise(name).best == STATUSES[-1]}
        if learner.damage or right != asked:
            raise RuntimeError(f"{learner.name} lost {sorted(asked - right)} {learner.damage}")


@contextlib.contextmanager
def _sampled(held: list[float], numbers: range) -> Iterator[None]:
    """Note the memory every few seconds."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_SAMPLE_SECONDS):
            held.append(_held(numbers))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        held.append(_held(numbers))


def _held(numbers: range) -> float:
    """Return the gigabytes of all participants' processes, and of the hub's."""
    own = psutil.Process().children(recursive=True)
    known = {process.pid: process for process in [*own, *processes_of(numbers)]}
    total = 0
    for process in known.values():
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / 1e9


def _percentile(seconds: list[float], percent: int) -> float:
    if len(seconds) == 1:
        return seconds[0]
    return statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1]


def _plot(rooms: dict[int, RoomRun]) -> Plot:
    """Draw what grows with the number of participants, and what does not."""
    from matplotlib.figure import Figure as Sheet

    sheet = Sheet(figsize=(9, 3), layout="constrained")
    sizes = list(rooms)
    last = rooms[sizes[-1]]
    panels = sheet.subplots(1, 3)
    for axes, title, lines in (
        (panels[0], "start-up (s)", _both(rooms, "startup")),
        (panels[1], "a cell (s)", _both(rooms, "cell")),
        (panels[2], "memory (GB)", {"the whole room": [room.memory for room in rooms.values()]}),
    ):
        for (name, values), style in zip(lines.items(), ("o-", "s--"), strict=False):
            axes.plot(sizes, values, style, label=name)
        axes.set(title=title, xlabel="participants", xticks=sizes, ylim=(0, None))
        axes.legend(frameon=False)
    sheet.savefig(PICTURE, dpi=120, facecolor="white")
    return Plot(
        PICTURE.name,
        f"Three plots against the number of participants, {sizes[0]} to {sizes[-1]}. Start-up "
        f"rises to {last.startup():.0f} s (median) and {last.startup(95):.0f} s (95th percentile), "
        f"a cell to {last.cell():.2f} s and {last.cell(95):.1f} s, memory of the whole room to "
        f"{last.memory:.1f} GB.",
    )


def _both(rooms: dict[int, RoomRun], what: str) -> dict[str, list[float]]:
    return {
        "median": [getattr(room, what)() for room in rooms.values()],
        "95th percentile": [getattr(room, what)(95) for room in rooms.values()],
    }
