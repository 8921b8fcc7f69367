"""Starts the processes of a hub, keeps them going, and ends everything.

Four: the proxy, the hub, the page of the class, and the culler. One that dies is started anew; the
others, and the participants' servers, go on meanwhile.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from warm_kernels.fork_server import SWITCH
from workbook_lib.locations import project_root
from workshop import mount_view, proxy
from workshop.hub_folder import (
    VARIABLE,
    HubConfig,
    HubFolder,
    HubSettings,
    WorkshopError,
    free_port,
)
from workshop.limits import Limits, NoLimitsError
from workshop.sandbox_spec import SandboxSpec
from workshop.stopping import end_processes

_POLL_SECONDS = 0.1
_START_SECONDS = 90
_PR_SET_PDEATHSIG = 1  # prctl(2)
_PORTS = 50  # as many as Jupyter tries
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
        self._end_leftovers()
        try:
            self._limits = Limits.find(f"workbook-{folder.folder.stat().st_ino}")
        except NoLimitsError as error:
            self.unlimited = str(error)
        self.config = _settle(folder, settings, self._limits)
        folder.write("started", {**asdict(self.config), "settings": asdict(settings)})
        _try_entering(folder, self.config)
        self._commands = self._all_commands(proxy.command())
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for name in self._commands:
                self._start(name)
                if name == "hub":
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
        """Return the process id of one of the four."""
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

    def _end_leftovers(self) -> None:
        """End what is left of a workshop in this folder whose own process was killed."""
        before = self.folder.read("started")
        if before:
            end_processes(_numbers(before["first_number"]))

    def _all_commands(
        self, proxy_command: list[str]
    ) -> dict[str, tuple[list[str], dict[str, str]]]:
        """Return each process's command line and what its environment has beside this one's."""
        folder, config, settings = self.folder, self.config, self.config.settings
        hub = f"http://127.0.0.1:{config.hub_port}"
        python = [sys.executable, "-m"]
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
        cull = [f"--timeout={settings.idle_seconds:g}", f"--cull-every={settings.cull_seconds:g}"]
        own = {VARIABLE: str(folder.folder)}
        api = {**own, "JUPYTERHUB_API_URL": f"{hub}/hub/api"}
        of_the_class = {
            "JUPYTERHUB_API_TOKEN": folder.secrets["class"],
            "JUPYTERHUB_CLIENT_ID": "service-class",
            "JUPYTERHUB_SERVICE_NAME": "class",
            "JUPYTERHUB_SERVICE_PREFIX": "/services/class/",
            "JUPYTERHUB_BASE_URL": "/",
        }
        of_the_culler = {"JUPYTERHUB_API_TOKEN": folder.secrets["culler"]}
        of_the_proxy = {"CONFIGPROXY_AUTH_TOKEN": folder.secrets["proxy"]}
        file = str(Path(__file__).with_name("jupyterhub_config.py"))
        nobody = _nobody(folder, config, 0).command
        return {
            "proxy": (nobody([*proxy_command, *front]), of_the_proxy),
            "hub": ([*python, "jupyterhub", "-f", file], own),
            "class": ([*python, "workshop.class_service"], {**api, **of_the_class}),
            "culler": (
                nobody([*python, "jupyterhub_idle_culler", *cull]),
                {**api, **of_the_culler},
            ),
        }

    def _start(self, name: str) -> None:
        command, environment = self._commands[name]
        with (self.folder.state / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                cwd=self.folder.state if name == "hub" else "/",
                # No home: a library reads its settings there when it is imported.
                env={**_inherited(), "HOME": str(self.folder.state), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                umask=0o077,
                start_new_session=True,  # Ctrl-C is for this process, which ends them in order
                preexec_fn=_end_with_the_parent,  # noqa: PLW1509 - there is one thread
            )

    def _wait_for_the_hub(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self.answers():
            if self._processes["proxy"].poll() is not None or time.monotonic() > deadline:
                raise WorkshopError(f"the hub does not start: {self._last_word()}")
            if self._processes["hub"].poll() is not None:
                raise WorkshopError(f"the hub does not start: {self._last_word()}")
            time.sleep(_POLL_SECONDS)

    def answers(self) -> bool:
        """Whether the hub answers, by way of its proxy."""
        settings = self.config.settings
        api = f"http://127.0.0.1:{self.config.proxy_port}/api/routes"
        request = urllib.request.Request(
            api, headers={"Authorization": f"token {self.folder.secrets['proxy']}"}
        )
        hub = f"http://127.0.0.1:{self.config.hub_port}/hub/api/"
        try:
            with urllib.request.urlopen(request, timeout=5) as routes:
                known = b'"/"' in routes.read() and settings.port > 0
            with urllib.request.urlopen(hub, timeout=5):
                return known
        except (OSError, urllib.error.URLError):
            return False

    def _last_word(self) -> str:
        for name in ("proxy", "hub"):
            if self._processes[name].poll() is not None:
                lines = (
                    (self.folder.state / f"{name}.log").read_text("utf-8", "replace").split("\n")
                )
                said = [line.strip() for line in lines if line.strip()]
                return f"{name}: {said[-1] if said else 'no reason'}"
        return f"no answer within {_START_SECONDS} s; {self.folder.state / 'hub.log'}"


def _end_with_the_parent() -> None:
    """Have the system end this process when the thread that started it is gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _numbers(first: int) -> range:
    return range(first, first + mount_view.BLOCK)


