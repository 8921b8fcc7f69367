"""Files of Keras 2, made by hand of what Keras 3 writes: as tf_keras 2.21 writes such models."""

import json
import re
import sys
import zipfile
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from printed_code import ran

from varhandle.cli import main
from varhandle.formats import read_graph
from varhandle.formats.embedded_code import objects_of
from varhandle.formats.keras_loader import KerasLoadError, load_keras

ADAM = {"optimizer_config": {"class_name": "Custom>Adam", "config": {"learning_rate": 0.001}}}
SHAPES = {"query_shape": [1, 4, 3], "key_shape": [1, 4, 3], "value_shape": [1, 4, 3]}
WRITTEN = {
    "LSTM": {"time_major": False, "implementation": 2},
    "GRU": {"time_major": False, "implementation": 2},
    "ConvLSTM2D": {"time_major": False},
    "DepthwiseConv2D": {"groups": 1},
    "SeparableConv2D": {"groups": 1, "kernel_initializer": "zeros", "kernel_regularizer": None},
    "Conv2DTranspose": {"groups": 1},
    "SpatialDropout2D": {"trainable": True, "noise_shape": None},
    "RandomFlip": {"rng_type": "stateful"},
    "MultiHeadAttention": {**SHAPES, "softmax_robust_masking": False},
    "Attention": {"score_mode": "dot"},
    "GlorotUniform": {"dtype": "float32"},
}
"""What Keras 2 writes of a class besides what Keras 3 does."""


def _as_keras_2(path, change=lambda config: None):
    """Write the config of a ``.h5`` file anew as Keras 2 does, and what it was compiled with."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for value, _ in list(objects_of(config)):
            settings = value.get("config")
            if isinstance(settings, dict):
                settings |= WRITTEN.get(value.get("class_name"), {})
                if "batch_shape" in settings:
                    settings["batch_input_shape"] = settings.pop("batch_shape")
        change(config)
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["training_config"] = json.dumps(ADAM)
        file.attrs["keras_version"] = "2.15.0"
    return path


@pytest.fixture
def saved(keras, tmp_path):
    def save(*layers, shape, change=lambda config: None):
        model = keras.Sequential([keras.Input(shape, batch_size=1), *layers])
        model.save(tmp_path / "m.h5")
        return model, _as_keras_2(tmp_path / "m.h5", change)

    return save


def _alike(model, path, *arrays):
    x = arrays[0] if len(arrays) == 1 else list(arrays)
    loaded = load_keras(str(path), trust=False)
    for want, got in zip(
        _flat(model(x, training=False)), _flat(loaded(x, training=False)), strict=True
    ):
        np.testing.assert_array_equal(want, got)


def _flat(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


def _noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def test_layers_of_images(keras, saved):
    layers = keras.layers
    stack = [layers.RandomFlip(), layers.DepthwiseConv2D(3), layers.SeparableConv2D(4, 3)]
    stack += [layers.SpatialDropout2D(0.1), layers.Conv2DTranspose(2, 3)]
    _alike(*saved(*stack, shape=(8, 8, 3)), _noise(1, 8, 8, 3))


def test_recurrent_layers(keras, saved):
    layers = keras.layers
    stack = [layers.Bidirectional(layers.LSTM(3, return_sequences=True)), layers.GRU(2)]
    _alike(*saved(*stack, shape=(5, 4)), _noise(1, 5, 4))
    _alike(*saved(layers.ConvLSTM2D(2, 3), shape=(3, 6, 6, 1)), _noise(1, 3, 6, 6, 1))


def test_the_hard_sigmoid_of_keras_2_is_another(keras, saved):
    _, path = saved(keras.layers.Dense(4, "hard_sigmoid", False, "ones"), shape=(1,))
    got = load_keras(str(path), trust=False)(np.array([[1.0]], "float32"))
    np.testing.assert_allclose(got, np.full((1, 4), 0.7), rtol=1e-6)  # 0.2 x + 0.5


def test_the_hard_sigmoid_of_a_recurrent_layer_is_that_of_keras_2(keras, saved):
    _, path = saved(keras.layers.LSTM(2, recurrent_activation="hard_sigmoid"), shape=(3, 2))
    cell = load_keras(str(path), trust=False).layers[-1].cell
    assert float(cell.recurrent_activation(np.float32(1.0))) == pytest.approx(0.7)


def test_a_sequential_model_as_a_list(keras, saved):
    """Before Keras 2.2.3, and with the first layer's shape in the place of an input layer."""

    def change(config):
        first, *layers = config["config"]["layers"]
        layers[0]["config"]["batch_input_shape"] = first["config"]["batch_input_shape"]
        config["config"] = layers

    model, path = saved(keras.layers.Dense(3), keras.layers.Dense(2), shape=(4,), change=change)
    _alike(model, path, _noise(1, 4))
    assert [spec.shape for spec in read_graph(path).functions[0].inputs] == [(1, 4)]


