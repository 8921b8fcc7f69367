"""The setting that decides whether a file agrees is found, and named."""

import json
import os
import shutil

import numpy as np
import pytest
import release_runs
import zoo
from family_checks import run_command
from json_forms import check_form
from planted_faults import operators_of, with_changed_weight, without_operators
from printed_code import ran

from varhandle import bisect_settings
from varhandle.cli import main
from varhandle.divergence import settings
from varhandle.formats.saved_model import SavedModel
from varhandle.sandbox import lock


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
    # The one that adds the error is the first that was tried.
    assert list(layers)[1] == found.flips.value
    assert "spread" in found.flips.value
    assert "even" not in found.flips.value
    assert found.text().startswith("the setting that flips it: layers, ")
    assert not found.agrees


def test_layers_that_only_together_restore_it(wide, tmp_path):
    """A channel that is hundreds of times as large as the others, and counts for nothing."""
    import keras

    model = keras.models.load_model(wide / "wide.keras")
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(8, 8)), rng.normal(size=(8, 4))
    first[:, 0] *= 500.0
    second[0] = 0.0
    for layer, value in zip(model.layers, (first, second), strict=True):
        layer.set_weights([value.astype(np.float32), np.zeros(value.shape[1], np.float32)])
    model.save(tmp_path / "channels.keras")
    found = bisect_settings(
        tmp_path / "channels.keras",
        quantization="int8, float inputs",
        inputs=wide / "inputs.npy",
    )
    recipes = verdicts(found, "recipe")
    assert (recipes["int8"], recipes["16x8"]) == ("parts", "agrees")
    assert found.flips.setting == "layers"
    assert "even" in found.flips.value
    assert "spread" in found.flips.value
    assert list(verdicts(found, "layers").values()) == ["parts"] * 3 + ["agrees"]


def test_an_uninitialized_variable_is_refused_by_plain_kernels_alone(tf, tmp_path):
    """The answer does not rest on what XNNPACK reads there, so only the kernels decide."""

    class Unseen(tf.Module):
        def __init__(self):
            super().__init__()
            self.total = tf.Variable(np.full(4, 0.5, np.float32), name="total")

        @tf.function(input_signature=[tf.TensorSpec([4])])
        def step(self, x):
            self.total.assign_add(x)
            return {"y": tf.where(x > 1e30, self.total, x)}

    module = Unseen()
    tf.saved_model.save(module, tmp_path / "unseen", signatures=module.step)
    content = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "unseen")).convert()
    found = bisect_settings(tmp_path / "unseen", without_operators(content, "CALL_ONCE"))
    assert verdicts(found, "kernels") == {"default delegates": "agrees", "plain kernels": "refuses"}
    assert (found.flips.setting, found.flips.value) == ("kernels", "plain kernels")
    assert not found.agrees


def test_a_variable_that_is_both_inputs_of_an_op_is_refused_with_the_delegate_alone(tf, tmp_path):
    """XNNPACK dies of it, whatever the number of its threads."""

    def step(module, x):
        module.total.assign_add(module.total)
        return {"y": module.total + x}

    total = tf.Variable(np.full(4, 1e-3, np.float32), name="total")
    found = bisect_settings(zoo.save_step(tf, tmp_path, {"total": total}, step))
    assert [one.verdict for one in found.tries] == ["refuses", "agrees", "refuses", "refuses"]
    assert (found.flips.setting, found.flips.value) == ("kernels", "plain kernels")
    assert found.why == "with plain kernels it agrees, with default delegates it refuses"


def test_a_number_of_threads(wide, tf, monkeypatch):
    """No kernel is known that needs one: the file that two threads run is another."""
    import keras

    model = keras.models.load_model(wide / "wide.keras")
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    changed = with_changed_weight(content, operators_of(content, "FULLY_CONNECTED")[0], 9)
    isolated = settings.run_isolated

    def run(function, *arguments, **limits):
        if function is settings._answers and arguments[-1] == 2:
            arguments = changed, *arguments[1:]
        return isolated(function, *arguments, **limits)

    monkeypatch.setattr(settings, "run_isolated", run)
    found = bisect_settings(wide / "wide.keras", content, inputs=wide / "inputs.npy")
    assert (found.flips.setting, found.flips.value) == ("threads", "2")
    assert found.why == "with 2 it parts, with the usual number it agrees"


