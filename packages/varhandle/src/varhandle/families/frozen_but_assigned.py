"""A variable that became a constant, while the graph still assigns it."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from functools import partial

from varhandle.display import join_names
from varhandle.facts.dtypes import dtype_of
from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading, variable_names
from varhandle.families.compatibility import refused_by_older_releases
from varhandle.families.frozen_graph_def import WRITE_MENDED, constant_handles, read_graph_code
from varhandle.families.gather_from_frozen_table import looks_up
from varhandle.families.harness import Answers, Trace, case
from varhandle.families.log_index import LogDiagnosis, MatchIndex
from varhandle.families.log_patterns import DTYPE, WORD, Pattern, quoted
from varhandle.formats.graph_def_reader import taken_names
from varhandle.graph import Graph, Node, Signature, Variable, variable_role
from varhandle.graph.model import closure
from varhandle.graph.op_roles import CHECKPOINT_OPS
from varhandle.graph.signature_inference import sinks

_ANSWER = "incompatible with expected resource"


@case("concrete-function-alone", "float32, assigned, without its module", drawn=True)
def concrete_function_alone(trace: Trace) -> Answers:
    """Convert a function that assigns, without the object that owns the variable."""
    module = trace.running_total()
    return trace.convert_function(module.__call__, module)


@case("batch-norm-training", "BatchNormalization left in training mode")
def batch_norm_training(trace: Trace) -> Answers:
    """Convert a function that calls a Keras model with training=True."""
    tf = trace.tf
    model = tf.keras.Sequential([tf.keras.layers.BatchNormalization(input_shape=(4,))])
    function = tf.function(
        lambda x: model(x, training=True), input_signature=[tf.TensorSpec([2, 4], tf.float32)]
    )
    return trace.convert_function(function, function, shape=(2, 4))


_FUSED = re.compile(r"FusedBatchNorm(?:V\d)?")
_ELEMENTWISE = frozenset(
    """
    Add AddV2 Cast ClipByValue Identity Maximum Minimum Mul Neg Reshape Squeeze StopGradient Sub
    """.split()  # noqa: SIM905
)
"""Ops through which a moving average takes the statistics of a batch."""

_PASSES_ON = frozenset({"Identity", "StopGradient"})


def _in_saved_model(reading: Reading) -> Iterator[Finding]:
    yield from _training_mode(reading)
    yield from _pruning_wrappers(reading)
    yield from _saver_outputs(reading)
    besides = ", and every release if you freeze it,"
    yield from refused_by_older_releases(reading, FAMILY.id, _ANSWER, besides)


def _training_mode(reading: Reading) -> Iterator[Finding]:
    """BatchNormalization that was traced with ``training=True``: it learns while it answers."""
    names = variable_names(v for v in reading.state if _averages_a_batch(reading, v))
    if not names:
        return
    message = (
        f"{reading.capital_subject} assigns {join_names(names)}, moving averages of a mean and a "
        "variance, as BatchNormalization does with training=True only: it answers by the batch "
        "that it is given. Inference wants training=False."
    )
    yield FAMILY.finding("warning", names, message, code.save_for_inference(reading.signature))


_OF_A_SAVER = "a saver's node was named as an output."


def _saver_outputs(reading: Reading) -> Iterator[Finding]:
    """Outputs of a signature of TensorFlow 1 that wait for a checkpoint."""
    called = reading.signature and reading.graph.signature(reading.signature)
    if not called:
        return
    nodes = {node.name: node for node in reading.graph.functions[0].nodes}

    def saves(end: str) -> bool:
        behind = closure([end], lambda name: taken_names(nodes.get(name)))
        return any(name in nodes and nodes[name].op in CHECKPOINT_OPS for name in behind)

    own = [end for end in called.ends if saves(end)]
    if own:
        message = (
            f"{reading.capital_subject} answers with {join_names(own)}, which saves or restores a "
            f"checkpoint: {_OF_A_SAVER}"
        )
        yield FAMILY.finding("error", (), message, _without_saver(reading.graph, called, own))


def _without_saver(graph: Graph, called: Signature, own: Sequence[str]) -> str:
    """Save it again with its other outputs; if it has none, with what the graph works out."""
    outputs = [
        "    outputs = {",
        "        key: tensor(info.name)",
        "        for key, info in signature.outputs.items()",
        f'        if info.name.partition(":")[0] not in {list(own)!r}',
        "    }",
    ]
    if len(own) == len(called.ends):
        names = list(sinks(graph))
        outputs = [f'    outputs = {{name: tensor(f"{{name}}:0") for name in {names!r}}}']
    return code.with_tensorflow(
        "# Name the outputs of the model, and not the saver's: save it again with them.",
        "tf1 = tf.compat.v1",
        "with tf.Graph().as_default(), tf1.Session() as session:",
        f'    loaded = tf1.saved_model.load(session, ["serve"], {graph.source!r})',
        f"    signature = loaded.signature_def[{called.name!r}]",
        "    tensor = session.graph.get_tensor_by_name",
        "    inputs = {key: tensor(info.name) for key, info in signature.inputs.items()}",
        *outputs,
        '    tf1.saved_model.simple_save(session, "saved", inputs, outputs)',
        "",
        "# Then make the file, and prove it:",
        f"# {code.cure_command('saved', None)}",
    )


def _averages_a_batch(reading: Reading, variable: Variable) -> bool:
    """Tell whether a variable is assigned an average of what it held and a batch's statistics."""
    for access in reading.reachable(variable.assigns):
        statistics = _batch_statistics(reading, access.function)
        assign = reading.nodes[access.function, access.node][2]
        before = partial(_behind, reading, access.function, _ELEMENTWISE)
        if statistics and not statistics.isdisjoint(closure(assign.sources[1:], before)):
            return True
    return False


