"""Quantization against NumPy's own ranges, TensorFlow's interpreter and the model itself."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from varhandle.conversion.quantization import quantize, quantize_file
from varhandle.conversion.quantization_debugger import (
    QuantizationError,
    layer_errors,
    layer_label,
    read_layer_statistics,
)
from varhandle.evaluate.latency import Latency
from varhandle.evaluate.recipe_comparison import (
    MeasuredFile,
    RecipeTable,
    compare_recipes,
    count_right,
)
from varhandle.evaluate.session import Session
from varhandle.facts.recipes import RECIPES
from varhandle.graph import ModelFileError
from varhandle.tflite.flatbuffer import decode, indices, unpack
from varhandle.tflite.tensor_ranges import quantized_ranges
from workbook_lib.locations import data_path
from workbook_lib.samples import load_classifier, load_digits

CLASSIFIER = data_path("digits_classifier.keras")
DIGITS = load_digits()
SAMPLES = list(DIGITS.train_images[:50, None])


@pytest.fixture(scope="module")
def made():
    """The classifier by every recipe."""
    return {name: quantize(CLASSIFIER, name, SAMPLES) for name in RECIPES}


@pytest.fixture(scope="module")
def errors():
    return layer_errors(CLASSIFIER, SAMPLES)


@pytest.fixture(scope="module")
def expected(tf):
    """TensorFlow's own class of each held-out digit."""
    return load_classifier()(DIGITS.test_images).numpy().argmax(axis=1)


def details(content):
    """Return what LiteRT's own interpreter says of the input and the output."""
    interpreter = Interpreter(model_content=content)
    return interpreter.get_input_details()[0], interpreter.get_output_details()[0]


# Recipes


def weight_dtypes(content):
    """Return the dtypes of the constants with over a hundred values."""
    model = unpack(content, "a test")
    names = {0: "float32", 1: "float16", 9: "int8"}
    return {
        names.get(tensor.type, tensor.type)
        for subgraph in model.subgraphs
        for tensor in subgraph.tensors
        if tensor.shape is not None
        and np.prod(tensor.shape) > 100
        and model.buffers[tensor.buffer].data is not None
    }


@pytest.mark.parametrize(
    ("name", "ends", "weights", "activations"),
    [
        ("float32", "float32", {"float32"}, set()),
        ("float16", "float32", {"float16"}, set()),
        ("dynamic range", "float32", {"int8"}, set()),
        ("int8", "int8", {"int8"}, {"int8"}),
        ("int8, float inputs", "float32", {"int8"}, {"int8"}),
        ("16x8", "float32", {"int8"}, {"int16"}),
        ("selective", "float32", {"int8", "float32"}, {"int8"}),
    ],
)
def test_a_file_has_the_recipes_dtypes(made, name, ends, weights, activations):
    taken, given = details(made[name].content)
    assert taken["dtype"] == given["dtype"] == np.dtype(ends)
    found = weight_dtypes(made[name].content)
    # The convolution of 72 weights aside, dynamic range leaves small tensors as they are.
    assert found == weights or (name == "dynamic range" and "int8" in found)
    assert {tensor.dtype for tensor in made[name].ranges.tensors} == activations
    if RECIPES[name].calibrated:
        assert f"int{RECIPES[name].activation_bits}" in activations


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_answers_nearly_as_the_model_does(made, expected, name):
    session = Session(made[name].content)
    answers = [next(iter(session(x[None]).values())).argmax() for x in DIGITS.test_images]
    assert np.sum(np.array(answers) != expected) <= 3


def test_only_calibrated_recipes_count_calls(made):
    calibrated = ("int8", "int8, float inputs", "16x8", "selective")
    assert {name: one.calls for name, one in made.items() if one.calls} == dict.fromkeys(
        calibrated, 50
    )


