"""Parity: does the .tflite file answer as TensorFlow does, call after call?

"It converted" proves nothing: on TensorFlow 2.21 the dangerous files convert, run, and answer
whatever lies on the heap. So a candidate runs several calls in a row, on several inputs, twice:
with the default delegates, and with the plain kernels alone, which refuse an uninitialized
variable that the XNNPACK delegate reads without a word. Both runs happen in a child process. The
.tflite side imports no TensorFlow.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from varhandle.display import RichTable, Table, panel_html, printable
from varhandle.errors import UnknownNameError
from varhandle.evaluate.reference import Names, RefusedCallError, steps_of
from varhandle.evaluate.session import Array, Inputs, Session, model_bytes
from varhandle.progress_bar import busy
from varhandle.sandbox import Record, run_with_retry

Answer = dict[str, tuple[Array, float]]
"""Output name to the answer, in real values, and the step of its scale: 0.0 if not quantized."""

TOLERANCES = {"float64": 1e-6, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
"""Largest difference allowed by the dtype of an output, as a share of max(1, |expected|).

Some hundred rounding steps of the dtype: kernels may add in another order than TensorFlow does.
Complex numbers are allowed what float32 is; integers, booleans and strings must be equal.
"""

DELEGATES = "default delegates"
PLAIN = "plain kernels"


@dataclass(frozen=True)
class Run:
    """One way of running the candidate, compared with the reference."""

    kernels: str  # such as ``"default delegates"``
    agreeing: int  # on how many calls all outputs agreed
    calls: int  # how many calls were to be made
    refusal: str = ""  # why the interpreter did not run to the end, in one line
    # |answer - expected| / max(1, |expected|), of the finite ones: ``notes`` tell of the others.
    largest_difference: float = 0.0
    notes: tuple[str, ...] = ()  # what is odd about the answers, in words
    # The op that refused a call where the values or sizes of its inputs may be the reason, and not
    # the file; not in JSON.
    refused_by: str = ""

    @property
    def verdict(self) -> str:
        """What to say of this run in a few words."""
        if self.refusal:
            return f"refused: {self.refusal}"
        return f"{self.agreeing} of {self.calls} calls agree"

    def as_dict(self) -> dict[str, Any]:
        """Return the run as plain data, fit for JSON; ``refusal`` is ``None`` if there was none."""
        refusal = printable(self.refusal, None) or None
        notes = [printable(note, None) for note in self.notes]
        told = {**vars(self), "refusal": refusal, "notes": notes}
        del told["refused_by"]
        return told


@dataclass(frozen=True, repr=False)
class Parity(RichTable):
    """Whether a .tflite file answers as its reference does."""

    runs: tuple[Run, ...]  # with the default delegates, then with the plain kernels
    tolerance: float | None = None  # as the caller gave it; ``None`` for that of each dtype

    @property
    def passed(self) -> bool:
        """Whether every call of every run agreed."""
        return all(not run.refusal and run.agreeing == run.calls for run in self.runs)

    @classmethod
    def of_all(cls, parities: Sequence[Parity]) -> Parity:
        """Put comparisons of the same file together: their calls are added up."""
        together = zip(*(parity.runs for parity in parities), strict=True)
        tolerances = [p.tolerance for p in parities if p.tolerance is not None]
        return cls(tuple(map(_added, together)), max(tolerances, default=None))

    def run(self, kernels: str) -> Run:
        """Return the run of that name; ``KeyError`` if there is none."""
        return {run.kernels: run for run in self.runs}[kernels]

    def _headline(self) -> str:
        return f"parity: {'the same answers' if self.passed else 'NOT the same answers'}"

    def _allowed(self) -> str:
        return "by dtype" if self.tolerance is None else f"{self.tolerance:g}"

    def _table(self) -> Table:
        columns = 3 if any(run.notes for run in self.runs) else 2
        rows = [(run.kernels, run.verdict, "; ".join(run.notes))[:columns] for run in self.runs]
        caption = f"Answers of the .tflite file beside TensorFlow's, tolerance: {self._allowed()}"
        return ("run with", "verdict", "notes")[:columns], rows, caption

    def __repr__(self) -> str:
        verdicts = "; ".join(f"{run.kernels}: {run.verdict}" for run in self.runs)
        return f"Parity({'passed' if self.passed else 'failed'}: {verdicts})"

    def text(self) -> str:
        """Return the verdict and a line for each way of running the file."""
        return f"{self._headline()} (tolerance: {self._allowed()})\n{super().text()}"

    def html(self) -> str:
        """Return the same as a panel."""
        tone = "right" if self.passed else "raised"
        return panel_html(tone, self._headline(), super().html())

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data, fit for JSON; no values of arrays."""
        runs = [run.as_dict() for run in self.runs]
        return {"passed": self.passed, "tolerance": self.tolerance, "runs": runs}


