"""Starts and ends a participant's server: a process of a user number of their own."""

from __future__ import annotations

import asyncio
import functools
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
from workshop.hub_folder import Room
from workshop.limits import Limits
from workshop.mount_view import closed_above, needed_folders
from workshop.places import PROGRESS, make_home, make_scratch, scratch_of
from workshop.sandbox_spec import Plan
from workshop.server_zygote import fork_participant_server
from workshop.stopping import end_processes


class PlaceSpawner(LocalProcessSpawner):
    """Gives a participant a home, a user number, limits, and a server in them."""

    proc = traitlets.Any()  # a Popen, or a ForkedProcess

    def __init__(self, **kwargs: Any) -> None:
        """Read what was settled when the room was started."""
        super().__init__(**kwargs)
        self._room = Room.of_this_process()
        self._started = self._room.started

    @property
    def number(self) -> int:
        """The participant's user number."""
        return self._room.number(self.user.name, self._started.first_number)

    def make_preexec_fn(self, name: str) -> None:
        """Leave it to ``enter`` to become the participant: no account has this name.

        Args:
            name: The participant's.
        """

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Add what an account would give, and where this participant's progress is kept.

        Args:
            env: The server's environment so far.

        Returns:
            It, with more in it.
        """
        home = str(self._room.home(self.user.name))
        own = {
            **{name: os.environ[name] for name in (fork_server.SWITCH,) if name in os.environ},
            "HOME": home,
            "USER": self.user.name,
            "SHELL": "/bin/bash",
            "WORKBOOK_PROGRESS": str(self._room.home(self.user.name) / PROGRESS),
        }
        if self._started.own_view:
            own["JUPYTER_RUNTIME_DIR"] = "/tmp/jupyter"  # short: a socket's path has an end
        else:
            own["TMPDIR"] = own["JUPYTER_RUNTIME_DIR"] = str(scratch_of(self.number))
        return {**env, **own}

    async def start(self) -> Any:
        """Start the server.

        Returns:
            Where it listens.
        """
        name, number = self.user.name, self.number
        home = self._room.home(name)
        await asyncio.to_thread(make_home, home, number, project_root())
        if not self._started.own_view:
            make_scratch(scratch_of(number), number)
        plan = Plan(
            number,
            str(home),
            groups=self._groups(),
            own_view=self._started.own_view,
            **seen_from(self._room, name),
        )
        self.notebook_dir = str(home)
        log = self._room.logs / f"{name}.log"
        with log.open("ab") as output:
            if fork_server.forking_enabled(os.environ):
                try:
                    return await self._fork(plan, output.fileno())
                except OSError as error:
                    self.log.warning("No warm server, but a cold one: %s", error)
            self.cmd = plan.command([str(Path(sys.executable).with_name("jupyterhub-singleuser"))])
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
            self.popen_kwargs = {**streams, "cwd": "/"}
            return await super().start()

    async def _fork(self, plan: Plan, output: int) -> tuple[str, int]:
        if self.port == 0:  # type: ignore[has-type]
            self.port = random_port()
        fork = functools.partial(
            fork_participant_server, plan, self.get_args(), self.get_env(), output
        )
        process = await asyncio.to_thread(fork)
        self.proc, self.pid = process, process.pid
        return self.ip or "127.0.0.1", self.port

    def _groups(self) -> list[str]:
        if self._started.limits is None:
            return []
        settings = self._started.settings
        limits = Limits(*self._started.limits)
        return limits.make(str(self.number), settings.memory_bytes, settings.cpus)

    async def stop(self, now: bool = False) -> None:
        """End the server, and whatever the participant has started.

        Args:
            now: Whether to do so without asking it first.
        """
        await super().stop(now=now)
        await asyncio.to_thread(end_processes, range(self.number, self.number + 1))


def seen_from(room: Room, name: str) -> dict[str, list[str]]:
    """Say what a process of the room sees of the file system.

    Args:
        room: The room.
        name: Whose home it is to see; empty for nobody's.

    Returns:
        What to cover and what to keep, as ``Plan`` takes them. Homes are covered, so that
        nobody learns who else is here.
    """
    kept = needed_folders(project_root())
    covered = {str(parent) for folder in (*kept, room.homes) for parent in closed_above(folder)}
    homes = [room.home(name)] if name else []
    return {
        "covered": sorted({*covered, str(room.folder)}),
        "kept": [os.fspath(folder) for folder in (*kept, *homes)],
    }
