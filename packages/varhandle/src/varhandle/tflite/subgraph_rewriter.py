"""Rewrite the subgraphs of a .tflite file so that variables become ordinary tensors.

Walking the operators in their order is enough to replace every read by a tensor: the *current
value* of the variable. What a subgraph needs becomes an input, what it leaves an output, and a
handle that is passed into ``WHILE`` or ``IF`` gives way to the value.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from varhandle.tflite.flatbuffer import callees, decode, indices, op_name, with_callees
from varhandle.tflite.variable_effects import (
    Binding,
    VariableEffects,
    VariableKey,
    bound_handles,
    handle_key,
    if_carries,
    while_carries,
)

_CAST = schema.BuiltinOperator.CAST


class SubgraphRewriter:
    """Writes subgraphs anew without variables.

    New subgraphs are added behind the model's own, which stay: another signature may call them
    with other handles. ``specs`` has a tensor as every value of a variable is (dtype, shape,
    quantization), ``constants`` the buffer of each variable that nothing assigns.
    """

    def __init__(
        self,
        effects: VariableEffects,
        specs: Mapping[VariableKey, schema.TensorT],
        constants: Mapping[VariableKey, int] | None = None,
    ) -> None:
        self._effects = effects
        self._model = effects.model
        self._specs = specs
        self._constants = constants or {}
        self._written: dict[Any, int] = {}
        self._renumbered: dict[int, Mapping[int, int]] = {}
        self._taken = {
            decode(tensor.name)
            for subgraph in self._model.subgraphs
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
        and results that are handles go. ``loop`` is for the body of a ``WHILE``.
        """
        call = number, inputs, outputs, binding, loop
        if call not in self._written:
            draft = _Draft.of(self._model.subgraphs[number], binding)
            new = self._finished(draft, inputs, outputs)
            if loop:
                self._keep_apart(draft, new)
            self._model.subgraphs.append(new)
            self._written[call] = len(self._model.subgraphs) - 1
            self._renumbered[self._written[call]] = draft.renumbered
        return self._written[call]

    def _finished(
        self, draft: _Draft, inputs: tuple[VariableKey, ...], outputs: tuple[VariableKey, ...]
    ) -> schema.SubGraphT:
        for key in inputs:
            draft.current[key] = self._add(key, draft)
        arguments = [draft.current[key] for key in inputs]  # before an assignment changes them
        for operator in draft.old.operators or []:
            self._copy(operator, draft)
        new = copy.copy(draft.old)
        new.tensors, new.operators = draft.tensors, draft.operators
        new.inputs = draft.kept(indices(draft.old.inputs)) + arguments
        new.outputs = draft.kept(indices(draft.old.outputs))
        new.outputs += [draft.current[key] for key in outputs]
        return new

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
                body.outputs[position] = self._add_copy(draft, tensor)

    def _add_copy(self, draft: _Draft, tensor: int) -> int:
        copied = copy.copy(draft.tensors[tensor])
        copied.name = self._new_name(decode(copied.name))
        draft.tensors.append(copied)
        number = len(draft.tensors) - 1
        options = schema.CastOptionsT(copied.type, copied.type)
        kind = schema.BuiltinOptions.CastOptions
        cast = schema.OperatorT(self._cast_code(), [tensor], [number], kind, options)
        draft.operators.append(cast)
        return number

    def _cast_code(self) -> int:
        """Return the index of the op code of ``CAST``, which may have to be added."""
        codes = self._model.operatorCodes
        for number, code in enumerate(codes):
            if flatbuffer_utils.get_builtin_code_from_operator_code(code) == _CAST:
                return number
        codes.append(schema.OperatorCodeT(_CAST, None, 1, _CAST))
        return len(codes) - 1

    def _copy(self, operator: schema.OperatorT, draft: _Draft) -> None:
        name = op_name(self._model, operator)
        inputs, outputs = indices(operator.inputs), indices(operator.outputs)
        if name == "VAR_HANDLE":
            draft.handles[outputs[0]] = handle_key(operator)
        elif name == "READ_VARIABLE":
            draft.renumbered[outputs[0]] = self._value(draft.handles[inputs[0]], draft)
        elif name == "ASSIGN_VARIABLE":
            draft.current[draft.handles[inputs[0]]] = draft.value(inputs[1])
        elif name == "IF":
            self._copy_if(operator, draft)
        elif name == "WHILE":
            self._copy_while(operator, draft)
        else:
            new = with_callees(operator, {n: self.write(n, (), ()) for n in callees(operator)})
            new.inputs = [draft.value(tensor) for tensor in inputs]
            draft.operators.append(new)

    def _value(self, key: VariableKey, draft: _Draft) -> int:
        if key not in draft.current:  # a constant: everything else is an input
            draft.current[key] = self._add(key, draft, self._constants[key])
        return draft.current[key]

    def _add(self, key: VariableKey, draft: _Draft, buffer: int = 0) -> int:
        """Add a tensor that holds the value of a variable, and return its index."""
        tensor = copy.copy(self._specs[key])
        tensor.name = self._new_name(key.name)
        tensor.buffer = buffer
        draft.tensors.append(tensor)
        return len(draft.tensors) - 1

    def _copy_if(self, operator: schema.OperatorT, draft: _Draft) -> None:
        condition, *arguments = indices(operator.inputs)
        binding = bound_handles(draft.handles, arguments)
        first, second = (self._effects.of(n, binding) for n in callees(operator))
        taken = self.state(if_carries(first, second))
        given = self.state(first.assigns | second.assigns)
        branches = {n: self.write(n, taken, given, binding) for n in callees(operator)}
        new = with_callees(operator, branches)
        new.inputs = [draft.value(condition), *draft.kept(arguments)]
        self._finish_call(new, draft, first.results, taken, given)

    def _copy_while(self, operator: schema.OperatorT, draft: _Draft) -> None:
        arguments = indices(operator.inputs)
        binding = bound_handles(draft.handles, arguments)
        condition, body = callees(operator)
        state = self.state(
            while_carries(self._effects.of(condition, binding), self._effects.of(body, binding))
        )
        new = copy.copy(operator)
        new.builtinOptions = schema.WhileOptionsT(
            self.write(condition, state, (), binding),
            self.write(body, state, state, binding, loop=True),
        )
        new.inputs = draft.kept(arguments)
        self._finish_call(new, draft, binding, state, state)

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


@dataclass
class _Draft:
    """A subgraph while it is written anew.

    Attributes:
        old: The subgraph that it is made from. Its tensors keep their indices; new ones are added
            behind them, and ``compact`` drops those that are no longer used.
        handles: Which tensors are handles, and of which variables.
        current: The tensor that holds the value of each variable at this point of the walk.
        renumbered: What was read from a variable -> the tensor that held its value then.
    """

    old: schema.SubGraphT
    tensors: list[schema.TensorT]
    handles: dict[int, VariableKey]
    operators: list[schema.OperatorT] = field(default_factory=list)
    current: dict[VariableKey, int] = field(default_factory=dict)
    renumbered: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, old: schema.SubGraphT, binding: Binding) -> _Draft:
        inputs = indices(old.inputs)
        handles = {inputs[position]: key for position, key in binding}
        return cls(old, list(old.tensors or []), handles)

    def value(self, tensor: int) -> int:
        return self.renumbered.get(tensor, tensor)

    def kept(self, tensors: Sequence[int]) -> list[int]:
        """Return those of some tensors that are no handles, by their indices now."""
        return [self.value(tensor) for tensor in tensors if tensor not in self.handles]
