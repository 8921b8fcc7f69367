"""A process that is forked from the server, and is otherwise as ``subprocess`` would start it."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import psutil

from warm_kernels import fork_server

_UNKNOWN = 255  # what multiprocessing says of a process whose server is gone
_POLL_SECONDS = 0.05
_READY_SECONDS = 120  # the first one waits for the server's imports as well


class ForkedProcess:
    """A function that runs in a process of its own, leads a session, and ends with this process.

    It has the part of ``subprocess.Popen`` that ``jupyter_client`` and JupyterHub ask for.

    Attributes:
        pid: Its process id, which is that of its group as well.
        report: What it said when it was ready.
        stdin, stdout, stderr: ``None``: its streams are files that the caller has.
    """

    stdin = stdout = stderr = None

    def __init__(
        self,
        function: Callable[..., None],
        *args: Any,
        streams: tuple[int, int, int],
        environment: Mapping[str, str],
        cwd: str,
        also: Sequence[str] = (),
        leaves: bool = True,
        reports: bool = False,
        first: Callable[[], None] | None = None,
    ) -> None:
        """Start it, and wait until it is ready.

        Args:
            function: What to call, from a module.
            *args: Its arguments, picklable.
            streams: File descriptors for its standard input, output and error.
            environment: All of its environment variables.
            cwd: Its working directory.
            also: Modules for the server to import, if it is not running yet.
            leaves: Whether it ends at once when this process is gone; otherwise it must see to
                that itself.
            reports: Whether the function itself sends bytes when it is ready, into a connection
                that is its first argument, and that it then closes. Otherwise it is ready when it
                leads its own session.
            first: What it calls before it makes a fork server of its own, which then is whatever
                this has made of the process; picklable.

        Raises:
            OSError, EOFError: No process could be made, or it ended before it was ready.
        """
        ours, theirs = multiprocessing.Pipe()
        # A connection takes its file descriptor along to another process.
        files = [Connection(os.dup(number)) for number in streams]
        self._process = fork_server.context(also=also).Process(
            target=_enter,
            args=(theirs, function, args),
            kwargs={
                "files": files,
                "environment": dict(environment),
                "cwd": cwd,
                "leaves": leaves,
                "reports": reports,
                "first": first,
            },
        )
        try:
            fork_server.start(self._process)
            theirs.close()
            if not ours.poll(_READY_SECONDS):
                self._process.kill()
                raise OSError(f"a forked process was not ready after {_READY_SECONDS} s")
            self.report: bytes = ours.recv_bytes()
        finally:
            for file in files:
                file.close()
            ours.close()
        assert self._process.pid is not None
        self.pid: int = self._process.pid
        self._known: psutil.Process | None = None
        with contextlib.suppress(psutil.Error):
            self._known = psutil.Process(self.pid)

    @property
    def returncode(self) -> int | None:
        """Its exit code, the negative number of the signal that ended it, or ``None``."""
        return self.poll()

    def poll(self) -> int | None:
        """Look whether it has ended.

        Returns:
            As ``returncode``; 255 if its server died before it, and so nobody knows.
        """
        code = self._process.exitcode
        if code == _UNKNOWN and self._lives():
            return None
        return code

    def _lives(self) -> bool:
        try:
            known = self._known
            return (
                known is not None and known.is_running() and known.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.Error:
            return False

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended.

        Args:
            timeout: Seconds, or ``None`` for as long as it takes.

        Returns:
            Its exit code.

        Raises:
            subprocess.TimeoutExpired: It has not ended by then.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("a forked process", timeout or 0)
            time.sleep(_POLL_SECONDS)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal to it, if it is still there.

        Args:
            number: That of the signal.
        """
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> ForkedProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.wait()


def _enter(
    ready: Connection,
    function: Callable[..., None],
    args: Sequence[Any],
    *,
    files: Sequence[Connection],
    environment: Mapping[str, str],
    cwd: str,
    leaves: bool,
    reports: bool,
    first: Callable[[], None] | None,
) -> None:
    """Become what a new process would be, and call the function."""
    os.setsid()
    for number, file in enumerate(files):
        os.dup2(file.fileno(), number)
        file.close()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    _forget_the_parent()
    if first is not None:
        first()
    fork_server.continue_in_child()
    if leaves:
        _leave_with_the_owner()
    if reports:
        args = (ready, *args)
    else:
        ready.send_bytes(b"ready")
        ready.close()
    try:
        function(*args)
    finally:
        # A process that multiprocessing started leaves without these.
        atexit._run_exitfuncs()


def _forget_the_parent() -> None:
    """Undo what a fork hands on and a new process would not have."""
    multiprocessing.set_start_method(None, force=True)
    this = multiprocessing.current_process()
    this.authkey = os.urandom(32)
    # Both say where temporary files go, which the environment may say otherwise now.
    this._config.pop("tempdir", None)  # type: ignore[attr-defined]
    tempfile.tempdir = None
    fork_server.forget_resource_tracker()
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def _leave_with_the_owner() -> None:
    """End this process when the one that asked for it is gone.

    Its parent is the server, which may die: that is nothing to this process.
    """
    owner = multiprocessing.parent_process()

    def leave() -> None:
        if owner is not None:
            owner.join()
            os._exit(1)

    threading.Thread(target=leave, name="leave with the owner", daemon=True).start()
