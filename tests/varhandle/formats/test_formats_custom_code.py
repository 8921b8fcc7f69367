"""Models that name classes of their author's: which is missing, and how the tool is given it."""

import importlib.util
import json
import runpy
import sys

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from family_checks import run, run_command

from varhandle.cli import main
from varhandle.diagnosis import diagnose
from varhandle.formats import read_graph
from varhandle.formats.custom_code import CustomCodeError, check_imports, import_custom
from varhandle.formats.keras_loader import load_keras
from varhandle.repair.run import NoCureError, cure

LAYERS = """
import keras

class PosEmb(keras.layers.Layer):
    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def build(self, shape):
        self.table = self.add_weight(shape=(self.size, shape[-1]), initializer="ones", name="table")

    def call(self, x):
        return x + self.table

    def get_config(self):
        return {**super().get_config(), "size": self.size}

class NoConfig(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)

    def call(self, x):
        return x * 2.0

@keras.saving.register_keras_serializable("mine")
def twice_tanh(x):
    return 2.0 * keras.ops.tanh(x)

def plain_square(x):
    return x * x
"""


@pytest.fixture(scope="module")
def own_layers(keras, tmp_path_factory):
    """The module of an author, as a file, and imported here."""
    path = tmp_path_factory.mktemp("author") / "own_layers_of_a_test.py"
    path.write_text(LAYERS)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield path, module
    del sys.modules[path.stem]


@pytest.fixture(scope="module")
def saved(keras, own_layers, tmp_path_factory):
    """One model with four names of the author's, as ``.keras`` and as ``.h5``."""
    _, module = own_layers
    layers = keras.layers
    x = keras.Input((4, 3), batch_size=1)
    y = module.NoConfig()(module.PosEmb(4, name="positions")(x))
    y = layers.Dense(2, activation=module.twice_tanh)(y)
    y = layers.Dense(2, activation=module.plain_square)(y)
    model = keras.Model(x, y)
    model.compile("adam", loss=module.plain_square)
    folder = tmp_path_factory.mktemp("custom")
    for suffix in ("keras", "h5"):
        model.save(folder / f"m.{suffix}")
    return folder


NAMES = {"PosEmb", "NoConfig", "mine>twice_tanh", "plain_square"}


