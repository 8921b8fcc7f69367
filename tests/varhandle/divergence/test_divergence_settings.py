"""The setting that decides whether a file agrees is found, and named."""

import json

import numpy as np
import pytest
from planted_faults import operators_of, with_changed_weight, without_operators

from varhandle import bisect_settings
from varhandle.cli import main


@pytest.fixture(scope="module")
def wide(tf, tmp_path_factory):
    """A net in which one layer's weights span four orders, within each channel.

    The large ones meet an input that is always 0: the answer rests on the small ones, which eight
    bits round away.
    """
    import keras

    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((8,), batch_size=1),
            keras.layers.Dense(8, name="even"),
            keras.layers.Dense(4, name="spread"),
        ]
    )
    even, spread = model.layers
    rng = np.random.default_rng(0)
    first = rng.normal(size=(8, 8)).astype(np.float32)
    first[:, 0] = 0.0
    even.set_weights([first, np.zeros(8, np.float32)])
    second = rng.normal(size=(8, 4)).astype(np.float32) * 1e-2
    second[0] = 100.0
    spread.set_weights([second, np.zeros(4, np.float32)])
    folder = tmp_path_factory.mktemp("wide")
    model.save(folder / "wide.keras")
    np.save(folder / "inputs.npy", rng.normal(size=(6, 1, 8)).astype(np.float32))
    return folder


@pytest.fixture(scope="module")
def total(tf, running_total, save_module):
    path = save_module(running_total())
    return path, tf.lite.TFLiteConverter.from_saved_model(str(path)).convert()


def verdicts(found, setting):
    return {one.value: one.verdict for one in found.tries if one.setting == setting}


def test_a_layer_left_in_float_restores_a_quantized_model(wide):
    found = bisect_settings(wide / "wide.keras", quantization="int8", inputs=wide / "inputs.npy")
    assert found.tries[0].verdict == "parts"
    recipes = verdicts(found, "recipe")
    assert recipes["float32"] == recipes["float16"] == "agrees"
    assert recipes["16x8"] == "parts"  # its weights have eight bits too
    assert found.flips is not None
    assert found.flips.setting == "layers"
    layers = verdicts(found, "layers")
    assert layers["ai-edge-quantizer, none in float"] == "parts"
    assert "," not in found.flips.value.removesuffix(" left in float")  # one layer, the second
    assert found.text().startswith("the setting that flips it: layers, ")
    assert not found.agrees


def test_an_uninitialized_variable_is_refused_by_plain_kernels_alone(total):
    path, content = total
    found = bisect_settings(path, without_operators(content, "CALL_ONCE"))
    kernels = verdicts(found, "kernels")
    assert kernels["plain kernels"] == "refuses"
    if kernels["default delegates"] == "agrees":  # what it reads may be anything, 0.0 among it
        assert found.flips.value == "plain kernels"
    else:
        assert found.flips.setting == "converted anew"


def test_a_damaged_file_agrees_once_it_is_made_anew(wide, tf):
    import keras

    model = keras.models.load_model(wide / "wide.keras")
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    changed = with_changed_weight(content, operators_of(content, "FULLY_CONNECTED")[0], 9)
    found = bisect_settings(wide / "wide.keras", changed, inputs=wide / "inputs.npy")
    assert found.flips.setting == "converted anew"
    assert verdicts(found, "threads") == {"2": "parts", "4": "parts"}


def test_nothing_to_flip(wide, capsys):
    arguments = ["locate", str(wide / "wide.keras"), "--bisect-settings"]
    assert main([*arguments, "--inputs", str(wide / "inputs.npy")]) == 0
    assert capsys.readouterr().out.startswith("nothing to flip")
    assert main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["flips"] is None
    assert [one["verdict"] for one in told["tries"]] == ["agrees"] * 4


def test_bad_input(wide, capsys):
    model = str(wide / "wide.keras")
    assert main(["locate", model, "--bisect-settings", "--quantization", "int9"]) == 2
    assert "no recipe 'int9'" in capsys.readouterr().err
    assert main(["locate", model, "--quantization", "int8"]) == 2
    assert "--quantization is for --bisect-settings" in capsys.readouterr().err
