"""``locate --why``: the smallest part of a model that the converter refuses in the same way.

The model's flat graph is divided until nothing can be left out: the part that is left raises the
same exception about the same ops, dies of the same signal, or does not end either. Each try is a
conversion in a child process.
"""

from __future__ import annotations

import html
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from varhandle.conversion.converter import convert
from varhandle.display import Rich, counted, join_names, panel_html, printable, table_html
from varhandle.divergence.case_folder import new_folder, write_case
from varhandle.divergence.flat_graph import (
    GRAPH_DEF,
    SAVED_MODEL,
    FlatGraph,
    PartOutline,
    alone,
    bodies,
    call_part,
    convert_part,
    flattened,
    outline,
    smallest,
    write_part,
)
from varhandle.divergence.part_shrinking import PartCase, PartShrinking, part_case
from varhandle.explanation import explain
from varhandle.extras import require
from varhandle.families.base import inference_signature
from varhandle.families.code import load_keras_code
from varhandle.families.log_index import LAST_RESORT
from varhandle.formats import format_of, read_graph
from varhandle.formats.base import ModelSource
from varhandle.formats.custom_code import check_imports
from varhandle.graph import Graph, ModelFileError
from varhandle.graph.model import NO_MODEL
from varhandle.graph.op_roles import variable_role
from varhandle.sandbox import Record, run_isolated
from varhandle.sandbox.lock import locking
from varhandle.sandbox.record import last_words, short_message, telling_line
from varhandle.sandbox.scratch import temporary_folder

__all__ = ["Refusal", "why_refused"]

_SECONDS = 60.0
_MOST_SECONDS = 600.0
_SHRINKING = 60.0
"""Seconds in which the part that is left is made smaller."""

_HANGS = 15.0
"""Seconds after which a part is taken not to end, where the whole model does not.

What is left in the end is given as long as the whole had.
"""

_SOON, _TIMES = 10.0, 4
"""Seconds in which a part ends as a rule, and how many times those of the whole model it has."""

_Kind = tuple[str, str | None, frozenset[str]]
_AN_OP = re.compile(r"'?\btfl?\.([A-Z]\w+)")
_VARYING = re.compile(r"\d+|\"[^\"]*\"|'[^']*'|/\S+")


_SCRIPT = '''"""Convert {what} that the converter refuses."""

import os
from pathlib import Path

import tensorflow as tf

os.chdir(Path(__file__).parent)
print("tensorflow", tf.__version__)
{opening}
print(len(converter.convert()), "bytes")
'''


