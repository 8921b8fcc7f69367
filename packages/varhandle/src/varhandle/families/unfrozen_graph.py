"""A graph without values: the weights live in a session, not in the file."""

from __future__ import annotations

from collections.abc import Container, Iterator

from varhandle.display import join_names
from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading, variable_names
from varhandle.families.frozen_graph_def import read_graph_code
from varhandle.families.harness import Answers, Trace, case, script_part
from varhandle.families.log_index import (
    LAST_RESORT,
    LogDiagnosis,
    MatchIndex,
    Meaning,
    Ops,
    custom_op,
)
from varhandle.families.log_patterns import Context, Pattern
from varhandle.formats import format_of
from varhandle.formats.graph_def import MetaGraph
from varhandle.graph import Graph
from varhandle.graph.model import closure
from varhandle.graph.op_roles import RESTORE_OPS
from varhandle.graph.signature_inference import assigned_by_answers, infer_signature, sinks
from varhandle.savedmodel.checkpoint_freezer import checkpoint_beside


@script_part
def convert_unfrozen(trace: Trace, use_resource: bool) -> Answers:
    """Convert a TF1 graph whose one weight has its value in a session."""
    tf = trace.tf
    v1 = tf.compat.v1
    with v1.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder(tf.float32, [1, 4], name="x")
        weight = v1.get_variable("w", initializer=[[2.0]] * 4, use_resource=use_resource)
        y = tf.identity(x @ weight, name="y")
        session.run(v1.global_variables_initializer())
        converter = v1.lite.TFLiteConverter(graph.as_graph_def(), [x], [y])
        return trace.compare(trace.convert(converter), lambda x: 2.0 * x.sum(), shape=(1, 4))


@case("unfrozen-graph", "TF1 graph, not frozen")
def weight_in_session(trace: Trace) -> Answers:
    """Give the TF1 converter a graph whose weights live in a session, not in the file."""
    return convert_unfrozen(trace, use_resource=True)


@case("unfrozen-reference", "TF1 graph, reference variable, not frozen")
def reference_in_session(trace: Trace) -> Answers:
    """Give the TF1 converter a graph with a VariableV2, whose value lives in a session."""
    return convert_unfrozen(trace, use_resource=False)


_ELSEWHERE = "the weights are in a checkpoint or a session, not in the file."
_OUT_OF_A_FUNCTION = (
    "Take the graph with its values out of the function, or better convert a SavedModel.\n\n"
    "from tensorflow.python.framework.convert_to_constants import (\n"
    "    convert_variables_to_constants_v2,\n"
    ")\n\n"
    "frozen = convert_variables_to_constants_v2(function.get_concrete_function(spec))\n"
    "graph_def = frozen.graph.as_graph_def()"
)


def _in_graph_def(reading: Reading) -> Iterator[Finding]:
    names, state = variable_names(reading.graph.variables), variable_names(reading.state)
    if not names:
        return
    answering = variable_names(assigned_by_answers(reading.graph))
    assigned = f" It is a training graph: it assigns {join_names(state)}." if state else ""
    if answering:
        assigned = (
            f" What it answers with assigns {join_names(answering)}, and a frozen value cannot be"
            " assigned: save a SavedModel with the values, and cure that."
        )
    message = (
        f"A GraphDef holds no values, and this one has the variable"
        f"{'' if len(names) == 1 else 's'} {join_names(names)}: {_ELSEWHERE}{assigned}"
    )
    yield FAMILY.finding("error", names, message, _with_values(reading.graph, answering))


def _with_values(graph: Graph, assigned: Container[str]) -> str:
    return _save(graph) if assigned else _freeze(graph)


def _save(graph: Graph) -> str:
    """Write a SavedModel with the values, whose variables stay variables."""
    called = infer_signature(graph)
    ends = [[spec.name for spec in side] for side in (called.inputs, called.outputs)]
    saving = [
        "tensor = session.graph.get_tensor_by_name",
        f'inputs = {{name: tensor(f"{{name}}:0") for name in {ends[0]!r}}}',
        f'outputs = {{name: tensor(f"{{name}}:0") for name in {ends[1]!r}}}',
        'tf1.saved_model.simple_save(session, "saved", inputs, outputs)',
    ]
    opening = ("import tensorflow as tf", "", "tf1 = tf.compat.v1")
    curing = ("", "# Then make the file, and prove it:", f"# {code.cure_command('saved', None)}")
    if not isinstance(format_of(graph), MetaGraph):
        return code.lines(
            "# A graph alone does not say how its variables are saved: do it where the session is.",
            *opening,
            *saving,
            *curing,
        )
    checkpoint = str(checkpoint_beside(graph) or "model.ckpt")
    return code.lines(
        *opening,
        f"checkpoint = {checkpoint!r}  # the checkpoint that was saved with this graph",
        "with tf.Graph().as_default(), tf1.Session() as session:",
        f"    saver = tf1.train.import_meta_graph({graph.source!r})",
        "    saver.restore(session, checkpoint)",
        *(f"    {line}" for line in saving),
        *curing,
    )


