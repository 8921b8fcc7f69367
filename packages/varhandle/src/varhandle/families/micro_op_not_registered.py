"""TensorFlow Lite Micro, whose resolver was not given an op of the file."""

from __future__ import annotations

from collections.abc import Iterator

from varhandle.families.base import Family
from varhandle.families.log_index import LogDiagnosis, MatchIndex, role
from varhandle.families.log_patterns import Match, Pattern


def is_unregistered(index: MatchIndex, line: Match) -> bool:
    """Tell whether it is a resolver of Micro's that misses the op of a line, no variable's.

    Micro asks for no version; releases of 2021 and before name one, and say the rest as well.
    """
    if role(line.get("op")):
        return False
    return bool(index.of("registration")) or not (
        line.get("version") or index.of("old-binary", "edge-tpu-compiler")
    )


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    for line in index.of("opcode", "registration"):
        op = (line.get("op") or line.get("name")).upper()
        if (line.kind == "opcode" and not is_unregistered(index, line)) or role(op):
            continue
        message = f"The op resolver of the program has no {op or 'op of this code'}."
        yield FAMILY.in_log(152, line, message, FAMILY.fix.replace("FullyConnected", _method(op)))
    for line in index.of("resolver-full"):
        message = "The op resolver is full: it was made for fewer ops than are added to it."
        yield FAMILY.in_log(153, line, message)


def _method(op: str) -> str:
    """Return how Micro calls an op in the method that adds it, such as ``Conv2D``."""
    parts = (part if part == "LSTM" else part.capitalize() for part in op.split("_"))
    return "".join(parts).replace("2d", "2D").replace("3d", "3D") or "FullyConnected"


FAMILY = Family(
    id="micro-op-not-registered",
    order=131,
    what="TensorFlow Lite Micro does not find an op that the file uses.",
    cause="A MicroMutableOpResolver has only the ops that the program adds to it.",
    fix=(
        "Add the op to the resolver, and count it in the number that the resolver is made for;"
        " where Micro has no such method, it has no such op, and the model has to do without.\n\n"
        "tflite::MicroMutableOpResolver<kOps> resolver;  // kOps: as many as you add\n"
        "resolver.AddFullyConnected();"
    ),
    log_patterns=(
        Pattern("resolver-full", "Couldn't register builtin op #"),
        Pattern("resolver-full", "Couldn't register custom op '", company=("resolver size",)),
    ),
    log_rule=_in_log,
    of_variables=False,
)