@dataclass(frozen=True, repr=False, eq=False)
class Refusal(Rich):
    """Why the converter gives no file for a model, and the smallest part where that is so.

    Attributes:
        model: Path of the model.
        record: The conversion of the whole model.
        part: The nodes and variables that are left; ``None`` where the model could not be divided.
        total: How many nodes the whole graph has.
        tries: How many parts were converted.
    """

    model: str
    record: Record
    part: PartOutline | None
    total: int = 0
    tries: int = 0
    _search: _Search | None = field(default=None, repr=False)
    _source: tuple[Graph, str | None] | None = field(default=None, repr=False)
    _lock: bool = field(default=True, repr=False)

    @property
    def converts(self) -> bool:
        """Whether there is nothing to explain."""
        return self.record.ok

    @property
    def reason(self) -> str:
        """Why, in one line."""
        if self.converts:
            return "it converts"
        log, ops = self.record.log, [op.removeprefix("tf.") for op in self.record.failing_ops]
        blamed = join_names(ops or (self.part.blamed if self.part else ()))
        if self.record.outcome == "raised":
            shown = next(iter(explain(f"{self.record.message}\n{log}").matches), None)
            if shown and shown.rank <= LAST_RESORT + 1:  # else it does not say at which op
                said = shown.message
            else:
                said = f"{blamed}: {short_message(self.record.message)}".removeprefix(": ")
        elif self.record.outcome == "crashed":
            said = f"the converter dies ({self.record.exit_signal or self.record.message})"
        elif self.record.outcome == "timed out":
            said = f"the converter had not ended after {self.record.seconds:.0f} s"
        else:
            said = f"the converter was ended: {self.record.outcome}"
        if self.record.outcome != "raised" and blamed:
            said += f" at {blamed}"
        if self.record.outcome == "crashed" and last_words(log):
            said += f", with the words: {last_words(log)}"
        return "; ".join([*self._variables(), " ".join(said.split())])

    def _variables(self) -> list[str]:
        roles = [variable_role(op.removeprefix("tf.")) for op in self.record.failing_ops]
        if self.part is None:
            return []
        roles += [variable_role(node.op) for node in self.part.nodes if len(self.part.nodes) == 1]
        if roles and not any(roles):
            return []
        return [_sentence(one) for one in self.part.variables]

    def __repr__(self) -> str:
        return f"Refusal({self.reason})"

    def text(self) -> str:
        """Return why, and the nodes that are left."""
        if self.converts:
            return f"{printable(self.model)}: it converts"
        lines = [f"why: {printable(self.reason, None)}"]
        if self.part is None:
            return "\n".join([*lines, "the model could not be divided"])
        nodes = counted(self.total, "node")
        lines.append(f"the smallest part that fails like that, {len(self.part.nodes)} of {nodes}:")
        for node in self.part.nodes:
            takes = ", ".join(map(str, node.inputs))
            gives = ", ".join(node.outputs)
            lines.append(
                f"  {node.op} {printable(node.name)}({takes})" + (f" -> {gives}" if gives else "")
            )
        return "\n".join(lines)

    def write(self, folder: str | os.PathLike[str]) -> list[str]:
        """Write the part as a model, a script that converts it and a text for an issue tracker.

        Its shapes and numbers are made smaller first. Where the model could not be divided, it is
        the whole model. Returns the names of the files; none where the model converts.
        ``ReductionFolderError`` if the folder has something in it.
        """
        if self.converts:
            return []
        out = new_folder(folder)
        with locking(self._lock):
            if self.part is None or self._search is None:
                return self._write_whole(out)
            flat, names, record = self._search.shrunk(self.part.names, self.record)
            shapes, outputs = run_isolated(write_part, flat, names, str(out), writes=[out]).value
            part = run_isolated(outline, flat, names).value
        if flat.as_graph_def:
            call = f"compat.v1.lite.TFLiteConverter.from_frozen_graph(\n    {GRAPH_DEF!r}, "
            call += f"{list(shapes)!r}, {outputs!r}, {shapes!r}\n)"
        else:
            call = f"lite.TFLiteConverter.from_saved_model({SAVED_MODEL!r})"
        script = _SCRIPT.format(
            what="the smallest part of a model", opening=f"converter = tf.{call}"
        )
        return replace(self, part=part, record=record)._write_case(out, script)

    def _write_whole(self, out: Path) -> list[str]:
        assert self._source
        graph, signature = self._source
        model_format = format_of(graph)
        path = Path(model_format.path_to_load(graph.source))
        name = SAVED_MODEL if path.is_dir() else f"model{path.suffix}"
        if path.is_dir():
            shutil.copytree(path, out / name, symlinks=True)
        else:
            shutil.copyfile(path, out / name)
        called = model_format.call_signature(graph, signature)
        opening = [
            f"source = {name!r}",
            *([] if model_format.shows_ops else load_keras_code(graph)),
            *model_format.converter_code(called, [] if signature is None else [signature]),
        ]
        script = _SCRIPT.format(what="a model", opening="\n".join(opening))
        return self._write_case(out, script)

    def _write_case(self, out: Path, script: str) -> list[str]:
        refuses = "the converter refuses: " if self.record.outcome == "raised" else ""
        return write_case(out, script, f"{refuses}{self.reason}", self._figures())

    def _figures(self) -> list[str]:
        said = self.record.message or self._headline()
        if self.record.outcome == "crashed":
            said += f"\n{last_words(self.record.log)}"
        return [*self.text().splitlines()[1:], "", "It says:", "", *said.splitlines()[:20]]

    def _headline(self) -> str:
        signal = f" ({self.record.exit_signal})" if self.record.exit_signal else ""
        return f"{self.record.outcome}{signal}"

    def html(self) -> str:
        """Return the same as a panel."""
        if self.converts or self.part is None:
            return panel_html("neutral" if self.converts else "raised", self.text())
        rows = [
            (node.op, printable(node.name), ", ".join(node.inputs), ", ".join(node.outputs))
            for node in self.part.nodes
        ]
        table = table_html(("op", "node", "takes", "gives"), rows, "The nodes that still fail")
        told = f"<p>{html.escape(self.text().splitlines()[1])}</p>"
        return panel_html("raised", self.text().splitlines()[0], told + table)

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain data, fit for JSON."""
        return {
            "model": self.model,
            "converts": self.converts,
            "why": None if self.converts else printable(self.reason, None),
            "outcome": self.record.outcome,
            "exception": self.record.exception_type,
            "signal": self.record.exit_signal,
            "errors": [[error.op, error.code] for error in self.record.errors],
            "total": self.total,
            **(self.part.as_dict() if self.part else {"nodes": None, "variables": None}),
        }


def _sentence(variable: Mapping[str, Any]) -> str:
    shape = "" if variable["shape"] is None else f" {variable['shape']}"
    done = [f"read by {join_names(variable['reads'])}"] if variable["reads"] else []
    done += [f"changed by {join_names(variable['updates'])}"] if variable["updates"] else []
    told = f" is {' and '.join(done)}" if done else ""
    return f"the variable {variable['name']} ({variable['dtype']}{shape}){told}"


def why_refused(
    model: str | os.PathLike[str],
    *,
    signature: str | None = None,
    trust: bool = False,
    lock: bool = True,
    timeout: float = _SECONDS,
    imports: Sequence[str | os.PathLike[str]] = (),
    custom_objects: Mapping[str, Any] | None = None,
) -> Refusal:
    """Say why the converter refuses a model, dies of it or does not end, by its smallest part.

    Args:
        model: The model, of any format that is converted.
        signature: The signature to convert; the one for inference if ``None``.
        trust: Whether code that the model brings along may run.
        lock: Whether the processes are locked by the kernel (``sandbox.lock``).
        timeout: Seconds after which a conversion is said not to end.
        imports: Python files and modules that define what the model names.
        custom_objects: The same as Keras takes it, by name.

    Raises:
        ModelFileError: There is no model, or none that can be read.
        NotTrustedError: The model brings code along, and ``trust`` is not given.
        KeyError: The model has no such signature.
    """
    own_code = check_imports(imports, custom_objects)
    graph = read_graph(model)
    if format_of(graph).is_converted:
        raise ModelFileError(model, NO_MODEL)
    require("tensorflow", "converting a model")
    chosen = inference_signature(graph, signature)
    keys = None if chosen is None else [chosen]
    source: dict[str, Any] = {"_source": (graph, chosen), "_lock": lock}
    with locking(lock):
        made = convert(model, signature_keys=keys, trust=trust, timeout=timeout, imports=own_code)
        whole = Refusal(os.fspath(model), made.record, None, **source)
        if made.record.ok:
            return whole
        with temporary_folder("why-") as folder:
            opened = ModelSource(
                format_of(graph).path_to_load(model), trust=trust, imports=tuple(own_code)
            )
            flat = flattened(graph, opened, chosen, folder)
        search = None if flat is None else _Search(flat, made.record, timeout)
        names = None if search is None else search.smallest()
        if flat is None or search is None or names is None:
            return whole
        record = run_isolated(outline, search.flat, names)
    return replace(
        whole, part=record.value, total=len(flat.ops), tries=search.tries, _search=search
    )


class _Search:
    """Looks for the smallest part of a graph that fails as the whole does."""

    def __init__(self, flat: FlatGraph, record: Record, timeout: float) -> None:
        self.flat = flat
        self.tries = 0
        self._wanted = _kind(record)
        self._named = {op.rpartition(".")[2] for op in self._wanted[-1]}
        self._hangs = record.outcome == "timed out"
        soon = max(_SOON, _TIMES * record.seconds)
        self._timeout = min(timeout, _HANGS) if self._hangs else soon
        self._longest = max(timeout, self._timeout)
        self._deadline = time.monotonic() + _MOST_SECONDS
        self._known: dict[frozenset[str], bool] = {}

    def smallest(self) -> list[str] | None:
        """Return the nodes of that part; ``None`` if the flat graph does not fail like that."""
        whole, wanted, names = self.flat, self._wanted, self._smallest()
        if self._hangs and names and self._timeout < self._longest:
            record = self._converted(names, self._longest)
            if _kind(record) != self._wanted:  # it takes its time, and ends
                smaller, self.flat, self._known, self._wanted = self.flat, whole, {}, wanted
                self._timeout, self._deadline = self._longest, time.monotonic() + _MOST_SECONDS / 2
                found = self._smallest()
                if time.monotonic() < self._deadline:
                    return found
                self.flat = smaller  # what takes longest says more than a search without an end
        return names

    def _smallest(self) -> list[str] | None:
        names = self.flat.divisible
        whole = self._try(names)
        if whole[:2] != self._wanted[:2] or not (
            whole[2] & self._wanted[2] or whole[0] != "raised"
        ):
            return None
        # The flat graph leaves out what initializes tables and variables, and ops that it folds.
        self._wanted = whole
        named = [name for name in names if self.flat.ops[name] in self._named]
        for some in (named[:1], named):
            if some and self._fails(some):
                names = some
                break
        names = smallest(names, self._fails)
        while len(names) == 1 and (inner := self._inside(names[0])):
            names = inner
        return names

    def shrunk(self, names: Sequence[str], record: Record) -> tuple[FlatGraph, list[str], Record]:
        """Return a part in smaller shapes and plainer numbers, and how it fails.

        What is given back is a graph and its nodes; where nothing can be smaller, it is the part
        itself, with ``record``, that of the whole.
        """
        found = self.flat, list(names), record
        made = run_isolated(alone, self.flat, list(names))
        case = run_isolated(part_case, made.value[0]) if made.ok else made
        if not case.ok:
            return found
        words, must_run = self._words(record), self._runs(case.value.flat)

        def fails(smaller: PartCase, timeout: float = self._timeout) -> bool:
            nonlocal found
            flat = smaller.flat
            if must_run and not self._runs(flat):
                return False
            ended = self._converted(flat.divisible, timeout, flat)
            same = _kind(ended) == self._wanted and self._words(ended) == words
            found = (flat, flat.divisible, ended) if same else found
            return same

        if not fails(case.value):
            return found
        unchanged = found
        PartShrinking(case.value, fails, _SHRINKING).smallest()
        if self._hangs and not fails(replace(case.value, flat=found[0]), self._longest):
            return unchanged
        return found

    def _runs(self, flat: FlatGraph) -> bool:
        """Whether TensorFlow takes a call of a part: else it may be no model at all."""
        if flat.as_graph_def:
            return False
        with temporary_folder("part-") as folder:
            return run_isolated(call_part, flat, folder, timeout=60.0, writes=[folder]).ok

    @staticmethod
    def _words(record: Record) -> str:
        """Return what it dies with, without numbers and names."""
        return _VARYING.sub("", telling_line(record.log)) if record.outcome == "crashed" else ""

    def _inside(self, name: str) -> list[str]:
        """Return the smallest part of what a node calls; none if that alone does not fail."""
        outer = self.flat
        for body in run_isolated(bodies, outer, name).value or ():
            self.flat, self._known = body, {}
            if body.divisible and self._fails(body.divisible):
                return smallest(body.divisible, self._fails)
        self.flat = outer
        return []

    def _fails(self, names: Sequence[str]) -> bool:
        key = frozenset(names)
        if key not in self._known:
            if time.monotonic() > self._deadline:
                return False
            self._known[key] = self._try(names) == self._wanted
        return self._known[key]

    def _try(self, names: Sequence[str]) -> _Kind:
        self.tries += 1
        record = self._converted(names, self._timeout)
        if record.outcome == "timed out" and not self._hangs and self._longest > self._timeout:
            # On a busy machine that says nothing yet.
            record = self._converted(names, self._longest)
        return _kind(record)

    def _converted(
        self, names: Sequence[str], timeout: float, flat: FlatGraph | None = None
    ) -> Record:
        with temporary_folder("part-") as folder:
            converted = convert_part, flat or self.flat, list(names), folder
            return run_isolated(*converted, timeout=timeout, writes=[folder])


def _kind(record: Record) -> _Kind:
    """Return what two failures have in common that are the same."""
    if record.outcome != "raised":
        return record.outcome, record.exit_signal, frozenset()
    ops = frozenset(record.failing_ops) or frozenset(_AN_OP.findall(record.message))
    said = _VARYING.sub("", short_message(record.message))
    return record.outcome, record.exception_type, ops or frozenset([said])
