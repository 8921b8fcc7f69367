"""A quantized file whose state has two dtypes, or stops changing."""

from __future__ import annotations

from collections.abc import Iterator

from varhandle.display import printable
from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading
from varhandle.families.harness import Answers, Trace, case
from varhandle.families.log_index import LogDiagnosis, MatchIndex, Meaning
from varhandle.families.log_patterns import Pattern
from varhandle.graph import Function, Node, TensorSpec, Variable

_ADDS = frozenset({"ADD", "SUB", "ADD_N"})
_CONVERSIONS = frozenset({"QUANTIZE", "DEQUANTIZE", "RESHAPE", "CAST"})


@case("int8-state", "float32 state, quantized to int8")
def int8_state(trace: Trace) -> Answers:
    """Quantize a running total, calibrated with two calls, and call it three times."""
    import numpy as np

    tf = trace.tf
    module = trace.running_total()
    converter = trace.saved(module)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = lambda: ([np.ones([4], np.float32)] for _ in range(2))
    trace.tolerance = 0.1  # eight bits
    return trace.compare(trace.convert(converter), module)


def _in_file(reading: Reading) -> Iterator[Finding]:
    for variable in reading.state:
        moved = _moved(reading, variable)
        dtypes = sorted({spec.dtype for _, _, spec in moved})
        name = printable(variable.name)
        if len(dtypes) > 1:
            places = " in one place and ".join(dtypes)
            message = f"{name} is {places} in another: the interpreter refuses to read it."
            yield FAMILY.finding("error", (variable.name,), message, _state_outside(reading))
        elif any(_adds_to_itself(reading, function, node) for function, node, _ in moved):
            message = (
                f"{name} is added to in 8 bits: a sum that grows stops at the largest value that "
                "calibration saw, and stays there."
            )
            yield FAMILY.finding("warning", (variable.name,), message, _state_outside(reading))


def _state_outside(reading: Reading) -> str:
    return code.lines(
        "# Keep the state in float32: convert without quantization, lift the state out, and",
        "# quantize that file with calls that carry the state:",
        code.lift_code(reading.graph.source, reading.signature),
    )


def _moved(reading: Reading, variable: Variable) -> list[tuple[Function, Node, TensorSpec]]:
    """Return the nodes that read or assign a variable, each with the value that it moves."""
    found = []
    for access in (*variable.reads, *variable.assigns):
        _, function, node = reading.nodes[access.function, access.node]
        value = node.attributes.get("value")
        if isinstance(value, TensorSpec):
            found.append((function, node, value))
    return found


def _adds_to_itself(reading: Reading, function: Function, assign: Node) -> bool:
    """Tell whether an assign stores what it read plus something, worked out in integers."""
    if assign.op != "ASSIGN_VARIABLE" or len(assign.sources) < 2:
        return False
    total, quantized = _through_conversions(reading, function, assign.sources[1])
    if total is None or total.op not in _ADDS:
        return False
    for source in total.sources:
        read, again = _through_conversions(reading, function, source)
        if read is not None and read.op == "READ_VARIABLE" and read.sources == assign.sources[:1]:
            value = read.attributes.get("value")
            narrow = isinstance(value, TensorSpec) and value.dtype in {"int8", "int16"}
            return quantized or again or narrow
    return False


def _through_conversions(
    reading: Reading, function: Function, name: str
) -> tuple[Node | None, bool]:
    """Return the node behind conversions, and whether one of them quantizes."""
    quantized = False
    for _ in range(4):
        _, _, node = reading.nodes.get((function.name, name), (0, function, None))
        if node is None or node.op not in _CONVERSIONS or not node.sources:
            return node, quantized
        quantized |= node.op in {"QUANTIZE", "DEQUANTIZE"}
        name = node.sources[0]
    return None, quantized


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    for line in index.of("state-type"):
        pair = [name for name in (line.get("dtype"), line.get("other")) if name]
        which = f": {pair[0]} and {pair[1]}" if len(pair) == 2 else ""
        message = f"A variable and what is read from it or written to it differ in dtype{which}."
        yield FAMILY.in_log(30, line, message)


_OF_A_RUNTIME = ("tflite", "interpreter")

FAMILY = Family(
    id="quantised-state",
    order=140,
    what="A quantized file refuses its own variable, or its state goes wrong.",
    cause=(
        "The state is float in one place and int8 in another, or saturates at a calibrated value."
    ),
    fix=(
        "Convert in float32, lift the state into inputs and outputs, and quantize the lifted file"
        " with calls that carry the state from one to the next.\n\n"
        "from varhandle import lift_state\n"
        "from varhandle.conversion.quantization import quantize_file\n"
        "\n"
        "lifted = lift_state(content)\n"
        "quantized = quantize_file(lifted.content, calls)"
    ),
    cases=(int8_state,),
    graph_rules={"tflite": _in_file},
    log_patterns=(
        Pattern(
            "state-type",
            "variable_tensor->type !=",
            after=r"\w{1,40}->type(?:\((?P<dtype>\w{1,20}?)!=(?P<other>\w{1,20}?)\))?",
        ),
        Pattern(
            "state-type",
            "variable and value dtypes don't match",
            company=_OF_A_RUNTIME,
            after=r";?(?:respectively,?"
            r"(?P<dtype>half|float|double|bfloat16|u?int\d{1,2}|q?u?int\d{1,2})"
            r"and(?P<other>half|float|double|bfloat16|q?u?int\d{1,2}))?",
        ),
        Pattern(
            "state-type",
            "Cannot compute Assign",
            company=_OF_A_RUNTIME,
            after=r"\w{0,12}variableopasinput.{0,60}?expectedtobean?(?P<dtype>\w{1,12})tensor"
            r"butisan?(?P<other>\w{1,12})tensor",
        ),
        Pattern("calibrator", "Only models with a single subgraph are supported"),
    ),
    log_meanings={
        "calibrator": Meaning(
            240,
            "The calibrator of this release takes one subgraph. Initializing a variable (CALL_ONCE)"
            " or a loop makes more, so a model with state cannot be calibrated.",
        ),
    },
    log_rule=_in_log,
    answers_wrongly=True,
    accumulates_state=True,
)
