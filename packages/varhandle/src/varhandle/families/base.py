"""A failure family: everything that the tool knows of one way in which a conversion fails.

A rule looks at what the signature in question can reach; the same trouble in another signature is a
``warning``, because it stops a conversion of the whole file and not one of this signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from varhandle.display import join_names, printable
from varhandle.errors import UnknownNameError
from varhandle.facts.dtypes import Dtype, dtype_of
from varhandle.facts.random_ops import BUILTIN_DRAWS, is_draw
from varhandle.facts.releases import minor
from varhandle.facts.targets import VARIABLE_OPS
from varhandle.facts.variable_updates import REFERENCE_UPDATES, REWRITTEN_UPDATES, is_converted
from varhandle.facts.verdicts import SEVERITIES, Severity
from varhandle.families import code
from varhandle.families.harness import Case
from varhandle.families.log_index import LogDiagnosis, LogRule, MatchIndex, Meaning
from varhandle.families.log_patterns import Match, Pattern
from varhandle.families.log_release import LogRelease
from varhandle.formats.tflite_bytes import read_graph_part
from varhandle.graph import Access, Function, Graph, Node, Signature, Variable
from varhandle.graph.model import output_index
from varhandle.graph.op_roles import CHECKPOINT_OPS
from varhandle.graph.resource_flow import ResourceFlow


@dataclass(frozen=True)
class Finding:
    """One thing that was seen in a model.

    An error does not convert, or answers wrongly; a warning may do so, on some road or some
    release; an info is worth knowing, and no fault.
    """

    id: str  # of its family
    severity: Severity
    variables: tuple[str, ...]  # names of those concerned, sorted
    message: str  # the cause, in one sentence, in terms of this model
    fix: str  # code made for this model, or a sentence where no code helps

    def __repr__(self) -> str:
        return f"Finding({self.severity}: {self.id}: {join_names(self.variables)})"


def with_severity(finding: Finding, severity: Severity, added: str = "") -> Finding:
    """Return a finding with another severity, and a sentence more in its message."""
    return replace(finding, severity=severity, message=f"{finding.message} {added}".strip())


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings: the worst first, then by id; equal ones once.

    What is worth knowing of a model once it is converted is left out where it does not convert.
    """
    once = list(dict.fromkeys(findings))
    stopped = any(f.severity == "error" for f in once)
    kept = [f for f in once if f.severity != "info" or not stopped]
    return tuple(sorted(kept, key=lambda f: (SEVERITIES.index(f.severity), f.id, f.variables)))


def inference_signature(
    graph: Graph, wanted: str | None = None, without: frozenset[str] = frozenset()
) -> str | None:
    """Choose the signature that a diagnosis is about.

    It is ``wanted``; else, of those that take inputs and leave checkpoints alone if there are such,
    ``serving_default`` or the one from which the fewest variables are assigned, the first by name
    among equals; ``None`` where the model has no signatures, or none that runs none of the ops
    ``without``. Raises ``KeyError`` if there is no signature ``wanted``.
    """
    signatures = [one for one in graph.signatures if without.isdisjoint(graph.op_counts(one.name))]
    names = [signature.name for signature in signatures]
    if wanted is not None:
        if wanted not in names:
            known = ", ".join(names) or "none"
            raise UnknownNameError(f"no signature {wanted!r}; there are: {known}")
        return wanted
    if len(names) < 2:
        return names[0] if names else None

    def rank(signature: Signature) -> tuple[object, ...]:
        name = signature.name
        assigned = sum(any(name in a.signatures for a in v.assigns) for v in graph.variables)
        return (
            not signature.inputs or handles_checkpoints(graph, name),
            name != "serving_default",
            assigned,
            name,
        )

    return min(signatures, key=rank).name


def handles_checkpoints(graph: Graph, signature: str) -> bool:
    """Whether a signature saves the model or restores it: that is nothing for a .tflite file."""
    return not CHECKPOINT_OPS.isdisjoint(graph.op_counts(signature))


def converts_with_others(graph: Graph, signature: str, rewritten: bool = False) -> bool:
    """Tell whether nothing in a signature keeps it out of a file that it would share with others.

    One that saves or restores a checkpoint is no matter of a .tflite file, and so is an update or
    a draw that has no builtin, unless ``cure`` writes it anew (``rewritten``).
    """
    draws = {op for op in graph.op_counts(signature) if is_draw(op)} - BUILTIN_DRAWS
    if handles_checkpoints(graph, signature) or (draws and not rewritten):
        return False
    return all(
        is_converted(access.op, dtype_of(variable.dtype))
        or (rewritten and _is_rewritten(access.op, dtype_of(variable.dtype)))
        for variable in graph.variables
        for access in variable.assigns
        if signature in access.signatures
    )