def _freeze(graph: Graph) -> str:
    """Put the values of a checkpoint into a GraphDef."""
    restore = _restore(graph)
    freezing = (
        "frozen = tf1.graph_util.convert_variables_to_constants("
        f"session, graph_def, {list(sinks(graph))!r})"
    )
    writing = 'open("frozen.pb", "wb").write(frozen.SerializeToString())'
    opening = ("import tensorflow as tf", "")
    if restore is None:
        return code.lines(
            "# This file has no way to restore values: freeze where the session is.",
            *opening,
            "tf1 = tf.compat.v1",
            "graph_def = session.graph.as_graph_def()",
            freezing,
            writing,
        )
    target, feed = restore
    checkpoint = str(checkpoint_beside(graph) or "model.ckpt")
    return code.lines(
        *opening,
        *read_graph_code(graph),
        "tf1 = tf.compat.v1",
        f"checkpoint = {checkpoint!r}  # the checkpoint that was saved with this graph",
        "with tf.Graph().as_default(), tf1.Session() as session:",
        '    tf.import_graph_def(graph_def, name="")',
        f"    session.run({target!r}, {{{feed + ':0'!r}: checkpoint}})",
        f"    {freezing}",
        writing,
        "",
        "# Or, with the checkpoint beside the file, let the tool do it, and prove the result:",
        f"# {code.cure_command(graph.source, None)}",
    )


def _restore(graph: Graph) -> tuple[str, str] | None:
    """Return the node that restores all variables, and the one that takes the checkpoint's path."""
    nodes = graph.functions[0].nodes
    restores = {node.name: node for node in nodes if node.op in RESTORE_OPS and node.sources}
    passed = {n.name: n.sources for n in nodes if len(n.sources) == 1 and n.name not in restores}
    assigns = set()
    for node in nodes:
        if node.op in {"Assign", "AssignVariableOp"} and len(node.sources) > 1:
            behind = closure([node.sources[1]], lambda name: passed.get(name, ()))
            if not restores.keys().isdisjoint(behind):
                assigns.add(node.name)
    groups = [n for n in nodes if n.op == "NoOp" and assigns & set(n.control_inputs)]
    if not groups:
        return None
    target = max(groups, key=lambda node: len(assigns & set(node.control_inputs)))
    return target.name, next(iter(restores.values())).sources[0]


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    yield from _references(index.refused)
    refused, names = index.refused, index.refused_variables
    if index.only_reads_refused and refused.has("handle") and not index.unsupported_dtypes:
        message = (
            f"{f'{names} is' if names else 'The variables are'} read and never assigned, so the"
            " value should have become a constant: the graph came without it."
        )
        yield FAMILY.in_log(60, refused.first("handle", "read"), message)
    ops = index.not_imported
    yield from _references(ops)
    if ops.has("handle") and not ops.has("reference"):
        message = (
            f"{ops.names('handle', 'read', 'assign')}: the variables reached the importer as they"
            " are. Their values are not in the graph."
        )
        yield FAMILY.in_log(60, ops.first("handle"), message)
    for line in index.of("unfed"):
        message = (
            f"A GraphDef holds no values, and this one has the variable {line.get('name')}:"
            f" {_ELSEWHERE} The function that the graph comes from was given it from outside."
        )
        yield FAMILY.in_log(60, line, message, _OUT_OF_A_FUNCTION)
    for line in index.custom("reference"):
        yield FAMILY.in_log(60, line, custom_op(line.get("op")))
    for line in [] if index.of("toco-reason") else index.of("toco"):
        message = (
            "toco stopped, and says why only on the console. Most often training ops (Assign,"
            " VariableV2) were left in the graph."
        )
        yield FAMILY.in_log(LAST_RESORT, line, message)


def _is_error(context: Context) -> bool:
    return "youcanignorethismessage" not in context.before[-80:]


def _references(ops: Ops) -> Iterator[LogDiagnosis]:
    if ops.has("reference"):
        message = (
            f"{ops.names('reference')} are ops of a TF1 training graph, whose values live in a"
            " session. Nobody froze it."
        )
        yield FAMILY.in_log(60, ops.first("reference"), message)


FAMILY = Family(
    id="unfrozen-graph",
    order=60,
    what="A graph came without its values: no session has set its variables.",
    cause="The weights live in a session, not in the graph.",
    fix=(
        "Give the converter the values with the graph: freeze in the session that holds them, or"
        " better convert from a Keras model or a SavedModel for inference.\n\n"
        "with tf.compat.v1.Session(graph=graph) as session:\n"
        "    saver.restore(session, checkpoint)\n"
        "    frozen = tf.compat.v1.graph_util.convert_variables_to_constants(\n"
        "        session, graph.as_graph_def(), output_node_names\n"
        "    )"
    ),
    cases=(weight_in_session, reference_in_session),
    graph_rules={"graph_def": _in_graph_def},
    log_patterns=(
        Pattern("not-frozen", "Please freeze the graph"),
        Pattern(
            "unfed",
            "You must feed a value for placeholder tensor",
            after=r"'(?P<name>[^']{1,200})'withdtyperesource",
            test=_is_error,
        ),
        Pattern("toco", "TOCO failed"),
        Pattern(
            "toco-reason",
            "operators in the model are not supported by the standard TensorFlow Lite runtime",
        ),
        Pattern("toco-reason", "Check failed:", company=("toco",)),
        Pattern("toco-reason", "Converting unsupported operation:"),
    ),
    log_meanings={
        "not-frozen": Meaning(
            60, f"A GraphDef holds no values, and this one has variables: {_ELSEWHERE}"
        ),
    },
    log_rule=_in_log,
    repair_step="freeze",
)
