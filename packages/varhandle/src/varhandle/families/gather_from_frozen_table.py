"""An embedding that is looked up from a table's handle, where the table's value is a constant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading, advised_cure, named, variable_names
from varhandle.families.frozen_graph_def import change_nodes, constant_handles
from varhandle.families.harness import Answers, Trace, case, script_part
from varhandle.families.log_index import LogDiagnosis, MatchIndex, Meaning, custom_op
from varhandle.families.log_patterns import Pattern, quoted
from varhandle.graph import Access, Graph, Variable

_CALL = r"partitionedcall(?:_\d+)?$"
_ASSIGN = r"assign|apply|scatter|update"
_LOOKUP = (
    r"(?:embedding_?lookup(?:_sparse)?|gather(?:nd|v2)?)"
    r"(?:_\d+)?(?:[/_]resource(?:_\d+)?)?(?::\d+)?$"
)


@script_part
def lookup_module(trace: Trace, assigned: bool = False) -> Any:
    """Return a module that looks rows of a variable up, and may write to it."""
    tf = trace.tf

    def step(self: Any, x: Any) -> Any:
        if assigned:
            self.table.assign(self.table + 1.0)
        return tf.nn.embedding_lookup(self.table, tf.cast(x, tf.int32))

    return trace.module(step, table=tf.reshape(tf.range(12.0), [6, 2]))


@case("embedding", "embedding looked up, only read")
def embedding(trace: Trace) -> Answers:
    """Convert a lookup straight from a resource (ResourceGather), through a SavedModel."""
    return trace.convert_saved(lookup_module(trace))


@case("embedding-assigned", "embedding looked up, assigned")
def embedding_assigned(trace: Trace) -> Answers:
    """Convert a lookup in a table that the same call updates; fails on no measured release."""
    return trace.convert_saved(lookup_module(trace, assigned=True))


@case("embedding-concrete-function", "embedding looked up, frozen")
def embedding_concrete_function(trace: Trace) -> Answers:
    """Convert a lookup in a table that is only read, from a concrete function."""
    module = lookup_module(trace)
    return trace.convert_function(module.__call__, module)


def _in_saved_model(reading: Reading) -> Iterator[Finding]:
    """``ResourceGatherNd`` on a variable that is assigned; the converter knows the plain gather."""

    def trouble(variable: Variable) -> Sequence[Access]:
        return [a for a in variable.reads if a.op == "ResourceGatherNd" and variable.assigns]

    def message(variables: Sequence[Variable]) -> str:
        return (
            f"{named(variable_names(variables))} assigned, and looked up by ResourceGatherNd "
            "straight from the handle, which no builtin op does."
        )

    def fix(variables: Sequence[Variable]) -> str:
        reads = (f"{code.held(variable)}.read_value()" for variable in variables)
        read_first = code.with_tensorflow(
            "# Read the table first, and look up in what was read:",
            *(f"rows = tf.gather_nd({read}, index)" for read in reads),
        )
        return read_first + advised_cure(reading, variables)

    yield from FAMILY.in_variables(reading, trouble, message, fix)


def _in_graph_def(reading: Reading) -> Iterator[Finding]:
    gathers = frozenset({"ResourceGather", "ResourceGatherNd"})
    yield from constant_handles(reading, FAMILY.id, gathers.__contains__, _gather_from_constant)


def _gather_from_constant(graph: Graph, nodes: Sequence[str]) -> str:
    change = (
        '        dtype, indices = node.attr["dtype"].type, node.attr["Tindices"].type',
        "        node.attr.clear()",
        '        if node.op == "ResourceGatherNd":',
        '            node.op = "GatherNd"',
        "        else:",
        '            axis = graph_def.node.add(op="Const", name=node.name + "/axis")',
        '            axis.attr["dtype"].type = node.attr["Taxis"].type = tf.int32.as_datatype_enum',
        '            axis.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0))',
        '            node.op = "GatherV2"',
        "            node.input.append(axis.name)",
        '        node.attr["Tparams"].type, node.attr["Tindices"].type = dtype, indices',
    )
    return change_nodes(graph, nodes, change)


def looks_up(node: str, source: str) -> bool:
    """Tell whether a node that wants a handle looks something up, or hides what does.

    Whatever else wants a handle and is given a value assigns (``frozen-but-assigned``).
    """
    return hides_a_lookup(node, source) or names_a_lookup(node, source)


def hides_a_lookup(node: str, source: str) -> bool:
    """Tell whether a node is a call of a function that assigns nothing by its name."""
    call = source and re.search(_CALL, node.lower())
    return bool(call) and not re.search(_ASSIGN, f"{node} {source}".lower())


def names_a_lookup(node: str, source: str = "") -> bool:
    """Tell whether a node is called as TensorFlow calls a lookup, and does not assign.

    Only how the name ends counts, which TensorFlow makes; what stands before it is the author's.
    """
    if re.search(_ASSIGN, node.lower().rpartition("/")[2]):
        return False
    return any(re.search(_LOOKUP, name.lower()) for name in (node, source))


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    if index.refused.has("gather"):
        names = index.refused.names("gather")
        message = f"{names} looks rows up straight from a variable's handle, and has no builtin."
        yield FAMILY.in_log(70, index.refused.first("gather"), message)
    if index.not_imported.has("gather"):
        line = index.not_imported.first("gather")
        who = quoted(line.get("node"), index.not_imported.names("gather"))
        how = "with an op that the tool does not know"
        yield FAMILY.in_log(70, line, f"{who} looks rows up from a variable's handle, {how}.")
    for line in index.of("expects"):
        node, source = line.get("node").strip("."), line.get("source")
        if hides_a_lookup(node, source):
            message = (
                f"{quoted(node, 'A call')} hides the node that wants a variable's handle and was"
                " given the frozen value: a lookup of an embedding as a rule, else an assignment."
            )
            yield FAMILY.in_log(70, line, message)
        elif names_a_lookup(node, source):
            message = (
                f"{quoted(node or source, 'A node')} looks rows up from a variable's handle, and"
                " was given the frozen value."
            )
            yield FAMILY.in_log(70, line, message)
    for line in index.of("placeholder"):
        if names_a_lookup(line.get("node")):
            who = quoted(line.get("node"), "A lookup")
            yield FAMILY.in_log(70, line, f"{who} wants a variable's handle, and got no value.")
    for line in index.custom("gather"):
        yield FAMILY.in_log(70, line, custom_op(line.get("op")))


FAMILY = Family(
    id="gather-from-frozen-table",
    order=80,
    what='The same message, "incompatible with expected resource", at an embedding lookup.',
    cause="The lookup wants the table's handle, but the table's value became a constant.",
    fix=(
        "Hand the converter the object that owns the table, or look up from the value and not from"
        f" the handle: tf.gather(table.read_value(), indices).\n\n{code.OWNER}"
    ),
    cases=(embedding, embedding_concrete_function),
    graph_rules={"saved_model": _in_saved_model, "graph_def": _in_graph_def},
    log_patterns=(
        Pattern(
            "ill-formed",
            "GraphDef is ill-formed",
            r"failedtofindfunction'(?P<function>[^']{1,200})'.{0,40}$",
        ),
    ),
    log_meanings={
        "ill-formed": Meaning(
            80,
            "The importer lost the function {function:of the model}, as it does where an embedding"
            " is looked up from a variable's handle.",
        ),
    },
    log_rule=_in_log,
    spoils_whole_file=True,
    repair_step="functional-updates",
    is_in_reads=True,
)
