"""What became of variables in another format, held to TensorFlow's own values."""

import copy
import json
import re
import subprocess
import sys
import weakref
import zipfile
from collections import Counter

import h5py
import numpy as np
import pytest
from planted_faults import operators_of, with_changed_weight, without_bias, without_operators

from varhandle import diff_models, read_graph
from varhandle.cli import main
from varhandle.divergence import operator_diff, weights
from varhandle.divergence.weight_matching import recognize, same_value
from varhandle.divergence.weights import RecentValues, Weight
from varhandle.formats import format_of, tflite_bytes
from varhandle.formats.constants import Constant
from varhandle.tflite.flatbuffer import op_name, pack, unpack


@pytest.fixture(scope="module")
def net(tf, tmp_path_factory):
    """A convolutional net with a normalization that the converter folds, in each format."""
    import keras

    keras.utils.set_random_seed(1)
    uniform = keras.initializers.RandomUniform(0.5, 2.0)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3), batch_size=1),
            keras.layers.Conv2D(4, 3, name="first"),
            keras.layers.BatchNormalization(
                beta_initializer=uniform,
                gamma_initializer=uniform,
                moving_mean_initializer=uniform,
                moving_variance_initializer=uniform,
            ),
            keras.layers.ReLU(),
            keras.layers.DepthwiseConv2D(3, bias_initializer=uniform),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(5, bias_initializer=uniform),
        ]
    )
    folder = tmp_path_factory.mktemp("net")
    model.save(folder / "net.keras")
    model.save(folder / "net.h5")
    model.export(folder / "exported", verbose=False)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    (folder / "net.tflite").write_bytes(converter.convert())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    rng = np.random.default_rng(0)
    calls = [[rng.normal(size=(1, 12, 12, 3)).astype(np.float32)] for _ in range(4)]
    converter.representative_dataset = lambda: iter(calls)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    (folder / "int8.tflite").write_bytes(converter.convert())
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    (folder / "float16.tflite").write_bytes(converter.convert())
    return folder, model


@pytest.fixture(scope="module")
def total(tf, tmp_path_factory):
    """A state, a weight and a variable that nothing reads, as a SavedModel and its file."""

    class Total(tf.Module):
        def __init__(self):
            super().__init__()
            self.total = tf.Variable(np.full(4, 0.5, np.float32), name="total")
            self.weight = tf.Variable(np.arange(16, dtype=np.float32).reshape(4, 4), name="weight")
            self.unread = tf.Variable([1.0, 2.0, 3.0], name="unread")

        @tf.function(input_signature=[tf.TensorSpec([1, 4])])
        def step(self, x):
            self.total.assign_add((x @ self.weight)[0])
            return {"y": self.total.read_value()}

    folder = tmp_path_factory.mktemp("total")
    module = Total()
    tf.saved_model.save(module, folder / "saved", signatures=module.step)
    content = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved")).convert()
    (folder / "total.tflite").write_bytes(content)
    return folder, content


def statuses(found):
    return {one.name: one.status for one in found.variables}


def values_of(path):
    graph = read_graph(path)
    return {n: one.read() for n, one in format_of(graph).variable_values(graph).items()}


def test_a_saved_model_and_its_file(total):
    folder, _ = total
    found = diff_models(folder / "saved", folder / "total.tflite")
    assert statuses(found) == {"total": "kept", "weight": "frozen", "unread": "unused"}
    assert found.agrees
    rows = {one.name: one for one in found.variables}
    assert rows["weight"].how == "value, transposed"  # FULLY_CONNECTED keeps it so
    assert rows["weight"].difference == rows["total"].difference == 0.0
    assert "all 0.5" in rows["total"].after
    assert ("MatMul", 1, 0) in found.ops
    assert ("FULLY_CONNECTED", 0, 1) in found.ops


def test_a_file_and_the_model_that_it_was_made_from(total):
    """What a variable starts from is its value, and no weight of its own."""
    folder, _ = total
    found = diff_models(folder / "total.tflite", folder / "saved")
    assert set(statuses(found).values()) == {"kept"}
    assert len(found.variables) == 2


