"""Fourier transforms of every length, told from TensorFlow's and LiteRT's own answers."""

import numpy as np
import pytest
import zoo
from ai_edge_litert.interpreter import Interpreter
from family_checks import code_of, log_test, run, severe

from varhandle import cure, diagnose
from varhandle.families.catalog import family
from varhandle.repair.refusal import NoCureError

FAMILY = family("fft-length")

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "RuntimeError: tflite/kernels/rfft2d.cc:121 IsPowerOfTwo(fft_length_data[1]) was not true."
        "Node number 1 (RFFT2D) failed to prepare.",
        "E/tflite: tensorflow/lite/kernels/rfft2d.cc:117 IsPowerOfTwo(fft_length_data[0]) was not"
        " true.\nE/tflite: Node number 4 (RFFT2D) failed to invoke.",
    ],
)

SHAPES = {
    "rfft of 8": ("rfft", [3, 8], "convertible"),
    "rfft of 2": ("rfft", [3, 2], "convertible"),
    "rfft of 7": ("rfft", [3, 7], "blocked"),
    "rfft of 1": ("rfft", [3, 1], "wrong-answers"),
    "rfft2d of 1, 8": ("rfft2d", [1, 8], "convertible"),
    "rfft2d of 8, 1": ("rfft2d", [8, 1], "wrong-answers"),
    "rfft2d of 3, 4": ("rfft2d", [3, 4], "blocked"),
}


def parts(tf, value):
    return {"real": tf.math.real(value), "imaginary": tf.math.imag(value)}


def saved(tf, folder, shape, function):
    spec = tf.TensorSpec(shape, tf.float32, "x")
    return zoo.save_step(tf, folder, {}, lambda _, x: function(x), spec)


@pytest.mark.parametrize("what", SHAPES)
def test_the_verdict_is_that_of_a_bare_interpreter(tf, tmp_path, what):
    name, shape, verdict = SHAPES[what]
    path = saved(tf, tmp_path, shape, lambda x: parts(tf, getattr(tf.signal, name)(x)))
    found = diagnose(path)
    assert found.verdict == verdict
    content = tf.lite.TFLiteConverter.from_saved_model(str(path)).convert()
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    wanted = getattr(np.fft, name.replace("2d", "2"))(x)
    runner = Interpreter(model_content=content).get_signature_runner()
    if verdict == "blocked":
        with pytest.raises(RuntimeError, match="IsPowerOfTwo"):
            runner(x=x)
    else:
        got = runner(x=x)
        same = np.allclose(got["real"] + 1j * got["imaginary"], wanted, atol=1e-5)
        assert same == (verdict == "convertible")
    if verdict == "convertible":
        return
    assert "no failure that the tool knows" not in found.text()
    told = " ".join([*found.other, *(f"{f.id} {f.message} {f.fix}" for f in found.findings)])
    assert "Write the transform as a product" in told
    with pytest.raises(NoCureError) as refused:
        cure(found)
    assert "Write the transform as a product" in refused.value.text()
    if verdict == "wrong-answers":
        assert severe(found.findings) == (FAMILY.id,)


@pytest.mark.parametrize("length", [1, 7, 8, 12])
def test_what_it_says_to_write_converts_and_is_the_transform(tf, tmp_path, length):
    def step(x):
        made = run(code_of(FAMILY.fix), x=x)
        return {"real": made["real"], "imaginary": made["imaginary"]}

    path = saved(tf, tmp_path, [2, length], step)
    made = cure(path)
    assert made.proved
    x = np.random.default_rng(1).normal(size=[2, length]).astype(np.float32)
    got = Interpreter(model_content=made.content).get_signature_runner()(x=x)
    np.testing.assert_allclose(got["real"] + 1j * got["imaginary"], np.fft.rfft(x), atol=1e-5)
