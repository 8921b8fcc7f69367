"""The processes in which the server runs the tool: one for a file, and each is waited for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sys
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path
from typing import Any

import psutil

import varhandle
from varhandle.errors import VarhandleError

_CHUNK = 1 << 16
_TICK = 0.1
_PATIENCE = 10.0  # seconds in which a run ends in order, and removes its temporary folders


class BusyError(VarhandleError):
    """Another run has one of the files; the message is one line."""


class ToolRun:
    """One process of the tool (``tool_process``).

    Attributes:
        id: What it is ended by; nobody can guess it.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.id = secrets.token_urlsafe(16)
        self._process = process
        self._ending: asyncio.Task[None] | None = None

    async def answers(self) -> AsyncIterator[bytes]:
        """Yield what it writes, JSON objects a line each; the last one is an answer."""
        assert self._process.stdout is not None
        yield _line({"run": self.id})
        while chunk := await self._process.stdout.read(_CHUNK):
            yield chunk
        if code := await self._process.wait():
            ended = "it was canceled" if self._ending else f"exit code {code}"
            # After half a line, perhaps.
            yield b"\n" + _line({"error": f"the run ended without an answer: {ended}"})

    def end(self) -> None:
        """Have it end, with all that it has started."""
        if not self.ending:
            self._ending = asyncio.ensure_future(self._end())

    @property
    def ending(self) -> bool:
        """Whether it was told to end, or has ended."""
        return self._ending is not None or self._process.returncode is not None

    async def close(self) -> None:
        """End it, and wait until it has."""
        self.end()
        if self._ending is not None:
            await self._ending

    async def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _PATIENCE)
        except asyncio.TimeoutError:
            for process in _tree(self._process.pid):
                with contextlib.suppress(psutil.Error):
                    process.kill()
            await self._process.wait()


def _tree(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        top = psutil.Process(pid)
        return [*top.children(recursive=True), top]
    return []


def _line(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer).encode() + b"\n"


class ToolRuns:
    """All runs of a server, and which files they have."""

    def __init__(self) -> None:
        self._holders: dict[Path, ToolRun | None] = {}  # none where it is about to be started
        self._runs: dict[str, ToolRun] = {}

    @contextlib.asynccontextmanager
    async def started(
        self, order: Mapping[str, Any], files: Collection[Path]
    ) -> AsyncIterator[ToolRun]:
        """Start a run that has some files for itself, and end it with this block.

        Raises ``BusyError``: another one has one of them. One that is ending is waited for.
        """
        await self._until_free(files)
        self._holders.update(dict.fromkeys(files))
        try:
            run = ToolRun(await _start(order))
            self._runs[run.id] = run
            self._holders.update(dict.fromkeys(files, run))
            try:
                yield run
            finally:
                await run.close()
                del self._runs[run.id]
        finally:
            for file in files:
                del self._holders[file]

    async def _until_free(self, files: Collection[Path]) -> None:
        while held := [file for file in files if file in self._holders]:
            for file in held:
                run = self._holders[file]
                if run is None or not run.ending:
                    raise BusyError(f"{file.name}: another panel is at work on it: wait for that")
            await asyncio.sleep(_TICK)

    def end(self, name: str) -> bool:
        """End a run by its id; ``False`` if there is none."""
        run = self._runs.get(name)
        if run is not None:
            run.end()
        return run is not None


async def _start(order: Mapping[str, Any]) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "varhandle.jupyter.tool_process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # -m puts this folder on the path: not one where somebody keeps a numpy.py of their own.
        cwd=Path(varhandle.__file__).parent.parent,
    )
    assert process.stdin is not None
    with contextlib.suppress(ConnectionError):  # it has died, and its exit code is told
        process.stdin.write(_line(order))
        await process.stdin.drain()
    return process
