"""A release of TensorFlow in an environment of its own, made by uv, and gone when it was used."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from varhandle.display import join_all
from varhandle.errors import VarhandleError
from varhandle.facts.releases import WHEELS, minor, pythons_of

_TICK = 0.2  # seconds between two looks at whether to stop


class ReleaseInputError(VarhandleError, ValueError):
    """A release was asked for that cannot be meant."""


class NotInstalledError(VarhandleError):
    """A release cannot be installed (``fault``)."""

    def __init__(self, fault: str, step: str = "run uv by itself to see more") -> None:
        self.fault = fault
        super().__init__(f"{fault}: {step}")


class StoppedError(VarhandleError):
    """Somebody asked to stop."""


class Release(NamedTuple):
    """A release that is to be installed; ``python`` is ``None`` for the newest that it fits."""

    version: str  # of TensorFlow, such as "2.15.1"
    python: str | None = None  # of CPython, such as "3.11" or "3.11.7"


def parse_releases(texts: Sequence[str]) -> tuple[Release, ...]:
    """Read ``VERSION`` or ``VERSION@PYTHON``, such as ``"2.15.1@3.11"``.

    Raises ``ReleaseInputError`` for what is neither, for one older than 1.15, where no case runs,
    and where the same version is there twice.
    """
    releases: dict[str, Release] = {}
    for text in texts:
        if not re.fullmatch(r"\d{1,4}(\.\d{1,4}){2}(@3\.\d{1,4}(\.\d{1,4})?)?", text, re.ASCII):
            fault = f"{text!r} is no release"
            raise ReleaseInputError(f"{fault}: name one such as 2.15.1 or 2.15.1@3.11")
        version, _, python = text.partition("@")
        if minor(version) < min(WHEELS):
            raise ReleaseInputError(f"{version} is too old: name 1.15 or a later one")
        if version in releases:
            raise ReleaseInputError(f"{version} is asked for twice: name it once")
        releases[version] = Release(version, python or None)
    return tuple(releases.values())


def pythons_here() -> dict[str, Path]:
    """Return version to executable of each CPython that uv, the PATH or pyenv has, newest first.

    Raises ``NotInstalledError`` if there is no uv, or it does not answer.
    """
    command = [_uv(), "python", "list", "--only-installed", "--output-format", "json"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=uv_environment()
    )
    if done.returncode:
        raise NotInstalledError(_reason(done.stderr))
    found: dict[str, Path] = {}
    for entry in json.loads(done.stdout):
        if entry["implementation"] == "cpython" and entry["variant"] == "default":
            found.setdefault(entry["version"], Path(entry["path"]))

    def numbers(version: str) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", version)]

    return {version: found[version] for version in sorted(found, key=numbers, reverse=True)}


def choose_pythons(release: Release, here: Mapping[str, Path]) -> dict[str, Path]:
    """Return the CPythons to try for a release, the best first; ``here`` is ``pythons_here()``.

    The keys are as they were asked for, or else such as ``"3.11"``. Raises ``NotInstalledError`` if
    this machine has none.
    """
    wanted = (release.python,) if release.python else pythons_of(release.version)
    chosen = {}
    for python in wanted:
        fitting = [path for one, path in here.items() if f"{one}.".startswith(f"{python}.")]
        if fitting:
            chosen[python] = fitting[0]
    if not chosen:
        asked = release.python or f"{wanted[-1]} to {wanted[0]}"
        known = join_all(here, "none at all")
        fault = f"no CPython {asked} on this machine, only {known}"
        raise NotInstalledError(fault, f"install {wanted[0]}, as uv does")
    return chosen


def tensorflow_packages(version: str) -> list[str]:
    """Return what a TensorFlow needs to be imported.

    Releases before 2.9 set no upper limit on protobuf, nor those before 2.18 on NumPy or setuptools
    (which they import), and fail to import with later ones.
    """
    release = minor(version)
    packages = [f"tensorflow=={version}"]
    packages += ["numpy<2"] if release < (2, 18) else []
    packages += ["protobuf<3.21"] if release < (2, 9) else []
    packages += ["setuptools<70"] if release < (2, 17) else []
    return packages


def litert_packages(version: str) -> list[str]:
    """Return the same of an ai-edge-litert; the first ones were built for NumPy 1."""
    return [f"ai-edge-litert=={version}", "numpy<2" if minor(version) < (1, 2) else "numpy"]


def uv_run(packages: Sequence[str], python: Path) -> list[str]:
    """Return the command that runs that Python with some packages in an environment of its own.

    What uv has installed once it keeps in its cache; the environment is gone afterwards.
    """
    command = [_uv(), "run", "--quiet", "--isolated", "--no-project", "--python", str(python)]
    for package in packages:
        command += ["--with", package]
    return [*command, "python"]


def install(command: Sequence[str], stop: threading.Event, seconds: float = 1800.0) -> None:
    """Have uv install what a command of ``uv_run`` needs.

    Raises ``NotInstalledError`` if it cannot, ``StoppedError`` if ``stop`` was set meanwhile.
    """
    done = run_with_descendants([*command, "-c", "pass"], uv_environment(), seconds, stop)
    if done.code is None:
        raise NotInstalledError(f"still being installed after {seconds:.0f} s", "run it again")
    if done.code:
        raise NotInstalledError(_reason(done.stderr))


def _uv() -> str:
    found = shutil.which("uv")
    if found is None:
        raise NotInstalledError("there is no uv on the PATH", "pip install uv")
    return found


def uv_environment() -> dict[str, str]:
    """Return an environment in which uv finds the Pythons of pyenv, and downloads none."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    folders = sorted(str(folder) for folder in pyenv.glob("*/bin"))
    path = os.pathsep.join([os.environ.get("PATH", ""), *folders])
    return {**os.environ, "PATH": path, "UV_PYTHON_DOWNLOADS": "never"}


def _reason(stderr: str) -> str:
    """Return why uv failed, in one line without addresses; uv wraps lines and draws a tree."""
    text = " ".join(re.sub(r"[^ -~]|https?://\S+", " ", stderr).split())
    because = re.search(r"Because (.*?)(?:, we can conclude|$)", text)
    found = because or re.search(r"([A-Za-z].*)", text)
    reason = found[1] if found else "uv gave no reason"
    return reason if len(reason) <= 200 else f"{reason[:199]}…"


class ProcessEnd(NamedTuple):
    """How a program ended, and what it printed."""

    code: int | None  # negative for a signal; None where its time was over
    stdout: str
    stderr: str

    @property
    def last_words(self) -> str:
        """The last line of it that tells why it failed."""
        lines = self.stderr.splitlines()
        telling = [line for line in lines if "LLVM ERROR" in line or "Error" in line]
        return telling[-1].strip()[:100] if telling else f"exit code {self.code}"


def run_with_descendants(
    command: Sequence[str], environment: Mapping[str, str], seconds: float, stop: threading.Event
) -> ProcessEnd:
    """Run a program, and everything that it starts, until it ends, time is over, or a stop."""
    if stop.is_set():
        raise StoppedError
    deadline = time.monotonic() + seconds
    # A session of its own, because TensorFlow 1.15 converts in a program that it starts itself.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
        start_new_session=True,
    ) as program:
        try:
            while time.monotonic() < deadline:
                with suppress(subprocess.TimeoutExpired):
                    stdout, stderr = program.communicate(timeout=_TICK)
                    return ProcessEnd(program.returncode, stdout, stderr)
                if stop.is_set():
                    raise StoppedError
        finally:
            if program.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(program.pid, signal.SIGKILL)
        return ProcessEnd(None, *program.communicate())
