"""The proof: convert a model, run the file, and compare it with TensorFlow, all in children.

Where nothing may be run (the file brings code along and is not trusted), nothing is. A ``.tflite``
file has no TensorFlow to be compared with: its two ways of running are compared with each other.
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from varhandle.conversion.converter import Conversion, convert
from varhandle.display import Rich, panel_html, printable
from varhandle.evaluate.example_inputs import CallsError, example_calls
from varhandle.evaluate.parity import PLAIN, Parity, answers, check_parity, compare_kernels
from varhandle.evaluate.reference import NotRepeatableError, reference_answers
from varhandle.formats import format_of, read_graph
from varhandle.formats.trust import NotTrustedError, check_trust
from varhandle.graph import Graph
from varhandle.sandbox import Record, run_isolated
from varhandle.sandbox.record import short_message

CALLS = 5
LOOSE = 1e-3
"""What a sound file may differ by where its additions are many: ten times what float32 is allowed
in ``parity``. Differences between the two are reported, and not called wrong."""

QUANTIZED = 0.1
"""What the two ways of running a quantized file may differ by: each kernel may round by a step, and
float outputs do not tell the step."""

_QUANTIZED_OPS = frozenset({"QUANTIZE", "DEQUANTIZE"})
_RUN_SECONDS = 120.0
_SATURATION_CALLS = 300  # more than int8 has steps


@dataclass(frozen=True, repr=False, eq=False)
class Proof(Rich):
    """What converting, running and comparing showed."""

    conversion: Conversion | None = None  # ``None`` where nothing was converted
    content: bytes | None = None  # the .tflite file: the one made, or the model itself
    parity: Parity | None = None  # ``None`` where nothing was compared
    calls: Sequence[Mapping[str, Any]] = ()
    reference: str = ""  # "TensorFlow", or "itself": with and without the default delegates
    reason: str = ""  # why there is no (full) proof, in one line
    # For a state that is added to in integers: after how many equal calls the answers stopped
    # changing; ``None`` if they went on, or it was not tried.
    stuck_after: int | None = None
    # What TensorFlow was asked, of which ``calls`` are the first, and its answers.
    asked: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    answered: Sequence[Mapping[str, Any]] = field(default=(), repr=False)

    @property
    def refused(self) -> bool:
        """Whether the converter was tried and gave no file."""
        return self.conversion is not None and self.content is None

    @property
    def passed(self) -> bool:
        """Whether the file answers as what it was compared with."""
        return self.parity is not None and self.parity.passed

    def _headline(self) -> str:
        if self.refused:
            return "the converter gave no file"
        if self.parity is None:
            return "not proven"
        if all(run.refusal for run in self.parity.runs):
            return "no interpreter here runs the file"
        if self.reference == "itself":
            same = "answers alike" if self.passed else "does NOT answer alike"
            return f"over {len(self.calls)} calls it {same} with and without the default delegates"
        same = "answers as" if self.passed else "does NOT answer as"
        return f"converted; over {len(self.calls)} calls it {same} TensorFlow"

    def __repr__(self) -> str:
        return f"Proof({self._headline()}{': ' + self.reason if self.reason else ''})"

    def text(self) -> str:
        """Return the outcome, each way of running the file, and what is missing."""
        return "\n".join([f"proof: {self._headline()}", *(f"  {line}" for line in self._lines())])

    def _lines(self) -> list[str]:
        verdicts = {}
        for run in self.parity.runs if self.parity else ():
            notes = f" ({printable('; '.join(run.notes))})" if run.notes else ""
            verdicts[run.kernels] = f"{printable(run.verdict)}{notes}"
        refused = self.parity is not None and all(run.refusal for run in self.parity.runs)
        if refused and len(set(verdicts.values())) == 1:
            verdicts = {" and ".join(verdicts): next(iter(verdicts.values()))}
        lines = [f"{kernels}: {words}" for kernels, words in verdicts.items()]
        return [*lines, self.reason] if self.reason else lines

    def html(self) -> str:
        """Return the same as a panel."""
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in self._lines())
        body = self.parity.html() if self.parity is not None and not self.reason else lines
        tone = "right" if self.passed else "neutral" if self.parity is None else "raised"
        return panel_html(tone, f"proof: {self._headline()}", body)

    def as_dict(self) -> dict[str, Any]:
        """Return a summary as plain data, fit for JSON."""
        record = self.conversion.record if self.conversion else None
        return {
            "outcome": self._headline(),
            "reason": self.reason or None,
            "converter": None if record is None else _record_dict(record),
            "bytes": None if self.content is None else len(self.content),
            "compared_with": self.reference or None,
            "parity": None if self.parity is None else self.parity.as_dict(),
        }


def _record_dict(record: Record) -> dict[str, Any]:
    return {
        "outcome": record.outcome,
        "exception": record.exception_type,
        "message": printable(short_message(record.message)) or None,
        "errors": [{"op": error.op, "code": error.code} for error in record.errors],
        "seconds": round(record.seconds, 2),
    }


def prove(
    graph: Graph,
    signature: str | None,
    *,
    inputs: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    trust: bool = False,
    timeout: float = 300.0,
    accumulates_state: bool = False,
    reference_calls: int = 0,
) -> Proof:
    """Convert a model, run the file and compare it. Nothing that the model does is raised here.

    The signature is converted and called (``None`` where the model has none), with ``inputs`` as
    ``load_calls`` takes them, or made-up ones. Where the file accumulates a state in integers, it
    is called often enough to see whether the answers stop changing. TensorFlow is asked for
    ``reference_calls`` made-up calls, where those are more than are compared here.

    Raises:
        CallsError: ``inputs`` do not fit.
    """
    if not Path(graph.source).exists():
        return Proof(reason="the model is in memory only: nothing was converted or run")
    try:
        check_trust(graph, trust)
    except NotTrustedError as error:
        return Proof(reason=f"nothing was run: {error}; --trust allows it")
    if format_of(graph).is_converted:
        return _prove_file(graph, signature, inputs, timeout, accumulates_state)
    return _prove_source(
        graph, signature, inputs, trust=trust, timeout=timeout, reference_calls=reference_calls
    )


def _prove_source(
    graph: Graph,
    signature: str | None,
    inputs: Any,
    *,
    trust: bool,
    timeout: float,
    reference_calls: int,
) -> Proof:
    keys = None if signature is None else [signature]
    conversion = convert(graph.source, signature_keys=keys, trust=trust, timeout=timeout)
    content = conversion.content
    if content is None:
        return Proof(conversion, reason=converter_words(conversion.record))
    made = read_graph(content)
    name = made.signatures[0].name if len(made.signatures) == 1 else signature
    # A Keras file names its inputs in its code; the file made from it has them in any case.
    called = format_of(graph).call_signature(graph, signature)
    called = called or next(iter(made.signatures), made.main_signature)
    try:
        asked = example_calls(graph, called, max(CALLS, reference_calls), inputs, content).calls
    except CallsError as error:
        if inputs is not None:
            raise
        return Proof(conversion, content, reason=str(error))
    calls = asked if inputs is not None else asked[:CALLS]
    record = reference_answers(graph.source, asked, signature, trust, timeout)
    if not record.ok:
        reason = f"not compared with TensorFlow: {_reference_words(record)}"
        return Proof(conversion, content, calls=calls, reason=reason)
    expected = record.value[: len(calls)]
    if not name:
        expected = [_named_as_in(made, answer) for answer in expected]
    try:
        parity, reason = _compared(expected, content, calls, name, timeout)
    except KeyError as error:
        reason = f"not compared: the file takes other inputs ({printable(error.args[0])})"
        return Proof(conversion, content, calls=calls, reason=reason)
    return Proof(
        conversion,
        content,
        parity,
        calls,
        "TensorFlow",
        reason,
        asked=asked,
        answered=record.value,
    )


def _compared(
    expected: Any, content: bytes, calls: Any, name: str | None, timeout: float
) -> tuple[Parity, str]:
    """Compare with the reference; a difference of rounding is reported, and not called wrong."""
    limit = min(timeout, _RUN_SECONDS)
    parity = check_parity(expected, content, calls, signature=name, timeout=limit)
    small = all(  # where NaN or a stuck state was noted, no tolerance makes it right
        not r.refusal and not r.notes and r.largest_difference <= LOOSE for r in parity.runs
    )
    if parity.passed or not small:
        return parity, ""
    loose = check_parity(expected, content, calls, signature=name, tolerance=LOOSE, timeout=limit)
    if not loose.passed:
        return parity, ""
    largest = max(run.largest_difference for run in loose.runs)
    return loose, f"the answers differ by up to {largest:.1e} of their size, as rounding does"


def _named_as_in(made: Graph, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Name the outputs of a GraphDef as the file does: it has them in the order asked for.

    One that hands an input through is called as the input in the file.
    """
    names = [spec.name for spec in made.functions[0].outputs]
    if len(set(names)) != len(answer):
        return answer
    return dict(zip(names, answer.values(), strict=True))


