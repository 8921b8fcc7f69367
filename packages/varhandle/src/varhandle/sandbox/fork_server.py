"""The caller's side of the fork server: starts it, asks it for children, follows them.

A process has a fork server (``varhandle.sandbox.zygote``) with TensorFlow and one without, each
started when it is wanted, which end with it. Nothing but the socket pair between the two leads to
one, so nobody else can ask it for anything.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from varhandle.sandbox import zygote

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_FAREWELL_SECONDS = 2


class SpawnedChild:
    """A process that runs one task and imports for itself, where nothing can be forked (Windows).

    ``pid`` is also the number of its group; ``exit_code`` is ``None`` as long as nobody knows it.
    """

    pid: int | None = None
    ended = False
    exit_code: int | None = None

    def __init__(self, folder: Path) -> None:
        """Start it; it ends when its standard input does."""
        command, nowhere = _command(str(folder), tensorflow=False), subprocess.DEVNULL
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True
        )
        self.pid = self._process.pid

    def wait(self, seconds: float) -> None:
        """Wait at most so long for news of it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.exit_code = self._process.wait(seconds)
            self.ended = True

    def end(self) -> None:
        """End it with whatever it has started, and wait until it is gone."""
        if self.pid is not None:
            # The group outlives its leader while it has members, and keeps its number.
            if hasattr(os, "killpg") and self.pid != os.getpgrp():
                with contextlib.suppress(OSError):
                    os.killpg(self.pid, signal.SIGKILL)
            if not self.ended:
                with contextlib.suppress(OSError):
                    os.kill(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            deadline = time.monotonic() + 10
            while not self.ended and time.monotonic() < deadline:
                self.wait(0.1)
        self._close()

    def _close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()


class ForkedChild(SpawnedChild):
    """A child of the fork server, which takes a moment to have a process id."""

    def __init__(self, folder: Path, *, tensorflow: bool) -> None:
        """Ask for it."""
        self._channel, self._theirs = socket.socketpair()
        self._unread = b""
        try:
            self._channel.sendall(os.fsencode(folder))
            self._server = _server(tensorflow=tensorflow).ask(self._theirs)
        except BaseException:
            self._close()
            raise

    def wait(self, seconds: float) -> None:
        """Read what the server and the child say."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        if not poll.poll(1000 * seconds):
            # Before it has a process id, only the server can say that there will be none.
            self.ended = self.pid is None and not _is_held(self._server)
            return
        self._theirs.close()  # not before it has arrived: macOS loses what is closed on its way
        said = self._channel.recv(4096)
        *lines, self._unread = (self._unread + said).split(b"\n")
        for line in lines:
            word, _, number = line.decode().partition(" ")
            if word == "pid" and self.pid is None:  # a child cannot have another process ended
                self.pid = int(number)
            elif word == "exit":
                self.ended, self.exit_code = True, int(number)
        self.ended = self.ended or not said

    def _close(self) -> None:
        self._channel.close()
        self._theirs.close()


def start_child(folder: Path, *, tensorflow: bool) -> SpawnedChild:
    """Start a child for the task in a folder (``child.run``); raises ``OSError`` if it cannot.

    The first call starts its fork server. One with TensorFlow does for both; one without is started
    if that is not there yet, and this process has not imported TensorFlow either.
    """
    if _can_fork():
        return ForkedChild(folder, tensorflow=tensorflow)
    return SpawnedChild(folder)


def start_fork_server(*, tensorflow: bool, imports: Sequence[str] = ()) -> None:
    """Start what the first child will be forked from, and do something else while it imports.

    ``imports`` are modules that the tasks will come from, for one without TensorFlow.
    """
    if _can_fork():
        _server(tensorflow=tensorflow).start(imports)


def _can_fork() -> bool:
    return hasattr(os, "fork") and hasattr(socket, "send_fds")


def _command(task: str, *, tensorflow: bool, imports: Sequence[str] = ()) -> list[str]:
    path = json.dumps([entry or str(Path.cwd()) for entry in sys.path])
    # With TensorFlow it imports for seconds, so also what this process has of our own, which the
    # tasks come from; one without is to be there at once.
    if tensorflow:
        imports = [name for name in list(sys.modules) if name.startswith("varhandle.")]
    libraries = ["tensorflow" if tensorflow else "", json.dumps(imports)]
    return [sys.executable, zygote.__file__, path, task, *libraries]


class _ForkServer:
    """A server of this process, which imports TensorFlow or does not."""

    def __init__(self, *, tensorflow: bool) -> None:
        self._tensorflow = tensorflow
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None  # none where it was forked from here
        self._folder: str | None = None
        self._asked = False

    @property
    def runs(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._control is not None and _is_held(self._control)

    def start(self, imports: Sequence[str] = ()) -> None:
        """Start it, unless it runs."""
        with self._lock:
            if not self.runs:
                self._start(imports)

    def ask(self, channel: socket.socket) -> socket.socket:
        """Have it fork a child; start it if need be. Return the socket that tells of its end."""
        self.start()
        with self._lock:
            assert self._control is not None
            self._asked = True
            socket.send_fds(self._control, [b"."], [channel.fileno()])
            return self._control

    def _start(self, imports: Sequence[str]) -> None:
        if self._control is None:
            atexit.register(self._end)
        else:
            self._end()
        self._control, theirs = socket.socketpair()
        # Libraries leave folders behind when their process is killed, as this one is.
        self._folder = tempfile.mkdtemp(prefix="isolated-")
        with theirs:
            self._process = subprocess.Popen(
                _command(str(theirs.fileno()), tensorflow=self._tensorflow, imports=imports),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env={**os.environ, LOG_LEVEL: "0", "TMPDIR": self._folder},
            )

    def fork(self) -> None:
        """Fork it from this process."""
        self._control, theirs = socket.socketpair()
        if os.fork() == 0:  # where ``forget`` has closed the other end
            try:
                os.setsid()
                zygote.serve(theirs)
            finally:
                os._exit(1)
        theirs.close()

    def forget(self) -> None:
        """Leave it to the process that this one was forked from."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.returncode = 0  # its end is the parent's to wait for
        self.__init__(tensorflow=self._tensorflow)  # type: ignore[misc]

    def _end(self) -> None:
        """End it, so that nothing is left of it when this process has ended."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            if not self._asked:  # it has no children to end, and may be importing
                self._process.kill()
            try:
                self._process.wait(_FAREWELL_SECONDS)
            except subprocess.TimeoutExpired:  # it is importing
                self._process.kill()
                self._process.wait()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _is_held(control: socket.socket) -> bool:
    """Tell whether somebody holds the other end of a socket on which nothing is ever written."""
    try:
        return control.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


_with_tensorflow, _without = _ForkServer(tensorflow=True), _ForkServer(tensorflow=False)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_with_tensorflow.forget)
    os.register_at_fork(after_in_child=_without.forget)


def _server(*, tensorflow: bool) -> _ForkServer:
    """Choose one: what needs no TensorFlow waits for none to be imported."""
    if tensorflow or "tensorflow" in sys.modules or (_with_tensorflow.runs and not _without.runs):
        return _with_tensorflow
    return _without


def start_nested_fork_server() -> None:
    """Fork this process's server from what it has imported: a moment in place of seconds.

    To be called on the main thread, before any other is started (the entry point
    ``warm_kernels.before_kernel``). Does nothing where a server of its own would be another one:
    without TensorFlow, or with the log level at which the converter no longer says why it fails.
    """
    if "tensorflow" in sys.modules and os.environ.get(LOG_LEVEL, "0") == "0":
        _with_tensorflow.fork()
