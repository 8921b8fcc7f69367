"""What all commands share: the program around them, its exit codes, and their common options."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn, Protocol

from varhandle.display import inert, one_line
from varhandle.errors import CHECK_PATH, VarhandleError, system_fault
from varhandle.extras import MissingExtraError

UNFINISHED = 1
BAD_INPUT = 2
INTERRUPTED = 130  # as a shell reports a command that Ctrl-C has ended
BROKEN_PIPE = 141  # as a shell reports a command whose reader closed the pipe
_KINDS = ("SavedModel folder or .zip", ".keras", ".h5", ".pb", ".pbtxt", ".meta")
MODEL = f"{', '.join(_KINDS)} or .tflite"
CONVERTIBLE = f"{', '.join(_KINDS[:-1])} or {_KINDS[-1]}"

Register = Callable[[Any], None]
"""Adds sub-commands to what ``argparse.ArgumentParser.add_subparsers`` returned.

Each sets ``command``, a function of the parsed options that returns the exit code.
"""


class BadInputError(VarhandleError):
    """What was asked for cannot be done; the message is for the user."""


class UnfinishedError(VarhandleError):
    """The results cannot be written; the message is for the user."""


class Result(Protocol):
    """What a command prints."""

    def text(self) -> str:
        """Return it for people."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """Return it for programs."""
        ...


def run_program(
    name: str,
    description: str,
    version: str,
    registrations: Iterable[Register],
    arguments: Sequence[str] | None = None,
) -> int:
    """Run one of the sub-commands that were registered, and return the exit code.

    2 if the input cannot be used, the result not be printed, or packages do not fit together; 130
    after Ctrl-C, 141 if the reader of the output left before its end, as ``head`` does.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a letter that a terminal does not know is no error
            stream.reconfigure(errors="backslashreplace")
    try:
        options = make_parser(name, description, version, registrations).parse_args(arguments)
        with cleanup_on_signals():
            _check_surroundings()
            result: int = options.command(options)
            sys.stdout.flush()
    except VarhandleError as error:
        print(inert(f"{name}: {one_line(error)}"), file=sys.stderr)
        return UNFINISHED if isinstance(error, UnfinishedError) else BAD_INPUT
    except BrokenPipeError:
        _leave_the_output()
        return BROKEN_PIPE
    except OSError:
        fault = _output_fault()
        if fault is None:
            raise
        print(f"{name}: standard output: {fault}", file=sys.stderr)
        _leave_the_output()
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        from varhandle.installation import misfit

        fault = misfit()
        if not fault:
            raise
        print(inert(f"{name}: {one_line(error)}; {fault}"), file=sys.stderr)
        return BAD_INPUT
    return result


def _check_surroundings() -> None:
    """Raise ``BadInputError`` where nothing can be done because of the place, and not the input."""
    try:
        Path.cwd()
    except OSError as error:
        raise BadInputError("the working folder has been deleted: change to another one") from error
    if sys.stdout is None:  # as by >&-
        raise BadInputError("standard output is closed: send it to /dev/null if nobody reads it")


@contextlib.contextmanager
def cleanup_on_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the program as an error does: temporary folders are removed."""
    numbers = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
    before: dict[int, Any] = {}

    def end(number: int, _: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)  # as a shell reports it

    if threading.current_thread() is threading.main_thread():
        for number in filter(None, numbers):
            if signal.getsignal(number) == signal.SIG_DFL:  # nohup has SIGHUP ignored
                before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _output_fault() -> str | None:
    """Say why the standard output takes not even the end of a line; ``None`` if it does."""
    try:
        descriptor = sys.stdout.fileno()
    except OSError:  # it is no file, in a test
        return None
    try:
        os.write(descriptor, b"\n")
    except OSError as error:
        return error.strerror
    return None


def _leave_the_output() -> None:
    """Otherwise Python meets the closed pipe or the full disk once more on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Once(argparse.Action):
    """Stores the value of an option, and refuses a second one: argparse takes the last silently."""

    _stored_in: Any = None

    def __call__(self, _: Any, namespace: Any, values: Any, option: str | None = None) -> None:
        if option and self._stored_in is namespace:
            option = self.option_strings[-1]  # and not as it was shortened
            also = _SEVERAL.get(option, "")
            fault = f"{option} is given twice, and takes one value"
            raise BadInputError(f"{fault}: run the command once for each{also}")
        self._stored_in = namespace
        setattr(namespace, self.dest, values)


