"""Variables that became TensorFlow's own ops, which the interpreter does not link."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from varhandle.display import join_names, printable
from varhandle.facts.dtypes import DTYPES
from varhandle.families.base import Family, Finding, Reading
from varhandle.families.harness import Answers, Trace, case
from varhandle.families.log_index import LAST_RESORT, LogDiagnosis, MatchIndex, Ops, is_flex, role
from varhandle.families.log_patterns import Pattern
from varhandle.families.unsupported_variable_dtype import hold_in_supported_dtype
from varhandle.graph import Access, Variable

_GRADIENT = r"grad(?:v\d)?$|backprop"  # how an op of training ends: FlexReluGrad
_NODE = r"(?:.{0,560}?nodenumber\d{1,7}\((?P<op>flex\w{1,60})\))?"
_BECAME_FLEX = (
    "became Flex ops: the interpreter needs the Flex delegate, which the Python packages no longer"
    " have."
)


@case("float16-state-select-ops", "float16, assigned, SELECT_TF_OPS", drawn=True)
def float16_state_select_ops(trace: Trace) -> Answers:
    """Answer the VarHandleOp message with SELECT_TF_OPS."""
    ops = trace.tf.lite.OpsSet
    module = trace.running_total("float16")
    converter = trace.saved(module)
    converter.target_spec.supported_ops = [ops.TFLITE_BUILTINS, ops.SELECT_TF_OPS]
    return trace.compare(trace.convert(converter), module)


def _in_file(reading: Reading) -> Iterator[Finding]:
    def message(variables: Sequence[Variable]) -> str:
        typed = join_names(f"{printable(v.name)} ({printable(v.dtype)})" for v in variables)
        return f"{typed} {_BECAME_FLEX}"

    def fix(variables: Sequence[Variable]) -> str:
        again = (
            "# Convert again without SELECT_TF_OPS; until then its interpreter needs the Flex\n"
            "# delegate, which only your own build of TensorFlow Lite can have."
        )
        wide = [v for v in variables if v.dtype in DTYPES and not DTYPES[v.dtype].carried]
        return f"{again}\n{hold_in_supported_dtype(wide)}" if wide else again

    def trouble(variable: Variable) -> Sequence[Access]:
        return [a for a in (*variable.reads, *variable.assigns) if is_flex(a.op)]

    yield from FAMILY.in_variables(reading, trouble, message, fix)


def is_of_training(op: str) -> bool:
    """Tell whether an op works a gradient out."""
    return re.search(_GRADIENT, op.lower()) is not None


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    """Other ops may be Flex ops as well: those are ``flex-op-missing``."""
    refusals = index.of("flex")
    for line in refusals:
        op = line.get("op")
        if role(op) or is_of_training(op):
            what = "A variable" if role(op) else "A step of training"
            yield FAMILY.in_log(190, line, f"{what} {_BECAME_FLEX} The file has {op}.")
        elif not any(refusal.get("op") for refusal in refusals):
            message = (
                "Some ops of the file are TensorFlow's own, and this interpreter has no Flex"
                " delegate. Whether they are variables' ops, this line does not say."
            )
            yield FAMILY.in_log(LAST_RESORT, line, message)
    for line in index.of("flex-list"):
        names = join_names(op for op in line.ops if role(op))
        message = (
            f"The conversion went through, but the file holds {names}: they run only where the Flex"
            " delegate is linked, and today's interpreter will not load it."
        )
        yield FAMILY.in_log(200, line, message)
    for line in index.of("resource-list"):
        names = Ops([line]).names("handle", "read", "assign")
        if names:
            message = f"{names} went into the file as TensorFlow's own ops."
            yield FAMILY.in_log(LAST_RESORT, line, message)
    for line in index.of("custom"):
        if is_flex(line.get("op")):
            message = f"{line.get('op')} needs the Flex delegate, which this interpreter does not"
            yield FAMILY.in_log(190, line, f"{message} have.")
    flex = bool(index.of("flex", "flex-list", "resource-list"))
    for line in index.of("calibrator"):
        message = "If the variables became Flex ops, their subgraphs are refused as well."
        yield FAMILY.in_log(230 if flex else 250, line, message)


FAMILY = Family(
    id="flex-variable",
    order=30,
    what="It converts with SELECT_TF_OPS, and the interpreter will not load it.",
    cause="The variable became Flex ops, and the Python packages no longer link the Flex delegate.",
    fix=(
        "Convert with builtin ops only, and mend the dtype or the update that asked for Flex: the"
        " Python packages link no Flex delegate since 2.20. Where Flex must stay, the runtime has"
        " to bring it.\n\n"
        "converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]"
    ),
    cases=(float16_state_select_ops,),
    graph_rules={"tflite": _in_file},
    log_patterns=(
        *(
            Pattern("flex", phrase, reach=600, after=_NODE)
            for phrase in (
                "Regular TensorFlow ops are not supported by this interpreter",
                "Select TensorFlow op(s), included in the given model",
            )
        ),
        Pattern("flex", "failed to prepare", r"nodenumber\d{1,7}\((?P<op>flex\w{1,60})\)$"),
        Pattern("flex", "missing inputs", r"op'?(?P<op>flex\w{1,60})'?$"),
        Pattern("flex-list", "Flex ops:", items=True),
    ),
    log_rule=_in_log,
    refuted_by_running=True,
)