def test_calls_of_a_functional_model(keras, tmp_path):
    """A model inside a model is counted from 1; first states and keywords are tensors as well."""
    layers = keras.layers
    x = keras.Input((4, 3), batch_size=1, name="x")
    inner = keras.Sequential([keras.Input((4, 3), batch_size=1), layers.Dense(3)], name="inner")
    steps, h, c = layers.LSTM(3, return_sequences=True, return_state=True, name="first")(inner(x))
    attended = layers.MultiHeadAttention(1, 2, name="mha")(steps, x)
    y = layers.LSTM(3, name="second")(attended, initial_state=[h, c])
    model = keras.Model(x, [y, layers.Attention(name="att")([steps, x])])
    model.save(tmp_path / "m.h5")
    calls = {
        "inner": [[["x", 0, 0, {}]]],
        "first": [[["inner", 1, 0, {}]]],
        "mha": [[["first", 0, 0, {"value": ["x", 0, 0]}]]],
        "second": [[["mha", 0, 0, {}], ["first", 0, 1, {}], ["first", 0, 2, {}]]],
        "att": [[["first", 0, 0, {}], ["x", 0, 0, {}]]],
    }

    def change(config):
        for layer in config["config"]["layers"]:
            layer["inbound_nodes"] = calls.get(layer["name"], [])

    _alike(model, _as_keras_2(tmp_path / "m.h5", change), _noise(1, 4, 3))


def _with_functions(keras, tmp_path, *functions):
    """Write a model as Keras 2 does: ``Dense`` named ``a/b``, and functions of TensorFlow.

    ``functions`` are the name of a layer, its function, and its call.
    """
    x = keras.Input((4,), batch_size=1, name="x")
    dense = keras.layers.Dense(4, name="dense")
    keras.Model(x, dense(x)).save(tmp_path / "m.h5")

    def change(config):
        layers = config["config"]["layers"]
        layers[1]["name"] = layers[1]["config"]["name"] = "a/b"
        layers[0]["inbound_nodes"], layers[1]["inbound_nodes"] = [], [[["x", 0, 0, {}]]]
        for name, function, node in functions:
            kind = "SlicingOpLambda" if function.endswith("getitem") else "TFOpLambda"
            settings = {"name": name, "trainable": True, "dtype": "float32", "function": function}
            layer = {"class_name": kind, "config": settings, "name": name, "inbound_nodes": [node]}
            layers.append(layer)
        config["config"]["output_layers"] = [[functions[-1][0], 0, 0]]

    return dense, _as_keras_2(tmp_path / "m.h5", change)


