"""What a runtime cannot take of a .tflite file, and which release the file needs.

That a runtime has the kernels is necessary, and not enough: a kernel may still refuse a dtype or a
shape, which only running the file shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from varhandle.display import join_all, printable
from varhandle.facts.releases import minor
from varhandle.facts.targets import (
    CUSTOM_OPS_OF_LITERT,
    RESOURCE_OPS,
    Target,
    find_target,
    measured_runtimes,
    ops_of,
)
from varhandle.formats import format_of
from varhandle.graph import Graph, damaged_file

_CLAIM = re.compile(r"min_runtime_version (\d+)\.(\d+)")


def refusals(graph: Graph, place: str | Target, content: Any = None) -> tuple[str, ...]:
    """Say why a runtime would not take a .tflite file: a line each, the weightiest first.

    ``place`` is a target or its id. The file's bytes, ``content``, tell the versions of its ops;
    without them, only the ops themselves are compared.

    Raises:
        ValueError: The graph is of another format, or there is no such target.
        ModelFileError: The bytes are no sound .tflite file.
    """
    if not format_of(graph).is_converted:
        raise ValueError(f"a .tflite file is wanted, and not a {graph.format}")
    found = find_target(place) if isinstance(place, str) else place
    return tuple(dict.fromkeys(_reasons(graph, found, content)))


def _reasons(graph: Graph, place: Target, content: Any) -> Iterator[str]:
    nodes = tuple(graph.nodes)
    own = {node.op for node in nodes if node.attributes.get("custom")}
    builtin = {node.op for node in nodes if not node.attributes.get("custom")}
    flex = sorted(op for op in own if op.startswith("Flex"))
    custom = sorted(own - set(flex) - place.custom_ops)
    unknown = builtin - set(place.ops)
    if not place.resource_variables:
        unknown -= RESOURCE_OPS
        held = sorted(builtin & RESOURCE_OPS)
        if held:
            yield f"{place.name} has no ops on variables, and the file has {', '.join(held)}"
    if flex:
        yield f"{place.name} has no Flex delegate, and the file has {', '.join(flex)}"
    if custom:
        yield f"{', '.join(custom)}: custom, and {place.name} has no kernel for it"
    if unknown:
        yield f"{place.name} does not know the op {', '.join(sorted(unknown))}"
    for op, version in sorted(_op_versions(content).items() if content is not None else ()):
        if op in place.ops and not place.ops[op][0] <= version <= place.ops[op][1]:
            yield (
                f"{place.name} knows {op} up to version {place.ops[op][1]}, "
                f"and the file has version {version}"
            )
    claim = _CLAIM.search(graph.producer or "")
    if place.release and claim and (int(claim[1]), int(claim[2])) > minor(place.release):
        yield f"the file says itself that it needs release {claim[1]}.{claim[2]} or later"


def missing_kernels(graph: Graph, content: Any = None) -> tuple[str, ...]:
    """Say of a .tflite file that was refused what it asks for that no interpreter here has.

    A sentence for each kind, with what to do; none for ordinary ops. It does not tell whether the
    file runs: an interpreter may have a kernel for a custom op. ``content`` are the file's bytes.
    """
    own = sorted({node.op for node in graph.nodes if node.attributes.get("custom")})
    flex = [op for op in own if op.startswith("Flex")]
    compiled = [op for op in own if op == "DISPATCH_OP"]
    custom = [op for op in own if op not in {*flex, *compiled, *CUSTOM_OPS_OF_LITERT}]
    found = [
        sentence.format(join_all(map(printable, ops)), "it" if len(ops) == 1 else "them")
        for ops, sentence in ((compiled, _COMPILED), (flex, _FLEX), (custom, _CUSTOM))
        if ops
    ]
    return (*found, *([_BLOCKS] if content is not None and _has_blocks(content) else []))


def misread_weights(content: Any) -> tuple[str, ...]:
    """Say of a file that answers otherwise with other kernels what those do with its weights."""
    return (_MISREAD,) if content is not None and _has_blocks(content) else ()


def _has_blocks(content: Any) -> bool:
    """Whether weights have a scale for each block of values, and not for each channel."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    subgraphs = (model.Subgraphs(i) for i in range(model.SubgraphsLength()))
    tensors = (one.Tensors(i) for one in subgraphs for i in range(one.TensorsLength()))
    steps = (tensor.Quantization() for tensor in tensors)
    blocks = schema.QuantizationDetails.BlockwiseQuantization
    return any(one is not None and one.DetailsType() == blocks for one in steps)


