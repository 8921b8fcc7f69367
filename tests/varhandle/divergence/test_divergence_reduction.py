"""What parts is cut down to a file of a few bytes that still parts, with a script that shows it."""

import functools
import os
import subprocess
import sys

import numpy as np
import pytest
import zoo
from planted_faults import (
    edited,
    operators_of,
    with_changed_weight,
    with_doubled_operator,
    with_options,
    with_renamed_output,
    without_bias,
    without_operators,
)
from printed_code import ran

from varhandle import locate, quantize
from varhandle.cli import main
from varhandle.divergence import reduction
from varhandle.divergence.file_trace import dequantized
from varhandle.divergence.other_runs import COMPILED
from varhandle.divergence.reduction import CannotReduceError
from varhandle.evaluate.parity import DELEGATES, PLAIN
from varhandle.families.catalog import FAMILIES
from varhandle.tflite.flatbuffer import unpack


def run_bare(folder):
    """Run a script as it is printed, away from this package."""
    script = folder / "reproduce.py"
    ran(script.read_text())
    assert len(script.read_text().splitlines()) <= 20
    assert script.read_text() in (folder / "issue.md").read_text()
    command = [sys.executable, "-I", str(script)]
    return subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def net(tf, tmp_path_factory):
    """A convolutional net, its path and its .tflite file."""
    import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3), batch_size=1),
            layers.Conv2D(4, 3, activation="relu", bias_initializer="ones"),
            layers.Conv2D(6, 3, activation="relu", bias_initializer="ones"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5, bias_initializer="ones"),
        ]
    )
    path = tmp_path_factory.mktemp("net") / "net.keras"
    model.save(path)
    return path, tf.lite.TFLiteConverter.from_keras_model(model).convert()


SILENT = {
    "keras-in-module": ("keras3-export", "READ_VARIABLE"),
    "uninitialized-variable": ("uninitialised-variable", "READ_VARIABLE"),
    "unfrozen-graph": ("unfrozen-graph", "READ_VARIABLE"),
    "growing-variable": (
        "shared-or-dynamic-state",
        "call 1, output_0: DIFFERS: [[0.]\n [0.]] where TensorFlow has [[0.]]",
    ),
    "int8-state": ("quantised-state", "call 1: 0.9999995864927769 apart: DIFFERS"),
    "relu-of-product": ("lost-activation", "DIFFERS"),
    "infinite-constant": (
        "clamped-infinity",
        "DIFFERS: [[-3.4028235e+38]] where TensorFlow has [[-inf]]",
    ),
    "fft-length": ("fft-length", "DIFFERS"),
}
"""A failure that converts without a word -> its family, and what the script shows."""


@pytest.fixture(scope="module")
def reduced_silent(silent):
    """What a silent failure is reduced to, by its name."""
    # Inputs of int8 that its scales hold: then it is the state that ends.
    inputs = {"int8-state": {"x": np.full([20, 1, 4], 0.25, np.float32)}}
    return functools.cache(lambda name: locate(*silent(name), inputs=inputs.get(name)).reduce())


def test_every_family_that_answers_wrongly_is_reduced():
    silent_families = {family.id for family in FAMILIES if family.answers_wrongly}
    assert silent_families <= {family for family, _ in SILENT.values()}


@pytest.mark.parametrize("name", SILENT)
def test_a_silent_failure_is_reduced_to_less_than_4_kb(reduced_silent, name, tmp_path):
    reduced = reduced_silent(name)
    reduced.write(tmp_path / "out")
    assert (tmp_path / "out" / "reduced.tflite").stat().st_size < 4000
    ended = run_bare(tmp_path / "out")
    assert SILENT[name][1] in ended.stdout + ended.stderr
    assert "agrees" not in ended.stdout.splitlines()[-1:]
    said = (tmp_path / "out" / "issue.md").read_text().split("To see it")[0]
    assert "difference inf" not in said
    assert "\ngot " in said or "refuses the call" in said


