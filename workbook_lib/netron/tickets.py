"""Tickets: a kernel lets the Jupyter server that started it show one model, from anywhere.

A server keeps its tickets in a folder of its own, which only its user can enter, and tells its
kernels in their environment where that is. A ticket is a file in it with an unguessable name. It
ends with ``close()``, and with the kernel, however that ends: the kernel holds a lock on the
file, which the operating system takes back from a process that is gone (``flock(2)``). Process
numbers would not do: they come again, and a kernel in a container counts its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from workbook_lib.netron.page import main_file, model_file

#: In a kernel's environment: the folder of its server's tickets.
VARIABLE = "WORKBOOK_NETRON"

_SERVER = "server.json"
_NAME = re.compile(r"[\w-]{22}", re.ASCII)  # 128 random bits, as token_urlsafe writes them
_LONGEST = 100_000  # bytes of a ticket: a path has at most some thousand


class OpenTicket:
    """A ticket that this kernel has written; it holds until ``close()`` or the kernel's end."""

    def __init__(self, folder: TicketFolder, model: Path) -> None:
        name = secrets.token_urlsafe(16)
        text = json.dumps({"model": str(model.absolute()), "stamp": _stamp(model)})
        self.url = f"{folder.base_url}workbook/netron/page/?ticket={name}"
        self.probe = f"{folder.base_url}workbook/netron/ticket/{name}/"
        self._path = folder.path / name
        # A child that the kernel forks keeps the lock as well, one that it starts does not.
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _lock(self._descriptor)
            os.write(self._descriptor, text.encode())
        except OSError:
            self.close()
            raise

    @property
    def closed(self) -> bool:
        """Whether the model is no longer shown."""
        return not self._path.exists()

    def close(self) -> None:
        """End the ticket. Closing twice does no harm."""
        self._path.unlink(missing_ok=True)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True)
class TicketFolder:
    """Where one server keeps its tickets."""

    path: Path  # the folder, which nobody but its owner can enter
    base_url: str  # the server's base URL, with a slash at both ends

    @classmethod
    def make(cls, parent: Path, base_url: str) -> TicketFolder:
        """Make the folder, as a server does when it starts."""
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="workbook-netron-", dir=parent))
        text = json.dumps({"pid": os.getpid(), "base_url": base_url})
        (folder / _SERVER).write_text(text, encoding="utf-8")
        return cls(folder, base_url)

    @classmethod
    def of_this_kernel(cls) -> TicketFolder | None:
        """Find the folder of the server that has started this kernel.

        The variable alone would not do: a terminal of JupyterLab, and all that is started there,
        inherits it.
        """
        folder = Path(os.environ.get(VARIABLE, ""))
        try:
            if not folder.is_absolute() or not _is_mine(folder.stat()):
                return None
            about = json.loads((folder / _SERVER).read_text(encoding="utf-8"))
            if str(about["pid"]) != os.environ.get("JPY_PARENT_PID"):
                return None
            return cls(folder, str(about["base_url"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, model: Path) -> OpenTicket:
        """Write a ticket, as a kernel does.

        Raises ``OSError``: the folder is gone, or its file system knows no locks.
        """
        return OpenTicket(self, model)

    def open(self, name: str, relative: str = "") -> tuple[str, BinaryIO] | None:
        """Open a file of the model of a ticket, by default its main file, as a server does.

        Returns the file's name within the model and the file. ``None`` if there is no ticket of
        this name, if another user has written it or can read it, if it has ended, if the model has
        changed since, or if the file is not the model's. A ticket whose kernel is gone is removed.
        """
        if not _NAME.fullmatch(name):
            return None
        path = self.path / name
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe would have us wait
        try:
            with os.fdopen(os.open(path, flags), "rb") as file:
                about = os.fstat(file.fileno())
                if not stat.S_ISREG(about.st_mode) or not _is_mine(about):
                    return None
                if _lock(file.fileno()):
                    path.unlink(missing_ok=True)
                    return None
                ticket = json.loads(file.read(_LONGEST))
            model = Path(ticket["model"])
            if _stamp(model) != ticket["stamp"]:
                return None
            relative = relative or main_file(model)
            found = model_file(model, relative)
            return (relative, found.open("rb")) if found else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _is_mine(about: os.stat_result) -> bool:
    """Whether this user owns it, and no other may read or write it."""
    return about.st_uid == os.geteuid() and not about.st_mode & 0o077


def _lock(descriptor: int) -> bool:
    """Take the lock on a file, if no process holds it."""
    import fcntl  # not on Windows, where everything else here can still be imported

    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _stamp(model: Path) -> list[int]:
    """What the main file of a model is now: inode, size, time of change."""
    path = model_file(model, main_file(model))
    if path is None:
        raise FileNotFoundError(model)
    about = path.stat()
    return [about.st_ino, about.st_size, about.st_mtime_ns]
