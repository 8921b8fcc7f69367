"""A delegate that does not load, or does not take the model."""

from __future__ import annotations

from collections.abc import Iterator

from varhandle.families.base import Family
from varhandle.families.log_index import LogDiagnosis, MatchIndex, Meaning
from varhandle.families.log_patterns import Pattern

_FAILED = (
    "Failed to load delegate from",
    "Failed to apply delegate",
    "Failed to apply the default TensorFlow Lite delegate",
    "Error applying delegate",
    "Error in applying the default TensorFlow Lite delegate",
    "Hexagon Delegate is not supported",
    "ModifyGraphWithDelegate is disallowed when graph is immutable",
    "Restored original execution plan after delegate application failure",
    "Can not open OpenCL library on this device",
    "TfLiteGpuDelegate Init:",
    "TfLiteGpuDelegate Prepare:",
    "TfLiteGpuDelegate Invoke:",
    "Failed to initialize WebGPU environment",
    "apply_plugin failed to apply plugin",
    "Failed to fetch Hexagon NN version",
    "failed to create XNNPACK",
    "failed to setup XNNPACK runtime",
    "failed to invoke XNNPACK runtime",
)


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    for line in () if index.not_imported.has("builtin") else index.of("delegate-ops"):
        message = (
            f"The GPU delegate does not take {line.get('name')}: the interpreter runs it on the"
            " CPU, which costs time and no answer. No variable is at fault."
        )
        fix = (
            "To have all of it on the GPU, replace what the lines after this one name. Else nothing"
            " is to be done."
        )
        yield FAMILY.in_log(165, line, message, fix)


FAMILY = Family(
    id="delegate-refused",
    order=200,
    what="A delegate (GPU, NNAPI, Edge TPU, XNNPACK) does not load, or does not take an op.",
    cause="A delegate has fewer ops, dtypes and shapes than the interpreter that it speeds up.",
    fix=(
        "Run the file without the delegate first: if that works, the file is sound, and only the"
        " delegate is in question. What it does not take runs on the CPU; a delegate that does not"
        " load needs its driver or library of the same release as the runtime.\n\n"
        "from ai_edge_litert.interpreter import Interpreter, OpResolverType\n"
        "interpreter = Interpreter(\n"
        "    path, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES\n"
        ")"
    ),
    log_patterns=(
        *(Pattern("delegate-failed", phrase) for phrase in _FAILED),
        Pattern("delegate-failed", "NN API returned error", after=r"(?P<name>\w{1,60})?"),
        Pattern(  # Flex is a delegate as well, and another family's
            "delegate-failed",
            "failed to ",
            r"nodenumber\d{1,7}\((?!tfliteflex)\w{0,40}delegate\w{0,20}\)$",
            after="(?:prepare|invoke)",
        ),
        Pattern("delegate-failed", "'Delegate' object has no attribute '_library'"),
        Pattern("delegate-failed", "Some ops are not accelerated. Add kLiteRtHwAcceleratorCpu"),
        *(
            Pattern(
                "delegate-ops",
                f"{word} operations are not supported by GPU delegate",
                after=r":(?P<name>[a-z0-9_]{1,60}):",
            )
            for word in ("Following", "Next")
        ),
    ),
    log_meanings={
        "delegate-failed": Meaning(
            159, "A delegate did not load, or did not take the model. No variable is at fault."
        ),
    },
    log_rule=_in_log,
    of_variables=False,
)