def _reference_words(record: Record) -> str:
    if record.exception_type == NotRepeatableError.__name__:
        return f"{record.message}; a model that takes them as an input can be compared"
    return f"{record.exception_type or record.outcome}: {printable(short_message(record.message))}"


_OP_COMPLAINT = re.compile(r"error: (?:loc\(.*\): )?'(tfl?\.\w+)' op ([^\n]+)")
"""How the converter words its complaint about one op."""


def converter_words(record: Record) -> str:
    """Say in one line why the converter gave no file."""
    if record.outcome == "crashed":
        return f"the converter died ({record.exit_signal or 'without a word'})"
    if record.outcome == "timed out":
        return "the converter did not end in time, and was ended"
    if record.outcome == "out of memory":
        return f"the converter was ended: {record.message.removeprefix('ended: ')}"
    if record.failing_ops:
        complaint = _OP_COMPLAINT.search(record.message)
        words = f": {printable(complaint[1])} {printable(complaint[2])}" if complaint else ""
        ops = ", ".join(map(printable, record.failing_ops))
        return f"{record.exception_type} names {ops}{words}"
    return f"{record.exception_type}: {printable(short_message(record.message))}"


def _prove_file(
    graph: Graph, signature: str | None, inputs: Any, timeout: float, accumulates_state: bool
) -> Proof:
    content = Path(graph.source).read_bytes()
    limit = min(timeout, _RUN_SECONDS)
    called = graph.signature(signature) if signature else graph.main_signature
    quantized = any(
        node.op in _QUANTIZED_OPS or node.attributes.get("asymmetric_quantize_inputs")
        for node in graph.nodes
    )
    tolerance = QUANTIZED if quantized else None
    try:
        calls = example_calls(graph, called, CALLS, inputs, content).calls
        parity = compare_kernels(
            content, calls, signature=signature, tolerance=tolerance, timeout=limit
        )
    except CallsError as error:
        if inputs is not None:
            raise
        return Proof(content=content, reason=str(error))
    except KeyError as error:
        return Proof(content=content, reason=f"not run: {printable(error.args[0])}")
    stuck = _stuck_after(content, calls[0], signature, limit) if accumulates_state else None
    reason = "a .tflite file has no TensorFlow beside it: its two ways of running were compared"
    return Proof(None, content, parity, calls, "itself", reason, stuck)


def _stuck_after(
    content: bytes, call: Mapping[str, Any], signature: str | None, timeout: float
) -> int | None:
    """Return after how many equal calls the answers stop changing, if they changed at first."""
    calls = [dict(call)] * _SATURATION_CALLS
    record = run_isolated(
        answers, content, calls, signature, PLAIN, timeout=timeout, tensorflow=False
    )
    if not record.ok:
        return None
    last_change = 0
    for number, (before, after) in enumerate(pairwise(record.value), start=1):
        if any(not np.array_equal(before[name][0], after[name][0]) for name in before):
            last_change = number
    return last_change + 1 if 0 < last_change < len(record.value) - 1 else None
