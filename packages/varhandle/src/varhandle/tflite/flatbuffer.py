"""Take a .tflite file apart as objects, and put an edited one together again.

The objects are the schema's own (``ModelT``, ``SubGraphT``, ``OperatorT``, ``TensorT``), as
``ai_edge_litert.tools.flatbuffer_utils`` uses them. They refer to each other by number: an operator
to tensors, an op code and subgraphs, a tensor to a buffer. ``take_apart`` checks every such number
once, so that an edit need not; ``compact`` keeps what can be reached and numbers it anew. Weights
are never copied before the file is written.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from varhandle.formats import read_graph
from varhandle.graph import ModelFileError

_MARK = b"TFL3"
_ALIGNMENT = 16  # bytes; what schema.fbs demands of a buffer's data, and Python's writer forgets
_LARGEST = 2**31 - 1  # bytes; what a flatbuffer can hold (its offsets are of 32 bits)
_NO_BUFFER = 1  # an offset of 0 or 1 stands for a buffer that is not stored outside

_FROM_A_DAMAGED_FILE = (
    struct.error,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
)

_OPS = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)
}
_ACTING = frozenset({"CUSTOM", "DELEGATE", "STABLEHLO_CUSTOM_CALL"})
"""Ops with outputs that may do something else as well: they stay, used or not.

So do ops without outputs, which do nothing but that. ``CALL_ONCE`` stays if what it calls does
something, as any op that calls."""


def take_apart(data: bytes, source: str) -> schema.ModelT:
    """Read a .tflite file into objects.

    Args:
        data: The file's bytes. Weights stay views of them.
        source: Where they come from, for messages.

    Returns:
        The model. Buffers and custom options that lie behind the flatbuffer are in their place,
        and every number that refers to something refers to something that is there.

    Raises:
        ModelFileError: It is no .tflite file, or a damaged one.
    """
    if not data:
        raise ModelFileError(source, "the file is empty")
    if data[4:8] != _MARK:
        raise ModelFileError(source, "not a .tflite file: it lacks the mark TFL3")
    read_graph(data)  # it counts every item against the file's size, which the schema does not
    try:
        model = flatbuffer_utils.convert_bytearray_to_object(data)
        _bring_inside(model, data)
        _check(model)
    except _FROM_A_DAMAGED_FILE as error:
        raise ModelFileError(
            source, f"the .tflite file is damaged or cut short ({error})"
        ) from error
    return model


def put_together(model: schema.ModelT) -> bytes:
    """Write a model as a .tflite file.

    Args:
        model: The model, with all buffers inside.

    Returns:
        The file's bytes.

    Raises:
        ValueError: It does not fit into one flatbuffer of 2 GiB.
    """
    data = [buffer.data for buffer in model.buffers if buffer.data is not None]
    if sum(len(part) for part in data) > _LARGEST:
        raise ValueError("the weights take over 2 GiB, more than one flatbuffer can hold")
    written = copy.copy(model)
    written.buffers = [_AlignedBuffer(buffer.data) for buffer in model.buffers]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(written))


class _AlignedBuffer(schema.BufferT):
    """A buffer whose data starts at a multiple of 16 bytes, where kernels expect it."""

    def Pack(self, builder: Any) -> int:  # noqa: N802 - the schema's name
        if self.data is not None:
            builder.Prep(_ALIGNMENT, len(self.data))
        return int(super().Pack(builder))


def op_name(model: schema.ModelT, operator: schema.OperatorT) -> str:
    """Return the name of an operator's op, such as ``READ_VARIABLE`` or ``CUSTOM``.

    Args:
        model: The model that it is in.
        operator: The operator.

    Returns:
        The schema's name.
    """
    code = model.operatorCodes[operator.opcodeIndex]
    number = flatbuffer_utils.get_builtin_code_from_operator_code(code)
    return _OPS.get(number, f"BUILTIN_{number}")


def text(value: bytes | str | None) -> str:
    """Return a name as text; the schema gives bytes, and takes both.

    Args:
        value: A name out of the model.

    Returns:
        It as text, empty where there is none.
    """
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def callees(operator: schema.OperatorT) -> tuple[int, ...]:
    """Return the numbers of the subgraphs that an operator's options name, in their order.

    Args:
        operator: The operator.

    Returns:
        The numbers; none for an op that calls nothing.
    """
    return tuple(
        int(number)
        for options in (operator.builtinOptions, operator.builtinOptions2)
        for name in _references(options)
        for number in np.atleast_1d(_or_empty(getattr(options, name)))
        if number >= 0  # some options have -1 for a subgraph that is left out
    )


def with_callees(operator: schema.OperatorT, renumbered: Mapping[int, int]) -> schema.OperatorT:
    """Return an operator that calls other subgraphs.

    Args:
        operator: The operator, which is left as it is.
        renumbered: The new number of each subgraph that its options name.

    Returns:
        A copy.
    """
    changed = copy.copy(operator)
    for place in ("builtinOptions", "builtinOptions2"):
        options = getattr(operator, place)
        if not _references(options):
            continue
        options = copy.copy(options)
        for name in _references(options):
            value = getattr(options, name)
            if isinstance(value, (int, np.integer)):
                setattr(options, name, renumbered.get(int(value), int(value)))
            elif value is not None:
                setattr(options, name, [renumbered.get(int(n), int(n)) for n in value])
        setattr(changed, place, options)
    return changed


def _references(options: Any) -> list[str]:
    """Return the fields of an op's options that hold numbers of subgraphs."""
    fields = vars(options) if options is not None else ()
    return [name for name in fields if "subgraph" in name.lower() or name == "calledComputations"]


