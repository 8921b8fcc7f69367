"""A size that is not known where a converter, a kernel or a delegate has to know it."""

import numpy as np
from family_checks import code_of, ids, log_test, run

from varhandle import check_parity, explain
from varhandle.families.catalog import family

FAMILY = family("dynamic-shape")

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "RuntimeError: Attempting to use a delegate that only supports static-sized tensors with a"
        " graph that has dynamic-sized tensors (tensor#61 is a dynamic-sized tensor).",
        "ValueError: None is only supported in the 1st dimension. Tensor 'input_1' has invalid"
        " shape '[None, None, None, 3]'.",
        "ValueError: Provide an input shape for input array 'x'.",
        "RuntimeError: Attempting to resize dimension 0 of tensor 0 with value 1 to 2."
        " ResizeInputTensorStrict only allows mutating unknown dimensions identified by -1.",
        "RuntimeError: tensorflow/lite/kernels/reshape.cc:94 num_input_elements !="
        " num_output_elements (12 != 4)Node number 0 (RESHAPE) failed to prepare.",
        "tensorflow/lite/kernels/reshape.cc:66 stretch_dim != -1 (0 != -1)Node number 3 (RESHAPE)"
        " failed to prepare.",
        "Given shapes, [1 8 8 3] and [1 4 4 3], are not broadcastable.Node number 2 (ADD) failed to"
        " prepare.",
        "RuntimeError: XNNPack delegate failed to reshape runtimeNode number 2"
        " (TfLiteXNNPackDelegate) failed to prepare.",
        "Cannot allow dynamic tensors due to previous delegation, resetting to original execution"
        " plan.",
        "tensorflow/lite/kernels/kernel_util.cc:404 d1 == d2 || d1 == 1 || d2 == 1 was"
        " not true.Node number 85 (ADD) failed to prepare.",
        "ERROR: tensorflow/lite/util.cc BytesRequired number of elements overflowed.",
        "tensorflow/lite/kernels/concatenation.cc:158 t->dims->data[d] != t0->dims->data[d] (26 !="
        " 25)Node number 120 (CONCATENATION) failed to prepare.",
    ],
)


def test_the_tensor_and_its_shape_are_named():
    sizes = "Tensor 'input_1' has invalid shape '[None, 8, None, 3]'."
    (match,) = explain(f"ValueError: None is only supported in the 1st dimension. {sizes}").matches
    assert match.message.endswith("and 'input_1' has an open one ('[None,8,None,3]').")
    static = "a delegate that only supports static-sized tensors with a graph"
    (match,) = explain(f"{static} that has dynamic-sized tensors (tensor#61 is a").matches
    assert "the size of tensor 61 is decided" in match.message


def test_calibration_data_of_another_size_are_no_matter_of_an_open_one():
    where = "python/optimize/calibrator.py, in _feed_tensors\nself._calibrator.FeedTensor(array)\n"
    resized = "ResizeInputTensorStrict only allows mutating unknown dimensions identified by -1."
    assert ids(resized) == [FAMILY.id]
    assert ids(f"{where}RuntimeError: {resized}") == ["full-integer-quantization"]


def test_shapes_of_another_library_are_none():
    assert ids("ValueError: Given shapes, [2 3] and [4], are not broadcastable.") == []


def test_the_fix_of_a_log_runs(tf, tmp_path):
    layers = [tf.keras.Input((None, None, 3)), tf.keras.layers.Conv2D(2, 3)]
    model = tf.keras.Sequential(layers)
    names = run(code_of(FAMILY.fix), tf=tf, model=model, folder=str(tmp_path))
    saved = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    (name,) = saved.structured_input_signature[1]
    calls = [{name: np.random.default_rng(0).random((1, 64, 64, 3), "float32")}]
    assert check_parity(saved, names["converter"].convert(), calls).passed
