"""The one sentence for every failure that TensorFlow 2.7 to 2.18 could not name."""

from __future__ import annotations

from collections.abc import Iterator

from varhandle.display import join_names
from varhandle.families.base import Family, Finding, Reading
from varhandle.families.compatibility import refused_by_older_releases
from varhandle.families.harness import Answers, Trace, case
from varhandle.families.log_index import LogDiagnosis, MatchIndex, role
from varhandle.families.log_patterns import Pattern

_ANSWER = "Variable constant folding is failed"


@case("float32-state-flag-off", "float32, assigned, resource variables off", drawn=True)
def float32_state_flag_off(trace: Trace) -> Answers:
    """Convert a float32 running total with resource variables switched off."""
    return trace.convert_total("float32", experimental_enable_resource_variables=False)


def _in_saved_model(reading: Reading) -> Iterator[Finding]:
    yield from refused_by_older_releases(reading, FAMILY.id, _ANSWER)


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    others = [line.get("op") for line in index.of("legalize", "refused") if line.get("op")]
    unrelated = join_names(op for op in others if not role(op))
    echo = ""
    if index.of("operand"):
        echo = "the rest of the line names a variable's dtype"
    elif index.of("immutable"):
        echo = "another line names the variable that is assigned"
    elif any(map(role, others)):
        echo = f"the cause is {join_names(op for op in others if role(op))}"
    for line in index.of("folding"):
        if echo:
            fix = "Mend what is named there; this sentence goes with it."
            yield FAMILY.in_log(210, line, f"The sentence is an echo: {echo}.", fix)
        elif unrelated:
            message = f"The sentence misleads: no variable is at fault, but {unrelated}."
            fix = f"Replace {unrelated} by ops that have builtins. The flag changes nothing here."
            yield FAMILY.in_log(210, line, message, fix)
        else:
            message = (
                "The converter could not make constants of all variables, and says this whatever"
                " the cause: a variable that is assigned, its dtype, or another op altogether."
            )
            yield FAMILY.in_log(210, line, message)


FAMILY = Family(
    id="constant-folding-failed",
    order=100,
    what='Releases from 2.7 to 2.18 stop with "Variable constant folding is failed".',
    cause="One sentence stands for many causes; the rest of the line names the one that it was.",
    fix=(
        "Read the rest of the line, and the lines after it: they name the cause. Then convert with"
        " TensorFlow 2.21, which keeps assigned variables and names what it refuses. On 2.7 and 2.8"
        " the flag helps where the state is float32:\n\n"
        "converter.experimental_enable_resource_variables = True  # the default from 2.9 on"
    ),
    cases=(float32_state_flag_off,),
    graph_rules={"saved_model": _in_saved_model},
    log_patterns=(
        Pattern("folding", _ANSWER),
        Pattern("folding", "Variable constant folding failed"),
    ),
    log_rule=_in_log,
)
