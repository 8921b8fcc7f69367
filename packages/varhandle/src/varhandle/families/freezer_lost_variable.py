"""A read that the freezer cannot follow back to its variable."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from varhandle.display import join_names
from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading, named, variable_names
from varhandle.families.compatibility import failing_releases, works_from
from varhandle.families.frozen_but_assigned import is_read
from varhandle.families.frozen_graph_def import change_nodes, constant_handles
from varhandle.families.gather_from_frozen_table import names_a_lookup
from varhandle.families.harness import Answers, Trace, case, script_part
from varhandle.families.log_index import LogDiagnosis, MatchIndex, Meaning
from varhandle.families.log_patterns import WORD, Context, Match, Pattern, quoted
from varhandle.graph import Graph
from varhandle.graph.signature_inference import placeholders, sinks


@script_part
def conditional_module(trace: Trace) -> Any:
    """Return a module that reads its variable in a branch."""
    tf = trace.tf

    def step(self: Any, x: Any) -> Any:
        return tf.cond(x[0] > 1.5, lambda: self.weight * x, lambda: x)

    return trace.module(step, weight=[1.0, 2.0, 3.0, 4.0])


@case("cond-read", "variable read inside tf.cond")
def cond_read(trace: Trace) -> Answers:
    """Convert a read inside a branch, through a SavedModel."""
    return trace.convert_saved(conditional_module(trace))


@case("cond-read-concrete-function", "variable read inside tf.cond, frozen")
def cond_read_concrete_function(trace: Trace) -> Answers:
    """Convert a read inside a branch, from a concrete function, which is frozen first."""
    module = conditional_module(trace)
    return trace.convert_function(module.__call__, module)


def _in_saved_model(reading: Reading) -> Iterator[Finding]:
    """A variable that a branch of ``tf.cond`` reads: older releases do not follow the handle."""
    conditions = (n for n in reading.reached_nodes if n.op in {"If", "StatelessIf"})
    called = {call for condition in conditions for call in condition.calls}
    branches = {function.name for function in reading.graph.reachable(*called)}
    names = variable_names(
        variable
        for variable in reading.graph.variables
        if any(a.function in branches for a in reading.reachable(variable.reads))
        and not reading.reachable(variable.assigns)
    )
    if names and reading.signature is not None:
        message = (
            f"{named(names)} read in a branch of tf.cond: TensorFlow "
            f"{failing_releases(cond_read.id)} do not convert that from a SavedModel."
        )
        since = works_from(cond_read.id)
        fix = code.convert_here(reading.graph, reading.signature, since)
        yield FAMILY.finding("info", names, message, fix)


def _in_graph_def(reading: Reading) -> Iterator[Finding]:
    """Reads that ``convert_variables_to_constants`` cannot follow, or has left on a constant."""
    main = reading.graph.functions[0].name
    hidden = [
        (v.name, access.function)
        for v in reading.graph.variables
        for access in v.reads
        if access.function != main
    ]
    if hidden:
        lost = tuple(sorted({name for name, _ in hidden}))
        functions = sorted({function for _, function in hidden})
        message = (
            f"{named(lost)} read inside {join_names(functions)}, through an argument: the TF1 "
            'freezer answers "Cannot find the Placeholder op that is an input to the '
            'ReadVariableOp".'
        )
        yield FAMILY.finding("warning", lost, message, _save_from_session(reading.graph))
    reads = frozenset({"ReadVariableOp"})
    yield from constant_handles(reading, FAMILY.id, reads.__contains__, _identity_of_constant)


def _save_from_session(graph: Graph) -> str:
    """Only TensorFlow 2's freezer follows reads in functions."""
    count = len(graph.variables)
    tensors = "{{name: session.graph.get_tensor_by_name(name + ':0') for name in {!r}}}"
    return code.with_tensorflow(
        "# Save a SavedModel from the session, and convert that: its importer follows the calls.",
        "tf1 = tf.compat.v1",
        f"inputs = {tensors.format(list(placeholders(graph)))}",
        f"outputs = {tensors.format(list(sinks(graph)))}",
        f'tf1.saved_model.simple_save(session, "saved", inputs, outputs)  # with {count} '
        f"variable{'' if count == 1 else 's'}",
        'converter = tf.lite.TFLiteConverter.from_saved_model("saved")',
        'open("model.tflite", "wb").write(converter.convert())',
    )


