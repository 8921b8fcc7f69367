"""Starts a hub and its proxy, keeps them going, and ends everything.

One that dies is started anew; the other, and the participants' servers, go on meanwhile. The hub
starts the page of the class and the culler itself.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from warm_kernels.fork_server import SWITCH
from workbook_lib.locations import project_root
from workshop import mount_view, proxy
from workshop.hub_folder import (
    USER_NUMBERS,
    VARIABLE,
    HubConfig,
    HubFolder,
    HubSettings,
    WorkshopError,
)
from workshop.limits import Limits, NoLimitsError
from workshop.sandbox_spec import die_with_parent
from workshop.user_numbers import end_processes, first_number

_POLL_SECONDS = 0.1
_START_SECONDS = 90
_PORTS = 50  # as many as Jupyter tries
# What the hub's processes need of this process's environment. Servers are forked from one of them,
# and a participant can read what it was started with.
_KEPT = {
    "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_ROOT", "CONDA_DEFAULT_ENV",
    "LANG", "LC_ALL", "LC_CTYPE", "TZ", SWITCH,
}  # fmt: skip


class Workshop:
    """A hub that runs, in a folder that no other one is using."""

    unlimited = ""  # why limits are not enforced, if they are not
    _limits: Limits | None = None

    def __init__(self, folder: HubFolder, settings: HubSettings) -> None:
        """Start it, and wait until it answers; after a ``WorkshopError`` nothing is left of it."""
        self.folder = folder
        folder.make()
        before = folder.read("started")
        if before:  # the workshop's own process may have been killed
            end_processes(_numbers(before["first_number"]))
        try:
            self._limits = Limits.find(f"workbook-{folder.folder.stat().st_ino}")
        except NoLimitsError as error:
            self.unlimited = str(error)
        self.config = _assign_numbers(settings, before.get("first_number"), self._limits)
        folder.write("started", asdict(self.config))
        self._environment = {name: os.environ[name] for name in _KEPT & os.environ.keys()}
        self._try_entering()
        self._commands = self._all_commands(proxy.command())
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for name in self._commands:
                self._start(name)
            self._wait_for_the_hub()
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """The hub's address, as somebody on the same network types it."""
        settings = self.config.settings
        scheme = "https" if settings.certificate else "http"
        return f"{scheme}://{settings.ip or _own_address()}:{settings.port}/"

    def pid(self, name: str) -> int:
        """Return the process id of the ``proxy`` or the ``hub``."""
        return self._processes[name].pid

    def keep_going(self) -> None:
        """Start anew what has died; to be called again and again."""
        for name, process in list(self._processes.items()):
            if process.poll() is not None:
                self._start(name)

    def close(self) -> None:
        """End everything: the hub's processes, and every participant's."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()
            process.wait()
        self._processes.clear()
        end_processes(_numbers(self.config.first_number))
        if self._limits:
            self._limits.remove()

    def _try_entering(self) -> None:
        """Start what a participant's server starts with, once: better now than later."""
        spec = mount_view.service_sandbox(self.folder, self.config, USER_NUMBERS - 1)
        look = f"import workbook_lib, jupyterhub; open({str(project_root() / 'pyproject.toml')!r})"
        command = spec.command([sys.executable, "-c", look])
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd="/", env=self._environment
        )
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["no reason"]
            raise WorkshopError(
                f"a participant cannot read {project_root()} and {sys.prefix}: "
                f"let others read them (chmod -R o+rX), or move them ({said[-1]})"
            )

    def _all_commands(
        self, proxy_command: list[str]
    ) -> dict[str, tuple[list[str], dict[str, str]]]:
        """Return each process's command line and what its environment has beside the inherited."""
        config, settings = self.config, self.config.settings
        hub = f"http://127.0.0.1:{config.hub_port}"
        front = [
            f"--ip={settings.ip or '0.0.0.0'}",
            f"--port={settings.port}",
            "--api-ip=127.0.0.1",
            f"--api-port={config.proxy_port}",
            f"--default-target={hub}",
            f"--error-target={hub}/hub/error",
        ]
        if settings.certificate:
            front += [f"--ssl-cert={settings.certificate}", f"--ssl-key={settings.key}"]
        sandbox = mount_view.service_sandbox(self.folder, config, 0)
        file = str(Path(__file__).with_name("jupyterhub_config.py"))
        return {
            "proxy": (
                sandbox.command([*proxy_command, *front]),
                {"CONFIGPROXY_AUTH_TOKEN": self.folder.secrets["proxy"]},
            ),
            "hub": (
                [sys.executable, "-m", "jupyterhub", "-f", file],
                {VARIABLE: str(self.folder.folder)},
            ),
        }

    def _start(self, name: str) -> None:
        command, environment = self._commands[name]
        with (self.folder.state / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                cwd=self.folder.state if name == "hub" else "/",
                # No home: a library reads its settings there when it is imported.
                env={**self._environment, "HOME": str(self.folder.state), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                umask=0o077,
                start_new_session=True,  # Ctrl-C is for this process, which ends them in order
                preexec_fn=functools.partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - there is one thread
            )

    def _wait_for_the_hub(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self.answers():
            if self._routes() is not None and not self._listens():
                self._take_the_next_port()
            for name, process in self._processes.items():
                if process.poll() is not None:
                    log = (self.folder.state / f"{name}.log").read_text("utf-8", "replace")
                    said = [line.strip() for line in log.split("\n") if line.strip()]
                    reason = said[-1] if said else "no reason"
                    raise WorkshopError(f"the hub does not start: {name}: {reason}")
            if time.monotonic() > deadline:
                nothing = f"no answer within {_START_SECONDS} s; {self.folder.state / 'hub.log'}"
                raise WorkshopError(f"the hub does not start: {nothing}")
            time.sleep(_POLL_SECONDS)

    def answers(self) -> bool:
        """Whether the hub answers, and its proxy leads to the page of the class, which is last."""
        hub = f"http://127.0.0.1:{self.config.hub_port}/hub/api/"
        if b"/services/class" not in (self._routes() or b"") or not self._listens():
            return False
        try:
            with urllib.request.urlopen(hub, timeout=5):
                return True
        except OSError:
            return False

    def _routes(self) -> bytes | None:
        """Return the proxy's routes; ``None`` where it does not answer yet."""
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.config.proxy_port}/api/routes",
            headers={"Authorization": f"token {self.folder.secrets['proxy']}"},
        )
        try:
            with urllib.request.urlopen(asked, timeout=5) as routes:
                return bytes(routes.read())
        except OSError:
            return None

    def _listens(self) -> bool:
        """Whether it is the proxy that listens on the workshop's port.

        It goes on without, where somebody has taken the port since it was found free, and whoever
        has it would be given the participants' codes and passwords.
        """
        with contextlib.suppress(psutil.Error):
            for one in psutil.Process(self.pid("proxy")).net_connections("inet"):
                if one.status == psutil.CONN_LISTEN and one.laddr.port == self.config.settings.port:
                    return True
        return False

    def _take_the_next_port(self) -> None:
        self.config = replace(self.config, settings=_with_free_port(self.config.settings))
        self.folder.write("started", asdict(self.config))
        self._commands = self._all_commands(proxy.command())
        self._processes["proxy"].kill()
        self._processes["proxy"].wait()
        self._start("proxy")


