"""Unpack a .tflite file into objects, and pack an edited one again.

The objects are the schema's own (``ModelT``, ``SubGraphT``, ``OperatorT``, ``TensorT``). They refer
to each other by index: an operator to tensors, an op code and subgraphs, a tensor to a buffer.
``unpack`` checks every such index once, so that an edit need not; ``compact`` keeps what can be
reached and gives it new indices. Weights are views of the file's bytes, and are never copied before
the new file is packed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from varhandle.formats import read_graph
from varhandle.formats.tflite import FILE_IDENTIFIER
from varhandle.formats.tflite_vectors import vector
from varhandle.graph import damaged_file
from varhandle.tflite.file_identifier import check_identifier

_ALIGNMENT = 16  # bytes; what schema.fbs demands of a buffer's data, and Python's writer forgets
_LARGEST = 2**31 - 1  # bytes; what a flatbuffer can hold (its offsets are of 32 bits)
_NO_BUFFER = 1  # an offset of 0 or 1 stands for a buffer that is not stored outside
_OMITTED = -1  # the index of an optional input that an operator does without

_OPS = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)
}
_SIDE_EFFECTS = frozenset({"CUSTOM", "DELEGATE", "STABLEHLO_CUSTOM_CALL"})
"""Ops with outputs that may do something else as well: they stay, used or not."""

_NAMED_OPTIONS = {
    "fusedActivationFunction": schema.ActivationFunctionType,
    "padding": schema.Padding,
    "weightsFormat": schema.FullyConnectedOptionsWeightsFormat,
    **dict.fromkeys(("inDataType", "outDataType", "outputType", "outType"), schema.TensorType),
}
"""Options of ops that are numbers in a file -> the schema's names of the numbers."""


def unpack(data: bytes | memoryview, source: str = "<bytes>") -> schema.ModelT:
    """Read a .tflite file into objects, every index in them checked.

    Buffers and custom options that lie behind the flatbuffer are brought into their place. A
    damaged file raises ``ModelFileError``, which calls it ``source``.
    """
    check_identifier(data, source)
    read_graph(data)  # it counts every item against the file's size, which the schema does not
    try:
        model = _objects(data)
        _bring_inside(model, data)
        _check(model)
    except Exception as error:  # the generated reader checks nothing, and raises whatever there is
        raise damaged_file(source, f"the .tflite file is damaged or cut short ({error})") from error
    return model