def _is_rewritten(op: str, dtype: Dtype) -> bool:
    on_handle = REFERENCE_UPDATES.get(op, op)
    return on_handle in REWRITTEN_UPDATES and bool(dtype.calculated or dtype.widened)


@dataclass(frozen=True)
class Reading:
    """A graph, and the signature in question (``None`` where the model has none).

    ``content`` holds the bytes of a .tflite file that is in memory only.
    """

    graph: Graph
    signature: str | None
    content: bytes | None = None

    def reachable(self, accesses: Iterable[Access]) -> tuple[Access, ...]:
        """Return the accesses that the signature in question can reach."""
        return tuple(
            access
            for access in accesses
            if self.signature is None
            or not access.signatures
            or self.signature in access.signatures
        )

    @cached_property
    def state(self) -> tuple[Variable, ...]:
        """The variables that the signature in question assigns."""
        return tuple(v for v in self.graph.variables if self.reachable(v.assigns))

    @cached_property
    def kept_state(self) -> tuple[Variable, ...]:
        """Those of them that stay variables: VAR_HANDLE carries their dtype."""
        return tuple(v for v in self.state if dtype_of(v.dtype).carried)

    @cached_property
    def kept_by_file(self) -> tuple[Variable, ...]:
        """The variables that a .tflite file keeps with the builtin ops, and that have a value."""
        return tuple(
            v
            for v in self.graph.variables
            if v.initialized
            and self.reachable((*v.reads, *v.assigns))
            and any(access.op in VARIABLE_OPS for access in (*v.reads, *v.assigns))
        )

    @cached_property
    def reached(self) -> tuple[Function, ...]:
        """The functions that the signature in question can reach."""
        if self.signature is None:
            return self.graph.functions
        return self.graph.reachable(self.graph.signature(self.signature).function)

    @cached_property
    def file(self) -> bytes | None:
        """The bytes of a .tflite file, if they are still there: never copied, it may be large."""
        if self.content is not None:
            return self.content
        try:
            return cast("bytes", read_graph_part(Path(self.graph.source)))
        except (OSError, ValueError):
            return None

    @property
    def reached_nodes(self) -> tuple[Node, ...]:
        """The nodes that it runs."""
        if self.signature is None:
            return tuple(self.graph.nodes)
        return tuple(self.graph.nodes_of(self.signature))

    @cached_property
    def nodes(self) -> dict[tuple[str, str], tuple[int, Function, Node]]:
        """Every node by function and name, with its position and its function."""
        return {
            (function.name, node.name): (position, function, node)
            for function in self.graph.functions
            for position, node in enumerate(function.nodes)
        }

    @cached_property
    def resource_flow(self) -> ResourceFlow:
        """Where the handles of variables and tables come from, in a graph of TensorFlow's."""
        return ResourceFlow(self.graph.functions, output_index)

    @cached_property
    def takers(self) -> dict[str, dict[str, list[str]]]:
        """By function, and by node or argument in it: the nodes that take its value."""
        found: dict[str, dict[str, list[str]]] = {}
        for function in self.graph.functions:
            mine = found.setdefault(function.name, {})
            for node in function.nodes:
                for source in node.sources:
                    mine.setdefault(source, []).append(node.name)
        return found

    @property
    def subject(self) -> str:
        """How a sentence names the signature."""
        return f"signature {printable(self.signature)}" if self.signature else "the model"

    @property
    def capital_subject(self) -> str:
        """The same, where a sentence begins with it."""
        return self.subject[:1].upper() + self.subject[1:]


GraphRule = Callable[[Reading], Iterator[Finding]]
DifferenceRule = Callable[[Reading, Mapping[str, Any]], Finding | None]


def variable_names(variables: Iterable[Variable]) -> tuple[str, ...]:
    """Return the different names of variables, sorted."""
    return tuple(sorted({variable.name for variable in variables}))


def named(names: Sequence[str]) -> str:
    """Begin a sentence: names, and ``is`` or ``are``."""
    return f"{join_names(names)} {'is' if len(names) == 1 else 'are'}"


def advised_cure(reading: Reading, variables: Sequence[Variable]) -> str:
    """Advise the tool, where it can carry the variables and write every update anew."""
    dtypes = [dtype_of(variable.dtype) for variable in variables]
    ops = {access.op for v in reading.graph.variables for access in reading.reachable(v.assigns)}
    if all(_is_rewritten(op, dtype) for op in ops for dtype in dtypes):
        return f"\n{code.cure_comment(reading.graph.source, reading.signature)}"
    return ""


