"""Which lessons a participant has open: their own server notes it, in their own home.

The page of the class reads the notes where they are. So it asks no server for anything: no token
travels to a process that is a participant's, and a server that nobody uses looks unused to the hub.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

PRESENCE = Path(".workbook", "presence.json")
LARGEST_PRESENCE = 100_000  # bytes
SERVER_CONFIG = Path(__file__).with_name("server_config")
"""For JUPYTER_CONFIG_PATH: has a participant's server load this module as an extension."""

_NOTE_SECONDS = 10.0
_OPEN_SECONDS = 45.0  # a note that is older is that of a server which has ended
_MOST = 100  # notebooks


@dataclass(frozen=True)
class OpenNotebook:
    """A notebook whose kernel is there."""

    file: str  # its name
    is_busy: bool  # a cell is running
    last: datetime  # when its kernel last did something


@dataclass(frozen=True)
class Presence:
    """What a participant's server last noted."""

    is_open: bool = False  # the server is there
    notebooks: Sequence[OpenNotebook] = ()  # those with a kernel, the last used first
    seen: Mapping[str, datetime] = field(default_factory=dict)  # every notebook ever opened


def read_presence(content: bytes, age: float) -> Presence:
    """Read a note of ``age`` seconds. A participant can write there whatever they like."""
    if not 0 <= age <= 10**9:  # a time that lies ahead is no sign of a server
        return Presence()
    try:
        note = json.loads(content)
        every = [
            OpenNotebook(str(one["file"]), one["busy"] is True, _time(one["last"]))
            for one in note["notebooks"][:_MOST]
        ]
        seen = {str(file): _time(last) for file, last in [*note["seen"].items()][:_MOST]}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Presence()
    is_open = age <= _OPEN_SECONDS
    latest_first = sorted(every, key=lambda one: one.last, reverse=True) if is_open else []
    return Presence(is_open, latest_first, seen)


def _time(text: str) -> datetime:
    when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if when.tzinfo is None:
        raise ValueError("a time without a zone")
    return when


class _Note:
    """Keeps the note of one server."""

    def __init__(self, server: Any) -> None:
        self._sessions = server.session_manager
        self._file = Path(server.root_dir) / PRESENCE
        self._content = ""
        self._seen: dict[str, str] = {}
        with contextlib.suppress(OSError):
            before = read_presence(self._file.read_bytes(), 0)
            self._seen = {file: last.isoformat() for file, last in before.seen.items()}

    async def write(self) -> None:
        """Note what is open now; where nothing has changed, only that it still is."""
        sessions = await self._sessions.list_sessions()
        running = [one for one in sessions if one["type"] == "notebook" and one.get("kernel")]
        notebooks = [
            {
                "file": Path(one["path"]).name,
                "busy": one["kernel"]["execution_state"] == "busy",
                "last": one["kernel"]["last_activity"],
            }
            for one in running
        ]
        self._seen |= {one["file"]: one["last"] for one in notebooks}
        content = json.dumps({"notebooks": notebooks, "seen": self._seen})
        with contextlib.suppress(OSError):  # a full disk must not end a server
            if content == self._content and self._file.exists():
                os.utime(self._file)
                return
            self._file.parent.mkdir(exist_ok=True)
            fresh = self._file.with_suffix(".fresh")
            fresh.write_text(content, encoding="utf-8")
            fresh.replace(self._file)
            self._content = content


def seconds_since(modified: float) -> float:
    """Return how long ago a file was modified."""
    return time.time() - modified


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Note what is open from now on, every few seconds."""
    from tornado.ioloop import PeriodicCallback

    server.io_loop.add_callback(PeriodicCallback(_Note(server).write, _NOTE_SECONDS * 1000).start)
