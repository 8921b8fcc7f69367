"""The fork server: a process that imports what is slow once, and is forked for each that asks.

``warm_kernels.fork_server`` starts this file as a program, in a session of its own, with one end
of a socket pair. A request there is one byte that carries four descriptors: a socket, the
*channel* of the new process, and its standard input, output and error. On the channel comes what
is to be called; back go, one a line, ``pid N`` and ``exit CODE`` from this process, and ``said
WORD`` from the new one. It has one thread.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import pickle
import selectors
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

_NO_FORK = 71  # the exit code EX_OSERR of sysexits.h


class Request(NamedTuple):
    """What a forked process has been asked to be."""

    channel: socket.socket
    streams: list[int]


def serve(control: socket.socket) -> Request:
    """Fork for each request, until nobody holds the other end of ``control``.

    Returns in each forked process, with its request, and never in this one.
    """
    children: dict[int, socket.socket] = {}
    woken, wake = socket.socketpair()
    for end in (woken, wake):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler nothing wakes us
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(wake.fileno())
    waiting = selectors.DefaultSelector()
    for end in (control, woken):
        waiting.register(end, selectors.EVENT_READ)
    while True:
        ready = {key.fileobj for key, _ in waiting.select()}
        if woken in ready:
            woken.recv(4096)
            _report_ended(children)
        if control in ready:
            byte, descriptors, _, _ = socket.recv_fds(control, 1, 4)
            if not byte:
                os._exit(0)
            channel = socket.socket(fileno=descriptors[0])
            channel.set_inheritable(False)
            pid = _fork(channel)
            if pid == 0:
                waiting.close()
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                for other in (control, woken, wake, *children.values()):
                    other.close()
                return Request(channel, descriptors[1:])
            for descriptor in descriptors[1:]:
                os.close(descriptor)
            if pid is not None:
                children[pid] = channel


def _fork(channel: socket.socket) -> int | None:
    """Fork, and report the process id; ``None`` if the system allows no process more."""
    try:
        pid = os.fork()
    except OSError:
        _report(channel, f"exit {_NO_FORK}")
        channel.close()
        return None
    if pid:
        _report(channel, f"pid {pid}")
    return pid


def _report_ended(children: dict[int, socket.socket]) -> None:
    for pid in list(children):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            channel = children.pop(pid)
            _report(channel, f"exit {os.waitstatus_to_exitcode(status)}")
            channel.close()


def _report(channel: socket.socket, line: str) -> None:
    with contextlib.suppress(OSError):  # whoever asked may be gone
        channel.sendall(f"{line}\n".encode())


def _received(channel: socket.socket) -> dict[str, Any]:
    try:
        with channel.makefile("rb") as file:
            wish: dict[str, Any] = pickle.load(file)
    except EOFError:  # whoever asked has given up meanwhile
        os._exit(1)
    return wish


def run(request: Request) -> None:
    """Become what was asked for, and be it until it ends."""
    function, nested = _become(request)
    while nested is not None:  # once more for each fork server between this and the process
        function, nested = _become(nested)
    function()


def run_and_exit(request: Request) -> NoReturn:
    """Do the same in a process that was forked in the middle of something, and end it."""
    code: int | str | None = 1
    try:
        run(request)
        code = 0
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
    finally:
        # Python has no public way to call the exit functions of a process that cannot return.
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(ValueError, OSError):
                stream.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def _become(request: Request) -> tuple[Callable[[], None], Request | None]:
    """Become what a new process would be.

    Returns what is then to be called; and in a process that is forked from this one's own fork
    server, its request.
    """
    channel = request.channel
    os.setsid()
    for number, descriptor in enumerate(request.streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    wish = _received(channel)
    # A fork of this process must not keep the channel open when this one has ended.
    os.register_at_fork(after_in_child=channel.close)
    os.umask(wish["umask"])
    os.chdir(wish["cwd"])
    os.environ.clear()
    os.environ.update(wish["environment"])
    sys.path[:] = wish["path"]
    _forget_the_parent()
    first, function, args = pickle.loads(wish["call"])
    if first is not None:
        first()
    if wish["nested"]:
        from warm_kernels.fork_server import SERVER

        asked = SERVER.fork()
        if asked is not None:
            return lambda: None, asked
    if wish["ends_with_owner"]:
        threading.Thread(target=_end_with, args=(channel,), daemon=True).start()
    if wish["reports"]:
        args = (lambda word: _report(channel, f"said {word}"), *args)
    else:
        _report(channel, "said ready")
    return lambda: function(*args), None


def _forget_the_parent() -> None:
    """Undo what a fork hands on and a new process would not have."""
    tempfile.tempdir = None  # the environment may say otherwise now
    if "multiprocessing.process" in sys.modules:
        sys.modules["multiprocessing.process"].current_process().authkey = os.urandom(32)
    if "numpy.random" in sys.modules:  # Python's own random does so by itself
        sys.modules["numpy.random"].seed()


def _end_with(channel: socket.socket) -> None:
    """End this process when the one that asked for it is gone."""
    with contextlib.suppress(OSError):
        channel.recv(1)
    os._exit(1)


def main(path: str, control: str, modules: str, preload: str) -> None:
    """Take the search path, the descriptor to serve, and what to import (JSON)."""
    sys.path[:] = json.loads(path)
    from warm_kernels.preload import import_all

    import_all(json.loads(modules), json.loads(preload))
    run(serve(socket.socket(fileno=int(control))))


if __name__ == "__main__":
    main(*sys.argv[1:])