def test_where_the_converter_is_at_fault_the_model_is_reduced_too(reduced_silent):
    reduced = reduced_silent("growing-variable")
    ops = sorted(name.rsplit("/", 1)[-1] for name in reduced.part.flat.divisible)
    assert ops == ["AssignVariableOp", "ReadVariableOp"]
    assert reduced_silent("unfrozen-graph").part is None  # the file came from elsewhere


def test_the_shapes_and_numbers_of_the_model_are_made_smaller_too(tf, tmp_path):
    """A constant that the converter clamps, in a model of many numbers; one of them is enough."""

    def step(module, x):
        hidden = tf.nn.relu(x @ module.w)
        return {"y": tf.where(hidden > 2.0, hidden, tf.constant(np.full(24, -np.inf, "f")))}

    begin = np.random.default_rng(0).normal(size=(16, 24)).astype("f")
    spec = tf.TensorSpec([None, 6, 16], tf.float32, "x")
    path = zoo.save_step(tf, tmp_path / "model", {"w": tf.Variable(begin)}, step, spec)
    reduced = locate(path, inputs={"x": np.ones([2, 4, 6, 16], np.float32)}).reduce()
    reduced.write(tmp_path / "out")
    loaded = tf.saved_model.load(str(tmp_path / "out" / "saved_model"))
    _, specs = loaded.signatures["serving_default"].structured_input_signature
    assert {tuple(spec.shape) for spec in specs.values()} == {(1, 1, 1)}
    assert not any(size > 1 for v in loaded.held for size in v.shape)
    fed = np.load(tmp_path / "out" / "inputs.npz")
    assert sorted({name.partition("_input")[0] for name in fed}) == ["call_0"]
    ended = run_bare(tmp_path / "out")
    assert "call 1, output_0: DIFFERS: [[[-3.4028235e+38]]]" in ended.stdout


WAYS = {
    DELEGATES: lambda tf, x: tf.exp(tf.cos(tf.sin(x))) + x,
    PLAIN: lambda tf, x: tf.tanh(tf.exp(tf.cos(tf.sin(x)))) + x,
    COMPILED: lambda tf, x: tf.tanh(tf.exp(tf.cos(tf.sin(x)))) + x,
}


@pytest.mark.parametrize("kernels", WAYS)
def test_what_only_a_way_of_running_shows_is_reduced(tf, saved_and_converted, kernels, tmp_path):
    """What is right is what the same file gives where each tensor has memory of its own."""
    path, content = saved_and_converted(lambda x: {"y": WAYS[kernels](tf, x)}, [4, 64])
    twice = with_doubled_operator(content, "SIN", "ADD")
    calls = np.linspace(1, 2, 2 * 256, dtype=np.float32).reshape(2, 4, 64)
    found = locate(path, twice, inputs={"x": calls})
    found.first["kernels"] = kernels  # of several, the first that differs is named
    reduced = found.reduce()
    ((x,),) = reduced.case.calls
    assert x.size < 64
    reduced.write(tmp_path / "out")
    told = run_bare(tmp_path / "out").stdout
    assert "kept apart [" in told
    assert kernels in told
    assert told.endswith("DIFFERS\n")


def test_a_changed_weight_is_reduced_to_itself(net, tmp_path):
    path, content = net
    planted = with_changed_weight(content, operators_of(content, "CONV_2D")[1])
    reduced = locate(path, planted).reduce()
    reduced.write(tmp_path / "out")
    ((image,),) = reduced.case.calls
    assert image.size == 1
    assert len(reduced.case.content) < 1500
    assert "DIFFERS" in run_bare(tmp_path / "out").stdout
    # w * 3 + 1 is not w: what is left differs by what was planted, times the input.
    (inputs,) = np.load(tmp_path / "out" / "inputs.npz").values()
    weight = (reduced.measured.expected[0] / inputs).item()
    assert reduced.measured.got[0].item() == pytest.approx(inputs.item() * (3 * weight + 1), abs=1)