@dataclass(frozen=True)
class Family:
    """One way in which a model, a converter and a runtime fail each other.

    One that only logs show has neither ``cases`` nor ``graph_rules``.
    """

    id: str  # stable, such as "frozen-but-assigned"
    order: int  # its place among the families
    what: str  # what happens, in a sentence
    cause: str  # why, in a sentence
    # What ``explain`` says to do: a sentence, and after an empty line code that was run on
    # TensorFlow 2.21, where code helps. Names in it are examples.
    fix: str
    # The reproductions, which fail on TensorFlow 2.21 or on an earlier release; the version matrix
    # says on which. None for a family that only a device shows.
    cases: tuple[Case, ...] = ()
    graph_rules: Mapping[str, GraphRule] = field(default_factory=dict)  # by the graph's format
    difference_rule: DifferenceRule | None = None  # for a model whose file parts from it
    log_patterns: tuple[Pattern, ...] = ()
    # What the lines with these patterns mean by themselves, by kind; and what all of them mean
    # together.
    log_meanings: Mapping[str, Meaning] = field(default_factory=dict)
    log_rule: LogRule | None = None
    # For somebody who cannot leave an old release: what to do there, each up to a release, such as
    # ("2.8", "Set …"); the oldest first. ``explain`` adds it where the log tells such a release.
    older: tuple[tuple[str, str], ...] = ()
    repair_step: str | None = None  # that mends it: a key of ``repair.steps.STEPS``
    is_in_reads: bool = False  # the trouble is how a variable is read, and not how it is updated
    spoils_whole_file: bool = False  # a conversion of all signatures suffers where one has it
    of_variables: bool = True  # whether a variable is at fault, or what holds the model's values
    answers_wrongly: bool = False  # the others stop the converter or the interpreter
    of_the_file: bool = False  # a model only leads one to expect it; the file shows it better
    refuted_by_running: bool = False  # a .tflite file that the plain kernels run cannot have it
    accumulates_state: bool = False  # its state may stop changing after many calls: a proof tries
    # It stops the converter, too, where the handle of its variable is made inside a function.
    needs_handle_in_main_graph: bool = False
    # The file of a model that has it is known to answer otherwise than the model does when it is
    # called: at best it is "unproved", and the finding's message says why.
    never_equal: bool = False
    # It is no fault today; a model that has it fails on the releases where its reproductions do.
    shown_by_releases: bool = False

    def finding(
        self, severity: Severity, variables: tuple[str, ...], message: str, fix: str
    ) -> Finding:
        """Return a finding of this family."""
        return Finding(self.id, severity, variables, message, fix)

    def in_variables(
        self,
        reading: Reading,
        trouble: Callable[[Variable], Sequence[Access]],
        message: Callable[[Sequence[Variable]], str],
        fix: Callable[[Sequence[Variable]], str],
    ) -> Iterator[Finding]:
        """Yield an error for what the signature reaches, a warning for what only others reach.

        ``trouble`` returns the accesses of a variable that make the trouble, if any.
        """
        hits = [(v, trouble(v)) for v in reading.graph.variables]
        mine = [variable for variable, accesses in hits if reading.reachable(accesses)]
        if mine:
            yield self.finding("error", variable_names(mine), message(mine), fix(mine))
        theirs = [
            (v, accesses) for v, accesses in hits if accesses and not reading.reachable(accesses)
        ]
        if theirs and reading.signature is not None:
            others = {name for _, accesses in theirs for a in accesses for name in a.signatures}
            variables = [variable for variable, _ in theirs]
            text = (
                f"{message(variables)} Only signature {join_names(sorted(others))} does that: "
                f"{reading.subject} converts by itself."
            )
            alone = code.convert_signatures(reading.graph, reading.signature)
            yield self.finding("warning", variable_names(variables), text, alone)

    def in_log(
        self, rank: int, match: Match, message: str, fix: str | None = None, **others: bool
    ) -> LogDiagnosis:
        """Return what a line of a log means; the fix is the family's own if there is no other.

        ``others`` are fields of a ``LogDiagnosis``. The family's advice for older releases goes
        with the family's own fix, unless they say otherwise.
        """
        told = self.fix if fix is None else fix
        others = {"with_older": fix is None, "of_variables": self.of_variables, **others}
        return LogDiagnosis(self.id, match.line, message, told, match.line_number, rank, **others)

    def diagnose_log(self, index: MatchIndex) -> Iterator[LogDiagnosis]:
        """Yield what the matches of a log say of this family."""
        for kind, meaning in self.log_meanings.items():
            for match in index.of(kind):
                yield self.in_log(meaning.rank, match, meaning.message_of(match), meaning.fix)
        if self.log_rule:
            yield from self.log_rule(index)

    def for_older(self, release: LogRelease) -> str:
        """Say what to do for somebody who is bound to the release that wrote a log."""
        advice = next((text for last, text in self.older if release.last <= minor(last)), "")
        return f" Bound to TensorFlow {release.text}: {advice}" if advice else ""
