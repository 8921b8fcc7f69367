"""Keras files against the models that were saved."""

import json
import re
import shlex
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from family_checks import run
from printed_code import ran

from varhandle import NoCureError, cure, diagnose
from varhandle.cli import main
from varhandle.formats import read_graph
from varhandle.graph import ModelFileError


def _weights(model):
    return Counter((variable.dtype, tuple(variable.shape)) for variable in model.weights)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("name", ["sequential", "functional"])
def test_variables_are_the_models_weights(keras, keras_models, name, suffix):
    saved = keras_models[name]
    graph = read_graph(getattr(saved, suffix))
    assert Counter((v.dtype, v.shape) for v in graph.variables) == _weights(saved.model)
    assert {(v.initialized, v.reads, v.assigns) for v in graph.variables} == {(True, (), ())}
    assert graph.format == "keras"
    assert graph.producer == f"Keras {keras.__version__}"
    assert graph.signatures == ()


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_layers_are_nodes(keras_models, suffix):
    saved = keras_models["functional"]
    graph = read_graph(getattr(saved, suffix))
    main, inner = graph.functions
    assert main.name == saved.model.name
    expected = [(layer.name, type(layer).__name__) for layer in saved.model.layers]
    assert [(node.name, node.op) for node in main.nodes] == expected
    sources = {node.name: node.sources for node in main.nodes}
    assert (sources["left"], sources["steps"]) == (("features",), ("inner",))
    assert sources["join"] == ("left", "right")
    assert [(s.name, s.dtype, s.shape) for s in main.inputs] == [("features", "float32", (None, 8))]
    assert next(n for n in main.nodes if n.name == "inner").calls == (inner.name,)
    assert (inner.nodes[-1].name, inner.nodes[-1].sources) == ("norm", ("deep",))
    assert next(n for n in main.nodes if n.name == "left").attributes["units"] == 4


def test_h5_names_its_weights(keras_models):
    graph = read_graph(keras_models["sequential"].h5)
    kernel = graph.variable("classifier/first/kernel")
    assert (kernel.owner, kernel.shape) == ("first", (4, 3))


def test_keras_owners_are_layer_names(keras_models):
    graph = read_graph(keras_models["sequential"].keras)
    owners = Counter(v.owner for v in graph.variables)
    assert owners == {"first": 2, "norm": 4, "second": 2}


def test_a_bfloat16_weight_keeps_its_dtype(keras, tmp_path):
    layer = keras.layers.Dense(2, dtype="bfloat16")
    model = keras.Sequential([keras.Input((3,)), layer])
    model.save(tmp_path / "half.keras")
    dtypes = {v.dtype for v in read_graph(tmp_path / "half.keras").variables}
    assert dtypes == {"bfloat16"}


