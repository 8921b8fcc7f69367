"""The fork server of this process: Python's own, which imports TensorFlow once.

``multiprocessing`` keeps one fork server for each process. Everything here that needs a child
shares it: isolated code, kernels, the rows of a sweep. A child of the server has no server of its
own, and would start one from nothing; ``continue_in_child`` forks it one from what it has.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import connection, resource_tracker, util
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

WITH_TENSORFLOW = "warm_kernels.preload"
WITHOUT_TENSORFLOW = "warm_kernels.preload_litert"
SWITCH = "WORKBOOK_WARM_KERNELS"
"""Environment variable: ``off`` for kernels that import for themselves."""

# Variables by these names count when Python starts, or when a library is imported.
_AT_THE_START = (
    "PYTHON", "LD_", "MALLOC_", "TF_", "TF2_", "KERAS_", "XLA_", "ABSL_", "JAX_",
    "OMP_", "OPENBLAS_", "MKL_", "KMP_",
)  # fmt: skip
# What the preload and the import of TensorFlow set themselves: no difference to a new process.
_SET_BY_THE_IMPORT = {("TF_CPP_MIN_LOG_LEVEL", "0"), ("TF2_BEHAVIOR", "1")}
_started_with: dict[str, str] = {}  # those of the server, which is one for a process
_PR_SET_PDEATHSIG = 1  # prctl(2)
_main_lock = threading.Lock()
# Whoever may open a server's socket may run code as its owner. One without a file is everybody's
# (CVE-2022-42919); Python before 3.10.9 and 3.11.1 takes such a one.
util.abstract_sockets_supported = False  # type: ignore[misc]


def can_fork() -> bool:
    """Whether there is a fork server on this system (not on Windows)."""
    return "forkserver" in multiprocessing.get_all_start_methods()


def context(tensorflow: bool = True, also: Sequence[str] = ()) -> Any:
    """Return the context whose processes are forked from the server, or spawned without one.

    What is to be imported counts where the server does not run yet: there is one for a process.

    Args:
        tensorflow: Whether the server is to import TensorFlow. It does so as well where this
            process has it already, and so will want it in a child sooner or later.
        also: Other modules that it is to import.

    Returns:
        A ``multiprocessing`` context.
    """
    if not can_fork():
        return multiprocessing.get_context("spawn")
    chosen = multiprocessing.get_context("forkserver")
    if not is_running():
        _remember_the_start()
        needed = tensorflow or "tensorflow" in sys.modules
        chosen.set_forkserver_preload([*also, WITH_TENSORFLOW if needed else WITHOUT_TENSORFLOW])
    return chosen


def start(process: BaseProcess) -> None:
    """Start a process of the context; wait until it exists.

    Args:
        process: It imports what it needs, and nothing of the caller's ``__main__``, which is
            imported again otherwise: a script without a guard could not bear that.

    Raises:
        OSError: No process could be made.
        EOFError: The server died before it could make one.
    """
    if can_fork():
        _ensure_running()
    with _no_main_to_import():
        process.start()
        # Each start looks whether one of these has ended. Two threads that read an exit code at
        # the same time get it once, and 255 (CPython 3.10 to 3.13): only the caller may.
        multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]


def is_running() -> bool:
    """Whether this process has a fork server that is alive."""
    pid = _server()._forkserver_pid
    if pid is None:
        return False
    try:  # without waiting for it: that is for multiprocessing to do
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def wanted(environment: Mapping[str, str]) -> bool:
    """Tell whether kernels are to be forked at all.

    Args:
        environment: The environment variables that one is to have; ``SWITCH`` may say no.

    Returns:
        Whether it says nothing, and this is Linux: macOS has a fork server, and system libraries
        that do not bear a fork.
    """
    return sys.platform == "linux" and environment.get(SWITCH, "").lower() != "off"


def suits(environment: Mapping[str, str]) -> bool:
    """Tell whether a child is what a new process with TensorFlow would be.

    Args:
        environment: The environment variables that it is to have.

    Returns:
        Whether one is wanted, the server, or the one that would be started now, has TensorFlow,
        and none of the variables that count at the start is another there.
    """
    if not wanted(environment):
        return False
    running = is_running()
    if running and WITH_TENSORFLOW not in _server()._preload_modules:
        return False
    started_with = _started_with if running else _at_the_start(os.environ)
    return _at_the_start(environment) == {
        name: value for name, value in started_with.items() if name != "TF_CPP_MIN_LOG_LEVEL"
    }


def _at_the_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_AT_THE_START) and (name, value) not in _SET_BY_THE_IMPORT
    }


def _remember_the_start() -> None:
    _started_with.clear()
    _started_with.update(_at_the_start(os.environ))


def warm_up(also: Sequence[str] = ()) -> None:
    """Start the server, unless it runs. It imports TensorFlow while the caller goes on.

    Args:
        also: Other modules that it is to import.
    """
    if can_fork():
        context(also=also)
        _ensure_running()


def continue_in_child() -> None:
    """Give this process, a child of a fork server, a fork server of its own.

    It is forked from what this process has imported, and so costs a moment instead of seconds.
    It and its children are descendants of this process: they are found below it, and end with it.
    To be called on the main thread, before any other is started.
    """
    server = _server()
    forget_the_server()
    with socket.socket(socket.AF_UNIX) as listener:
        address = connection.arbitrary_address("AF_UNIX")  # type: ignore[attr-defined]
        listener.bind(address)
        Path(address).chmod(0o600)
        listener.listen()
        alive_r, alive_w = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(alive_w)
            _serve(listener.detach(), alive_r)
        os.close(alive_r)
    # What the next one would import, should this one die.
    server.set_forkserver_preload(
        [WITH_TENSORFLOW if "tensorflow" in sys.modules else WITHOUT_TENSORFLOW]
    )
    _remember_the_start()
    server._forkserver_address = address
    server._forkserver_alive_fd = alive_w
    server._forkserver_pid = pid


def _serve(listener: int, alive: int) -> None:
    """Be a fork server until nobody holds the other end of ``alive``; never return.

    It makes a group of its own: a kernel that shuts down signals its group until nobody is left,
    and would wait for this one for seconds.
    """
    from multiprocessing import forkserver

    os.setpgid(0, 0)
    end_with_the_parent()
    code = 1
    try:
        forkserver.main(listener, alive, [])
    except SystemExit:
        code = 0
    finally:
        os._exit(code)


def forget_the_server() -> None:
    """Let the server that this process was forked from end with whoever started it.

    It waits until nobody holds the other end of a pipe, of which each child is given a copy.
    """
    server = _server()
    if server._forkserver_alive_fd is not None:
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = None


def forget_resource_tracker() -> None:
    """Have this process, a child of a fork server, keep account of its semaphores itself.

    It has been given the tracker of the process that asked for it, which would complain of what
    this one leaves behind when it is killed.
    """
    tracker: Any = resource_tracker._resource_tracker
    if tracker._fd is not None:
        os.close(tracker._fd)
        tracker._fd = None


def end_with_the_parent() -> None:
    """Have the system end this process when the thread that forked it is gone (Linux only)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _server() -> Any:
    """Return the one fork server of this process, as CPython 3.10 to 3.13 keeps it."""
    from multiprocessing import forkserver

    return forkserver._forkserver


