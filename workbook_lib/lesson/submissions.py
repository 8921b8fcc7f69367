"""What a learner hands in: is it there, does it run, and does it equal what is expected?"""

from __future__ import annotations

import dis
import inspect
import linecache
import math
import re
import sysconfig
from collections.abc import Mapping, Set
from types import TracebackType
from typing import Any

_DOES_NOTHING = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
_LONGEST_MESSAGE = 300
# The star marks code that AutoGraph rewrote: the learner's, or a library's.
_AUTOGRAPH_LOCATION = re.compile(r'File "([^"]*)", line (\d+), in .*\*\n\s*(.*)')
_AUTOGRAPH_ERROR = re.compile(r"^ {4}([A-Za-z_][\w.]*: .*)$", re.MULTILINE)
_KERAS_PREFACE = re.compile(r"^(\w+: )?Exception encountered when calling .*\.$")
_COLOR = re.compile(r"\x1b\[[\d;]*m")
_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


class Wrong(Exception):  # noqa: N818 - it reads as a verdict where a check raises it
    """Raised by a check: the answer is not right; the message says where to look next."""


class NotAttempted(Exception):  # noqa: N818 - a verdict as well
    """Raised when the learner's function is still the stub."""


class LearnerRaised(Exception):  # noqa: N818 - a verdict as well
    """Raised when the learner's own code raised; the message describes the error."""


def attempt(function: object, *args: Any, **kwargs: Any) -> Any:
    """Call the learner's function on behalf of a check.

    Raises ``Wrong``: it is not a function, or it returns nothing. Raises ``NotAttempted``: it is a
    stub: it does nothing, has a line ``name = ...``, returns ``...``, or raises
    ``NotImplementedError`` itself. Raises ``LearnerRaised``: it raised anything else.
    """
    if not callable(function):
        raise Wrong(
            f"This check calls a function, and it was given a value of type "
            f"`{type(function).__name__}`. Pass the function itself, without brackets after it."
        )
    if is_stub(function):
        raise NotAttempted
    try:
        result = function(*args, **kwargs)
    except (Exception, SystemExit) as error:
        step = learner_frame(error, getattr(inspect.unwrap(function), "__globals__", None))
        if isinstance(error, NotImplementedError) and step is not None and step.tb_next is None:
            raise NotAttempted from error
        raise LearnerRaised(describe(error, step)) from error
    if result is ...:
        raise NotAttempted
    if result is None:
        raise Wrong("Your function returned `None`. Does every way through it end in a `return`?")
    return result


def is_stub(value: object) -> bool:
    """Tell whether a value stands for "not written yet".

    A function does if it does nothing, or if a line of it is still ``name = ...``.
    """
    if value is None or value is ...:
        return True
    code = getattr(inspect.unwrap(value), "__code__", None) if callable(value) else None
    if not inspect.iscode(code):
        return False
    steps = list(dis.get_instructions(code))
    return any(map(_sets_to_dots, steps, steps[1:])) or all(
        step.opname in _DOES_NOTHING
        and (step.opname not in ("LOAD_CONST", "RETURN_CONST") or step.argval in (None, ...))
        for step in steps
    )


def _sets_to_dots(step: dis.Instruction, following: dis.Instruction) -> bool:
    # STORE_SUBSCR is not meant: `array[...] = 0`. Python 3.13 has STORE_FAST_LOAD_FAST as well.
    sets = following.opname.startswith(("STORE_FAST", "STORE_DEREF", "UNPACK_SEQUENCE"))
    return sets and step.opname == "LOAD_CONST" and step.argval is ...


def learner_frame(
    error: BaseException, namespace: Mapping[str, Any] | None = None
) -> TracebackType | None:
    """Return the innermost step of a traceback that is in the learner's code.

    Code of ``__main__``, which is the notebook, counts in any case; so does code whose globals are
    ``namespace``.
    """
    found = None
    step = error.__traceback__
    while step is not None:
        names = step.tb_frame.f_globals
        if names is namespace or names.get("__name__") == "__main__":
            found = step
        step = step.tb_next
    return found


def describe(error: BaseException, step: TracebackType | None) -> str:
    """Say what was raised."""
    text = _COLOR.sub("", str(error))
    raised = f"{type(error).__name__}: {text}".strip().removesuffix(":")
    where = "" if step is None else _line_of(step)
    if text.startswith("in user code:"):  # AutoGraph: its own traceback, then type and message
        found = _AUTOGRAPH_ERROR.search(text)
        raised = text[found.start() :] if found else text.splitlines()[-1]
        own = [line for path, *line in _AUTOGRAPH_LOCATION.findall(text) if not _in_library(path)]
        where = "\nLine {} of your code: `{}`".format(*own[-1]) if own else where
    message = _first_line(raised)
    if len(message) > _LONGEST_MESSAGE:
        message = f"{message[:_LONGEST_MESSAGE]}…"
    return message + where


def _line_of(step: TracebackType) -> str:
    frame = step.tb_frame
    code = linecache.getline(frame.f_code.co_filename, step.tb_lineno, frame.f_globals)
    return f"\nLine {step.tb_lineno} of your code: `{code.strip()}`"


def _first_line(raised: str) -> str:
    """Return the type and the first line of a message; Keras says first in which call it was."""
    first, *others = [line.strip() for line in raised.splitlines() if line.strip()]
    if others and (preface := _KERAS_PREFACE.match(first)):
        return f"{preface[1] or ''}{others[0]}"
    return first


def _in_library(path: str) -> bool:
    return path.startswith(_LIBRARIES)


def expect(answer: object, kind: type | tuple[type, ...], what: str) -> None:
    """Raise ``Wrong`` unless the answer is of a type; ``what`` says in words what to return."""
    if not isinstance(answer, kind):
        raise Wrong(f"Return {what}. This is of type `{type(answer).__name__}`.")


def same(answer: object, expected: object, *, tolerance: float = 0.0) -> bool:
    """Compare an answer with what is expected, whatever either is made of.

    Arrays and tensors are compared by value and shape, not by dtype; a list equals a tuple or an
    array of the same values in the same order. It never raises. An expected set stands for any
    order and repetition.
    """
    try:
        return _same(_plain(answer), _plain(expected), tolerance)
    except Exception:
        return False


def _same(answer: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, Mapping):
        return (
            isinstance(answer, Mapping)
            and answer.keys() == expected.keys()
            and all(same(answer[key], expected[key], tolerance=tolerance) for key in expected)
        )
    if isinstance(expected, Set):
        is_collection = isinstance(answer, (list, tuple, Set))
        return is_collection and {_plain(value) for value in answer} == set(expected)
    if isinstance(expected, (list, tuple)):
        return (
            isinstance(answer, (list, tuple))
            and len(answer) == len(expected)
            and all(
                same(mine, theirs, tolerance=tolerance)
                for mine, theirs in zip(answer, expected, strict=True)
            )
        )
    if isinstance(expected, (int, float)) and isinstance(answer, (int, float)):
        both_nan = math.isnan(answer) and math.isnan(expected)
        return both_nan or answer == expected or abs(answer - expected) <= tolerance
    return bool(answer == expected)


def _plain(value: Any) -> Any:
    """Turn tensors, arrays and NumPy scalars into Python values, bytes into text."""
    if callable(getattr(value, "numpy", None)):
        value = value.numpy()
    if callable(getattr(value, "tolist", None)):
        value = value.tolist()
    return value.decode() if isinstance(value, bytes) else value
