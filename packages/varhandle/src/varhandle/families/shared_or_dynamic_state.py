"""State without a fixed shape, or not shared or reset as it was thought to be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from varhandle.display import join_names, printable
from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading, converts_with_others, named
from varhandle.families.compatibility import failing_releases
from varhandle.families.harness import Answers, NotOfferedError, Trace, case
from varhandle.families.log_index import Meaning
from varhandle.families.log_patterns import Pattern
from varhandle.graph import Access, Variable

_KEEP_STATE = frozenset(
    {
        *("BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "LSTM", "RNN", "SVDF"),
        *("UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN"),
    }
)
"""Ops whose kernels keep a state in tensors that the file marks as variable."""

_BASIC_LSTM = 1  # LSTMKernelType.BASIC: its state comes in and goes out, and nothing is kept


@case("growing-variable", "variable of unknown length that grows")
def growing_variable(trace: Trace) -> Answers:
    """Convert a variable whose first dimension is unknown and grows by concatenation."""
    tf = trace.tf

    def step(self: Any, x: Any) -> Any:
        self.seen.assign(tf.concat([self.seen, x], 0))
        return tf.reduce_sum(self.seen, keepdims=True)

    module = trace.module(step)
    module.seen = tf.Variable(tf.zeros([1]), shape=[None], name="seen")
    return trace.convert_saved(module)


@case("two-signatures", "two signatures share a variable")
def two_signatures(trace: Trace) -> Answers:
    """Write a variable through one signature, and read it through another."""
    tf: Any = trace.tf

    class Account(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.total = tf.Variable(tf.zeros([4]), name="total")

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def add(self, x: Any) -> Any:
            return {"sum": self.total.assign_add(x)}

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def scaled(self, x: Any) -> Any:
            return {"scaled": self.total * x}

    if not hasattr(tf.lite.Interpreter, "get_signature_runner"):
        raise NotOfferedError("no signature runners in this release")
    module = Account()
    trace.stage = "save"
    signatures = {
        "add": module.add.get_concrete_function(),
        "scaled": module.scaled.get_concrete_function(),
    }
    tf.saved_model.save(module, trace.folder, signatures=signatures)
    converter = tf.lite.TFLiteConverter.from_saved_model(
        trace.folder, signature_keys=["add", "scaled"]
    )
    content = trace.convert(converter)
    trace.stage = "load"
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    add = interpreter.get_signature_runner("add")
    scaled = interpreter.get_signature_runner("scaled")
    trace.stage = "run"
    got, expected = [], []
    for call in range(1, 4):
        x = tf.fill([4], float(call))
        add(x=x.numpy())
        module.add(x)
        got.append([float(value) for value in scaled(x=x.numpy())["scaled"]])
        expected.append([float(value) for value in module.scaled(x)["scaled"].numpy()])
    return got, expected


@case("lstm", "Keras LSTM that keeps no state")
def lstm(trace: Trace) -> Answers:
    """Convert an LSTM whose every call starts afresh, and call it several times."""
    return trace.convert_lstm(batch_size=1)


def _in_saved_model(reading: Reading) -> Iterator[Finding]:
    yield from _dynamic_shape(reading)
    yield from _shared(reading)


def _in_file(reading: Reading) -> Iterator[Finding]:
    yield from _dynamic_shape(reading)
    yield from _older_state(reading)
    yield from _shared(reading)


def _dynamic_shape(reading: Reading) -> Iterator[Finding]:
    def trouble(variable: Variable) -> Sequence[Access]:
        return variable.assigns if variable.shape is None or None in variable.shape else ()

    def message(variables: Sequence[Variable]) -> str:
        shaped = [f"{printable(v.name)} {_shape(v)}" for v in variables]
        return (
            f"{named(shaped)} assigned with a dimension that is not known: the file converts, and "
            "its interpreter keeps the first shape or crashes."
        )

    yield from FAMILY.in_variables(reading, trouble, message, _fixed_shape)


def _shape(variable: Variable) -> str:
    if variable.shape is None:
        return "[?...]"
    return f"[{', '.join('?' if size is None else str(size) for size in variable.shape)}]"


def _fixed_shape(variables: Sequence[Variable]) -> str:
    """Give the state a shape of its own: as long as it may get, with a count beside it."""
    blocks = [
        "# Make it as long as it may get, and count how much of it is in use:",
        "import tensorflow as tf\n\nlongest = 100  # rows that you need at most",
    ]
    for variable in variables:
        held = code.made(variable)
        rest = code.sized(variable.shape)[1:]
        zeros = f"tf.zeros([{', '.join(('longest', *map(str, rest)))}], tf.{code.dtype(variable)})"
        blocks.append(
            code.lines(
                code.new_variable(variable, zeros),
                f"{held}_used = tf.Variable(0, name={variable.name + '_used'!r})",
                "# where a row is added:",
                f"at = tf.range(longest) == {held}_used",
                f"at = tf.reshape(at, [{', '.join(('longest', *('1' for _ in rest)))}])",
                f"{held}.assign(tf.where(at, new_value, {held}))",
                f"{held}_used.assign_add(1)",
            )
        )
    return "\n\n".join(blocks)


def _shared(reading: Reading) -> Iterator[Finding]:
    """State that several signatures touch: no fault, if they stay together."""
    for variable in reading.graph.variables:
        signatures = sorted({s for a in (*variable.reads, *variable.assigns) for s in a.signatures})
        writers = sorted({s for a in variable.assigns for s in a.signatures})
        keras_twins = set(signatures) == {"serve", "serving_default"}
        if len(signatures) < 2 or not writers or keras_twins:
            continue
        if reading.signature not in signatures:
            continue
        together = [s for s in signatures if _fits(reading, s)]
        apart = [s for s in signatures if s not in together]
        message = (
            f"{printable(variable.name)} is shared by the signatures {join_names(signatures)}, "
            f"and assigned by {join_names(writers)}: they share it in one file and one "
            "interpreter only."
        )
        if apart:
            message += (
                f" {join_names(apart)} cannot be in that file (a checkpoint, an update or a draw "
                "without builtin ops)."
            )
        how = "Convert them together, and get all of their runners from one interpreter:"
        fix = code.convert_signatures(reading.graph, *together)
        yield FAMILY.finding("info", (variable.name,), message, code.lines(f"# {how}", fix))


def _fits(reading: Reading, signature: str) -> bool:
    return signature == reading.signature or converts_with_others(reading.graph, signature)


def _older_state(reading: Reading) -> Iterator[Finding]:
    """State of the older kind, which no VAR_HANDLE shows."""
    nodes = [
        node
        for node in reading.reached_nodes
        if node.op in _KEEP_STATE
        and not (node.op == "LSTM" and node.attributes.get("kernel_type") == _BASIC_LSTM)
    ]
    if not nodes:
        return
    message = (
        f"{join_names(node.name for node in nodes)} "
        f"{'keeps' if len(nodes) == 1 else 'keep'} a state between calls without any variable: a "
        "new interpreter starts it at zero, and so does reset_all_variables()."
    )
    if any("SEQUENCE" in node.op for node in nodes):
        message += (
            f" TensorFlow {failing_releases(lstm.id, 'wrong')} also converted a layer that "
            "is not stateful to such an op: its file has to be reset before each sequence."
        )
    fix = code.lines(
        "# before each new sequence, on the interpreter that the signature runner came from:",
        "interpreter.reset_all_variables()",
    )
    yield FAMILY.finding("info", (), message, fix)


FAMILY = Family(
    id="shared-or-dynamic-state",
    order=150,
    what="The state has no fixed shape, or is not shared or reset as it was thought to be.",
    cause="A variable's shape depends on an input, or two signatures write the same variable.",
    fix=(
        "Give every variable a fixed shape and a first value that depends on no input, batch size"
        " included.\n\n"
        "self.state = tf.Variable(tf.zeros([1, units]))  # in __init__, not in the function"
    ),
    cases=(growing_variable, two_signatures, lstm),
    graph_rules={"saved_model": _in_saved_model, "tflite": _in_file},
    log_patterns=(
        Pattern(
            "unliftable",
            "Unable to lift tensor",
            after=r"(?:<tf\.tensor'(?P<tensor>[^']{1,200})')?",
        ),
        Pattern("unliftable", "unliftableerror"),
        Pattern("duplicate", "cannot duplicate the value since it's not constant"),
        Pattern("duplicate", "Failed to duplicate values for the stateful op"),
    ),
    log_meanings={
        "unliftable": Meaning(
            110,
            "{tensor:The first value of a variable} depends on an input: the variable cannot be"
            " made before the first call.",
        ),
        "duplicate": Meaning(
            110, "The first value of a state depends on an input: its shape is not known."
        ),
    },
    answers_wrongly=True,
)