def test_calibration_sees_the_samples_that_it_is_given():
    dim = [sample / 4 for sample in SAMPLES[:3]]
    largest = max(sample.max() for sample in dim)
    (taken,) = quantize(CLASSIFIER, "int8", dim).ranges.of_op("input")
    assert taken.largest == pytest.approx(largest, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((CLASSIFIER, "int4"), ValueError, "no recipe 'int4'; there are: 'float32'"),
        ((CLASSIFIER, "int8"), ValueError, "int8 needs calibration"),
        ((CLASSIFIER, "selective", []), ValueError, "needs calibration"),
        ((CLASSIFIER, "int8", [np.zeros((1, 3), np.float32)]), QuantizationError, "int8: no file"),
        ((data_path("digits.npz"), "float32"), ModelFileError, "digits.npz"),
        ((data_path("digits.npz"), "selective", SAMPLES), ModelFileError, "digits.npz"),
    ],
)
def test_bad_input_is_told_in_one_line(arguments, error, words):
    with pytest.raises(error) as caught:
        quantize(*arguments)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


# The layers


def test_a_file_has_no_layers_to_look_into(counting_file, tmp_path):
    (tmp_path / "made.tflite").write_bytes(counting_file)
    with pytest.raises(ModelFileError, match="neither a SavedModel nor a Keras file"):
        layer_errors(tmp_path / "made.tflite", SAMPLES)


def test_a_layer_that_only_moves_values_loses_nothing(errors):
    found = {one.layer: one for one in errors.layers}
    assert set(found) == {"edges", "shrink", "strokes", "flatten", "digit", "output"}
    assert found["shrink"].steps == found["flatten"].steps == 0.0  # they copy int8 values
    assert all(0.2 < found[name].steps < 1.0 for name in ("edges", "strokes", "digit"))


def tensor_dtype(content, name):
    (found,) = (
        tensor.type
        for subgraph in unpack(content, "a test").subgraphs
        for tensor in subgraph.tensors
        if decode(tensor.name) == name
    )
    return {0: "float32", 9: "int8"}[found]


def test_the_selective_recipe_keeps_the_worst_layer_in_float(made, errors):
    worst = errors.worst(1)[0].tensor
    assert made["selective"].float_layers == (worst,)
    assert tensor_dtype(made["selective"].content, worst) == "float32"
    assert tensor_dtype(made["int8, float inputs"].content, worst) == "int8"


STATISTICS = """op_name,tensor_idx,num_elements,mean_squared_error,scale,zero_point,tensor_name
CONV_2D,1,4,0.0009,0.1,-128,net_2/first_2/Relu;net_2/first_2/BiasAdd
ADD,2,4,0.04,0.25,0,net_2/second_2/add
SOFTMAX,3,4,0.0,0.0,0,StatefulPartitionedCall_1:0
"""


def test_statistics_are_read_and_the_worst_comes_first():
    errors = read_layer_statistics(STATISTICS)
    assert [(one.layer, one.op, one.steps) for one in errors.layers] == [
        ("second", "ADD", 0.8),  # sqrt(0.04) / 0.25
        ("first", "CONV_2D", 0.3),  # sqrt(0.0009) / 0.1
        ("output", "SOFTMAX", 0.0),  # no scale, no steps
    ]
    assert errors.worst(1)[0].tensor == "net_2/second_2/add"
    assert repr(errors) == "LayerErrors(in int8 steps: second 0.80, first 0.30, output 0.00)"
    assert "second  ADD      0.2000  0.2500    0.80" in errors.text()


@pytest.mark.parametrize("other", ["a,b\n1,2\n", STATISTICS.replace("0.04", "much")])
def test_another_table_is_refused(other):
    with pytest.raises(ValueError, match="no layer statistics"):
        read_layer_statistics(other)


