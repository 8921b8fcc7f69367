"""A custom op in a file, for which the runtime was given no kernel."""

from __future__ import annotations

from collections.abc import Iterator

from varhandle.families.base import Family
from varhandle.families.delegate_refused import FAMILY as DELEGATE_REFUSED
from varhandle.families.log_index import LogDiagnosis, MatchIndex, is_flex, role
from varhandle.families.log_patterns import Pattern
from varhandle.tflite.runtime_support import NO_KERNEL

_TEXT = (
    "It is an op of tensorflow_text: register its kernels.\n\n"
    "from tensorflow.lite.python import interpreter\n"
    "import tensorflow_text\n"
    "ops = tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS\n"
    "interpreter.InterpreterWithCustomOps(model_path=path, custom_op_registerers=ops)"
)
_ACCELERATORS = {
    "edgetpu-custom-op": (
        "The file was compiled for the Edge TPU: load its delegate, or run the .tflite file that it"
        " was compiled from.\n\n"
        "from ai_edge_litert.interpreter import Interpreter, load_delegate\n"
        'interpreter = Interpreter(path, experimental_delegates=[load_delegate("libedgetpu.so.1")])'
    ),
    "ethos-u": (
        "The file was compiled by Vela for an Ethos-U: it runs in TensorFlow Lite Micro on that"
        " processor (resolver.AddEthosU()); elsewhere run the .tflite file that it was compiled"
        " from."
    ),
    "dispatch_op": (
        "The file was compiled ahead for an NPU: it runs with CompiledModel and the dispatch"
        " library of that NPU; elsewhere run the .tflite file that it was compiled from."
    ),
}


_NAME = r"[\w\-:>]{1,80}"
"""What an op is called: those of tensorflow_text begin with ``TFText>``."""


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    for line in index.of("custom-op"):
        op = line.get("name")
        if is_flex(op) or role(op):
            continue
        compiled = _ACCELERATORS.get(op.lower())
        if compiled:
            message = f"{op} stands for a part of the model that was compiled for an accelerator."
            yield DELEGATE_REFUSED.in_log(157, line, message, compiled)
            continue
        text = any(part in op.lower() for part in ("tokenize", "ngram", "sentencepiece"))
        message = NO_KERNEL.format(op or "Unnamed")
        yield FAMILY.in_log(158, line, message, _TEXT if text else None)


FAMILY = Family(
    id="custom-op-missing",
    order=36,
    what="An interpreter answers that it has met an unresolved custom op.",
    cause="allow_custom_ops keeps an op by its name alone, and the program registered no kernel.",
    fix=(
        "Convert again without allow_custom_ops: the error that it hid names what the converter has"
        " no builtin for. Where you have a kernel for the op, register it: in C++"
        " resolver.AddCustom(name, registration), in Python the custom_op_registerers of"
        " InterpreterWithCustomOps. No variable is at fault.\n\n"
        "converter.allow_custom_ops = False"
    ),
    log_patterns=(
        Pattern("custom-op", "Encountered unresolved custom op:", after=rf"(?P<name>{_NAME})?"),
        Pattern("custom-op", "find custom op for name", after=rf"'?(?P<name>{_NAME})"),
        Pattern(
            "custom-op",
            ") failed to prepare",
            r"nodenumber\d{1,7}\((?P<name>edgetpu-custom-op|ethos-u|dispatch_op)$",
        ),
        Pattern("custom-op", "There are unresolved custom ops:", after=rf"\[(?P<name>{_NAME})"),
        Pattern("custom-op", "Encountered an unresolved custom op"),
    ),
    log_rule=_in_log,
    of_variables=False,
)  # fmt: skip
