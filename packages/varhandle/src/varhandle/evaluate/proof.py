"""The proof: convert a model, run the file, and compare it with TensorFlow, all in children.

``diagnose`` and ``cure`` share it. Every signature that a file keeps is called, each on a fresh
copy of the model, and then all in turns, since they may share a state. Where nothing may be run
(the file brings code along and is not trusted), nothing is. A ``.tflite`` file has no TensorFlow to
be compared with: its two ways of running are compared with each other.
"""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from varhandle.conversion.converter import Conversion, convert
from varhandle.display import Rich, counted, join_names, panel_html, printable
from varhandle.evaluate.example_inputs import CallsError, Lazily, Origin, example_calls
from varhandle.evaluate.parity import (
    DELEGATES,
    PLAIN,
    TOLERANCES,
    Parity,
    compare_kernels,
    file_answers,
    run_both,
    split_refusal,
)
from varhandle.evaluate.reference import (
    Answer,
    Call,
    ModelAnswers,
    NotRepeatableError,
    RefusedCallError,
    ask_model,
    loader_of,
    same_values,
)
from varhandle.evaluate.stateful_parity import CarriedState, compare_file, insensitive_signatures
from varhandle.facts.graph_ops import FILE, NETWORK
from varhandle.facts.recipes import needs_calibration
from varhandle.formats import format_of, read_graph
from varhandle.formats.base import LoadedModel, RefusedByLibraryError
from varhandle.formats.custom_code import Import
from varhandle.formats.trust import NotTrustedError, check_trust
from varhandle.graph import Graph, Signature
from varhandle.progress_bar import busy
from varhandle.sandbox import Record, run_isolated
from varhandle.sandbox.lock import denied_by_lock, is_lock_on
from varhandle.sandbox.record import KILLED, NO_CHILD, short_message
from varhandle.tflite.externalize_state import Lifted

CALLS = 5
STATEFUL_CALLS = 20
"""Calls that are made up: of a state more, since a ring or a counter has to go round."""

LOOSE = 1e-3
"""What a sound file may differ by where its additions are many: ten times what float32 is allowed
in ``parity``. Differences between the two are reported, and not called wrong."""

QUANTIZED = 0.1
"""What the two ways of running a quantized file may differ by: each kernel may round by a step, and
float outputs do not tell the step."""

_NO_ONES: frozenset[Origin] = frozenset({"graph", "made up"})
"""Origins of inputs that no user has: what was calibrated with them is not proved by them."""

_QUANTIZED_OPS = frozenset({"QUANTIZE", "DEQUANTIZE"})
_RUN_SECONDS = 120.0
_SATURATION_CALLS = 300  # more than int8 has steps
_BRING = "bring inputs of your own (--inputs)"
_CALL_IT = "call it in the program that it comes from, and mend it there"


@dataclass(frozen=True, eq=False)
class ReferenceCalls:
    """Successive calls of one fresh copy of a model, and the model's own answers."""

    signatures: tuple[Signature, ...]  # that of each call: one, or several in turns
    calls: Sequence[Call]
    origin: Origin
    basis: str  # what the inputs rest on, for people
    answers: Sequence[Answer] = ()  # none where the model could not be asked
    refusal: str = ""  # why it did not answer the next call
    others: Sequence[Sequence[Call]] = ()  # calls to make in their place, if it refuses the first

    @property
    def signature(self) -> Signature:
        """The signature of the first call."""
        return self.signatures[0]

    @property
    def names(self) -> list[str | None]:
        """The name of each call's signature in the model."""
        return [one.name or None for one in self.signatures]

    @property
    def in_turns(self) -> bool:
        """Whether several signatures are called."""
        return len(set(self.names)) > 1

    def names_in(self, content: bytes) -> list[str | None]:
        """Return the names in a .tflite file, which may have made one up, or have none."""
        held = [own.name for own in read_graph(content).signatures]
        other = next(iter(held), None)
        return [name if name in held else other for name in self.names]


