"""A recurrent layer whose list of tensors has no fixed shape, because the batch has no size."""

from __future__ import annotations

from collections.abc import Iterator

from varhandle.display import join_names
from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading
from varhandle.families.harness import Answers, Trace, case
from varhandle.families.log_index import Meaning
from varhandle.families.log_patterns import Pattern
from varhandle.graph import TensorSpec

_RECURRENT = frozenset(
    {"Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "RNN", "SimpleRNN"}
)
_LISTS = frozenset({"TensorListReserve", "EmptyTensorList"})


@case("lstm-any-batch", "Keras LSTM, batch size open")
def lstm_any_batch(trace: Trace) -> Answers:
    """Convert an LSTM as most people write it, without a batch size."""
    return trace.convert_lstm()


def _in_saved_model(reading: Reading) -> Iterator[Finding]:
    """Only a warning: the shape of a list's elements is a constant, whose value is not read."""
    if reading.signature is None:
        return
    inputs = reading.graph.signature(reading.signature).inputs
    if _has_open_batch(inputs) and any(node.op in _LISTS for node in reading.reached_nodes):
        message = (
            f"{reading.capital_subject} has a batch of no fixed size, and keeps tensors in a list "
            "(TensorListReserve), as a recurrent layer does: where an element of the list is as "
            "large as the batch, the converter has no shape for it."
        )
        yield FAMILY.finding("warning", (), message, _close_batch(reading, inputs))


def _in_keras_model(reading: Reading) -> Iterator[Finding]:
    inputs = reading.graph.main_signature.inputs
    layers = [node.name for node in reading.graph.nodes if node.op in _RECURRENT]
    if _has_open_batch(inputs) and layers:
        message = (
            f"The batch has no fixed size, and {join_names(layers)} keeps tensors in a list that "
            "is as large as the batch: the converter has no shape for it."
        )
        yield FAMILY.finding("warning", (), message, _close_batch(reading, inputs))


def _has_open_batch(inputs: tuple[TensorSpec, ...]) -> bool:
    return any(spec.shape and spec.shape[0] is None for spec in inputs)


def _close_batch(reading: Reading, inputs: tuple[TensorSpec, ...]) -> str:
    return code.lines(
        closing_code(inputs), code.cure_comment(reading.graph.source, reading.signature)
    )


def closing_code(inputs: tuple[TensorSpec, ...]) -> str:
    """Write what the author of a Keras model runs to export it with a batch of 1."""
    specs = [
        f"tf.TensorSpec({_closed(spec)}, {spec.dtype!r}, name={spec.name!r})" for spec in inputs
    ]
    return code.with_tensorflow(
        "# In the program that has the Keras model (Model.export opens a batch that was closed):",
        f"specs = [{', '.join(specs)}]",
        'model.export("exported", input_signature=specs if len(specs) == 1 else [specs])',
        'converter = tf.lite.TFLiteConverter.from_saved_model("exported")',
    )


def _closed(spec: TensorSpec) -> list[int | None] | None:
    return [1, *spec.shape[1:]] if spec.shape else None


FAMILY = Family(
    id="tensor-list",
    order=170,
    what='The converter stops with "requires element_shape to be static".',
    cause="A recurrent layer keeps a list of tensors as large as the batch, which has no size.",
    fix=(
        "Give the batch a size, and convert again with builtin ops only. Model.export opens a batch"
        " that was closed, unless it is told the shape. A tf.TensorArray of your own needs a size"
        " and an element_shape, and no dynamic_size.\n\n"
        "spec = tf.TensorSpec([1, *model.input_shape[1:]])\n"
        "model.export(folder, input_signature=[spec])\n"
        "converter = tf.lite.TFLiteConverter.from_saved_model(folder)"
    ),
    older=(
        (
            "2.1",
            "the first release that converts such a loop is 2.2; before it, unroll the layer"
            " (unroll=True, with a fixed number of steps).",
        ),
        *code.traced("a batch of 1", "[1, *model.input_shape[1:]]"),
        (
            "2.20",
            "the same cure works there.",
        ),
    ),
    cases=(lstm_any_batch,),
    graph_rules={"saved_model": _in_saved_model, "keras": _in_keras_model},
    log_patterns=(
        Pattern("tensor-list", "requires element_shape to be", after="(?:static|1dtensor)"),
        Pattern("tensor-list-dtype", "requires element_dtype to be 1-bit/8-bit"),
        Pattern("tensor-list", "Lowering tensor list ops is failed"),
        Pattern(
            "tensor-list-op",
            "TensorListFromTensor",
            company=("you will need custom implementations",),
            after=r"(?=[,.])",
        ),
        Pattern(
            "tensor-list-op",
            "Converting unsupported operation:",
            after=r"(?P<op>tensorarray(?:v\d)?)",
        ),
        Pattern(
            "tensor-list-op",
            "Flex ops:",
            after=r".{0,300}?(?P<op>flextensorlist(?:reserve|fromtensor|setitem|getitem|stack))",
        ),
        Pattern(
            "tensor-list-op",
            "failed to prepare",
            r"nodenumber\d{1,7}\((?P<op>flextensor(?:array|list)\w{0,40})\)$",
        ),
    ),
    log_meanings={
        "tensor-list": Meaning(
            125,
            "A list of tensors, as a recurrent layer keeps one, has elements whose shape is not"
            " known: as a rule the batch has no fixed size. No variable is at fault.",
        ),
        "tensor-list-dtype": Meaning(
            125,
            "A list of tensors has elements of a dtype, such as string, of which the converter"
            " makes no plain tensors. No variable is at fault.",
            "Keep numbers in the list or tf.TensorArray, such as ids, and look the strings up in"
            " the program around the model.",
        ),
        "tensor-list-op": Meaning(
            195,
            "The loop of a recurrent layer keeps its tensors in a list, by {op:TensorList ops},"
            " which this converter or runtime does not have without Flex.",
        ),
    },
    repair_step="close-shapes",
)