def test_functions_of_tensorflow_on_the_tensors_of_a_model(tf, keras, tmp_path, monkeypatch):
    """As Keras 2 writes ``1 - x``, ``tf.concat``, slices and reductions; tf_keras is not needed."""
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    rest = {"start": 1, "stop": None, "step": None}
    every = {"start": None, "stop": None, "step": 2}
    dense, path = _with_functions(
        keras,
        tmp_path,
        (
            "minus",
            "math.subtract",
            ["_CONSTANT_VALUE", -1, 1.0, {"y": ["a/b", 0, 0], "name": None}],
        ),
        ("one", "concat", [["minus", 0, 0, {"axis": -1}]]),
        ("both", "concat", [["one", 0, 0, {"axis": -1}], ["a/b", 0, 0, {"axis": -1}]]),
        ("part", "__operators__.getitem", ["both", 0, 0, {"slice_spec": [every, rest]}]),
        ("row", "__operators__.getitem", ["part", 0, 0, {"slice_spec": 0}]),
        ("wide", "expand_dims", ["row", 0, 0, {"axis": 0}]),
        ("mean", "math.reduce_mean", ["wide", 0, 0, {"axis": [1], "keepdims": True}]),
        ("sum", "__operators__.add", ["wide", 0, 0, {"y": ["mean", 0, 0], "name": None}]),
        ("flat", "compat.v1.squeeze", ["sum", 0, 0, {"axis": 0, "name": None}]),
    )
    x = _noise(1, 4)
    both = tf.concat([1.0 - dense(x), dense(x)], -1)[::2, 1:]
    wanted = (both + tf.reduce_mean(both, 1, keepdims=True))[0]
    model = load_keras(str(path))
    np.testing.assert_allclose(model(x, training=False), wanted, rtol=1e-6)
    assert model.layers[1].name == "a__b"


def test_a_function_whose_tensors_are_not_in_the_file_is_told_so(tf, keras, tmp_path, monkeypatch):
    """As tf_keras 2.21 writes ``tf.einsum("bi,bi->b", x, x)``, and does not load it itself."""
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    lost = ["_CONSTANT_VALUE", -1, "bi,bi->b", {}]
    _, path = _with_functions(keras, tmp_path, ("out", "einsum", lost))
    with pytest.raises(KerasLoadError, match=r"tf\.einsum .*tf\.saved_model\.save") as raised:
        load_keras(str(path))
    assert "tf_keras does" not in str(raised.value)
    assert "pip install" not in str(raised.value)
    line = re.search(r"builds the model, (tf\..*?); then", str(raised.value))[1]
    monkeypatch.chdir(tmp_path)
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(2)])
    exec(line, {"tf": tf, "model": model})
    ran(line)
    assert main(["cure", "exported", "model.tflite"]) == 0


def test_such_a_function_in_an_archive(tf, keras, tmp_path):
    dense, path = _with_functions(keras, tmp_path, ("out", "nn.relu6", ["a/b", 0, 0, {}]))
    with h5py.File(path) as file:
        config = json.loads(file.attrs["model_config"])
    layer = config["config"]["layers"][-1]
    layer |= {"module": "tf_keras.src.layers.core.tf_op_layer", "registered_name": "TFOpLambda"}
    layer["build_config"] = {"input_shape": [1, 4]}
    config["config"]["layers"][0]["module"] = config["config"]["layers"][1]["module"] = (
        "keras.layers"
    )
    keras.Sequential([keras.Input((4,), batch_size=1), dense]).save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = json.dumps(
        {"module": "keras.src.engine.functional", **config}
    ).encode()
    members["metadata.json"] = json.dumps({"keras_version": "2.15.0"}).encode()
    with zipfile.ZipFile(tmp_path / "old.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    got = load_keras(str(tmp_path / "old.keras"))(_noise(1, 4), training=False)
    np.testing.assert_allclose(got, tf.nn.relu6(dense(_noise(1, 4))), rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "is_code"),
    [
        *(("math.add", False), ("compat.v1.squeeze", False), ("__operators__.getitem", False)),
        *(("io.write_file", True), ("py_function", True), ("load_op_library", True)),
        *(("compat.v1.py_func", True), ("math.__loader__", True), ("saved_model.load", True)),
        *(("math.reduce_sum.__globals__", True), (None, True)),
    ],
)
def test_of_the_functions_those_alone_run_that_only_calculate(
    keras, tmp_path, monkeypatch, function, is_code
):
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    node = ["a/b", 0, 0, {}]
    _, path = _with_functions(keras, tmp_path, ("out", str(function), node))
    assert bool(read_graph(path).embedded_code) == is_code
    if is_code:
        assert main(["cure", str(path), str(tmp_path / "m.tflite")]) == 2
        with pytest.raises(KerasLoadError, match="more than calculate"):
            load_keras(str(path), trust=True)


