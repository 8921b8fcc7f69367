"""An infinity that becomes 3.4e38: located, told, and cured where LiteRT's kernels allow it."""

from pathlib import Path

import numpy as np
import pytest
import zoo
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.interpreter import OpResolverType as Kernels
from family_checks import case_test, code_of, run, severe

from varhandle import cure, diagnose
from varhandle.families.catalog import family
from varhandle.families.clamped_infinity import FINITE
from varhandle.repair.refusal import NoCureError

FAMILY = family("clamped-infinity")
INF = float("inf")

test_a_case_does_what_it_is_for = case_test(FAMILY, {"infinite-constant": "wrong"})

KEPT = {
    "a mask": lambda tf, x: tf.where(x > 0.0, x, -INF),
    "the maximum of nothing": lambda tf, x: tf.concat(
        [x, tf.reduce_max(x[:, 4:], axis=1, keepdims=True)], 1
    ),
    "the minimum of nothing": lambda tf, x: tf.concat(
        [x, tf.reduce_min(x[:, 4:], axis=1, keepdims=True)], 1
    ),
    "a border": lambda tf, x: tf.pad(x, [[0, 0], [1, 1]], constant_values=-INF),
    "a limit": lambda tf, x: tf.maximum(x, tf.constant([-INF, 0.0, 0.0, INF])),
    "NaN behind it": lambda tf, x: tf.concat([x, tf.nn.softmax(tf.where(x > 9.0, x, -INF))], 1),
}
CUT = {
    "a sum": lambda tf, x: x + tf.constant([-INF, 0.0, 0.0, 0.0]),
    "a product": lambda tf, x: x * tf.constant([INF, 1.0, 1.0, 1.0]),
    "a division by 0": lambda tf, x: x / tf.constant([0.0, 1.0, 1.0, 1.0]),
}


def saved(tf, folder, function):
    spec = tf.TensorSpec([3, 4], tf.float32, "x")
    return zoo.save_step(tf, folder, {}, lambda _, x: {"y": function(tf, x)}, spec)


def both(tf, path, content, kernels):
    """Return what a file and its model answer to the same numbers."""
    x = np.random.default_rng(3).normal(size=[3, 4]).astype(np.float32)
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=kernels)
    got = interpreter.get_signature_runner()(x=x)["y"]
    loaded = tf.saved_model.load(str(path)).signatures["serving_default"]
    return got, loaded(x=tf.constant(x))["y"].numpy()


@pytest.mark.parametrize("how", KEPT)
def test_it_is_told_and_cured(tf, tmp_path, monkeypatch, how):
    monkeypatch.chdir(tmp_path)
    path = saved(tf, tmp_path / "model", KEPT[how])
    found = diagnose(path)
    assert (found.verdict, found.other) == ("wrong-answers", ())
    assert severe(found.findings) == (FAMILY.id,)
    assert "largest difference 0" not in found.text()
    made = cure(found)
    assert (made.plan.id, made.proved) == ("keep-infinities", True)
    run(found.findings[0].fix)
    run(made.plan.code)
    for content in (made.content, Path("model.tflite").read_bytes()):
        for kernels in (Kernels.AUTO, Kernels.BUILTIN_WITHOUT_DEFAULT_DELEGATES):
            got, wanted = both(tf, path, content, kernels)
            assert not np.isfinite(wanted).all()
            np.testing.assert_allclose(got, wanted, rtol=1e-5)


@pytest.mark.parametrize("how", CUT)
def test_where_the_plain_kernels_cut_it_a_finite_number_is_wanted(tf, tmp_path, how):
    path = saved(tf, tmp_path / "model", CUT[how])
    found = diagnose(path)
    assert severe(found.findings) == (FAMILY.id,)
    assert found.findings[0].fix == FINITE
    with pytest.raises(NoCureError, match="plain kernels: 0 of 5") as refused:
        cure(found)
    assert refused.value.change == FINITE
    converter = tf.lite.TFLiteConverter.from_saved_model(str(path))
    converter.canonicalizing_inf_as_min_max_float = False
    plain = Kernels.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    got, wanted = both(tf, path, converter.convert(), plain)
    assert np.isinf(wanted[:, 0]).all()
    np.testing.assert_allclose(np.abs(got[:, 0]), np.finfo(np.float32).max)


def test_a_mask_behind_a_softmax_is_no_fault(tf, tmp_path):
    def attend(tf, x):
        kept = tf.linalg.band_part(tf.ones([3, 3]), -1, 0) > 0
        return tf.nn.softmax(tf.where(kept, x @ tf.transpose(x), -INF)) @ x

    assert diagnose(saved(tf, tmp_path / "model", attend)).verdict == "convertible"


def test_a_number_that_is_the_models_own_is_another_matter(tf, tmp_path):
    """The model has the largest number itself, and what differs is an infinity of its kernels."""
    largest = float(np.finfo(np.float32).max)
    path = saved(tf, tmp_path / "model", lambda tf, x: tf.exp(x * 90.0) + tf.minimum(x, largest))
    assert FAMILY.id not in severe(diagnose(path).findings)


def test_a_keras_file_is_cured(tf, tmp_path):
    import keras

    x = keras.Input((4,), name="x")
    masked = keras.ops.where(x > 0, x, -INF)
    keras.Model(x, masked).save(tmp_path / "masked.keras")
    found = diagnose(tmp_path / "masked.keras")
    assert severe(found.findings) == (FAMILY.id,)
    assert cure(found).proved


@pytest.mark.parametrize("name", ["masked.keras", "masked.h5"])
def test_the_fix_of_a_trusted_model_loads_what_its_code_calls(tf, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    masked = eval("lambda x: tf.where(x > 0.0, x, -float('inf'))", {"tf": tf})  # tf is a global
    mask = tf.keras.layers.Lambda(masked)
    tf.keras.Sequential([tf.keras.Input([2], batch_size=1), mask]).save(name)
    found = diagnose(name, trust=True)
    assert severe(found.findings) == (FAMILY.id,)
    run(found.findings[0].fix)
    runner = Interpreter("model.tflite").get_signature_runner()
    (given,) = runner.get_input_details()
    (answer,) = runner(**{given: np.float32([[1, -1]])}).values()
    np.testing.assert_array_equal(answer, [[1, -INF]])


def test_the_fix_that_explain_prints_works(tf):
    spec = tf.TensorSpec([2], tf.float32)
    step = tf.function(lambda x: tf.where(x > 0.0, x, -INF)).get_concrete_function(spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([step])
    run(code_of(FAMILY.fix), converter=converter)
    interpreter = Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, np.float32([1, -1]))
    interpreter.invoke()
    answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_array_equal(answer, [1, -INF])
