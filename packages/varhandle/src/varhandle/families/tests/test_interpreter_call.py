"""A program that calls an interpreter with what the file does not take, or out of order."""

import subprocess
import sys
import traceback

import numpy as np
import pytest
from family_checks import code_of, counter, ids, log_test, run
from printed_code import ran

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("interpreter-call")


@pytest.fixture(scope="module")
def content(tf):
    module = counter(tf)
    function = module.__call__.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([function], module).convert()


@pytest.mark.parametrize(
    "call",
    [
        lambda it: (it.allocate_tensors(), it.set_tensor(0, np.ones(5, "float32"))),
        lambda it: (it.allocate_tensors(), it.set_tensor(0, np.ones((1, 4), "float32"))),
        lambda it: (it.allocate_tensors(), it.set_tensor(0, np.ones(4))),
        lambda it: it.set_tensor(0, np.ones(4, "float32")),
        lambda it: it.invoke(),
        lambda it: it.get_tensor(0),
        lambda it: it.get_signature_runner("nope"),
        lambda it: it.get_signature_runner()(nope=np.ones(4, "float32")),
        lambda it: it.get_signature_runner()(),
        lambda it: it.set_tensor(999, np.ones(4, "float32")),
        lambda it: type(it)(),
        lambda it: type(it)("m.tflite", b"TFL3"),
        lambda it: type(it)("m.tflite", num_threads=0),
        lambda it: type(it)("m.tflite", num_threads="2"),
        lambda it: type(it)("m.tflite", experimental_op_resolver_type="none"),
    ],
)
def test_todays_interpreter_is_understood(content, call):
    from ai_edge_litert.interpreter import Interpreter

    with pytest.raises((ValueError, RuntimeError)) as refused:
        call(Interpreter(model_content=content))
    assert ids(str(refused.value)) == [FAMILY.id]


@pytest.mark.parametrize(
    "call",
    [
        lambda it, ins, outs: ins[0].write(np.ones(99, "float32")),
        lambda it, ins, outs: outs[0].read(99, np.float32),
        lambda it, ins, outs: it.run_by_index(0, [], outs),
        lambda it, ins, outs: it.run_by_index(7, ins, outs),
        lambda it, ins, outs: it.run_by_name("nope", {}, {}),
        lambda it, ins, outs: it.run_by_name("serving_default", {"x": ins[0]}, {}),
        lambda it, ins, outs: it.create_input_buffer_by_name("nope", "x"),
        lambda it, ins, outs: it.create_input_buffer_by_name("serving_default", "nope"),
        lambda it, ins, outs: it.create_output_buffer_by_name("serving_default", "nope"),
        lambda it, ins, outs: it.get_input_tensor_details("nope"),
        lambda it, ins, outs: it.resize_input_tensor_by_name("nope", "x", [4]),
        lambda it, ins, outs: it.resize_input_tensor_by_name("serving_default", "nope", [4]),
    ],
)
def test_todays_compiled_model_is_understood(content, call):
    """It names what is wrong below a bare number, and that is no op that it does not have."""
    from ai_edge_litert.compiled_model import CompiledModel

    model = CompiledModel.from_buffer(content)
    with pytest.raises((RuntimeError, ValueError)) as refused:
        call(model, model.create_input_buffers(0), model.create_output_buffers(0))
    (seen,) = explain(f"in ai_edge_litert\n{refused.typename}: {refused.value}").matches
    assert seen.id == FAMILY.id
    assert "CompiledModel is called" in seen.message
    array = np.ones(4, "float32")
    names = run(code_of(seen.fix), model=model, array=array)
    assert list(names["outputs"][0].read(4, np.float32)) == [1, 1, 1, 1]


