"""TensorFlow's own ops in a file that the interpreter does not link."""

from family_checks import ids, log_test

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("flex-op-missing")
REFUSED = (
    "Select TensorFlow op(s), included in the given model, is(are) not supported by this"
    " interpreter. Make sure you apply/link the Flex delegate before inference. Node number 2"
    " ({}) failed to prepare."
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        REFUSED.format("FlexMatrixInverse"),
        "ERROR : Regular TensorFlow ops are not supported by this interpreter.\nERROR : Node number"
        " 0 (FlexPad) failed to prepare.",
        "Node number 106 (FlexCTCGreedyDecoder) failed to prepare.",
        "RuntimeError: Encountered unresolved custom op: FlexErf.Node number 0 (FlexErf) failed to"
        " prepare.",
        "W tf_tfl_flatbuffer_helpers.cc:491] TFLite interpreter needs to link Flex delegate in"
        " order to run the model since it contains the following Select TFop(s):\n"
        "Flex ops: FlexMatrixInverse\nDetails:",
    ],
)


def test_a_variables_op_is_another_family():
    assert ids(REFUSED.format("FlexVarHandleOp")) == ["flex-variable"]
    assert ids("Flex ops: FlexAddV2, FlexVarHandleOp") == ["flex-variable"]
    assert ids(REFUSED.format("FlexReluGrad")) == ["flex-variable"]  # an op of training


def test_the_op_is_named_and_an_older_release_told():
    again = "Node number 3 (FlexErf) failed to prepare."
    (match,) = explain(f"tensorflow==2.12.0\n{REFUSED.format('FlexErf')}\n{again}").matches
    assert match.message.startswith("FlexErf: ")
    assert "Bound to TensorFlow 2.12.0: the tensorflow package up to 2.19 links Flex" in match.fix
    assert "Bound" not in explain(REFUSED.format("FlexErf")).matches[0].fix
    place = "lib/python3.9/site-packages/tflite_runtime/interpreter.py"  # 2.14 was its last one
    (runtime,) = explain(f"{place}\n{REFUSED.format('FlexErf')}").matches
    assert "Bound to TensorFlow 2.5 to 2.14: the tensorflow package" in runtime.fix
    newer = explain(f"tensorflow==2.20.0\n{REFUSED.format('FlexErf')}").matches[0].fix
    assert "Bound" not in newer  # which links no Flex either