def reference_calls(
    graph: Graph,
    signatures: Sequence[Signature],
    content: bytes,
    *,
    inputs: Any = None,
    given_to: str | None = None,
    at_least: int = 0,
) -> list[ReferenceCalls]:
    """Return what the signatures of a model are called with: each by itself, then all in turns.

    ``inputs`` are those of the signature ``given_to``, the first one if ``None``; ``content`` is
    the .tflite file that was made of the model. Where none can be made up, there are no calls.

    Raises:
        CallsError: The inputs do not fit.
    """
    names = {one.name for one in signatures}
    assigns = (access for variable in graph.variables for access in variable.assigns)
    assigned = any(not one.signatures or names & set(one.signatures) for one in assigns)
    stateful = assigned or bool(read_graph(content).variables)
    count = max(STATEFUL_CALLS if stateful else CALLS, at_least)
    found = []
    for number, signature in enumerate(signatures):
        mine = number == 0 if given_to is None else signature.name == given_to
        own = inputs if mine else None
        try:
            made = example_calls(graph, signature, count, own, content)
        except CallsError as error:
            if own is not None:
                raise
            found.append(
                ReferenceCalls((signature,), (), "made up", "no calls", refusal=str(error))
            )
        else:
            sides = (signature,) * len(made.calls)
            one = ReferenceCalls(sides, made.calls, made.origin, made.basis, others=made.others)
            found.append(one)
    return [*found, *_in_turns(found)]


def _in_turns(found: Sequence[ReferenceCalls]) -> Iterable[ReferenceCalls]:
    """Call several signatures of one copy: one of them before and after each other, then all."""
    if len(found) > 1 and all(one.calls for one in found):
        found = sorted(found, key=lambda one: not one.signature.inputs)
        first, *others = range(len(found))
        order = [n for other in others for n in (first, first, other, first)]
        order += [*range(len(found)), *reversed(range(len(found)))]

        def calls(level: int) -> list[Call]:
            levels = [min(level, len(one.others)) for one in found]
            tried = [
                one.others[own - 1] if own else one.calls
                for one, own in zip(found, levels, strict=True)
            ]
            choices = [itertools.cycle(each) for each in tried]
            return [next(choices[n]) for n in order]

        sides = tuple(found[n].signature for n in order)
        deepest = max(len(one.others) for one in found)
        more = Lazily(deepest, lambda number: calls(number + 1))
        yield ReferenceCalls(sides, calls(0), found[0].origin, "in turns", others=more)


def with_answers(
    asked: ReferenceCalls,
    load: Callable[[], LoadedModel],
    known: Sequence[ReferenceCalls] = (),
    *,
    timeout: float,
    tensorflow: bool = True,
) -> ReferenceCalls:
    """Return calls with the answers of the model that ``load`` makes copies of.

    Where ``known`` has them, nobody is asked. If the model refuses a call, those before it are what
    counts; if it refuses the first one, smaller numbers and other sizes are tried.
    """
    if not asked.calls:
        return asked
    for one in _tried(asked) if known else ():
        told = next((answer for other in known if (answer := _known_answers(one, other))), None)
        if told is not None:
            return _with_answers(one, told)
    refusal = ""
    for one in _tried(asked):
        record = ask_model(load, one.calls, one.names, timeout=timeout, tensorflow=tensorflow)
        if record.ok:
            return _with_answers(one, record.value)
        refusal = refusal or _reference_words(record, one.origin)
        if record.exception_type != RefusedCallError.__name__:
            break
    return replace(asked, refusal=refusal)


def _tried(asked: ReferenceCalls) -> Iterator[ReferenceCalls]:
    """Yield calls, and then those to make in their place."""
    yield asked
    for calls in asked.others:
        yield replace(asked, calls=calls)


def _with_answers(asked: ReferenceCalls, told: ModelAnswers) -> ReferenceCalls:
    count = len(told.answers)
    return replace(
        asked,
        signatures=asked.signatures[:count],
        calls=asked.calls[:count],
        answers=told.answers,
        refusal=told.refusal,
    )


def are_same_calls(mine: Sequence[ReferenceCalls], theirs: Sequence[ReferenceCalls]) -> bool:
    """Tell whether the same was asked twice, and answered."""
    return len(mine) == len(theirs) and all(
        len(one.calls) == len(other.calls) and _known_answers(one, other)
        for one, other in zip(mine, theirs, strict=True)
    )


def _known_answers(asked: ReferenceCalls, before: ReferenceCalls) -> ModelAnswers | None:
    """Return the answers to the same calls, if they were given before."""
    count = len(asked.calls)
    enough = len(before.answers) >= count
    same = asked.names[: len(before.names)] == before.names[:count]
    if not before.answers or not (enough or before.refusal) or not same:
        return None
    if not all(map(_same_call, asked.calls, before.calls)):
        return None
    return ModelAnswers(list(before.answers[:count]), "" if enough else before.refusal)