def _added(runs: Sequence[Run]) -> Run:
    failing = [run for run in runs if run.refusal or run.agreeing < run.calls]
    return Run(
        runs[0].kernels,
        sum(run.agreeing for run in runs),
        sum(run.calls for run in runs),
        next((run.refusal for run in runs if run.refusal), ""),
        max(run.largest_difference for run in runs),
        tuple(sorted({note for run in runs for note in run.notes})),
        ops.pop() if len(ops := {run.refused_by for run in failing}) == 1 else "",
    )


def check_parity(
    reference: Callable[..., Any] | Sequence[Any],
    candidate: bytes | str | os.PathLike[str],
    calls: Sequence[Inputs] | Inputs,
    *,
    signature: str | None = None,
    tolerance: float | None = None,
    timeout: float = 120.0,
) -> Parity:
    """Compare a .tflite file with the model that it came from.

    A candidate that is refused, crashes or hangs is a failed run, never an exception here.

    Args:
        reference: A Keras model, a ``tf.function``, a signature of a SavedModel, or any callable.
            It is called once for each call, with one array, or with named arrays where a call is a
            mapping, and returns an array, a mapping or a sequence of arrays. Give a fresh one if it
            keeps a state. Of an object's method, keep the object as well: a ``tf.function`` holds
            it only weakly. Or the answers themselves, one for each call, where they are known.
        candidate: The .tflite file.
        calls: The inputs of the successive calls. A single call is made three times over.
        signature: The candidate's signature to run; the only one if ``None``.
        tolerance: Share of max(1, |expected|) that the outputs may differ by; for each output
            that of its dtype if ``None`` (see ``TOLERANCES``). A quantized output may always
            differ by two steps of its scale.
        timeout: Seconds that each run of the candidate may take.

    Raises:
        ModelFileError: ``candidate`` is a path that cannot be read.
        ValueError: There are no calls, the reference has no outputs, or there is not one ready
            answer for each call.
        KeyError: The candidate has no such signature, or no such input.
    """
    inputs = _as_calls(calls)
    content, _ = model_bytes(candidate)
    with busy("comparing with TensorFlow"):
        if callable(reference):
            expected = [_named(_ask(reference, call)) for call in inputs]
        elif len(reference) == len(inputs):
            expected = [_named(answer) for answer in reference]
        else:
            fault = f"{len(reference)} ready answers for {len(inputs)} calls"
            raise ValueError(f"{fault}: give one for each")
        if not expected[0]:
            raise ValueError("the reference returned no outputs: take one that does")
        records = run_both(content, inputs, signature, timeout)
    runs = [compare_run(kernels, one, expected, tolerance) for kernels, one in records.items()]
    return Parity(tuple(runs), tolerance)


def run_both(
    content: bytes, calls: Sequence[Inputs] | Inputs, signature: Names, timeout: float
) -> dict[str, Record]:
    """Run a file both ways. Wrong names are the caller's mistake, and not the file's: KeyError."""
    named, records = _as_calls(calls), {}
    for kernels in (DELEGATES, PLAIN):
        record = run_with_retry(
            file_answers, content, named, signature, kernels, timeout=timeout, tensorflow=False
        )
        records[kernels] = checked_names(record)
    return records