def _batch_statistics(reading: Reading, function: str) -> set[str]:
    """Return the nodes that give the mean and the variance of a batch, by which it is normalized.

    A variance is the mean of squared differences from a mean, as ``tf.nn.moments`` works it out,
    or an output of a fused op in training.
    """
    found = set()
    for node in reading.graph.function(function).nodes:
        if _FUSED.fullmatch(node.op) and node.attributes.get("is_training", True):
            found.add(node.name)
        is_mean = node.op == "Mean" and node.sources
        squares = _node(reading, function, node.sources[0]) if is_mean else None
        if squares is not None and squares.op == "SquaredDifference":
            found.add(node.name)
            means = closure(squares.sources, partial(_behind, reading, function, _PASSES_ON))
            nodes = filter(None, (_node(reading, function, name) for name in means))
            found |= {mean.name for mean in nodes if mean.op == "Mean"}
    return found


def _pruning_wrappers(reading: Reading) -> Iterator[Finding]:
    """Weights that are multiplied by their masks at each call, as wrappers of pruning do."""
    names = variable_names(v for v in reading.state if _is_masked(reading, v))
    if names:
        message = (
            f"{reading.capital_subject} multiplies {join_names(names)} by a mask at each call, as "
            "the wrappers of pruning do: the weights stay variables of the file, beside their "
            "masks."
        )
        yield FAMILY.finding("warning", names, message, _STRIP_PRUNING)


_STRIP_PRUNING = """\
# The wrappers of pruning are still around the layers: take them off, and save it for inference.
import tensorflow_model_optimization as tfmot

model = tfmot.sparsity.keras.strip_pruning(model)
model.export("inference")"""


def _is_masked(reading: Reading, variable: Variable) -> bool:
    """Tell whether a variable is assigned the product of itself and of one that only is read."""
    masks = [v for v in reading.graph.variables if v.shape == variable.shape]
    for access in reading.reachable(variable.assigns):
        passes = partial(_behind, reading, access.function, _PASSES_ON)
        assign = reading.nodes[access.function, access.node][2]
        for name in closure(assign.sources[1:], passes):
            product = _node(reading, access.function, name)
            if product is None or product.op != "Mul":
                continue
            factors = closure(product.sources, passes)
            read = [v for v in masks if any(a.node in factors for a in v.reads)]
            if variable in read and any(not reading.reachable(v.assigns) for v in read):
                return True
    return False