@pytest.mark.parametrize(
    ("tensor", "label"),
    [
        ("digits_classifier_1/edges_1/Relu;digits_classifier_1/edges_1/BiasAdd", "edges"),
        ("net/dense_1/Relu;net/dense_1/BiasAdd", "dense_1"),  # the layer's own number
        ("net_2/dense_1_2/Relu", "dense_1"),
        ("StatefulPartitionedCall_1:0", "output"),
        ("PartitionedCall:0", "output"),
        ("add", "add"),
    ],
)
def test_a_tensor_has_a_short_name(tensor, label):
    assert layer_label(tensor) == label


# The ranges of a file


def test_ranges_are_those_of_the_interpreter(made):
    content = made["int8"].content
    interpreter = Interpreter(model_content=content)
    known = {
        one["name"]: one["quantization_parameters"] for one in interpreter.get_tensor_details()
    }
    taken, given = details(content)
    for found in made["int8"].ranges.tensors:
        name = {"image": taken["name"], "output_0": given["name"]}.get(found.name, found.name)
        of_that_name = [
            (*known[full]["scales"], *known[full]["zero_points"])
            for full in known
            if full.partition(";")[0] == name
        ]
        assert (pytest.approx(found.scale), found.zero_point) in of_that_name
        assert found.smallest == pytest.approx((-128 - found.zero_point) * found.scale)
        assert found.largest == pytest.approx((127 - found.zero_point) * found.scale)


# Quantizing a file that is converted already


@pytest.fixture(scope="module")
def two_ways(tf, tmp_path_factory):
    """A float file with two signatures, of several inputs and one of them an integer."""

    class TwoWays(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec([1, 3], name="a"),
                tf.TensorSpec([1, 3], name="b"),
                tf.TensorSpec([], tf.int64, name="n"),
            ]
        )
        def both(self, a, b, n):
            total = a + b
            return {"total": total, "scaled": total * 0.5, "next": n + 1}

        @tf.function(input_signature=[tf.TensorSpec([1, 3], name="x")])
        def lone(self, x):
            return {"y": x * 2.0}

    module, folder = TwoWays(), tmp_path_factory.mktemp("two_ways")
    signatures = {"both": module.both, "lone": module.lone}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert()


def growing(count):
    """Return calls whose values grow, so that their mean lies far below their largest."""
    return [
        {
            "a": np.full((1, 3), value, np.float32),
            "b": np.full((1, 3), -value / 4, np.float32),
            "n": np.array(value, np.int64),
        }
        for value in range(1, count + 1)
    ]


LONE = [np.full((1, 3), value, np.float32) for value in (0.0, 4.0)]


@pytest.fixture(scope="module")
def quantized(two_ways):
    return quantize_file(two_ways, {"both": growing(40), "lone": LONE})


def test_each_range_reaches_the_largest_value_that_was_met(quantized):
    inputs = {one.name: one for one in quantized_ranges(quantized.content).of_op("input")}
    for name, smallest, largest in (("a", 0, 40), ("b", -10, 0), ("x", 0, 4)):
        step = inputs[name].scale
        assert step == pytest.approx((largest - smallest) / 255)
        assert inputs[name].smallest == pytest.approx(smallest, abs=step)
        assert inputs[name].largest == pytest.approx(largest, abs=step)


def test_it_answers_as_numpy_does_within_its_steps(quantized):
    session = Session(quantized.content, signature="both")
    for call in growing(40):
        got = session(call)
        for name, wanted in (("total", call["a"] + call["b"]), ("next", call["n"] + 1)):
            step = session.outputs[name].scale
            assert np.abs(got[name] - wanted).max() <= 2 * step
    lone = Session(quantized.content, signature="lone")
    assert lone(LONE[1])["y"] == pytest.approx(np.full((1, 3), 8.0), abs=0.1)


def test_integers_are_left_as_they_are(quantized):
    session = Session(quantized.content, signature="both")
    assert session.inputs["n"].dtype == session.outputs["next"].dtype == np.int64
    assert session.inputs["a"].dtype == np.int8


