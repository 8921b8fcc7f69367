"""A delegate that does not load, or does not take the model."""

from family_checks import code_of, counter, ids, log_test, run

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("delegate-refused")

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "ValueError: Failed to load delegate from libedgetpu.so.1",
        "OSError: libedgetpu.so.1: cannot open shared object file: No such file or directory\n"
        "AttributeError: 'Delegate' object has no attribute '_library'",
        "Internal error: Failed to apply delegate: Next operations are not supported by GPU"
        " delegate:\nMAXIMUM: Operation is not supported.\nFirst 2 operations will run on the GPU,"
        " and the remaining 249 on the CPU.\nModifyGraphWithDelegate is disallowed when graph is"
        " immutable.",
        "Following operations are not supported by GPU delegate:\n    CAST: Not supported cast",
        "RuntimeError: Failed to apply the default TensorFlow Lite delegate indexed at 0.",
        "java.lang.IllegalArgumentException: Internal error: Error applying delegate:",
        "Restored original execution plan after delegate application failure.",
        "Can not open OpenCL library on this device - dlopen failed: library not found",
        "E/tflite: TfLiteGpuDelegate Init: MEAN: Operation is not supported.",
        "TfLiteGpuDelegate Prepare: Only identical batch dimension is supported\nNode number 238"
        " (TfLiteGpuDelegate) failed to prepare.",
        "TfLiteGpuDelegate Invoke: OpenGL error",
        "Error in applying the default TensorFlow Lite delegate indexed at 0, and all previously",
        "Hexagon Delegate is not supported.",
        "Batch size mismatch, expected 1 but got 4\nNode number 12 (TfLiteGpuDelegateV2) failed to"
        " prepare.\nInvalid argument(s): Unable to create interpreter.",
        "TensorFlow Lite Error: Node number 64 (TfLiteCoreMlDelegate) failed to invoke.",
        "NN API returned error ANEURALNETWORKS_BAD_DATA at line 4157 while adding operation.",
        "failed to create XNNPACK runtime",
        "Skipping failed compilation. Error: apply_plugin failed to apply plugin. See /tmp/model",
        "failed to setup XNNPACK runtime",
        "Failed to fetch Hexagon NN version. This might be because you're using incompatible",
        "failed to invoke XNNPACK runtime",
        "Failed to get or create delegate WebGPU environment: INTERNAL: Failed to initialize WebGPU"
        " environment",
        "Some ops are not accelerated. Add kLiteRtHwAcceleratorCpu to the compilation accelerator"
        " set to allow using the CPU to run those.",
    ],
)


def test_ops_that_stay_on_the_cpu_are_no_failure():
    log = "Following operations are not supported by GPU delegate:\nARG_MAX: Operation is not"
    (match,) = explain(f"{log} supported.\n9 operations will run on the GPU").matches
    assert "ARG_MAX" in match.message
    assert "nothing is to be done" in match.fix


def test_an_op_of_a_variable_is_another_familys():
    """This one says that no variable is at fault."""
    log = "Following operations are not supported by GPU delegate:\nREAD_VARIABLE: Operation is not"
    assert ids(f"{log} supported.\n9 operations will run on the GPU") == ["other-resource"]


def test_a_delegate_that_works_is_none():
    assert (
        ids("INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nReplacing 3 out of 4") == []
    )


def test_the_fix_of_a_log_runs(tf, tmp_path):
    module = counter(tf)
    function = module.__call__.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    path = tmp_path / "model.tflite"
    path.write_bytes(converter.convert())
    run(code_of(FAMILY.fix), path=str(path))["interpreter"].allocate_tensors()