def test_values_are_those_that_tensorflow_reads(tf, total, net):
    folder, _ = total
    reader = tf.train.load_checkpoint(str(folder / "saved" / "variables" / "variables"))
    values = values_of(folder / "saved")
    for name in ("total", "weight", "unread"):
        expected = reader.get_tensor(f"{name}/.ATTRIBUTES/VARIABLE_VALUE")
        np.testing.assert_array_equal(values[name], expected)
    folder, model = net
    expected = {v.path: v.numpy() for v in model.variables}
    h5 = values_of(folder / "net.h5")
    assert h5.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(h5[name], value)
    archive = values_of(folder / "net.keras")
    np.testing.assert_array_equal(archive["layers/dense/vars/0"], model.layers[-1].kernel.numpy())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8", "bool", "int64"])
def test_dtypes_of_a_checkpoint(tf, tmp_path, dtype):
    value = tf.cast([[0, 1], [2, 1]], dtype)
    module = tf.Module()
    module.v = tf.Variable(value, name="v")
    module.f = tf.function(lambda: {"y": tf.identity(module.v)}, input_signature=[])
    tf.saved_model.save(module, tmp_path / "m", signatures=module.f.get_concrete_function())
    (found,) = values_of(tmp_path / "m").values()
    np.testing.assert_array_equal(found, value.numpy())


@pytest.mark.parametrize("source", ["net.keras", "net.h5", "exported"])
@pytest.mark.parametrize("file", ["net.tflite", "float16.tflite", "int8.tflite"])
def test_a_folded_normalization_is_fused(net, source, file):
    folder, model = net
    found = diff_models(folder / source, folder / file)
    assert found.agrees, found.text()
    counts = [one.status for one in found.variables if one.status != "unused"]
    # The first kernel with its bias, and the four of the normalization.
    assert sorted(counts) == ["frozen"] * 4 + ["fused"] * 6
    fused = [one for one in found.variables if one.status == "fused"]
    assert any("each channel scaled" in one.how for one in fused)
    assert len(model.variables) == 10


def test_a_keras_file_and_its_saved_model(net):
    folder, _ = net
    found = diff_models(folder / "net.keras", folder / "exported")
    assert found.agrees
    assert set(statuses(found).values()) == {"kept"}
    assert all(one.difference == 0.0 for one in found.variables)


def test_two_checkpoints_of_one_training(tmp_path):
    """Each variable is compared with itself, though all are numbered anew and many are zeros."""
    import keras

    keras.utils.set_random_seed(2)
    layers = keras.layers
    body = [layers.Conv2D(4, 3, name=name) for name in ("frozen", "first", "second")]
    body[2:2] = [layers.BatchNormalization(name="normal")]
    dense = [layers.Dense(16, name="wide"), layers.Dense(16, name="wide_too"), layers.Dense(3)]
    model = keras.Sequential([keras.Input((9, 9, 3)), *body, layers.Flatten(), *dense])
    model.export(tmp_path / "before", verbose=False)
    before = {v.path: v.numpy() for v in model.variables}
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(8, 9, 9, 3)), rng.normal(size=(8, 3)), verbose=0)
    model.export(tmp_path / "after", verbose=False)
    found = diff_models(tmp_path / "before", tmp_path / "after")
    rows = [one for one in found.variables if one.status != "unused"]
    assert {one.partners for one in rows} == {(one.name,) for one in rows}
    assert len(rows) == len(before)
    for variable in model.variables:
        (row,) = [one for one in rows if re.sub(r"(_\d+)+$", "", one.name) == variable.path]
        largest = np.max(np.abs(variable.numpy() - before[variable.path]))
        assert row.status == ("kept" if largest == 0 else "changed")
        assert row.difference == pytest.approx(largest)
    kept = [one.name for one in rows if one.status == "kept"]
    assert all("/frozen/" in name for name in kept)
    assert len(kept) == 2


