"""A Keras 3 model that tf.saved_model.save wrote: each variable twice, one value."""

import numpy as np
import zoo
from family_checks import case_test, code_of, fix_of, ids, log_test, run

from varhandle import check_parity, explain
from varhandle.conversion.converter import convert
from varhandle.diagnosis import diagnose
from varhandle.families import keras3_export
from varhandle.families.catalog import family

FAMILY = family("keras3-export")

test_a_case_does_what_it_is_for = case_test(FAMILY, {"keras-in-module": "wrong"})

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "AttributeError: 'KerasVariable' object has no attribute 'read_value'",
        "AttributeError: 'Functional' object has no attribute '_get_save_spec'",
        "AttributeError: 'Functional' object has no attribute '_set_save_spec'",
        "LLVM ERROR: Failed to infer result type(s).\nAborted (core dumped)",
        "ValueError: `to_quantize` can only either be a keras Sequential or Functional model.",
        "ValueError: `to_annotate` can only be a `keras.layers.Layer` instance. You passed",
        "ValueError: `prune_low_magnitude` can only prune an object of the following types: keras",
        'File "/site-packages/onnx2tf/onnx2tf.py", line 1\nValueError: A KerasTensor cannot be used'
        " as input to a TensorFlow function.",
        'File "/site-packages/tf2onnx/convert.py"\n'
        "AttributeError: 'Sequential' object has no attribute 'output_names'",
        "onnx_model = tf2onnx.convert.from_keras(model)\nKeyError: 'keras_tensor_65'",
        'File "/site-packages/tensorflow_model_optimization/q.py"\n'
        "ValueError: Unable to clone model. This generally happens if you used custom Keras layers",
        "File \"/site-packages/ultralytics/e.py\"\nModuleNotFoundError: No module named 'tf_keras'",
        "ImportError: Keras cannot be imported. Check that it is installed.",
        "WARNING: SavedModel conversion failed. Fallback to freezing Keras model: no shape",
        "ValueError: SavedModel export failed, and legacy Keras fallback tracing also failed to"
        " produce any output tensors",
        "ValueError: The Keras model has no outputs after tracing.",
    ],
)


def test_what_a_tool_for_keras_2_wants_is_told():
    text = explain("`to_quantize` can only either be a keras Sequential or Functional model").text()
    assert "pip install tf_keras" in text
    assert "TF_USE_LEGACY_KERAS=1" in text
    line = "`to_quantize` can only either be a keras Sequential or Functional model"
    pinned = explain(f"tensorflow==2.17.0\n{line}").text()
    assert 'pip install "tf_keras~=2.17.0"' in pinned


def test_augmentation_is_exported_without_training(tf, tmp_path):
    """What the log of the failed export says to do gives the answers of ``predict``."""
    layers = tf.keras.layers
    body = [layers.RandomFlip(), layers.RandomRotation(0.2), layers.Flatten(), layers.Dense(2)]
    model = tf.keras.Sequential([tf.keras.Input((8, 8, 3)), *body])
    model.export(str(tmp_path / "training"))
    failed = convert(tmp_path / "training")
    (match,) = explain(failed.record.message).matches
    assert match.id == FAMILY.id
    names = run(code_of(match.fix), tf=tf, model=model, folder=str(tmp_path / "inference"))
    interpreter = tf.lite.Interpreter(model_content=names["converter"].convert())
    image = np.random.default_rng(0).random((1, 8, 8, 3), "float32")
    (name,) = interpreter.get_signature_runner().get_input_details()
    (answer,) = interpreter.get_signature_runner()(**{name: image}).values()
    np.testing.assert_allclose(answer, model.predict(image, verbose=0), atol=1e-5)


def test_keras_writes_the_saved_model(tf, tmp_path):
    model = tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(2)])
    names = run(
        code_of(keras3_export._OTHER_KERAS), tf=tf, model=model, folder=str(tmp_path / "other")
    )
    assert names["converter"].convert()
    owner = tf.Module()
    run(code_of(FAMILY.fix), tf=tf, model=model, folder=str(tmp_path), self=owner)
    assert len(owner.variables) == 2
    held = run(code_of(family("uninitialised-variable").fix), tf=tf)["Owner"](model)

    @tf.function(input_signature=[zoo.spec(tf, 1, 3)])
    def answer(x):
        return {"y": model(x)}

    tf.saved_model.save(held, str(tmp_path / "held"), signatures=answer)
    calls = [{"x": np.ones((1, 3), "float32")}]
    assert check_parity(
        answer.get_concrete_function(), convert(tmp_path / "held").content, calls
    ).passed


def test_a_keras_model_is_exported_again(tf, specimen_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    export, rest = fix_of(specimen_path("keras_in_a_module"), "keras3-export").split("# Or, ")
    model = zoo.dense_model()
    run(export, model=model)
    assert diagnose("exported", static=True).findings == ()
    module = tf.Module()
    module.model = model
    module.infer = tf.function(lambda x: {"y": model(x)}, input_signature=[zoo.spec(tf, 1, 4)])
    run("# " + rest, module=module, model=model, signature=module.infer)
    found = diagnose("exported")
    assert found.verdict == "convertible"
    assert found.findings == ()
    assert found.proof.passed


def test_none_is_called_in_the_converters_keras_code():
    traceback = (
        'Traceback (most recent call last):\n  File "{}", line 188, in _wrapped_model\n'
        "    with keras_deps.get_call_context_function()().enter(\n"
        "TypeError: 'NoneType' object is not callable"
    )
    unix = "/site-packages/tensorflow/lite/python/tflite_keras_util.py"
    assert ids(traceback.format(unix)) == ["keras3-export"]
    assert ids(traceback.format(unix.replace("/", "\\"))) == ["keras3-export"]
    other = traceback.format("app.py").replace("keras_deps.get_call_context_function", "make")
    assert ids(other) == []


def test_none_is_called_and_nothing_else_is_told():
    """G-17 quotes no more; with any other line beside it, that says where it comes from."""
    alone = "TypeError: 'NoneType' object is not callable"
    (match,) = explain(alone).matches
    assert match.id == "keras3-export"
    assert "names no cause" in match.message
    assert ids(f'  File "app.py", line 3, in <module>\n{alone}') == []
    assert ids(f"{alone}\nexit code 1") == []