def _same_call(mine: Call, theirs: Call) -> bool:
    return mine.keys() == theirs.keys() and all(same_values(mine[n], theirs[n]) for n in mine)


def compare(
    content: bytes,
    asked: Sequence[ReferenceCalls],
    *,
    lifted: Lifted | None = None,
    recipe: str | None = None,
    narrow: Sequence[str] = (),
    micro: bool = False,
    timeout: float = _RUN_SECONDS,
) -> Parity | None:
    """Compare a .tflite file with all of a model's answers; ``None`` where it gave none.

    ``lifted`` is the file whose state the caller carries, ``recipe`` how it was quantized. A
    difference as rounding makes it is not called wrong; it is larger where the model calculates in
    the dtypes of half precision ``narrow``. Raises ``KeyError`` if the file takes other inputs.
    """
    made = read_graph(content)
    parities = []
    for one in asked:
        if not one.answers:
            continue
        names = one.names_in(content)
        expected = one.answers if names[0] else [_named_as_in(made, a) for a in one.answers]
        parity = compare_file(
            content,
            one.calls,
            expected,
            names,
            {name: CarriedState.of(lifted, name) for name in names},
            recipe=recipe,
            rounding=max([LOOSE, *(TOLERANCES.get(dtype, 0.0) for dtype in narrow)]),
            micro=micro,
            timeout=timeout,
        )
        parities.append(parity)
    return Parity.of_all(parities) if parities else None


def doubt(
    graph: Graph, asked: Sequence[ReferenceCalls], parity: Parity | None, recipe: str | None = None
) -> str:
    """Say why a comparison proves nothing; empty if it proves something, or shows a fault."""
    if parity is not None and not parity.passed:
        return _ended_by_system(parity) if refuses(parity) else without_numbers(asked)
    outside = _kept_outside(graph, asked)
    if outside:
        return outside
    for one in asked:
        if not one.answers:
            return f"nothing to compare {_subject([one])} with: {one.refusal}"
    if parity is None:  # the model draws, which is a difference of its own
        return ""
    poor = next((one for one in _with_inputs(asked) if one.origin in _NO_ONES), None)
    if needs_calibration(recipe) and poor is not None:
        return (
            f"{recipe} was calibrated and compared with {poor.basis}, on which it may be right and "
            f"on yours wrong: {_BRING}, as the model will meet them"
        )
    return _immobile(graph, asked, parity, recipe)


def _ended_by_system(parity: Parity) -> str:
    """Say that the machine, and not the file, ended each run that failed; empty if the file did."""
    failed = [run for run in parity.runs if run.refusal or run.agreeing < run.calls]
    if not all(run.refusal.startswith((KILLED, NO_CHILD)) for run in failed):
        return ""
    return f"{failed[0].refusal}: run it again where more memory is free"


def _kept_outside(graph: Graph, asked: Sequence[ReferenceCalls]) -> str:
    """Say what the lock kept from a trusted model: both of its sides answered without it."""
    outside = [line for line in graph.embedded_code if FILE in line or NETWORK in line]
    if not outside or not is_lock_on():
        return ""
    known = {one.name: one.function for one in graph.signatures}
    starts = {known[name] for one in asked for name in one.names if name in known}
    functions = [one for start in starts for one in graph.reachable(start)] or graph.functions
    reached = {node.op for function in functions for node in function.nodes}
    told = next((line for line in outside if line.split()[0] in reached), "")
    return told and denied_by_lock(told, ", and it may answer otherwise with it")


def _immobile(
    graph: Graph, asked: Sequence[ReferenceCalls], parity: Parity, recipe: str | None
) -> str:
    """Say that answers do not move with the inputs: a file that always says the same would pass.

    What a signature assigns shows in the answers of the others, with which it is called in turns;
    one that takes no inputs has one answer, and stands beside those that have more.
    """
    moving: set[str | None] = set()
    for one in asked:
        told = insensitive_signatures(one.answers, one.names, parity, recipe)
        if told and one.in_turns:
            told |= {n for v in graph.variables for a in v.assigns for n in a.signatures}
        moving |= told
    alone = [one for one in asked if not one.in_turns]
    still = [one for one in alone if one.names[0] not in moving]
    if len(still) < len(alone):
        still = [one for one in still if one.signature.inputs]
    for one in still:
        if not one.signature.inputs:
            return f"{_subject([one])} takes no inputs, and gives the same answer to every call"
        told_apart = any(not _same_call(one.calls[0], call) for call in one.calls)
        if one.origin != "given" or told_apart or not any(map(_has_numbers, one.answers)):
            return (
                f"{_subject([one])} gives the same answer to every call, so that comparing proves "
                f"nothing ({one.basis}): {_BRING}, to which it gives different ones"
            )
    return ""