def checked_names(record: Record) -> Record:
    """Raise ``KeyError`` where a run was given names that the file does not have."""
    if told := record.said_by(UnknownNameError):
        raise UnknownNameError(told)
    return record


def compare_kernels(
    records: Mapping[str, Record], calls: int, tolerance: float | None = None
) -> Parity:
    """Compare the two ways of running a .tflite file with each other: there is no reference.

    That both answer alike does not make the answers right. That they differ, or that the plain
    kernels refuse what the default delegates run, shows that the file is wrong. Each way is
    compared with the answers of the other (with its own, where the other refused). ``records`` are
    those of ``run_both``.
    """
    runs = []
    for kernels, other in ((DELEGATES, PLAIN), (PLAIN, DELEGATES)):
        answered = records[other] if records[other].ok else records[kernels]
        found = answered.value if answered.ok else [{}] * calls
        expected = [{name: value for name, (value, _) in call.items()} for call in found]
        runs.append(compare_run(kernels, records[kernels], expected, tolerance))
    return Parity(tuple(runs), tolerance)


def open_sessions(
    content: bytes, names: Iterable[str | None], *, delegates: bool
) -> dict[str | None, Session]:
    """Open a file once, with a session for each signature: they share its state."""
    first, *others = dict.fromkeys(names)
    session = Session(content, signature=first, delegates=delegates, strict=False)
    if not others:
        return {first: session}
    opened = session.interpreter
    del session
    return {
        name: Session(content, signature=name, strict=False, shared=opened)
        for name in (first, *others)
    }


def file_answers(
    content: bytes, calls: Sequence[dict[str, Array]], signature: Names, kernels: str
) -> list[Answer]:
    """Run a .tflite file over successive calls of one interpreter. It may end the process.

    ``kernels`` is ``DELEGATES`` or ``PLAIN``; the only input may go by ``""``.
    """
    steps = steps_of(calls, signature)
    sessions = open_sessions(content, (name for name, _ in steps), delegates=kernels == DELEGATES)
    return [answer_call(sessions[name], call) for name, call in steps]


def answer_call(session: Session, call: Mapping[str, Array]) -> Answer:
    """Make one call as :func:`file_answers` does, each input in the dtype that the file takes."""
    fed = {next(iter(session.inputs)): call[""]} if set(call) == {""} else dict(call)
    for name in fed.keys() & session.inputs.keys():
        tensor = session.inputs[name]
        if not (tensor.quantized and fed[name].dtype.kind == "f"):  # the session quantizes floats
            fed[name] = fed[name].astype(tensor.dtype, copy=False)
    steps = {name: one.scale if one.quantized else 0.0 for name, one in session.outputs.items()}
    try:
        got = session(fed)
    except RuntimeError as error:
        raise RefusedCallError(str(error)) from error
    return {name: (np.array(array), steps[name]) for name, array in got.items()}


def _as_calls(calls: Sequence[Inputs] | Inputs) -> list[dict[str, Array]]:
    if isinstance(calls, Mapping) or hasattr(calls, "shape"):
        calls = [calls] * 3
    named = [
        {name: np.asarray(value) for name, value in call.items()}
        if isinstance(call, Mapping)
        else {"": np.asarray(call)}
        for call in calls
    ]
    if not named:
        raise ValueError("there is no call to compare: give at least one call")
    return named


def _ask(reference: Callable[..., Any], call: Mapping[str, Array]) -> Any:
    if set(call) == {""}:
        return reference(call[""])
    if hasattr(reference, "layers"):  # a Keras model takes its named inputs as one mapping
        return reference(dict(call))
    return reference(**call)


