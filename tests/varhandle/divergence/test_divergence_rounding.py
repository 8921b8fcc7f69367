"""Where no fresh conversion says what is right, rounding is no fault, and a fault is none of it."""

import numpy as np
import pytest

from benchmarks.locate import faults
from varhandle import diff_models, locate, quantize
from varhandle.divergence import reduction
from varhandle.divergence.file_trace import FileTrace
from varhandle.divergence.replay import OpReplay


@pytest.fixture(scope="module")
def net(tf, tmp_path_factory):
    """A net of many kinds of layers, and the calls that its files are calibrated on."""
    keras = tf.keras
    layers, path = keras.layers, tmp_path_factory.mktemp("net") / "net.keras"
    keras.utils.set_random_seed(2)
    rng = np.random.default_rng(2)
    x = keras.Input((12, 12, 3), batch_size=1, name="x")
    y = layers.Conv2D(8, 3, padding="same")(x)
    y = layers.Activation("swish")(layers.BatchNormalization()(y))
    z = layers.DepthwiseConv2D(3, padding="same")(layers.ReLU()(y))
    z = layers.Conv2D(8, 1)(layers.ReLU(6)(layers.BatchNormalization()(z)))
    y = layers.AveragePooling2D(3)(layers.Rescaling(0.3)(layers.Add()([y, z])))
    y = layers.Reshape((16, 8))(y)
    y = layers.MultiHeadAttention(2, 4)(y, y)
    y = layers.Dense(5, activation="softmax")(layers.Flatten()(y))
    model = keras.Model(x, y)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if len(shape) == 1:  # uneven statistics, slopes and biases
            weight.assign(rng.uniform(0.2, 3.0, shape) * (-1 if "beta" in weight.name else 1))
    model.save(path)
    return path, rng.normal(size=(6, 1, 12, 12, 3)).astype("float32")


@pytest.fixture(scope="module")
def file_of(net):
    path, calls = net
    made = {}

    def of(recipe):
        if recipe not in made:
            made[recipe] = quantize(path, recipe, list(calls)).content
        return made[recipe]

    return of


@pytest.mark.parametrize("biased", [True, False])
def test_an_op_is_run_alone_on_what_it_takes_itself(tf, biased):
    """A quantizer may give it a bias that the float op lacks, or leave one out."""
    weight, bias = np.float32([[1, 2, 3], [4, 5, 6]]), np.float32([7, 8, 9])
    step = tf.function(lambda x: x @ weight + bias if biased else x @ weight)
    step = step.get_concrete_function(tf.TensorSpec([1, 2]))
    trace = FileTrace(tf.lite.TFLiteConverter.from_concrete_functions([step]).convert())
    (op,) = trace.ops
    assert (op.op, op.inputs[2] >= 0) == ("FULLY_CONNECTED", biased)
    replay = OpReplay(trace, op)
    for x in np.float32([[1, -1]]), np.float32([[2, 0], [0, 3]]):
        for given in bias, None:
            expected = x @ weight + (bias if biased and given is not None else 0)
            np.testing.assert_allclose(replay([x, weight.T, given])[0], expected)


@pytest.mark.parametrize(
    "recipe", ["int8", "int8, float inputs", "16x8", "float16", "dynamic range"]
)
def test_no_op_is_named_for_rounding(net, file_of, recipe, wrong_converter):
    path, calls = net
    content = file_of(recipe)
    wrong_converter(None)
    found = locate(path, content, inputs={"x": calls})
    assert found.agrees, found.text()
    assert len(found.pairs) > 20


def test_inputs_beyond_the_scale_are_told_as_that(net, file_of, wrong_converter):
    path, calls = net
    content = file_of("int8, float inputs")
    wrong_converter(None)
    first = locate(path, content, inputs={"x": 20 * calls}).first
    assert first["op"] == "QUANTIZE"
    assert "its scale is too small" in first["why"]


@pytest.mark.parametrize("recipe", ["int8, float inputs", "16x8", "float16"])
@pytest.mark.parametrize("kind", ["a weight changed", "a bias dropped", "a scale off"])
def test_a_planted_fault_is_named(net, file_of, recipe, kind, wrong_converter):
    path, calls = net
    for seed in range(20):
        fault = faults.plant(file_of(recipe), kind, np.random.default_rng(seed))
        fault = fault and faults.shown(file_of(recipe), fault, [{"x": c} for c in calls], 0.03)
        if fault:
            break
    else:
        pytest.skip("no op of this file can have it")
    wrong_converter(None)
    first = locate(path, fault.content, inputs={"x": calls}).first
    assert (first["call"], first["number"]) == (fault.call, fault.shown), first


def test_an_unknown_order_is_no_fault(tf, save_module):
    """Rounding changes the order of what is nearly the same: the indices are not the model's."""

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, 64], name="x")])
        def __call__(self, x):
            values, at = tf.math.top_k(tf.sin(x) * 0.5 + x, 8)
            return {"values": values, "at": at}

    path = save_module(Model())
    calls = np.random.default_rng(0).normal(size=(6, 1, 64)).astype("float32")
    content = quantize(path, "int8, float inputs", list(calls)).content
    first = locate(path, content, inputs={"x": calls}).first
    assert first["op"] == "TOPK_V2"
    assert first["why"].startswith("rounding grows from op to op")


def test_a_refused_model_is_not_divided(net, file_of, wrong_converter, monkeypatch):
    """The converter makes no file of the whole, so that there is no part whose file differs."""
    path, calls = net
    fault = faults.plant(file_of("int8"), "a bias dropped", np.random.default_rng(0))
    wrong_converter(None)
    found = locate(path, fault.content, inputs={"x": calls})
    monkeypatch.setattr(reduction, "_flat_graph", lambda *_: pytest.fail("it is divided"))
    assert found.reduce().case.content


def test_a_number_of_its_own_scale_is_compared(net, file_of, tmp_path):
    """A quantized constant without a shape has a list of one scale nevertheless."""
    path, _ = net
    (tmp_path / "net.tflite").write_bytes(file_of("16x8"))
    assert diff_models(path, tmp_path / "net.tflite").as_dict()