def test_a_file_that_names_other_classes_is_read_and_no_code(saved):
    graph = read_graph(saved / "m.keras")
    assert graph.embedded_code == ()
    assert {one.name for one in graph.custom_objects} >= NAMES - {"plain_square"}
    ops = [node.op for node in graph.nodes]
    assert ops == ["InputLayer", "PosEmb", "NoConfig", "Dense", "Dense"]


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_what_is_missing_is_named_and_the_command_works(suffix, saved, own_layers, capsys):
    path, _ = own_layers
    assert main(["diagnose", str(saved / f"m.{suffix}")]) == 1
    (cause,) = (line for line in capsys.readouterr().out.splitlines() if "cause:" in line)
    named, _, command = cause.partition(", which neither Keras nor the file has: ")
    # A .keras file is not loaded before all that it names as foreign is there.
    missing = NAMES - {"plain_square"} if suffix == "keras" else NAMES
    assert all(name.rpartition(">")[2] in named for name in missing)
    command = command.partition(", where FILE.py")[0].replace("FILE.py", str(path))
    if suffix == "h5":
        with pytest.raises(NoCureError, match=r"PosEmb.*--import FILE\.py"):
            cure(saved / "m.h5")
    assert run_command(command) == 0, capsys.readouterr().out
    assert f"model.tflite --import {path}" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_function_called_as_one_of_keras_is_asked_for(
    keras, suffix, tmp_path, monkeypatch, capsys
):
    """Keras knows ``swish`` as a word for an activation, and finds no function of that name."""
    code = "import keras\n\ndef swish(x):\n    return x * keras.ops.sigmoid(2.0 * x)\n"
    (tmp_path / "own_swish.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    swish = importlib.import_module("own_swish").swish
    layer = keras.layers.Dense(3, activation=swish)
    path = tmp_path / f"m.{suffix}"
    keras.Sequential([keras.Input((4,)), layer]).save(path)
    with pytest.raises(Exception, match="Could not locate function 'swish'"):
        keras.models.load_model(path)
    with pytest.raises(NoCureError, match=r"needs swish, .*--import FILE\.py"):
        cure(path)
    assert main(["diagnose", str(path)]) == 1
    told = capsys.readouterr().out.partition("which neither Keras nor the file has: ")[2]
    command = told.partition(", where FILE.py")[0]
    assert run_command(command.replace("FILE.py", str(tmp_path / "own_swish.py"))) == 0


def test_reading_alone_does_not_call_it_convertible(saved):
    found = diagnose(saved / "m.keras", static=True)
    assert found.verdict == "blocked"
    assert "PosEmb" in found.other[0]


def test_a_cure_takes_the_same(saved, own_layers):
    path, module = own_layers
    assert cure(saved / "m.keras", imports=[path]).parity.passed
    sys.path.append(str(path.parent))  # as for a module of the caller's
    try:
        objects = {"PosEmb": module.PosEmb, "NoConfig": module.NoConfig}
        objects |= {"twice_tanh": module.twice_tanh, "plain_square": module.plain_square}
        assert cure(saved / "m.h5", custom_objects=objects).parity.passed
    finally:
        sys.path.remove(str(path.parent))


def test_a_file_that_cannot_be_imported_says_why(saved, tmp_path, capsys):
    broken = tmp_path / "broken_code_of_a_test.py"
    broken.write_text("import no_such_module_at_all\n")
    assert main(["diagnose", str(saved / "m.keras"), "--import", str(broken)]) == 1
    assert "No module named 'no_such_module_at_all'" in capsys.readouterr().out
    assert main(["diagnose", str(saved / "m.keras"), "--import", "nowhere.py"]) == 2
    assert "nowhere.py: there is no such file: check the path" in capsys.readouterr().err


def test_an_import_trusts_nothing_else(specimen_path, own_layers):
    found = diagnose(specimen_path("lambda_keras"), imports=[own_layers[0]])
    assert found.proof.parity is None
    assert "--trust" in found.proof.reason


def test_only_what_a_config_can_name_is_taken(tmp_path):
    path = tmp_path / "names_of_a_test.py"
    path.write_text("import os\nfrom os import system\nfrom subprocess import Popen\nx = 1\n")
    assert import_custom(check_imports([path])) == {}
    with pytest.raises(CustomCodeError, match="no such file"):
        check_imports([tmp_path / "other.py"])
    with pytest.raises(CustomCodeError, match=r"Mine is defined .* imports=\[file\]"):
        check_imports([], {"Mine": type("Mine", (), {"__module__": "__main__"})})


def test_a_class_may_be_registered_under_another_name(keras, tmp_path):
    path = tmp_path / "renamed_layers.py"
    path.write_text(
        "import keras\n@keras.saving.register_keras_serializable('mine', 'Renamed')\n"
        "class Doubled(keras.layers.Layer):\n    def call(self, x):\n        return 2 * x\n"
    )
    names = runpy.run_path(str(path))
    keras.Sequential([keras.Input((2,)), names["Doubled"]()]).save(tmp_path / "m.keras")
    keras.saving.get_custom_objects().pop("mine>Renamed")
    loaded = load_keras(str(tmp_path / "m.keras"), imports=[str(path)])
    assert loaded.layers[-1](np.ones([1, 2])).numpy().tolist() == [[2, 2]]


def test_a_policy_of_half_precision_is_replaced_by_its_name(keras, tmp_path):
    layer = keras.layers.Dense(3, dtype="mixed_float16")
    keras.Sequential([keras.Input((2,)), layer]).save(tmp_path / "m.keras")
    loaded = load_keras(str(tmp_path / "m.keras"), float32=True)
    assert loaded.layers[-1].compute_dtype == "float32"


def test_a_setting_called_layers_is_no_damage(keras, tmp_path):
    """A class's own settings may be called as Keras calls its own."""

    class Stack(keras.layers.Layer):
        def __init__(self, layers=(2, 3), **kwargs):
            super().__init__(**kwargs)
            self.sizes = layers

        def call(self, x):
            return x

        def get_config(self):
            return {"layers": self.sizes}

    model = keras.Sequential([keras.Input((2,)), Stack()])
    model.save(tmp_path / "m.keras")
    graph = read_graph(tmp_path / "m.keras")
    assert [node.op for node in graph.nodes] == ["InputLayer", "Stack"]


def test_a_sweep_takes_it_and_makes_a_row_anew_when_it_changes(saved, own_layers, tmp_path, capsys):
    code = tmp_path / "code_of_a_sweep.py"
    code.write_text(own_layers[0].read_text())
    command = ["sweep", str(saved / "m.keras"), "--import", str(code), "--output", str(tmp_path)]
    assert main(command) == 0, capsys.readouterr().out
    assert main(command) == 0
    assert "kept 1 of 1" in capsys.readouterr().out
    code.write_text(code.read_text() + "\n# changed\n")
    assert main(command) == 0
    assert "kept 0 of 1" in capsys.readouterr().out
    (verdict,) = tmp_path.glob("rows/*/verdict.json")
    assert json.loads(verdict.read_text())["verdict"] == "ready"


def save_lambda(keras, path, function):
    keras.Model(x := keras.Input((None, 8)), keras.layers.Lambda(function)(x)).save(path)


def twice(value):
    return 2.0 * value


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_trusted_lambda_finds_what_its_authors_program_had(
    keras, tf, tmp_path, monkeypatch, suffix
):
    """Keras loads it with names of its own module, where ``tf`` and ``np`` are none."""
    path = tmp_path / f"lambda.{suffix}"
    own = {"tf": tf, "np": np}
    save_lambda(keras, path, eval("lambda t: tf.nn.relu(t) + np.float32(0.5)", own))
    vars(keras.src.utils.python_utils).pop("tf", None)  # a test before may have given it
    with pytest.raises(NotImplementedError, match="could not automatically infer"):
        keras.models.load_model(path, compile=False, safe_mode=False)
    made = cure(path, trust=True)
    assert made.proved
    monkeypatch.chdir(tmp_path)
    run(made.plan.code)
    x = np.random.default_rng(0).normal(size=[1, 3, 8]).astype(np.float32)
    content = (tmp_path / "model.tflite").read_bytes()
    runner = Interpreter(model_content=content).get_signature_runner()
    (got,) = runner(**dict.fromkeys(runner.get_input_details(), x)).values()
    np.testing.assert_allclose(got, np.maximum(x, 0) + 0.5)


def test_what_a_lambda_calls_of_its_authors_own_is_imported(keras, tmp_path):
    path, own = tmp_path / "own.keras", tmp_path / "own.py"
    save_lambda(keras, path, lambda t: twice(t))  # noqa: PLW0108
    own.write_text("def twice(value):\n    return 2.0 * value\n")
    (told,) = diagnose(path, trust=True).other
    assert "with --import" in told and "\x1b" not in told and "\\x1b" not in told
    command = f"varhandle cure {path} {tmp_path / 'out.tflite'} --trust --import {own}"
    assert run_command(command) == 0