def pack(model: schema.ModelT) -> bytes:
    """Write a model, all of whose buffers are inside, as a .tflite file.

    ``ValueError`` if it does not fit into one flatbuffer of 2 GiB.
    """
    data = [buffer.data for buffer in model.buffers if buffer.data is not None]
    if sum(len(part) for part in data) > _LARGEST:
        raise ValueError("the weights take over 2 GiB, more than one flatbuffer can hold")
    written = copy.copy(model)
    written.buffers = [_AlignedBuffer(buffer.data) for buffer in model.buffers]
    builder = flatbuffers.Builder(1024)
    builder.Finish(written.Pack(builder), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


class _ModelWithoutBuffers(schema.Model):
    """An accessor that hides the weights: without NumPy they would become lists of numbers."""

    def BuffersIsNone(self) -> bool:  # noqa: N802 - the schema's name
        return True


def _objects(data: bytes | memoryview) -> schema.ModelT:
    root = schema.Model.GetRootAs(data, 0)
    model = schema.ModelT.InitFromObj(_over(root._tab, _ModelWithoutBuffers()))
    model.buffers = [_buffer(root.Buffers(i)) for i in range(root.BuffersLength())]
    return model


def _over(table: Any, accessor: schema.Model) -> schema.Model:
    accessor.Init(table.Bytes, table.Pos)
    return accessor


def _buffer(stored: schema.Buffer) -> schema.BufferT:
    data = None if stored.DataIsNone() else vector(stored, "Data")
    return schema.BufferT(data, stored.Offset(), stored.Size())


class _AlignedBuffer(schema.BufferT):
    """A buffer whose data starts at a multiple of 16 bytes, where kernels expect it.

    A flatbuffer is written from its end to its beginning, and the builder aligns what it writes
    against that end. So the padding has to be asked for before the data is written.
    """

    def Pack(self, builder: Any) -> int:  # noqa: N802 - the schema's name
        place = None
        if self.data is not None:
            data = bytes(self.data)
            builder.Prep(_ALIGNMENT, len(data))
            place = builder.CreateByteVector(data)
        schema.BufferStart(builder)
        if place is not None:
            schema.BufferAddData(builder, place)
        schema.BufferAddOffset(builder, self.offset)
        schema.BufferAddSize(builder, self.size)
        return int(schema.BufferEnd(builder))


def op_name(model: schema.ModelT, operator: schema.OperatorT) -> str:
    """Return the schema's name of an operator's op, such as ``READ_VARIABLE`` or ``CUSTOM``."""
    number = builtin_code(model.operatorCodes[operator.opcodeIndex])
    return _OPS.get(number, f"BUILTIN_{number}")


def builtin_code(code: schema.OperatorCodeT) -> int:
    """Return the number of an op: old files have it in one field, new ones in the other."""
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def option_text(name: str, value: object) -> str:
    """Write the value of an op's option as the schema names it, such as ``RELU``, or as it is."""
    if name not in _NAMED_OPTIONS or type(value) is not int:
        return str(value)
    names = {number: word for word, number in vars(_NAMED_OPTIONS[name]).items() if word.isupper()}
    return names.get(value, str(value))


def decode(name: bytes | str | None) -> str:
    """Return a name as text; the schema gives bytes, and takes both."""
    return name.decode(errors="replace") if isinstance(name, bytes) else name or ""


def indices(vector: Any) -> list[int]:
    """Return a vector of indices (a NumPy array, a list or ``None``) as a list."""
    return [] if vector is None else [int(number) for number in vector]


def has_data(buffer: schema.BufferT) -> bool:
    """Whether a buffer holds a constant; the tensor of an empty one is computed."""
    return buffer.data is not None and len(buffer.data) > 0


def tensor_maps(signature: schema.SignatureDefT) -> list[schema.TensorMapT]:
    """Return the named inputs, then the named outputs of a signature."""
    return [*(signature.inputs or []), *(signature.outputs or [])]


def subgraph_of(model: schema.ModelT, signature: str | None) -> int:
    """Return the index of the subgraph that a signature runs; 0 where there is no such one."""
    for definition in model.signatureDefs or []:
        if decode(definition.signatureKey) == signature:
            return int(definition.subgraphIndex)
    return 0


def callees(operator: schema.OperatorT) -> tuple[int, ...]:
    """Return the indices of the subgraphs that an operator's options name, in their order."""
    return tuple(
        int(number)
        for options in (operator.builtinOptions, operator.builtinOptions2)
        for name in _subgraph_fields(options)
        if getattr(options, name) is not None
        for number in _each(getattr(options, name))
        if number >= 0  # some options have -1 for a subgraph that is left out
    )


def _each(value: Any) -> Any:
    """Return a vector as it is, and a single number as a vector of one."""
    return value if hasattr(value, "__len__") else (value,)


def with_callees(operator: schema.OperatorT, renumbered: Mapping[int, int]) -> schema.OperatorT:
    """Return a copy of an operator that calls other subgraphs."""
    changed = copy.copy(operator)
    for place in ("builtinOptions", "builtinOptions2"):
        options = getattr(operator, place)
        if not _subgraph_fields(options):
            continue
        options = copy.copy(options)  # the copy of the operator still shares them
        for name in _subgraph_fields(options):
            value = getattr(options, name)
            if hasattr(value, "__len__"):
                setattr(options, name, [renumbered.get(int(n), int(n)) for n in value])
            elif value is not None:
                setattr(options, name, renumbered.get(int(value), int(value)))
        setattr(changed, place, options)
    return changed


def _subgraph_fields(options: Any) -> list[str]:
    """Return the fields of an op's options that hold indices of subgraphs."""
    fields = vars(options) if options is not None else ()
    return [name for name in fields if "subgraph" in name.lower() or name == "calledComputations"]


def reachable(
    model: schema.ModelT,
    starts: Iterable[int],
    operators: Mapping[int, Sequence[schema.OperatorT]] | None = None,
) -> list[int]:
    """Return some subgraphs and all that they call, ``CALL_ONCE`` included, ``starts`` first.

    Where ``operators`` gives those of each subgraph that are kept, only their calls count.
    """
    found = dict.fromkeys(starts)
    waiting = list(found)
    while waiting:
        number = waiting.pop(0)
        kept = model.subgraphs[number].operators if operators is None else operators[number]
        for operator in kept or []:
            for callee in callees(operator):
                if callee not in found:
                    found[callee] = None
                    waiting.append(callee)
    return list(found)


def compact(
    model: schema.ModelT,
    starts: Sequence[int],
    signatures: Sequence[schema.SignatureDefT] = (),
    *,
    unused: bool = False,
) -> schema.ModelT:
    """Return a model of what can be reached from some subgraphs, which come first in it.

    Operators whose outputs nobody uses go (unless the op does something else as well), then
    tensors, subgraphs, op codes and buffers that nothing refers to. The given model stays as it
    is, and shares its weights. ``signatures`` are those to keep, of subgraphs among ``starts``;
    with ``unused``, all operators of what can be reached stay.
    """
    return _Compaction(model, starts, signatures, unused=unused).model


class _Compaction:
    """One run of :func:`compact`.

    The order matters: each step gives new indices, and the next one writes them down. Live
    operators decide which subgraphs are called, subgraphs which tensors there are, and tensors,
    operators and metadata which buffers and op codes. ``_tensors``, ``_codes`` and ``_buffers``
    map old indices to new ones, and the order of their keys is the order in the new file.
    """

    def __init__(
        self,
        model: schema.ModelT,
        starts: Sequence[int],
        signatures: Sequence[schema.SignatureDefT],
        *,
        unused: bool,
    ) -> None:
        self._old, self._unused = model, unused
        self._signatures = signatures
        self._acting: dict[int, bool] = {}
        self._tensors: dict[int, dict[int, int]] = {}
        self._codes: dict[int, int] = {}
        self._buffers: dict[int, int] = {0: 0}  # buffer 0 is empty by the format's rule
        self.model = copy.copy(model)
        live = {number: self._live_operators(number) for number in reachable(model, starts)}
        kept = reachable(model, starts, live)
        self._subgraphs = {old: new for new, old in enumerate(kept)}
        self.model.subgraphs = [self._subgraph(number, live[number]) for number in kept]
        self.model.signatureDefs = [self._signature(s) for s in signatures] or None
        self.model.metadata = [self._metadata(entry) for entry in model.metadata or []] or None
        self.model.metadataBuffer = None  # deprecated; ``metadata`` names the same buffers
        self.model.operatorCodes = [model.operatorCodes[old] for old in self._codes]
        self.model.buffers = [schema.BufferT()]
        self.model.buffers += [model.buffers[old] for old in list(self._buffers)[1:]]

    def _edges(self, number: int) -> set[int]:
        """Return the tensors of a subgraph that its caller or a signature names."""
        subgraph = self._old.subgraphs[number]
        named = (s for s in self._signatures if s.subgraphIndex == number)
        signed = {int(entry.tensorIndex) for signature in named for entry in tensor_maps(signature)}
        return {*indices(subgraph.outputs), *signed}

    def _live_operators(self, number: int) -> list[schema.OperatorT]:
        """Return the operators that are needed: from the last to the first, for what uses what."""
        subgraph = self._old.subgraphs[number]
        used = self._edges(number)
        live = []
        for operator in reversed(subgraph.operators or []):
            wanted = self._unused or used.intersection(indices(operator.outputs))
            if wanted or self._acts(subgraph, operator):
                live.append(operator)
                used.update(indices(operator.inputs))
        return live[::-1]

    def _acts(self, subgraph: schema.SubGraphT, operator: schema.OperatorT) -> bool:
        """Tell whether an operator may do something besides giving outputs.

        One without outputs does nothing but that; ``CALL_ONCE`` does what it calls does.
        """
        name = op_name(self._old, operator)
        if name in _SIDE_EFFECTS or (name != "CALL_ONCE" and not indices(operator.outputs)):
            return True
        # An LSTM and its relatives keep a state in tensors that they overwrite.
        if any(subgraph.tensors[n].isVariable for n in indices(operator.inputs) if n >= 0):
            return True
        return any(self._subgraph_acts(callee) for callee in callees(operator))

    def _subgraph_acts(self, number: int) -> bool:
        if number not in self._acting:
            self._acting[number] = True  # what calls itself is left alone
            called = self._old.subgraphs[number]
            self._acting[number] = any(self._acts(called, op) for op in called.operators or [])
        return self._acting[number]

    def _subgraph(self, number: int, operators: list[schema.OperatorT]) -> schema.SubGraphT:
        old = self._old.subgraphs[number]
        used = {*indices(old.inputs), *self._edges(number)}
        for operator in operators:
            for side in (operator.inputs, operator.outputs, operator.intermediates):
                used.update(indices(side))
        used.discard(_OMITTED)
        renumbered = {tensor: new for new, tensor in enumerate(sorted(used))}
        self._tensors[number] = {**renumbered, _OMITTED: _OMITTED}
        new = copy.copy(old)
        new.tensors = [self._tensor(old.tensors[tensor]) for tensor in sorted(used)]
        new.inputs = [renumbered[tensor] for tensor in indices(old.inputs)]
        new.outputs = [renumbered[tensor] for tensor in indices(old.outputs)]
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
        for side in ("inputs", "outputs", "intermediates"):
            if getattr(old, side) is not None:
                setattr(new, side, [renumbered[n] for n in indices(getattr(old, side))])
        return new

    def _signature(self, old: schema.SignatureDefT) -> schema.SignatureDefT:
        renumbered = self._tensors[old.subgraphIndex]
        new = copy.copy(old)
        new.subgraphIndex = self._subgraphs[old.subgraphIndex]
        new.inputs, new.outputs = (
            [schema.TensorMapT(m.name, renumbered[int(m.tensorIndex)]) for m in side or []]
            for side in (old.inputs, old.outputs)
        )
        return new

    def _metadata(self, old: schema.MetadataT) -> schema.MetadataT:
        new = copy.copy(old)
        new.buffer = self._buffers.setdefault(old.buffer, len(self._buffers))
        return new


def _bring_inside(model: schema.ModelT, data: bytes | memoryview) -> None:
    """Put buffers and custom options that lie behind the flatbuffer where the others are.

    A file over 2 GiB keeps them there, by their offset from the file's first byte. ``pack`` writes
    no such file, so the offsets are cleared, or they would point into another file's middle.
    """
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


def _outside(data: bytes | memoryview, offset: int, size: int) -> memoryview:
    if offset + size > len(data):
        raise ValueError(f"a buffer ends at byte {offset + size} of {len(data)}")
    return memoryview(data)[offset : offset + size]


def _check(model: schema.ModelT) -> None:
    """Raise ``ValueError`` for an index of something that is not there."""
    for subgraph in model.subgraphs:
        tensors = len(subgraph.tensors or [])
        _check_range("tensor", [*indices(subgraph.inputs), *indices(subgraph.outputs)], tensors)
        buffers = [tensor.buffer for tensor in subgraph.tensors or []]
        _check_range("buffer", buffers, len(model.buffers))
        for operator in subgraph.operators or []:
            optional = [*indices(operator.inputs), *indices(operator.intermediates)]
            present = [number for number in optional if number != _OMITTED]
            _check_range("op code", [operator.opcodeIndex], len(model.operatorCodes or []))
            _check_range("tensor", [*present, *indices(operator.outputs)], tensors)
            _check_range("subgraph", callees(operator), len(model.subgraphs))
            _check_form(model, operator)
    for signature in model.signatureDefs or []:
        _check_range("subgraph", [signature.subgraphIndex], len(model.subgraphs))
        tensors = len(model.subgraphs[signature.subgraphIndex].tensors or [])
        _check_range("tensor", [entry.tensorIndex for entry in tensor_maps(signature)], tensors)
    _check_range("buffer", [entry.buffer for entry in model.metadata or []], len(model.buffers))


def _check_range(kind: str, found: Iterable[int], count: int) -> None:
    for number in found:
        if not 0 <= number < count:
            raise ValueError(f"there is no {kind} {number}")


_SIDES = {
    "VAR_HANDLE": (0, 1),
    "READ_VARIABLE": (1, 1),
    "ASSIGN_VARIABLE": (2, 0),
    "CALL_ONCE": (0, 0),
}
"""Op on variables to its number of inputs and of outputs."""

_OPTIONS = {
    "VAR_HANDLE": schema.VarHandleOptionsT,
    "CALL_ONCE": schema.CallOnceOptionsT,
    "IF": schema.IfOptionsT,
    "WHILE": schema.WhileOptionsT,
}


def _check_form(model: schema.ModelT, operator: schema.OperatorT) -> None:
    """Raise ``ValueError`` for an op on variables, or a branch, that is not as it must be."""
    name, inputs = op_name(model, operator), indices(operator.inputs)
    taken, given = len(inputs), len(indices(operator.outputs))
    has_options = isinstance(operator.builtinOptions, _OPTIONS.get(name, object))
    if name in _SIDES:
        if not has_options or (taken, given) != _SIDES[name] or _OMITTED in inputs:
            raise ValueError(f"{name} lacks its options, or has too many or too few tensors")
    elif name in _OPTIONS:
        if name == "IF":  # the first input is the condition; both branches take the others
            sides = [(taken - 1, given), (taken - 1, given)]
        else:  # what the body gives is what the condition and the body take next
            sides = [(taken, 1), (taken, taken)]
        called = [model.subgraphs[number] for number in callees(operator)]
        if not has_options or len(called) != 2:
            raise ValueError(f"{name} does not name the two subgraphs that it runs")
        if sides != [(len(indices(s.inputs)), len(indices(s.outputs))) for s in called]:
            raise ValueError(f"{name} and the subgraphs that it runs do not agree on their tensors")
        if name == "WHILE" and taken != given:
            raise ValueError("WHILE gives another number of tensors than it takes")
