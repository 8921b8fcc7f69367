"""What a runtime cannot take of a .tflite file, and which release the file needs.

That a runtime has the kernels is necessary, and not enough: a kernel may still refuse a dtype or a
shape, which only running the file shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from varhandle.facts.releases import minor
from varhandle.facts.targets import RESOURCE_OPS, Target, find_target, measured_runtimes, ops_of
from varhandle.formats import format_of
from varhandle.formats.tflite_bytes import read_graph_part
from varhandle.graph import Graph, ModelFileError

_CLAIM = re.compile(r"min_runtime_version (\d+)\.(\d+)")


def refusals(graph: Graph, place: str | Target, content: bytes | None = None) -> tuple[str, ...]:
    """Say why a runtime would not take a .tflite file.

    Args:
        graph: The file, as ``read_graph`` gives it.
        place: The target, or its id.
        content: The file's bytes, which tell the versions of its ops. If ``None``, they are looked
            for where the graph came from; without them, only the ops themselves are compared.

    Returns:
        One line for each reason, the weightiest first; nothing where none is known.

    Raises:
        ValueError: The graph is of another format, or there is no such target.
        ModelFileError: The bytes are no sound .tflite file, or the file is gone or cut short.
    """
    if not format_of(graph).is_converted:
        raise ValueError(f"a .tflite file is wanted, and not a {graph.format}")
    found = find_target(place) if isinstance(place, str) else place
    return tuple(dict.fromkeys(_reasons(graph, found, content)))


def _reasons(graph: Graph, place: Target, content: bytes | None) -> Iterator[str]:
    builtin, flex, custom = _sorted_ops(graph)
    if not place.resource_variables and builtin & RESOURCE_OPS:
        yield (
            f"{place.name} has no ops on variables, and the file has "
            f"{', '.join(sorted(builtin & RESOURCE_OPS))}"
        )
    if flex and not place.flex:
        yield f"{place.name} has no Flex delegate, and the file has {', '.join(sorted(flex))}"
    if custom:
        yield f"{', '.join(sorted(custom))}: custom, and {place.name} has no kernel for it"
    spoken_of = frozenset() if place.resource_variables else RESOURCE_OPS
    unknown = sorted(builtin - set(place.ops) - spoken_of)
    if unknown:
        yield f"{place.name} does not know the op {', '.join(unknown)}"
    for op, version in sorted(_versions(graph, content).items()):
        if op in place.ops and not place.ops[op][0] <= version <= place.ops[op][1]:
            yield (
                f"{place.name} knows {op} up to version {place.ops[op][1]}, "
                f"and the file has version {version}"
            )
    claim = _CLAIM.search(graph.producer or "")
    if place.release and claim and (int(claim[1]), int(claim[2])) > minor(place.release):
        yield f"the file says itself that it needs release {claim[1]}.{claim[2]} or later"


def _sorted_ops(graph: Graph) -> tuple[set[str], set[str], set[str]]:
    """Return the builtin, the Flex and the custom ops of a file."""
    nodes = tuple(graph.nodes)
    own = {node.op for node in nodes if node.attributes.get("custom")}
    flex = {op for op in own if op.startswith("Flex")}
    return {node.op for node in nodes if not node.attributes.get("custom")}, flex, own - flex


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


def _versions(graph: Graph, content: bytes | None) -> dict[str, int]:
    if content is not None:
        return _op_versions(content)
    path = Path(graph.source)
    if not path.is_file():
        return {}
    try:
        return _op_versions(read_graph_part(path), graph.source)
    except (OSError, ValueError) as error:  # it has changed since the graph was read
        raise ModelFileError(path, f"cannot be read again: {error}") from error


def _op_versions(content: Any, source: str = "<bytes>") -> dict[str, int]:
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
        raise ModelFileError(source, "is no sound .tflite file: no table of ops in it") from error
    return found
