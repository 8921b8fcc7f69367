"""Which ops of a TensorFlow graph may run in a stranger's model, by a rule over op registries.

An op is allowed if all that is known of it says that it only computes, or keeps values in memory.
The rule reads what a registry says of an op: whether it has effects (``is_stateful``), what its
arguments and attributes are called, and which attributes are functions. What the rule refuses,
it refuses for a reason in words. An op that no measured release has is not allowed either.

``python -m varhandle.facts.graph_ops [PYTHON…]`` asks the TensorFlow of each of these Pythons (of
this one, if none is named) for its registry, and writes ``data/graph_ops.json`` anew.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from varhandle.facts.data_files import data_file

_FILE = "graph_ops.json"
_ASK = """
import json
from tensorflow.core.framework import op_def_pb2
try:
    from tensorflow.python.client import pywrap_tf_session as session
except ImportError:
    from tensorflow.python import pywrap_tensorflow as session
import tensorflow
listed = op_def_pb2.OpList.FromString(session.TF_GetBuffer(session.TF_GetAllOpList()))
ops = [
    [op.name, op.is_stateful, [a.name for a in op.input_arg], {a.name: a.type for a in op.attr}]
    for op in listed.op
]
print("OPS " + json.dumps([tensorflow.__version__, ops]))
"""


class RegisteredOp(NamedTuple):
    """What a registry says of an op, as far as the rule asks."""

    name: str
    is_stateful: bool
    arguments: Sequence[str]  # names of its inputs
    attributes: Mapping[str, str]  # names to types


FILE = "opens files"
NETWORK = "talks to other processes"
PYTHON = "calls Python code"
PROGRAM = "runs a program that it holds as data"
DATASET = "reads from a dataset"
FUNCTION = "calls functions where they may not be looked into"
EFFECT = "does more than compute"
UNKNOWN = "is on no list of ops that only compute"

# What an op takes, by the names of its arguments and attributes.
_TAKES = {
    PYTHON: r"token",
    NETWORK: r"target|protocol|(.*_)?(address|urls?|uri|workers)|debug_ops_spec",
    PROGRAM: r"graph_def|subgraph_key|(.*_)?module|(call_)?target_name|serialized_segment"
    r"|.*_fused_graph_.*",
    FILE: r"(.*_)?(files?|file_?names?|file_pattern|path|dir|directory|logdir|prefix(es)?)"
    r"|memory_region_name|descriptor_source|output_stream",
}
# What only the name of an op says: readers take their files from a queue.
_NAMES = {
    NETWORK: r"_?(Rpc|Collective|Nccl|Send|Recv|DataService).*",
    # Taking the next element of an iterator is nothing without the ops that make one.
    DATASET: r"(?!IteratorGetNext$).*(Dataset|Iterator).*",
    FILE: r".*Reader.*|MatchingFiles|Gcs.*",
    EFFECT: r"Abort",
}
# Ops that call functions of the graph. All functions of a file are looked into.
_CALLS = re.compile(
    r"(Stateless)?(If|While|Case)|For|(Stateful)?PartitionedCall|SymbolicGradient"
    r"|BatchFunction|MapDefun|Xla(Variadic)?(Reduce(V2|Window)?|Sort|Scatter|SelectAndScatter)"
)
# Reviewed: registered as stateful, and yet they keep values in memory, draw random numbers, or
# stop the run.
_IN_MEMORY = re.compile(
    r"VarHandleOp|ReadVariableOp|Assign(Add|Sub)?VariableOp|VarIsInitializedOp|Variable(V2|Shape)?"
    r"|TemporaryVariable|DestroyResourceOp|DisableCopyOnRead|IsResourceHandleRefCounting"
    r"|Resource(Gather|Scatter|Apply|SparseApply|StridedSlice|Count|Accumulator|Conditional)\w*"
    r"|(Anonymous)?(Mutable)?(Dense)?HashTable(OfTensors)?(V2)?|LookupTable\w+|InitializeTable(V2)?"
    r"|Random(Uniform(Int)?|StandardNormal|Shuffle|Crop|Gamma|Poisson(V2)?)|Multinomial"
    r"|(Parameterized)?TruncatedNormal|NonDeterministicInts|Rng(Skip|ReadAndSkip)"
    r"|Stateful(StandardNormal(V2)?|TruncatedNormal|Uniform(Int|FullInt)?|RandomBinomial)"
    r"|SampleDistortedBoundingBox(V2)?|StatelessRandomGetAlg|\w+CandidateSampler"
    r"|TensorArray\w+|TensorArray|TensorListResize|Stack(V2|\w+V2)?|(\w*FIFO|Priority|RandomShuffle)Queue(V2)?"
    r"|Queue\w+|Barrier|(Sparse)?ConditionalAccumulator|Mutex(V2|Lock)|ConsumeMutexLock"
    r"|(Add(Many)?SparseToTensors|TakeManySparseFromTensors)Map|Cudnn\w+|\w*BoostedTrees\w+"
    r"|Assert|CheckNumerics(V2)?|Print(V2)?|GuaranteeConst|DeepCopy|Empty|Timestamp|DeviceIndex"
    r"|_Arg|_Retval|IteratorGetNext"
)

ONLY_IF = {
    "PrintV2": ("output_stream", r"|stdout|stderr|log\((info|warning|error)\)"),
    "FixedUnigramCandidateSampler": ("vocab_file", ""),
    "DecodeProtoV2": ("descriptor_source", r"|(local|bytes)://.*"),
    "EncodeProto": ("descriptor_source", r"|(local|bytes)://.*"),
    "XlaCallModule": ("module", r"(?!.*custom_call).*"),
} | dict.fromkeys(
    ("DebugIdentity", "DebugIdentityV2", "DebugIdentityV3", "DebugNanCount", "DebugNumericSummary"),
    ("debug_urls", ""),
)
"""Ops that only compute if the text of an attribute is as given, which is a pattern."""


def reason_against(op: RegisteredOp) -> str | None:
    """Say why an op is not allowed; ``None`` if it is. This is the rule.

    1. Nothing that it takes is called after code, another process, a program or a file.
    2. Its name is none of those that say so, or that it has to do with datasets.
    3. If it calls functions, it is one that calls those of its own graph, here and now.
    4. If it is registered as stateful, it is one of the reviewed.
    """
    taken = {*op.arguments, *op.attributes}
    for reason, names in _TAKES.items():
        if any(re.fullmatch(names, name) for name in taken):
            return reason
    for reason, names in _NAMES.items():
        if re.fullmatch(names, op.name):
            return reason
    if _CALLS.fullmatch(op.name):
        return None
    if any(kind in {"func", "list(func)"} for kind in op.attributes.values()):
        return FUNCTION
    if op.is_stateful and not _IN_MEMORY.fullmatch(op.name):
        return EFFECT
    return None


@cache
def _known() -> dict[str, str]:
    """Return the reason against each op of the measured releases; empty for one that is allowed."""
    stored = json.loads(data_file(_FILE).read_text(encoding="utf-8"))
    return {
        name: reason
        for reason, lines in (("", stored["allowed"]), *stored["refused"].items())
        for line in lines
        for name in line.split()
    }


def is_known(op: str) -> bool:
    """Tell whether a measured release has an op of that name."""
    return op in _known()


def reason_against_name(op: str) -> str | None:
    """Say why an op is not allowed, from the stored list; ``None`` if it is."""
    return _known().get(op, UNKNOWN) or None


def ask_registry(python: str = sys.executable) -> tuple[str, list[RegisteredOp]]:
    """Return the version and the registry of another Python's TensorFlow."""
    import subprocess  # not above: reading a model needs none, and a browser has none

    done = subprocess.run([python, "-c", _ASK], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("OPS "):
            version, ops = json.loads(line.removeprefix("OPS "))
            return version, [RegisteredOp(*op) for op in ops]
    raise RuntimeError(f"{python}: {done.stderr.strip().splitlines()[-1:]}")


def ops_by_reason(registries: Iterable[Iterable[RegisteredOp]]) -> dict[str, list[str]]:
    """Return the ops of some registries by the reason against them; what one refuses stays so."""
    reasons: dict[str, str] = {}
    for registry in registries:
        for op in registry:
            reasons[op.name] = reasons.get(op.name) or reason_against(op) or ""
    found: dict[str, list[str]] = {}
    for name in sorted(reasons):
        found.setdefault(reasons[name], []).append(name)
    return found


def main(pythons: Sequence[str]) -> None:
    """Ask, judge, and write the file."""
    registries = dict(map(ask_registry, pythons or [sys.executable]))
    found = ops_by_reason(registries.values())
    lines = {reason: textwrap.wrap(" ".join(names), 96) for reason, names in found.items()}
    table = {
        "about": "ops of TensorFlow's registries, by the rule in facts/graph_ops.py",
        "measured": sorted(registries),
        "allowed": lines.pop(""),
        "refused": dict(sorted(lines.items())),
    }
    text = json.dumps(table, indent=1)
    data_file(_FILE).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
