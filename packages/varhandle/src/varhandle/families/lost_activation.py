"""A ReLU that the converter loses: that of a product whose second factor is no constant.

A product of two matrices without a bias becomes BATCH_MATMUL where the second one is no constant: a
variable that the model assigns, which stays a variable in the file, an input, or what is computed.
On TensorFlow 2.21 the ReLU that was fused into the product is gone with it. BATCH_MATMUL has no
fused activation, so that the file shows nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from varhandle.display import join_names
from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading
from varhandle.families.harness import Answers, Trace, case
from varhandle.graph import Function, Node
from varhandle.graph.model import closure

OP = "BATCH_MATMUL"
"""The op of the file that the activation is missing after."""

SETTING = "converter.unfold_batchmatmul = True"
"""What keeps the product a FULLY_CONNECTED, which has the activation in it."""

_ACTIVATIONS = frozenset({"Relu", "Relu6"})
_MOVES = frozenset({"Identity", "Reshape", "Transpose"})
"""Ops that the converter moves behind the activation, or that do nothing."""

_OF_SHAPES = frozenset({"Rank", "Shape", "ShapeN", "Size"})
"""Ops whose value is as a rule known before the model runs, whatever they take."""

_READ = "ReadVariableOp"


@case("relu-of-product", "ReLU of a product with a variable")
def relu_of_product(trace: Trace) -> Answers:
    """Convert a product with a matrix that the same call assigns, and its ReLU."""
    tf = trace.tf

    def step(self: Any, x: Any) -> Any:
        answer = tf.nn.relu(tf.matmul(tf.reshape(x, [2, 2]), self.weight))
        self.weight.assign_add(self.weight * 0.5)
        return tf.reshape(answer, [4])

    return trace.convert_saved(trace.module(step, weight=[[1.0, -1.0], [2.0, -2.0]]))


def _in_graph(reading: Reading) -> Iterator[Finding]:
    read = {
        (access.function, access.node): variable.name
        for variable in reading.state
        for access in variable.reads
    }
    lost, variables = set[str](), set[str]()
    for function in reading.reached:
        nodes = {node.name: node for node in function.nodes}
        for node in function.nodes:
            product = _product(nodes, node) if node.op in _ACTIVATIONS else None
            if product is None:
                continue
            changing = [_changing(function, nodes, each, read) for each in product.sources[:2]]
            if all(changing):
                lost.add(node.op)
                variables.update(read[key] for found in changing for key in found if key in read)
    if lost:
        yield finding(reading, sorted(lost), sorted(variables))


def finding(reading: Reading, activations: Sequence[str], variables: Sequence[str]) -> Finding:
    """Say of a model that these activations are lost; ``variables`` are factors of the product."""
    factors = "neither of which is a constant"
    if variables:
        held = f"{join_names(variables)} {'is' if len(variables) == 1 else 'are'}"
        factors = f"and {held} kept as a variable"
    message = (
        f"{reading.capital_subject} multiplies two matrices without a bias, {factors}: the "
        f"converter of TensorFlow 2.21 makes {OP} of the product, and loses the "
        f"{join_names(activations)} after it."
    )
    fix = code.convert_with(reading.graph, reading.signature, SETTING)
    return FAMILY.finding("error", tuple(variables), message, fix)


def _in_difference(reading: Reading, first: Mapping[str, Any]) -> Finding | None:
    """Say the same of a model whose file parts from it at such a product; ``None`` if it does not.

    ``first`` is the op that parts, as ``locate`` has it: its values are the model's before the
    activation.
    """
    if first.get("op") != OP or not first["lost_activation"]:
        return None
    return finding(reading, [first["lost_activation"]], ())


def _product(nodes: Mapping[str, Node], activation: Node) -> Node | None:
    """Return the product that an activation is of, if the converter fuses the two."""
    name = activation.sources[0] if activation.sources else ""
    while (node := nodes.get(name)) is not None and node.op in _MOVES and node.sources:
        name = node.sources[0]
    if node is None or node.op != "MatMul" or node.attributes.get("transpose_b"):
        return None
    return node


def _changing(
    function: Function, nodes: Mapping[str, Node], name: str, read: Mapping[tuple[str, str], str]
) -> list[tuple[str, str]]:
    """Return what a factor is made of that the converter does not know: inputs and variables.

    A variable that is only read becomes a constant.
    """

    def onward(each: str) -> Sequence[str]:
        node = nodes.get(each)
        return () if node is None or node.op == _READ or node.op in _OF_SHAPES else node.sources

    def is_unknown(each: str) -> bool:
        node = nodes.get(each)
        return node is None or node.op == "Placeholder" or (function.name, each) in read

    return [(function.name, each) for each in closure([name], onward) if is_unknown(each)]


FAMILY = Family(
    id="lost-activation",
    order=155,
    what="It converts, and the file answers without a ReLU that the model has.",
    cause=(
        "The converter makes BATCH_MATMUL of a product without a bias whose second matrix is no"
        " constant (a variable that the model assigns, an input, what is computed), and drops the"
        " ReLU, the ReLU6 or the clip to -1..1 that it had fused into it."
    ),
    fix=(
        "Let the converter make FULLY_CONNECTED of the product, which has the activation in it, and"
        f" compare.\n\n{SETTING}"
    ),
    cases=(relu_of_product,),
    graph_rules={"saved_model": _in_graph, "graph_def": _in_graph},
    difference_rule=_in_difference,
    repair_step="keep-activations",
    answers_wrongly=True,
)