def test_a_recipe_that_cannot_hold_a_weight(tf, tmp_path):
    """Float16 ends at 65504."""
    import keras

    dense = keras.layers.Dense(2)
    model = keras.Sequential([keras.Input((3,), batch_size=1), dense])
    dense.set_weights([np.full((3, 2), 1e5, np.float32), np.zeros(2, np.float32)])
    model.save(tmp_path / "large.keras")
    found = bisect_settings(tmp_path / "large.keras", quantization="float16")
    assert found.tries[0].verdict == "parts"
    assert found.flips.setting == "recipe"
    assert verdicts(found, "recipe")["float32"] == "agrees"
    assert found.why.endswith("with float16 it parts")


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("relu-of-product", "unfold_batchmatmul = True"),
        ("infinite-constant", "canonicalizing_inf_as_min_max_float = False"),
    ],
)
def test_an_optimization_of_the_converter(silent, name, setting):
    """What it does unasked is left, one at a time."""
    found = bisect_settings(silent(name)[0])
    assert found.tries[0].verdict == "parts"
    assert (found.flips.setting, found.flips.value) == ("optimization", setting)
    assert found.text().startswith(
        f"the setting that flips it: optimization, with {setting} it agrees, without it parts"
    )
    check_form("locate", found)


def test_where_no_setting_flips_it_each_that_was_tried_is_told(silent, monkeypatch):
    """Where other releases were not asked for, that is told as well."""
    monkeypatch.setattr(settings, "_OPTIMIZATIONS", {})
    found = bisect_settings(silent("infinite-constant")[0])
    assert found.flips is None
    assert {one.setting for one in found.tries} >= {"kernels", "threads", "recipe"}
    assert "--releases tries those of TensorFlow and LiteRT" in found.why


def test_a_damaged_file_agrees_once_it_is_made_anew(wide, tf):
    import keras

    model = keras.models.load_model(wide / "wide.keras")
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    changed = with_changed_weight(content, operators_of(content, "FULLY_CONNECTED")[0], 9)
    found = bisect_settings(wide / "wide.keras", changed, inputs=wide / "inputs.npy")
    assert found.flips.setting == "converted anew"
    assert verdicts(found, "threads") == {"2": "parts", "4": "parts"}


@pytest.fixture
def uv(tmp_path, monkeypatch):
    """Put a stand-in for uv on the PATH, which knows some packages; ``None``: as they are here."""

    def know(record):
        release_runs.stand_in(tmp_path, record)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    return know


RECORD = json.loads(release_runs.RECORD.read_text())


@pytest.mark.parametrize("release", release_runs.RELEASES)
def test_a_release_that_flips_the_verdict(release, uv, tmp_path):
    """As it was run for real, by tests/support/release_runs.py."""
    uv(RECORD)
    found = bisect_settings(release_runs.rounding(tmp_path), releases=[release])
    assert found.why == RECORD[release]["said"]
    assert found.flips is not None
    told = [found.flips.setting, found.flips.value, found.flips.verdict]
    assert told == RECORD[release]["tries"][-1][:3]
    assert not found.agrees
    assert check_form("locate", found)["flips"]["value"] == told[1]


HERE = ["ai-edge-litert==1.9.9", "tensorflow==2.20.9"]
"""Releases that are said to be others, and are the installed ones."""


def test_a_release_is_asked_with_the_same_calls_and_settings(specimen_path, uv):
    """What runs in its environment exports, calibrates and dequantizes as it is done here."""
    uv(dict.fromkeys(HERE))
    found = bisect_settings(specimen_path("mlp_keras"), quantization="int8", releases=HERE)
    assert verdicts(found, "runtime") == {"ai-edge-litert 1.9.9": "agrees"}
    assert verdicts(found, "converter") == {"tensorflow 2.20.9": "agrees"}