def without_numbers(asked: Sequence[ReferenceCalls]) -> str:
    """Say that no call was made with numbers: ops are free in what they make of NaN."""
    for one in _with_inputs(asked):
        if one.calls and all(any(map(_is_nan, call.values())) for call in one.calls):
            return (
                f"every call of {_subject([one])} has an input that is NaN all over ({one.basis}), "
                f"and what an op makes of NaN is left to it: {_BRING}, with numbers in them"
            )
    return ""


def _is_nan(value: Any) -> bool:
    array = np.asarray(value)
    return array.dtype.kind in "fc" and array.size > 0 and bool(np.isnan(array).all())


def _has_numbers(answer: Mapping[str, Any]) -> bool:
    """Tell whether something of an answer is neither NaN nor infinite, as nothing is of NaN."""
    values = map(np.asarray, answer.values())
    return any(value.dtype.kind not in "fc" or np.isfinite(value).any() for value in values)


def _subject(asked: Sequence[ReferenceCalls]) -> str:
    names = list(dict.fromkeys(name for one in asked for name in one.names if name))
    if not names:
        return "the model"
    return f"signature{'' if len(names) == 1 else 's'} {join_names(names)}"


def _with_inputs(asked: Sequence[ReferenceCalls]) -> list[ReferenceCalls]:
    return [one for one in asked if one.signature.inputs and not one.in_turns]


def origin_of(asked: Sequence[ReferenceCalls]) -> Origin | None:
    """Return where the inputs come from, of the first signature that has some."""
    return next((one.origin for one in (*_with_inputs(asked), *asked)), None)


def rests_on(asked: Sequence[ReferenceCalls]) -> str:
    """Say in one line what was compared: signatures, calls, and where their inputs come from."""
    bases = dict.fromkeys(one.basis for one in _with_inputs(asked)) or ["without inputs"]
    calls = counted(sum(len(one.calls) for one in asked), "call")
    refused = "".join(
        f"; {_subject([one])} itself refuses call {len(one.calls) + 1} ({one.refusal})"
        for one in asked
        if one.refusal and one.answers
    )
    return f"{_subject(asked)}, {calls} ({'; '.join(bases)}){refused}"