def test_layers_of_keras_applications_need_no_import(keras, tmp_path):
    """Of a ConvNeXt and an InceptionResNetV2 in a ``.h5`` file, of Keras 3 or 2."""
    from keras.src.applications.convnext import LayerScale, StochasticDepth
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

    x = keras.Input((2, 2, 3), batch_size=1)
    y = StochasticDepth(0.2)(LayerScale(0.5, 3)(x))
    model = keras.Model(x, CustomScaleLayer(0.3)([x, y]))
    model.save(tmp_path / "m.h5")
    _alike(model, tmp_path / "m.h5", _noise(1, 2, 2, 3))

    def register(config):
        config["config"]["layers"][-1]["class_name"] = "Custom>CustomScaleLayer"

    path = _as_keras_2(tmp_path / "m.h5", register)
    _alike(model, path, _noise(1, 2, 2, 3))
    assert read_graph(path).custom_objects == ()


def test_a_layer_of_ones_own_goes_before_that_of_keras_applications(keras, tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(
        "import keras\n\n\nclass LayerScale(keras.layers.Layer):\n"
        "    def call(self, x):\n        return 3.0 * x\n"
    )
    from keras.src.applications.convnext import LayerScale

    model = keras.Sequential([keras.Input((3,), batch_size=1), LayerScale(0.5, 3)])
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for name in ("init_values", "projection_dim"):
            del config["config"]["layers"][1]["config"][name]
        file.attrs["model_config"] = json.dumps(config)
        file["model_weights"].attrs["layer_names"] = []
    got = load_keras(str(tmp_path / "m.h5"), imports=[str(mine)])(np.ones((1, 3), "float32"))
    assert np.asarray(got).tolist() == [[3.0, 3.0, 3.0]]


def test_initializers_of_tensorflow_are_those_of_keras(keras, saved):
    """As in the head of an EfficientNetV2 of Keras 2."""
    module = "tensorflow.python.ops.init_ops_v2"
    zeros = {"module": module, "class_name": "Constant", "config": {"value": 0}}

    def change(config):
        settings = config["config"]["layers"][1]["config"]
        settings["bias_initializer"] = zeros | {"registered_name": "Constant"}

    model, path = saved(keras.layers.Dense(3), shape=(4,), change=change)
    graph = read_graph(path)
    assert (graph.custom_objects, graph.embedded_code) == ((), ())
    _alike(model, path, _noise(1, 4))


def _archive_of_keras_2(path):
    """Write the config of a ``.keras`` file anew, as Keras 2.13 to 2.15 did."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    for value, _ in list(objects_of(config)):
        settings = value.get("config")
        if not isinstance(settings, dict):
            continue
        if "batch_shape" in settings:
            settings["batch_input_shape"] = settings.pop("batch_shape")
        name = value.get("class_name")
        if name == "Functional":
            value["module"] = "keras.src.engine.functional"
            for side in ("input_layers", "output_layers"):
                settings[side] = [settings[side]]  # of one tensor
            before = None
            for layer in settings["layers"]:
                layer["inbound_nodes"] = [[[before, 0, 0, {}]]] if before else []
                before = layer["config"]["name"]
        if name == "BatchNormalization":
            settings["axis"] = [3]
        if name == "MultiHeadAttention":
            value["build_config"] = {"input_shape": [1, 4, 3]}
        if name in {"Conv2D", "Dense"}:
            settings["batch_input_shape"] = [1, 4, 4, 3]
    members["config.json"] = json.dumps(config).encode()
    members["metadata.json"] = json.dumps({"keras_version": "2.15.0"}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_an_archive_of_keras_2_with_a_model_in_a_model(keras, tmp_path):
    """As Teachable Machine and transfer learning make them."""
    layers = keras.layers
    x = keras.Input((4, 4, 3), batch_size=1)
    y = layers.BatchNormalization()(layers.Conv2D(4, 3)(x))
    pooled = keras.Sequential([keras.Model(x, y), layers.GlobalAveragePooling2D()])
    head = keras.Sequential([keras.Input((4,), batch_size=1), layers.Dense(2)])
    model = keras.Sequential([keras.Input((4, 4, 3), batch_size=1), pooled, head])
    model.save(tmp_path / "m.keras")
    _alike(model, _archive_of_keras_2(tmp_path / "m.keras"), _noise(1, 4, 4, 3))


def test_the_shape_of_attention_in_an_archive_of_keras_2(keras, tmp_path):
    x = keras.Input((4, 3), batch_size=1, name="x")
    model = keras.Model(x, keras.layers.MultiHeadAttention(1, 2)(x, x))
    model.save(tmp_path / "m.keras")
    path = _archive_of_keras_2(tmp_path / "m.keras")
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    (node,) = config["config"]["layers"][1]["inbound_nodes"]
    node[0][3] = {"value": ["x", 0, 0]}
    copy = tmp_path / "copy.keras"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as other:
        for name in archive.namelist():
            text = json.dumps(config) if name == "config.json" else archive.read(name)
            other.writestr(name, text)
    _alike(model, copy, _noise(1, 4, 3))


@pytest.mark.parametrize("module", [{}, {"module": "keras.mixed_precision"}])
@pytest.mark.parametrize("name", ["Policy", "PolicyV1"])
def test_a_policy_is_named(keras, saved, name, module):
    def change(config):
        policy = {"class_name": name, "config": {"name": "mixed_float16"}, **module}
        config["config"]["layers"][1]["config"]["dtype"] = policy

    layer = keras.layers.Dense(3, dtype="mixed_float16")
    model, path = saved(layer, shape=(4,), change=change)
    assert read_graph(path).embedded_code == ()
    _alike(model, path, _noise(1, 4))


def test_the_hard_sigmoid_in_an_archive_is_that_of_keras_2(keras, tmp_path):
    layer = keras.layers.Dense(4, "hard_sigmoid", False, "ones")
    keras.Sequential([keras.Input((1,), batch_size=1), layer]).save(tmp_path / "m.keras")
    got = load_keras(str(_archive_of_keras_2(tmp_path / "m.keras")))(np.ones((1, 1), "float32"))
    np.testing.assert_allclose(got, np.full((1, 4), 0.7), rtol=1e-6)


def _time_major(config):
    config["config"]["layers"][1]["config"]["time_major"] = True


def test_a_setting_is_left_out_only_where_it_changes_nothing(keras, saved, monkeypatch):
    def change(config):
        config["config"]["layers"][1]["config"]["groups"] = 3

    monkeypatch.setitem(sys.modules, "tf_keras", None)
    _, path = saved(keras.layers.DepthwiseConv2D(3), shape=(8, 8, 3), change=change)
    with pytest.raises(KerasLoadError, match="groups"):
        load_keras(str(path), trust=False)


def test_what_keras_3_has_no_match_for_is_said_and_left_to_tf_keras(keras, saved, monkeypatch):
    _, path = saved(keras.layers.LSTM(2), shape=(3, 2), change=_time_major)
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    with pytest.raises(KerasLoadError, match=r"time_major.*pip install 'tf_keras=="):
        load_keras(str(path), trust=False)
    asked = []
    load = lambda path, **options: asked.append((path, options)) or "the model"  # noqa: E731
    models = SimpleNamespace(models=SimpleNamespace(load_model=load))
    monkeypatch.setitem(sys.modules, "tf_keras", models)
    assert load_keras(str(path), trust=False) == "the model"
    ((given, options),) = asked
    assert given == str(path)
    assert (options["compile"], options["safe_mode"]) == (False, True)


def test_a_file_of_keras_3_is_left_as_it_is(keras, tmp_path):
    layer = keras.layers.Dense(4, "hard_sigmoid", False, "ones")
    model = keras.Sequential([keras.Input((1,), batch_size=1), layer])
    model.save(tmp_path / "m.h5")
    _alike(model, tmp_path / "m.h5", _noise(1, 1))


def test_such_a_file_is_diagnosed_and_cured(keras, saved, tmp_path, capsys):
    _, path = saved(keras.layers.LSTM(2), shape=(3, 2))
    assert main(["diagnose", str(path)]) == 0, capsys.readouterr().out
    assert main(["cure", str(path), str(tmp_path / "m.tflite")]) == 0
    _, path = saved(keras.layers.LSTM(2), shape=(3, 2), change=_time_major)
    assert main(["diagnose", str(path)]) == 1
    assert "pip install 'tf_keras==" in capsys.readouterr().out


def _prune(config):
    """Wrap each layer named ``dense`` as TensorFlow Model Optimization does."""
    for layer in config["config"]["layers"]:
        if layer["config"]["name"] == "dense":
            inner = {"class_name": layer["class_name"], "config": dict(layer["config"])}
            layer["class_name"] = "PruneLowMagnitude"
            layer["config"] = {"name": "pruned_dense", "layer": inner, "block_size": [1, 1]}


def _with_weights_of_pruning(path):
    with h5py.File(path, "r+") as file:
        file.move("model_weights/dense", "model_weights/pruned_dense")
        layers = [str(name) for name in file["model_weights"].attrs["layer_names"]]
        layers = ["pruned_dense" if name == "dense" else name for name in layers]
        file["model_weights"].attrs["layer_names"] = [name.encode() for name in layers]
        group = file["model_weights/pruned_dense"]
        names = [str(name) for name in group.attrs["weight_names"]]
        for name in ("dense/mask:0", "dense/threshold:0", "dense/pruning_step:0"):
            group.create_dataset(name, data=np.zeros(()))
            names.append(name)
        group.attrs["weight_names"] = [name.encode() for name in names]
    return path


def test_a_pruned_layer_is_read_without_its_wrapper(keras, saved):
    """The wrapper has weights of its own."""
    model, path = saved(keras.layers.Dense(3, name="dense"), shape=(4,), change=_prune)
    _alike(model, _with_weights_of_pruning(path), _noise(1, 4))


def test_a_pruned_layer_of_a_functional_model_has_the_name_that_it_is_called_by(keras, tmp_path):
    x = keras.Input((4,), batch_size=1, name="x")
    layer = keras.layers.Dense(4, name="dense")
    model = keras.Model(x, [layer(layer(x)), keras.layers.Dense(2, name="other")(x)])
    model.save(tmp_path / "m.h5")
    calls = {
        "x": [],
        "dense": [[["x", 0, 0, {}]], [["pruned_dense", 0, 0, {}]]],
        "other": [[["x", 0, 0, {}]]],
    }

    def change(config):
        for layer in config["config"]["layers"]:
            layer["inbound_nodes"] = calls[layer["config"]["name"]]
        _prune(config)
        for layer in config["config"]["layers"]:
            layer["name"] = layer["config"]["name"]
        config["config"]["output_layers"] = [["pruned_dense", 1, 0], ["other", 0, 0]]

    path = _with_weights_of_pruning(_as_keras_2(tmp_path / "m.h5", change))
    _alike(model, path, _noise(1, 4))
    assert load_keras(str(path), trust=False).output_names == ["pruned_dense", "other"]
