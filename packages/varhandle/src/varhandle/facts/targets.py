"""Where a .tflite file is to run: each kind of runtime, and the builtin ops that it has.

What each has was measured, and lies in ``data/runtime_ops.json``: a release was asked for every
builtin op in every version, and said which it has a kernel for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from varhandle.errors import VarhandleError
from varhandle.facts.data_files import data_file
from varhandle.facts.releases import minor

OpVersions = Mapping[str, tuple[int, int]]
"""Op to the lowest and the highest version of it."""

VARIABLE_OPS = ("ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE")
"""The builtin ops on resource variables."""

RESOURCE_OPS = frozenset(
    (*VARIABLE_OPS, "HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE")
)
CUSTOM_OPS_OF_LITERT = frozenset(
    ("AudioSpectrogram", "Mfcc", "NumericVerify", "TFLite_Detection_PostProcess")
)
"""Custom ops that an interpreter has kernels for: ai-edge-litert 2.3.0 was asked for all four,
@litertjs/core 2.5.3 for that of detectors. For older releases it was not measured."""
_CUSTOM_OPS_OF_MICRO = frozenset(("TFLite_Detection_PostProcess",))
_OLD_RUNTIME = re.compile(r"tflite-(\d+)\.(\d+)(?:\.\d+)?")
_ANY_VERSION = 2**31 - 1


DEFAULT_TARGET = "litert"
"""Where a file is to run if nobody says."""

MICRO_TARGET = "micro"


class UnknownTargetError(VarhandleError, ValueError):
    """There is no target of this id; the message says which there are."""


@dataclass(frozen=True)
class Target:
    """A kind of runtime, and the builtin ops that it has a kernel for, in which versions."""

    id: str  # what a user writes, such as "litert"
    name: str  # what it is, in words
    resource_variables: bool  # whether it has ``VAR_HANDLE`` and the other ops on variables
    resizes: bool = True  # whether an input may have another size than the file says
    release: str = ""  # such as "2.3"; empty where it is none of TensorFlow Lite's
    ops: OpVersions = field(default_factory=dict, repr=False, hash=False, compare=False)
    custom_ops: frozenset[str] = frozenset()  # those that it brings kernels for


def find_target(identifier: str) -> Target:
    """Return a target by its id.

    ``"litert"`` is LiteRT as pip installs it; ``"builtin-only"`` a runtime or a compiler that knows
    the builtin ops on plain tensors and nothing else; ``"micro"`` TensorFlow Lite Micro; a release
    of TensorFlow Lite is ``"tflite-2.3"``, and one between two measured ones counts as the older.

    Raises:
        UnknownTargetError: There is none of that id (a ``ValueError``).
    """
    match = _OLD_RUNTIME.fullmatch(identifier)
    first, last = measured_runtimes()[0], measured_runtimes()[-1]
    if not match:
        if identifier not in TARGETS:
            raise UnknownTargetError(
                f"no target {identifier!r}; there are: {', '.join(TARGETS)}, and "
                f"tflite-{first} to tflite-{last}"
            )
        return TARGETS[identifier]
    release = f"{int(match[1])}.{int(match[2])}"
    if not minor(first) <= minor(release) <= minor(last):
        raise UnknownTargetError(
            f"no target 'tflite-{release}'; there are: tflite-{first} to tflite-{last}"
        )
    ops = ops_of([older for older in measured_runtimes() if minor(older) <= minor(release)][-1])
    name = f"TensorFlow Lite {release}"
    own = CUSTOM_OPS_OF_LITERT
    return Target(f"tflite-{release}", name, "VAR_HANDLE" in ops, True, release, ops, own)


@cache
def _measured() -> dict[str, Any]:
    """Return what ``data/runtime_ops.json`` says."""
    measured: dict[str, Any] = json.loads(data_file("runtime_ops.json").read_text(encoding="utf-8"))
    return measured


@cache
def measured_runtimes() -> tuple[str, ...]:
    """Return the measured releases, the oldest first."""
    return tuple(sorted(_measured()["measured"], key=minor))


@cache
def ops_of(release: str) -> OpVersions:
    """Return what a measured release has: under each op, the file names those that changed it."""
    found = {}
    for op, changes in _measured()["ops"].items():
        earlier = [r for r in changes if minor(r) <= minor(release)]
        span = changes[max(earlier, key=minor)] if earlier else None
        if span is not None:
            found[op] = (int(span[0]), int(span[1]))
    return found


def _named_targets() -> dict[str, Target]:
    litert = {op: (int(low), int(high)) for op, (low, high) in _measured()["litert"].items()}
    plain = {op: span for op, span in litert.items() if op not in RESOURCE_OPS}
    micro = dict.fromkeys(_measured()["micro"], (1, _ANY_VERSION))  # it looks at no version
    targets = (
        Target(DEFAULT_TARGET, "LiteRT", True, ops=litert, custom_ops=CUSTOM_OPS_OF_LITERT),
        Target("builtin-only", "a runtime of builtin ops alone", False, ops=plain),
        Target(MICRO_TARGET, "TensorFlow Lite Micro", True, False, "", micro, _CUSTOM_OPS_OF_MICRO),
    )
    return {one.id: one for one in targets}


TARGETS: Mapping[str, Target] = _named_targets()
"""Id to target; the old runtimes aside, which ``find_target`` makes."""

OLD_RUNTIMES = ("tflite-2.3", "tflite-2.5", "tflite-2.8", "tflite-2.15")
"""Releases between which much changed: 2.3 is before variables, 2.6 brought them."""
