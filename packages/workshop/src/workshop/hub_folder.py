"""The folder of a workshop, and what is kept in it from one start to the next.

homes/NAME/     a participant's notebooks and progress; nobody else can enter
logs/NAME.log   what their server said
state/          codes, passwords (their hashes), the hub's own data; for root alone
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from varhandle.atomic_write import write_text
from varhandle.errors import VarhandleError

VARIABLE = "WORKBOOK_HUB"
"""In the environment of the hub's processes: the folder."""

INSTRUCTOR = "instructor"
FIRST_PAGE = "/lab/tree/notebooks/00_start_here.ipynb"
SHORTEST_PASSWORD = 6
# No letter or digit that can be taken for another when it is read from a projector.
_READABLE = "abcdefghjkmnpqrstuvwxyz23456789"


class WorkshopError(VarhandleError):
    """A workshop cannot be held here; the message says what to do."""


@dataclass(frozen=True)
class HubSettings:
    """What an instructor may choose."""

    places: int = 30  # participants, the instructor not counted
    memory: float = 2.0  # gigabytes for each of them
    cpus: float = 2.0  # processors for each of them; 0 for no limit
    ip: str = ""  # empty for all addresses of this machine
    port: int = 8000
    idle_seconds: float = 3600  # after so long without anything a server is ended
    certificate: str = ""  # files for HTTPS; empty for HTTP
    key: str = ""

    @property
    def cull_seconds(self) -> float:
        """How often the culler looks for servers that nobody uses."""
        return min(300, self.idle_seconds / 2)

    @property
    def memory_bytes(self) -> int:
        """The memory of a participant, as JupyterHub and Kubernetes read ``2G``."""
        return int(self.memory * 1024**3)


@dataclass(frozen=True)
class HubConfig:
    """What is settled at a start, for all processes of the hub."""

    settings: HubSettings
    hub_port: int  # the three listen on this machine alone
    proxy_port: int
    class_port: int
    first_number: int  # of a block of user numbers
    own_view: bool  # whether participants get a mount view of their own
    limits: Mapping[str, str] | None  # where they stand; None where they cannot be enforced


class HubFolder:
    """The folder of a workshop, by its absolute path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.homes = folder / "homes"
        self.logs = folder / "logs"
        self.state = folder / "state"

    @classmethod
    def of_this_process(cls) -> HubFolder:
        """Return that of the hub which this process belongs to."""
        return cls(Path(os.environ[VARIABLE]))

    def make(self) -> None:
        """Make the folders, or close those that are there."""
        modes = {self.folder: 0o711, self.homes: 0o711, self.logs: 0o700, self.state: 0o700}
        for folder, mode in modes.items():
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
            folder.chmod(mode)

    @cached_property
    def secrets(self) -> dict[str, str]:
        """The codes, and what the hub shows its proxy; made once."""
        made = {
            "proxy": secrets.token_hex(32),
            "workshop code": _code(8),
            "instructor code": _code(16),
        }
        kept = self.read("secrets")
        if not kept.keys() >= made.keys():
            kept = {**made, **kept}
            self.write("secrets", kept)
        return kept

    def read(self, name: str) -> dict[str, Any]:
        """Read what is kept under a name."""
        path = self.state / f"{name}.json"
        kept: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return kept

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Keep something under a name: whole or not at all, and for this user alone."""
        path = self.state / f"{name}.json"
        write_text(path, json.dumps(content, indent=1))
        path.chmod(0o600)

    @property
    def config(self) -> HubConfig:
        """What was settled at the last start."""
        kept = self.read("started")
        return HubConfig(**{**kept, "settings": HubSettings(**kept["settings"])})

    def number(self, name: str, first: int) -> int:
        """Return a participant's user number; a new one gets the next after ``first``."""
        order = self.read("numbers")
        if name not in order:
            order[name] = len(order) + 1
            self.write("numbers", order)
        return first + int(order[name])


def _code(length: int) -> str:
    """Make a code that can be read aloud: groups of four."""
    letters = "".join(secrets.choice(_READABLE) for _ in range(length))
    return "-".join(letters[start : start + 4] for start in range(0, length, 4))
