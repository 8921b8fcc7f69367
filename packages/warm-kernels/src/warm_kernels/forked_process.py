"""A process that is forked from the server, and is otherwise as ``subprocess`` would start it."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from warm_kernels.fork_server import SERVER

_UNKNOWN = 255  # its exit code, if its server died before it
_POLL_SECONDS = 0.05
_READY_SECONDS = 120  # the first one waits for the server's imports as well
_channels: set[socket.socket] = set()
"""Those of processes that run: they end with this one, and not when somebody drops an object."""


class ForkedProcess:
    """A function that runs in a process of its own, leads a session, and ends with this process.

    It has the part of ``subprocess.Popen`` that ``jupyter_client`` and JupyterHub ask for; its
    streams are files that the caller has. ``report`` is what it said when it was ready.
    """

    stdin = stdout = stderr = None

    def __init__(
        self,
        function: Callable[..., None],
        *args: Any,
        streams: tuple[int, int, int],
        environment: Mapping[str, str],
        cwd: str,
        first: Callable[[], None] | None = None,
        nested: bool = False,
        ends_with_owner: bool = True,
        reports: bool = False,
    ) -> None:
        """Start it, and wait until it is ready; raises ``OSError`` if it never is.

        ``function``, ``args`` and ``first`` must be picklable. ``first`` is called before the
        process has a thread; ``nested`` gives it a fork server of its own after that. Where
        ``reports`` is set, the function is given a callable as its first argument, and is ready
        when it calls that with a word.
        """
        self._channel, theirs = socket.socketpair()
        _channels.add(self._channel)
        self._lock = threading.Lock()
        self._unread = b""
        self._returncode: int | None = None
        self.pid = 0
        self.report = ""
        wish = {
            "call": pickle.dumps((first, function, args)),
            "path": [entry or str(Path.cwd()) for entry in sys.path],
            "environment": dict(environment),
            "cwd": cwd,
            "umask": _umask(),
            "nested": nested,
            "ends_with_owner": ends_with_owner,
            "reports": reports,
        }
        try:
            with theirs:
                SERVER.ask([theirs.fileno(), *streams])
            self._channel.sendall(pickle.dumps(wish))
            self._wait_until_ready()
        except BaseException:
            self._close()
            raise

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not self.report:
            self._read(_POLL_SECONDS)
            if self._returncode is not None and not self.report:
                raise OSError(f"a forked process ended early, with exit code {self._returncode}")
            if time.monotonic() > deadline:
                self.kill()
                raise OSError(f"a forked process was not ready after {_READY_SECONDS} s")

    def _read(self, seconds: float) -> None:
        """Read what the server and the process say."""
        with self._lock:
            if self._returncode is not None:
                return
            poll = select.poll()
            poll.register(self._channel, select.POLLIN)
            if not poll.poll(1000 * seconds):
                return
            said = self._channel.recv(4096)
            *lines, self._unread = (self._unread + said).split(b"\n")
            for line in lines:
                word, _, content = line.decode().partition(" ")
                if word == "pid":
                    self.pid = int(content)
                elif word == "said":
                    self.report = content
                else:
                    self._returncode = int(content)
            # The server and the process each hold the other end: both are gone.
            if not said:
                self._returncode = _UNKNOWN
            if self._returncode is not None:
                self._close()

    def _close(self) -> None:
        _channels.discard(self._channel)
        self._channel.close()

    @property
    def returncode(self) -> int | None:
        """Its exit code, the negative number of the signal that ended it, or ``None``."""
        return self.poll()

    def poll(self) -> int | None:
        """Return its exit code; 255 if its server died before it, and so nobody knows."""
        self._read(0)
        return self._returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; raises ``subprocess.TimeoutExpired`` after some seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("a forked process", timeout or 0)
            self._read(_POLL_SECONDS)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal to it, if it is still there."""
        if self.pid and self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def _umask() -> int:
    """Return this process's umask, which the system call that tells it would change (proc(5))."""
    status = Path("/proc/self/status").read_text("latin-1")
    found = re.search(r"^Umask:\s*(\d+)", status, re.MULTILINE)
    return int(found[1], 8) if found else 0o022


def _forget_the_channels() -> None:
    for channel in _channels:
        channel.close()
    _channels.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_channels)