def test_a_frozen_graph_and_its_file_with_folded_normalizations(tf, tmp_path):
    """Three convolutions of TF1, each with a normalization: its checkpoint, graph and file."""
    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default(), v1.Session() as session:
        x = h = v1.placeholder(tf.float32, [1, 8, 8, 3], name="x")
        for number, name in enumerate(("one", "two", "three")):
            kernel = v1.get_variable(f"{name}/kernel", [3, 3, h.shape[-1], 8], use_resource=False)
            h = tf.nn.conv2d(h, kernel, 1, "SAME", name=f"{name}/conv")
            told = [
                v1.get_variable(
                    f"{name}/bn/{role}",
                    [8],
                    initializer=v1.random_uniform_initializer(0.5, 2, seed=10 * number + place),
                )
                for place, role in enumerate(("gamma", "beta", "moving_mean", "moving_variance"))
            ]
            gamma, beta, mean, variance = told
            h, *_ = v1.nn.fused_batch_norm(h, gamma, beta, mean, variance, is_training=False)
            h = tf.nn.relu(h)
        weight = v1.get_variable("dense/kernel", [8, 4])
        y = tf.identity(tf.reduce_mean(h, [1, 2]) @ weight, name="y")
        v1.get_variable("global_step", [], tf.int64, v1.zeros_initializer(), trainable=False)
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(tmp_path / "model"))
        v1.saved_model.simple_save(session, str(tmp_path / "saved"), {"x": x}, {"y": y})
        frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["y"])
    (tmp_path / "frozen.pb").write_bytes(frozen.SerializeToString())
    opened = v1.lite.TFLiteConverter.from_frozen_graph
    content = opened(str(tmp_path / "frozen.pb"), ["x"], ["y"]).convert()
    (tmp_path / "frozen.tflite").write_bytes(content)
    names = [f"{n}/bn/{r}" for n in ("one", "two", "three") for r in ("beta", "gamma")]
    names += [f"{n}/bn/moving_{r}" for n in ("one", "two", "three") for r in ("mean", "variance")]
    fused = dict.fromkeys([*names, "one/kernel", "two/kernel", "three/kernel"], "fused")
    found = diff_models(tmp_path / "frozen.pb", tmp_path / "frozen.tflite")
    assert statuses(found) == {**fused, "dense/kernel": "kept"}
    rows = {one.name: one for one in found.variables}
    assert rows["two/kernel"].how == "value, each channel scaled by two/bn"
    for source in ("model", "saved"):
        found = diff_models(tmp_path / source, tmp_path / "frozen.tflite")
        told = {**fused, "dense/kernel": "frozen", "global_step": "unused"}
        assert (source, statuses(found)) == (source, told)
        found = diff_models(tmp_path / source, tmp_path / "frozen.pb")
        told = dict.fromkeys([*fused, "dense/kernel"], "frozen")
        assert (source, statuses(found)) == (source, {**told, "global_step": "unused"})


def test_a_changed_weight(net, tmp_path):
    folder, model = net
    content = (folder / "net.tflite").read_bytes()
    (dense,) = operators_of(content, "FULLY_CONNECTED")
    (tmp_path / "changed.tflite").write_bytes(with_changed_weight(content, dense, 3))
    kernel = model.layers[-1].kernel.numpy().T.reshape(-1)
    planted = abs(kernel[3] * 3 + 1 - kernel[3])
    found = diff_models(folder / "net.keras", tmp_path / "changed.tflite")
    (changed,) = [one for one in found.variables if one.status == "changed"]
    assert changed.name == "layers/dense/vars/0"
    assert changed.difference == pytest.approx(planted, rel=1e-5)
    assert not found.agrees
    found = diff_models(folder / "net.tflite", tmp_path / "changed.tflite")
    (operator,) = found.operators
    assert (operator.op, operator.number, operator.change) == ("FULLY_CONNECTED", dense, "constant")
    assert "1 of 20 values" in operator.detail


@pytest.fixture(scope="module")
def products(tf, save_module):
    """A kept sum of products, whose matrices the file names after the products."""

    class Kept(tf.Module):
        def __init__(self):
            super().__init__()
            values = np.random.default_rng(2).normal(size=(4, 4)).astype(np.float32)
            self.w = tf.Variable(values, name="w")
            self.v = tf.Variable(values + 10, name="v")
            self.total = tf.Variable(tf.zeros((1, 4)), name="total")

        @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32, name="x")])
        def __call__(self, x):
            return self.total.assign_add(tf.nn.relu(tf.tanh(x @ self.v) @ self.w))

    model = Kept()
    path = save_module(model)
    content = tf.lite.TFLiteConverter.from_saved_model(str(path)).convert()
    return path, content, model.w.numpy().T