def _named(outputs: Any) -> dict[str, Array]:
    """Give the outputs of a reference names: its own, or their positions."""
    if isinstance(outputs, Mapping):
        return {str(name): np.array(value) for name, value in outputs.items()}
    if isinstance(outputs, (list, tuple)):
        return {str(position): np.array(value) for position, value in enumerate(outputs)}
    return {"0": np.array(outputs)}


def compare_run(
    kernels: str, record: Record, expected: list[dict[str, Array]], tolerance: float | None
) -> Run:
    """Compare what came of :func:`file_answers` with the reference's answers, call by call.

    A run that did not end well says why it did not.
    """
    if not record.ok:
        refused_by = _refused_by(record)
        return Run(kernels, 0, len(expected), refusal=_refusal(record), refused_by=refused_by)
    agreeing, largest = 0, 0.0
    notes: set[str] = set()
    for got, wanted in zip(record.value, expected, strict=True):
        if len(got) != len(wanted):
            counts = f"{len(got)} outputs where the reference has {len(wanted)}"
            return Run(kernels, 0, len(expected), refusal=counts)
        checks = [
            _difference(got[mine], wanted[theirs], tolerance)
            for mine, theirs in paired_outputs(got, wanted)
        ]
        agreeing += all(same for same, _, _ in checks)
        largest = max([largest, *(difference for _, difference, _ in checks)])
        notes.update(note for _, _, note in checks if note)
    if not any(value.size for answer in expected for value in answer.values()):
        notes.add("no output holds a value: nothing was compared")
    if agreeing < len(expected) and _stuck(record.value, expected):
        notes.add("the answer stops changing where TensorFlow's goes on")
    return Run(kernels, agreeing, len(expected), "", largest, tuple(sorted(notes)))