def _identity_of_constant(graph: Graph, nodes: Sequence[str]) -> str:
    change = (
        '        dtype = node.attr["dtype"].type',
        "        node.attr.clear()",
        '        node.op, node.attr["T"].type = "Identity", dtype',
    )
    return change_nodes(graph, nodes, change)


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    refused, ops = index.refused, index.not_imported
    if index.only_reads_refused and not refused.has("handle") and not index.unsupported_dtypes:
        yield _lost(refused.first("read"))
    if ops.has("read") and not ops.has("reference", "handle", "assign", "update"):
        yield _lost(ops.first("read"))
    for line in index.of("expects"):
        node = line.get("node").strip(".")
        if is_read(node):
            message = (
                f"{quoted(node, 'A node')} is a read: it was given the frozen value in place of the"
                " variable's handle, through a loop or a branch. Nothing is assigned."
            )
            yield FAMILY.in_log(90, line, message)
    for line in index.of("placeholder"):
        if not names_a_lookup(line.get("node")):
            yield _lost(line)
    for line in index.of("freezer"):
        yield _lost(line)


def _lost(line: Match) -> LogDiagnosis:
    node = line.get("node")
    message = (
        f"The read{f' {node!r}' if node else ''} could not be followed back to its variable,"
        " so it was not made a constant."
    )
    return FAMILY.in_log(120, line, message)


def _is_variable_placeholder(context: Context) -> bool:
    return bool(re.search(r"placeholder[\w/]{0,120}[/_]resource(?:_\d+)?$", context.before))


FAMILY = Family(
    id="freezer-lost-variable",
    order=70,
    what="The freezer stops at a ReadVariableOp whose variable it cannot find.",
    cause=(
        "The read goes through a function argument or a branch, where the freezer does not follow."
    ),
    fix=(
        "Convert from a SavedModel with its signature, on a release from 2.9 on: the converter then"
        " follows the reads itself, and no freezer comes before it.\n\n"
        "tf.saved_model.save(module, folder, signatures=module.__call__)\n"
        "converter = tf.lite.TFLiteConverter.from_saved_model(\n"
        '    folder, signature_keys=["serving_default"], tags=["serve"]\n'
        ")"
    ),
    older=(
        (
            "2.1",
            "read the variable before the loop or the branch (value = variable.read_value()), and"
            " use that inside; or build the graph that you freeze with use_resource=False.",
        ),
        (
            "2.8",
            "read the variable before the loop or the branch (value = variable.read_value()), and"
            " use that inside.",
        ),
    ),
    cases=(cond_read, cond_read_concrete_function),
    graph_rules={"saved_model": _in_saved_model, "graph_def": _in_graph_def},
    log_patterns=(
        *(
            Pattern(
                "placeholder",
                f"should be {written} by input_arrays",
                rf"placeholder(?P<node>{WORD}{{1,250}})$",
                test=_is_variable_placeholder,
            )
            for written in ("specied", "specified")
        ),
        Pattern("freezer", "Cannot find the Placeholder op that is an input to"),
        Pattern("freezer", "Cannot find the variable that is an input to"),
        Pattern(
            "freezer",
            ":value:0 is not found",
            r"(?<![\w/])(?P<node>[\w/]{0,200}readvariableop(?:_\d+)?)$",
        ),
        Pattern(
            "freezer",
            "KeyError:",
            r"convert_to_constants\.py.{0,300}$",
            after=r"'(?P<node>[^']{1,250})'",
            word=True,
        ),
        # Where it fills a table, it is other-resource's.
        Pattern(
            "init-node",
            "doesn't exist in graph",
            rf"initnode(?P<node>{WORD}{{1,250}})$",
            test=lambda context: not context.before.endswith("table_init"),
        ),
    ),
    log_meanings={
        "init-node": Meaning(
            260,
            "Grappler dropped the initializer {node:of a variable}. The conversion goes on after"
            " this line: if a .tflite was written, compare its answers.",
        ),
    },
    log_rule=_in_log,
)