def test_it_counts_what_it_did(quantized, two_ways):
    assert repr(quantized) == (
        f"QuantizedFile({len(two_ways)} bytes before, {len(quantized.content)} after; "
        "calibrated with both: 40 calls, lone: 2 calls)"
    )


def test_a_float_tensor_has_no_range_to_leave(two_ways):
    calibration = {"both": growing(4), "lone": LONE}
    kept = quantize_file(two_ways, calibration, float_tensors=["a", "total"])
    session = Session(kept.content, signature="both")
    beyond = growing(100)[-1]
    assert session(beyond)["total"] == pytest.approx(beyond["a"] + beyond["b"])
    saturated = Session(quantize_file(two_ways, calibration).content, signature="both")
    assert saturated(beyond)["total"].max() < 4  # 75 is out of its range


def test_a_float_tensor_is_the_one_of_that_name_and_no_longer_one(tf):
    step = np.arange(4, dtype=np.float32)

    @tf.function(input_signature=[tf.TensorSpec([1, 4], name="x")])
    def shifted(x):
        once = tf.add(x, step, name="shift")
        return {"y": tf.add(tf.tanh(once), step, name="shift_again") * 2.0}

    function = shifted.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    calibration = [np.ones((1, 4), np.float32)]
    kept = quantize_file(converter.convert(), calibration, float_tensors=["shift"])
    quantized = {one.name for one in quantized_ranges(kept.content).tensors}
    assert "shift_again" in quantized and "shift" not in quantized


def test_a_file_without_an_op_to_quantize_is_told(tf):
    """By itself the quantizer asks for a calibration, which it has just had."""

    @tf.function(input_signature=[tf.TensorSpec([4], name="x"), tf.TensorSpec([4], name="total")])
    def added(x, total):
        return {"total": total + x}

    function = added.get_concrete_function()
    content = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module()).convert()
    calls = [{"x": np.ones(4, np.float32), "total": np.ones(4, np.float32)}]
    assert quantized_ranges(quantize_file(content, calls).content).tensors
    with pytest.raises(QuantizationError, match="no op to quantize beside what stays in float"):
        quantize_file(content, calls, float_tensors=["total"])


def test_activations_may_take_16_bits(two_ways):
    calibration = {"both": growing(4), "lone": LONE}
    wide = quantize_file(two_ways, calibration, activation_bits=16)
    assert {one.dtype for one in quantized_ranges(wide.content).tensors} == {"int16"}


def test_a_classifier_can_be_quantized_after_conversion(made, expected):
    content = quantize_file(made["float32"].content, SAMPLES).content
    assert weight_dtypes(content) == {"int8"}
    assert count_right(content, DIGITS.test_images, expected) >= 355


@pytest.mark.parametrize(
    ("calibration", "options", "error", "words"),
    [
        ([], {}, ValueError, "which signature? there are: both, lone"),
        ({"lone": []}, {}, ValueError, "at least one call"),
        ({}, {}, ValueError, "at least one call"),
        ({"lone": LONE, "no": LONE}, {}, KeyError, "no signature no; there are: both, lone"),
        ({"both": LONE}, {}, KeyError, "name the inputs of a call: a, b, n"),
        ({"lone": [{"y": LONE[0]}]}, {}, KeyError, "the file takes x, and not y"),
        ({"both": [dict.fromkeys("ab", LONE[0])]}, {}, KeyError, "takes a, b, n, and not a, b"),
        ({"lone": [np.zeros(3, np.float32)]}, {}, ValueError, "takes shape [1, 3]"),
        ({"lone": [np.zeros((1, 3), int)]}, {}, ValueError, "dtype float32, and not"),
        ({"lone": LONE}, {"activation_bits": 4}, ValueError, "8 or 16 bits"),
        ({"lone": LONE}, {"float_tensors": ["no"]}, KeyError, "no tensor no"),
    ],
)
def test_a_bad_calibration_is_refused_before_it_runs(two_ways, calibration, options, error, words):
    with pytest.raises(error) as caught:
        quantize_file(two_ways, calibration, **options)
    assert words in str(caught.value)


