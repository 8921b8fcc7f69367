"""A sweep over many small models: throughput, memory, and kills at random moments."""

from __future__ import annotations

import contextlib
import csv
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from benchmarks.figures import Chapter, Figure
from workbook_lib.isolated import run_isolated

COMMAND = "python -m benchmarks sweep"
MODELS = 200
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
        one, held = _watched([models, "--output", str(folder / "one")])
        two, _ = _watched([models, "--output", str(folder / "two"), "--workers", "2"])
        with _cluster(folder) as scheduler:
            cluster, _ = _watched(
                [models, "--output", str(folder / "cluster"), "--scheduler", scheduler]
            )
        _killed([models, "--output", str(folder / "killed"), "--workers", "2"])
        tables = [_table(folder / name) for name in ("one", "two", "cluster", "killed")]
        if any(table != tables[0] for table in tables):
            raise RuntimeError("the sweeps do not say the same")
        growth = _leak()
    against = "one worker"
    tenth = max(1, len(held) // 10)
    first, last = (statistics.median(part) for part in (held[tenth : 2 * tenth], held[-tenth:]))
    per_row = 1000 / MODELS
    return Chapter(
        "Sweep at scale",
        f"{MODELS} small models (Keras, and modules with a state), in ms a row; once each way. "
        f"Then two workers again, killed {KILLS} times at random moments and started anew: all "
        "four tables say the same, but for the seconds. Memory is the proportional set size of all "
        "processes of the sweep with one worker, in MB: the median of its last tenth beside that "
        "of its second, and what one conversion leaves behind in a process that makes 20 in turn.",
        COMMAND,
        (
            Figure("two workers", two * per_row, against, one * per_row, "ratio < 0.7"),
            Figure("a Dask cluster of two", cluster * per_row, against, one * per_row),
            Figure("memory at the end (MB)", last, "memory at the beginning (MB)", first),
            Figure("a row more (MB)", max(0.0, last - first) / (0.85 * MODELS),
                   "a conversion more in one process (MB)", growth, "ratio < 0.1"),
        ),
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


def _watched(arguments: Sequence[str]) -> tuple[float, list[float]]:
    """Sweep; return the seconds, and the megabytes that were held every other second."""
    held: list[float] = []
    started = time.perf_counter()
    process = _start(arguments)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_SAMPLE_SECONDS):
            held.append(_held(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    said, trouble = process.communicate()
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    if process.returncode not in (0, 1):
        raise RuntimeError((said + trouble)[-500:])
    return seconds, held


def _start(arguments: Sequence[str]) -> subprocess.Popen[str]:
    # No code may run that a model brings along; and a session of its own can be ended as one.
    return subprocess.Popen(
        [*_CLI, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _held(pid: int) -> float:
    total = 0
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total / 1e6


def _killed(arguments: Sequence[str]) -> None:
    """Sweep, and kill the sweep again and again; then let it come to its end."""
    chance = random.Random(KILLS)
    for _ in range(KILLS):
        process = _start(arguments)
        # Within a tenth of the rows that two workers make: each start has something to lose.
        time.sleep(chance.uniform(1, 30))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    _watched(arguments)


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


def _leak() -> float:
    """Return the megabytes that one conversion more leaves in a process that makes many."""
    record = run_isolated(_convert_in_turn, 20)
    if not record.ok:
        raise RuntimeError(record.message)
    return float(record.value)


def _convert_in_turn(count: int) -> float:
    import keras
    import tensorflow as tf

    layers = keras.layers
    model = keras.Sequential([keras.Input([8]), layers.Dense(8, "relu"), layers.Dense(3)])
    function = tf.function(model).get_concrete_function(tf.TensorSpec([1, 8]))

    def convert() -> None:
        tf.lite.TFLiteConverter.from_concrete_functions([function], model).convert()

    convert()
    convert()
    before = psutil.Process().memory_info().rss
    for _ in range(count):
        convert()
    return (psutil.Process().memory_info().rss - before) / 1e6 / count
