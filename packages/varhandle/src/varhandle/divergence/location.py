"""``locate``: the first call and the first op where a .tflite file parts from its model."""

from __future__ import annotations

import contextlib
import html
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from varhandle.conversion.converter import convert
from varhandle.display import Rich, counted, panel_html, printable
from varhandle.divergence import side_by_side
from varhandle.divergence.other_runs import (
    COMPILED,
    UnseenDifference,
    compared,
    first_without_looking,
    run_otherwise,
)
from varhandle.divergence.reduction import (
    REPORT_WHOLE,
    CannotReduceError,
    Reduction,
    reduce_difference,
)
from varhandle.divergence.unseen_constants import explains_constants, unexplained_constants
from varhandle.divergence.walk import compare_ops
from varhandle.errors import UnknownNameError, VarhandleError
from varhandle.evaluate.given_inputs import Inputs
from varhandle.evaluate.parity import DELEGATES, PLAIN
from varhandle.evaluate.proof import (
    QUANTIZED,
    ReferenceCalls,
    converter_words,
    reference_calls,
    rests_on,
)
from varhandle.evaluate.reference import Loader, loader_of
from varhandle.evaluate.session import model_bytes
from varhandle.evaluate.stateful_parity import CarriedState
from varhandle.extras import require
from varhandle.families.base import inference_signature
from varhandle.families.code import SEE_DIAGNOSIS, SEE_WHY
from varhandle.formats import format_of, read_graph
from varhandle.formats.custom_code import check_imports
from varhandle.formats.tflite_reader import quantized_inputs
from varhandle.graph import Graph, ModelFileError, Signature, shape_fits
from varhandle.sandbox import Record, run_isolated
from varhandle.sandbox.lock import locking
from varhandle.sandbox.record import short_message
from varhandle.tflite.externalize_state import Lifted
from varhandle.tflite.file_identifier import check_identifier
from varhandle.tflite.flatbuffer import unpack
from varhandle.tflite.shared_reads import find_shared_reads, shared_read_words

__all__ = ["CannotLocateError", "Location", "locate"]

_INLINED = re.compile(r"^((Stateful)?PartitionedCall(_\d+)?/)+")
"""What inlining puts before the names of the nodes of a function that is called: no model has it.

A Keras model is called as a function, and a SavedModel's signature calls one.
"""


_OTHER_MODEL = "it was made from another model: give that one, or leave out the file"
_SHOW_IT = "bring inputs that show it (--inputs)"


class CannotLocateError(VarhandleError, ValueError):
    """There are no two runs to compare; the message is one line, with the next step."""


