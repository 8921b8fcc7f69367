"""Where the rows of a sweep are made: here, in local processes, or on a Dask cluster.

Each executor calls ``run_row`` on every task and gives back what it returns, as it comes. A row
always runs in processes of its own, whichever executor asks for it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Protocol

from workbook_lib.runs.row_specs import SweepInputError
from workbook_lib.runs.rows import Row, RowTask, run_row, unjudged


class Executor(Protocol):
    """Makes rows."""

    def __str__(self) -> str:
        """Say where they are made."""
        ...

    def run(self, tasks: Sequence[RowTask]) -> Iterator[tuple[RowTask, Row]]:
        """Make rows.

        Args:
            tasks: What to do.

        Yields:
            Each task with its row, as soon as it is finished, in any order. If the iterator is
            closed early, no further row is begun.
        """
        ...


@dataclass(frozen=True)
class Serial:
    """One row after the other."""

    def __str__(self) -> str:
        return "one at a time"

    def run(self, tasks: Sequence[RowTask]) -> Iterator[tuple[RowTask, Row]]:
        """Make rows, in the order of the tasks."""
        for task in tasks:
            yield task, run_row(task)


@dataclass(frozen=True)
class Local:
    """Several rows at a time, on this machine.

    A thread waits for each row; the row itself is a process.

    Attributes:
        workers: How many rows are made at a time.
    """

    workers: int

    def __str__(self) -> str:
        return f"{self.workers} at a time"

    def run(self, tasks: Sequence[RowTask]) -> Iterator[tuple[RowTask, Row]]:
        """Make rows; those under way are ended if the iterator is closed early."""
        stop = threading.Event()
        with ThreadPoolExecutor(self.workers) as pool:
            futures = {pool.submit(run_row, task, stop): task for task in tasks}
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            finally:
                stop.set()
                pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class Cluster:
    """The workers of an existing Dask cluster; ``close`` it when done.

    A task whose worker dies is given to another one, up to the scheduler's ``allowed-failures``.

    Attributes:
        client: A ``distributed.Client``.
    """

    client: Any

    def __str__(self) -> str:
        workers = len(self.client.scheduler_info(n_workers=-1)["workers"])
        return f"on a cluster that has {workers} workers now"

    def run(self, tasks: Sequence[RowTask]) -> Iterator[tuple[RowTask, Row]]:
        """Make rows; those under way come to their end if the iterator is closed early."""
        import distributed

        # Keys of one group: the scheduler learns how long a row takes, and holds back what no
        # worker is free for.
        group = f"sweep_row-{uuid.uuid4().hex}"
        futures = {
            self.client.submit(run_row, task, key=(group, number), pure=False): task
            for number, task in enumerate(tasks)
        }
        try:
            for future in distributed.as_completed(list(futures), loop=self.client.loop):
                yield futures[future], _result(futures[future], future)
        finally:
            self.client.cancel(list(futures))

    def close(self) -> None:
        """Leave the cluster to itself."""
        self.client.close()


def _result(task: RowTask, future: Any) -> Row:
    try:
        row: Row = future.result()
    except Exception as error:  # whatever kept the cluster from making it is its outcome
        return unjudged(task, "failed", f"the cluster: {type(error).__name__}: {error}")
    return row


def connect(address: str, timeout: float = 5.0) -> Cluster:
    """Connect to the scheduler of a Dask cluster.

    Args:
        address: Such as ``tcp://10.0.0.5:8786``.
        timeout: Seconds to wait for an answer.

    Returns:
        The cluster.

    Raises:
        SweepInputError: Nobody answers there, or the package ``distributed`` is not installed.
    """
    try:
        import distributed
    except ImportError as error:
        raise SweepInputError(
            "--scheduler needs the package distributed: pip install '.[cluster]'"
        ) from error
    # It logs every failed attempt with a traceback; what matters is in the rows.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return Cluster(distributed.Client(address, timeout=timeout, set_as_default=False))
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        fault = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SweepInputError(f"{address}: no scheduler answers ({fault})") from error


@contextlib.contextmanager
def executor(workers: int = 1, scheduler: str | None = None) -> Iterator[Executor]:
    """Choose where rows are made.

    Args:
        workers: How many at a time, on this machine.
        scheduler: Address of the scheduler of a Dask cluster; its workers are used instead.

    Yields:
        The executor.

    Raises:
        SweepInputError: No scheduler answers there.
    """
    if scheduler is None:
        yield Serial() if workers == 1 else Local(workers)
        return
    cluster = connect(scheduler)
    try:
        yield cluster
    finally:
        cluster.close()
