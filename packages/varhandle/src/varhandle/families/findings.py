"""What a model's graph shows, without TensorFlow: a finding, and the reading that rules look at.

A rule looks at what the signature in question can reach; the same trouble in another signature is a
``warning``, because it stops a conversion of the whole file and not one of this signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from varhandle.display import join_names, printable
from varhandle.facts.dtypes import dtype_of
from varhandle.facts.variable_updates import REWRITTEN_UPDATES
from varhandle.facts.verdicts import SEVERITIES, Severity
from varhandle.families import code
from varhandle.graph import Access, Function, Graph, Node, Variable

_VARIABLE_BUILTINS = frozenset({"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"})


@dataclass(frozen=True)
class Finding:
    """One thing that was seen in a model.

    Attributes:
        id: Id of its family.
        severity: ``"error"`` (it does not convert, or answers wrongly), ``"warning"`` (it may, on
            some road or some release), or ``"info"`` (worth knowing; no fault).
        variables: Names of the variables concerned, sorted.
        message: The cause, in one sentence, in terms of this model.
        fix: What to do: code made for this model, or a sentence where no code helps.
    """

    id: str
    severity: Severity
    variables: tuple[str, ...]
    message: str
    fix: str

    def __repr__(self) -> str:
        return f"Finding({self.severity}: {self.id}: {join_names(self.variables)})"


def with_severity(finding: Finding, severity: Severity, added: str = "") -> Finding:
    """Return a finding with another severity, and a sentence more in its message."""
    return replace(finding, severity=severity, message=f"{finding.message} {added}".strip())


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings: the worst first, then by id; equal ones once.

    What is worth knowing of a variable once it is converted is left out where it is not.
    """
    once = list(dict.fromkeys(findings))
    faulty = {name for f in once if f.severity == "error" for name in f.variables}
    kept = [f for f in once if f.severity != "info" or not f.variables or set(f.variables) - faulty]
    return tuple(sorted(kept, key=lambda f: (SEVERITIES.index(f.severity), f.id, f.variables)))


def inference_signature(graph: Graph, wanted: str | None = None) -> str | None:
    """Choose the signature that a diagnosis is about.

    It is ``wanted``; else ``serving_default``; else the one from which the fewest variables are
    assigned, the first by name among equals; ``None`` where the model has no signatures.

    Raises:
        KeyError: There is no signature ``wanted``.
    """
    names = [signature.name for signature in graph.signatures]
    if wanted is not None:
        if wanted not in names:
            raise KeyError(f"no signature {wanted!r}; there are: {', '.join(names) or 'none'}")
        return wanted
    if "serving_default" in names or not names:
        return "serving_default" if names else None
    assigned = {
        name: sum(any(name in a.signatures for a in v.assigns) for v in graph.variables)
        for name in names
    }
    return min(names, key=lambda name: (assigned[name], name))


@dataclass(frozen=True)
class Reading:
    """A graph, and the signature in question (``None`` where the model has none).

    ``content`` holds the bytes of a .tflite file that is in memory only.
    """

    graph: Graph
    signature: str | None
    content: bytes | None = None

    def here(self, accesses: Iterable[Access]) -> tuple[Access, ...]:
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
        return tuple(v for v in self.graph.variables if self.here(v.assigns))

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
            and self.here((*v.reads, *v.assigns))
            and any(access.op in _VARIABLE_BUILTINS for access in (*v.reads, *v.assigns))
        )

    @cached_property
    def reached(self) -> tuple[Function, ...]:
        """The functions that the signature in question can reach."""
        if self.signature is None:
            return self.graph.functions
        return self.graph.reachable(self.graph.signature(self.signature).function)

    @cached_property
    def nodes(self) -> dict[tuple[str, str], tuple[int, Function, Node]]:
        """Every node by function and name, with its position and its function."""
        return {
            (function.name, node.name): (position, function, node)
            for function in self.graph.functions
            for position, node in enumerate(function.nodes)
        }

    @property
    def subject(self) -> str:
        """How a sentence names the signature."""
        return f"signature {printable(self.signature)}" if self.signature else "the model"

    @property
    def capital_subject(self) -> str:
        """The same, where a sentence begins with it."""
        return self.subject[:1].upper() + self.subject[1:]


GraphRule = Callable[[Reading], Iterator[Finding]]


def variable_names(variables: Iterable[Variable]) -> tuple[str, ...]:
    """Return the different names of variables, sorted."""
    return tuple(sorted({variable.name for variable in variables}))


def named(names: Sequence[str]) -> str:
    """Begin a sentence: names, and ``is`` or ``are``."""
    return f"{join_names(names)} {'is' if len(names) == 1 else 'are'}"


def advised_cure(reading: Reading, variables: Sequence[Variable]) -> str:
    """Advise the tool, where it can carry the variables and write every update anew."""
    dtypes = [dtype_of(variable.dtype) for variable in variables]
    ops = {access.op for v in reading.graph.variables for access in reading.here(v.assigns)}
    if all(one.calculated or one.widened for one in dtypes) and ops <= REWRITTEN_UPDATES:
        return f"\n{code.cured(reading.graph.source, reading.signature)}"
    return ""


def scoped(
    reading: Reading,
    family: str,
    hits: Sequence[tuple[Variable, Sequence[Access]]],
    message: Callable[[Sequence[Variable]], str],
    fix: Callable[[Sequence[Variable]], str],
) -> Iterator[Finding]:
    """Yield an error for what the signature reaches, and a warning for what only others reach.

    ``hits`` are the variables concerned, each with the accesses that make the trouble.
    """
    mine = [variable for variable, accesses in hits if reading.here(accesses)]
    if mine:
        yield Finding(family, "error", variable_names(mine), message(mine), fix(mine))
    theirs = [(v, a) for v, a in hits if not reading.here(a)]
    if theirs and reading.signature is not None:
        others = {name for _, accesses in theirs for a in accesses for name in a.signatures}
        variables = [variable for variable, _ in theirs]
        text = (
            f"{message(variables)} Only signature {join_names(sorted(others))} does that: "
            f"{reading.subject} converts by itself."
        )
        alone = code.one_signature(reading.graph.source, reading.signature)
        yield Finding(family, "warning", variable_names(variables), text, alone)