def test_the_twin_of_a_lost_bias_has_it(net):
    path, content = net
    (dense,) = operators_of(content, "FULLY_CONNECTED")
    reduced = locate(path, without_bias(content, dense)).reduce()
    np.testing.assert_allclose(reduced.measured.expected[0] - reduced.measured.got[0], 1.0)


def test_an_op_that_no_interpreter_opens_is_cut_out(net, tmp_path):
    path, content = net
    second = operators_of(content, "CONV_2D")[1]
    locate(path, without_bias(content, second)).reduce().write(tmp_path / "out")
    assert (tmp_path / "out" / "reduced.tflite").stat().st_size < 1200
    assert "CONV_2D) failed to prepare" in run_bare(tmp_path / "out").stderr


BEGIN = np.linspace(1, 2, 8 * 64, dtype=np.float32).reshape(8, 64)


@pytest.fixture(scope="module")
def total(tf, save_module):
    class Total(tf.Module):
        def __init__(self):
            self.total = tf.Variable(BEGIN, name="total")

        @tf.function(input_signature=[tf.TensorSpec([8, 64], tf.float32, "x")])
        def __call__(self, x):
            self.total.assign_add(0.5 * x)
            return tf.sin(self.total)

    path = save_module(Total())
    return path, tf.lite.TFLiteConverter.from_saved_model(str(path)).convert()


def test_a_state_is_reduced_to_one_value(total, tmp_path):
    path, content = total
    x = np.random.default_rng(0).normal(size=(1, 8, 64)).astype(np.float32)
    reduced = locate(path, without_operators(content, "ASSIGN_VARIABLE"), inputs={"x": x}).reduce()
    reduced.write(tmp_path / "out")
    assert "DIFFERS" in run_bare(tmp_path / "out").stdout
    assert len(reduced.case.content) < 1200
    (got,), (expected,) = reduced.measured.got, reduced.measured.expected
    assert got.size == expected.size == 1
    (place,) = np.flatnonzero(got.item() == BEGIN)
    assert expected.item() == pytest.approx(got.item() + 0.5 * x.ravel()[place], rel=1e-5)


def test_a_variable_that_refuses_to_be_read_is_cut_out(total, tmp_path):
    path, content = total
    locate(path, without_operators(content, "CALL_ONCE")).reduce().write(tmp_path / "out")
    assert (tmp_path / "out" / "reduced.tflite").stat().st_size < 800
    assert "READ_VARIABLE" in run_bare(tmp_path / "out").stderr


@pytest.mark.parametrize("names", ["those of the model", "the file's own"])
def test_what_has_no_twin_is_reduced_too(tf, saved_and_converted, wrong_converter, tmp_path, names):
    """One op, and two whose tensor between them has no partner in the model."""
    path, content = saved_and_converted(lambda x: {"y": tf.sin(x * 0.7)}, [4, 32])
    wrong = with_changed_weight(content, *operators_of(content, "MUL"))
    if names == "the file's own":
        wrong = with_renamed_output(wrong, *operators_of(wrong, "MUL"))
    found = locate(path, wrong_converter(wrong))
    assert [op for op, _ in found.first["group"]] == (
        ["MUL"] if names == "those of the model" else ["MUL", "SIN"]
    )
    reduced = found.reduce()
    reduced.write(tmp_path / "out")
    assert "DIFFERS" in run_bare(tmp_path / "out").stdout
    ((x,),), (expected,) = reduced.case.calls, reduced.measured.expected
    assert x.size == expected.size == 1
    sound = 0.7 * x if names == "those of the model" else np.sin(0.7 * x)
    np.testing.assert_allclose(expected, sound, rtol=1e-5)


def _normal(*shape):
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def _values(reduced):
    return reduced.case.calls, reduced.measured.expected, reduced.measured.got