def _or_empty(value: Any) -> Any:
    return () if value is None else value


def numbers(vector: Any) -> list[int]:
    """Return a vector of tensor numbers as a list.

    Args:
        vector: A NumPy array, a list or ``None``, as the schema gives them.

    Returns:
        The numbers; empty for ``None``.
    """
    return [] if vector is None else [int(number) for number in vector]


def reachable(model: schema.ModelT, starts: Iterable[int]) -> list[int]:
    """Follow the calls from some subgraphs, what ``CALL_ONCE`` calls included.

    Args:
        model: The model.
        starts: Numbers of the subgraphs to begin with.

    Returns:
        Their numbers and those of all that they call, each once, ``starts`` first.
    """
    found = dict.fromkeys(starts)
    waiting = list(found)
    while waiting:
        for operator in model.subgraphs[waiting.pop(0)].operators or []:
            for number in callees(operator):
                if number not in found:
                    found[number] = None
                    waiting.append(number)
    return list(found)


def compact(
    model: schema.ModelT, starts: Sequence[int], signatures: Sequence[schema.SignatureDefT] = ()
) -> schema.ModelT:
    """Keep what can be reached, and number it anew.

    Operators whose outputs nobody uses go (unless the op does something else as well), then
    tensors, subgraphs, op codes and buffers that nothing refers to.

    Args:
        model: The model, which is left as it is.
        starts: Numbers of the subgraphs to keep with all that they call; they come first.
        signatures: The signatures to keep, of subgraphs among ``starts``.

    Returns:
        A new model that shares the weights.
    """
    return _Compaction(model, starts, signatures).model


