"""A quantization that stops at an op without an integer kernel, or at its calibration data."""

import numpy as np
import pytest
from family_checks import code_of, ids, log_test, run

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("full-integer-quantization")
CALIBRATOR = 'File "/site-packages/tensorflow/lite/python/optimize/calibrator.py", line 129\n'

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "RuntimeError: Quantization not yet supported for op: 'SQRT'.",
        "RuntimeError: Quantization to 16x8-bit not yet supported for op: 'CONV_3D'",
        "Unimplemented: this graph contains an operator of type Cast for which the quantized form"
        " is not yet implemented. Sorry, and patches welcome",
        "RuntimeError: Max and min for dynamic tensors should be recorded during calibration:"
        " Failed for tensor arg0",
        "Array conv1, which is an input to the Div operator producing the output array dropout, is"
        " lacking min/max data, which is necessary for quantization.",
        "ValueError: representative_dataset is required when specifying TFLITE_BUILTINS_INT8",
        "Input tensor missing quantization information. Should be populated during calibration.",
        "ValueError: Quantization input stats are not available for input tensors 'x'.",
        "ValueError: The `quantized_input_stats` flag must be defined when either",
        "Unable to find buffer or min/max value for input 1 in ADD in subgraph 0, node: 3",
        "RuntimeError: Model resulted in Nan value during calibration. Please make sure",
        "RuntimeError: Quantization failed: Empty min/max for tensor input_1",
        f"{CALIBRATOR}ValueError: Size mismatch, expected 4 for dim 1 but found 5",
        f"{CALIBRATOR}ValueError: Invalid input size: expected 2 items got 1 items.",
        f"{CALIBRATOR}ValueError: Invalid input shapes: expected 2 items got 1 items.",
        f"{CALIBRATOR}ValueError: You need to provide either a dictionary with input names",
        "ValueError: For full integer quantization, a `representative_dataset` must be specified.",
        "ValueError: The inference_input_type and inference_output_type must be tf.float32.",
        "The kTfLiteInt16 input type is incompatible with kTfLiteInt8 quantized models.",
        "Hybrid models are not supported on TFLite Micro.",
        "Input type: FLOAT32 with filter type : INT8 not supported.\nNode FULLY_CONNECTED (number"
        " 5f) failed to prepare with status 1",
        "Unsupported input type INT8 for input tensor 0 of type FLOAT32.",
        "Unsupported output type UINT8 for output tensor 'Identity' of type FLOAT32.",
        "Edge TPU Compiler version 16.0.384591198\nInvalid model: m.tflite\nModel not quantized",
        "ValueError: The inference_input_type and inference_output_type must be in ['tf.float32',",
        "Unsupported `inference_input_type` value. Expected to be in ('tf.uint8', 'tf.int8'),",
        "Unsupported `inference_output_type` value. Expected to be in ('tf.uint8', 'tf.int8'),",
        "Initial model input type must be tf.float32. Expected type for tensor with name 'x' is",
        "Initial model output type must be tf.float32. Expected type for tensor with name 'y' is",
        "Initial model input is not quantized. Expected type for tensor with name 'x' should be",
        "Initial model output is not dequantized. Expected type for tensor with name 'y' should",
        "thus `target_spec.supported_types` should be left uninitizalized or set to {tf.int8}.",
        "`_experimental_variable_quantization` is only supported for full integer quantization.",
        "`full_integer_quantization_bias_type` is only supported for full integer quantization.",
        "ValueError: converter object must set representative_dataset",
        f"{CALIBRATOR}ValueError: Cannot set tensor: Dimension count mismatch, expected 4 but",
        'File "tensorflow_lite_wrap_calibration_wrapper.py", line 112, in FeedTensor\nValueError:'
        " Cannot set tensor: Got tensor of type STRING but expected type FLOAT32 for input 22",
        "tensorflow/lite/kernels/pad.cc:118 op_context.input->type !="
        " op_context.constant_values->type (INT8 != FLOAT32)Node number 3 (PADV2) failed to"
        " prepare.",
        "tensorflow/contrib/lite/kernels/conv.cc:201 filter->type != data_type (3 != 1)\nNode 1"
        " failed to prepare.",
        "`to_quantize` can only either be a tf.keras Sequential or Functional model.",
        "Layer a:<class 'TFOpLambda'> is not supported. You can quantize this layer by"
        " passing a `tfmot.quantization.keras.QuantizeConfig` instance",
    ],
)


