"""The side of an isolated run that happens inside the child process."""

from __future__ import annotations

import atexit
import contextlib
import linecache
import os
import pickle
import re
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from varhandle.sandbox import plain_data
from varhandle.sandbox.lock import lock_this_process

SOURCE_NAME = "<isolated>"
"""File name under which isolated source is compiled; tracebacks are searched for it."""

_FOLDERS = re.compile(r".*/(?:site-packages|python3\.\d+)/|.*/(?=[^/]+$)")

ORDER, TASK, RESULT, OUTPUT, LOG = "order", "task", "result", "stdout", "stderr"
"""Files in the folder of a run."""


def import_libraries(*, tensorflow: bool) -> None:
    """Import what tasks need, as far as it is installed, without the greetings.

    TensorFlow's log stays on for the children (the server is started so): the converter writes
    there what it never puts into the exception. It cannot be set anew in a child.
    """
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        with contextlib.suppress(ImportError):
            if tensorflow:
                import keras
                import tensorflow as tf  # noqa: F401 - imported for the children

                # It prints a summary at each export, full of temporary paths and addresses.
                keras.utils.disable_interactive_logging()
        with contextlib.suppress(ImportError):
            import ai_edge_litert.interpreter  # noqa: F401 - imported for the children
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


def run(folder: str, announce: Callable[[], None], kept: int) -> None:
    """Run the task in a folder, write the fields of its ``Record`` there, and announce them.

    ``kept`` is the descriptor that this needs. If the order says so, the process is locked before
    anything of the task is looked at, and while it has one thread.

    What the task has registered for the end of its process is called as well: TensorFlow deletes
    the files of AutoGraph then (``autograph/pyct/loader.py``).
    """
    order: dict[str, Any] = pickle.loads(Path(folder, ORDER).read_bytes())
    sys.path[:], sys.argv[:] = order["path"], order["argv"]
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    if order["umask"] is not None:  # that of the server is from when it was started
        os.umask(order["umask"])
    _redirect(sys.stdout, 1, Path(folder, OUTPUT))
    _redirect(sys.stderr, 2, Path(folder, LOG))
    # Python has no public way to call the exit functions of a process that will be killed, nor
    # to forget those of the server, which are not for this process to call.
    atexit._clear()
    dumps: Callable[[Any], bytes] = plain_data.dumps if order["lock"] else pickle.dumps
    started = time.perf_counter()
    try:
        # What Python found out about it is that of the server.
        tempfile.tempdir = None
        if order["temporary"]:
            os.environ["TMPDIR"] = folder
        if order["lock"]:
            lock_this_process(**order["lock"], kept=kept)
        import_libraries(tensorflow=order["tensorflow"])
        started = time.perf_counter()
        fields: dict[str, Any] = {"outcome": "ok", "value": _task(folder)()}
        payload = dumps({**fields, "seconds": time.perf_counter() - started})
    except BaseException as error:  # the record of any failure is the point of this module
        fields = {"outcome": "raised", **_failure(error)}
        payload = dumps({**fields, "seconds": time.perf_counter() - started})
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError):  # the code may have closed it
            stream.flush()
    growing = Path(folder, f"{RESULT}.growing")
    growing.write_bytes(payload)
    growing.replace(Path(folder, RESULT))
    announce()


def _task(folder: str) -> Callable[[], Any]:
    with Path(folder, TASK).open("rb") as file:
        task: Callable[[], Any] = pickle.load(file)
    return task


def execute(source: str, inputs: Mapping[str, Any], keep: Sequence[str]) -> dict[str, Any]:
    """Execute source text and return the names to keep; ``NameError`` if one was never defined."""
    linecache.cache[SOURCE_NAME] = (len(source), None, source.splitlines(True), SOURCE_NAME)
    module = types.ModuleType("__isolated__")
    sys.modules[module.__name__] = module  # where dataclasses and pickle look for a class's module
    namespace = module.__dict__
    namespace.update(inputs)
    exec(compile(source, SOURCE_NAME, "exec", dont_inherit=True), namespace)
    missing = [name for name in keep if name not in namespace]
    if missing:
        raise NameError(f"the cell ended without defining {', '.join(missing)}")
    return {name: namespace[name] for name in keep}


def _redirect(stream: Any, descriptor: int, path: Path) -> None:
    stream.flush()
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(target, descriptor)
    os.close(target)


def _failure(error: BaseException) -> dict[str, Any]:
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == SOURCE_NAME
    ]
    number = frames[-1].lineno if frames else getattr(error, "lineno", None)
    line = (frames[-1].line if frames else getattr(error, "text", None)) or ""
    try:
        message = str(error)
    except Exception:  # an exception of the learner's own may not even be able to speak
        message = "the exception has no readable message"
    return {
        "exception_type": type(error).__name__,
        "message": message,
        "line_number": number,
        "line": line.strip(),
        "errors": _op_errors(error),
        "traceback": _traceback(error, message),
    }


def _traceback(error: BaseException, message: str) -> str:
    """Write the traceback as Python does, from the isolated source on, without folders or carets.

    It is the same on every machine, and on every Python.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [position for position, frame in enumerate(frames) if frame.filename == SOURCE_NAME]
    shown = frames[own[0] :] if own else [one for one in frames if one.filename != __file__]
    lines = ["Traceback (most recent call last):"]
    for frame in shown:
        name = _FOLDERS.sub("", frame.filename.replace(SOURCE_NAME, "cell"), count=1)
        lines += [f'  File "{name}", line {frame.lineno}, in {frame.name}', f"    {frame.line}"]
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return "\n".join([*lines, f"{module}{kind.__qualname__}: {message}"])


def _op_errors(error: BaseException) -> list[tuple[str, str]]:
    """Read ``ConverterError.errors`` (a list of ConverterErrorData messages) as plain pairs."""
    pairs = set()
    for entry in getattr(error, "errors", None) or ():
        try:
            code = type(entry).ErrorCode.Name(entry.error_code)
            pairs.add((entry.operator.name, code))
        except (AttributeError, ValueError):
            continue
    return sorted(pairs)
