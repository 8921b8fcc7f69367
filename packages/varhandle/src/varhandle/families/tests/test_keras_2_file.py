"""A .h5 or .keras file of another Keras than the one that is to load it."""

import json

import h5py
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from family_checks import code_of, ids, log_test, run, run_command

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("keras-2-file")
FUNCTIONAL = (
    "TypeError: Could not locate class 'Functional'. Make sure custom classes are decorated"
)
TO_OLD = "ValueError: Unrecognized keyword arguments: ['batch_shape']"

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "ValueError: Unrecognized keyword arguments passed to LSTM: {'time_major': False}",
        "ValueError: Unknown layer: 'TFOpLambda'. Please ensure you are using a"
        " `keras.utils.custom_object_scope`",
        f"{FUNCTIONAL}. Full object config: {{'module': 'keras.src.engine.functional'}}",
        f"{FUNCTIONAL}. Full object config: {{'module': 'keras.src.models.functional'}}",
        TO_OLD,
        "ValueError: Unknown dtype policy: DTypePolicy",
        "ValueError: Unknown layer: 'DTypePolicy'. Please ensure you are using a",
    ],
)


@pytest.mark.parametrize(
    "log",
    [
        "ValueError: Unrecognized keyword arguments passed to MyLayer: {'trainable': True}",
        "ValueError: Unrecognized keyword arguments passed to Dense: {'groups': 1}",
        "ValueError: Unknown layer: 'Attention2'. Please ensure you are using a",
        f"{FUNCTIONAL}. Full object config: {{'module': 'my_package'}}",
    ],
)
def test_what_is_no_matter_of_releases(log):
    assert ids(log) == []


def test_what_keras_3_says_of_a_file_and_what_the_command_makes_of_it(tf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layers = tf.keras.layers
    body = [layers.DepthwiseConv2D(3), layers.Flatten(), layers.Dense(2)]
    model = tf.keras.Sequential([tf.keras.Input((5, 5, 2), batch_size=1), *body])
    model.save("m.h5")
    with h5py.File("m.h5", "r+") as file:  # as Keras 2 writes it
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["config"]["groups"] = 1
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
    with pytest.raises(TypeError) as caught:
        tf.keras.models.load_model("m.h5")
    (match,) = explain(str(caught.value)).matches
    assert match.id == FAMILY.id
    assert "the setting groups of DepthwiseConv2D" in match.message
    assert run_command(code_of(match.fix).replace("MODEL.h5", "m.h5")) == 0
    runner = Interpreter("model.tflite").get_signature_runner()
    (name,) = runner.get_input_details()
    x = np.random.default_rng(0).random((1, 5, 5, 2), "float32")
    (answer,) = runner(**{name: x}).values()
    np.testing.assert_allclose(answer, model(x), rtol=1e-5, atol=1e-6)


def test_what_the_keras_that_wrote_it_can_give(tf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = tf.keras.Sequential([tf.keras.Input((4,), batch_size=1), tf.keras.layers.Dense(3)])
    (match,) = explain(TO_OLD).matches
    assert run(code_of(match.fix), tf=tf, model=model)["converter"].convert()