def batches():
    return ([np.ones((1, 8), "float32")] for _ in range(2))


def elu(tf):
    """A converter of a model whose ELU has no 16x8 kernel."""
    layers = [tf.keras.Input((8,)), tf.keras.layers.Dense(4), tf.keras.layers.ELU()]
    return tf.lite.TFLiteConverter.from_keras_model(tf.keras.Sequential(layers))


@pytest.mark.parametrize(
    ("samples", "settings"),
    [
        (None, {"supported_ops": ["TFLITE_BUILTINS_INT8"]}),
        (
            batches,
            {"supported_ops": ["EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"]},
        ),
        (lambda: ([np.ones((1, 8))] for _ in range(2)), {}),
        (lambda: ([np.ones((1, 9), "float32")] for _ in range(2)), {}),
        (lambda: (np.ones((1, 8), "float32") for _ in range(2)), {}),
        (lambda: ([np.ones((1, 8), "float32")] * 2 for _ in range(2)), {}),
        (None, {"input_type": "uint8"}),
        (batches, {"supported_ops": ["TFLITE_BUILTINS_INT8"], "input_type": "int16"}),
        (batches, {"supported_ops": ["TFLITE_BUILTINS_INT8"], "input_type": "int32"}),
        (batches, {"supported_ops": ["TFLITE_BUILTINS_INT8"], "type": "float16"}),
    ],
    ids=[
        *("no data", "16x8", "float64", "size", "no list", "two inputs", "input type"),
        *("type of another mode", "no type of inputs", "supported type"),
    ],
)
def test_todays_converter_is_understood(tf, samples, settings):
    import traceback

    converter = elu(tf)
    if samples is not None or "supported_ops" in settings:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    for name in settings.get("supported_ops", ()):
        converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, name)]
    if "input_type" in settings:
        converter.inference_input_type = getattr(tf, settings["input_type"])
    if "type" in settings:
        converter.target_spec.supported_types = [getattr(tf, settings["type"])]
    with pytest.raises((ValueError, RuntimeError)) as refused:
        converter.convert()
    log = "".join(traceback.format_exception(refused.value))
    assert ids(log)[0] == FAMILY.id
    if len(settings) > 1:  # what is to be done is to choose another type
        run(code_of(explain(log).matches[0].fix), tf=tf, converter=converter)
        assert converter.convert()


def test_calibrators_words_in_another_program_are_none():
    assert ids("ValueError: Size mismatch, expected 4 for dim 1 but found 5") == []
    assert ids("You need to provide a representative picture.") == []


def test_an_older_release_is_told_of_its_custom_ops():
    line = "RuntimeError: Quantization not yet supported for op: 'CUSTOM'."
    (match,) = explain(f"tensorflow==2.3.0\n{line}").matches
    assert "Bound to TensorFlow 2.3.0: leave TFLITE_BUILTINS_INT8 out" in match.fix


@pytest.mark.parametrize(
    ("log", "activations"),
    [
        ("Quantization not yet supported for op: 'SQRT'", "int8"),
        ("Quantization to 16x8-bit not yet supported for op: 'ELU'", "int16"),
        ("Hybrid models are not supported on TFLite Micro.", "int8"),
        ("tensorflow/lite/kernels/pad.cc:1 a->type != b->type (INT8 != FLOAT32)", "float32"),
    ],
)
def test_the_fixes_of_a_log_run(tf, log, activations):
    from ai_edge_litert.interpreter import Interpreter

    (match,) = explain(log).matches
    converter = elu(tf)
    if "Hybrid" not in log:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    (data,) = explain("Model resulted in Nan value during calibration").matches
    samples = np.random.default_rng(0).random((16, 8))
    names = run(code_of(data.fix), converter=converter, samples=samples)
    run(code_of(match.fix), **names, tf=tf)
    interpreter = Interpreter(model_content=converter.convert())
    dtypes = {np.dtype(tensor["dtype"]).name for tensor in interpreter.get_tensor_details()}
    assert activations in dtypes
