"""Where the rows of a sweep are made: on this machine, or on a Dask cluster.

A row always runs in a process of its own (``row_supervisor``), whichever executor asks for it.
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

from varhandle.extras import require
from varhandle.sweep.row_specs import SweepInputError
from varhandle.sweep.row_supervisor import run_row
from varhandle.sweep.rows import Row, RowTask, failed_row


class RowExecutor(Protocol):
    """Makes rows."""

    def __str__(self) -> str:
        """Say where they are made."""
        ...

    def run(self, tasks: Sequence[RowTask]) -> Iterator[tuple[RowTask, Row]]:
        """Yield each task with its row, as soon as it is finished, in any order.

        If the iterator is closed early, no further row is begun.
        """
        ...


@dataclass(frozen=True)
class LocalExecutor:
    """So many rows at a time, on this machine; a thread waits for each."""

    workers: int = 1

    def __str__(self) -> str:
        return f"{'one' if self.workers == 1 else self.workers} at a time"

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
class ClusterExecutor:
    """The workers of an existing Dask cluster, by its ``distributed.Client``.

    A task whose worker dies is given to another one, up to the scheduler's ``allowed-failures``.
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


def _result(task: RowTask, future: Any) -> Row:
    try:
        row: Row = future.result()
    except Exception as error:  # whatever kept the cluster from making it is its outcome
        return failed_row(task, "failed", f"the cluster: {type(error).__name__}: {error}")
    return row


def connect(address: str, timeout: float = 5.0) -> ClusterExecutor:
    """Connect to the scheduler of a Dask cluster, such as ``tcp://10.0.0.5:8786``.

    Raises ``SweepInputError`` if none answers within so many seconds.
    """
    require("distributed", "--scheduler")
    import distributed

    # It logs every failed attempt with a traceback; what matters is in the rows.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = distributed.Client(address, timeout=timeout, set_as_default=False)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        fault = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SweepInputError(f"{address}: no scheduler answers ({fault})") from error
    return ClusterExecutor(client)


@contextlib.contextmanager
def choose_executor(workers: int = 1, scheduler: str | None = None) -> Iterator[RowExecutor]:
    """Make rows here, so many at a time, or on the cluster whose scheduler is named."""
    if scheduler is None:
        yield LocalExecutor(workers)
        return
    cluster = connect(scheduler)
    with cluster.client:
        yield cluster