_SUMS = {
    "FULLY_CONNECTED": (lambda tf, x, w: x @ w, [3, 8], _normal(8, 8)),
    "BATCH_MATMUL": (lambda tf, x, w: x @ w, [2, 3, 8], _normal(2, 8, 5)),
    "CONV_2D": (
        lambda tf, x, w: tf.nn.conv2d(x, w, 1, "VALID"),
        [1, 9, 9, 4],
        _normal(3, 3, 4, 4),
    ),
    "CONV_2D with a stride": (
        lambda tf, x, w: tf.nn.conv2d(x, w, 2, "SAME"),
        [1, 9, 9, 4],
        _normal(3, 3, 4, 6),
    ),
    "DEPTHWISE_CONV_2D": (
        lambda tf, x, w: tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], "VALID"),
        [1, 7, 7, 6],
        _normal(3, 3, 6, 1),
    ),
    "DEPTHWISE_CONV_2D with two outputs a channel": (
        lambda tf, x, w: tf.nn.depthwise_conv2d(x, w, [1, 2, 2, 1], "SAME"),
        [1, 7, 7, 6],
        _normal(3, 3, 6, 2),
    ),
}


@pytest.mark.parametrize("name", _SUMS)
def test_what_a_sum_goes_over_is_cut_without_a_twin_too(
    tf, saved_and_converted, wrong_converter, tmp_path, name
):
    """Of all sums one product is left, with the weight that is at fault."""
    compute, shape, weights = _SUMS[name]
    op = name.partition(" ")[0]
    path, content = saved_and_converted(lambda x: {"y": compute(tf, x, weights) + 0.25}, shape)
    wrong = with_changed_weight(content, *operators_of(content, op))
    reduced = locate(path, wrong_converter(wrong)).reduce()
    reduced.write(tmp_path / "out")
    assert "DIFFERS" in run_bare(tmp_path / "out").stdout
    ((x,),), (expected,), (got,) = _values(reduced)
    assert (x.size, expected.size, got.size) == (1, 1, 1)
    bias = 0.25 if op != "BATCH_MATMUL" else 0.0  # that has none, and an ADD comes after it
    product = expected.item() - bias
    assert got.item() - bias == pytest.approx(3 * product + x.item(), rel=1e-5)  # 3 * w + 1
    assert np.isclose(weights * x, product, rtol=1e-5).any()


def test_a_sum_of_integers_is_cut_too(tf, save_module, wrong_converter, tmp_path):
    """The model has its weights in a variable, and takes the numbers that the integers are."""
    kernel, images = _normal(3, 3, 4, 8), _normal(20, 1, 6, 6, 4)

    class Convolution(tf.Module):
        def __init__(self):
            self.kernel = tf.Variable(kernel)

        @tf.function(input_signature=[tf.TensorSpec([1, 6, 6, 4], name="x")])
        def __call__(self, x):
            return {"y": tf.nn.conv2d(x, self.kernel, 1, "SAME")}

    def change(model, operator):
        buffer = model.buffers[model.subgraphs[0].tensors[operator.inputs[1]].buffer]
        buffer.data = np.array(buffer.data)
        buffer.data[5] ^= 0x60  # a third to a half of what 8 bits hold, up or down

    path = save_module(Convolution())
    content = quantize(path, "int8", list(images)).content
    wrong = wrong_converter(edited(content, "CONV_2D", change))
    reduced = locate(path, wrong, inputs={"x": images}).reduce()
    reduced.write(tmp_path / "out")
    assert "DIFFERS" in run_bare(tmp_path / "out").stdout
    ((x,),), (expected,), _ = _values(reduced)
    file = unpack(reduced.case.content)
    held = file.subgraphs[0].tensors[file.subgraphs[0].inputs[0]]
    assert (x.dtype, x.size, expected.size) == (np.int8, 1, 1)
    assert np.isclose(dequantized(x, held) * kernel, expected, rtol=1e-5).any()


