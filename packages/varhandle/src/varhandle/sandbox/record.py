"""What came of a piece of isolated code, as plain data."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import Any

from varhandle.display import Rich, code_html, panel_html, table_html, table_text, without_color
from varhandle.errors import VarhandleError

_LONGEST = 200  # characters of a message that a notebook shows; the record keeps all of it


KILLED = "the system ended the process"
NO_CHILD = "no child could be started"


@dataclass(frozen=True, order=True)
class OpError:
    """One entry of ``ConverterError.errors``: an op that the converter could not place.

    Such as ``("tf.VarHandleOp", "ERROR_NEEDS_FLEX_OPS")``; the codes are those of TensorFlow's
    ``converter_error_data.proto``, or ``"UNKNOWN"``.
    """

    op: str
    code: str


@dataclass(frozen=True, repr=False, eq=False)
class Record(Rich):
    """The record of one isolated run.

    Attributes:
        outcome: ``"ok"``, ``"raised"``, ``"crashed"``, ``"timed out"``, ``"out of memory"`` or
            ``"cancelled"``.
        value: What the function returned, or a dictionary of the names that were kept.
        exception_type: Name of the exception's class, if one was raised.
        message: The exception's whole message, or one sentence about a crash or a limit.
        line_number: Line of the isolated source that raised, counted from 1.
        line: Text of that line.
        errors: The entries of ``ConverterError.errors``, each (op, code) once, sorted.
        traceback: The whole traceback, from the isolated source on, without folders.
        exit_signal: Name of the signal that ended a crashed process, such as ``"SIGSEGV"``.
        output: What the code printed.
        log: What the process wrote to its standard error, C++ libraries included.
        seconds: Wall-clock time in the child.
    """

    outcome: str
    value: Any = None
    exception_type: str | None = None
    message: str = ""
    line_number: int | None = None
    line: str = ""
    errors: tuple[OpError, ...] = ()
    traceback: str = ""
    exit_signal: str | None = None
    output: str = ""
    log: str = ""
    seconds: float = 0.0

    def __repr__(self) -> str:
        return f"Record({self._headline()})"

    @property
    def ok(self) -> bool:
        """Whether the code ran to its end."""
        return self.outcome == "ok"

    @property
    def ended_by_system(self) -> bool:
        """Whether the system ended it, or did not let it start: the task may have no part in it."""
        return self.outcome == "crashed" and self.message.startswith((KILLED, NO_CHILD))

    @property
    def failing_ops(self) -> tuple[str, ...]:
        """The ops that ``ConverterError.errors`` names, each once, sorted."""
        return tuple(sorted({error.op for error in self.errors if error.op}))

    def said_by(self, *errors: type[VarhandleError]) -> str:
        """Return what an error of the tool's own said, of one of these classes; else ``""``."""
        own = self.exception_type in {error.__name__ for error in errors}
        quoted = re.fullmatch(r"(['\"])(.*)\1", self.message, re.DOTALL)  # as a KeyError is
        return (quoted[2] if quoted else self.message) if own else ""

    def _headline(self) -> str:
        if self.outcome == "raised":
            where = f" at line {self.line_number}: {self.line}" if self.line_number else ""
            return f"raised {self.exception_type}{where}"
        if self.outcome == "crashed":
            return f"crashed with {self.exit_signal or 'no word'}"
        return self.outcome

    def text(self) -> str:
        """Return what happened; for a failure also the message and the ops that it names."""
        lines = [f"isolated: {self._headline()}"]
        if self.message:
            lines.append(short_message(self.message))
        if self.errors:
            lines.append(table_text(("op", "error code"), [(e.op, e.code) for e in self.errors]))
        return "\n".join(lines)

    def html(self) -> str:
        """Return the same as a panel."""
        body = code_html(self.line) if self.outcome == "raised" and self.line else ""
        if self.message:
            body += code_html(short_message(self.message))
        if self.errors:
            body += table_html(
                ("op", "error code"), [(e.op, e.code) for e in self.errors], "ConverterError.errors"
            )
        calm = {"ok": "neutral", "cancelled": "neutral", "raised": "wrong"}
        tone = calm.get(self.outcome, "raised")
        title = self._headline().removesuffix(f": {self.line}")  # the line stands below, as code
        return panel_html(tone, f"isolated: {title}", body)


_TELLING = re.compile(r"LLVM ERROR|Check failed|Fatal Python error|terminate called|^\w+Error\b")
_OF_LOGGING = re.compile(
    r"[IWE]\d{4} |WARNING: All log messages|To enable the following instructions"
)
_PREFIX = re.compile(r"^F\d{4} [\d:. ]+")


def telling_line(log: str) -> str:
    """Return the last line of a log that says why a library gave up, or ``""``."""
    lines = [line.strip() for line in log.splitlines()]
    return next((line for line in reversed(lines) if _TELLING.search(line)), "")


def last_words(log: str) -> str:
    """Return what a library wrote as it ended the process, in one short line, or ``""``."""
    lines = [line for line in log.splitlines() if line.strip() and not _OF_LOGGING.match(line)]
    return short_message(_PREFIX.sub("", telling_line(log) or (lines or [""])[-1]))


_IN_A_FILE = re.compile(r'File ".*", line \d+, in ')
_IN_A_LAYER = re.compile(r"(?:\w+: )?Exception encountered when calling ")


def short_message(message: str) -> str:
    """Return the line that tells, as a notebook shows it: short, without temporary paths.

    It is the first one, but that traced functions and layers say first where they are.
    """
    first, lines = "", iter(without_color(message).splitlines())
    for line in map(str.strip, lines):
        if _IN_A_FILE.match(line):
            next(lines, None)  # the line of code
        elif line and line != "in user code:":
            first = first if first and _IN_A_LAYER.match(line) else line
            if not _IN_A_LAYER.match(line):
                break
    first = first or message.strip()
    first = re.sub(r"^\{\{.*?\}\} ", "", first)  # TensorFlow's name for the node that failed
    first = re.sub(r"(?:/[\w.+-]+)+/tmp\w{6,}|/tmp/\w+", "<temporary folder>", first)
    return textwrap.shorten(first, _LONGEST, placeholder=" …")