@pytest.mark.parametrize(
    ("places", "by", "how"),
    [(slice(5, 6), 1.25, "most of its values"), (slice(None), 3.0, "the op that takes it")],
)
def test_a_changed_weight_under_another_name(products, tmp_path, places, by, how):
    path, content, weights = products
    held = weights.copy()
    start = content.index(held.tobytes())
    held.reshape(-1)[places] += np.float32(by)
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(content[:start] + held.tobytes() + content[start + held.nbytes :])
    found = {one.name: one for one in diff_models(path, bad).variables}
    assert (found["w"].status, found["w"].how) == ("changed", how)
    assert found["w"].difference == pytest.approx(by, rel=1e-6)
    assert (found["v"].status, found["total"].status) == ("frozen", "kept")
    assert diff_models(path, bad).agrees is False


def test_a_lost_bias(net, tmp_path):
    folder, _ = net
    content = (folder / "net.tflite").read_bytes()
    (dense,) = operators_of(content, "FULLY_CONNECTED")
    (tmp_path / "lost.tflite").write_bytes(without_bias(content, dense))
    found = diff_models(folder / "net.tflite", tmp_path / "lost.tflite")
    assert [one.detail for one in found.operators] == ["input 2 is left out now"]
    found = diff_models(folder / "net.keras", tmp_path / "lost.tflite")
    assert statuses(found)["layers/dense/vars/1"] == "lost"


def test_an_option_and_a_scale(net, tmp_path):
    folder, _ = net
    model = unpack((folder / "int8.tflite").read_bytes())
    subgraph = model.subgraphs[0]
    (mean,) = [op for op in subgraph.operators if op_name(model, op) == "MEAN"]
    mean.builtinOptions.keepDims = not mean.builtinOptions.keepDims
    tensor = subgraph.tensors[mean.outputs[0]]
    tensor.quantization = copy.copy(tensor.quantization)
    tensor.quantization.scale = [2 * float(tensor.quantization.scale[0])]
    (tmp_path / "b.tflite").write_bytes(pack(model))
    found = diff_models(folder / "int8.tflite", tmp_path / "b.tflite")
    assert {one.change for one in found.operators if one.op == "MEAN"} == {
        "options",
        "quantization",
    }
    assert {one.op for one in found.operators} == {"MEAN", "FULLY_CONNECTED"}  # which takes it


def test_the_same_file_twice(net):
    folder, _ = net
    found = diff_models(folder / "int8.tflite", folder / "int8.tflite")
    assert found.agrees
    assert not found.operators
    assert set(statuses(found).values()) == {"kept"}


def test_constants_that_are_the_same_in_two_files_are_read_once(net, tmp_path, monkeypatch):
    folder, _ = net
    content = (folder / "net.tflite").read_bytes()
    (dense,) = operators_of(content, "FULLY_CONNECTED")
    model = unpack(content)
    changed = model.subgraphs[0].operators[dense].inputs[1]
    (tmp_path / "b.tflite").write_bytes(with_changed_weight(content, dense))
    read = Counter()

    def counted(path, part, view):
        read[path.name, view.tobytes()] += 1
        return view

    for module in (weights, operator_diff):
        monkeypatch.setattr(module, "stored_bytes", counted)
    monkeypatch.setattr(weights, "_MOST_KEPT", 0)  # as if each of them were large
    found = diff_models(folder / "net.tflite", tmp_path / "b.tflite")
    assert [(one.op, one.change) for one in found.operators] == [("FULLY_CONNECTED", "constant")]
    kernel = model.buffers[model.subgraphs[0].tensors[changed].buffer].data.tobytes()
    once = {data: count for (name, data), count in read.items() if name == "net.tflite"}
    assert once.pop(kernel) > 1
    assert len(once) > 4 and set(once.values()) == {1}


def test_a_lost_initializer(total, tmp_path):
    folder, content = total
    (tmp_path / "lost.tflite").write_bytes(without_operators(content, "CALL_ONCE"))
    found = diff_models(folder / "saved", tmp_path / "lost.tflite")
    (lost,) = [one for one in found.variables if one.status == "lost"]
    assert (lost.name, lost.how) == ("total", "nothing gives it a first value")


