"""The folder of a workshop, and what is kept in it from one start to the next.

homes/NAME/     a participant's notebooks and progress; nobody else can enter
given-back/     the homes of places that were given back; for root alone
logs/NAME.log   what their server said
state/          codes, passwords (their hashes), the hub's own data; for root alone
"""

from __future__ import annotations

import itertools
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
GIVE_BACK = "/give-back"
"""The page, below the hub's own address; ``?name=`` says whose place, for the instructor."""
SHORTEST_PASSWORD = 6
USER_NUMBERS = 1000
"""User numbers that a hub has: the first for the proxy and the culler, the last for a try, the
others for participants."""
_FORMER = "formerly "  # before a name that was given back; no name has a space
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
        self.given_back = folder / "given-back"
        self.logs = folder / "logs"
        self.state = folder / "state"

    @classmethod
    def of_this_process(cls) -> HubFolder:
        """Return that of the hub which this process belongs to."""
        return cls(Path(os.environ[VARIABLE]))

    def make(self) -> None:
        """Make the folders, or close those that are there."""
        modes = {self.folder: 0o711, self.homes: 0o711}
        modes |= dict.fromkeys((self.given_back, self.logs, self.state), 0o700)
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
        """Return a participant's user number; a new one gets the next after ``first``.

        Raises ``WorkshopError``: all of them have been given out.
        """
        order = self.read("numbers")
        if name not in order:
            if len(order) + 1 >= USER_NUMBERS - 1:
                raise WorkshopError(
                    f"{USER_NUMBERS - 2} places have been taken and given back: start a workshop "
                    "in another folder"
                )
            order[name] = len(order) + 1
            self.write("numbers", order)
        return first + int(order[name])

    def known_number(self, name: str, first: int) -> int | None:
        """Return a participant's user number, if they have one already."""
        order = self.read("numbers")
        return first + int(order[name]) if name in order else None

    def participants(self) -> set[str]:
        """Return the names that somebody has, the instructor's not among them."""
        numbered = {name for name in self.read("numbers") if not name.startswith(_FORMER)}
        return (numbered | self.read("passwords").keys()) - {INSTRUCTOR}

    def release(self, name: str) -> None:
        """Take a name from whoever has it, and put their home aside.

        Whoever takes the name next finds nothing of what was there; their user number is new, since
        the old one may still own a file somewhere. The name is free last of all.
        """
        home, order, kept = self.homes / name, self.read("numbers"), self.read("passwords")
        if home.exists():
            tries = (self.given_back / f"{name}-{number}" for number in itertools.count(1))
            home.rename(next(path for path in tries if not path.exists()))
        if name in order:
            number = order.pop(name)
            order[f"{_FORMER}{number} {name}"] = number
            self.write("numbers", order)
        if name in kept:
            del kept[name]
            self.write("passwords", kept)


def _code(length: int) -> str:
    """Make a code that can be read aloud: groups of four."""
    letters = "".join(secrets.choice(_READABLE) for _ in range(length))
    return "-".join(letters[start : start + 4] for start in range(0, length, 4))