def paired_outputs(got: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pair each output with the reference's: by name if both have the same names, else by order.

    Where one has more of them, as a file of a part of the model, those pair that have one name.
    """
    if len(got) != len(wanted):
        return [(name, name) for name in wanted if name in got]
    names = wanted if set(got) == set(wanted) else sorted(got, key=_natural)
    return list(zip(names, wanted, strict=True))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts ``output_10`` after ``output_9``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _difference(
    answer: tuple[Array, float], wanted: Array, tolerance: float | None
) -> tuple[bool, float, str]:
    """Compare one output: whether it agrees, its relative difference, and what is odd."""
    got, step = answer
    if got.shape != wanted.shape:
        return False, 0.0, f"shape {list(got.shape)} where TensorFlow has {list(wanted.shape)}"
    if tolerance is None:
        calculated = "float32" if wanted.dtype.kind == "c" else wanted.dtype.name
        tolerance = TOLERANCES.get(calculated, 0.0)
    if not _real_or_complex(wanted) or not _real_or_complex(got):
        return _exact_difference(got, wanted)
    size = np.fmax(1.0, np.abs(_wide(wanted)))  # 1.0 beside NaN
    with np.errstate(invalid="ignore"):
        relative = absolute_errors(got, wanted) / size
    limit = np.maximum(tolerance, 2 * step / size)
    finite = relative[np.isfinite(relative)]
    note = odd_values(got, wanted, "TensorFlow")
    return bool(np.all(relative <= limit)), float(finite.max(initial=0.0)), note


def _exact_difference(got: Array, wanted: Array) -> tuple[bool, float, str]:
    """Compare what is not rounded: widened to float64, integers above 2**53 would look alike."""
    if np.array_equal(got, wanted):
        return True, 0.0, ""
    if got.dtype.kind not in "iub" or wanted.dtype.kind not in "iub":
        return False, 0.0, "other values than TensorFlow's, and no numbers"
    theirs = _wide(wanted[got != wanted])
    apart = np.fmax(1.0, np.abs(_wide(got[got != wanted]) - theirs))
    return False, float((apart / np.fmax(1.0, np.abs(theirs))).max()), ""


def absolute_errors(got: Array, wanted: Array) -> Array:
    """Return |got - wanted|: 0 for the same, NaN included, infinity for NaN on one side alone."""
    mine, theirs = _wide(got), _wide(wanted)
    with np.errstate(invalid="ignore", over="ignore"):
        errors = np.abs(mine - theirs)
    return np.where(_same(mine, theirs), 0.0, np.where(np.isnan(errors), np.inf, errors))


def _same(mine: Array, theirs: Array) -> Array:
    return (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))


CLAMPED = "the largest number of its dtype where {} has infinity"


def odd_values(got: Array, wanted: Array, whose: str) -> str:
    """Say what is odd where one of the two has no number; empty where both have the same there.

    ``whose`` values ``wanted`` are. No figure of a difference tells of these places.
    """
    mine, theirs = _wide(got), _wide(wanted)
    odd = ~_same(mine, theirs) & ~(np.isfinite(mine) & np.isfinite(theirs))
    mine, theirs = mine[odd], theirs[odd]
    broken, lost = np.isfinite(theirs), np.isfinite(mine)
    notes = []
    if broken.any():
        notes.append(f"NaN or infinity where {whose} has numbers")
    if lost.any():
        most = largest_of(got.dtype)
        is_clamped = np.isinf(theirs) & (np.abs(mine) == most) & (np.sign(mine) == np.sign(theirs))
        numbers = f"numbers where {whose} has NaN or infinity"
        notes.append(CLAMPED.format(whose) if is_clamped[lost].all() else numbers)
    if not (broken | lost).all():
        notes.append(f"another infinity, or NaN, than {whose} has")
    return ", ".join(notes)


def largest_of(dtype: np.dtype[Any]) -> float:
    """Return the largest number of a dtype of floats; infinity for any other."""
    return float(np.finfo(dtype).max) if dtype.kind == "f" else float("inf")


def _real_or_complex(array: Array) -> bool:
    """Whether values may be rounded: floats, complex numbers, and bfloat16, which NumPy lacks."""
    return array.dtype.kind in "fc" or array.dtype.name in TOLERANCES


def _wide(array: Array) -> Array:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _stuck(got: list[Answer], expected: list[dict[str, Array]]) -> bool:
    """Tell whether the last two answers are equal where the reference's differ."""
    if len(got) < 2:
        return False
    if got[-2].keys() != got[-1].keys():  # of two signatures
        return False
    before, after = ([value for value, _ in call.values()] for call in got[-2:])
    same = all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    wanted = zip(expected[-2].values(), expected[-1].values(), strict=True)
    return same and not all(np.array_equal(a, b) for a, b in wanted)


def _refusal(record: Record) -> str:
    """Return why a run did not end, in one line: the kernel's own words where it gave any."""
    if record.outcome != "raised":
        return record.message
    line = record.message.strip().splitlines()[0] if record.message.strip() else ""
    check = re.search(r"\w+\.cc:\d+ (.+?was not true\.?)", line)
    return (check.group(1) if check else line)[:160]


_REFUSING_NODE = re.compile(r"Node number (\d+) \((\w+)\) failed to (?:invoke|prepare)")
_WHATEVER_THE_VALUES = re.compile(
    r"\btypes?\b|support|implement|\bvariable|\bcustom|\bversion", re.I
)


def _refused_by(record: Record) -> str:
    if record.exception_type != RefusedCallError.__name__:
        return ""
    _, nodes = split_refusal(record.message)
    return nodes[0][1] if nodes and not _WHATEVER_THE_VALUES.search(record.message) else ""


def split_refusal(message: str) -> tuple[str, list[tuple[int, str]]]:
    """Split what an interpreter raises: a kernel's words, and the nodes that failed by them.

    A node is told by its number in its subgraph and its op, that of an inner subgraph first.
    """
    nodes = [(int(number), op) for number, op in _REFUSING_NODE.findall(message)]
    return message.partition("Node number")[0].strip(), nodes