@dataclass(frozen=True, repr=False, eq=False)
class Proof(Rich):
    """What converting, running and comparing showed."""

    conversion: Conversion | None = None  # ``None`` where nothing was converted
    content: bytes | None = None  # the .tflite file: the one made, or the model itself
    parity: Parity | None = None  # ``None`` where nothing was compared
    asked: tuple[ReferenceCalls, ...] = field(default=(), repr=False)
    reference: str = ""  # "TensorFlow", or "itself": with and without the default delegates
    reason: str = ""  # why there is no (full) proof, in one line
    doubt: str = ""  # why it proves nothing, in one line; empty also where it shows a fault
    # For a state that is added to in integers: after how many equal calls the answers stopped
    # changing; ``None`` if they went on, or it was not tried.
    stuck_after: int | None = None

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
        if all(run.refusal for run in self.parity.runs) and not self.doubt:
            return "no interpreter here runs the file"
        over = rests_on(self.asked) if self.asked else f"{self.parity.runs[0].calls} calls"
        if self.reference == "itself":
            same = "answers alike" if self.passed else "does NOT answer alike"
            return f"it {same} with and without the default delegates: {over}"
        same = "answers as" if self.passed else "does NOT answer as"
        return f"converted, and it {same} TensorFlow: {over}"

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
        return [*lines, *filter(None, [self.reason])]

    def html(self) -> str:
        """Return the same as a panel."""
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in self._lines())
        body = self.parity.html() if self.parity is not None and not self.reason else lines
        tone = "right" if self.passed else "neutral" if self.parity is None else "raised"
        tone = "neutral" if self.doubt else tone
        return panel_html(tone, f"proof: {self._headline()}", body)

    def as_dict(self) -> dict[str, Any]:
        """Return a summary as plain data, fit for JSON."""
        record = self.conversion.record if self.conversion else None
        return {
            "outcome": self._headline(),
            "reason": self.reason or None,
            "doubt": self.doubt or None,
            "converter": None if record is None else _record_dict(record),
            "bytes": None if self.content is None else len(self.content),
            "compared_with": self.reference or None,
            "inputs": origin_of(self.asked),
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
    beside: Sequence[str] = (),
    inputs: Any = None,
    trust: bool = False,
    timeout: float = 300.0,
    accumulates_state: bool = False,
    reference_calls: int = 0,
    imports: Sequence[Import] = (),
) -> Proof:
    """Convert a model, run the file and compare it. Nothing that the model does is raised here.

    The signature is converted and called (``None`` where the model has none), with ``inputs`` as
    ``given_calls`` takes them, or made-up ones, of which there are ``reference_calls`` at least. Of
    a .tflite file, the signatures ``beside`` it are called too. Where the file accumulates a state
    in integers, it is called often enough to see whether the answers stop changing.

    Raises:
        CallsError: ``inputs`` do not fit.
    """
    if not Path(graph.source).exists():
        reason = "the model is in memory only, and nothing was run: save it, and give its path"
        return _unproved(reason)
    try:
        check_trust(graph, trust)
    except NotTrustedError as error:
        return _unproved(f"nothing was run: {error.fault}; if you trust it, say --trust")
    wanted = {"inputs": inputs, "at_least": reference_calls}
    if format_of(graph).is_converted:
        names = [name for name in (signature, *beside) if name is not None]
        return _prove_file(graph, names, wanted, timeout, accumulates_state)
    loading: dict[str, Any] = {"trust": trust, "imports": imports}
    return _prove_source(graph, signature, wanted, loading, timeout)


def _unproved(
    reason: str, conversion: Conversion | None = None, content: bytes | None = None
) -> Proof:
    return Proof(conversion, content, reason=reason, doubt=reason)


def _prove_source(
    graph: Graph,
    signature: str | None,
    wanted: Mapping[str, Any],
    loading: Mapping[str, Any],
    timeout: float,
) -> Proof:
    keys = None if signature is None else [signature]
    conversion = convert(graph, signature_keys=keys, timeout=timeout, **loading)
    content = conversion.content
    if content is None:
        return Proof(conversion, reason=converter_words(conversion.record))
    chance = format_of(graph).left_to_chance(graph, [signature])
    made = read_graph(content)
    # A Keras file names its inputs in its code; the file made from it has them in any case.
    called = format_of(graph).call_signature(graph, signature)
    called = called or next(iter(made.signatures), made.main_signature)
    load = loader_of(graph, signature, **loading)
    try:
        asked = reference_calls(graph, [called], content, **wanted)
        asked = [with_answers(one, load, timeout=timeout) for one in asked]
        parity = compare(content, asked, timeout=min(timeout, _RUN_SECONDS))
    except KeyError as error:
        reason = f"not compared: the file takes other inputs ({printable(error.args[0])}): {_BRING}"
        return _unproved(reason, conversion, content)
    why = doubt(graph, asked, parity)
    if chance and not (parity and refuses(parity)):  # answers that agree, or differ, tell nothing
        return Proof(conversion, content, None, tuple(asked), "TensorFlow", chance, chance)
    reason = rounding_note(parity) if parity is not None else why
    return Proof(conversion, content, parity, tuple(asked), "TensorFlow", reason, why)


def refuses(parity: Parity) -> bool:
    """Tell whether an interpreter did not run a file to its end."""
    return any(run.refusal for run in parity.runs)


def rounding_note(parity: Parity) -> str:
    """Say that answers differ as rounding does; empty where they do not, or by more."""
    if not parity.passed or parity.tolerance is None:
        return ""
    largest = max(run.largest_difference for run in parity.runs)
    return f"the answers differ by up to {largest:.1e} of their size, as rounding does"


