"""Appendix 99: the cure of its card."""

import numpy as np
import pytest
from lesson_cards import run_cure

from varhandle.tflite.flatbuffer import pack, unpack

SOFTMAX = 25
IS_TOO_OLD = "Didn't find op for builtin opcode 'SOFTMAX' version '4'"


@pytest.fixture
def newer_file(tf):
    """A file with a SOFTMAX that LiteRT knows, and the runtime inside TensorFlow 2.21 does not."""
    model = tf.keras.Sequential([tf.keras.Input([3], name="x"), tf.keras.layers.Softmax()])
    model = unpack(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    [softmax] = [code for code in model.operatorCodes if code.builtinCode == SOFTMAX]
    softmax.version = 4
    return pack(model)


def test_the_cure_of_the_card_runs_a_file_that_is_newer_than_tensorflows_own_runtime(
    tf, newer_file
):
    with pytest.raises(ValueError, match=IS_TOO_OLD):
        tf.lite.Interpreter(model_content=newer_file)
    interpreter = run_cure("newer_than_the_runtime", content=newer_file, Interpreter=None)[
        "interpreter"
    ]
    x = np.array([[0, 1, 2]], np.float32)
    [answer] = interpreter.get_signature_runner()(x=x).values()
    np.testing.assert_allclose(answer, tf.nn.softmax(x), atol=1e-6)
