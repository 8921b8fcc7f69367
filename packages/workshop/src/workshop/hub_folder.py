"""A room: the folder of a workshop, and what is kept in it from one start to the next.

homes/NAME/     a participant's notebooks and progress; nobody else can enter
logs/NAME.log   what their server said
state/          codes, passwords (their hashes), the hub's own data; for root alone
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

VARIABLE = "WORKBOOK_HUB"
"""In the environment of the hub's processes: the room's folder."""

INSTRUCTOR = "instructor"
GIGABYTE = 1024**3
"""As JupyterHub and Kubernetes read ``2G``."""

# No letter or digit that can be taken for another when it is read from a projector.
_READABLE = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True)
class Settings:
    """What an instructor may choose.

    Attributes:
        places: How many participants there may be, the instructor not counted.
        memory: Gigabytes for each of them.
        cpus: Processors for each of them; 0 for no limit.
        ip: The address to listen on; empty for all of this machine's.
        port: The port to listen on.
        idle_seconds: After how long without anything a server is ended.
        cull_seconds: How often that is looked at.
        certificate, key: Files for HTTPS; empty for HTTP.
    """

    places: int = 30
    memory: float = 2.0
    cpus: float = 2.0
    ip: str = ""
    port: int = 8000
    idle_seconds: float = 3600
    cull_seconds: float = 300
    certificate: str = ""
    key: str = ""

    @property
    def memory_bytes(self) -> int:
        """The memory of a participant in bytes."""
        return int(self.memory * GIGABYTE)


@dataclass(frozen=True)
class Started:
    """What is settled at a start, for all processes of the hub.

    Attributes:
        settings: What the instructor chose.
        hub_port, proxy_port, class_port: Where they listen on this machine alone.
        first_number: The first of the room's user numbers.
        own_view: Whether participants get their own view of the file system.
        limits: As ``Limits.find`` gave them; ``None`` where they cannot be enforced.
    """

    settings: Settings
    hub_port: int
    proxy_port: int
    class_port: int
    first_number: int
    own_view: bool
    limits: tuple[Mapping[str, str], int] | None


@dataclass(frozen=True)
class Room:
    """The folder of a workshop.

    Attributes:
        folder: It, as an absolute path.
    """

    folder: Path

    @classmethod
    def of_this_process(cls) -> Room:
        """Return the room whose hub this process belongs to."""
        return cls(Path(os.environ[VARIABLE]))

    @property
    def homes(self) -> Path:
        """Where participants' homes are."""
        return self.folder / "homes"

    @property
    def logs(self) -> Path:
        """Where what servers said is kept."""
        return self.folder / "logs"

    @property
    def state(self) -> Path:
        """What root alone may read."""
        return self.folder / "state"

    def make(self) -> None:
        """Make the folders, or shut those that are there."""
        for folder, mode in ((self.folder, 0o711), (self.homes, 0o711), (self.logs, 0o700)):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(mode)
        self.state.mkdir(exist_ok=True, mode=0o700)
        self.state.chmod(0o700)

    def home(self, name: str) -> Path:
        """Return a participant's home.

        Args:
            name: The participant's.

        Returns:
            The folder, whether or not it exists.
        """
        return self.homes / name

    @cached_property
    def secrets(self) -> dict[str, str]:
        """The codes, and what the hub's processes show each other; made once."""
        made = {
            "room code": _code(8),
            "instructor code": _code(16),
            "proxy": secrets.token_hex(32),
            "culler": secrets.token_hex(32),
            "class": secrets.token_hex(32),
        }
        kept = self.read("secrets")
        if not kept.keys() >= made.keys():
            kept = {**made, **kept}
            self.write("secrets", kept)
        return kept

    def read(self, name: str) -> dict[str, Any]:
        """Read what is kept under a name.

        Args:
            name: The name.

        Returns:
            It; an empty mapping if nothing is kept.
        """
        try:
            kept: dict[str, Any] = json.loads((self.state / f"{name}.json").read_text("utf-8"))
        except FileNotFoundError:
            return {}
        return kept

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Keep something under a name: whole or not at all, and for this user alone.

        Args:
            name: The name.
            content: What to keep; values that JSON can hold.

        Raises:
            OSError: It cannot be written; what was kept before still is.
        """
        fresh = self.state / f".{name}.{secrets.token_hex(4)}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.state / f"{name}.json")
        finally:
            fresh.unlink(missing_ok=True)

    @property
    def started(self) -> Started:
        """What was settled at the last start."""
        kept = self.read("started")
        return Started(**{**kept, "settings": Settings(**kept["settings"])})

    def number(self, name: str, first: int) -> int:
        """Return a participant's user number; a new one gets the next.

        Args:
            name: The participant's.
            first: The first number of the room.

        Returns:
            The number. The room's first is nobody's: the proxy runs under it.
        """
        order = self.read("numbers")
        if name not in order:
            order[name] = len(order) + 1
            self.write("numbers", order)
        return first + int(order[name])

    def participants(self) -> Iterator[tuple[str, int]]:
        """Yield everybody who has a place: the name, and the user number counted from the first."""
        yield from self.read("numbers").items()


def _code(length: int) -> str:
    """Make a code that can be read aloud: groups of four."""
    letters = "".join(secrets.choice(_READABLE) for _ in range(length))
    return "-".join(letters[start : start + 4] for start in range(0, length, 4))


def free_port(ip: str = "127.0.0.1", start: int = 0, tries: int = 1) -> int:
    """Find a port that nobody listens on.

    Args:
        ip: The address.
        start: The first to try; 0 for any.
        tries: How many to try, one after the other.

    Returns:
        The port.

    Raises:
        OSError: All are taken, or the address is not this machine's.
    """
    for port in range(start, start + tries):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((ip, port))
            except OSError:
                if port == start + tries - 1:
                    raise
                continue
            return int(probe.getsockname()[1])
    raise AssertionError("at least one try")
