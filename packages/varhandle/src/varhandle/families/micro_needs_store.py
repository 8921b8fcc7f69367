"""TensorFlow Lite Micro, which must be given the variable ops and a store for the variables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from varhandle.display import join_names
from varhandle.facts.targets import MICRO_TARGET
from varhandle.families.base import Family, Finding, Reading, variable_names
from varhandle.families.log_index import LogDiagnosis, MatchIndex, role
from varhandle.families.log_patterns import OPS, Match, Pattern
from varhandle.tflite.runtime_support import refusals

_STORE = """\
auto* allocator = tflite::MicroAllocator::Create(arena, kArenaSize);
auto* variables = tflite::MicroResourceVariables::Create(allocator, kVariables);
tflite::MicroInterpreter interpreter(model, resolver, allocator, variables);"""


def _in_saved_model(reading: Reading) -> Iterator[Finding]:
    yield from _needs_store(variable_names(reading.kept_state), ())


def _in_file(reading: Reading) -> Iterator[Finding]:
    names = variable_names(reading.kept_by_file)
    yield from _needs_store(
        names, refusals(reading.graph, MICRO_TARGET, reading.file) if names else ()
    )


def _needs_store(names: tuple[str, ...], refusals: Sequence[str]) -> Iterator[Finding]:
    if not names:
        return
    needs = f"a variable store for {len(names)}, and its reset() sets"
    fate = f"needs {needs}"
    if refusals:
        fate = f"does not take the file ({'; '.join(refusals)}); it would also need {needs}"
    them = "it to zero, not to its first value"
    if len(names) > 1:
        them = "them to zero, not to their first values"
    message = f"{join_names(names)}: TensorFlow Lite Micro {fate} {them}."
    store = _STORE.replace("kArenaSize", "arena_size").replace("kVariables", str(len(names)))
    fix = f"// beside the interpreter, in C++:\n{store}"
    yield FAMILY.finding("info", names, message, fix)


def is_on_micro(index: MatchIndex, line: Match) -> bool:
    """Tell whether it is a microcontroller's resolver that misses the builtin of a line.

    Any other runtime that misses it is too old (``runtime-too-old``).
    """
    op = line.get("op").upper()
    alone = op == "CALL_ONCE" and not index.of("old-binary")
    return role(op) == "builtin" and (bool(index.of("store", "registration")) or alone)


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    missing = [line for line in index.of("opcode") if is_on_micro(index, line)]
    missing += [line for line in index.of("registration") if line.get("op")]
    for line in missing:
        op = line.get("op").upper()
        message = f"The op resolver of the program has no {op}, which the state needs."
        yield FAMILY.in_log(150, line, message)
    for line in index.of("store-full"):
        message = f"The store was made for {line.get('count')} variables, and the file has more."
        yield FAMILY.in_log(140, line, message)
    for line in index.of("store"):
        what = line.get("op").upper() or "A variable op"
        message = f"{what} keeps its value in a store that the program must create and hand over."
        yield FAMILY.in_log(140, line, message)


FAMILY = Family(
    id="micro-needs-store",
    order=130,
    what="TensorFlow Lite Micro refuses VAR_HANDLE or CALL_ONCE.",
    cause="The program has registered no such op, or has given the interpreter no variable store.",
    fix=(
        "Register the variable ops, and give the interpreter a store with room for each variable;"
        " or lift the state out of the file (varhandle lift model.tflite lifted.tflite).\n\n"
        "resolver.AddCallOnce();\n"
        "resolver.AddVarHandle();\n"
        "resolver.AddReadVariable();\n"
        f"resolver.AddAssignVariable();\n{_STORE}"
    ),
    graph_rules={"saved_model": _in_saved_model, "tflite": _in_file},
    log_patterns=(
        Pattern(
            "registration",
            "Failed to get registration from op code",
            after=rf"'?(?:(?P<op>{OPS})|(?P<name>[a-z0-9_]{{0,40}}))",
        ),
        Pattern(
            "store",
            "requires resource variables",
            r"(?P<op>(?:tfl_)?(?:var_handle|read_variable|assign_variable))$",
        ),
        Pattern("store", "Please create ResourceVariables"),
        Pattern("store-full", "Maximum resource variable count (", after=r"(?P<count>\d{1,9})\)"),
    ),
    log_rule=_in_log,
    of_the_file=True,
)