def test_a_model_of_the_working_folder_is_converted_in_another_release(
    specimen_path, uv, monkeypatch
):
    uv(dict.fromkeys(HERE))
    model = specimen_path("counter")
    monkeypatch.chdir(model.parent)
    found = bisect_settings(model.name, releases=HERE[1:])
    assert verdicts(found, "converter") == {"tensorflow 2.20.9": "agrees"}


def test_a_graph_without_a_signature_is_asked_in_other_releases(specimen_path, uv):
    uv(dict.fromkeys(HERE))
    found = bisect_settings(specimen_path("frozen_graph"), releases=HERE)
    assert [one.verdict for one in found.tries] == ["agrees"] * 6


@pytest.mark.skipif(bool(lock.why_no_lock()), reason="this kernel has no lock")
def test_a_model_is_locked_in_another_release(specimen_path, uv, tmp_path, monkeypatch):
    uv(dict.fromkeys(HERE))
    outside = tmp_path / "outside"
    code = f"open({str(outside)!r}, 'w')"
    monkeypatch.setattr(SavedModel, "converter_code", lambda *_: [code])
    found = bisect_settings(specimen_path("counter"), releases=HERE[1:])
    assert found.flips is not None
    assert "Permission denied" in found.flips.detail
    assert not outside.exists()


def test_without_uv_a_line_says_what_to_install(specimen_path, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    command = f"varhandle locate {specimen_path('counter')} --bisect-settings"
    assert run_command(f"{command} --releases ai-edge-litert==1.4.0") == 0
    ran("--releases")
    (line,) = [one for one in capsys.readouterr().out.splitlines() if "1.4.0" in one]
    assert "not installed" in line
    assert line.endswith("there is no uv on the PATH: pip install uv")


def test_a_release_that_there_is_not(specimen_path, uv):
    uv({})
    found = bisect_settings(specimen_path("counter"), releases=HERE)
    assert verdicts(found, "runtime") == {"ai-edge-litert 1.9.9": "not installed"}
    assert found.agrees


@pytest.mark.parametrize("text", ["tensorflow", "tensorflow==2", "keras==3.0.0", "-r", "a; rm"])
def test_what_is_no_release(specimen_path, text, capsys):
    model = str(specimen_path("counter"))
    assert main(["locate", model, "--bisect-settings", f"--releases={text}"]) == 2
    assert "is no release: name one such as tensorflow==2.19.1" in capsys.readouterr().err
    assert main(["locate", model, f"--releases={text}"]) == 2
    assert "--releases is for --bisect-settings" in capsys.readouterr().err


def test_nothing_to_flip(wide, capsys):
    command = f"varhandle locate {wide}/wide.keras --bisect-settings"
    recipe = f"--quantization float16 --inputs {wide}/inputs.npy"
    assert run_command(f"{command} {recipe}") == 0
    assert capsys.readouterr().out.startswith("nothing to flip")
    assert run_command(f"{command} --json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["flips"] is None
    assert [one["verdict"] for one in told["tries"]] == ["agrees"] * 4


def test_bad_input(wide, capsys):
    model = str(wide / "wide.keras")
    assert main(["locate", model, "--bisect-settings", "--quantization", "int9"]) == 2
    assert "no recipe 'int9'" in capsys.readouterr().err
    assert main(["locate", model, "--quantization", "int8"]) == 2
    assert "--quantization is for --bisect-settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--why --html page.html", "--why takes no --html"),
        ("--why --bisect-settings", "--why takes no --bisect-settings"),
        ("--why --quantization int8", "--why takes no --quantization"),
        ("--bisect-settings --reduce out", "--bisect-settings takes no --reduce"),
        ("--bisect-settings --html page.html", "--bisect-settings takes no --html"),
        ("--releases", "--releases is for --bisect-settings"),
    ],
)
def test_an_option_that_would_do_nothing_is_bad_input(specimen_path, capsys, options, told):
    assert main(["locate", str(specimen_path("counter")), *options.split()]) == 2
    step = "give both" if told.startswith("--releases") else "leave out one of the two"
    assert capsys.readouterr().err.rstrip().endswith(f"{told}: {step}")