def test_an_axis_is_cut_only_where_the_model_has_the_same(tf, saved_and_converted, wrong_converter):
    """Of a transposed product of two inputs, one row and column would show no difference."""
    path, content = saved_and_converted(lambda x: {"y": tf.sin(x) @ tf.cos(x)}, [2, 8, 8])
    wrong = edited(content, "BATCH_MATMUL", with_options(adjY=True))
    reduced = locate(path, wrong_converter(wrong)).reduce()
    ((x, y),), (expected,), (got,) = _values(reduced)
    assert max(*x.shape, *y.shape) == 2
    np.testing.assert_allclose(expected, x @ y, rtol=1e-5)
    np.testing.assert_allclose(got, x @ y.transpose(0, 2, 1), rtol=1e-5)


def _dies(case, seconds):
    os.abort()


def test_where_an_interpreter_dies_each_try_has_a_process_of_its_own(
    tf, saved_and_converted, wrong_converter, monkeypatch
):
    path, content = saved_and_converted(lambda x: {"y": tf.sin(x * 0.7)}, [2, 4])
    wrong = with_changed_weight(content, *operators_of(content, "MUL"))
    found = locate(path, wrong_converter(wrong))
    together = found.reduce()
    assert together.tries
    monkeypatch.setattr(reduction, "shrink", _dies)
    alone = found.reduce()
    assert (alone.tries, alone.case.content) == (together.tries, together.case.content)


@pytest.mark.parametrize(("seconds", "choices"), [(60.0, 9), (-1.0, 0)])
def test_after_the_time_limit_no_choice_of_axes_is_made(seconds, choices):
    """Each choice may take its time, although nothing is tried any more."""
    made = []

    class Shrinking(reduction._Shrinking):
        def _groups(self):
            return (frozenset({(place, 0)}) for place in range(9))

        def _halve(self, group):
            made.append(group)
            return False

    case = reduction.ReducedCase(b"", [[]], ())
    Shrinking(case, seconds, lambda case: None)._shrink_axes()
    assert len(made) == choices


def test_a_sound_file_has_nothing_to_reduce(net):
    with pytest.raises(CannotReduceError, match="no op parts"):
        locate(*net).reduce()


def test_the_command_writes_the_reduced_case(net, tmp_path, capsys):
    path, content = net
    planted = tmp_path / "planted.tflite"
    planted.write_bytes(with_changed_weight(content, 0))
    out = tmp_path / "out"
    assert main(["locate", str(path), str(planted), "--reduce", str(out)]) == 1
    assert "reduced.tflite" in capsys.readouterr().out
    assert {one.name for one in out.iterdir()} == {
        *("expected.npz", "inputs.npz", "issue.md", "reduced.tflite", "reproduce.py")
    }
    assert main(["locate", str(path), str(planted), "--reduce", str(out)]) == 2
    assert "not empty" in capsys.readouterr().err


def test_the_command_says_where_the_file_parts_though_nothing_can_be_reduced(
    net, tmp_path, capsys, monkeypatch
):
    """And why; the exit code is that of the comparison."""
    path, content = net
    (tmp_path / "net.tflite").write_bytes(content)
    out = tmp_path / "out"
    sound = ["locate", str(path), str(tmp_path / "net.tflite"), "--reduce", str(out)]
    assert main(sound) == 0
    said = capsys.readouterr()
    assert said.out.startswith("no op parts in 5 calls")
    nothing = "no op parts, so there is nothing to reduce: bring inputs that show it (--inputs)"
    assert said.err == f"varhandle: nothing is written to {out}: {nothing}\n"
    (tmp_path / "net.tflite").write_bytes(with_changed_weight(content, 0))
    monkeypatch.setattr(reduction, "_measured", lambda _: None)
    assert main(sound) == 1
    said = capsys.readouterr()
    assert said.out.startswith("call 1, CONV_2D ")
    assert "does not differ when it runs alone" in said.err
    assert not out.exists()
