"""A sweep over many small models: throughput, memory, and kills at random moments."""

from __future__ import annotations

import contextlib
import csv
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.figures import Chapter, Figure
from varhandle.sandbox import run_isolated

COMMAND = "python -m benchmarks sweep"
MODELS = 200
REPORTED = 16
KILLS = 10
_SAMPLE_SECONDS = 2.0
_SIZES = (4, 8, 16, 32)
_CLI = [sys.executable, "-m", "workbook_lib.cli", "sweep"]
# What a row says but for how long it took, which no two runs have in common.
_TIMED = ("seconds",)


def measure() -> Chapter:
    """Sweep the same models with one worker, with two, on a Dask cluster, and through kills.

    Returns:
        The chapter.

    Raises:
        RuntimeError: A sweep failed, or two of them say different things of a model.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = str(make_models(folder / "models", MODELS))
        few = [str(path) for path in sorted(Path(models).iterdir())[:REPORTED]]
        report = _timed([*few, "--output", str(folder / "report"), "--report"]) / REPORTED
        cure = _timed([*few, "--output", str(folder / "cure")]) / REPORTED
        one = _timed([models, "--output", str(folder / "one")])
        two = _timed([models, "--output", str(folder / "two"), "--workers", "2"])
        with _cluster(folder) as scheduler:
            cluster = _timed(
                [models, "--output", str(folder / "cluster"), "--scheduler", scheduler]
            )
        _killed([models, "--output", str(folder / "killed"), "--workers", "2"])
        tables = [_table(folder / name) for name in ("one", "two", "cluster", "killed")]
        if any(table != tables[0] for table in tables):
            raise RuntimeError("the sweeps do not say the same")
    against = "one worker"
    per_row = 1000 / MODELS
    return Chapter(
        "Sweep at scale",
        f"{MODELS} small models (Keras, and modules with a state), in ms a row; once each way. "
        f"Then two workers again, killed {KILLS} times at random moments and started anew: all "
        "four tables say the same, but for the seconds.",
        COMMAND,
        (
            Figure(
                f"`varhandle sweep`, {REPORTED} models",
                1000 * cure,
                "`workbook sweep --report`, an executed notebook for each row",
                1000 * report,
                "ratio < 0.5",
            ),
            Figure(
                "`varhandle sweep --workers 2`",
                two * per_row,
                against,
                one * per_row,
                "ratio < 0.7",
            ),
            Figure(
                "`varhandle sweep` on a Dask cluster of two",
                cluster * per_row,
                against,
                one * per_row,
            ),
        ),
    )


def measure_memory() -> Chapter:
    """Watch what a sweep with one worker holds, from its beginning to its end.

    Returns:
        The chapter.

    Raises:
        RuntimeError: A sweep failed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = make_models(folder / "models", MODELS)
        samples = _watched([str(models), "--output", str(folder / "out")])
        loop = _loop(models)
    tenth = len(samples) // 10
    begin, end = samples[tenth : 2 * tenth], samples[-tenth:]
    lasting = begin[0].resident.keys() & end[-1].resident.keys()
    whole = [statistics.median(sample.whole for sample in part) for part in (begin, end)]
    last = [
        statistics.median(sum(sample.resident.get(pid, 0) for pid in lasting) for sample in part)
        for part in (begin, end)
    ]
    return Chapter(
        "Memory of a sweep",
        f"{MODELS} small models, one worker: the median of the last tenth of the run beside that "
        "of its second tenth. Counted is what processes have of their own, a page that several "
        "share once, and no file that they map. That of all goes up and down with each row; what "
        "could grow is that of those that last from the first row to the last.",
        f"{COMMAND}-memory",
        (
            Figure("all processes, at the end", whole[1], "at the beginning", whole[0],
                   "ratio < 1.1"),
            Figure(f"the {len(lasting)} that last, at the end", last[1], "at the beginning",
                   last[0], "ratio < 1.02"),
            Figure("all processes, at the end", whole[1],
                   "a loop that only loads and converts, in one process", loop),
        ),
        unit="MB",
    )  # fmt: skip


def make_models(folder: Path, count: int) -> Path:
    """Make small models of four kinds, in turn, in a child process.

    Args:
        folder: Where to; it is made.
        count: How many.

    Returns:
        The folder.

    Raises:
        RuntimeError: A model could not be made.
    """
    folder.mkdir()
    record = run_isolated(_make, str(folder), count)
    if not record.ok:
        raise RuntimeError(record.message)
    return folder


