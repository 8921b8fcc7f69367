"""SavedModels and .tflite files of any size, written without a model to train."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Literal

import numpy as np

from varhandle.formats.proto_schema import MESSAGES

Form = Literal["one flat graph", "a library of functions"]
FORMS: tuple[Form, ...] = ("one flat graph", "a library of functions")

_FLOAT = 1  # DT_FLOAT
_RESOURCE = 20  # DT_RESOURCE
_NODES_A_VARIABLE = 10
_VARIABLES_A_FUNCTION = 10
_FUNCTION_NODES = _VARIABLES_A_FUNCTION * (_NODES_A_VARIABLE - 1)  # with its call
_ALIGNMENT = 16  # of a buffer's first byte, which the schema asks for
_PIECE = 2**20


def saved_model(form: Form, nodes: int, folder: Path) -> Path:
    """Write a SavedModel that adds one variable after the other to its input.

    All of it lies in the main graph, or in functions of 90 nodes each, which the main graph calls
    one after the other. A tenth of the nodes are handles of variables.
    """
    model = MESSAGES["SavedModel"]()
    graph = model.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    _node(graph.graph_def.node, "Placeholder", "x", [], dtype=_FLOAT)
    handles = [f"v{number}" for number in range(nodes // _NODES_A_VARIABLE)]
    for name in handles:
        node = _node(graph.graph_def.node, "VarHandleOp", name, [], dtype=_FLOAT)
        node.attr["shared_name"].s = name.encode()
        node.attr["shape"].shape.dim.add().size = 4
    count, last = nodes - len(handles), "x"
    if form == "one flat graph":
        last = _chain(graph.graph_def.node, handles, count)
    else:
        for number in range(max(1, count // _FUNCTION_NODES)):
            first = number * _VARIABLES_A_FUNCTION % len(handles)
            captured = handles[first : first + _VARIABLES_A_FUNCTION]
            last = _call(graph.graph_def, number, last, captured)
    signature = graph.signature_def["serving_default"]
    for side, name in ((signature.inputs, "x"), (signature.outputs, last)):
        side[name].name = f"{name}:0"
        side[name].dtype = _FLOAT
    path = folder / f"{form} {nodes}".replace(" ", "_")
    path.mkdir()
    (path / "saved_model.pb").write_bytes(model.SerializeToString())
    return path


def _chain(nodes: Any, handles: list[str], count: int, read_as: str = "", sum_as: str = "") -> str:
    """Add ``count`` nodes after ``x``, reads and sums in turns; return the name of the last sum.

    A function's body names the outputs of a node as well: ``read_as`` and ``sum_as``.
    """
    last = "x"
    for number in range(count // 2):
        read = f"read{number}"
        _node(nodes, "ReadVariableOp", read, [handles[number % len(handles)]], dtype=_FLOAT)
        _node(nodes, "AddV2", f"add{number}", [last, read + read_as], T=_FLOAT)
        last = f"add{number}{sum_as}"
    return last


def _call(graph_def: Any, number: int, x: str, captured: list[str]) -> str:
    """Add a function that adds its captured variables, and its call; return the call's name."""
    function = graph_def.library.function.add()
    function.signature.name = f"body{number}"
    arguments = [f"h{i}" for i in range(len(captured))]
    kinds = [_FLOAT, *[_RESOURCE] * len(captured)]
    for name, kind in zip(["x", *arguments], kinds, strict=True):
        function.signature.input_arg.add(name=name, type=kind)
    function.signature.output_arg.add(name="y", type=_FLOAT)
    last = _chain(function.node_def, arguments, _FUNCTION_NODES - 1, ":value:0", ":z:0")
    function.ret["y"] = last
    call = _node(graph_def.node, "PartitionedCall", f"call{number}", [x, *captured])
    call.attr["f"].func.name = f"body{number}"
    call.attr["Tin"].list.type.extend(kinds)
    call.attr["Tout"].list.type.append(_FLOAT)
    return f"call{number}"


def _node(nodes: Any, op: str, name: str, inputs: list[str], **types: int) -> Any:
    node = nodes.add()
    node.op, node.name = op, name
    node.input.extend(inputs)
    for attribute, value in types.items():
        node.attr[attribute].type = value
    return node


def grown_tflite(content: bytes, size: int, path: Path) -> Path:
    """Write a .tflite file with one more buffer, of ``size`` bytes: 2 GB at most, as in any."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content)
    added = schema.BufferT()
    added.data = np.zeros(4, np.uint8)
    model.buffers.append(added)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    packed = bytearray(builder.Output())
    # Packing a gigabyte takes several: so the vector is written behind, and its offset changed.
    packed += bytes(-(len(packed) + 4) % _ALIGNMENT)
    table = schema.Model.GetRootAs(packed).Buffers(len(model.buffers) - 1)._tab
    field = table.Pos + table.Offset(4)
    struct.pack_into("<I", packed, field, len(packed) - field)
    piece = np.random.default_rng(7).bytes(_PIECE)
    with path.open("wb") as file:
        file.write(packed + struct.pack("<I", size))
        for start in range(0, size, _PIECE):
            file.write(piece[: size - start])
    return path
