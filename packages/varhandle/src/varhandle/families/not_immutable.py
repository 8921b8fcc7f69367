"""The importer of TensorFlow 2.3 to 2.6 (and 2.18), which refuses a variable that is written."""

from __future__ import annotations

import re
from collections.abc import Iterator

from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading
from varhandle.families.compatibility import refused_by_older_releases
from varhandle.families.harness import Answers, Trace, case
from varhandle.families.log_index import LOCATION, Meaning
from varhandle.families.log_patterns import Context, Pattern


@case("float32-state", "float32 variable, assigned", drawn=True)
def float32_state(trace: Trace) -> Answers:
    """Convert a running total kept in float32, with the converter's defaults."""
    return trace.convert_total("float32")


def _in_saved_model(reading: Reading) -> Iterator[Finding]:
    yield from refused_by_older_releases(reading, FAMILY.id, "is not immutable")


def _compilers_word(context: Context) -> bool:
    """Tell whether "is not immutable" is the MLIR importer's sentence, not somebody's prose."""
    return bool(
        context.after.startswith((",tryrunningtf-saved-model", ",tryremovingmutable"))
        or re.search(r"loc\(.{1,200}\):(?:error:)?$", context.before)
        or re.search(r"(?:>:\d+:|convert(?:er|ion)error:|^)error:$", context.before)
        or context.before.endswith("convertererror:")
    )


FAMILY = Family(
    id="not-immutable",
    order=90,
    what='The converter stops with "is not immutable"; seen from 2.3 to 2.6, and on 2.18.',
    cause="Its importer takes only variables that no signature ever assigns.",
    fix=(
        "Convert with TensorFlow 2.21, where a variable that is assigned becomes VAR_HANDLE; no"
        " flag is needed. On 2.6 to 2.8 set converter.experimental_enable_resource_variables ="
        f" True; from 2.9 to 2.18 do not set it to False.\n\n{code.OWNER}"
    ),
    cases=(float32_state,),
    graph_rules={"saved_model": _in_saved_model},
    log_patterns=(
        Pattern("immutable", "is not immutable", rf"{LOCATION}$", test=_compilers_word),
        # Alone on its line, or in a string that holds nothing else.
        Pattern(
            "immutable",
            "is not immutable",
            line=r"(?:.*[\v\"']|\W*)(?:error:\W*)?is not immutable(?:\W*?[\v\"'].*|\W*)",
        ),
        Pattern("immutable", "could not rewrite use of immutable bound input"),
    ),
    log_meanings={
        "immutable": Meaning(
            100,
            "{variable:A variable} is assigned, and this importer takes only variables that are"
            " never written.",
        ),
    },
    shown_by_releases=True,
)
