"""A file whose ops or tensor types another runtime does not know."""

from __future__ import annotations

from collections.abc import Iterator

from varhandle.display import join_names
from varhandle.facts.releases import WHEELS, minor
from varhandle.facts.targets import measured_runtimes, ops_of
from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading, named, variable_names
from varhandle.families.compatibility import takers, without_variables
from varhandle.families.harness import Answers, Trace, case
from varhandle.families.log_index import LogDiagnosis, MatchIndex, Meaning, role
from varhandle.families.log_patterns import Context, Pattern
from varhandle.families.micro_needs_store import is_on_micro
from varhandle.families.micro_op_not_registered import is_unregistered

_BUILTINS = {"129": "CALL_ONCE", "142": "VAR_HANDLE", "143": "READ_VARIABLE"}
_BUILTINS["144"] = "ASSIGN_VARIABLE"


@case("newer-file", "stateful file of 2.21, run here")
def newer_file(trace: Trace) -> Answers:
    """Run a file that TensorFlow 2.21 made out of a float32 running total."""
    import base64
    import zlib

    # What TensorFlow 2.21 makes of ``float32-state``: a .tflite file, compressed, as text.
    content = (
        "eNqNVL9rU1EUPi99SWMbY6AlRsmQwcFBQhq1iLiUWqHSX6Shg0t8ktf2wWtS0pfSQfyxOUjt0NHJSUWkYIcKHTo4"
        "OAgqdOzo4B9QXNQ+v3PfeS+3KQUvfOTknHPPuef77n15Iqrembg6SAXKU44GKUMp+JJkwib4iJ4A34Adg+gzI07U"
        "g/8wkUW0+sf3U5J7CzgHrNitVaexUKvb81bb9aLcGeSaYieBZttbbnu1Emn1LkoO/18DYsAViW0gdkbsAWB0empu"
        "rDI7Pj1VmxyrjtweqY7QNnKSWs6S06i12g3PWbJrq3ZrxWk2qA/+H8ABsA98AT4Bu8BLYBPwpMZbOc99IEPBSlJa"
        "cZQU3yXlTShfQvbxSkWcmorXjwdvPny//rVqyFym2kVULpaHimAh+zfolVG+4WKJOuv5b98f1uLd6x3iW8A2sAPs"
        "AnsA6zE5MV4pjDYbmN+z60XVu2AE/X8d+X6o9TMNHJtqTi+TnPWy+OaPAr1T2pwx0YvXPanH8rJuJYlNHAW68Nnj"
        "zG/Ts1zt/IZWg7S6N6TPXczOKVyb0RuknGX7NTRKhDXLQaAs+RnpmZB9+3ruUOfeETQN1WId05LPvCwiyQWWhbMl"
        "y2mQ1GQe91gfnlHjad0PeMpo/JjanO/903nk9/XKj3jsz8hZ2L+JucKcmCBYfdHZ+6Su3jt2jOPOrP0ya140uyac"
        "G+qep6J7/v/apSmrcju1c0FgIRfZnbdidNUxNR/3yhvB9+eh8MvxtH9c27jwvoU7dgG/s57l2fNtd8ZqeY6HF2/X"
        "Ry3XvVnSelS6aoTv6hA1mFurXo9yH3Xl9ghfBfh5vopt1eeslmM9cG1+MZ07lVXf1fOiTLB6FT/6XY5pd9lDzZMc"
        "Z5VedEqd8Fzct8DfatQYOPkdrq2BgfBsceGzJHty4t/H3o2g7mOTTOX7Cd8L8R3CXhc7pTQmtZPv21Px/wPA+PRo"
    )
    file = zlib.decompress(base64.b64decode(content))
    return trace.compare(file, trace.running_total())


def _in_saved_model(reading: Reading) -> Iterator[Finding]:
    names = variable_names(reading.kept_state)
    if names:
        stays = f"{join_names(names)} {'stays a variable' if len(names) == 1 else 'stay variables'}"
        message = (
            f"{stays} of the file: {without_variables()}, have no ops on variables and refuse it."
        )
        fix = code.lift_code(reading.graph.source, reading.signature)
        yield FAMILY.finding("info", names, message, fix)


def _in_file(reading: Reading) -> Iterator[Finding]:
    names = variable_names(reading.kept_by_file)
    if names:
        fix = code.lift_code(reading.graph.source, reading.signature)
        message = f"{named(names)} kept by the file: {takers(reading)}."
        yield FAMILY.finding("info", names, message, fix)


_OTHER_OP = (
    "Bring the runtime up to date (on Android, com.google.ai.edge.litert:litert in the place of"
    " org.tensorflow:tensorflow-lite), or convert with the release of TensorFlow that it was made"
    " with. No variable is at fault.\n\n"
    "pip install --upgrade ai-edge-litert"
)


