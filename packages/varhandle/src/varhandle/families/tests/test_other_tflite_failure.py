"""What a converter or a runtime of TFLite says, and no other family explains."""

import numpy as np
import pytest
from family_checks import code_of, ids, log_test, run

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("other-tflite-failure")

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "RuntimeError: CompiledModel error: code=3, message=Failed to allocate tensors",
        "    ptr = _cm.CreateCompiledModelFromFile(\nRuntimeError: ERROR:"
        " [./litert/cc/litert_compiled_model.h:1961]",
        "Failed to create compiled model (status = kLiteRtStatusErrorRuntimeFailure)",
        "com.google.ai.edge.litert.LiteRtException: Failed to compile model.",
        "E0000 litert_compiled_model.cc:312] Failed to allocate tensors\nLiteRtException: code=3",
        "Node FULLY_CONNECTED (number 2f) failed to prepare with status 1",
        'File "/site-packages/tensorflow/lite/python/lite.py", line 1175\nValueError: x',
        'File "/site-packages/tflite/lite/python/interpreter.py", line 12, in invoke',
        r"C:\lib\lite\python\lite.py in convert(self)",
        r"C:\lib\lite\python\interpreter.py in invoke(self)",
        r"C:\lib\lite\python\convert.py in toco_convert(x) C:\lib\lite\python\convert_phase.py in",
        'File "tensorflow/lite/python/convert.py", line 9',
        'File "tensorflow/lite/python/convert_phase.py", line 9',
        "ERROR: [litert/runtime/compiled_model.cc:920]\n Failed to allocate tensors (code=3)",
        'File "/site-packages/tensorflow/lite/python/util.py", line 98, in x\nValueError: x',
        'File "/site-packages/tensorflow/lite/python/optimize/calibrator.py", line 9, in x',
        'File "/site-packages/ai_edge_litert/interpreter.py", line 984, in invoke',
        "File ~/venv/site-packages/ai_edge_litert/aot/aot_compile.py:84, in aot_compile(x)",
        'File "/usr/lib/python3/dist-packages/tflite_runtime/interpreter.py", line 493, in invoke',
        r"C:\lib\tflite_runtime\interpreter.py in invoke(self)",
        'File "/site-packages/keras/src/export/litert.py", line 152, in _convert_to_tflite',
        'File "/site-packages/ai_edge_quantizer/quantizer.py", line 478, in quantize',
        'File "/site-packages/litert_quantizer/quantizer.py", line 478, in quantize',
        'File "/site-packages/ai_edge_torch/convert.py", line 9, in convert',
        'File "/site-packages/litert_torch/convert.py", line 9, in convert',
        r"C:\lib\ai_edge_torch\convert.py in f(m) C:\lib\litert_torch\convert.py in f(m)"
        r" C:\lib\ai_edge_quantizer\q.py in f(m) C:\lib\litert_quantizer\q.py in f(m)"
        r" C:\lib\keras\src\export\litert.py in f(m)",
        "F tensorflow/lite/toco/tooling_util.cc:1662] Check failed: dim_x == dim_y (40 vs. 20)",
        "RuntimeError: Failed to convert PyTorch model to LiteRT. Common causes: unsupported",
        "Failed to initialize op resolver for calibration:\nThere are unresolved builtin ops: [A]",
        "TensorFlow SavedModel: export failure 24.3s: x",
        "TensorFlow Lite: export failure 24.3s: x",
        "LiteRT: export failure 24.3s: x",
        "Edge TPU: export failure 0.0s: export only supported on Linux.",
        "TensorFlowLite.InterpreterError: Failed to create the interpreter.",
        "Fatal signal 11 (SIGSEGV), code 1\n #00 pc 01 /lib/arm64/libtensorflowlite_jni.so",
        "error: 'tfl.max_pool_2d' op quantization parameters violate the same scale constraint",
        "error: 'tfl.fully_connected' op expect 'input' num_elements % 1024 == 0",
        "error: loc(\"c\"): 'tf.ExpandDims' op requires all operands to be static",
        "E/flutter: Unhandled Exception: Invalid argument(s): Unable to create interpreter.",
        "Bad state: failed precondition\n#1 (package:tflite_flutter/src/tensor.dart:150:5)",
        "NullPointerException: x\n at org.tensorflow.lite.Interpreter.run(Interpreter.java:1)",
        "RuntimeError: gather index out of boundsNode number 0 (GATHER) failed to invoke.",
        "tensorflow.lite.python.convert_phase.ConverterError: <unknown>:0: error: something new",
        "Exception: Could not translate MLIR to FlatBuffer.",
        "Internal error: Failed to run on the given Interpreter:",
        "AllocateTensors() failed",
        "external/org_tensorflow/tensorflow/lite/kernels/conv.cc:345 bias->type != input_type",
    ],
)


def test_it_is_silent_where_something_better_is_known():
    better = "ConverterError: error: 'tf.Erf' op is neither a custom op nor a flex op"
    assert ids(better) == ["op-without-builtin"]


def test_another_compiler_that_aborts_is_none():
    assert ids("Internal compiler error. Aborting!") == []


def test_a_bare_code_leads_to_the_interpreter_that_names_the_op(tf, tmp_path):
    (match,) = explain("RuntimeError: CompiledModel error: code=3, message=Failed").matches
    assert "number 3" in match.message
    spec = tf.TensorSpec([2], tf.int32)
    function = tf.function(lambda x: tf.gather([1.0, 2.0], x)).get_concrete_function(spec)
    path = tmp_path / "model.tflite"
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], function)
    path.write_bytes(converter.convert())
    run(code_of(match.fix), path=str(path))


def test_an_op_that_refuses_a_value_is_named(tf):
    from ai_edge_litert.interpreter import Interpreter

    spec = tf.TensorSpec([2], tf.int32)
    function = tf.function(lambda x: tf.gather([1.0, 2.0], x)).get_concrete_function(spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], function)
    interpreter = Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.array([5, 9], "int32"))
    with pytest.raises(RuntimeError) as refused:
        interpreter.invoke()
    (match,) = explain(str(refused.value)).matches
    assert match.message.startswith("GATHER of the file refuses")
