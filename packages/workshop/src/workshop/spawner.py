"""Starts and ends a participant's server: a process of a user number of their own.

Servers are forked from the server zygote, root's process that has imported what they need. One
that imports JupyterLab and TensorFlow for itself takes seconds of a processor, and half a
gigabyte; a class comes in all at once. What is forked shares both with the others, and has left
root behind before it runs a line of the server's.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import traitlets
from jupyterhub.spawner import LocalProcessSpawner
from jupyterhub.utils import random_port

from warm_kernels import fork_server
from warm_kernels.forked_process import ForkedProcess
from workshop.homes import PROGRESS, make_home, make_scratch
from workshop.hub_folder import HubFolder
from workshop.limits import Limits
from workshop.mount_view import mount_view_of
from workshop.presence import SERVER_CONFIG
from workshop.sandbox_spec import SandboxSpec, enter_sandbox, run_server
from workshop.user_numbers import end_processes

MODULES = (
    "jupyterhub.singleuser",
    "jupyterlab.labapp",
    "jupyter_lsp",
    "jupyter_server_terminals",
    "jupyterlab_jupytext",
    "notebook_shim",
    "workbook_lib.netron",
    "warm_kernels.provisioner",
    "workshop.presence",
    "workshop.sandbox_spec",
)
"""What the zygote imports beside TensorFlow: the server, and its extensions."""


def start_zygote(log: logging.Logger) -> None:
    """Start the zygote, unless it runs; servers then start cold where it cannot be.

    Its environment is this process's, and shows in what is forked from it.
    """
    if fork_server.forking_enabled(os.environ):
        try:
            fork_server.SERVER.start(MODULES)
        except OSError as error:
            log.warning("No warm servers: %s", error)


class ParticipantSpawner(LocalProcessSpawner):
    """Gives a participant a home, a user number, limits, and a server in them."""

    proc = traitlets.Any()  # a Popen, or a ForkedProcess

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._folder = HubFolder.of_this_process()
        self._config = self._folder.config

    @property
    def number(self) -> int:
        """The participant's user number."""
        return self._folder.number(self.user.name, self._config.first_number)

    @property
    def _home(self) -> Path:
        return self._folder.homes / self.user.name

    def make_preexec_fn(self, name: str) -> None:
        """Leave it to ``enter_sandbox`` to become the participant: no account has this name."""

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Add what an account would give, and where this participant's progress is kept."""
        own = {"HOME": str(self._home), "USER": self.user.name, "SHELL": "/bin/bash"}
        # So that a cell or a terminal finds workbook and varhandle.
        own["PATH"] = os.pathsep.join(
            [str(Path(sys.executable).parent), env.get("PATH", os.defpath)]
        )
        own["WORKBOOK_PROGRESS"] = str(self._home / PROGRESS)
        own["JUPYTER_CONFIG_PATH"] = str(SERVER_CONFIG)  # it notes what is open, for the class page
        if fork_server.SWITCH in os.environ:
            own[fork_server.SWITCH] = os.environ[fork_server.SWITCH]
        if self._config.own_view:
            own["JUPYTER_RUNTIME_DIR"] = "/tmp/jupyter"  # short: a socket's path has an end
        else:
            own["TMPDIR"] = own["JUPYTER_RUNTIME_DIR"] = f"/tmp/workbook-{self.number}"
        return {**env, **own}

    async def start(self) -> Any:
        """Start the server."""
        home, number = self._home, self.number
        await asyncio.to_thread(make_home, home, number)
        view = None
        if self._config.own_view:
            view = mount_view_of(self._folder, home, self._config.settings.memory_bytes)
        else:
            make_scratch(Path(f"/tmp/workbook-{number}"), number)
        spec = SandboxSpec(number, str(home), self._groups(), view)
        self.notebook_dir = str(home)
        with (self._folder.logs / f"{self.user.name}.log").open("ab") as output:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
            if fork_server.forking_enabled(os.environ):
                try:
                    return await self._fork(spec, output.fileno())
                except OSError as error:
                    self.log.warning("No warm server, but a cold one: %s", error)
            self.cmd = spec.command([str(Path(sys.executable).with_name("jupyterhub-singleuser"))])
            self.popen_kwargs = {**streams, "cwd": "/"}
            return await super().start()

    async def _fork(self, spec: SandboxSpec, output: int) -> tuple[str, int]:
        """Fork the server; it goes on when this process is gone.

        Raises ``OSError`` if it cannot be forked, or cannot become this participant's.
        """
        if self.port == 0:  # type: ignore[has-type]
            self.port = random_port()
        with Path(os.devnull).open("rb") as nothing:
            process = await asyncio.to_thread(
                ForkedProcess,
                run_server,
                self.get_args(),
                streams=(nothing.fileno(), output, output),
                environment=self.get_env(),
                cwd="/",
                nested=True,
                ends_with_owner=False,
                first=functools.partial(enter_sandbox, spec),
            )
        self.proc, self.pid = process, process.pid
        return self.ip or "127.0.0.1", self.port

    def _groups(self) -> list[str]:
        if self._config.limits is None:
            return []
        settings = self._config.settings
        limits = Limits(self._config.limits)
        return limits.make(str(self.number), settings.memory_bytes, settings.cpus)

    async def stop(self, now: bool = False) -> None:
        """End the server, and whatever the participant has started."""
        await super().stop(now=now)
        await asyncio.to_thread(end_processes, range(self.number, self.number + 1))