def test_a_quantized_file_is_not_quantized_again(quantized):
    with pytest.raises(ValueError, match="quantized already"):
        quantize_file(quantized.content, {"lone": LONE})


def test_what_is_no_tflite_file_is_named():
    for content in (b"", b"no model at all", bytes(1000)):
        with pytest.raises(ModelFileError):
            quantize_file(content, LONE)


def test_a_file_that_the_interpreter_refuses_is_told_in_one_line(tf):
    """The calibration runs the file, and an op without a kernel stops it."""

    @tf.function(input_signature=[tf.TensorSpec([1, 3], name="x")])
    def unknown(x):
        return {"y": tf.raw_ops.Betainc(a=x, b=x, x=x)}

    owner = tf.Module()
    concrete = [unknown.get_concrete_function()]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(concrete, owner)
    converter.allow_custom_ops = True
    with pytest.raises(QuantizationError, match=r"could not be quantized \(RuntimeError") as caught:
        quantize_file(converter.convert(), LONE)
    assert "Betainc" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_hanging_quantizer_is_ended(two_ways):
    with pytest.raises(QuantizationError, match="longer than it may"):
        quantize_file(two_ways, {"lone": LONE}, timeout=0.0)


# All recipes side by side


def test_the_table_counts_as_numpy_does(made, expected):
    files = {name: made[name].content for name in ("float32", "16x8")}
    labels = DIGITS.test_labels
    table = compare_recipes(files, DIGITS.test_images, labels)
    session = Session(files["16x8"])
    classes = np.array([next(iter(session(x[None]).values())).argmax() for x in DIGITS.test_images])
    for row, found in zip(table.rows, (expected, classes), strict=True):
        assert row.right == int(np.sum(found == labels))
        assert row.moved == int(np.sum(found != expected))
        assert row.size == len(files[row.name])
    assert table.total == len(labels)


def row(name, size, right, milliseconds):
    latency = Latency(milliseconds, milliseconds / 2, milliseconds * 2, 100)
    return MeasuredFile(name, size, right, 3, latency)


def test_the_table_says_all_in_words():
    table = RecipeTable((row("first", 1000, 9, 0.002), row("<b>", 500, 8, 0.003)), 10)
    assert "<b>       500  0.50             8      3  3.0        1.5 to 6.0    1.50" in table.text()
    assert "&lt;b&gt;" in table.html() and "<b>" not in table.html()
    assert repr(table) == "RecipeTable(first 1,000 bytes, <b> 500 bytes)"


@pytest.mark.parametrize(
    ("files", "count", "words"),
    [({}, 2, "no file"), ({"a": b""}, 1, "a label for each input"), ({"a": b""}, 0, "a label")],
)
def test_a_comparison_of_nothing_is_refused(files, count, words):
    images = DIGITS.test_images[: 2 if count else 0]
    with pytest.raises(ValueError, match=words):
        compare_recipes(files, images, DIGITS.test_labels[:count])


def test_results_are_one_line_and_show_themselves(made):
    for name, one in made.items():
        assert repr(one).startswith(f"Quantized({name}: ") and "\n" not in repr(one)
        assert one.recipe.what in one.text() and one.recipe.what in one.html()


def test_the_quantizer_leaves_no_output_that_nothing_fills(two_ways):
    kept = quantize_file(
        two_ways, {"both": growing(4), "lone": LONE}, float_tensors=["total", "scaled"]
    )
    model = unpack(kept.content, "a test")
    for signature in model.signatureDefs:
        subgraph = model.subgraphs[signature.subgraphIndex]
        named = {entry.tensorIndex for entry in signature.outputs}
        assert named == set(indices(subgraph.outputs))