def _ensure_running() -> None:
    """Start the server, unless it runs, and the tracker of semaphores, outside of our group.

    ``multiprocessing`` starts the tracker along with the first child; it takes no signal, and ends
    when this process does. A kernel that shuts down signals its group until nobody is left
    (``ipykernel/kernelbase.py``): it would wait for the tracker until somebody ends the kernel
    itself, before its exit functions are called.
    """
    with _no_main_to_import():
        spawn = util.spawnv_passfds
        util.spawnv_passfds = _spawn_apart  # type: ignore[assignment]
        try:
            resource_tracker.ensure_running()
            _server().ensure_running()
        finally:
            util.spawnv_passfds = spawn


def _spawn_apart(path: bytes, args: Sequence[str | bytes], passfds: Sequence[int]) -> int:
    process = subprocess.Popen(args, executable=path, pass_fds=passfds, start_new_session=True)
    process.returncode = 0  # its exit code is for multiprocessing to read
    return process.pid


@contextlib.contextmanager
def _no_main_to_import() -> Iterator[None]:
    """Hide where ``__main__`` comes from.

    ``multiprocessing`` imports it again in the child, by its spec or file, so that its functions
    can be found; what runs here is never defined there.
    """
    with _main_lock:
        main = sys.modules["__main__"]
        hidden = {name: vars(main)[name] for name in ("__spec__", "__file__") if name in vars(main)}
        main.__spec__ = None
        main.__dict__.pop("__file__", None)
        try:
            yield
        finally:
            for name, value in hidden.items():
                setattr(main, name, value)
