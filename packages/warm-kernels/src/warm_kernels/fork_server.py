"""The caller's side of the fork server: one for each process, which ends with it.

Nothing but the socket pair between the two leads to it, so nobody else can ask it for anything.
A process that is forked has none, unless it is given one that is forked from what it has itself.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from warm_kernels import zygote
from warm_kernels.settings import read_settings

SWITCH = "WARM_KERNELS"
"""Environment variable: ``off`` for kernels that import for themselves."""


class _ForkServer:
    """The server of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None  # none where it was forked from here
        self._modules: Sequence[str] = ()
        self.started_with: dict[str, str] = {}
        self.preloaded: frozenset[str] = frozenset()

    @property
    def is_running(self) -> bool:
        """Whether it is there: it never writes on its socket, where only its end can be read."""
        if self._control is None:
            return False
        try:
            return self._control.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def start(self, modules: Sequence[str] = ()) -> None:
        """Start it, unless it runs; it imports these and what the settings say."""
        with self._lock:
            self._modules = modules
            if not self.is_running:
                self._start()

    def _start(self) -> None:
        self.stop()
        path = [entry or str(Path.cwd()) for entry in sys.path]
        settings = read_settings()
        self._control, theirs = socket.socketpair()
        asked = (json.dumps(path), str(theirs.fileno()), json.dumps(list(self._modules)))
        command = [sys.executable, zygote.__file__, *asked, json.dumps(settings.preload)]
        with theirs:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a signal to this process's group is not for it
            )
        self.started_with = settings.start_variables_of(os.environ)
        self.preloaded = settings.modules

    def ask(self, descriptors: Sequence[int]) -> None:
        """Have it fork a process; start it if need be."""
        with self._lock:
            if not self.is_running:
                self._start()
            assert self._control is not None
            socket.send_fds(self._control, [b"."], descriptors)

    def stop(self) -> None:
        """Let it end; what was forked from it goes on."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.wait()
            self._process = None

    def forget(self) -> None:
        """Leave it to the process that this one was forked from."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.returncode = 0  # its end is the parent's to wait for
        self.__init__()  # type: ignore[misc]

    def fork(self) -> zygote.Request | None:
        """Fork it from this process; return a request in what is forked from it in turn.

        That costs a moment in place of seconds. To be called on the main thread, before any other
        is started.
        """
        self._control, theirs = socket.socketpair()
        if os.fork() == 0:  # where ``forget`` has closed the other end
            os.setsid()
            return zygote.serve(theirs)
        theirs.close()
        settings = read_settings()
        self.started_with = settings.start_variables_of(os.environ)
        self.preloaded = frozenset(name for name in settings.modules if name in sys.modules)
        return None


SERVER = _ForkServer()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SERVER.forget)


def fork_kernels_from_here() -> None:
    """Give this process a fork server with what it has imported, from within any function.

    As ``SERVER.fork``. What is forked from the server ends in here, and does not return.
    """
    from warm_kernels.preload import hide, import_all

    import_all((), ())
    hide(read_settings().preload)
    request = SERVER.fork()
    if request is not None:
        zygote.run_and_exit(request)


def forking_enabled(environment: Mapping[str, str]) -> bool:
    """Tell whether a kernel with this environment is to be forked at all.

    On Linux only: macOS has system libraries that do not bear a fork.
    """
    return sys.platform == "linux" and environment.get(SWITCH, "").lower() != "off"


def can_fork_for(environment: Mapping[str, str]) -> bool:
    """Tell whether a fork is what a new process with this environment would be.

    It is if the server, or the one that would be started now, has what the settings name, and was
    started with the same variables of those that count at the start.
    """
    if not forking_enabled(environment):
        return False
    settings = read_settings()
    if not SERVER.is_running:
        started_with = settings.start_variables_of(os.environ)
    elif settings.modules <= SERVER.preloaded:
        started_with = SERVER.started_with
    else:
        return False
    return settings.start_variables_of(environment) == started_with