def _behind(reading: Reading, function: str, through: Container[str], name: str) -> Sequence[str]:
    """Return what a node takes, if it is of an op to look through."""
    node = _node(reading, function, name)
    return node.sources if node is not None and node.op in through else ()


def _node(reading: Reading, function: str, name: str) -> Node | None:
    held = reading.nodes.get((function, name))
    return held[2] if held else None


def _in_graph_def(reading: Reading) -> Iterator[Finding]:
    yield from constant_handles(reading, FAMILY.id, _assigns, _without_assigns)


def _assigns(op: str) -> bool:
    on_handle = op.startswith("Resource") or op.endswith("VariableOp")
    return on_handle and variable_role(op) == "assign"


def _without_assigns(graph: Graph, nodes: Sequence[str]) -> str:
    return code.with_tensorflow(
        "# Take the assigns out, which inference does not need:",
        *read_graph_code(graph),
        f"assigns = {list(nodes)!r}",
        "kept = [node for node in graph_def.node if node.name not in assigns]",
        "for node in kept:",
        "    inputs = [name for name in node.input if name.lstrip('^') not in assigns]",
        "    del node.input[:]",
        "    node.input.extend(inputs)",
        "del graph_def.node[:]",
        "graph_def.node.extend(kept)",
        WRITE_MENDED,
    )


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    ops = index.not_imported
    if ops.has("assign", "update") and not ops.has("reference", "handle"):
        message = f"The graph still writes to a variable: {ops.names('assign', 'update')}."
        yield FAMILY.in_log(90, ops.first("assign", "update"), message)
    with_node = {line.line_number for line in index.of("expects") if line.get("node").strip(".")}
    for line in index.of("expects"):
        node, source = line.get("node").strip("."), line.get("source")
        told_again = not node and line.line_number in with_node
        if looks_up(node, source) or is_read(node) or told_again:
            continue
        who, fix = quoted(node or source, "A node"), _fix_for(node, source, index)
        if re.search(_SAVER, node.lower()):
            message = f"{who} restores a checkpoint: {_OF_A_SAVER}"
        elif re.search(r"assign|apply|scatter|update", f"{node} {source}".lower()):
            message = f"{who} assigns a variable, but the variable's value has become a constant."
        else:
            message = (
                f"{who} wants a variable's handle, to assign it or to look a row up, but the"
                " variable's value has become a constant."
            )
        dtype = dtype_of(line.get("dtype"))
        if dtype.number > 0 and not dtype.carried:
            message += f" Its dtype, {dtype.name}, will be refused next."
        yield FAMILY.in_log(90, line, message, fix, with_older=fix in (FAMILY.fix, _TRAINING))


def is_read(node: str) -> bool:
    """Tell whether a node that was given a value in place of a handle only reads.

    In the loops and branches of TensorFlow 1 the handle goes through an Enter or a Switch first.
    """
    way = r"/(?:(?:enter|switch)(?:_\d+)?(?:/|$))*"
    return re.search(rf"(?:^|/)readvariableop(?:_\d+)?(?:{way}|$)$", node.lower()) is not None


def _fix_for(node: str, source: str, index: MatchIndex) -> str:
    named = f"{node} {source}".lower()
    if re.search(_SAVER, node.lower()):
        return _OUTPUTS
    if "prune_low_magnitude" in named:
        return _STRIP
    training = re.search(r"assignnewvalue|assignmovingavg", named)
    if index.of("other-tool"):
        return _OTHER_TOOL
    return _TRAINING if training else FAMILY.fix