_COMPILED = (
    "{}: the file was compiled ahead of time for an NPU. Only a device with that NPU and its "
    "vendor's dispatch library runs it; for any other, take the .tflite file that was compiled."
)
NO_FLEX = (
    "{}: the file holds ops of TensorFlow itself, and this interpreter has no Flex delegate to run "
    "them."
)
_FLEX = (
    f"{NO_FLEX} SELECT_TF_OPS makes such a file, and so does Keras' model.export(path, "
    'format="litert"): cure the model that it was made from (varhandle cure MODEL OUT.tflite), '
    "which makes a file of builtin ops alone or says what stands in the way."
)
NO_KERNEL = "{}: the file holds custom ops that this runtime does not have."
_CUSTOM = (
    f"{NO_KERNEL} The program that runs the file has to bring a kernel for {{}}; run it there, or "
    "make the file anew from ops that there are."
)

_BLOCKS = (
    "its weights are quantized in blocks, which this interpreter has kernels for in few ops: "
    "quantize it anew by channel, or run it where it was made for."
)

_MISREAD = (
    "its weights are quantized in blocks: of such an op the default delegates compute what it "
    "says, and the plain kernels leave out the activation that is fused into it. Quantize it anew "
    "by channel, or run it only where the default delegates take every op."
)


def earliest_release(content: bytes) -> str | None:
    """Return the earliest measured release, such as ``"2.3"``, that has every op of a file.

    ``None`` where no measured release has them all; ``ModelFileError`` for an unsound file.
    """
    needed = _op_versions(content)
    for release in measured_runtimes():
        ops = ops_of(release)
        if all(op in ops and ops[op][0] <= v <= ops[op][1] for op, v in needed.items()):
            return release
    return None


def update_runtime_version(content: bytes) -> bytes:
    """Let a file say anew which release it needs, after its ops were changed.

    The converter writes ``min_runtime_version`` for the ops that it put into the file. A file whose
    variables were lifted has others, and may run on older releases than it still says. What is
    written is the earliest *measured* release; where none has all the ops, the entry goes. A file
    without one stays as it is. Raises ``ModelFileError`` for an unsound file.
    """
    from ai_edge_litert import schema_py_generated as schema

    # Not above: the static reading of a model asks here what runtimes have, and needs no NumPy.
    from varhandle.tflite.flatbuffer import decode, pack, unpack

    model = unpack(content, "<bytes>")
    entries = [e for e in model.metadata or [] if decode(e.name) == "min_runtime_version"]
    if not entries:
        return content
    release = earliest_release(content)
    if release is None:
        model.metadata = [e for e in model.metadata if e not in entries] or None
        return pack(model)
    for entry in entries:  # 16 bytes, filled up with zeros, as the converter writes it
        model.buffers[entry.buffer] = schema.BufferT(list(f"{release}.0".encode().ljust(16, b"\0")))
    return pack(model)


def _op_versions(content: Any) -> dict[str, int]:
    """Read which version of each builtin op a file asks for; the highest where it has several."""
    from ai_edge_litert import schema_py_generated as schema

    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    found: dict[str, int] = {}
    try:
        model = schema.Model.GetRootAs(content, 0)
        for number in range(model.OperatorCodesLength()):
            code = model.OperatorCodes(number)
            builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            name = names.get(builtin, f"BUILTIN_{builtin}")
            if name != "CUSTOM":
                found[name] = max(code.Version(), found.get(name, 0))
    except Exception as error:  # the accessors check nothing, and raise whatever there is
        raise damaged_file("<bytes>", "is no sound .tflite file: no table of ops in it") from error
    return found