@pytest.mark.parametrize("call", [("nope", {}), ("serving_default", {"nope": 1})])
def test_a_name_is_not_a_size(content, call, capsys):
    """The line is that of the error, and not the line of Python that raises it."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    try:
        interpreter.get_signature_runner(call[0])(**call[1])
    except ValueError:
        log = traceback.format_exc()
    (seen,) = explain(log).matches
    assert "names a signature or an input" in seen.message
    assert seen.line == log.splitlines()[-1]
    inputs = {"x": np.ones(4, "float32")}
    assert list(run(code_of(seen.fix), interpreter=interpreter, inputs=inputs)["answer"]["y"])


test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "ValueError: Cannot set tensor: Dimension mismatch. Got 640 but expected 320 for dimension"
        " 1 of input 0.",
        "Cannot set tensor: Got tensor of type INT64 but expected type FLOAT32 for input 3",
        "ValueError: `model_path` or `model_content` must be specified.",
        "ValueError: Can't both provide `model_path` and `model_content`",
        "ValueError: type of num_threads should be int",
        "ValueError: num_threads should >= 1",
        "ValueError: Unrecognized passed in op resolver type: none",
        "ValueError: Pass either options or hardware_accel, not both.",
        "in ai_edge_litert/compiled_model.py\nValueError: Unknown signature: x",
        "in ai_edge_litert/compiled_model.py\nValueError: Unknown input 'x' for signature 'y'",
        "Cannot set tensor: Numpy array for string input 0, name: x, has 3 bytes",
        "Cannot set tensor: Size mismatch, expected 4 for dim 0 but found 5",
        "Cannot copy to a TensorFlowLite tensor (x) with 602112 bytes from a Java Buffer with 150"
        " bytes.",
        "Cannot copy from a TensorFlowLite tensor (Identity) with shape [1, 10] to a Java object"
        " with shape [1, 1001].",
        "Cannot convert between a TensorFlowLite tensor with type FLOAT32 and a Java object of type"
        " [[I (which is compatible with the TensorFlowLite type INT32).",
        "SignatureDef signature_key is None and model has 2 Signatures.",
        "RuntimeError: There is at least 1 reference to internal data\n in the interpreter",
        "RuntimeError: Input tensor 12 lacks data",
        "RuntimeError: Invoke called on model that is not ready.",
        "ValueError: Tensor data is null. Run allocate_tensors() first",
        "Cannot set tensor: Tensor is unallocated. Try calling allocate_tensors() first",
        "ValueError: Invalid Input name (nope) for SignatureDef",
        "ValueError: Invalid number of inputs provided for running a SignatureDef, expected 1",
        'ValueError: Invalid signature_key provided: "nope".',
        "ValueError: Invalid tensor index 77 exceeds max tensor index 3",
        "RuntimeError: WriteTensorBuffer: source buffer is larger than the tensor buffer",
        "RuntimeError: ReadTensorToBuffer: destination buffer is larger than the tensor buffer",
        *(
            f"RuntimeError: CompiledModel error: code=6, message={message}"
            for message in (
                "└ Cannot auto-resize tensor x: static dimension mismatch at index 1 (current: 4,",
                "└ Input buffer size mismatch: number of inputs:1 vs buffers:0",
                "└ Signature index is out of range of signature keys",
                "The given map is missing some output TensorBuffers",
                "Signature not found: nope",
                "└ Output tensor not found: nope",
                "Failed to get signature_index",
            )
        ),
    ],
)


def test_the_sizes_and_dtypes_are_told():
    size = "Cannot set tensor: Dimension mismatch. Got 640 but expected 320 for dimension 1"
    dtype = "Cannot set tensor: Got value of type FLOAT64 but expected type FLOAT32 for input 0"
    assert "of 640 where the file has 320 (dimension 1)" in explain(size).text()
    assert "of dtype 'FLOAT64' where the file has 'FLOAT32'" in explain(dtype).text()


def test_the_fix_of_a_log_runs(content, tmp_path, capsys):
    from ai_edge_litert.interpreter import Interpreter

    run(code_of(FAMILY.fix), interpreter=Interpreter(model_content=content))
    assert "float32" in capsys.readouterr().out
    (made,) = explain("ValueError: num_threads should >= 1").matches
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    run(code_of(made.fix), path=str(path))["interpreter"].allocate_tensors()
    (out_of_order,) = explain("Invoke called on model that is not ready.").matches
    inputs = {"x": np.ones(4, "float32")}
    interpreter = Interpreter(model_content=content)
    names = run(code_of(out_of_order.fix), interpreter=interpreter, inputs=inputs)
    assert list(names["answer"]["y"]) == [1, 1, 1, 1]


def test_a_file_of_bfloat16_opens_after_the_printed_import(tf, tmp_path):
    """In a bare interpreter: without the line it refuses, and with it the values are right."""
    function = tf.function(lambda x: tf.cast(x, tf.bfloat16), [tf.TensorSpec([3], tf.float32)])
    concrete = [function.get_concrete_function()]
    content = tf.lite.TFLiteConverter.from_concrete_functions(concrete).convert()
    (tmp_path / "m.tflite").write_bytes(content)
    bare = f"""
import numpy as np
from ai_edge_litert.interpreter import Interpreter
it = Interpreter({str(tmp_path / "m.tflite")!r})
it.allocate_tensors()
it.set_tensor(it.get_input_details()[0]["index"], np.float32([1.5, -2, 3]))
it.invoke()
print(it.get_tensor(it.get_output_details()[0]["index"]).astype("float32").tolist())
"""
    refused = subprocess.run(
        [sys.executable, "-c", bare], capture_output=True, text=True, check=False
    )
    assert ids(refused.stderr) == [FAMILY.id]
    line = code_of(explain(refused.stderr).matches[0].fix)
    done = subprocess.run(
        [sys.executable, "-c", f"{line}\n{bare}"], capture_output=True, text=True, check=False
    )
    assert done.stdout == "[1.5, -2.0, 3.0]\n", done.stderr
    ran(line)