def test_a_frozen_state_is_lost(tf, tmp_path):
    """A graph in which a state is a constant answers the same for ever."""
    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [4], name="x")
        total = v1.get_variable("total", [4], use_resource=True)
        weight = v1.get_variable("weight", [4], use_resource=True)
        with tf.control_dependencies([total.assign_add(x * weight)]):
            tf.identity(total.read_value(), name="y")
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(tmp_path / "model"))
        frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["y"])
    (tmp_path / "frozen.pb").write_bytes(frozen.SerializeToString())
    found = diff_models(tmp_path / "model", tmp_path / "frozen.pb")
    assert statuses(found) == {"total": "lost", "weight": "frozen"}


def test_a_checkpoint_graph_and_its_frozen_form(tf, tmp_path):
    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [1, 4], name="x")
        kernel = v1.get_variable("a/kernel", [4, 3], use_resource=False)
        bias = v1.get_variable("a/bias", [3], initializer=v1.ones_initializer(), use_resource=True)
        tf.identity(tf.nn.relu(x @ kernel + bias), name="y")
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(tmp_path / "model"))
        expected = session.run(kernel)
        frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["y"])
    (tmp_path / "frozen.pb").write_bytes(frozen.SerializeToString())
    np.testing.assert_array_equal(values_of(tmp_path / "model")["a/kernel"], expected)
    found = diff_models(tmp_path / "model", tmp_path / "frozen.pb")
    assert statuses(found) == {"a/kernel": "frozen", "a/bias": "frozen"}
    assert all(one.difference == 0.0 for one in found.variables)
    for data in tmp_path.glob("model.data*"):
        data.unlink()
    found = diff_models(tmp_path / "model", tmp_path / "frozen.pb")
    assert found.agrees
    assert "the values of 2 variables lie in a checkpoint that is not beside it" in found.text()


def weight(name, kind, value):
    held = Constant(value.shape, lambda most=0: value)
    return Weight(name, kind, str(value.dtype), value.shape, (name,), held)


def test_order_alone_never_pairs_two_values_that_differ():
    mine = weight("dense/kernel", "variable", np.arange(6.0).reshape(2, 3))
    other = weight("arith.constant", "constant", np.arange(6.0).reshape(2, 3) + 1)
    assert recognize([mine], [other]) == {}
    ones = [weight(f"scale_{n}", "variable", np.ones(3)) for n in range(2)]
    constants = [weight(f"pseudo{n}", "constant", np.ones(3)) for n in range(2)]
    found = recognize(ones, constants)
    assert [found[one].partners for one in ones] == [(one,) for one in constants]
    assert {one.how for one in found.values()} == {"shape and order"}


def test_gates_that_are_split_or_joined():
    """As LSTM kernels are: whole in the model, one for each gate in some files."""
    kernel = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    whole = weight("lstm/kernel", "variable", kernel)
    gates = [weight(f"pseudo{n}", "constant", kernel[:, 2 * n : 2 * n + 2].T) for n in range(4)]
    found = recognize([whole], gates)[whole]
    assert found.is_fused
    assert found.partners == tuple(gates)
    found = recognize(gates, [whole])
    assert all(found[gate].partners == (whole,) for gate in gates)
    other = weight("lstm/kernel", "constant", kernel + 1)
    assert recognize([gates[0]], [other]) == {}


def test_values_are_read_where_they_are_compared_and_not_kept(monkeypatch):
    """Of 40 weights of 8 kB on each side, never more are in memory than two and what is kept."""
    monkeypatch.setattr(weights, "_MOST_KEPT", 20_000)
    alive, most = set(), 0
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(40, 50)).astype(np.float32) for _ in range(40)]

    def reader(value):
        def read(most_values=0, **_):
            nonlocal most
            made = value.copy()
            alive.add(id(made))
            weakref.finalize(made, alive.discard, id(made))
            most = max(most, len(alive))
            return made

        return read

    def side(kind, given):
        recent = RecentValues()
        return [
            Weight(
                *(f"{kind}{n}", kind, "float32", value.shape, (f"{kind}{n}",)),
                Constant(value.shape, reader(value)),
                recent=recent,
            )
            for n, value in enumerate(given)
        ]

    mine, theirs = side("variable", values), side("constant", [one.T for one in values[::-1]])
    found = recognize(mine, theirs)
    assert [found[one].partners for one in mine] == [(one,) for one in theirs[::-1]]
    assert {one.how for one in found.values()} == {"value, transposed"}
    assert most <= 2 * 20_000 // 8_000 + 2