def _named_as_in(made: Graph, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Name the outputs of a GraphDef as the file does: it has them in the order asked for.

    One that hands an input through is called as the input in the file.
    """
    names = [spec.name for spec in made.functions[0].outputs]
    if len(set(names)) != len(answer):
        return answer
    return dict(zip(names, answer.values(), strict=True))


def _reference_words(record: Record, origin: Origin) -> str:
    words = printable(short_message(record.message))
    if record.exception_type == NotRepeatableError.__name__:
        return (
            f"{record.message}; a model that takes the numbers as an input, and orders what it "
            "reads and assigns, can be compared"
        )
    if record.exception_type == RefusedCallError.__name__:
        made_up = ": give others" if origin == "given" else f", which was made up: {_BRING}"
        return f"it refuses the first call ({words}){made_up}"
    return f"{record.exception_type or record.outcome}: {words}; {_CALL_IT}"


_OP_COMPLAINT = re.compile(r"error: (?:loc\(.*\): )?'(tfl?\.\w+)' op ([^\n]+)")
"""How the converter words its complaint about one op."""


def converter_words(record: Record) -> str:
    """Say in one line why the converter gave no file."""
    if record.outcome in {"crashed", "out of memory"} and record.message.startswith("ended: "):
        return f"the converter was ended: {record.message.removeprefix('ended: ')}"
    if record.outcome == "crashed":
        return f"the converter died ({record.exit_signal or 'without a word'})"
    if record.outcome == "timed out":
        return "the converter did not end in time, and was ended"
    if record.failing_ops:
        complaint = _OP_COMPLAINT.search(record.message)
        words = f": {printable(complaint[1])} {printable(complaint[2])}" if complaint else ""
        ops = ", ".join(map(printable, record.failing_ops))
        return f"{record.exception_type} names {ops}{words}"
    told = printable(short_message(record.message))
    loaded = record.exception_type != RefusedByLibraryError.__name__
    return f"{record.exception_type}: {told}" if loaded else told


def _prove_file(
    graph: Graph,
    names: Sequence[str],
    wanted: Mapping[str, Any],
    timeout: float,
    accumulates_state: bool,
) -> Proof:
    content = Path(graph.source).read_bytes()
    limit = min(timeout, _RUN_SECONDS)
    quantized = any(
        node.op in _QUANTIZED_OPS or node.attributes.get("asymmetric_quantize_inputs")
        for node in graph.nodes
    )
    tolerance = QUANTIZED if quantized else None
    signatures = [graph.signature(name) for name in names] or [graph.main_signature]
    parities = []
    try:
        asked = reference_calls(graph, signatures, content, **wanted)
        for number, one in enumerate(asked):
            if not one.calls:
                continue
            with busy("running the file"):
                records = run_both(content, one.calls, one.names, limit)
            parities.append(compare_kernels(records, len(one.calls), tolerance))
            told: Any = next(
                (records[way].value for way in (PLAIN, DELEGATES) if records[way].ok), []
            )
            own = [{name: value for name, (value, _) in answer.items()} for answer in told]
            asked[number] = replace(one, answers=own)
    except KeyError as error:
        return _unproved(f"not run: {printable(error.args[0])}: {_BRING}", content=content)
    first, stuck = asked[0], None
    if not parities:
        return _unproved(first.refusal, content=content)
    parity = Parity.of_all(parities)
    if accumulates_state and first.calls:
        stuck = _stuck_after(content, first.calls[0], first.names[0], limit)
    reason = "a .tflite file has no TensorFlow beside it: its two ways of running were compared"
    why = doubt(graph, asked, parity) or _refused_values(asked, parity)
    return Proof(None, content, parity, tuple(asked), "itself", reason, why, stuck)


def _refused_values(asked: Sequence[ReferenceCalls], parity: Parity) -> str:
    """Say that an op refused made-up values, which is no fault of the file."""
    ops = {run.refused_by for run in parity.runs}
    if "" in ops or all(one.origin == "given" for one in asked):
        return ""
    words = printable(split_refusal(parity.runs[-1].refusal)[0])
    return f"{join_names(sorted(ops))} refuses the inputs that were made up ({words}): {_BRING}"


def _stuck_after(
    content: bytes, call: Mapping[str, Any], signature: str | None, timeout: float
) -> int | None:
    """Return after how many equal calls the answers stop changing, if they changed at first."""
    calls = [dict(call)] * _SATURATION_CALLS
    record = run_isolated(
        file_answers, content, calls, signature, PLAIN, timeout=timeout, tensorflow=False
    )
    if not record.ok:
        return None
    last_change = 0
    for number, (before, after) in enumerate(pairwise(record.value), start=1):
        if any(not np.array_equal(before[name][0], after[name][0]) for name in before):
            last_change = number
    return last_change + 1 if 0 < last_change < len(record.value) - 1 else None
