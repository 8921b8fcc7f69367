"""TensorFlow's own ops in a file, none of a variable, that the interpreter does not link."""

from __future__ import annotations

from collections.abc import Iterator

from varhandle.display import join_names
from varhandle.families.base import Family
from varhandle.families.flex_variable import is_of_training
from varhandle.families.log_index import LogDiagnosis, MatchIndex, is_flex, role
from varhandle.families.log_patterns import Pattern
from varhandle.tflite.runtime_support import NO_FLEX


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    refused = [
        (op, line)
        for line in index.of("flex", "custom-op")
        for op in (line.get("op") or line.get("name"),)
        if is_flex(op) and not role(op) and not is_of_training(op)
    ]
    if refused:
        names = join_names(op for op, _ in refused)
        yield FAMILY.in_log(198, refused[0][1], NO_FLEX.format(names))
    for line in index.of("flex-names") if not index.of("flex-list") else ():
        if not role(line.get("name")):
            message = (
                f"The conversion went through, but the file holds {line.get('name')}, an op of"
                " TensorFlow itself: it runs only where the Flex delegate is linked."
            )
            yield FAMILY.in_log(205, line, message)


FAMILY = Family(
    id="flex-op-missing",
    order=35,
    what="It converts with SELECT_TF_OPS, and an interpreter without Flex refuses the file.",
    cause="SELECT_TF_OPS keeps TensorFlow's own ops in the file, which need the Flex delegate.",
    fix=(
        "Convert with builtin ops only, and write what the converter then names with others. Where"
        " Flex must stay, the runtime has to bring it: org.tensorflow:tensorflow-lite-select-tf-ops"
        " on Android, the pod TensorFlowLiteSelectTfOps on iOS; the Python packages link no Flex"
        " delegate since 2.20.\n\n"
        "converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]"
    ),
    older=(
        (
            "2.8",
            "the tensorflow package from 2.9 to 2.19 has been seen to run such a file in"
            " tf.lite.Interpreter; tflite-runtime has never had Flex.",
        ),
        (
            "2.19",
            "the tensorflow package up to 2.19 links Flex into tf.lite.Interpreter, so the file"
            " runs there; tflite-runtime has never had it.",
        ),
    ),
    log_patterns=(Pattern("flex-names", "Flex ops:", after=r"(?P<name>flex\w{1,60})"),),
    log_rule=_in_log,
    of_variables=False,
)