def test_a_subclassed_model_is_one_node(keras, tmp_path):
    @keras.saving.register_keras_serializable("graph_tests")
    class Custom(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Custom(name="custom")
    model(keras.ops.ones((1, 3)))
    model.save(tmp_path / "custom.keras")
    graph = read_graph(tmp_path / "custom.keras")
    assert [node.op for node in graph.nodes] == ["Custom"]
    assert Counter((v.dtype, v.shape) for v in graph.variables) == _weights(model)


def test_keras_2_nodes_have_edges(keras_models, tmp_path):
    """Keras 2 lists a layer's inputs as layer, call, output and arguments."""

    def layer(name, *inputs):
        nodes = [[[source, 0, output, {}] for source, output in inputs]] if inputs else []
        config = {"name": name}
        return {"class_name": "Layer", "name": name, "config": config, "inbound_nodes": nodes}

    layers = [layer("x"), layer("split", ("x", 0)), layer("add", ("split", 0), ("split", 1))]
    config = {"class_name": "Functional", "config": {"name": "old", "layers": layers}}
    with zipfile.ZipFile(keras_models["sequential"].keras) as archive:
        weights = archive.read("model.weights.h5")
    with zipfile.ZipFile(tmp_path / "old.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights)
    nodes = read_graph(tmp_path / "old.keras").functions[0].nodes
    assert [node.inputs for node in nodes] == [(), ("x",), ("split", "split:1")]
    assert [node.sources for node in nodes] == [(), ("x",), ("split", "split")]


def test_weights_alone_are_no_model(keras_models, tmp_path):
    keras_models["sequential"].model.save_weights(tmp_path / "only.weights.h5")
    with pytest.raises(ModelFileError, match=r"model.load_weights\(.*only.weights.h5"):
        read_graph(tmp_path / "only.weights.h5")


OPERATIONS = {
    "a sum": lambda keras, x: x + 1.5,
    "a product of two": lambda keras, x: x * keras.layers.Dense(4)(x),
    "a slice": lambda keras, x: keras.layers.Dense(3)(x[:, 1:3]),
    "a mean": lambda keras, x: keras.ops.mean(x, axis=1, keepdims=True),
    "a choice": lambda keras, x: keras.ops.where(x > 0.0, x, 0.5),
    "a cast": lambda keras, x: keras.ops.cast(keras.ops.not_equal(x, 0.0), "float32") - x,
    "an activation": lambda keras, x: keras.ops.softmax(keras.ops.relu6(x)),
    "inside of a layer": lambda keras, x: keras.Sequential([inner(keras), keras.layers.Dense(2)])(
        x
    ),
}


def inner(keras):
    x = keras.Input((4,))
    return keras.Model(x, keras.ops.maximum(x, 0.25) @ keras.ops.ones((4, 4)))


@pytest.mark.parametrize("what", OPERATIONS)
def test_operations_of_an_h5_file_are_found(keras, tmp_path, monkeypatch, what):
    """Keras 3 does not load such a file of its own: it looks for a layer of the name."""
    monkeypatch.chdir(tmp_path)
    x = keras.Input((4,), name="x")
    model = keras.Model(x, OPERATIONS[what](keras, x))
    model.save("made.h5")
    with pytest.raises(Exception):  # noqa: B017 - whichever of Keras's own
        keras.models.load_model("made.h5", compile=False)
    made = cure("made.h5")
    assert made.proved
    given = np.random.default_rng(2).normal(size=[1, 4]).astype(np.float32)
    run(made.plan.code)
    for content in (made.content, Path("model.tflite").read_bytes()):
        (got,) = Interpreter(model_content=content).get_signature_runner()(x=given).values()
        np.testing.assert_allclose(got, np.asarray(model(given)), atol=1e-5)


def test_a_model_that_keras_has_quantized_is_told(keras, tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model.save(tmp_path / "before.keras")
    model.quantize("int8")
    model.save(tmp_path / "quantized.keras")
    (told,) = diagnose(tmp_path / "quantized.keras").other
    assert "convert the model as it was before" in told
    with pytest.raises(NoCureError, match="convert the model as it was before"):
        cure(tmp_path / "quantized.keras")
    assert cure(tmp_path / "before.keras", quantization="dynamic range").proved


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_a_config_that_keras_does_not_read_back_is_exported(
    keras, tmp_path, monkeypatch, capsys, kind
):
    """Saving it again would not help: the printed line and command run where the model is."""
    from tensorflow.nn import silu

    monkeypatch.chdir(tmp_path)
    layers = [
        keras.Input((8, 8, 3), 1),
        keras.layers.Activation(silu),
        keras.layers.Flatten(),
    ]
    model = keras.Sequential([*layers, keras.layers.Dense(2)])
    model.save(f"m.{kind}")
    with pytest.raises((TypeError, ValueError)):
        keras.models.load_model(f"m.{kind}")
    assert main(["diagnose", f"m.{kind}"]) == 1
    told = " ".join(capsys.readouterr().out.split())
    line = re.search(r"the model, (model\.export\(.*?\)) loads nothing", told)[1]
    command = re.search(r"then (varhandle cure exported \S+)", told)[1]
    assert "save it again" not in told
    exec(line, {"model": model})
    ran(line)
    assert main(shlex.split(command)[1:]) == 0, capsys.readouterr().out
    interpreter = Interpreter("model.tflite")
    x = np.random.default_rng(0).random((1, 8, 8, 3), "float32")
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(answer, model(x, training=False), rtol=1e-4, atol=1e-5)


def test_an_augmentation_that_keras_does_not_read_back_is_told_so(keras, tmp_path, capsys):
    layers = [keras.Input((8, 8, 3), 1), keras.layers.RandomShear(0.2), keras.layers.Flatten()]
    keras.Sequential(layers).save(tmp_path / "m.keras")
    with pytest.raises((TypeError, ValueError)):
        keras.models.load_model(tmp_path / "m.keras")
    assert main(["cure", str(tmp_path / "m.keras"), str(tmp_path / "m.tflite")]) == 1
    assert 'model.export("exported")' in capsys.readouterr().out