_SEVERAL = {"--signature": "; without it, cure keeps those that share a state in one file"}
"""How several are had at once of what an option takes one of."""


class _Parser(argparse.ArgumentParser):
    """Takes options between the arguments, and says how to name a file that begins with a hyphen.

    Plain argparse gives ``locate MODEL --calls 3 FILE`` no FILE: an argument that may be left out
    is taken as left out where an option follows the one before it.
    """

    _given: Sequence[str] = ()
    _between = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in (None, "store"):
            self.register("action", name, _Once)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._given = sys.argv[1:] if args is None else list(args)
        if self._between or self._subparsers is not None or "--" in self._given:
            return super().parse_known_args(args, namespace)
        self._between = True  # what is called below calls this method again in some Pythons
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._between = False

    def print_help(self, file: Any = None) -> None:
        """Print the help; argparse itself is silent about an output that takes nothing."""
        print(self.format_help(), end="", file=file, flush=True)

    def error(self, message: str) -> NoReturn:
        from varhandle.formats.registry import TFLITE

        for given in self._given:
            # The name of a model that is not there is no hint; a file to write need not be there.
            if given.startswith("-") and (os.path.lexists(given) or TFLITE.is_named(given)):
                message += f" (if {given} is a file, write ./{given})"
        super().error(message)


def make_parser(
    name: str, description: str, version: str, registrations: Iterable[Register]
) -> argparse.ArgumentParser:
    """Return the parser of a command and of all its sub-commands."""
    parser = _Parser(prog=name, description=description)
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for register in registrations:
        register(commands)
    return parser


def print_result(result: Result, as_json: bool) -> None:
    """Print a result as text, or as one JSON object."""
    print(json.dumps(result.as_dict(), indent=2) if as_json else result.text())


@contextlib.contextmanager
def errors_as_bad_input(subject: object) -> Iterator[None]:
    """Say of a signature, inputs or a setting that do not fit ``subject`` what is wrong."""
    from varhandle.graph import ModelFileError

    try:
        yield
    except (ModelFileError, MissingExtraError):  # they say what they are about
        raise
    except VarhandleError as error:
        raise BadInputError(f"{subject}: {one_line(error)}") from error
    except OSError as error:
        raise BadInputError(f"{subject}: {system_fault(error, CHECK_PATH)}") from error
    except (KeyError, ValueError) as error:
        raise BadInputError(f"{subject}: {one_line(error)}: run it with --help") from error


@contextlib.contextmanager
def write_errors_as_unfinished(folder: Path) -> Iterator[None]:
    """Say where the results cannot be written, and that this is not the end of them."""
    try:
        yield
    except BrokenPipeError:  # the reader's, not the disk's
        raise
    except OSError as error:
        kept = "what was finished before is kept; run the same command to make the rest"
        where = error.filename or folder
        raise UnfinishedError(f"{where}: {error.strerror or error}; {kept}") from error


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def add_calls(parser: argparse.ArgumentParser) -> None:
    """Add what says how a model is to be called."""
    parser.add_argument("--signature", metavar="NAME", help="default: the one for inference")
    parser.add_argument(
        "--inputs",
        type=Path,
        metavar="INPUTS",
        help="an .npz file (an array for each input, its first axis the successive calls), an .npy "
        "file, a folder of images, or FILE.py:function or module:function that yields calls; "
        "default: what is stored with the model, else made up",
    )
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="FILE.py|MODULE",
        help="Python code of yours that defines what MODEL names: custom layers, functions, ops; "
        "repeatable",
    )
    parser.add_argument(
        "--trust", action="store_true", help="allow code that the model file brings along to run"
    )
    unlocked = "open models in processes that the kernel does not lock; not for a stranger's file"
    parser.add_argument("--no-lock", dest="lock", action="store_false", help=unlocked)


def call_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return what ``add_calls`` has added, by the names of the arguments that take it."""
    names = ("signature", "inputs", "trust", "imports", "lock")
    return {name: getattr(options, name) for name in names}


def positive_int(text: str) -> int:
    """Read an option that is 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def positive_float(text: str) -> float:
    """Read an option that is above 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number
