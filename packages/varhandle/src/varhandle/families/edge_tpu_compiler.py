"""What the compiler of the Edge TPU leaves to the CPU, or does not compile."""

from __future__ import annotations

from varhandle.families.base import Family
from varhandle.families.full_integer_quantization import IN_FULL
from varhandle.families.log_index import Meaning
from varhandle.families.log_patterns import Pattern
from varhandle.families.runtime_too_old import for_edge_tpu

_COMPILER = (
    *("Edge TPU Compiler", "Mapped to Edge TPU", "run on Edge TPU", "supported by the Edge TPU"),
    *("edgetpu_compiler", "edgetpu.tflite"),
)
_SMALLER = (
    "Give the model a smaller input, such as half the height and width, and fewer channels in its"
    " first layers: the values between two ops have to fit into 8 MB beside the weights. The"
    " compiler's search for a first part that it can map, or a lower version of the Edge TPU"
    " runtime to compile for, may still give a file whose rest runs on the CPU."
)
_FIRST_PART = (
    "The answers are right as they are: what is not mapped runs on the CPU. The compiler maps one"
    " part, up to the first op that it does not take; all after it stays on the CPU, even what it"
    " knows. So replace that op, or move it behind the model, into the program. No variable is at"
    " fault."
)

FAMILY = Family(
    id="edge-tpu-compiler",
    order=205,
    what="The compiler of the Edge TPU stops, or leaves ops to the CPU.",
    cause="An Edge TPU has few ops, int8 alone, fixed sizes and 8 MB of memory.",
    fix=_FIRST_PART,
    log_patterns=(
        Pattern(
            "edge-too-large",
            "due to large activation tensors",
            reach=1500,
            company=(*_COMPILER, "Compilation failed"),
        ),
        *(
            Pattern("edge-first-part", phrase, reach=3000, company=_COMPILER)
            for phrase in (
                "More than one subgraph is not supported",
                "Operation is otherwise supported, but not mapped due to some unspecified",
                "Operation not supported",
                "Operation version not supported",
                "Tensor has unsupported rank",
            )
        ),
        Pattern(
            "edge-data-type",
            "Operation is working on an unsupported data type",
            reach=3000,
            company=_COMPILER,
        ),
        Pattern("edge-some", "but not all operations are supported by the Edge TPU"),
        Pattern("edge-inside", "Internal compiler error. Aborting!", reach=1500, company=_COMPILER),
    ),
    log_meanings={
        "edge-too-large": Meaning(
            121, "The values between two ops of the model are too large for the Edge TPU.", _SMALLER
        ),
        "edge-data-type": Meaning(
            126,
            "The Edge TPU takes int8 alone, and ops of the model work on another dtype.",
            IN_FULL,
        ),
        "edge-first-part": Meaning(
            127, "The Edge TPU does not take an op of the model, and the CPU runs the rest."
        ),
        "edge-some": Meaning(128, "The Edge TPU runs a part of the model, and the CPU the rest."),
        "edge-inside": Meaning(
            129,
            "The compiler of the Edge TPU died, and names no op.",
            for_edge_tpu("2.9"),
        ),
    },
    of_variables=False,
)
