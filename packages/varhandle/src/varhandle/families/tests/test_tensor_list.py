"""A recurrent layer whose batch has no size."""

import numpy as np
import pytest
from family_checks import case_test, code_of, finding_of, ids, log_test, run

from varhandle import check_parity, explain
from varhandle.families.catalog import family, find
from varhandle.formats import read_graph

FAMILY = family("tensor-list")


def recurrent(tf):
    return tf.keras.Sequential([tf.keras.Input((5, 3)), tf.keras.layers.LSTM(4)])


test_a_case_does_what_it_is_for = case_test(
    FAMILY, {"lstm-any-batch": "convert: ConverterError: requires element_shape to be static"}
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "error: 'tf.TensorListReserve' op requires element_shape to be static during TF Lite"
        " transformation pass",
        "E: loc(\"TensorArrayV2_1\"): 'tf.TensorListReserve' op requires element_shape to be 1D"
        " tensor during TF Lite transformation pass",
        "error: requires element_dtype to be 1-bit/8-bit/16-bit/32-bit/64-bit integer or",
        "TF Select ops: TensorListReserve, TensorListSetItem, TensorListStack\nDetails:",
        "error: Lowering tensor list ops is failed. Please consider using Select TF ops",
        "I tensorflow/lite/toco/import_tensorflow.cc:659] Converting unsupported operation:"
        " TensorArrayV3\nConverting unsupported operation: Enter\nConverting unsupported operation:"
        " Exit",
        "Here is a list of operators for which you will need custom implementations:"
        " TensorListFromTensor, TensorListReserve, TensorListStack, While.",
        "ERROR: Select TensorFlow op(s), included in the given model, is(are) not supported by this"
        " interpreter.\nERROR: Node number 13 (FlexTensorArrayV3) failed to prepare.",
        "Node number 3 (FlexTensorListReserve) failed to prepare.",
        "The model contains the following Select TFop(s):\n"
        "Flex ops: FlexErf, FlexTensorListReserve, FlexTensorListStack\nDetails:",
    ],
)


def test_a_loop_without_a_layer_is_not_taken_for_one():
    assert "tensor-list" not in ids(
        "you will need custom implementations: TensorListReserve, While."
    )


def test_todays_converter_is_understood(tf):
    """A list that is not lowered is refused by its ops, which is no matter of these ops."""
    converter = tf.lite.TFLiteConverter.from_keras_model(recurrent(tf))
    converter._experimental_lower_tensor_list_ops = False
    with pytest.raises(Exception, match="neither a custom op nor a flex op") as refused:
        converter.convert()
    (match,) = explain(str(refused.value)).matches
    assert match.id == FAMILY.id
    assert match.fix == f"Leave _experimental_lower_tensor_list_ops as it is (True). {FAMILY.fix}"


@pytest.mark.parametrize("settings", [{}, {"size": 0, "dynamic_size": True}])
def test_what_is_said_of_an_array_of_ones_own_is_so(tf, settings):
    """Only the failing ops are named, and with a size and a shape it converts."""

    def convert(**settings):
        @tf.function(input_signature=[tf.TensorSpec([None, None])])
        def doubled(x):
            array = tf.TensorArray(tf.float32, **{"size": tf.shape(x)[0], **settings})
            for i in tf.range(tf.shape(x)[0]):
                array = array.write(i, 2.0 * x[i])
            return array.stack()

        functions = [doubled.get_concrete_function()]
        return tf.lite.TFLiteConverter.from_concrete_functions(functions, doubled).convert()

    with pytest.raises(Exception, match="Lowering tensor list ops is failed") as refused:
        convert(**settings)
    assert ids(str(refused.value)) == [FAMILY.id]
    assert "a size and an element_shape, and no dynamic_size" in FAMILY.fix
    assert convert(element_shape=[4])


def test_the_fix_of_a_log_runs(tf, tmp_path):
    model = recurrent(tf)
    names = run(code_of(FAMILY.fix), tf=tf, model=model, folder=str(tmp_path / "closed"))
    closed = tf.saved_model.load(str(tmp_path / "closed")).signatures["serving_default"]
    (name,) = closed.structured_input_signature[1]
    calls = [{name: np.full((1, 5, 3), i, "float32")} for i in range(3)]
    assert check_parity(closed, names["converter"].convert(), calls).passed
    assert find(read_graph(tmp_path / "closed")) == ()


def test_it_shows_in_a_graph_and_the_fix_is_for_this_model(
    tf, specimen_path, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    finding = finding_of(specimen_path("lstm_of_any_batch"), "tensor-list")
    assert finding.severity == "warning"
    names = run(finding.fix, model=recurrent(tf))
    assert names["converter"].convert()


def test_a_batch_of_one_is_no_matter(specimen_path):
    assert "tensor-list" not in [f.id for f in find(read_graph(specimen_path("counter")))]
