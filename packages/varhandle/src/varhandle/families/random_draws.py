"""A model that draws random numbers: a sampling layer, Dropout left on, a generator's state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from varhandle.display import join_names, printable
from varhandle.facts.random_ops import BUILTIN_DRAWS, TFLITE_DRAWS, drawn_from, is_draw
from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading
from varhandle.families.harness import Answers, Trace, case
from varhandle.families.log_index import LogDiagnosis, MatchIndex
from varhandle.families.op_without_builtin import listed_ops
from varhandle.graph import Function, Node, variable_role
from varhandle.graph.model import closure

_SCALES = frozenset({"Add", "AddV2", "Cast", "Identity", "Mul", "Reshape", "Sub"})
_COMPARES = frozenset({"Greater", "GreaterEqual", "Less", "LessEqual"})


@case("stateless-normal", "noise drawn with a seed")
def stateless_normal(trace: Trace) -> Answers:
    """Convert a draw by tf.random.stateless_normal, whose seed comes with the call."""
    tf = trace.tf

    def step(_: object, x: object) -> object:
        seed = tf.cast(x, tf.int32)[:2]
        return x + tf.random.stateless_normal([4], seed)

    return trace.convert_saved(trace.module(step))


def draws(reading: Reading) -> Iterator[tuple[Function, Node]]:
    """Yield what the signature draws; not what only gives a variable of TF1 its first value."""
    main = reading.graph.functions[0]
    for function in reading.reached:
        for node in function.nodes:
            if is_draw(node.op) and not (function is main and _only_assigned(reading, node)):
                yield function, node


def _only_assigned(reading: Reading, node: Node) -> bool:
    """Tell whether a value of the main graph goes into nothing but variables."""
    main = reading.graph.functions[0].name
    takers = reading.takers[main]
    reached = closure([node.name], lambda name: takers.get(name, ()))
    ends = (reading.nodes[main, name][2].op for name in reached if name not in takers)
    return all(variable_role(op) == "assign" for op in ends)


def _in_graph(reading: Reading) -> Iterator[Finding]:
    found = list(draws(reading))
    if not found:
        return
    ops = sorted({node.op for _, node in found})
    masks = all(_masks(reading, function, node) for function, node in found)
    lacking = [op for op in ops if op not in BUILTIN_DRAWS]
    as_dropout = ", as Dropout does in training," if masks else ""
    without = ", for which there is no builtin op" if lacking == ops else ""
    if lacking and lacking != ops:
        without = f", and there is no builtin op for {join_names(lacking)}"
    message = (
        f"{reading.capital_subject} draws random numbers{as_dropout} by {join_names(ops)}{without}:"
        " a file that draws has numbers of its own, and no comparison can prove it."
    )
    fix = code.save_for_inference(reading.signature) if masks else _with_builtins(lacking)
    if lacking:
        fix += f"\n{code.cure_comment(reading.graph.source, reading.signature)}"
    yield FAMILY.finding("error" if lacking else "warning", (), message, fix)


def _in_file(reading: Reading) -> Iterator[Finding]:
    ops = sorted({node.op for node in reading.reached_nodes if node.op in TFLITE_DRAWS})
    if ops:
        message = (
            f"The file draws random numbers ({', '.join(ops)}): two runs never agree, so no "
            "comparison can prove it."
        )
        yield FAMILY.finding("warning", (), message, _AS_INPUT)


def _masks(reading: Reading, function: Function, node: Node) -> bool:
    """Tell whether a uniform draw is compared with a rate, as Dropout does to keep some values."""
    if drawn_from(node.op) != "Uniform":
        return False
    takers = reading.takers[function.name]
    ops = {one.name: one.op for one in function.nodes}

    def onward(name: str) -> Sequence[str]:
        through = name == node.name or ops.get(name) in _SCALES
        return takers.get(name, ()) if through else ()

    return any(ops.get(name) in _COMPARES for name in closure([node.name], onward))


_AS_INPUT = (
    "# Or make what is drawn an input, which the program around the model draws: such a model can\n"
    "# be proved."
)
_INSTEAD = {
    "Normal": "drawn = tf.random.normal(shape)",
    "Uniform": "drawn = tf.random.uniform(shape)",
    "UniformInt": (
        "share = tf.random.uniform(shape) * tf.cast(highest - lowest, tf.float32)\n"
        "drawn = lowest + tf.cast(share, tf.int32)  # of int32 numbers"
    ),
    "TruncatedNormal": (
        "drawn = tf.random.normal(shape)\n"
        "for _ in range(8):  # what lies outside is drawn again\n"
        "    drawn = tf.where(tf.abs(drawn) > 2.0, tf.random.normal(shape), drawn)\n"
        "drawn = tf.clip_by_value(drawn, -2.0, 2.0)"
    ),
    "Multinomial": "drawn = tf.random.categorical(logits, count)",
    "Shuffle": (
        "size = tf.shape(rows)[0]\n"
        "rows = tf.gather(rows, tf.math.top_k(tf.random.uniform([size]), size).indices)"
    ),
}
"""Distribution to draws that have a builtin; ``shape`` is that of what is drawn."""


def _with_builtins(ops: Sequence[str]) -> str:
    if not ops:
        return _AS_INPUT.replace("Or make", "Make")
    told = [(op, _INSTEAD[drawn_from(op)]) for op in ops if drawn_from(op) in _INSTEAD]
    if not told:
        return _AS_INPUT.replace("Or make", "Make")
    blocks = [f"# instead of {code.comment(op)}\n{instead}" for op, instead in told]
    beginning = code.with_tensorflow("# Draw with an op that has a builtin, without a seed:")
    return "\n\n".join([beginning.rstrip(), *blocks, _AS_INPUT])


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    if index.draws_in_training:  # a layer of Keras's, in training: keras3-export's
        return
    for line in index.of("refused", "legalize", "unsupported-ops", "custom-ops", "toco-ops"):
        for op in filter(is_draw, (line.get("op"), *listed_ops(line))):
            when = " in that release" if op in BUILTIN_DRAWS else ""
            what = f"draws random numbers by {printable(op)}, for which there is no builtin op"
            message = f"The model {what}{when}."
            yield FAMILY.in_log(60, line, message)


FAMILY = Family(
    id="random-draws",
    order=165,
    what="The model draws random numbers: their ops have no builtin, or no two answers agree.",
    cause=(
        "A layer samples, Dropout was left on, or a generator keeps its state in a variable; only"
        " RandomUniform, RandomStandardNormal and Multinomial have builtins."
    ),
    fix=(
        "Where the numbers are Dropout's, save the model for inference. Else draw without a seed,"
        " by tf.random.normal or tf.random.uniform, or make the numbers an input.\n\n"
        'model.export("inference")  # a Keras model: with training=False'
    ),
    cases=(stateless_normal,),
    graph_rules={"saved_model": _in_graph, "graph_def": _in_graph, "tflite": _in_file},
    log_rule=_in_log,
    repair_step="builtin-draws",
    never_equal=True,
)