def _make(folder: str, count: int) -> None:
    import keras
    import tensorflow as tf

    class Total(tf.Module):
        def __init__(self, size: int, dtype: str) -> None:
            super().__init__()
            self.total = tf.Variable(tf.zeros([1, size], dtype), name="total")
            self.spec = tf.TensorSpec([1, size], tf.float32)
            self.call = tf.function(self.add, input_signature=[self.spec])

        def add(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            self.total.assign(self.total + tf.cast(x, self.total.dtype))
            return {"total": tf.cast(self.total, tf.float32)}

    layers = keras.layers
    for number in range(count):
        keras.utils.set_random_seed(number)
        size = _SIZES[number // 4 % len(_SIZES)]
        path = Path(folder, f"model_{number:03d}")
        match number % 4:
            case 0:
                dense = [layers.Dense(size, "relu"), layers.Dense(3, "softmax")]
                keras.Sequential([keras.Input([size]), *dense]).save(f"{path}.keras")
            case 1:
                conv = [layers.Conv2D(size, 3), layers.GlobalAveragePooling2D(), layers.Dense(2)]
                keras.Sequential([keras.Input([8, 8, 1]), *conv]).save(f"{path}.keras")
            case kind:
                module = Total(size, "float32" if kind == 2 else "float16")
                tf.saved_model.save(module, str(path), signatures=module.call)


@dataclass(frozen=True)
class _Sample:
    """What a sweep holds at a moment, in megabytes.

    Attributes:
        whole: All of its processes together, a shared page once; no files (Pss_Anon).
        resident: Each process by its number, no files (RssAnon).
    """

    whole: float
    resident: dict[int, float]


def _timed(arguments: Sequence[str]) -> float:
    """Sweep; return the seconds."""
    started = time.perf_counter()
    _finish(_start(arguments))
    return time.perf_counter() - started


def _finish(process: subprocess.Popen[str]) -> None:
    said, trouble = process.communicate()
    if process.returncode not in (0, 1):
        raise RuntimeError((said + trouble)[-500:])


def _watched(arguments: Sequence[str]) -> list[_Sample]:
    """Sweep; return what it held every other second."""
    samples: list[_Sample] = []
    process = _start(arguments)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_SAMPLE_SECONDS):
            samples.append(_sample(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        _finish(process)
    finally:
        done.set()
        watcher.join()
    return samples


def _start(arguments: Sequence[str]) -> subprocess.Popen[str]:
    # No code may run that a model brings along; and a session of its own can be ended as one.
    return subprocess.Popen(
        [*_CLI, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _sample(pid: int) -> _Sample:
    whole, resident = 0.0, {}
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                whole += _anonymous(process.pid, "smaps_rollup", "Pss_Anon")
                resident[process.pid] = _anonymous(process.pid, "status", "RssAnon")
    return _Sample(whole, resident)


def _anonymous(pid: int, file: str, name: str) -> float:
    """Return megabytes of a process that are no file's (proc(5)); 0 if it has ended.

    What it maps of a file counts the less, the more other processes of the machine map as well.
    """
    with contextlib.suppress(OSError):
        found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{pid}/{file}").read_text(), re.M)
        return int(found[1]) / 1000 if found else 0.0
    return 0.0


def _killed(arguments: Sequence[str]) -> None:
    """Sweep, and kill the sweep again and again; then let it come to its end."""
    chance = random.Random(KILLS)
    for _ in range(KILLS):
        process = _start(arguments)
        # Within a tenth of the rows that two workers make: each start has something to lose.
        time.sleep(chance.uniform(1, 30))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    _timed(arguments)


def _table(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open(newline="", encoding="utf-8") as file:
        rows = [
            {name: value for name, value in row.items() if name not in _TIMED}
            for row in csv.DictReader(file)
        ]
    if len(rows) != MODELS:
        raise RuntimeError(f"{folder.name}: {len(rows)} rows of {MODELS}")
    return rows


@contextlib.contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    """Start a scheduler and two workers of one thread each; yields its address."""
    from distributed import Client

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = f"tcp://127.0.0.1:{port}"
    options = ["--host", "127.0.0.1", "--no-dashboard"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny"]
    commands = [
        [sys.executable, "-m", "distributed.cli.dask_scheduler", *options, "--port", port],
        *[[*worker, "--nthreads", "1", *options]] * 2,
    ]
    quiet = subprocess.DEVNULL
    started = [
        subprocess.Popen(command, cwd=folder, stdout=quiet, stderr=quiet) for command in commands
    ]
    try:
        with Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


def _loop(models: Path) -> float:
    """Return the megabytes that one process holds that has converted one model after the other."""
    record = run_isolated(_convert_in_turn, str(models))
    if not record.ok:
        raise RuntimeError(record.message)
    return float(record.value)


def _convert_in_turn(models: str) -> float:
    import keras
    import tensorflow as tf

    for path in sorted(Path(models).iterdir()):
        if path.suffix == ".keras":
            model = keras.models.load_model(path)
            converter = tf.lite.TFLiteConverter.from_keras_model(model)
        else:
            converter = tf.lite.TFLiteConverter.from_saved_model(str(path))
        with contextlib.suppress(Exception):  # a state of float16 is refused
            converter.convert()
    return _anonymous(os.getpid(), "status", "RssAnon")
