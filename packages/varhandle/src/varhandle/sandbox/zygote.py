"""The fork server of the sandbox: a process that imports what is slow once, and is forked.

``varhandle.sandbox.fork_server`` starts this file as a program, in a session of its own, with one
end of a socket pair. A request there is one byte that carries a socket, the *channel* of one run.
On the channel come, one a line: ``pid N`` and ``answer`` from the child, ``exit CODE`` from this
process. The process id comes before anything of the task has run, which could send another one. It
has one thread, and imports nothing but the standard library before it is told where.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from typing import NoReturn

_PR_SET_PDEATHSIG = 1  # prctl(2)
_NO_FORK = 71  # the exit code EX_OSERR of sysexits.h


def serve(control: socket.socket) -> NoReturn:
    """Fork a child for each request, until nobody holds the other end of ``control``.

    Then end the children, and whatever they have started: each leads a process group, and its
    number is still its own as long as nobody has waited for it.
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
            byte, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if not byte:
                break
            channel = socket.socket(fileno=descriptors[0])
            channel.set_inheritable(False)
            if (pid := _fork(channel)) == 0:
                waiting.close()
                signal.set_wakeup_fd(-1)
                for other in (control, woken, wake, *children.values()):
                    other.close()
                _be_the_child(channel)
            if pid is not None:
                children[pid] = channel
    for pid in children:
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
    os._exit(0)


def _fork(channel: socket.socket) -> int | None:
    """Fork; ``None``, which is reported, if the system allows no process more."""
    try:
        return os.fork()
    except OSError:
        _report(channel, f"exit {_NO_FORK}")
        channel.close()
        return None


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


def _be_the_child(channel: socket.socket) -> NoReturn:
    try:
        os.setsid()
        _report(channel, f"pid {os.getpid()}")
        _end_with_the_parent()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        folder = os.fsdecode(channel.recv(65536))
        if folder:  # nothing: whoever asked has given up meanwhile
            from varhandle.sandbox import child

            child.run(folder, lambda: _report(channel, "answer"), channel.fileno())
            channel.recv(1)  # they end the whole group while this process is there to name it
    finally:
        os._exit(1)


def _end_with_the_parent() -> None:
    """Have Linux end this process when its parent is gone: that reaches a loop in C as well."""
    parent = os.getppid()
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent or parent == 1:
        os._exit(1)


def _run_once(folder: str) -> None:
    """Where nothing can be forked: run one task in this process, until standard input ends."""
    held = os.dup(0)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    from varhandle.sandbox import child

    child.run(folder, lambda: None, held)
    os.read(held, 1)
    os._exit(0)


def main(path: str, task: str, tensorflow: str, modules: str) -> None:
    """Take the search path (JSON), a descriptor to serve or a folder to run once, and libraries."""
    sys.path[:] = json.loads(path)
    if not task.isdecimal():
        _run_once(task)
    from varhandle.sandbox import child

    child.import_libraries(tensorflow=bool(tensorflow))
    for name in json.loads(modules):
        with contextlib.suppress(Exception):  # whoever needs it is told
            importlib.import_module(name)
    # What is here now stays: a collection in a child need not touch it, and so copies no page.
    gc.collect()
    gc.freeze()
    serve(socket.socket(fileno=int(task)))


if __name__ == "__main__":
    main(*sys.argv[1:])