def for_edge_tpu(release: str) -> str:
    """Say what the compiler of the Edge TPU takes: a file of a TensorFlow before a release."""
    python = max(last for other, (_, last) in WHEELS.items() if other < minor(release))
    return (
        "The compiler of the Edge TPU is no longer developed, so a newer runtime cannot help:"
        f" convert the model with a TensorFlow before {release} (Python 3.{python} or older),"
        " quantized in full, and compile that file. No variable is at fault.\n\n"
        f'pip install "tensorflow<{release}" "protobuf<3.21" "numpy<2"'
    )


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    for line in index.of("builtin-code"):
        which = _BUILTINS.get(line.get("code"), "")
        op = f"op {line.get('code')}{f', {which}' if which else ''}"
        message = f"The file uses {op}, which this runtime has never heard of."
        yield FAMILY.in_log(160, line, message, None if which else _OTHER_OP)
    for line in index.of("opcode"):
        op = line.get("op").upper()
        variable = role(op) == "builtin"
        if is_on_micro(index, line) or is_unregistered(index, line):
            continue
        number = int(line.get("version") or 0)
        version = f" version {number}" if number else ""
        message = f"The file uses {op}{version}, which this runtime does not have."
        since = _first_with(op, number)
        if since:
            message += f" TensorFlow Lite has it from {since} on."
        if not (variable or index.of("old-binary", "edge-tpu-compiler")):
            message += " On a microcontroller it means that the resolver was not given the op."
        fix = None if variable else _OTHER_OP
        if index.of("edge-tpu-compiler"):
            fix = for_edge_tpu(since or "2.9")
        yield FAMILY.in_log(160, line, message, fix)


def _first_with(op: str, version: int) -> str:
    """Return the first measured release of TensorFlow Lite with a version of an op."""
    spans = ((release, ops_of(release).get(op)) for release in measured_runtimes())
    return next((r for r, span in spans if span and version and span[1] >= version), "")


def _no_more_figures(context: Context) -> bool:
    return not context.after[:1].isdigit()


FAMILY = Family(
    id="runtime-too-old",
    order=120,
    what="The file converts, and another runtime does not know its ops or its tensor type.",
    cause="VAR_HANDLE, READ_VARIABLE and ASSIGN_VARIABLE came with TensorFlow 2.6.",
    fix=(
        "Bring the runtime up to date (on Android, com.google.ai.edge.litert:litert in the place of"
        " org.tensorflow:tensorflow-lite), or take the variables out of the file, so that any"
        " runtime can carry the state.\n\n"
        "pip install --upgrade ai-edge-litert\n"
        "varhandle lift model.tflite lifted.tflite"
    ),
    cases=(newer_file,),
    graph_rules={"saved_model": _in_saved_model, "tflite": _in_file},
    log_patterns=(
        Pattern("builtin-code", "Op builtin_code out o", after=r"[fr]range:(?P<code>\d{1,4})"),
        Pattern(
            "opcode",
            "find op for builtin opcode",
            r"(?:didn't|didnot|couldn't|couldnot)$",
            after=r"'?(?P<op>[a-z0-9_]{1,60}?)'?(?:version'?(?P<version>\d{1,4}))?"
            r"(?:'|\.|failed|anolder|registration|$)",
        ),
        Pattern("old-binary", "old TFLite binary"),
        Pattern("old-binary", "Registration failed."),
        *(
            Pattern("tensor-type", phrase, test=_no_more_figures)
            for phrase in (
                *("Element type (13)", "Element type 13", "TensorType 13", "TensorType (13)"),
                *("Unsupported data type 13", "Unsupported tensor type 13"),
            )
        ),
        Pattern("edge-tpu-compiler", "Edge TPU Compiler version"),
        Pattern("edge-unparsed", "Model could not be parsed", company=("edge tpu compiler",)),
        Pattern("other-type", "Unsupported data type", after=r"(?!13\D)(?P<type>\d{1,3})intensor"),
        Pattern("variable-tensor", "Variable tensors not yet supported"),
    ),
    log_meanings={
        "tensor-type": Meaning(
            160, "The file has tensors of type 13, RESOURCE, which this runtime cannot read."
        ),
        "other-type": Meaning(
            160, "The file has tensors of type {type:}, which this runtime cannot read.", _OTHER_OP
        ),
        "edge-unparsed": Meaning(
            170,
            "The compiler of the Edge TPU cannot read the file.",
            for_edge_tpu("2.9"),
        ),
        "variable-tensor": Meaning(
            160, "The file keeps state in variable tensors, which this loader does not take."
        ),
    },
    log_rule=_in_log,
    of_the_file=True,
)
