"""Outputs that CompiledModel hands over without having written them, as LiteRT.js does silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from varhandle.display import join_names, printable
from varhandle.facts.targets import CUSTOM_OPS_OF_LITERT
from varhandle.families.base import Family, Finding, Reading
from varhandle.families.log_index import LogDiagnosis, MatchIndex
from varhandle.families.log_patterns import Pattern
from varhandle.graph import Function, Graph, TensorSpec


def unwritten_outputs(graph: Graph) -> tuple[str, ...]:
    """Say why LiteRT.js would answer a .tflite file with what happens to be in memory.

    A sentence for each reason; none where all is well. Measured with @litertjs/core 2.5.3, and with
    the CompiledModel of ai-edge-litert 2.3.0, which raises for an op that it does not have.
    """
    return (*_unresolved(graph), *_misplaced(graph))


def _unresolved(graph: Graph) -> Iterator[str]:
    custom = {node.op for node in graph.nodes if node.attributes.get("custom")}
    own = sorted(custom - CUSTOM_OPS_OF_LITERT)
    if own:
        yield (
            f"The file holds custom ops: {join_names(own)}. Where LiteRT.js has no kernel for such "
            "an op, run() does not say so: it prints a line on the browser's console, and answers "
            "with whatever is in memory."
        )


def _misplaced(graph: Graph) -> Iterator[str]:
    functions = {function.name: function for function in graph.functions}
    for signature in graph.signatures:
        for fault, fate in _faults(graph, functions[signature.function]):
            yield (
                f"Signature {printable(signature.name)} {fault}. CompiledModel, on which LiteRT.js "
                f"is built, {fate}; an interpreter does it right."
            )


_LEAVES = "leaves such an output unwritten, and its numbers are what was in memory"
_COMPUTES = "then computes with what was in memory, and not with the input"


def _faults(graph: Graph, function: Function) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the outputs of a function, and what becomes of them."""
    outputs = Counter(spec.name for spec in function.outputs)
    if through := [spec.name for spec in function.inputs if spec.name in outputs]:
        yield f"hands an input through as an output ({join_names(through)})", _COMPUTES
    if doubled := [name for name, times in outputs.items() if times > 1]:
        yield f"has one tensor as several outputs ({join_names(doubled)})", _LEAVES
    reads = {n.name: n.attributes.get("value") for n in function.nodes if n.op == "READ_VARIABLE"}
    made_while_it_runs = {
        node
        for node, value in reads.items()
        if isinstance(value, TensorSpec) and not value.shape and value.name in outputs
    }
    if returned := [
        variable.name
        for variable in graph.variables
        if any(a.function == function.name and a.node in made_while_it_runs for a in variable.reads)
    ]:
        yield f"returns {join_names(returned)} as it is read, a scalar", _LEAVES


_CHECK = """\
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter("model.tflite")
interpreter.allocate_tensors()  # raises what LiteRT.js only prints"""

_RETURN_ANOTHER = (
    "# Return a value that an op of the model makes, once and in a shape that is fixed: not the\n"
    "# input itself, not one value under two names, and what is assigned in place of what is read."
)


def _in_file(reading: Reading) -> Iterator[Finding]:
    for message in _unresolved(reading.graph):
        yield FAMILY.finding("warning", (), message, _CHECK)
    for message in _misplaced(reading.graph):
        yield FAMILY.finding("info", (), message, _RETURN_ANOTHER)


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    """Elsewhere the same lines stand beside an exception, and nobody gets an answer."""
    if index.of("raised"):
        return
    for line in index.of("unprepared"):
        message = (
            "LiteRT could not get the file ready. In a browser, run() of LiteRT.js resolves all "
            "the same: the numbers in its outputs are whatever was in memory."
        )
        yield FAMILY.in_log(500, line, message)
    for line in index.of("unwritten"):
        message = (
            "LiteRT cannot write an output where it is wanted. In a browser, run() of LiteRT.js "
            "resolves all the same, and that output is whatever was in memory."
        )
        yield FAMILY.in_log(180, line, message)


FAMILY = Family(
    id="unwritten-output",
    order=37,
    what="LiteRT.js answers without an error, and the numbers are whatever was in memory.",
    cause=(
        "run() resolves although an op has no kernel in the browser, or an output is no tensor of"
        " its own; only a line on the console tells."
    ),
    fix=(
        "Have an interpreter load the file before a browser gets it: it raises what LiteRT.js only"
        " prints. Convert with builtin ops only, and return no input and no value twice.\n\n"
        f"{_CHECK}"
    ),
    graph_rules={"tflite": _in_file},
    log_patterns=(
        Pattern(
            "unprepared",
            "Failed to allocate tensors",
            r"litert_compiled_model\.cc:\d{1,5}\]$",
        ),
        Pattern("unwritten", "Failed to set custom allocation for output tensor"),
        Pattern("unwritten", "Custom allocation is too small for tensor idx"),
        Pattern("raised", "CompiledModel error: code="),
        Pattern("raised", "LiteRtException:"),
    ),
    log_rule=_in_log,
    of_variables=False,
    of_the_file=True,
)