@dataclass(frozen=True, repr=False, eq=False)
class Location(Rich):
    """Where a .tflite file parts from its model.

    Attributes:
        model: Path of the model.
        file: Path of the file; ``None`` where the model was converted anew.
        first: The op that parts, as ``as_dict`` gives it; ``None`` where none does.
        pairs: A row for each op output of the file with a partner: where it differed most.
        unmatched: Names of the op outputs of the file that have none.
        outputs_without_op: Names of the outputs that no op of the file makes (a constant, an input
            that is handed through), and that were compared.
        missing_outputs: Names of the model's outputs that the file has none for.
        calls: How many calls were made: up to the first that differs.
        basis: What the inputs rest on, in one line.
        other_runs: How the file answers when it is run in other ways, beside the run in which all
            tensors were kept: "the same bits", "agrees", "differs" or "refused".
        ops: Every op of the file in the order of execution, and what of the model it computes.
        only_in_model: Op and name of what of the model no op of the file stands for.
    """

    model: str
    file: str | None
    first: Mapping[str, Any] | None
    pairs: Sequence[Mapping[str, Any]] = field(repr=False)
    unmatched: Sequence[str] = field(repr=False)
    calls: int
    basis: str
    other_runs: Mapping[str, str] = field(default_factory=dict, repr=False)
    _compared: Mapping[str, Any] = field(default_factory=dict, repr=False)
    _lock: bool = field(default=True, repr=False)
    _dies_of: str = field(default="", repr=False)
    ops: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    only_in_model: Sequence[Sequence[str]] = field(default=(), repr=False)
    outputs_without_op: Sequence[str] = field(default=(), repr=False)
    missing_outputs: Sequence[str] = field(default=(), repr=False)

    @property
    def agrees(self) -> bool:
        """Whether something was compared and nothing parts, however the file is run."""
        compared = bool(self.pairs or self.outputs_without_op)
        return compared and self.first is None and "differs" not in self.other_runs.values()

    def reduce(self) -> Reduction:
        """Return the smallest case that still shows the difference.

        ``CannotReduceError`` where no op parts, or where it does so only within the whole.
        """
        if self.first is None:
            raise CannotReduceError(f"no op parts, so there is nothing to reduce: {_SHOW_IT}")
        if self.first["number"] < 0:
            raise CannotReduceError(f"no op makes what parts: {REPORT_WHOLE}")
        if self.first["unseen"]:
            raise CannotReduceError(f"no answer differs: {_SHOW_IT}")
        title = self.text().splitlines()[0]
        with locking(self._lock):
            return reduce_difference(self.first, title, self._compared, self.model)

    def _headline(self) -> str:
        if self.first is None:
            nothing = not (self.pairs or self.outputs_without_op)
            parts = "nothing could be compared" if nothing else "no op parts"
            return f"{parts} in {counted(self.calls, 'call')}"
        places = [f"{side_by_side.call_words(self.first)}, {_op_words(self.first)}"]
        places += [f"{each['where']}: {_op_words(each)}" for each in self.first["inside"]]
        return ", ".join(places).rstrip(": ")

    def __repr__(self) -> str:
        return f"Location({self._headline()})"

    def summary(self) -> list[str]:
        """Return the op, why it parts, and what was compared, in a few lines."""
        lines = [self._headline()]
        if self.first is not None:
            innermost = (self.first["inside"] or [self.first])[-1]
            lines[0] += f": {printable(innermost['why'], None)}"
            lines += self._details(self.first)
        matched = len(self.pairs)
        total = matched + sum(1 for name in self.unmatched if name not in self._partners)
        others = len(self.outputs_without_op)
        without = f" and {counted(others, 'output')} that no op makes" if others else ""
        lines.append(f"compared: {matched} of {counted(total, 'op output')}{without}, {self.basis}")
        if self.missing_outputs:
            lines.append(f"not in the file: {', '.join(map(printable, self.missing_outputs))}")
        if self.other_runs:
            runs = ", ".join(f"{kernels}: {how}" for kernels, how in self.other_runs.items())
            lines.append(f"run otherwise: {runs}{f'; {self._dies_of}' if self._dies_of else ''}")
        return lines

    @property
    def line(self) -> str:
        """The op and why it parts, in one line."""
        return self.summary()[0]

    def text(self) -> str:
        """Return the same, and a table of the ops around the one that parts."""
        table = ["", side_by_side.table_of(self)] if self.first and self.ops else []
        return "\n".join([*self.summary(), *table])

    @property
    def _partners(self) -> set[str]:
        return {pair["tensor"] for pair in self.pairs}

    def _details(self, first: Mapping[str, Any]) -> list[str]:
        lines = []
        if first["node"]:
            lines.append(f"in the model: {printable(_INLINED.sub('', first['node']))}")
        steps = f", {first['steps']:.1f} steps of its scale" if first["steps"] else ""
        similarity = first["similarity"]
        similarity = "" if similarity is None else f", similarity {similarity:.6f}"
        largest = first["max_difference"]
        if largest is None:
            lines.append("it has no value to compare")
        elif math.isfinite(largest):  # else no figure says more than why it parts
            lines.append(f"largest difference {largest:.3g}{steps}{similarity}")
        if len(first["group"]) > 1:
            ops = ", ".join(f"{op} ({number})" for op, number in first["group"])
            lines.append(f"one of these: {ops}")
        return lines

    def html(self) -> str:
        """Return the same as a panel: the model and the file side by side where they part."""
        headline, *lines = self.summary()
        told = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
        tone = "right" if self.agrees else "raised"
        return panel_html(tone, headline, told + side_by_side.panel_of(self))

    def page(self) -> str:
        """Return all ops, as a page of one file."""
        return side_by_side.page_of(self)

    def as_dict(self) -> dict[str, Any]:
        """Return the whole comparison as plain data, fit for JSON; no values of arrays."""
        return {
            "model": self.model,
            "file": self.file,
            "agrees": self.agrees,
            "first": _plain_place(self.first) if self.first else None,
            "pairs": [_plain(pair) for pair in self.pairs],
            "unmatched": [printable(name) for name in self.unmatched],
            "outputs_without_op": [printable(name) for name in self.outputs_without_op],
            "missing_outputs": [printable(name) for name in self.missing_outputs],
            "calls": self.calls,
            "inputs": self.basis,
            "other_runs": dict(self.other_runs),
        }