def test_a_large_file_is_compared_by_what_is_read_of_it(net, total, monkeypatch):
    """Its graph is read without the constants, which are found in the file by their place."""
    (folder, _), (states, _) = net, total
    pairs = [
        (folder / "net.keras", folder / "net.tflite"),
        (folder / "int8.tflite", folder / "net.tflite"),
        (states / "total.tflite", states / "saved"),
    ]
    expected = [diff_models(*pair).as_dict() for pair in pairs]
    monkeypatch.setattr(tflite_bytes, "_READ_WHOLE", 100)
    monkeypatch.setattr(tflite_bytes, "_BIG_CONSTANT", 8)
    part = tflite_bytes.read_graph_part(folder / "net.tflite")
    assert bytes(part).count(0) > (folder / "net.tflite").read_bytes().count(0)
    assert [diff_models(*pair).as_dict() for pair in pairs] == expected


@pytest.mark.parametrize("form", ["chunks", "gzip", "zip"])
def test_packed_values_of_keras_files(net, tmp_path, form):
    """What does not lie in one piece in its file is read by libhdf5, one value at a time."""
    folder, _ = net
    path = tmp_path / ("net.keras" if form == "zip" else "net.h5")
    if form == "zip":
        with zipfile.ZipFile(folder / path.name) as plain:
            members = {name: plain.read(name) for name in plain.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in members.items():
                packed.writestr(name, content)
    else:
        how = {"chunks": True} if form == "chunks" else {"compression": "gzip"}
        path.write_bytes((folder / path.name).read_bytes())
        with h5py.File(path, "r+") as file:
            held = []
            file["model_weights"].visititems(lambda name, one: held.append((name, one)))
            for name, one in held:
                if isinstance(one, h5py.Dataset) and one.ndim:
                    value = one[()]
                    del file["model_weights"][name]
                    file["model_weights"].create_dataset(name, data=value, **how)
    expected, found = values_of(folder / path.name), values_of(path)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize(
    "value",
    [
        np.array([True, False, True]),
        np.float32([1, np.nan, 2]),
        np.float32([1, np.inf, -np.inf]),
        np.complex64([1, 1j, 2]),
        np.int8([1, 2, 3]),
    ],
)
def test_values_that_are_not_plain_floats(value):
    mine, other = weight("a", "variable", value), weight("b", "constant", value.copy())
    assert same_value(mine, other) == (0.0, "")
    changed = value.copy()
    changed[0] = ~changed[0] if value.dtype == bool else changed[0] + 1
    assert same_value(mine, weight("b", "constant", changed)) is None
    assert recognize([mine], [other])[mine].how == "value"


def test_the_command(total, tmp_path, capsys):
    folder, content = total
    saved, file = str(folder / "saved"), str(folder / "total.tflite")
    assert main(["diff", saved, file]) == 0
    assert capsys.readouterr().out.startswith("1 kept, 1 frozen, 1 unused\n")
    lost = tmp_path / "lost.tflite"
    lost.write_bytes(without_operators(content, "CALL_ONCE"))
    assert main(["diff", saved, str(lost), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["agrees"] is False
    assert {"name", "status", "how", "difference"} <= told["variables"][0].keys()
    assert main(["diff", saved, str(tmp_path / "none.tflite")]) == 2
    assert "there is no such file" in capsys.readouterr().err


def test_no_tensorflow_is_needed(net, total):
    pairs = [(net[0] / "net.keras", net[0] / "net.tflite")]
    pairs += [(total[0] / "saved", net[0] / "exported")]
    code = "import sys; sys.modules['tensorflow'] = None; from varhandle import diff_models\n"
    code += "".join(f"diff_models({str(a)!r}, {str(b)!r})\n" for a, b in pairs)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_models_without_variables_are_not_said_to_have_the_same_ops(tmp_path):
    for name, op in {"a": "Placeholder", "b": "Placeholder", "c": "NoOp"}.items():
        (tmp_path / f"{name}.pbtxt").write_text(f'node {{ name: "x" op: "{op}" }}')
    of = [tmp_path / f"{name}.pbtxt" for name in "abc"]
    assert diff_models(of[0], of[1]).text() == "no variables, and the same ops"
    assert diff_models(of[0], of[2]).text().startswith("no variables, and other ops\n\nop ")
