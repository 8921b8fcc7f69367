"""Kernels that are forked from a process that has imported what is slow.

``jupyter_client`` asks a *provisioner* to start a kernel; the kernelspec names which one. This one
forks what an ordinary kernel of this Python would be, and leaves everything else to the ordinary
provisioner: another Python, a system without a fork server, or environment variables that count
at the start of Python or at an import and that the parent was started without.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo, LocalPortCache, port_names
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from warm_kernels import fork_server, kernel
from warm_kernels.forked_process import ForkedProcess

_TRIES = 5  # at ports that nobody has taken
_KNOWN = {"stdin", "stdout", "stderr", "env", "cwd", "independent", "kernel_id", "extra_arguments"}


class WarmProvisioner(LocalProvisioner):
    """Forks a kernel where it can, and starts it as usual where it cannot."""

    process: Any = None  # a subprocess.Popen, or what stands in for one
    _has_clients = False  # that know its ports

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel: ``cmd`` is of the kernelspec, the rest as for ``subprocess.Popen``."""
        arguments = forkable(cmd, kwargs)
        if arguments is not None:
            fork = functools.partial(fork_kernel, arguments, **kwargs)
            try:
                for _ in range(_TRIES):
                    # The first one waits for the server's imports; others' kernels need not.
                    process = await asyncio.get_running_loop().run_in_executor(None, fork)
                    if process.report == kernel.READY:
                        break
                    self._take_other_ports(kwargs.get("env") or {})
                else:
                    raise OSError("others take the ports")
            except OSError as error:
                self.log.warning("No warm kernel, but a cold one: %s", error)
            else:
                self.process = process
                self.pid = self.pgid = process.pid
                self.cwd = kwargs.get("cwd") or Path.cwd()
                self._has_clients = True
                return self.connection_info
        return await super().launch_kernel(cmd, **kwargs)

    def _take_other_ports(self, environment: Mapping[str, str]) -> None:
        """Choose new ports in place of those of which another process has taken one meanwhile.

        ``jupyter_client`` looks for free ports and lets go of them again, for the kernel to take.
        After a restart they stay: clients hold connections to them.
        """
        manager = self.parent
        if manager is None or not self.ports_cached or self._has_clients:
            return
        for name in port_names:
            setattr(manager, name, LocalPortCache.instance().find_available_port(manager.ip))
        manager.cleanup_connection_file()
        manager.write_connection_file(jupyter_session=environment.get("JPY_SESSION_NAME", ""))
        self.connection_info = manager.get_connection_info()


def forkable(cmd: Sequence[str], kwargs: Mapping[str, Any]) -> list[str] | None:
    """Return the arguments for a forked kernel; ``None`` if only the command gives what it says.

    ``kwargs`` are what it is to be started with, as for ``subprocess.Popen``.
    """
    environment = kwargs.get("env") or dict(os.environ)
    streams = [kwargs.get(name) for name in ("stdin", "stdout", "stderr")]
    if (
        list(cmd[1:3]) != ["-m", kernel.LAUNCHER]
        or not _is_this_python(cmd[0])
        or not set(kwargs) <= _KNOWN
        or kwargs.get("independent")
        or any(stream in (subprocess.PIPE, subprocess.STDOUT) for stream in streams)
        or not fork_server.can_fork_for(environment)
    ):
        return None
    return list(cmd[3:])


def _is_this_python(executable: str) -> bool:
    # A virtual environment's Python is a link to the one that it was made of, so its folder counts
    # as well; and in that folder it has several names.
    named, this = Path(executable).absolute(), Path(sys.executable).absolute()
    return named.parent == this.parent and named.resolve() == this.resolve()


def get_ready(log: logging.Logger) -> None:
    """Start the parent of the kernels to come, unless kernels are not to be forked here.

    If it cannot be started, the log takes one line, and kernels start as usual.
    """
    if fork_server.forking_enabled(os.environ):
        try:
            fork_server.SERVER.start()
        except OSError as error:
            log.warning("No warm kernels: %s", error)


def fork_kernel(arguments: Sequence[str], **kwargs: Any) -> ForkedProcess:
    """Fork a kernel, whose report is ``kernel.READY`` or ``kernel.PORT_TAKEN``.

    ``kwargs`` are as for ``subprocess.Popen``, as far as ``forkable`` lets them through. Raises
    ``OSError`` if it cannot be forked.
    """
    environment = dict(kwargs.get("env") or os.environ)
    environment["JPY_PARENT_PID"] = str(os.getpid())  # as jupyter_client's launcher does
    nowhere = os.open(os.devnull, os.O_RDWR)
    try:
        streams = (
            _descriptor(kwargs.get("stdin"), nowhere, nowhere),
            _descriptor(kwargs.get("stdout"), 1, nowhere),
            _descriptor(kwargs.get("stderr"), 2, nowhere),
        )
        return ForkedProcess(
            kernel.run,
            search_path(environment.get("PYTHONPATH", "")),
            list(arguments),
            streams=streams,
            environment=environment,
            cwd=os.fspath(kwargs.get("cwd") or Path.cwd()),
            first=kernel.prepare,
            reports=True,
        )
    finally:
        os.close(nowhere)


def _descriptor(stream: Any, default: int, nowhere: int) -> int:
    if stream is None:
        return default
    if stream == subprocess.DEVNULL:
        return nowhere
    return stream if isinstance(stream, int) else int(stream.fileno())


@functools.lru_cache(maxsize=8)
def search_path(python_path: str) -> tuple[str, ...]:
    """Return what ``sys.path`` is in a new process of this Python with this ``PYTHONPATH``.

    A first empty entry, the folder of a command that is given with ``-c``, is left out, as
    ``ipykernel_launcher`` leaves it out.
    """
    command = [sys.executable, "-c", "import sys; print('\\n'.join(sys.path[1:]))"]
    environment = {**os.environ, "PYTHONPATH": python_path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return tuple(done.stdout.splitlines())
