"""Rewrite the subgraphs of a .tflite file so that variables become ordinary values.

``READ_VARIABLE`` copies a variable's value, and the tensors of a .tflite file are assigned once.
So a variable is nothing but a name for the tensor that was assigned last, and walking the operators
in their order is enough to replace every read by a tensor: the *current value*. What a subgraph
reads before it assigns, it needs as an input; what it assigns, it gives as an output. A handle that
is passed into ``WHILE`` or ``IF`` gives way to the value.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from varhandle.errors import VarhandleError
from varhandle.graph import variable_role
from varhandle.tflite.flatbuffer import callees, numbers, op_name, text, with_callees

_CAST = schema.BuiltinOperator.CAST
_DEEPEST = 100  # nested branches and loops; no converter comes near, and Python's own stack ends


class CannotLiftError(VarhandleError, ValueError):
    """A model's state cannot be lifted out; the message says why, in one line.

    Attributes:
        fault: What is in the way.
        op: The op that is in the way; empty if it is none.
        variable: The variable that it is about; empty if it is none.
    """

    def __init__(self, fault: str, op: str = "", variable: str = "") -> None:
        self.fault = " ".join(fault.split())
        self.op = op
        self.variable = variable
        super().__init__(f"cannot lift the state: {self.fault}")

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return type(self), (self.fault, self.op, self.variable)


class Key(NamedTuple):
    """What identifies a variable in the file: the two settings of ``VAR_HANDLE``."""

    container: str
    name: str


Binding = tuple[tuple[int, Key], ...]
"""Which arguments of a subgraph are handles, and of which variables."""


@dataclass(frozen=True)
class Effects:
    """What one run of a subgraph does to variables.

    Attributes:
        reads: Variables whose value it needs when it starts.
        assigns: Variables that it assigns, or may assign.
        results: Which of its outputs are handles, and of which variables.
    """

    reads: frozenset[Key] = frozenset()
    assigns: frozenset[Key] = frozenset()
    results: Binding = ()


@dataclass
class _Walk:
    """What is known half-way through a subgraph: the handles, and what was done so far."""

    handles: dict[int, Key]
    reads: set[Key] = field(default_factory=set)
    assigns: set[Key] = field(default_factory=set)

    def take(self, key: Key) -> None:
        """Note that the value of a variable is needed here."""
        if key not in self.assigns:
            self.reads.add(key)

    def bound(self, tensors: Sequence[int]) -> Binding:
        """Return which of some tensors are handles."""
        return tuple((i, self.handles[t]) for i, t in enumerate(tensors) if t in self.handles)


class Flow:
    """Follows variables through the subgraphs of a model, and collects what is known of them.

    Attributes:
        values: Each variable's tensors: what was read from it and what was assigned to it.

    Args:
        model: A model whose numbers are checked.
    """

    def __init__(self, model: schema.ModelT) -> None:
        self.model = model
        self.values: dict[Key, list[schema.TensorT]] = {}
        self._effects: dict[tuple[int, Binding], Effects | None] = {}

    def effects(self, number: int, binding: Binding = (), depth: int = 0) -> Effects:
        """Find out what a subgraph does.

        Args:
            number: Its number.
            binding: Its arguments that are handles.
            depth: How many subgraphs are being run around it.

        Returns:
            Its effects, what it calls included.

        Raises:
            CannotLiftError: It does with a handle what is not known here.
        """
        place = number, binding
        if place not in self._effects:
            if depth > _DEEPEST:
                raise CannotLiftError(f"more than {_DEEPEST} branches and loops are nested")
            self._effects[place] = None
            self._effects[place] = self._walk(number, binding, depth)
        found = self._effects[place]
        if found is None:
            raise CannotLiftError(f"the subgraph {self._name(number)} calls itself")
        return found

    def _name(self, number: int) -> str:
        return text(self.model.subgraphs[number].name) or str(number)

    def _walk(self, number: int, binding: Binding, depth: int) -> Effects:
        subgraph = self.model.subgraphs[number]
        inputs = numbers(subgraph.inputs)
        walk = _Walk({inputs[position]: key for position, key in binding})
        for operator in subgraph.operators or []:
            self._visit(subgraph, operator, walk, depth)
        return Effects(
            frozenset(walk.reads), frozenset(walk.assigns), walk.bound(numbers(subgraph.outputs))
        )

    def _visit(
        self, subgraph: schema.SubGraphT, operator: schema.OperatorT, walk: _Walk, depth: int
    ) -> None:
        name = op_name(self.model, operator)
        inputs, outputs = numbers(operator.inputs), numbers(operator.outputs)
        if name == "VAR_HANDLE":
            walk.handles[outputs[0]] = handle_key(operator)
        elif name == "READ_VARIABLE":
            key = self._handle(name, inputs[0], walk)
            walk.take(key)
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

    def _handle(self, name: str, tensor: int, walk: _Walk) -> Key:
        if tensor not in walk.handles:
            raise CannotLiftError(
                f"{name} takes a handle that no VAR_HANDLE of this file makes", name
            )
        return walk.handles[tensor]

    def _record(self, key: Key, tensor: schema.TensorT) -> None:
        self.values.setdefault(key, []).append(tensor)

    def _visit_once(self, operator: schema.OperatorT, walk: _Walk, depth: int) -> None:
        """Initializing is no effect of a run, as long as it comes before everything else."""
        for number in callees(operator):
            initialized = self.effects(number, (), depth + 1).assigns
            late = sorted(initialized & (walk.assigns | walk.reads))
            if initialized and (late or depth):
                at = "after it was used" if late else "inside a branch, a loop or another CALL_ONCE"
                key = (late or sorted(initialized))[0]
                raise CannotLiftError(
                    f"CALL_ONCE initializes the variable {key.name} {at}", "CALL_ONCE", key.name
                )

    def _visit_if(self, operator: schema.OperatorT, walk: _Walk, depth: int) -> Binding:
        binding = walk.bound(numbers(operator.inputs)[1:])
        first, second = (self.effects(n, binding, depth + 1) for n in callees(operator))
        for key in if_carries(first, second):
            walk.take(key)
        walk.assigns |= first.assigns | second.assigns
        if first.results != second.results:
            raise self._mixed("IF", first.results, second.results)
        return first.results

    def _visit_while(self, operator: schema.OperatorT, walk: _Walk, depth: int) -> Binding:
        binding = walk.bound(numbers(operator.inputs))
        cond, body = (self.effects(n, binding, depth + 1) for n in callees(operator))
        for key in sorted(cond.assigns):
            raise CannotLiftError(
                f"the condition of WHILE assigns the variable {key.name}", "WHILE", key.name
            )
        for key in while_carries(cond, body):
            walk.take(key)
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
        code = text(self.model.operatorCodes[operator.opcodeIndex].customCode)
        shown = code if name == "CUSTOM" and code else name
        if name == "CUSTOM" and variable_role(code):
            raise CannotLiftError(
                f"the op {code} keeps a variable that only TensorFlow's own kernels know", code
            )
        bound = walk.bound(numbers(operator.inputs))
        touched = [key for _, key in bound]
        for number in callees(operator):
            effects = self.effects(number, (), depth + 1)
            touched += sorted(effects.reads | effects.assigns)
        if touched:
            variable = touched[0].name
            raise CannotLiftError(
                f"the op {shown} takes the variable {variable}, and is none of READ_VARIABLE, "
                "ASSIGN_VARIABLE, IF and WHILE",
                shown,
                variable,
            )


def handle_key(operator: schema.OperatorT) -> Key:
    """Return which variable a ``VAR_HANDLE`` names.

    Args:
        operator: The operator.

    Returns:
        Its container and shared name.
    """
    options = operator.builtinOptions
    return Key(text(options.container), text(options.sharedName))


def if_carries(first: Effects, second: Effects) -> list[Key]:
    """Return the variables whose value the branches of an ``IF`` need.

    Args:
        first: What one branch does.
        second: What the other does.

    Returns:
        What one of them reads, and what only one of them assigns: the other hands it through.
    """
    handed_through = first.assigns ^ second.assigns
    return sorted(first.reads | second.reads | handed_through)


def while_carries(cond: Effects, body: Effects) -> list[Key]:
    """Return the variables that a ``WHILE`` carries from round to round.

    Args:
        cond: What its condition does.
        body: What its body does.

    Returns:
        All that either touches: with no round at all, the value from before is the value after.
    """
    return sorted(cond.reads | body.reads | body.assigns)


class Rewriter:
    """Writes subgraphs anew without variables. New ones are added behind the model's own.

    Args:
        flow: What is known of the model; its ``model`` grows.
        specs: A tensor as every value of a variable is: dtype, shape, quantization.
        constants: The number of the buffer of each variable that nothing assigns.
    """

    def __init__(
        self,
        flow: Flow,
        specs: Mapping[Key, schema.TensorT],
        constants: Mapping[Key, int] | None = None,
    ) -> None:
        self._flow = flow
        self._model = flow.model
        self._specs = specs
        self._constants = constants or {}
        self._written: dict[Any, int] = {}
        self._renamed: dict[int, Mapping[int, int]] = {}
        self._taken = {
            text(tensor.name)
            for subgraph in self._model.subgraphs
            for tensor in subgraph.tensors or []
            if tensor.type != schema.TensorType.RESOURCE  # handles go, and leave their names
        }
        self._counts: dict[str, int] = {}

    def rename(self, tensor: schema.TensorT, stem: str) -> None:
        """Give a new tensor a name that no other has: some tools tell tensors by their names.

        Args:
            tensor: A tensor that was added here.
            stem: What it should be called; a number is put behind if another is called so.
        """
        self._taken.discard(text(tensor.name))
        tensor.name = self._new_name(stem)

    def _new_name(self, stem: str) -> str:
        name = stem
        while name in self._taken:
            self._counts[stem] = self._counts.get(stem, 0) + 1
            name = f"{stem}_{self._counts[stem]}"
        self._taken.add(name)
        return name

    def renamed(self, number: int, tensor: int) -> int:
        """Return what number a tensor of a subgraph has after it was written anew.

        Args:
            number: The number of the new subgraph.
            tensor: The tensor's number in the old one.

        Returns:
            Another number for what was read from a variable, else the same.
        """
        return self._renamed[number].get(tensor, tensor)

    def carried(self, keys: Iterable[Key]) -> tuple[Key, ...]:
        """Return the variables that are state, in their order: those that are no constants."""
        return tuple(sorted(set(keys) - set(self._constants)))

    def write(
        self,
        number: int,
        inputs: tuple[Key, ...],
        outputs: tuple[Key, ...],
        binding: Binding = (),
        *,
        loop: bool = False,
    ) -> int:
        """Write a subgraph anew.

        Args:
            number: Its number.
            inputs: Variables whose values become inputs, behind its own.
            outputs: Variables whose values become outputs, behind its own.
            binding: Its arguments that are handles; they go, as do results that are handles.
            loop: Whether it is the body of a ``WHILE``, which hands its outputs to its inputs.

        Returns:
            The number of the new subgraph.
        """
        place = number, inputs, outputs, binding, loop
        if place not in self._written:
            page = _Page(self._model.subgraphs[number], binding)
            new = self._write(page, inputs, outputs)
            if loop:
                self._keep_apart(page, new)
            self._model.subgraphs.append(new)
            self._written[place] = len(self._model.subgraphs) - 1
            self._renamed[self._written[place]] = page.renamed
        return self._written[place]

    def _write(
        self, page: _Page, inputs: tuple[Key, ...], outputs: tuple[Key, ...]
    ) -> schema.SubGraphT:
        old = page.old
        for key in inputs:
            page.current[key] = self._add(key, page)
        arguments = [page.current[key] for key in inputs]
        for operator in old.operators or []:
            self._copy(operator, page)
        new = copy.copy(old)
        new.tensors = page.tensors
        new.operators = page.operators
        new.inputs = page.kept(numbers(old.inputs)) + arguments
        new.outputs = page.kept(numbers(old.outputs)) + [page.current[key] for key in outputs]
        return new

    def _keep_apart(self, page: _Page, body: schema.SubGraphT) -> None:
        """Copy what a loop's body takes at one place and gives at another.

        LiteRT copies the outputs of a body to its inputs one after the other, in place: of two
        values that change places, one would be lost. ``READ_VARIABLE`` used to copy; its stead is
        taken by a ``CAST`` to the same dtype, which works on any shape.
        """
        before = page.kept_as_they_were(numbers(page.old.outputs))
        for position, tensor in enumerate(body.outputs):
            renamed = position >= len(before) or before[position] != tensor
            if renamed and tensor in body.inputs and body.inputs[position] != tensor:
                body.outputs[position] = self._add_copy(page, tensor)

    def _add_copy(self, page: _Page, tensor: int) -> int:
        copied = copy.copy(page.tensors[tensor])
        copied.name = self._new_name(text(copied.name))
        page.tensors.append(copied)
        options = schema.CastOptionsT(copied.type, copied.type)
        kind = schema.BuiltinOptions.CastOptions
        number = len(page.tensors) - 1
        page.operators.append(
            schema.OperatorT(self._cast_code(), [tensor], [number], kind, options)
        )
        return number

    def _cast_code(self) -> int:
        """Return the number of the op code of ``CAST``, which may have to be added."""
        codes = self._model.operatorCodes
        for number, code in enumerate(codes):
            if flatbuffer_utils.get_builtin_code_from_operator_code(code) == _CAST:
                return number
        codes.append(schema.OperatorCodeT(_CAST, None, 1, _CAST))
        return len(codes) - 1

    def _copy(self, operator: schema.OperatorT, page: _Page) -> None:
        name = op_name(self._model, operator)
        inputs, outputs = numbers(operator.inputs), numbers(operator.outputs)
        if name == "VAR_HANDLE":
            page.handles[outputs[0]] = handle_key(operator)
        elif name == "READ_VARIABLE":
            page.renamed[outputs[0]] = self._value(page.handles[inputs[0]], page)
        elif name == "ASSIGN_VARIABLE":
            page.current[page.handles[inputs[0]]] = page.value(inputs[1])
        elif name == "IF":
            self._copy_if(operator, page)
        elif name == "WHILE":
            self._copy_while(operator, page)
        else:
            new = {n: self.write(n, (), ()) for n in callees(operator)}
            changed = with_callees(operator, new)
            changed.inputs = [page.value(tensor) for tensor in inputs]
            page.operators.append(changed)

    def _value(self, key: Key, page: _Page) -> int:
        if key not in page.current:  # everything else is an input
            page.current[key] = self._add(key, page, self._constants[key])
        return page.current[key]

    def _add(self, key: Key, page: _Page, buffer: int = 0) -> int:
        """Add a tensor that holds the value of a variable, and return its number."""
        tensor = copy.copy(self._specs[key])
        tensor.name = self._new_name(key.name)
        tensor.buffer = buffer
        page.tensors.append(tensor)
        return len(page.tensors) - 1

    def _copy_if(self, operator: schema.OperatorT, page: _Page) -> None:
        condition, *arguments = numbers(operator.inputs)
        binding = page.bound(arguments)
        first, second = (self._flow.effects(n, binding) for n in callees(operator))
        carried = self.carried(if_carries(first, second))
        assigned = self.carried(first.assigns | second.assigns)
        new = {n: self.write(n, carried, assigned, binding) for n in callees(operator)}
        changed = with_callees(operator, new)
        changed.inputs = [page.value(condition), *page.kept(arguments)]
        page.pass_on(operator, changed, first.results)
        self._carry(changed, page, carried, assigned)

    def _copy_while(self, operator: schema.OperatorT, page: _Page) -> None:
        arguments = numbers(operator.inputs)
        binding = page.bound(arguments)
        condition, body = callees(operator)
        first, second = (self._flow.effects(n, binding) for n in (condition, body))
        carried = self.carried(while_carries(first, second))
        changed = copy.copy(operator)
        changed.builtinOptions = schema.WhileOptionsT(
            self.write(condition, carried, (), binding),
            self.write(body, carried, carried, binding, loop=True),
        )
        changed.inputs = page.kept(arguments)
        page.pass_on(operator, changed, binding)
        self._carry(changed, page, carried, carried)

    def _carry(
        self, changed: schema.OperatorT, page: _Page, taken: Iterable[Key], given: Iterable[Key]
    ) -> None:
        """Let an ``IF`` or a ``WHILE`` take and give the values of variables as well."""
        changed.inputs += [self._value(key, page) for key in taken]
        for key in given:
            page.current[key] = self._add(key, page)
            changed.outputs.append(page.current[key])
        page.operators.append(changed)


class _Page:
    """A subgraph while it is written anew."""

    def __init__(self, old: schema.SubGraphT, binding: Binding) -> None:
        inputs = numbers(old.inputs)
        self.old = old
        self.tensors = list(old.tensors or [])
        self.operators: list[schema.OperatorT] = []
        self.handles = {inputs[position]: key for position, key in binding}
        self.current: dict[Key, int] = {}
        self.renamed: dict[int, int] = {}

    def value(self, tensor: int) -> int:
        """Return what a tensor is called now: another number if it was read from a variable."""
        return self.renamed.get(tensor, tensor)

    def pass_on(self, old: schema.OperatorT, changed: schema.OperatorT, results: Binding) -> None:
        """Give an op the outputs that it had, but for those that were handles."""
        outputs = numbers(old.outputs)
        self.handles.update({outputs[position]: key for position, key in results})
        changed.outputs = self.kept(outputs)

    def kept_as_they_were(self, tensors: Sequence[int]) -> list[int]:
        """Return those of some tensors that are no handles, as they were called before."""
        return [tensor for tensor in tensors if tensor not in self.handles]

    def kept(self, tensors: Sequence[int]) -> list[int]:
        """Return those of some tensors that are no handles, as they are called now."""
        return [self.value(tensor) for tensor in self.kept_as_they_were(tensors)]

    def bound(self, tensors: Sequence[int]) -> Binding:
        """Return which of some tensors are handles."""
        return tuple((i, self.handles[t]) for i, t in enumerate(tensors) if t in self.handles)


def shape_of(tensor: schema.TensorT) -> tuple[int, ...] | None:
    """Return a tensor's shape, with -1 for a dimension that is not known.

    Args:
        tensor: The tensor.

    Returns:
        Its dimensions; ``None`` for an unknown rank.
    """
    if tensor.shape is None and not tensor.hasRank:
        return None
    signature = numbers(tensor.shapeSignature)
    return tuple(signature or numbers(tensor.shape))


def quantization_of(tensor: schema.TensorT) -> tuple[Any, ...]:
    """Return what the integers of a tensor mean.

    Args:
        tensor: The tensor.

    Returns:
        Scales, zero points and their axis; empty for a tensor that is not quantized.
    """
    parameters = tensor.quantization
    if parameters is None or parameters.scale is None or not len(parameters.scale):
        return ()
    scales = tuple(float(np.float32(scale)) for scale in parameters.scale)
    return scales, tuple(numbers(parameters.zeroPoint)), parameters.quantizedDimension