class _Compaction:
    """One run of :func:`compact`."""

    def __init__(
        self,
        model: schema.ModelT,
        starts: Sequence[int],
        signatures: Sequence[schema.SignatureDefT],
    ) -> None:
        self._old = model
        self._signatures = signatures
        self._acting: dict[int, bool] = {}
        self._tensors: dict[int, dict[int, int]] = {}
        self._codes: dict[int, int] = {}
        self._buffers: dict[int, int] = {0: 0}  # buffer 0 is empty by the format's rule
        self.model = copy.copy(model)
        live = {number: self._live_operators(number) for number in reachable(model, starts)}
        # Calls of operators that went are gone as well.
        calls = {n: [c for op in operators for c in callees(op)] for n, operators in live.items()}
        kept = dict.fromkeys(starts)
        waiting = list(kept)
        while waiting:
            for number in calls[waiting.pop(0)]:
                if number not in kept:
                    kept[number] = None
                    waiting.append(number)
        self._subgraphs = {old: new for new, old in enumerate(kept)}
        self.model.subgraphs = [self._subgraph(number, live[number]) for number in kept]
        self.model.signatureDefs = [self._signature(s) for s in signatures] or None
        self.model.metadata = [self._metadata(entry) for entry in model.metadata or []] or None
        self.model.metadataBuffer = None  # deprecated; ``metadata`` names the same buffers
        self.model.operatorCodes = [model.operatorCodes[old] for old in self._codes]
        self.model.buffers = [schema.BufferT()]
        self.model.buffers += [model.buffers[old] for old in list(self._buffers)[1:]]

    def _named(self, number: int) -> set[int]:
        """Return the tensors of a subgraph that signatures name."""
        return {
            int(tensor_map.tensorIndex)
            for signature in self._signatures
            if signature.subgraphIndex == number
            for tensor_map in [*(signature.inputs or []), *(signature.outputs or [])]
        }

    def _live_operators(self, number: int) -> list[schema.OperatorT]:
        subgraph = self._old.subgraphs[number]
        used = {*numbers(subgraph.outputs), *self._named(number)}
        live = []
        for operator in reversed(subgraph.operators or []):
            outputs = numbers(operator.outputs)
            if used.intersection(outputs) or self._acts(subgraph, operator):
                live.append(operator)
                used.update(numbers(operator.inputs))
        return live[::-1]

    def _acts(self, subgraph: schema.SubGraphT, operator: schema.OperatorT) -> bool:
        """Tell whether an operator may do something besides giving outputs."""
        name = op_name(self._old, operator)
        if name in _ACTING or (name != "CALL_ONCE" and not numbers(operator.outputs)):
            return True
        # An LSTM and its relatives keep a state in tensors that they overwrite.
        if any(subgraph.tensors[n].isVariable for n in numbers(operator.inputs) if n >= 0):
            return True
        for callee in callees(operator):
            if callee not in self._acting:
                self._acting[callee] = True  # whoever calls itself is left alone
                called = self._old.subgraphs[callee]
                self._acting[callee] = any(self._acts(called, op) for op in called.operators or [])
            if self._acting[callee]:
                return True
        return False

    def _subgraph(self, number: int, operators: list[schema.OperatorT]) -> schema.SubGraphT:
        old = self._old.subgraphs[number]
        used = {*numbers(old.inputs), *numbers(old.outputs), *self._named(number)}
        for operator in operators:
            for vector in (operator.inputs, operator.outputs, operator.intermediates):
                used.update(numbers(vector))
        used.discard(-1)
        renumbered = {tensor: new for new, tensor in enumerate(sorted(used))}
        self._tensors[number] = {**renumbered, -1: -1}
        new = copy.copy(old)
        new.tensors = [self._tensor(old.tensors[tensor]) for tensor in sorted(used)]
        new.inputs = [renumbered[tensor] for tensor in numbers(old.inputs)]
        new.outputs = [renumbered[tensor] for tensor in numbers(old.outputs)]
        new.operators = [self._operator(op, self._tensors[number]) for op in operators]
        return new

    def _tensor(self, old: schema.TensorT) -> schema.TensorT:
        new = copy.copy(old)
        # An empty buffer of its own for each tensor says no more than the shared empty one.
        empty = self._old.buffers[old.buffer].data is None
        new.buffer = 0 if empty else self._buffers.setdefault(old.buffer, len(self._buffers))
        return new

    def _operator(self, old: schema.OperatorT, renumbered: Mapping[int, int]) -> schema.OperatorT:
        new = with_callees(old, self._subgraphs)
        new.opcodeIndex = self._codes.setdefault(old.opcodeIndex, len(self._codes))
        for vector in ("inputs", "outputs", "intermediates"):
            if getattr(old, vector) is not None:
                setattr(new, vector, [renumbered[n] for n in numbers(getattr(old, vector))])
        return new

    def _signature(self, old: schema.SignatureDefT) -> schema.SignatureDefT:
        renumbered = self._tensors[old.subgraphIndex]
        new = copy.copy(old)
        new.subgraphIndex = self._subgraphs[old.subgraphIndex]
        for side in ("inputs", "outputs"):
            maps = [
                schema.TensorMapT(m.name, renumbered[int(m.tensorIndex)])
                for m in getattr(old, side) or []
            ]
            setattr(new, side, maps)
        return new

    def _metadata(self, old: schema.MetadataT) -> schema.MetadataT:
        new = copy.copy(old)
        new.buffer = self._buffers.setdefault(old.buffer, len(self._buffers))
        return new