_SAVER = r"(?:^|/)save(?:_\d+)?/(?:assign|restore)"  # what tf.train.Saver calls its nodes
_OUTPUTS = (
    "Name the output of the model where you freeze, and not the saver's: what reaches the saver is"
    " the whole training graph.\n\n"
    "frozen = tf.compat.v1.graph_util.convert_variables_to_constants(\n"
    '    session, graph.as_graph_def(), ["output"]  # what the model answers with\n'
    ")"
)
_STRIP = (
    "Take the wrappers of pruning off before you convert: the masks that they assign stay out of"
    " the file.\n\n"
    "import tensorflow_model_optimization as tfmot\n"
    "model = tfmot.sparsity.keras.strip_pruning(model)\n"
    "converter = tf.lite.TFLiteConverter.from_keras_model(model)"
)
_TRAINING = (
    "BatchNormalization updates its statistics, which it does in training mode only: save the model"
    f" with training=False, and convert that.\n\n{code.EXPORT_FOR_INFERENCE}\n"
    "converter = tf.lite.TFLiteConverter.from_saved_model(folder)\n"
    "# Keras 2 (TensorFlow up to 2.15): from_concrete_functions([function], model), with\n"
    "# function = tf.function(lambda x: model(x, training=False)).get_concrete_function(spec)"
)
_OTHER_TOOL = (
    "Save the model with training=False, so that nothing is assigned, and give the other tool that"
    " folder; a state that has to change goes in and out as a tensor, since such a tool knows no"
    f" variables.\n\n{code.EXPORT_FOR_INFERENCE}\n"
    "# python -m tf2onnx.convert --saved-model FOLDER --output model.onnx\n"
    "# coremltools takes no folder with two signatures, and takes a function:\n"
    "# function = tf.function(lambda x: model(x, training=False)).get_concrete_function(spec)\n"
    '# coremltools.convert([function], source="tensorflow")'
)


# The node is what stands last before "was passed": after "of node", or after what is in no name.
_PASSED = (
    rf"^(?:.*(?:ofnode|^|[^\w/.\-])(?P<node>[\w/.\-]{{1,250}}?)waspassed(?P<dtype>{DTYPE})"
    rf"(?:from(?P<source>{WORD}{{1,250}})$)?)?"
)

FAMILY = Family(
    id="frozen-but-assigned",
    order=40,
    what='Freezing stops with "incompatible with expected resource".',
    cause="The variable's value became a constant, but the graph still assigns the variable.",
    fix=(
        "Hand the converter the object that owns the variable, and it stays a variable. If the"
        " model should not change while it answers (BatchNormalization), call it with"
        f" training=False instead.\n\n{code.OWNER}"
    ),
    older=(
        (
            "2.5",
            "no release before 2.6 keeps an assigned variable in a file: build the inference graph"
            " without the assignment (training=False, is_training=False), or pass the state in and"
            " out as a tensor.",
        ),
        (
            "2.8",
            "set converter.experimental_enable_resource_variables = True, and convert from a"
            " SavedModel.",
        ),
    ),
    cases=(concrete_function_alone, batch_norm_training),
    graph_rules={"saved_model": _in_saved_model, "graph_def": _in_graph_def},
    log_patterns=(
        Pattern("expects", _ANSWER, _PASSED, reach=600, company=("was passed",)),
        Pattern(  # as a title quotes it
            "expects",
            _ANSWER,
            reach=80,
            company=("tensorflow", "tflite", "converter", "variableop"),
        ),
        Pattern("expects", "incompatible with expected", _PASSED, rf"{DTYPE}_ref", reach=600),
        Pattern(  # TensorFlow 1.6 and older
            "expects",
            "Cannot convert a tensor of type float32 to an input of type float32_ref",
            r"(?:atnodeu?'(?P<node>[^']{1,250})':inputtensor'(?P<source>[^']{1,250})')?$",
        ),
        *(
            Pattern("other-tool", phrase)
            for phrase in ("coremltools/", "tf2onnx/", "tensorflowjs/", "openvino/")
        ),
        Pattern(
            "expects",
            "expected type resource !=",
            after=r"(?P<dtype>\w{1,12}),thetypeof(?P<source>[\w/.:\-]{1,250})(?:\[\d+\])?"
            r"(?:in\{\{node(?P<node>[^}]{1,250})\}\})?",
        ),
    ),
    log_rule=_in_log,
)
