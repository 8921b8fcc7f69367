"""A constant that is another is named though no answer of the calls shows it, and only then."""

import numpy as np
import pytest
from family_checks import piece, run_command
from family_fixtures import printed_code_is_run
from json_forms import check_form

from varhandle import convert, locate, quantize
from varhandle.cli import main
from varhandle.divergence.reduction import CannotReduceError
from varhandle.tflite.flatbuffer import pack, unpack

__all__ = ["printed_code_is_run"]

_FAR = -50.0  # a bias that no sum of these products makes up for


def _with_changed(content, value, change):
    """Return a file in which the constant that holds these values holds others."""
    model = unpack(content)
    wanted = np.ascontiguousarray(value).tobytes()
    (buffer,) = [
        each for each in model.buffers if each.data is not None and bytes(each.data) == wanted
    ]
    held = np.array(value)
    change(held)
    buffer.data = np.frombuffer(held.tobytes(), np.uint8)
    return pack(model)


def _saved(tf, save_module, function, shape, dtype, **variables):
    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.values = {n: tf.Variable(v, name=n) for n, v in variables.items()}

        @tf.function(input_signature=[tf.TensorSpec(shape, dtype, name="x")])
        def __call__(self, x):
            return {"y": function(x, **self.values)}

    path = save_module(Model())
    return path, convert(path).content


def _normal(*shape):
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def dense(tf, save_module):
    """A kept sum of units, one of which never leaves 0."""
    weights, biases = _normal(4, 4), np.array([_FAR, 0.1, -0.2, 0.3], np.float32)

    def summed(x, w, b, total):
        return total.assign_add(tf.nn.relu(x @ w + b))

    total = np.zeros((1, 4), np.float32)
    made = _saved(tf, save_module, summed, [1, 4], tf.float32, w=weights, b=biases, total=total)
    return *made, weights, biases


def _add(place, by):
    def change(held):
        held[place] += by

    return change


def _is_named(path, content, op, *words):
    found = locate(path, content)
    assert not found.agrees
    first = check_form("locate", found)["first"]
    assert (first["op"], first["unseen"]) == (op, True)
    assert found.text().startswith(f"in no call, {op}")
    assert f"in no call, {op}" in found.page().partition("</strong>")[0]
    for word in ("its weights differ", "no answer of these", *words):
        assert word in found.text()
    return found


def test_a_weight_of_a_unit_that_stays_at_0(dense, tmp_path, capsys):
    path, content, weights, _ = dense
    assert locate(path, content).agrees
    bad = _with_changed(content, weights.T, _add((0, 1), 1.25))
    found = _is_named(path, bad, "FULLY_CONNECTED", "1 value, by 1.25 at most", "20 calls")
    with pytest.raises(CannotReduceError) as refused:
        found.reduce()
    option = piece(str(refused.value), "--inputs")
    np.save(tmp_path / "calls.npy", 100 * np.sign(weights[:, 0])[None, None])
    (tmp_path / "bad.tflite").write_bytes(bad)
    files = f"{path} {tmp_path / 'bad.tflite'}"
    assert run_command(f"varhandle locate {files} {option} {tmp_path / 'calls.npy'}") == 1
    assert capsys.readouterr().out.startswith("call 1, FULLY_CONNECTED")


@pytest.fixture(params=["converts", "refuses"])
def converter(request, wrong_converter):
    """The converter, or one that refuses: then no fresh conversion says what is right."""
    if request.param == "refuses":
        wrong_converter(None)


@pytest.mark.usefixtures("converter")
def test_the_bias_of_such_a_unit(dense):
    path, content, _, biases = dense
    assert locate(path, content).agrees
    bad = _with_changed(content, biases, _add(0, 5))
    _is_named(path, bad, "FULLY_CONNECTED", "by 5 at most")


def test_a_model_that_the_converter_refuses(tf, save_module, dense):
    """What it refuses adds 0, so that the file of the rest is sound."""
    _, _, weights, biases = dense

    def summed(x, w, b):
        return tf.nn.relu(x @ w + b)

    def refused(x, w, b):
        return summed(x, w, b) + tf.math.igamma(1.0, tf.nn.relu(-tf.abs(x)))

    given = [1, 4], tf.float32
    path, content = _saved(tf, save_module, refused, *given, w=weights, b=biases)
    assert content is None
    _, content = _saved(tf, save_module, summed, *given, w=weights, b=biases)
    assert locate(path, content).agrees
    bad = _with_changed(content, weights.T, _add((0, 1), 1.25))
    _is_named(path, bad, "FULLY_CONNECTED", "by 1.25 at most")


