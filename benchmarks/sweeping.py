"""A sweep over many small models: what a row costs, and what the sweep holds in memory."""

from __future__ import annotations

import contextlib
import functools
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dask
import psutil
from distributed import LocalCluster

from benchmarks.frame import Chapter, Checkout, Row, in_child, sampled

MODELS = 48
REPORTED = 12
_SAMPLE_SECONDS = 0.5


@dataclass(frozen=True)
class _Sample:
    """What a sweep holds at a moment, in megabytes."""

    whole: float  # all of its processes together, a shared page once; no files (Pss_Anon)
    resident: dict[int, float]  # each process by its number, no files (RssAnon)


def measure(against: Checkout | None = None) -> Chapter:
    """Sweep the same models with one worker, with two, on a Dask cluster, and with reports."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = folder / "models"
        models.mkdir()
        in_child(_make_models, str(models), MODELS)
        few = sorted(models.iterdir())[:REPORTED]
        report, _ = _sweep(folder / "report", few, "--report", rows=REPORTED)
        cure, _ = _sweep(folder / "cure", few, rows=REPORTED)
        one, samples = _sweep(folder / "one", [models])
        two, _ = _sweep(folder / "two", [models], "--workers", "2")
        # A row starts processes, which Dask would otherwise not allow a worker.
        with (
            dask.config.set({"distributed.worker.daemon": False}),
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local,
        ):
            scheduler = local.scheduler_address
            cluster, _ = _sweep(folder / "cluster", [models], "--scheduler", scheduler)
        rows = [
            Row(
                f"a row of `varhandle sweep`, {REPORTED} models (ms)",
                [cure],
                "with `workbook sweep --report`, an executed notebook for each",
                [report],
                "ratio < 0.5",
            ),
            Row("a row with `--workers 2` (ms)", [two], "with one worker", [one], "ratio < 0.7"),
            Row("a row on a Dask cluster of two (ms)", [cluster], "with one worker", [one]),
            *_memory(samples),
        ]
        if against:
            old, _ = _sweep(folder / "old", few, rows=REPORTED, checkout=against)
            what = f"a row of `workbook sweep`, {against.name}"
            rows.append(
                Row(f"a row of `varhandle sweep`, {REPORTED} models (ms)", [cure], what, [old])
            )
    return Chapter(
        "Sweep",
        f"{MODELS} small models (Keras, and modules with a state), once each way; a row is the "
        "whole time divided by the rows. Memory is that of the last tenth of the run with one "
        "worker beside that of its second tenth: what processes have of their own, a page that "
        "several share once, and no file that they map. That of all goes up and down with each "
        "row; what could grow is that of those that last from the first row to the last.",
        rows,
        unit="ms or MB",
    )


def _memory(samples: Sequence[_Sample]) -> Iterator[Row]:
    tenth = len(samples) // 10
    begin, end = samples[tenth : 2 * tenth], samples[-tenth:]
    lasting = begin[0].resident.keys() & end[-1].resident.keys()
    whole = [[sample.whole for sample in part] for part in (begin, end)]
    last = [
        [sum(sample.resident.get(pid, 0) for pid in lasting) for sample in part]
        for part in (begin, end)
    ]
    yield Row(
        "all processes, at the end (MB)", whole[1], "at the beginning", whole[0], "ratio < 1.1"
    )
    what = f"the {len(lasting)} that last, at the end (MB)"
    yield Row(what, last[1], "at the beginning", last[0], "ratio < 1.02")


def _make_models(folder: str, count: int) -> None:
    """Make small models of three kinds, in turn."""
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

    for number in range(count):
        keras.utils.set_random_seed(number)
        path, size = Path(folder, f"model_{number:03d}"), 4 * (1 + number % 8)
        if number % 3 == 0:
            dense = keras.layers.Dense(size, "softmax")
            keras.Sequential([keras.Input([size]), dense]).save(f"{path}.keras")
        else:
            module = Total(size, "float32" if number % 3 == 1 else "float16")
            tf.saved_model.save(module, str(path), signatures=module.call)


def _sweep(
    output: Path,
    models: Sequence[Path],
    *options: str,
    rows: int = MODELS,
    checkout: Checkout | None = None,
) -> tuple[float, list[_Sample]]:
    """Sweep; return milliseconds a row, and what it held every other moment."""
    python = checkout.python if checkout else sys.executable
    command = [python, "-m", "workbook_lib.cli", "sweep", *models, "--output", output, *options]
    started = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=checkout.folder if checkout else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with sampled(functools.partial(_sample, process.pid), _SAMPLE_SECONDS) as samples:
        said, _ = process.communicate()
    seconds = time.perf_counter() - started
    if process.returncode not in (0, 1):
        raise RuntimeError(said[-500:])
    return 1000 * seconds / rows, samples


def _sample(pid: int) -> _Sample:
    whole, resident = 0.0, {}
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
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
