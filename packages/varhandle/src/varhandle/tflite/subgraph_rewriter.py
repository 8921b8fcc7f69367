"""Rewrite the subgraphs of a .tflite file so that variables become ordinary tensors.

``READ_VARIABLE`` copies a variable's value, and the tensors of a .tflite file are assigned once. So
a variable is nothing but a name for the tensor that was assigned last, its *current value*, and
walking the operators in their order is enough to replace every read by that tensor. What a subgraph
needs before it assigns it becomes an input, what it leaves an output. A handle is followed from
``VAR_HANDLE`` through the arguments and results of ``WHILE`` and ``IF``, where the value takes its
place.

The same walk is made twice: first it only looks, for what each subgraph does to variables; then,
once every variable's dtype and shape is known, it writes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ai_edge_litert import schema_py_generated as schema

from varhandle.graph import variable_role
from varhandle.tflite.flatbuffer import (
    callees,
    decode,
    indices,
    op_name,
    with_callees,
)
from varhandle.tflite.own_outputs import cast_copy
from varhandle.tflite.variable_values import CannotLiftError, VariableKey

_DEEPEST = 100  # nested branches and loops; no converter comes near, and Python's own stack ends
_UNKNOWN = -1  # the tensor that holds a value, in a walk that only looks

Binding = tuple[tuple[int, VariableKey], ...]
"""Which arguments of a subgraph are handles, and of which variables."""


class Effects(NamedTuple):
    """What one run of a subgraph does to variables."""

    reads: frozenset[VariableKey]  # whose value it needs when it starts
    assigns: frozenset[VariableKey]  # or may assign
    results: Binding  # which of its outputs are handles


@dataclass
class _Draft:
    """A subgraph while it is walked through.

    Attributes:
        old: The subgraph. Its tensors keep their indices; new ones are added behind them, and
            ``compact`` drops those that are no longer used.
        depth: How many subgraphs are being run around it, for a walk that looks.
        handles: Which tensors are handles, and of which variables.
        current: The tensor that holds the value of each variable at this point of the walk.
        renumbered: What was read from a variable -> the tensor that held its value then.
    """

    old: schema.SubGraphT
    depth: int
    tensors: list[schema.TensorT]
    handles: dict[int, VariableKey]
    operators: list[schema.OperatorT] = field(default_factory=list)
    current: dict[VariableKey, int] = field(default_factory=dict)
    renumbered: dict[int, int] = field(default_factory=dict)
    reads: set[VariableKey] = field(default_factory=set)
    assigns: set[VariableKey] = field(default_factory=set)

    @classmethod
    def of(cls, old: schema.SubGraphT, binding: Binding, depth: int = 0) -> _Draft:
        inputs = indices(old.inputs)
        handles = {inputs[position]: key for position, key in binding}
        return cls(old, depth, list(old.tensors or []), handles)

    def value(self, tensor: int) -> int:
        return self.renumbered.get(tensor, tensor)

    def kept(self, tensors: Sequence[int]) -> list[int]:
        """Return those of some tensors that are no handles, by their indices now."""
        return [self.value(tensor) for tensor in tensors if tensor not in self.handles]

    def bound(self, tensors: Sequence[int]) -> Binding:
        """Return which of some tensors, by their places among them, are handles."""
        return tuple((i, self.handles[t]) for i, t in enumerate(tensors) if t in self.handles)

    def variable(self, name: str, handle: int) -> VariableKey:
        if handle not in self.handles:
            raise CannotLiftError(f"{name} takes a handle that no VAR_HANDLE of this file makes")
        return self.handles[handle]


class SubgraphRewriter:
    """Looks what subgraphs do to variables, and writes them anew without.

    New subgraphs are added behind the model's own, which stay: another signature may call them
    with other handles. ``values`` has each variable's tensors, as far as subgraphs were looked at:
    what was read from it and what was assigned to it.
    """

    def __init__(self, model: schema.ModelT) -> None:
        self.model = model
        self.values: dict[VariableKey, list[schema.TensorT]] = {}
        self._known: dict[tuple[int, Binding], Effects | None] = {}
        self._specs: Mapping[VariableKey, schema.TensorT] | None = None
        self._constants: Mapping[VariableKey, int] = {}

    def effects(self, number: int, binding: Binding = (), depth: int = 0) -> Effects:
        """Return what a subgraph does, what it calls included.

        ``binding`` says which of its arguments are handles. ``CannotLiftError`` if it does with a
        handle what is not known here.
        """
        call = number, binding
        if call not in self._known:
            if depth > _DEEPEST:
                raise CannotLiftError(f"more than {_DEEPEST} branches and loops are nested")
            self._known[call] = None  # under way: whoever meets it again is called by itself
            draft = _Draft.of(self.model.subgraphs[number], binding, depth)
            self._walk(draft)
            results = draft.bound(indices(draft.old.outputs))
            found = Effects(frozenset(draft.reads), frozenset(draft.assigns), results)
            self._known[call] = found
        known = self._known[call]
        if known is None:
            name = decode(self.model.subgraphs[number].name) or str(number)
            raise CannotLiftError(f"the subgraph {name} calls itself")
        return known

    def begin_writing(
        self, specs: Mapping[VariableKey, schema.TensorT], constants: Mapping[VariableKey, int]
    ) -> None:
        """Say what to write with, once all has been looked at.

        ``specs`` has a tensor as every value of a variable is (dtype, shape, quantization),
        ``constants`` the buffer of each variable that nothing assigns.
        """
        self._specs = specs
        self._constants = constants
        self._written: dict[Any, int] = {}
        self._renumbered: dict[int, Mapping[int, int]] = {}
        self._taken = {
            decode(tensor.name)
            for subgraph in self.model.subgraphs
            for tensor in subgraph.tensors or []
            if tensor.type != schema.TensorType.RESOURCE  # handles go, and leave their names
        }
        self._counts: dict[str, int] = {}

    def rename(self, tensor: schema.TensorT, stem: str) -> None:
        """Give a new tensor a name that no other has: some tools tell tensors by their names."""
        self._taken.discard(decode(tensor.name))
        tensor.name = self._new_name(stem)

    def _new_name(self, stem: str) -> str:
        name = stem
        while name in self._taken:
            self._counts[stem] = self._counts.get(stem, 0) + 1
            name = f"{stem}_{self._counts[stem]}"
        self._taken.add(name)
        return name

    def renumbered(self, subgraph: int, tensor: int) -> int:
        """Return the index that a tensor has in a new subgraph: another if it was read."""
        return self._renumbered[subgraph].get(tensor, tensor)

    def state(self, keys: Iterable[VariableKey]) -> tuple[VariableKey, ...]:
        """Return those variables that are no constants, in their order."""
        return tuple(sorted(set(keys) - set(self._constants)))

    def write(
        self,
        number: int,
        inputs: tuple[VariableKey, ...],
        outputs: tuple[VariableKey, ...],
        binding: Binding = (),
        *,
        loop: bool = False,
    ) -> int:
        """Write a subgraph anew, and return the index of the new one.

        The values of ``inputs`` and ``outputs`` stand behind its own inputs and outputs. Arguments
        and results that are handles go. ``loop`` is for the body of a ``WHILE``. A walk that only
        looks leaves the subgraph as it is.
        """
        if self._specs is None:
            return number
        call = number, inputs, outputs, binding, loop
        if call not in self._written:
            draft = _Draft.of(self.model.subgraphs[number], binding)
            draft.current = {key: self._add(key, draft) for key in inputs}
            arguments = list(draft.current.values())  # before an assignment changes them
            self._walk(draft)
            new = copy.copy(draft.old)
            new.tensors, new.operators = draft.tensors, draft.operators
            new.inputs = draft.kept(indices(draft.old.inputs)) + arguments
            new.outputs = draft.kept(indices(draft.old.outputs))
            new.outputs += [draft.current[key] for key in outputs]
            if loop:
                self._keep_apart(draft, new)
            self.model.subgraphs.append(new)
            self._written[call] = len(self.model.subgraphs) - 1
            self._renumbered[self._written[call]] = draft.renumbered
        return self._written[call]

    def _keep_apart(self, draft: _Draft, body: schema.SubGraphT) -> None:
        """Copy what a loop's body takes at one place and gives at another.

        LiteRT copies the outputs of a body to its inputs one after the other, in place: of two
        values that change places, one would be lost. ``READ_VARIABLE`` used to copy; a ``CAST`` to
        the same dtype does so in its stead, on any shape.
        """
        before = [t for t in indices(draft.old.outputs) if t not in draft.handles]
        for position, tensor in enumerate(body.outputs):
            changed = position >= len(before) or before[position] != tensor
            if changed and tensor in body.inputs and body.inputs[position] != tensor:
                copied = copy.copy(draft.tensors[tensor])
                copied.name, copied.buffer = self._new_name(decode(copied.name)), 0
                draft.tensors.append(copied)
                body.outputs[position] = len(draft.tensors) - 1
                copies = cast_copy(self.model, tensor, body.outputs[position], copied.type)
                draft.operators.append(copies)

    def _walk(self, draft: _Draft) -> None:
        for operator in draft.old.operators or []:
            name = op_name(self.model, operator)
            inputs, outputs = indices(operator.inputs), indices(operator.outputs)
            if name == "VAR_HANDLE":
                options = operator.builtinOptions
                key = VariableKey(decode(options.container), decode(options.sharedName))
                draft.handles[outputs[0]] = key
            elif name == "READ_VARIABLE":
                key = draft.variable(name, inputs[0])
                draft.renumbered[outputs[0]] = self._value(key, draft)
                self._note_value(key, draft, outputs[0])
            elif name == "ASSIGN_VARIABLE":
                key = draft.variable(name, inputs[0])
                draft.current[key] = draft.value(inputs[1])
                draft.assigns.add(key)
                self._note_value(key, draft, inputs[1])
            elif name == "IF":
                self._branch(operator, draft)
            elif name == "WHILE":
                self._loop(operator, draft)
            else:
                self._other(name, operator, draft)

    def _note_value(self, key: VariableKey, draft: _Draft, tensor: int) -> None:
        if self._specs is None:
            self.values.setdefault(key, []).append(draft.tensors[tensor])

    def _value(self, key: VariableKey, draft: _Draft) -> int:
        """Return the tensor that holds a variable's value: from outside, if nothing was assigned.

        Where it is written, all that comes from outside and is no constant is there already.
        """
        if key not in draft.current:
            draft.reads.add(key)
            draft.current[key] = self._add(key, draft)
        return draft.current[key]

    def _add(self, key: VariableKey, draft: _Draft) -> int:
        """Add a tensor that holds the value of a variable, and return its index."""
        if self._specs is None:
            return _UNKNOWN
        tensor = copy.copy(self._specs[key])
        tensor.name = self._new_name(key.name)
        tensor.buffer = self._constants.get(key, 0)
        draft.tensors.append(tensor)
        return len(draft.tensors) - 1

    def _branch(self, operator: schema.OperatorT, draft: _Draft) -> None:
        """Follow an ``IF``.

        It takes what one of its branches reads, and what only one of them assigns: the other one
        hands the value through, since the ``IF`` gives it in any case.
        """
        condition, *arguments = indices(operator.inputs)
        binding = draft.bound(arguments)
        first, second = (self.effects(n, binding, draft.depth + 1) for n in callees(operator))
        if first.results != second.results:
            raise _mixed("IF", first.results, second.results)
        taken = first.reads | second.reads | (first.assigns ^ second.assigns)
        given = first.assigns | second.assigns
        sides = self.state(taken), self.state(given)
        branches = {n: self.write(n, *sides, binding) for n in callees(operator)}
        new = with_callees(operator, branches)
        new.inputs = [draft.value(condition), *draft.kept(arguments)]
        self._finish_call(new, draft, first.results, *sides)
        draft.assigns |= given

    def _loop(self, operator: schema.OperatorT, draft: _Draft) -> None:
        """Follow a ``WHILE``, which carries from round to round all that it touches.

        With no round at all, the value from before is the value after.
        """
        arguments = indices(operator.inputs)
        binding = draft.bound(arguments)
        numbers = callees(operator)
        condition, body = (self.effects(n, binding, draft.depth + 1) for n in numbers)
        for key in sorted(condition.assigns):
            raise CannotLiftError(f"the condition of WHILE assigns the variable {key.name}")
        if body.results != binding:
            raise _mixed("WHILE", binding, body.results)
        state = self.state(condition.reads | body.reads | body.assigns)
        new = copy.copy(operator)
        new.builtinOptions = schema.WhileOptionsT(
            self.write(numbers[0], state, (), binding),
            self.write(numbers[1], state, state, binding, loop=True),
        )
        new.inputs = draft.kept(arguments)
        self._finish_call(new, draft, binding, state, state)
        draft.assigns |= body.assigns

    def _finish_call(
        self,
        new: schema.OperatorT,
        draft: _Draft,
        results: Binding,
        taken: Iterable[VariableKey],
        given: Iterable[VariableKey],
    ) -> None:
        """Let an ``IF`` or a ``WHILE`` take and give values in place of handles."""
        outputs = indices(new.outputs)
        draft.handles.update({outputs[position]: key for position, key in results})
        new.outputs = draft.kept(outputs)
        new.inputs += [self._value(key, draft) for key in taken]
        for key in given:  # only now: what is taken is the value from before
            draft.current[key] = self._add(key, draft)
            new.outputs.append(draft.current[key])
        draft.operators.append(new)

    def _other(self, name: str, operator: schema.OperatorT, draft: _Draft) -> None:
        """Let an op pass that has to do with no variable, or only gives first values."""
        if name == "CALL_ONCE":
            self._check_once(operator, draft)
        else:
            self._refuse_if_it_touches(name, operator, draft)
        new = with_callees(operator, {n: self.write(n, (), ()) for n in callees(operator)})
        new.inputs = [draft.value(tensor) for tensor in indices(operator.inputs)]
        draft.operators.append(new)

    def _check_once(self, operator: schema.OperatorT, draft: _Draft) -> None:
        """Initializing is no effect of a run, as long as it comes before everything else."""
        for number in callees(operator):
            initialized = self.effects(number, (), draft.depth + 1).assigns
            late = sorted(initialized & (draft.assigns | draft.reads))
            if initialized and (late or draft.depth):
                at = "after it was used" if late else "inside a branch, a loop or another CALL_ONCE"
                key = (late or sorted(initialized))[0]
                raise CannotLiftError(f"CALL_ONCE initializes the variable {key.name} {at}")

    def _refuse_if_it_touches(self, name: str, operator: schema.OperatorT, draft: _Draft) -> None:
        code = decode(self.model.operatorCodes[operator.opcodeIndex].customCode)
        op = code if name == "CUSTOM" and code else name
        if name == "CUSTOM" and variable_role(code):
            raise CannotLiftError(
                f"the op {code} keeps a variable that only TensorFlow's own kernels know"
            )
        touched = [key for _, key in draft.bound(indices(operator.inputs))]
        for number in callees(operator):
            effects = self.effects(number, (), draft.depth + 1)
            touched += sorted(effects.reads | effects.assigns)
        if touched:
            variable = touched[0].name
            raise CannotLiftError(
                f"the op {op} takes the variable {variable}, and is none of READ_VARIABLE, "
                "ASSIGN_VARIABLE, IF and WHILE"
            )


def _mixed(name: str, one: Binding, other: Binding) -> CannotLiftError:
    different = sorted(set(one) ^ set(other))
    variables = " and ".join(dict.fromkeys(key.name for _, key in different))
    return CannotLiftError(f"{name} decides at run time which variable a handle is of: {variables}")