def test_what_the_converter_folds_is_no_other_constant(tf, save_module, wrong_converter):
    """No weight of the model is in the file as it was, and the op computes the same."""
    scales, shifts = np.abs(_normal(4)) + 0.5, np.array([_FAR, 0.1, -0.2, 0.3], np.float32)

    def scaled(x, w, b, s):
        return tf.nn.relu((x @ w) * s + b * s)

    made = {"w": _normal(4, 4), "b": shifts, "s": scales}
    path, content = _saved(tf, save_module, scaled, [1, 4], tf.float32, **made)
    wrong_converter(None)
    assert locate(path, content).agrees
    bad = _with_changed(content, (made["w"] * scales).T, _add((0, 1), 1.25))
    _is_named(path, bad, "FULLY_CONNECTED")


def test_the_command_says_that_it_parts(dense, tmp_path, capsys):
    path, content, weights, _ = dense
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(_with_changed(content, weights.T, _add((0, 1), 1.25)))
    assert main(["locate", str(path), str(bad)]) == 1
    assert "no answer of these 20 calls shows it" in capsys.readouterr().out


def test_a_seen_weight_is_named_with_its_call(dense):
    path, content, weights, _ = dense
    found = locate(path, _with_changed(content, weights.T, _add((1, 1), 1.25)))
    assert found.first["call"] == 1
    assert not found.first["unseen"]


@pytest.fixture(scope="module")
def convolution(tf, save_module):
    """Four filters behind a ReLU6, of which the last never leaves 0."""
    filters, biases = _normal(3, 3, 2, 4), np.array([0, 0, 0, _FAR], np.float32)

    def convolved(x, w, b):
        return tf.nn.relu6(tf.nn.conv2d(x, w, 1, "VALID") + b)

    made = _saved(tf, save_module, convolved, [1, 6, 6, 2], tf.float32, w=filters, b=biases)
    return *made, filters


@pytest.mark.usefixtures("converter")
def test_a_filter_of_a_convolution_behind_relu6(convolution):
    path, content, filters = convolution
    assert locate(path, content).agrees
    bad = _with_changed(content, filters.transpose(3, 0, 1, 2), _add((3, 1, 1, 0), 2))
    _is_named(path, bad, "CONV_2D", "by 2 at most")


@pytest.mark.usefixtures("converter")
def test_a_row_of_a_table_that_is_never_looked_up(tf, save_module):
    table = _normal(400, 3)

    def looked_up(x, t):
        return tf.gather(t, x % 7)

    path, content = _saved(tf, save_module, looked_up, [2], tf.int32, t=table)
    assert locate(path, content).agrees
    _is_named(path, _with_changed(content, table, _add((399, 0), 1)), "GATHER", "by 1 at most")


@pytest.mark.usefixtures("converter")
def test_a_branch_that_is_not_taken(tf, save_module):
    rare, usual = _normal(4, 4), np.eye(4, dtype=np.float32)

    def chosen(x, rare, usual):
        is_huge = tf.reduce_sum(x) > 1e6
        return tf.cond(is_huge, lambda: x @ rare, lambda: tf.tanh(x @ usual))

    path, content = _saved(tf, save_module, chosen, [1, 4], tf.float32, rare=rare, usual=usual)
    assert locate(path, content).agrees
    found = locate(path, _with_changed(content, rare.T, _add((2, 2), 3)))
    [inside] = check_form("locate", found)["first"]["inside"]
    assert (inside["where"], inside["op"]) == ("the first branch", "FULLY_CONNECTED")
    assert "its weights differ" in inside["why"]


@pytest.mark.parametrize("recipe", ["dynamic range", "float16", "int8", "16x8"])
def test_what_a_recipe_rounds_is_no_other_constant(convolution, recipe):
    path, _, _ = convolution
    samples = list(_normal(20, 1, 6, 6, 2))
    given = {"x": np.concatenate(samples)[:, None]}
    content = quantize(path, recipe, samples).content
    assert locate(path, content, inputs=given).agrees
