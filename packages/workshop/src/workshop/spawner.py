"""Starts and ends a participant's server: a process of a user number of their own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import traitlets
from jupyterhub.spawner import LocalProcessSpawner
from jupyterhub.utils import random_port

from warm_kernels import fork_server
from workbook_lib.locations import project_root
from workshop.homes import PROGRESS, make_home, make_scratch, scratch_of
from workshop.hub_folder import HubFolder
from workshop.limits import Limits
from workshop.mount_view import mount_view_of
from workshop.sandbox_spec import SandboxSpec
from workshop.server_zygote import fork_participant_server
from workshop.stopping import end_processes


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

    def make_preexec_fn(self, name: str) -> None:
        """Leave it to ``enter_sandbox`` to become the participant: no account has this name."""

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Add what an account would give, and where this participant's progress is kept."""
        home = self._folder.home(self.user.name)
        own = {"HOME": str(home), "USER": self.user.name, "SHELL": "/bin/bash"}
        own["WORKBOOK_PROGRESS"] = str(home / PROGRESS)
        if fork_server.SWITCH in os.environ:
            own[fork_server.SWITCH] = os.environ[fork_server.SWITCH]
        if self._config.own_view:
            own["JUPYTER_RUNTIME_DIR"] = "/tmp/jupyter"  # short: a socket's path has an end
        else:
            own["TMPDIR"] = own["JUPYTER_RUNTIME_DIR"] = str(scratch_of(self.number))
        return {**env, **own}

    async def start(self) -> Any:
        """Start the server."""
        name, number = self.user.name, self.number
        home = self._folder.home(name)
        await asyncio.to_thread(make_home, home, number, project_root())
        if not self._config.own_view:
            make_scratch(scratch_of(number), number)
        view = mount_view_of(self._folder, home) if self._config.own_view else None
        spec = SandboxSpec(number, str(home), self._groups(), view)
        self.notebook_dir = str(home)
        with (self._folder.logs / f"{name}.log").open("ab") as output:
            if fork_server.forking_enabled(os.environ):
                try:
                    return await self._fork(spec, output.fileno())
                except OSError as error:
                    self.log.warning("No warm server, but a cold one: %s", error)
            self.cmd = spec.command([str(Path(sys.executable).with_name("jupyterhub-singleuser"))])
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
            self.popen_kwargs = {**streams, "cwd": "/"}
            return await super().start()

    async def _fork(self, spec: SandboxSpec, output: int) -> tuple[str, int]:
        if self.port == 0:  # type: ignore[has-type]
            self.port = random_port()
        asked = (spec, self.get_args(), self.get_env(), output)
        process = await asyncio.to_thread(fork_participant_server, *asked)
        self.proc, self.pid = process, process.pid
        return self.ip or "127.0.0.1", self.port

    def _groups(self) -> list[str]:
        if self._config.limits is None:
            return []
        settings = self._config.settings
        limits = Limits(*self._config.limits)
        return limits.make(str(self.number), settings.memory_bytes, settings.cpus)

    async def stop(self, now: bool = False) -> None:
        """End the server, and whatever the participant has started."""
        await super().stop(now=now)
        await asyncio.to_thread(end_processes, range(self.number, self.number + 1))
