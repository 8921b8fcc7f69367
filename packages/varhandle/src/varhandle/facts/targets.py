"""Where a .tflite file is to run, and what that place cannot take.

A *target* is a kind of runtime. What each runtime has was measured, and lies in
``data/runtime_ops.json``: a release was asked for every builtin op in every version, and said which
it has a kernel for. That a runtime has the kernels is necessary, and not enough: a kernel may still
refuse a dtype or a shape, which only running the file shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from varhandle.facts.data_files import data_file
from varhandle.formats import format_of
from varhandle.formats.tflite_bytes import read_graph_part
from varhandle.graph import Graph, ModelFileError, Node

OpVersions = Mapping[str, tuple[int, int]]
"""Op to the lowest and the highest version of it."""

VARIABLE_OPS = ("ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE")
"""The builtin ops on resource variables."""

_RESOURCE_OPS = frozenset(
    (*VARIABLE_OPS, "HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE")
)
_OLD_RUNTIME = re.compile(r"tflite-(\d+)\.(\d+)(?:\.\d+)?")
_ANY_VERSION = 2**31 - 1
_CLAIM = re.compile(r"min_runtime_version (\d+)\.(\d+)")


@dataclass(frozen=True)
class Target:
    """A kind of runtime.

    Attributes:
        id: What a user writes, such as ``"litert"``.
        name: What it is, in words.
        resource_variables: Whether it has ``VAR_HANDLE`` and the other ops on variables.
        flex: Whether it runs Select-TensorFlow (Flex) ops.
        release: The release of the runtime, such as ``"2.3"``; empty where it is none of
            TensorFlow Lite's.
        ops: The builtin ops that it has a kernel for, and in which versions.
    """

    id: str
    name: str
    resource_variables: bool
    flex: bool
    release: str = ""
    ops: OpVersions = field(default_factory=dict, repr=False, hash=False, compare=False)


def target(identifier: str) -> Target:
    """Return a target by its id.

    Args:
        identifier: ``"litert"`` (LiteRT as pip installs it), ``"builtin-only"`` (a runtime or a
            compiler that knows the builtin ops on plain tensors and nothing else), ``"micro"``
            (TensorFlow Lite Micro), or a release of TensorFlow Lite as ``"tflite-2.3"``. A release
            between two measured ones is taken for the older one.

    Returns:
        The target.

    Raises:
        ValueError: There is none of that id.
    """
    match = _OLD_RUNTIME.fullmatch(identifier)
    if match:
        return _release(int(match[1]), int(match[2]))
    if identifier not in TARGETS:
        raise ValueError(
            f"no target {identifier!r}; there are: {', '.join(TARGETS)}, and "
            f"tflite-{_releases()[0]} to tflite-{_releases()[-1]}"
        )
    return TARGETS[identifier]


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
    found = target(place) if isinstance(place, str) else place
    return tuple(dict.fromkeys(_reasons(graph, found, content)))


def _reasons(graph: Graph, place: Target, content: bytes | None) -> Iterator[str]:
    builtin, flex, custom = _sorted_ops(graph)
    if not place.resource_variables and builtin & _RESOURCE_OPS:
        yield (
            f"{place.name} has no ops on variables, and the file has "
            f"{', '.join(sorted(builtin & _RESOURCE_OPS))}"
        )
    if flex and not place.flex:
        yield f"{place.name} has no Flex delegate, and the file has {', '.join(sorted(flex))}"
    if custom:
        yield f"{', '.join(sorted(custom))}: custom, and {place.name} has no kernel for it"
    spoken_of = frozenset() if place.resource_variables else _RESOURCE_OPS
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
    if place.release and claim and (int(claim[1]), int(claim[2])) > _number(place.release):
        yield f"the file says itself that it needs release {claim[1]}.{claim[2]} or later"


def _sorted_ops(graph: Graph) -> tuple[set[str], set[str], set[str]]:
    """Return the builtin, the Flex and the custom ops of a file."""

    def custom(node: Node) -> bool:
        return bool(node.attributes.get("custom"))

    own = {node.op for node in graph.nodes if custom(node)}
    flex = {op for op in own if op.startswith("Flex")}
    return {node.op for node in graph.nodes if not custom(node)}, flex, own - flex


def earliest_release(content: bytes) -> str | None:
    """Return the earliest measured release that has every op of a file, in its version.

    Args:
        content: A .tflite file.

    Returns:
        Such as ``"2.3"``; ``None`` where no measured release has them all.

    Raises:
        ModelFileError: It is no sound .tflite file.
    """
    needed = _op_versions(content)
    for release in _releases():
        ops = _ops_of(release)
        if all(op in ops and ops[op][0] <= v <= ops[op][1] for op, v in needed.items()):
            return release
    return None


def with_own_release(content: bytes) -> bytes:
    """Let a file say anew which release it needs, after its ops were changed.

    The converter writes ``min_runtime_version`` for the ops that it put into the file. A file whose
    variables were lifted has others, and may run on older releases than it still says. What is
    written is the earliest *measured* release; where none has all the ops, nothing is written.

    Args:
        content: A .tflite file.

    Returns:
        The file with the entry set anew, or without it; unchanged if it had none.

    Raises:
        ModelFileError: It is no sound .tflite file.
    """
    from ai_edge_litert import schema_py_generated as schema

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


def _number(release: str) -> tuple[int, int]:
    major, minor = release.split(".")[:2]
    return int(major), int(minor)


@cache
def _measured() -> dict[str, Any]:
    """Return what ``data/runtime_ops.json`` says."""
    measured: dict[str, Any] = json.loads(data_file("runtime_ops.json").read_text(encoding="utf-8"))
    return measured


@cache
def _releases() -> tuple[str, ...]:
    """Return the measured releases, the oldest first."""
    return tuple(sorted(_measured()["measured"], key=_number))


@cache
def _ops_of(release: str) -> OpVersions:
    """Return what a measured release has: under each op, the file names those that changed it."""
    found = {}
    for op, changes in _measured()["ops"].items():
        earlier = [r for r in changes if _number(r) <= _number(release)]
        span = changes[max(earlier, key=_number)] if earlier else None
        if span is not None:
            found[op] = (int(span[0]), int(span[1]))
    return found


def _release(major: int, minor: int) -> Target:
    first, last = _releases()[0], _releases()[-1]
    if not _number(first) <= (major, minor) <= _number(last):
        raise ValueError(
            f"no target 'tflite-{major}.{minor}': the releases {first} to {last} were measured"
        )
    ops = _ops_of([r for r in _releases() if _number(r) <= (major, minor)][-1])
    return Target(
        f"tflite-{major}.{minor}",
        f"TensorFlow Lite {major}.{minor}",
        resource_variables="VAR_HANDLE" in ops,
        flex=False,
        release=f"{major}.{minor}",
        ops=ops,
    )


def _named_targets() -> dict[str, Target]:
    litert = {op: (int(low), int(high)) for op, (low, high) in _measured()["litert"].items()}
    plain = {op: span for op, span in litert.items() if op not in _RESOURCE_OPS}
    micro = dict.fromkeys(_measured()["micro"], (1, _ANY_VERSION))  # it looks at no version
    return {
        one.id: one
        for one in (
            Target("litert", "LiteRT", True, False, ops=litert),
            Target("builtin-only", "a runtime of builtin ops alone", False, False, ops=plain),
            Target("micro", "TensorFlow Lite Micro", True, False, ops=micro),
        )
    }


TARGETS: Mapping[str, Target] = _named_targets()
"""Id to target; the old runtimes aside, which ``target`` makes."""

OLD_RUNTIMES = ("tflite-2.3", "tflite-2.5", "tflite-2.8", "tflite-2.15")
"""Releases between which much changed: 2.3 is before variables, 2.6 brought them."""
