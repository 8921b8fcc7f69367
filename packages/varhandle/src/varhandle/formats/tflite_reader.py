"""TensorFlow Lite files, read through the schema's generated accessors.

Weights are never looked at, so a model of a gigabyte costs no more than its graph. The generated
accessors check nothing. Reads outside the file raise; a damaged length cannot keep the reader busy,
because every item is counted against the size of the file.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ai_edge_litert import schema_py_generated as schema

from varhandle.formats.embedded_code import code_in_functions
from varhandle.formats.tflite_vectors import vector
from varhandle.graph import (
    Function,
    Graph,
    ModelFileError,
    Node,
    Shape,
    Signature,
    TensorSpec,
    damaged_file,
)
from varhandle.graph.model import MOST_NODES, Variable, refuse_too_much
from varhandle.graph.op_roles import TFLITE_VARIABLES
from varhandle.graph.resource_flow import EntryPoint, ResourceFlow, find_handles

if TYPE_CHECKING:
    from varhandle.formats.constants import Constants

Buffer = bytes | memoryview

_FROM_A_DAMAGED_FILE = (
    struct.error,  # an offset outside the file
    ValueError,  # a vector outside the file, more items than bytes
    LookupError,  # a tensor, subgraph or op code that is not there
    TypeError,  # a number outside the range of an offset
    AttributeError,  # a required table that is missing
)


_TABLE = 16  # bytes of the smallest table that says anything
_LEFT_OUT = -1  # in the place of the number of a tensor
_VERSION = "min_runtime_version"
_CUSTOM = "custom"
_VALUE = "value"


def read_tflite(data: Buffer, source: str) -> Graph:
    """Read a TensorFlow Lite model, or raise ``ModelFileError``.

    Subgraphs become functions. Nodes are named after op and position (``READ_VARIABLE#3``), since
    the format does not name them. A constant comes from no node: its source is an empty name, and
    so is the tensor of an optional input that is left out. The value that a read or an assign moves
    is the attribute ``value``. A variable is ``initialized`` if a subgraph that ``CALL_ONCE`` runs
    assigns it; these assigns are not reported.
    """
    with _whole(source):
        return _Reader(data, source).read()


@contextlib.contextmanager
def _whole(source: str) -> Iterator[None]:
    """Tell what the accessors raise of a damaged file as ``ModelFileError``."""
    try:
        yield
    except ModelFileError:
        raise
    except _FROM_A_DAMAGED_FILE as error:
        # What they say is about the accessors, not about the file.
        raise damaged_file(source, "the .tflite file is damaged or cut short") from error


def _names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


_OPS = _names(schema.BuiltinOperator)
_DTYPES = {value: name.lower() for value, name in _names(schema.TensorType).items()}
_OPTIONS = _names(schema.BuiltinOptions)
_OPTIONS_2 = _names(schema.BuiltinOptions2)


@cache
def _settings(options: str) -> tuple[tuple[str, str], ...]:
    """Return the settings in a table of op options: the schema's names and the accessors'."""
    accessors = (
        name
        for name, member in vars(getattr(schema, options)).items()
        if inspect.isfunction(member)
        and member.__code__.co_argcount == 1
        and not name.endswith(("AsNumpy", "Length", "IsNone"))
    )
    return tuple((re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", n).lower(), n) for n in accessors)


class _Reader:
    """Reads one model."""

    def __init__(self, data: Buffer, source: str) -> None:
        self._source = source
        self._model = schema.Model.GetRootAs(data, 0)
        self._unread = min(len(data), 16 * MOST_NODES)
        subgraphs = (self._model.Subgraphs(i) for i in self._range(self._model.SubgraphsLength()))
        self._function_names = _unique(self._text(subgraph.Name()) for subgraph in subgraphs)

    def read(self) -> Graph:
        model = self._model
        op_codes = self._range(model.OperatorCodesLength())
        self._ops = [self._read_op(model.OperatorCodes(i)) for i in op_codes]
        self._named = frozenset(self._function_names)
        named = enumerate(self._function_names)
        functions = tuple(self._read_function(model.Subgraphs(i), name) for i, name in named)
        if not functions:
            raise damaged_file(self._source, "the .tflite file is damaged: it holds no subgraph")
        nodes = sum(len(function.nodes) for function in functions)
        refuse_too_much(self._source, nodes, model.SignatureDefsLength())
        signatures = sorted(self._read_signatures(functions), key=lambda s: s.name)
        variables = sorted(self._read_variables(functions, signatures), key=lambda v: v.name)
        return Graph(
            self._source,
            "tflite",
            functions,
            tuple(variables),
            tuple(signatures),
            self._read_producer(),
            # The interpreter's own kernels only compute; Flex ops are TensorFlow's.
            code_in_functions(functions, lambda _, node: not node.op.startswith("Flex")),
        )

    def subgraphs(self) -> dict[str, Any]:
        """Return the subgraphs by name."""
        return {name: self._model.Subgraphs(i) for i, name in enumerate(self._function_names)}

    def tensors(self, subgraph: Any) -> dict[str, Any]:
        """Return a subgraph's tensors by name, in their order."""
        tensors = [subgraph.Tensors(i) for i in self._range(subgraph.TensorsLength(), _TABLE)]
        names = _unique(self._text(tensor.Name()) for tensor in tensors)
        return dict(zip(names, tensors, strict=True))

    def _range(self, length: int, size: int = 1) -> range:
        """Return the indices of a vector, counting its items against the size of the file.

        So a file that lists the same item many times is refused before the memory is full.
        """
        self._unread -= size * length
        if self._unread < 0:
            fault = "the .tflite file is damaged: it claims more items than it has bytes"
            raise damaged_file(self._source, fault)
        return range(length)

    def _text(self, value: bytes | None) -> str:
        self._range(len(value or b""))
        return (value or b"").decode(errors="replace")

    def _integers(self, table: Any, field: str) -> list[int]:
        length = getattr(table, f"{field}Length")()
        return vector(table, field).tolist() if self._range(length) else []

    def _read_op(self, op_code: Any) -> tuple[str, bool]:
        """Return an op's name, and whether it is a custom op."""
        # Old files have the op in one field, new ones in the other; the larger number counts.
        number = max(op_code.BuiltinCode(), op_code.DeprecatedBuiltinCode())
        name = _OPS.get(number, f"BUILTIN_{number}")
        if name == "CUSTOM":
            return self._text(op_code.CustomCode()) or name, True
        return name, False

    def _read_producer(self) -> str | None:
        model = self._model
        parts = [self._text(model.Description()).rstrip(".")]
        for i in self._range(model.MetadataLength()):
            if self._text(model.Metadata(i).Name()) == _VERSION:
                version = bytes(self._integers(model.Buffers(model.Metadata(i).Buffer()), "Data"))
                parts.append(f"{_VERSION} {version.rstrip(bytes(1)).decode(errors='replace')}")
        return ", ".join(part for part in parts if part) or None

    def _read_function(self, subgraph: Any, name: str) -> Function:
        specs = [self._read_tensor(t, n) for n, t in self.tensors(subgraph).items()]
        inputs = self._pick(specs, subgraph, "Inputs")
        producers = {spec.name: spec.name for spec in inputs if spec}
        nodes = []
        for index in self._range(subgraph.OperatorsLength(), _TABLE):
            operator = subgraph.Operators(index)
            op, is_custom = self._ops[operator.OpcodeIndex()]
            attributes = self._read_attributes(operator)
            if is_custom:
                attributes[_CUSTOM] = True
            if is_custom and op.startswith("Flex"):
                options = bytes(self._integers(operator, "CustomOptions"))
                attributes.update(_flex_attributes(options))
            node_name = f"{op}#{index}"
            taken = self._pick(specs, operator, "Inputs")
            made = self._pick(specs, operator, "Outputs")
            moved = {"READ_VARIABLE": made[:1], "ASSIGN_VARIABLE": taken[1:2]}.get(op)
            if moved:
                attributes[_VALUE] = moved[0]
            nodes.append(
                Node(
                    name=node_name,
                    op=op,
                    inputs=tuple(spec.name if spec else "" for spec in taken),
                    sources=tuple(producers.get(spec.name, "") if spec else "" for spec in taken),
                    attributes=attributes,
                    calls=self._calls(attributes),
                )
            )
            producers.update((spec.name, node_name) for spec in made if spec)
        outputs = self._pick(specs, subgraph, "Outputs")
        ends = (tuple(spec for spec in one if spec) for one in (inputs, outputs))
        return Function(name, tuple(nodes), *ends)

    def _pick(self, specs: list[TensorSpec], table: Any, field: str) -> list[TensorSpec | None]:
        """Return the tensors whose numbers a vector lists."""
        numbers = self._integers(table, field)
        if min(numbers, default=0) < _LEFT_OUT:
            raise IndexError(f"there is no tensor {min(numbers)}")
        return [None if number == _LEFT_OUT else specs[number] for number in numbers]

    def _read_tensor(self, tensor: Any, name: str) -> TensorSpec:
        shape: Shape | None = None
        if tensor.HasRank() or tensor.ShapeLength():
            # The signature has -1 for a dimension that is not known; the shape has 1 there.
            field = "ShapeSignature" if tensor.ShapeSignatureLength() else "Shape"
            shape = tuple(n if n >= 0 else None for n in self._integers(tensor, field))
        number = tensor.Type()
        return TensorSpec(name, _DTYPES.get(number, f"dtype_{number}"), shape)

    def _read_attributes(self, operator: Any) -> dict[str, object]:
        """Return the settings of an op that are single values, as the schema spells them."""
        attributes: dict[str, object] = {}
        for kind, names, table in (
            (operator.BuiltinOptionsType(), _OPTIONS, operator.BuiltinOptions()),
            (operator.BuiltinOptions2Type(), _OPTIONS_2, operator.BuiltinOptions2()),
        ):
            if table is None or kind not in names or names[kind] == "NONE":
                continue
            options = getattr(schema, names[kind])()
            options.Init(table.Bytes, table.Pos)
            for name, accessor in _settings(names[kind]):
                value = getattr(options, accessor)()
                if isinstance(value, bytes):
                    value = self._text(value)
                if isinstance(value, (bool, int, float, str)):
                    attributes[name] = value
        return attributes

    def _calls(self, attributes: dict[str, object]) -> tuple[str, ...]:
        """Return the functions that an op calls: its options hold the subgraphs' numbers.

        A Flex op names them instead, in an attribute of the TensorFlow op that it wraps.
        """
        if _CUSTOM in attributes:
            named = (v if isinstance(v, tuple) else (v,) for v in attributes.values())
            return tuple(str(name) for names in named for name in names if name in self._named)
        numbers = (value for name, value in attributes.items() if "subgraph" in name)
        return tuple(self._function_names[n] for n in numbers if isinstance(n, int) and n >= 0)

    def _read_signatures(self, functions: tuple[Function, ...]) -> Iterator[Signature]:
        for i in self._range(self._model.SignatureDefsLength()):
            signature = self._model.SignatureDefs(i)
            subgraph = self._model.Subgraphs(signature.SubgraphIndex())
            function = functions[signature.SubgraphIndex()]
            inputs = [signature.Inputs(j) for j in self._range(signature.InputsLength())]
            outputs = [signature.Outputs(j) for j in self._range(signature.OutputsLength())]
            yield Signature(
                self._text(signature.SignatureKey()),
                function.name,
                self._read_tensor_maps(subgraph, inputs),
                self._read_tensor_maps(subgraph, outputs),
            )

    def _read_tensor_maps(self, subgraph: Any, maps: Iterable[Any]) -> tuple[TensorSpec, ...]:
        specs = []
        for each in maps:
            if each.TensorIndex() >= subgraph.TensorsLength():
                raise IndexError(f"there is no tensor {each.TensorIndex()}")
            tensor = subgraph.Tensors(each.TensorIndex())
            specs.append(self._read_tensor(tensor, self._text(each.Name())))
        return tuple(specs)

    def _read_variables(
        self, functions: tuple[Function, ...], signatures: list[Signature]
    ) -> Iterator[Variable]:
        flow = ResourceFlow(functions)
        entries = [EntryPoint(s.name, flow.reached([s.function])) for s in signatures]
        if functions[0].name not in {signature.function for signature in signatures}:
            entries.append(EntryPoint(None, flow.reached([functions[0].name])))
        nodes = [node for function in functions for node in function.nodes]
        set_once = flow.reached(call for n in nodes if n.op == "CALL_ONCE" for call in n.calls)
        anywhere = EntryPoint(None, {function.name for function in functions})
        for handle in find_handles(functions, TFLITE_VARIABLES):
            moved = (n.attributes.get(_VALUE) for _, n in flow.uses(handle.locations, anywhere))
            values = [value for value in moved if isinstance(value, TensorSpec)]
            if values:
                handle.dtype, handle.shape = values[0].dtype, _common_shape(values)
            yield Variable(
                handle.name,
                handle.dtype,
                handle.shape,
                *flow.accesses(handle, entries),
                initialized=bool(flow.accesses(handle, [EntryPoint(None, set_once)])[1]),
            )


def _common_shape(values: list[TensorSpec]) -> Shape | None:
    """Return what the shapes of all values of a variable agree on.

    The file states no shape for a variable. One that grows is read and assigned in several.
    """
    shapes = [value.shape for value in values if value.shape is not None]
    if len(shapes) < len(values) or len({len(shape) for shape in shapes}) > 1:
        return None
    return tuple(dims[0] if len(set(dims)) == 1 else None for dims in zip(*shapes, strict=True))


def _flex_attributes(custom_options: bytes) -> dict[str, object]:
    """Return the attributes of the TensorFlow op in a Flex op: a flexbuffer of name and NodeDef."""
    from flatbuffers import flexbuffers
    from google.protobuf.message import DecodeError

    from varhandle.formats.graph_def_reader import read_nodes
    from varhandle.formats.proto_schema import MESSAGES

    try:
        node_def = flexbuffers.GetRoot(custom_options).AsVector[1].AsStringBytes
        (node,) = read_nodes([MESSAGES["NodeDef"].FromString(node_def)], frozenset())
    except DecodeError as error:
        raise ValueError(f"a Flex op holds no NodeDef: {error}") from error
    return dict(node.attributes)


def _unique(names: Iterable[str]) -> list[str]:
    """Return the names in order, with a number after those that are empty or taken."""
    unique: dict[str, None] = {}
    for index, name in enumerate(names):
        free = name
        while not free or free in unique:
            free = f"{free}#{index}"
        unique[free] = None
    return list(unique)


def _same(view: Any) -> Any:
    return view


def read_constants(data: Buffer, source: str, stored: Callable[[Any], Any] = _same) -> Constants:
    """Return its constants, by subgraph and tensor, or raise ``ModelFileError``.

    ``stored`` turns the view of a constant in ``data`` into its bytes.
    """
    from varhandle.formats.constants import Constant

    found = {}
    with _whole(source):
        reader, model = _Reader(data, source), schema.Model.GetRootAs(data, 0)
        for function, subgraph in reader.subgraphs().items():
            for name, tensor in reader.tensors(subgraph).items():
                buffer = model.Buffers(tensor.Buffer())
                if buffer is not None and buffer.DataLength():
                    shape = tuple(tensor.Shape(i) for i in range(tensor.ShapeLength()))
                    read = partial(_values, tensor, buffer, shape, stored)
                    found[function, name] = Constant(shape, read)
    return found


def _values(
    tensor: Any,
    buffer: Any,
    shape: tuple[int, ...],
    stored: Callable[[Any], Any],
    most: int | None = None,
) -> Any:
    """Decode a constant; ``None`` where it is too large, packed or of a dtype that NumPy lacks."""
    import numpy as np

    from varhandle.formats.constants import MOST_VALUES

    name = _DTYPES.get(tensor.Type(), "")
    if math.prod(shape) > (MOST_VALUES if most is None else most):
        return None
    try:
        data = stored(buffer.DataAsNumpy())
        if name == "string":  # the number of strings, where each begins and the last ends, and they
            count = int(data[:4].view("<i4")[0])
            ends = data[4 : 8 + 4 * count].view("<i4").tolist()
            words = [data[a:b].tobytes() for a, b in pairwise(ends)]
            return np.array(words, object).reshape(shape)
        return data.view(name).reshape(shape)
    except _FROM_A_DAMAGED_FILE:
        return None


def input_tensors(data: Buffer, signature: str) -> dict[str, str]:
    """Return which tensor each input of a signature is; of the main graph's by their own names."""
    return {name: tensor for name, (tensor, _) in _signature_inputs(data, signature).items()}


def quantized_inputs(data: Buffer, signature: str) -> dict[str, tuple[str, float, int]]:
    """Return dtype, scale and zero point of the inputs that are integers for real values."""
    found = {}
    for name, (_, tensor) in _signature_inputs(data, signature).items():
        steps, dtype = tensor.Quantization(), _DTYPES.get(tensor.Type(), "")
        if steps is not None and steps.ScaleLength() == 1 and "int" in dtype and steps.Scale(0):
            zero = steps.ZeroPoint(0) if steps.ZeroPointLength() else 0
            found[name] = (dtype, float(steps.Scale(0)), int(zero))
    return found


def _signature_inputs(data: Buffer, signature: str) -> dict[str, tuple[str, Any]]:
    reader, model = _Reader(data, "<bytes>"), schema.Model.GetRootAs(data, 0)
    subgraphs = list(reader.subgraphs().values())
    for i in range(model.SignatureDefsLength()):
        one = model.SignatureDefs(i)
        if signature and (one.SignatureKey() or b"").decode(errors="replace") == signature:
            tensors = list(reader.tensors(subgraphs[one.SubgraphIndex()]).items())
            inputs = (one.Inputs(j) for j in range(one.InputsLength()))
            return {
                (each.Name() or b"").decode(errors="replace"): tensors[each.TensorIndex()]
                for each in inputs
            }
    tensors = list(reader.tensors(subgraphs[0]).items())
    numbers = (subgraphs[0].Inputs(j) for j in range(subgraphs[0].InputsLength()))
    main = (tensors[number] for number in numbers if number != _LEFT_OUT)
    return {name: (name, tensor) for name, tensor in main}