def _bring_inside(model: schema.ModelT, data: bytes) -> None:
    """Put buffers and custom options that lie behind the flatbuffer where the others are."""
    for buffer in model.buffers:
        if buffer.offset > _NO_BUFFER:
            buffer.data = _outside(data, buffer.offset, buffer.size)
        buffer.offset = buffer.size = 0
    for subgraph in model.subgraphs:
        for op in subgraph.operators or []:
            if op.largeCustomOptionsOffset > _NO_BUFFER:
                op.customOptions = _outside(
                    data, op.largeCustomOptionsOffset, op.largeCustomOptionsSize
                )
            op.largeCustomOptionsOffset = op.largeCustomOptionsSize = 0


def _outside(data: bytes, offset: int, size: int) -> np.ndarray[Any, Any]:
    if offset + size > len(data):
        raise ValueError(f"a buffer ends at byte {offset + size} of {len(data)}")
    return np.frombuffer(data, np.uint8, size, offset)


def _check(model: schema.ModelT) -> None:
    """Raise ``ValueError`` for a number that refers to nothing."""
    for subgraph in model.subgraphs:
        tensors = len(subgraph.tensors or [])
        _check_range("tensor", [*numbers(subgraph.inputs), *numbers(subgraph.outputs)], tensors)
        buffers = [tensor.buffer for tensor in subgraph.tensors or []]
        _check_range("buffer", buffers, len(model.buffers))
        for operator in subgraph.operators or []:
            _check_range("op code", [operator.opcodeIndex], len(model.operatorCodes or []))
            _check_range("tensor", _present(operator.inputs), tensors)
            _check_range("tensor", _present(operator.intermediates), tensors)
            _check_range("tensor", numbers(operator.outputs), tensors)
            _check_range("subgraph", callees(operator), len(model.subgraphs))
            _check_form(model, operator)
    for signature in model.signatureDefs or []:
        _check_range("subgraph", [signature.subgraphIndex], len(model.subgraphs))
        maps = [*(signature.inputs or []), *(signature.outputs or [])]
        tensors = len(model.subgraphs[signature.subgraphIndex].tensors or [])
        _check_range("tensor", [tensor_map.tensorIndex for tensor_map in maps], tensors)
    _check_range("buffer", [entry.buffer for entry in model.metadata or []], len(model.buffers))


def _present(vector: Any) -> Iterator[int]:
    return (number for number in numbers(vector) if number != -1)  # -1: an input left out


def _check_range(kind: str, found: Iterable[int], count: int) -> None:
    for number in found:
        if not 0 <= number < count:
            raise ValueError(f"there is no {kind} {number}")


_FORMS = {
    "VAR_HANDLE": (schema.VarHandleOptionsT, 0, 1),
    "READ_VARIABLE": (None, 1, 1),
    "ASSIGN_VARIABLE": (None, 2, 0),
    "CALL_ONCE": (schema.CallOnceOptionsT, 0, 0),
}
"""Op -> type of its options, number of inputs, number of outputs."""


def _check_form(model: schema.ModelT, operator: schema.OperatorT) -> None:
    """Raise ``ValueError`` for an op on variables, or a branch, that is not as it must be."""
    name = op_name(model, operator)
    inputs, outputs = numbers(operator.inputs), numbers(operator.outputs)
    if name in _FORMS:
        options, taken, given = _FORMS[name]
        fits = options is None or isinstance(operator.builtinOptions, options)
        if not fits or len(inputs) != taken or len(outputs) != given or -1 in inputs:
            raise ValueError(f"{name} lacks its options, or has too many or too few tensors")
    elif name == "IF":
        sides = ((len(inputs) - 1, len(outputs)), (len(inputs) - 1, len(outputs)))
        _check_calls(model, operator, schema.IfOptionsT, sides)
    elif name == "WHILE":
        sides = ((len(inputs), 1), (len(inputs), len(outputs)))
        _check_calls(model, operator, schema.WhileOptionsT, sides)
        if len(inputs) != len(outputs):
            raise ValueError("WHILE gives another number of tensors than it takes")


def _check_calls(
    model: schema.ModelT,
    operator: schema.OperatorT,
    options: type,
    sides: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    name = op_name(model, operator)
    called = [model.subgraphs[number] for number in callees(operator)]
    if not isinstance(operator.builtinOptions, options) or len(called) != len(sides):
        raise ValueError(f"{name} does not name the two subgraphs that it runs")
    for subgraph, side in zip(called, sides, strict=True):
        if (len(numbers(subgraph.inputs)), len(numbers(subgraph.outputs))) != side:
            raise ValueError(f"{name} and the subgraphs that it runs do not agree on their tensors")