def _assign_numbers(settings: HubSettings, first: int | None, limits: Limits | None) -> HubConfig:
    """Choose ports and user numbers; ``first`` of those that own homes already stays."""
    if first is None:
        taken = {process.uids().real for process in psutil.process_iter(["uids"])}
        first = first_number(Path("/proc/self/uid_map").read_text("ascii"), taken)
    return HubConfig(
        _with_free_port(settings),
        hub_port=free_port(),
        proxy_port=free_port(),
        class_port=free_port(),
        first_number=first,
        own_view=mount_view.can_have_own_view(),
        limits=limits.folders if limits else None,
    )


def _with_free_port(settings: HubSettings) -> HubSettings:
    """Replace the port by the next that is free."""
    try:
        port = free_port(settings.ip, settings.port, _PORTS if settings.port else 1)
    except OSError as error:
        where = f"{settings.ip or 'port'} {settings.port}"
        raise WorkshopError(f"{where}: nothing can listen there ({error.strerror})") from error
    return replace(settings, port=port)


def _numbers(first: int) -> range:
    return range(first, first + USER_NUMBERS)


def free_port(ip: str = "127.0.0.1", start: int = 0, tries: int = 1) -> int:
    """Find a port that nobody listens on; ``OSError`` if all are taken."""
    for port in range(start, start + tries):
        try:
            with socket.create_server((ip, port)) as probe:
                return int(probe.getsockname()[1])
        except OSError as error:
            refusal = error
    raise refusal


def _own_address() -> str:
    """Return this machine's address in its network; nothing is sent to find out."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # an address for documentation (RFC 5737)
        return str(probe.getsockname()[0])
    return "127.0.0.1"


def run_until_stopped(
    folder: HubFolder, settings: HubSettings, on_start: Callable[[Workshop], None]
) -> None:
    """Run a workshop until Ctrl-C or SIGTERM."""
    folder.make()
    stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: stop.append(number))
    try:
        with (
            FileLock(folder.state / "lock", timeout=0),
            closing(Workshop(folder, settings)) as workshop,
        ):
            on_start(workshop)
            while not stop:
                time.sleep(_POLL_SECONDS)
                workshop.keep_going()
    except Timeout:
        raise WorkshopError(f"a hub runs in {folder.folder} already") from None
