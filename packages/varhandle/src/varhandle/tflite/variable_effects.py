"""What each subgraph of a .tflite file does to variables: which it reads, and which it assigns.

``READ_VARIABLE`` copies a variable's value, and the tensors of a .tflite file are assigned once.
So a variable is nothing but a name for the tensor that was assigned last. A subgraph needs the
value of what it reads before it assigns it, and leaves the value of what it assigns. A handle is
followed from ``VAR_HANDLE`` through the arguments and results of ``WHILE`` and ``IF``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ai_edge_litert import schema_py_generated as schema

from varhandle.errors import VarhandleError
from varhandle.graph import variable_role
from varhandle.tflite.flatbuffer import callees, decode, indices, op_name

_DEEPEST = 100  # nested branches and loops; no converter comes near, and Python's own stack ends


class CannotLiftError(VarhandleError, ValueError):
    """A model's state cannot be lifted out; the message says why, in one line.

    ``op`` and ``variable`` are those that are in the way; empty if there is none.
    """

    def __init__(self, fault: str, op: str = "", variable: str = "") -> None:
        self.fault = " ".join(fault.split())
        self.op = op
        self.variable = variable
        super().__init__(f"cannot lift the state: {self.fault}")

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return type(self), (self.fault, self.op, self.variable)


class VariableKey(NamedTuple):
    """What identifies a variable in the file: the two settings of ``VAR_HANDLE``."""

    container: str
    name: str


Binding = tuple[tuple[int, VariableKey], ...]
"""Which arguments of a subgraph are handles, and of which variables."""


@dataclass(frozen=True)
class Effects:
    """What one run of a subgraph does to variables."""

    reads: frozenset[VariableKey]  # whose value it needs when it starts
    assigns: frozenset[VariableKey]  # or may assign
    results: Binding  # which of its outputs are handles


def bound_handles(handles: Mapping[int, VariableKey], tensors: Sequence[int]) -> Binding:
    """Return which of some tensors, by their places among them, are handles of which variables."""
    return tuple((i, handles[t]) for i, t in enumerate(tensors) if t in handles)


@dataclass
class _Walk:
    """What is known half-way through a subgraph: the handles, and what was done so far."""

    handles: dict[int, VariableKey]
    reads: set[VariableKey] = field(default_factory=set)
    assigns: set[VariableKey] = field(default_factory=set)

    def read(self, keys: Iterable[VariableKey]) -> None:
        """Note whose value is needed here: from outside, if nothing has been assigned yet."""
        self.reads.update(key for key in keys if key not in self.assigns)


class VariableEffects:
    """Follows variables through the subgraphs of an unpacked model, and remembers the effects.

    ``values`` has each variable's tensors: what was read from it and what was assigned to it.
    """

    def __init__(self, model: schema.ModelT) -> None:
        self.model = model
        self.values: dict[VariableKey, list[schema.TensorT]] = {}
        self._known: dict[tuple[int, Binding], Effects | None] = {}

    def of(self, number: int, binding: Binding = (), depth: int = 0) -> Effects:
        """Return what a subgraph does, what it calls included.

        ``binding`` says which of its arguments are handles, ``depth`` how many subgraphs are being
        run around it. ``CannotLiftError`` if it does with a handle what is not known here.
        """
        call = number, binding
        if call not in self._known:
            if depth > _DEEPEST:
                raise CannotLiftError(f"more than {_DEEPEST} branches and loops are nested")
            self._known[call] = None  # under way: whoever meets it again is called by itself
            self._known[call] = self._walk(number, binding, depth)
        found = self._known[call]
        if found is None:
            name = decode(self.model.subgraphs[number].name) or str(number)
            raise CannotLiftError(f"the subgraph {name} calls itself")
        return found

    def _walk(self, number: int, binding: Binding, depth: int) -> Effects:
        subgraph = self.model.subgraphs[number]
        inputs = indices(subgraph.inputs)
        walk = _Walk({inputs[position]: key for position, key in binding})
        for operator in subgraph.operators or []:
            self._visit(subgraph, operator, walk, depth)
        results = bound_handles(walk.handles, indices(subgraph.outputs))
        return Effects(frozenset(walk.reads), frozenset(walk.assigns), results)

    def _visit(
        self, subgraph: schema.SubGraphT, operator: schema.OperatorT, walk: _Walk, depth: int
    ) -> None:
        name = op_name(self.model, operator)
        inputs, outputs = indices(operator.inputs), indices(operator.outputs)
        if name == "VAR_HANDLE":
            walk.handles[outputs[0]] = handle_key(operator)
        elif name == "READ_VARIABLE":
            key = self._handle(name, inputs[0], walk)
            walk.read([key])
            self._record(key, subgraph.tensors[outputs[0]])
        elif name == "ASSIGN_VARIABLE":
            key = self._handle(name, inputs[0], walk)
            walk.assigns.add(key)
            self._record(key, subgraph.tensors[inputs[1]])
        elif name == "CALL_ONCE":
            self._visit_once(operator, walk, depth)
        elif name in ("IF", "WHILE"):
            visit = self._visit_if if name == "IF" else self._visit_while
            results = visit(operator, walk, depth)
            walk.handles.update({outputs[position]: key for position, key in results})
        else:
            self._refuse_if_it_touches(name, operator, walk, depth)

    def _handle(self, name: str, tensor: int, walk: _Walk) -> VariableKey:
        if tensor not in walk.handles:
            raise CannotLiftError(
                f"{name} takes a handle that no VAR_HANDLE of this file makes", name
            )
        return walk.handles[tensor]

    def _record(self, key: VariableKey, tensor: schema.TensorT) -> None:
        self.values.setdefault(key, []).append(tensor)

    def _visit_once(self, operator: schema.OperatorT, walk: _Walk, depth: int) -> None:
        """Initializing is no effect of a run, as long as it comes before everything else."""
        for number in callees(operator):
            initialized = self.of(number, (), depth + 1).assigns
            late = sorted(initialized & (walk.assigns | walk.reads))
            if initialized and (late or depth):
                at = "after it was used" if late else "inside a branch, a loop or another CALL_ONCE"
                key = (late or sorted(initialized))[0]
                raise CannotLiftError(
                    f"CALL_ONCE initializes the variable {key.name} {at}", "CALL_ONCE", key.name
                )

    def _visit_if(self, operator: schema.OperatorT, walk: _Walk, depth: int) -> Binding:
        binding = bound_handles(walk.handles, indices(operator.inputs)[1:])
        first, second = (self.of(n, binding, depth + 1) for n in callees(operator))
        walk.read(if_carries(first, second))
        walk.assigns |= first.assigns | second.assigns
        if first.results != second.results:
            raise self._mixed("IF", first.results, second.results)
        return first.results

    def _visit_while(self, operator: schema.OperatorT, walk: _Walk, depth: int) -> Binding:
        binding = bound_handles(walk.handles, indices(operator.inputs))
        cond, body = (self.of(n, binding, depth + 1) for n in callees(operator))
        for key in sorted(cond.assigns):
            raise CannotLiftError(
                f"the condition of WHILE assigns the variable {key.name}", "WHILE", key.name
            )
        walk.read(while_carries(cond, body))
        walk.assigns |= body.assigns
        if body.results != binding:
            raise self._mixed("WHILE", binding, body.results)
        return binding

    def _mixed(self, name: str, one: Binding, other: Binding) -> CannotLiftError:
        different = sorted(set(one) ^ set(other))
        variables = " and ".join(dict.fromkeys(key.name for _, key in different))
        return CannotLiftError(
            f"{name} decides at run time which variable a handle is of: {variables}",
            name,
            different[0][1].name,
        )

    def _refuse_if_it_touches(
        self, name: str, operator: schema.OperatorT, walk: _Walk, depth: int
    ) -> None:
        """Let an op pass that has to do with no variable."""
        code = decode(self.model.operatorCodes[operator.opcodeIndex].customCode)
        op = code if name == "CUSTOM" and code else name
        if name == "CUSTOM" and variable_role(code):
            raise CannotLiftError(
                f"the op {code} keeps a variable that only TensorFlow's own kernels know", code
            )
        bound = bound_handles(walk.handles, indices(operator.inputs))
        touched = [key for _, key in bound]
        for number in callees(operator):
            effects = self.of(number, (), depth + 1)
            touched += sorted(effects.reads | effects.assigns)
        if touched:
            variable = touched[0].name
            raise CannotLiftError(
                f"the op {op} takes the variable {variable}, and is none of READ_VARIABLE, "
                "ASSIGN_VARIABLE, IF and WHILE",
                op,
                variable,
            )


def handle_key(operator: schema.OperatorT) -> VariableKey:
    """Return which variable a ``VAR_HANDLE`` names."""
    options = operator.builtinOptions
    return VariableKey(decode(options.container), decode(options.sharedName))


def if_carries(first: Effects, second: Effects) -> list[VariableKey]:
    """Return the variables whose value the branches of an ``IF`` need.

    Besides what one of them reads, that is what only one of them assigns: the other one hands the
    value through, since the ``IF`` gives it in any case.
    """
    handed_through = first.assigns ^ second.assigns
    return sorted(first.reads | second.reads | handed_through)


def while_carries(cond: Effects, body: Effects) -> list[VariableKey]:
    """Return the variables that a ``WHILE`` carries from round to round: all that it touches.

    With no round at all, the value from before is the value after.
    """
    return sorted(cond.reads | body.reads | body.assigns)