def _inherited() -> dict[str, str]:
    """Return of this process's environment what the hub's processes need, and nothing else.

    Servers are forked from one of them, and a participant can read what it was started with.
    """
    return {name: value for name, value in os.environ.items() if name in _KEPT}


def _own_address() -> str:
    """Return this machine's address in its network; nothing is sent to find out."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # an address for documentation (RFC 5737)
        return str(probe.getsockname()[0])
    return "127.0.0.1"


def _settle(folder: HubFolder, settings: HubSettings, limits: Limits | None) -> HubConfig:
    """Choose ports and user numbers; those numbers that own homes already stay."""
    before = folder.read("started")
    if before:
        first = int(before["first_number"])
    else:
        taken = {process.uids().real for process in psutil.process_iter(["uids"])}
        first = mount_view.first_number(Path("/proc/self/uid_map").read_text("ascii"), taken)
    try:
        port = free_port(settings.ip, settings.port, _PORTS if settings.port else 1)
    except OSError as error:
        where = f"{settings.ip or 'port'} {settings.port}"
        raise WorkshopError(f"{where}: nothing can listen there ({error.strerror})") from error
    return HubConfig(
        HubSettings(**{**asdict(settings), "port": port}),
        hub_port=free_port(),
        proxy_port=free_port(),
        class_port=free_port(),
        first_number=first,
        own_view=mount_view.can_have_own_view(),
        limits=(limits.parents, limits.version) if limits else None,
    )


def _nobody(folder: HubFolder, config: HubConfig, number: int) -> SandboxSpec:
    """Return the sandbox of a process that sees nobody's home."""
    view = mount_view.mount_view_of(folder) if config.own_view else None
    return SandboxSpec(config.first_number + number, "/", view=view)


def _try_entering(folder: HubFolder, config: HubConfig) -> None:
    """Start what a participant's server starts with, once: better now than with a full room."""
    spec = _nobody(folder, config, mount_view.BLOCK - 1)
    look = f"import workbook_lib, jupyterhub; open({str(project_root() / 'pyproject.toml')!r})"
    command = spec.command([sys.executable, "-c", look])
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", env=_inherited()
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason"]
        raise WorkshopError(
            f"a participant cannot read {project_root()} and {sys.prefix}: "
            f"let others read them (chmod -R o+rX), or move them ({said[-1]})"
        )


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


def summary(workshop: Workshop) -> Mapping[str, str]:
    """Return what an instructor must know."""
    settings, known = workshop.config.settings, workshop.folder.secrets
    limits = f"{settings.memory:g} GB and {settings.cpus:g} processors each"
    return {
        "address": workshop.address,
        "room code": known["room code"],
        "instructor": f"name: instructor, password: {known['instructor code']}",
        "who is stuck where": f"{workshop.address}services/class/",
        "places": f"{settings.places}, {limits}"
        + (f"; NOT enforced: {workshop.unlimited}" if workshop.unlimited else ""),
        "notebooks": str(workshop.folder.homes),
    }
