"""The user numbers of a hub's participants, and the processes that run under them.

They are a block that nobody on the machine uses, without entries in ``/etc/passwd``. To give them
takes root: the machine's, a container's, or that of a user namespace, which an ordinary user may
have where ``newuidmap`` gives a range of numbers (``/etc/subuid``).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence

import psutil

from workshop.hub_folder import USER_NUMBERS, WorkshopError

_LOWEST = 20_000  # above what distributions give to people and services
_POLL_SECONDS = 0.05
_INSIDE = "WORKBOOK_HUB_NAMESPACE"


def first_number(uid_map: str, taken: Iterable[int] = ()) -> int:
    """Choose a block of user numbers, high up and by chance, so that two hubs do not share one.

    ``uid_map`` is what ``/proc/self/uid_map`` says (user_namespaces(7)): the first number inside,
    the first outside, how many; one extent a line. ``taken`` are numbers in use on the machine.
    """
    firsts = range(0)  # the numbers that a block can begin with
    for line in uid_map.splitlines():
        start, _, count = map(int, line.split())
        extent = range(max(start, _LOWEST), min(start + count, 2**31) - USER_NUMBERS + 1)
        firsts = max(firsts, extent, key=len)
    if not firsts:
        raise WorkshopError(
            f"there are no {USER_NUMBERS} user numbers for participants: "
            f"give this account a range of 65536 in /etc/subuid and /etc/subgid"
        )
    used = set(taken)
    for _ in range(1000):
        first = secrets.choice(firsts)
        if used.isdisjoint(range(first, first + USER_NUMBERS)):
            return first
    raise WorkshopError("all user numbers are in use")


def enter_namespace(command: Sequence[str]) -> None:
    """Become the same command in a user namespace of this user's, as root there."""
    unshare = shutil.which("unshare")
    into = [str(unshare), "--user", "--map-root-user", "--map-auto", "--mount"]
    able = not os.environ.get(_INSIDE) and unshare and shutil.which("newuidmap")
    if not able or subprocess.run([*into, "true"], capture_output=True, check=False).returncode:
        raise WorkshopError(
            "participants can be kept apart only by root, or in a user namespace, and this user "
            "has neither: run it as root, or install uidmap and give this account a range in "
            "/etc/subuid and /etc/subgid"
        )
    os.environ[_INSIDE] = "1"
    os.execv(into[0], [*into, *command])


def processes_of(numbers: range) -> Iterator[psutil.Process]:
    """Yield the processes that run under some user numbers."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and process.uids().real in numbers:
                yield process


def end_processes(numbers: range, seconds: float = 10) -> None:
    """End them, whoever their parents may be, and those that they start meanwhile."""
    deadline = time.monotonic() + seconds
    while found := list(processes_of(numbers)):
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if time.monotonic() > deadline:
            return
        time.sleep(_POLL_SECONDS)