def _op_words(row: Mapping[str, Any]) -> str:
    tensor = printable((row["tensor"] or "").partition(";")[0])
    if row["number"] is not None and row["number"] < 0:
        return f"the output {tensor}"
    return f"{row['op']} {tensor}" if row["op"] else ""


_IN_MEMORY = ("got", "expected", "lost_activation", "clamped", "seen", "kernels")


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as JSON takes it: no infinity, no values, and names that can be shown."""
    return {key: _plain_value(row[key]) for key in row if key not in _IN_MEMORY}


def _plain_place(place: Mapping[str, Any]) -> dict[str, Any]:
    """Return an op that parts, and those inside of it, as JSON takes them."""
    told = {key: place[key] for key in place if key != "ops"}
    told |= {
        key: [_plain_place(one) for one in place[key]]
        for key in ("inside", "pairs")
        if key in place
    }
    return _plain(told)


def _plain_value(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value, None)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, float) and not -float("inf") < value < float("inf"):
        return None
    return value


def locate(
    model: str | os.PathLike[str],
    file: str | os.PathLike[str] | bytes | None = None,
    *,
    converted: bytes | None = None,
    lifted: Lifted | None = None,
    signature: str | None = None,
    inputs: Inputs | None = None,
    calls: int | None = None,
    trust: bool = False,
    lock: bool = True,
    timeout: float = 300.0,
    imports: Sequence[str | os.PathLike[str]] = (),
    custom_objects: Mapping[str, Any] | None = None,
) -> Location:
    """Say where a .tflite file parts from the model that it was made from.

    Both run in a child process over successive calls. Every op output of the file that has a
    partner in the model is compared, within the tolerance of its dtype or two steps of its scale.

    Args:
        model: The model, of any format that is converted.
        file: The .tflite file; ``None`` to convert the model.
        converted: A float file that was made of the model already; ``None`` to convert the model
            where one is needed.
        lifted: What ``lift_state`` made of a file, where ``file`` is what it holds: its state is
            carried from call to call.
        signature: The signature to call; the one for inference if ``None``.
        inputs: What to call it with, as ``given_calls`` takes it; what is stored with the model, or
            made up, if ``None``.
        calls: How many calls to make; 5 if ``None``, 20 where there is a state.
        trust: Whether code that the model brings along may run.
        lock: Whether the process is locked by the kernel (``sandbox.lock``).
        timeout: Seconds that the conversion, and then the comparison, may take.
        imports: Python files and modules that define what the model names.
        custom_objects: The same as Keras takes it, by name.

    Raises:
        ModelFileError: There is no model or file, or none that can be read.
        NotTrustedError: The model brings code along, and ``trust`` is not given.
        KeyError: The model has no such signature.
        CallsError: ``inputs`` do not fit.
        CannotLocateError: The converter refuses the model, one of the two does not run, or the
            model's own answers are left to chance.
    """
    own_code = check_imports(imports, custom_objects)
    graph = read_graph(model)
    if format_of(graph).is_converted:
        raise CannotLocateError(
            "it is a .tflite file, and has no model to be compared with; give the model "
            "that it was made from first"
        )
    require("tensorflow", "comparing a file with its model")
    chosen = inference_signature(graph, signature)
    load = loader_of(graph, chosen, trust, own_code)
    if chance := format_of(graph).left_to_chance(graph, [chosen]):
        raise CannotLocateError(f"{chance}; {SEE_DIAGNOSIS}")
    content = None if file is None else file_content(file)
    what: dict[str, Any] = {"graph": graph, "load": load, "signature": chosen, "lifted": lifted}
    how: dict[str, Any] = {"inputs": inputs, "calls": calls, "timeout": timeout}
    with locking(lock):
        if content is not None and converted is None and _is_float(content):
            # Of a file that is sound in all its ops and weights, nothing is converted anew.
            with contextlib.suppress(CannotLocateError):
                basis, found = _compared(content, content, **what, **how)
                sound = found["first"] is None and not found["unmatched"]
                if sound and explains_constants(graph, content if file is None else file):
                    return _location(model, file, content, basis, found, lock=lock)
        if converted is None:
            keys = None if chosen is None else [chosen]
            conversion = convert(
                model, signature_keys=keys, trust=trust, timeout=timeout, imports=own_code
            )
            converted = conversion.content
            if content is None and converted is None:
                raise CannotLocateError(
                    f"there is no file to compare: {converter_words(conversion.record)}; {SEE_WHY}"
                )
        if converted is None and content is not None:
            what["unexplained"] = unexplained_constants(graph, content if file is None else file)
        content = converted if content is None else content
        assert content is not None
        basis, found = _compared(content, converted, **what, **how)
    return _location(model, file, content, basis, found, lock=lock)


def file_content(file: str | os.PathLike[str] | bytes) -> bytes:
    """Return what a .tflite file holds, or raise ``ModelFileError`` with the name of that file."""
    content, source = model_bytes(file)
    check_identifier(content, source)  # read_graph would take it for a model of another format
    try:
        read_graph(content)
    except ModelFileError as error:
        raise ModelFileError(source, error.fault) from error
    return content


def _location(
    model: Any, file: Any, content: bytes, basis: str, found: Mapping[str, Any], *, lock: bool
) -> Location:
    path = None if file is None or isinstance(file, bytes) else os.fspath(file)
    dies_of = ""
    if found["other_runs"].get(DELEGATES) == "refused" and (
        twice := find_shared_reads(read_graph(content))
    ):
        dies_of = shared_read_words(twice)
    told: dict[str, Any] = {"basis": basis, "_lock": lock, "_dies_of": dies_of}
    return Location(model=os.fspath(model), file=path, **told, **found)


def _is_float(content: bytes) -> bool:
    """Whether a file rounds no more than its model does."""
    return not any(
        tensor.quantization is not None and tensor.quantization.scale is not None
        for subgraph in unpack(content).subgraphs
        for tensor in subgraph.tensors
    )


def _compared(
    content: bytes,
    witness: bytes | None,
    *,
    graph: Graph,
    load: Loader,
    signature: str | None,
    lifted: Lifted | None,
    inputs: Inputs | None,
    calls: int | None,
    timeout: float,
    unexplained: Mapping[str, str] | None = None,
) -> tuple[str, dict[str, Any]]:
    """Compare in a child process; return what the calls rest on, and what was found."""
    asked = _asked(graph, signature, witness or content, inputs, calls)
    made = read_graph(content)
    names = [one.name for one in made.signatures]
    name = signature if signature in names else next(iter(names), None)
    state = CarriedState.of(lifted, name)
    called = made.main_signature if name is None else made.signature(name)
    own = tuple(spec for spec in called.inputs if spec.name not in state.takes)
    _check_inputs(replace(called, inputs=own), asked)
    sides: dict[str, Any] = {
        "load": load,
        "signature": signature,
        "calls": [dict(call) for call in asked.calls],
        "content": content,
        "file_signature": name,
        "witness": witness,
        "state": state,
        "unexplained": unexplained,
    }
    record = run_isolated(compare_ops, **sides, timeout=timeout, reads=load.reads)
    if not record.ok:
        if told := record.said_by(UnknownNameError):
            raise CannotLocateError(f"{told}: {_OTHER_MODEL}")
        raise CannotLocateError(f"{_words(record).rstrip(':')}: {SEE_DIAGNOSIS}")
    found: dict[str, Any] = record.value
    _look_at_other_runs(found, None if lifted else content, name, timeout)
    return rests_on([asked]), {**found, "_compared": sides}


def _check_inputs(signature: Signature, asked: ReferenceCalls) -> None:
    """Raise for a file that cannot have been made from the model."""
    call = {name: np.shape(value) for name, value in asked.calls[0].items()}
    declared = {spec.name: spec.shape for spec in signature.inputs}
    pairs = [(call[n], declared[n]) for n in call] if call.keys() == declared.keys() else None
    pairs = pairs or list(zip(call.values(), declared.values(), strict=False))
    if len(call) != len(declared) or not all(b is None or shape_fits(a, b) for a, b in pairs):
        takes, gives = (
            ", ".join(f"{printable(name)} {list(shape or ())}" for name, shape in one.items())
            for one in (declared, call)
        )
        raise CannotLocateError(
            f"the file takes {takes or 'nothing'}, the model {gives or 'nothing'}: {_OTHER_MODEL}"
        )


def _look_at_other_runs(
    found: dict[str, Any], content: bytes | None, signature: str | None, timeout: float
) -> None:
    """Run the file as people do; where only that differs, find the op without looking.

    There is no ``content`` where that takes a caller who carries the state.
    """
    answers, calls = found.pop("answers"), found.pop("file_calls")
    found["other_runs"] = told = {}
    if not answers or content is None:  # the file refuses the first call
        return
    allowed = 0.0 if _is_float(content) else QUANTIZED
    for kernels, record in run_otherwise(content, signature, calls, timeout).items():
        told[kernels] = compared(answers, record, kernels, allowed)
        if told[kernels] == "differs" and found["first"] is None and kernels in _ONLY:
            arguments = first_without_looking, content, signature, calls, kernels, allowed
            place = run_isolated(*arguments, timeout=timeout, tensorflow=False)
            words = "" if place.ok else f": {short_message(place.message)}"
            found["first"] = _unseen(found, place.value, kernels, words)


_ONLY = {
    PLAIN: "only where tensors share memory: kept apart, all agree",
    DELEGATES: "only with the default delegates: by the plain kernels, all agree",
    COMPILED: "only by CompiledModel: by the plain kernels, all agree",
}


def _unseen(
    found: Mapping[str, Any], place: UnseenDifference | None, kernels: str, words: str
) -> dict[str, Any]:
    """Tell an op that parts where nobody looks: it was found by files that end at each op."""
    number = -1 if place is None else place.number
    ops: Mapping[int, Mapping[str, Any]] = {one["number"]: one for one in found["ops"]}
    rows: Mapping[int, Mapping[str, Any]] = {one["number"]: one for one in found["pairs"]}
    why = _ONLY[kernels]
    if place is None:
        why += f"; no file that ends at an op shows it{words}"
    elif place.whole:
        why += f"; each op agrees in a file that ends there ({place.tried} files were run)"
    return {
        "call": place.call if place else 1,
        "op": ops[number]["op"] if number in ops else None,
        "number": number,
        "tensor": place.name if place else "",
        "node": rows[number]["node"] if number in rows else None,
        "max_difference": place.largest if place else None,
        "similarity": None,
        "steps": None,
        "why": why,
        "unseen": False,
        "kernels": kernels,
        "group": [[ops[each]["op"], each] for each in (place.group if place else ())],
        "inside": [],
    }


def _asked(
    graph: Graph, signature: str | None, content: bytes, inputs: Any, count: int | None
) -> ReferenceCalls:
    made = read_graph(content)
    called = format_of(graph).call_signature(graph, signature)
    called = called or _in_real_values(next(iter(made.signatures), made.main_signature), content)
    (asked,) = reference_calls(graph, [called], content, inputs=inputs, at_least=count or 0)
    if not asked.calls:
        raise CannotLocateError(f"{asked.refusal} (give them by --inputs)")
    return asked


def _in_real_values(signature: Signature, content: bytes) -> Signature:
    """Return what a model takes where its file takes integers that stand for floats."""
    quantized = quantized_inputs(content, signature.name)
    inputs = signature.inputs
    real = (replace(one, dtype="float32") if one.name in quantized else one for one in inputs)
    return replace(signature, inputs=tuple(real))


def _words(record: Record) -> str:
    words = printable(short_message(record.message), None)
    if record.outcome == "raised" and record.exception_type not in ("KeyError", "ValueError"):
        return f"{record.exception_type}: {words}"
    return words
