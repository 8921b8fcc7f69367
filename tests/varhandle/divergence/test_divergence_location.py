"""Faults planted into a file are named; in a sound file, none is."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from json_forms import check_form
from planted_faults import (
    BODY,
    operators_of,
    with_changed_inside,
    with_changed_weight,
    with_doubled_operator,
    with_late_operator,
    with_other_first_value,
    with_rewired_loop,
    without_bias,
    without_operators,
)

from varhandle import CannotLocateError, locate, quantize, read_graph
from varhandle.cli import main
from varhandle.divergence.file_trace import FileTrace
from varhandle.divergence.other_runs import COMPILED, first_without_looking
from varhandle.divergence.tensor_difference import difference
from varhandle.evaluate.parity import DELEGATES, PLAIN
from varhandle.graph.signature_inference import infer_signature
from varhandle.tflite.flatbuffer import op_name, pack, unpack

INF, NAN, MOST = float("inf"), float("nan"), float(np.finfo(np.float32).max)


@pytest.fixture(scope="module")
def net(tf, tmp_path_factory):
    """A convolutional net with a folded normalization, its path and its .tflite file."""
    import keras

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3), batch_size=1),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(beta_initializer="ones"),
            keras.layers.ReLU(),
            keras.layers.Conv2D(6, 3, activation="relu", bias_initializer="ones"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(5, bias_initializer="ones"),
        ]
    )
    path = tmp_path_factory.mktemp("net") / "net.keras"
    model.save(path)
    return path, tf.lite.TFLiteConverter.from_keras_model(model).convert()


@pytest.fixture(scope="module")
def total(tf, running_total, save_module):
    path = save_module(running_total())
    return path, tf.lite.TFLiteConverter.from_saved_model(str(path)).convert()


def test_a_sound_file_agrees_in_every_op(net):
    path, content = net
    found = locate(path, content)
    assert check_form("locate", found)["agrees"]
    assert not found.unmatched
    nodes = {pair["op"]: pair["node"] for pair in found.pairs}
    assert nodes["FULLY_CONNECTED"].endswith("Add")  # with the bias, and not the product alone
    assert all(pair["similarity"] > 0.99999 for pair in found.pairs)


def test_a_tensor_that_a_layer_has_captured_is_no_state(tf, tmp_path):
    """The mean of an adapted Normalization is an eager tensor, which the function captures."""
    import keras

    normalize = keras.layers.Normalization()
    normalize.adapt(np.array([[1.0, 2.0], [3.0, 8.0]], np.float32))
    model = keras.Sequential([keras.Input((2,), batch_size=1), normalize, keras.layers.Dense(2)])
    path = tmp_path / "normalized.keras"
    model.save(path)
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    assert locate(path, content).agrees
    [dense] = operators_of(content, "FULLY_CONNECTED")
    assert locate(path, with_changed_weight(content, dense)).first["number"] == dense


def test_a_changed_weight_is_named(net):
    path, content = net
    second = operators_of(content, "CONV_2D")[1]
    found = locate(path, with_changed_weight(content, second))
    assert (found.first["call"], found.first["op"], found.first["number"]) == (1, "CONV_2D", second)
    assert "its weights differ" in found.first["why"]
    assert found.first["node"].endswith("Relu")
    (said,) = [line for line in found.summary() if line.startswith("in the model: ")]
    assert found.first["node"].startswith("StatefulPartitionedCall/")
    assert said == f"in the model: {found.first['node'].partition('/')[2]}"  # no name of Keras's


def test_a_lost_bias_is_named(net):
    path, content = net
    (dense,) = operators_of(content, "FULLY_CONNECTED")
    found = locate(path, without_bias(content, dense))
    assert (found.first["op"], found.first["number"]) == ("FULLY_CONNECTED", dense)
    assert "its input 2 is left out" in found.first["why"]


def test_a_state_that_agrees(total):
    path, content = total
    found = locate(path, content, calls=4)
    assert found.agrees
    assert found.calls >= 4


def test_a_state_that_is_not_kept_is_named_in_the_second_call(total):
    path, content = total
    found = locate(path, without_operators(content, "ASSIGN_VARIABLE"))
    assert found.first["op"] == "READ_VARIABLE"
    assert found.first["why"] == "the variable total is not kept: nothing assigns it"


def test_an_op_that_no_interpreter_opens_is_named(net):
    path, content = net
    found = locate(path, without_bias(content, operators_of(content, "CONV_2D")[1]))
    assert (found.first["op"], found.first["number"]) == ("CONV_2D", 1)
    assert "it refuses the call" in found.first["why"]


@pytest.fixture(scope="module")
def wave(tf, save_module):
    class Wave(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, 64], tf.float32)])
        def __call__(self, x):
            return tf.tanh(tf.exp(tf.cos(3.0 * tf.sin(x)))) + x

    path = save_module(Wave())
    return path, tf.lite.TFLiteConverter.from_saved_model(str(path)).convert()


def test_a_run_that_differs_from_the_one_looked_at(wave):
    """XNNPACK puts operators in order; the plain kernels read what lies in memory."""
    path, content = wave
    late = with_late_operator(content, "TANH")
    found = locate(path, late)
    assert found.first["op"] == "ADD"
    assert found.first["why"].endswith("is computed after it")
    assert found.other_runs["default delegates"] == "differs"
    calls = [{"x": np.full([1, 64], value, np.float32)} for value in (0.5, 1.5)]
    unseen = first_without_looking(late, "serving_default", calls, DELEGATES)
    assert (unseen.call, [unseen.number]) == (1, operators_of(late, "ADD"))
    for kernels in (PLAIN, DELEGATES, COMPILED):
        assert first_without_looking(content, "serving_default", calls, kernels) is None


SHARED = {
    "only with the default delegates": (lambda tf, x: tf.exp(tf.cos(tf.sin(x))) + x, DELEGATES),
    "only where tensors share memory": (
        lambda tf, x: tf.tanh(tf.exp(tf.cos(tf.sin(x)))) + x,
        PLAIN,
    ),
}


@pytest.mark.parametrize("why", SHARED)
def test_what_no_look_shows_is_found_by_cut_files(tf, saved_and_converted, why):
    """An op that runs once more writes over what shares its memory, unless all are kept."""
    function, kernels = SHARED[why]
    path, content = saved_and_converted(lambda x: {"y": function(tf, x)}, [1, 64])
    twice = with_doubled_operator(content, "SIN", "ADD")
    calls = np.linspace(1, 2, 2 * 64, dtype=np.float32).reshape(2, 1, 64)
    found = locate(path, twice, inputs={"x": calls})
    assert not found.agrees
    assert all(pair["agrees"] for pair in found.pairs)
    assert found.other_runs[kernels] == "differs"
    assert found.first["op"] == "ADD"
    assert found.first["why"].startswith(why)
    assert [op for op, _ in found.first["group"]][:2] == ["SIN", "COS"]
    check_form("locate", found)
    # A bare interpreter sees the same.
    assert not np.allclose(bare_answer(twice, calls[0], kernels), bare_answer(content, calls[0]))
    assert locate(path, content, inputs={"x": calls}).agrees


def bare_answer(content, x, kernels=PLAIN):
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    resolver = plain if kernels == PLAIN else OpResolverType.AUTO
    file = Interpreter(model_content=content, experimental_op_resolver_type=resolver)
    return file.get_signature_runner()(x=x)["y"]


def test_what_only_compiled_model_does_is_found_by_cut_files(tf, saved_and_converted):
    """As above; the interpreter is not asked."""
    _, content = saved_and_converted(
        lambda x: {"y": tf.tanh(tf.exp(tf.cos(tf.sin(x)))) + x}, [1, 64]
    )
    twice = with_doubled_operator(content, "SIN", "ADD")
    calls = [{"x": np.linspace(1, 2, 64, dtype=np.float32)[None]}]
    unseen = first_without_looking(twice, "serving_default", calls, COMPILED)
    assert [unseen.number] == operators_of(twice, "ADD")
    assert len(unseen.group) > 2
    assert not unseen.whole


def test_compiled_model_takes_the_sizes_of_the_calls(tf, saved_and_converted):
    """It has to be resized, and gives two outputs that are one tensor one name."""
    path, content = saved_and_converted(
        lambda x: {"a": tf.nn.relu(x), "b": tf.identity(tf.nn.relu(x)), "c": tf.sin(x)}, [None, 4]
    )
    found = locate(path, content, inputs={"x": np.ones([2, 3, 4], np.float32)})
    assert found.agrees
    assert found.other_runs["CompiledModel"] in ("the same bits", "agrees")


def test_compiled_model_takes_and_gives_integers_that_stand_for_floats(tf, saved_and_converted):
    weights = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    path, _ = saved_and_converted(lambda x: {"y": tf.nn.relu(x @ weights)}, [3, 4])
    calls = np.random.default_rng(1).uniform(-1, 1, (4, 3, 4)).astype(np.float32)
    content = quantize(path, "int8", list(calls)).content
    found = locate(path, content, inputs={"x": calls})
    assert found.agrees
    assert found.other_runs["CompiledModel"] in ("the same bits", "agrees")


def test_a_signature_of_another_subgraph_is_cut_too(tf, tmp_path):
    class Two(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([3], tf.float32)])
        def double(self, x):
            return tf.cond(x[0] > 0, lambda: x * 2.0, lambda: -x)

        @tf.function(input_signature=[tf.TensorSpec([3], tf.float32)])
        def wave(self, x):
            return tf.cond(x[0] > 0, lambda: tf.sin(x), lambda: tf.exp(x))

    module = Two()
    path = str(tmp_path / "two")
    tf.saved_model.save(module, path, {"double": module.double, "wave": module.wave})
    content = tf.lite.TFLiteConverter.from_saved_model(path).convert()
    calls = [{"x": np.full(3, value, np.float32)} for value in (-1.0, 1.0)]
    for name in ("double", "wave"):
        assert locate(path, content, signature=name).agrees
        assert first_without_looking(content, name, calls, DELEGATES) is None


def test_every_way_of_running_a_sound_file_is_told(total):
    found = locate(*total)
    assert set(found.other_runs) == {"plain kernels", "default delegates", "CompiledModel"}
    assert set(found.other_runs.values()) <= {"the same bits", "agrees"}
    assert found.other_runs["plain kernels"] == "the same bits"


NOTHING = {
    "a maximum": (lambda tf, x: tf.reduce_max(x[:, 4:], 1), False),
    "a minimum": (lambda tf, x: tf.reduce_min(x[:, 4:], 1), False),
    "a product": (lambda tf, x: tf.reduce_prod(x[:, 4:], 1), True),
    "a mean": (lambda tf, x: tf.reduce_mean(x[:, 4:], 1), True),  # NaN on both sides
    "an input handed through": (lambda tf, x: tf.identity(x), True),
}


@pytest.mark.parametrize("what", NOTHING)
def test_an_output_that_no_op_makes_is_compared(tf, saved_and_converted, what):
    function, same = NOTHING[what]
    path, content = saved_and_converted(lambda x: {"y": function(tf, x)}, [3, 4])
    found = locate(path, content)
    told = found.as_dict()
    check_form("locate", found)
    assert (told["pairs"], len(told["outputs_without_op"])) == ([], 1)
    # Where an input is handed through, CompiledModel reads what was in memory.
    is_handed_through = "input" in what
    assert found.agrees == (same and not is_handed_through)
    assert (found.other_runs["CompiledModel"] == "differs") == is_handed_through
    assert "compared: 0 of 0 op outputs and 1 output that no op makes" in found.text()
    assert found.html() and found.page()
    if is_handed_through:
        assert (found.first["number"], found.first["op"]) == (-1, None)
        assert found.first["why"].startswith(
            "only by CompiledModel: by the plain kernels, all agree"
        )
    elif same:
        assert found.first is None
    else:
        assert "the output" in found.line and "where the model has infinity" in found.line
        assert (told["first"]["op"], told["first"]["number"]) == (None, -1)
        with pytest.raises(ValueError, match="no op makes what parts: leave out --reduce"):
            found.reduce()


def test_an_output_that_the_file_lacks_is_told(tf, saved_and_converted):
    """A file of a part of the model; by its values where no name is the same."""
    parts = {"one": lambda x: x * 2.0, "two": lambda x: tf.nn.relu(x) + 1.0}
    path, _ = saved_and_converted(lambda x: {n: part(x) for n, part in parts.items()}, [3, 4])
    for name, missing in (("two", ["one"]), ("other", ["one", "two"])):
        _, content = saved_and_converted(lambda x, name=name: {name: parts["two"](x)}, [3, 4])
        found = locate(path, content)
        assert found.agrees
        check_form("locate", found)
        assert found.as_dict()["missing_outputs"] == missing
        assert f"not in the file: {', '.join(missing)}" in found.text()
        assert [pair["op"] for pair in found.pairs] == ["RELU", "ADD"]


def test_where_nothing_was_compared_nothing_agrees(saved_and_converted):
    found = locate(*saved_and_converted(lambda x: {"y": x * 2.0}, [3, 4]))
    assert found.agrees
    nothing = replace(found, pairs=(), outputs_without_op=())
    assert not nothing.agrees
    assert "nothing could be compared in 5 calls" in nothing.text()
    assert not nothing.as_dict()["agrees"]


@pytest.mark.parametrize("low", [-1e9, float(np.finfo(np.float32).min), float("-inf")])
def test_a_softmax_of_a_mask_is_measured_by_what_is_not_masked(tf, saved_and_converted, low):
    """Its inputs are large or infinite, and what it gives lies between 0 and 1."""
    mask = tf.linalg.band_part(tf.ones([4, 4]), -1, 0) > 0
    path, content = saved_and_converted(
        lambda x: {"y": 5.0 * tf.nn.softmax(tf.where(mask, x, low))}, [4, 4]
    )
    model = unpack(content)
    (number,) = operators_of(content, "SOFTMAX")
    model.subgraphs[0].operators[number].builtinOptions.beta = 1.01
    found = locate(path, pack(model))
    assert found.first["op"] == "SOFTMAX"
    assert locate(path, content).agrees


@pytest.mark.parametrize(
    ("got", "wanted", "agrees"),
    [
        ([1, INF], [1, INF], True),
        ([1.1, INF], [1, INF], False),  # an infinity is no measure of what may be rounded
        ([1.1, MOST], [1, MOST], False),
        ([1, NAN], [1, NAN], True),
        ([1, NAN], [1, 2], False),
        ([1, 2], [1, NAN], False),
        ([INF, 2], [-INF, 2], False),
        ([], [], True),
    ],
)
def test_what_is_no_number_agrees_only_with_itself(got, wanted, agrees):
    found = difference(np.float32(got), np.float32(wanted), inputs=1.0)
    assert found.agrees is agrees


def test_integers_that_no_float_tells_apart_differ():
    assert not difference(np.array([2**60 + 1]), np.array([2**60])).agrees


def test_the_command_says_it_in_its_exit_code(net, tmp_path, capsys):
    path, content = net
    (tmp_path / "planted.tflite").write_bytes(with_changed_weight(content, 0))
    assert main(["locate", str(path)]) == 0
    assert "no op parts" in capsys.readouterr().out
    assert main(["locate", str(path), str(tmp_path / "planted.tflite"), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["agrees"] is False
    assert {"call", "op", "tensor", "node", "max_difference", "similarity", "why"} <= set(
        told["first"]
    )
    assert main(["locate", str(tmp_path / "planted.tflite")]) == 2
    assert "give the model that it was made from" in capsys.readouterr().err
    for options in ([], ["--bisect-settings"]):  # two models: the second is no file
        assert main(["locate", str(path), str(path), *options]) == 2
        assert "not a .tflite file" in capsys.readouterr().err


def test_the_help_lists_what_has_a_model_to_compare_with(capsys):
    with pytest.raises(SystemExit):
        main(["locate", "--help"])
    (model,) = re.findall(r"^  MODEL? *(.*?)(?=^  \S)", capsys.readouterr().out, re.M | re.S | re.I)
    assert ".meta" in model
    assert ".tflite" not in model


def test_a_file_of_another_model_is_one_line(net, total):
    with pytest.raises(CannotLocateError, match=r"takes x \[4\].*made from another model"):
        locate(net[0], total[1])


def test_half_floats_of_the_model_are_rounded_alike(tf, tmp_path):
    """What follows float16 is as coarse, whatever its own dtype: the file computes in float32."""
    import keras

    keras.utils.set_random_seed(3)
    layers = [keras.layers.Dense(64, dtype="mixed_float16"), keras.layers.Dense(4)]
    model = keras.Sequential([keras.Input((32,), batch_size=1), *layers])
    model.save(tmp_path / "half.keras")
    wide = keras.Sequential([keras.Input((32,), batch_size=1), *map(_in_float32, layers)])
    wide.set_weights(model.get_weights())
    content = tf.lite.TFLiteConverter.from_keras_model(wide).convert()
    found = locate(tmp_path / "half.keras", content)
    assert found.agrees
    assert max(pair["share"] for pair in found.pairs) > 1e-4


def _in_float32(layer):
    return type(layer).from_config({**layer.get_config(), "dtype": "float32"})


def test_a_fresh_conversion_that_refuses_to_run_is_no_measure(tf, tmp_path):
    """Of a model of any batch, the fresh file keeps one in a constant."""
    import keras

    keras.utils.set_random_seed(4)
    x = keras.Input((4,), name="x")
    flat = keras.layers.Reshape((2, 2))(x)
    model = keras.Model(x, keras.layers.Flatten()(keras.layers.Conv1D(3, 1)(flat)))
    model.save(tmp_path / "open.keras")
    closed = keras.Model(one := keras.Input((4,), batch_size=1, name="x"), model(one))
    content = tf.lite.TFLiteConverter.from_keras_model(closed).convert()
    assert locate(tmp_path / "open.keras", content).agrees


@pytest.fixture(scope="module")
def loop(tf, save_module):
    """Five rounds, of which the first two multiply zeros."""

    class Loop(tf.Module):
        def __init__(self):
            self.weights = tf.Variable(np.linspace(-1, 1, 9, dtype=np.float32).reshape(3, 3))

        @tf.function(input_signature=[tf.TensorSpec([1, 3], tf.float32)])
        def __call__(self, x):
            def turn(i, h):
                return i + 1, tf.tanh(h @ self.weights + x * tf.cast(i, tf.float32))

            return tf.while_loop(lambda i, _: i < 5, turn, [0, tf.zeros([1, 3])])[1]

    path = save_module(Loop())
    return path, tf.lite.TFLiteConverter.from_saved_model(str(path)).convert()


def test_the_round_of_a_loop_is_named(loop):
    path, content = loop
    assert locate(path, content).agrees
    found = locate(path, with_changed_inside(content, "FULLY_CONNECTED", BODY))
    assert found.first["op"] == "WHILE"
    (inside,) = found.first["inside"]
    assert (inside["where"], inside["op"]) == ("iteration 3", "FULLY_CONNECTED")
    assert "its weights differ" in found.text()
    (inside,) = locate(path, with_rewired_loop(content, "TANH", "FULLY_CONNECTED")).first["inside"]
    assert (inside["where"], inside["op"]) == ("iteration 2", "TANH")
    assert "where a fresh conversion takes" in inside["why"]


def test_a_handle_of_a_variable_is_never_read(total, monkeypatch):
    """Asked for the value of one, LiteRT ends the process at times."""
    trace = FileTrace(total[1])
    asked = []
    read = trace.session.interpreter.get_tensor
    monkeypatch.setattr(
        trace.session.interpreter, "get_tensor", lambda t, graph: asked.append(t) or read(t, graph)
    )
    for tensor in range(len(trace.subgraph.tensors)):
        trace.value(tensor)
    kinds = {trace.subgraph.tensors[tensor].type for tensor in asked}
    assert kinds
    assert schema.TensorType.RESOURCE not in kinds


def test_a_state_that_saturates_is_named_with_its_variable(tf, tmp_path):
    import zoo

    path = zoo.counter(tf, tmp_path)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(path))
    zoo.in_int8(tf)(converter)
    calls = {"x": np.full([30, 1, 4], 0.5, np.float32)}  # as it was calibrated
    content = converter.convert()
    trace = FileTrace(content)
    sums = [op.outputs[0] for op in trace.ops if op.op == "ADD"]
    assert "counter" in map(trace.variable_in, sums)
    assert trace.variable_in(trace.inputs[0]) is None
    found = locate(path, content, inputs=calls)
    assert found.first["call"] > 1
    assert found.first["why"].startswith("its scale is too small")
    assert found.first["why"].endswith("it holds the variable counter")
    far = locate(path, content, inputs={"x": np.full([3, 1, 4], 2.5, np.float32)}).first
    assert far["call"] == 1
    assert far["group"] == [["QUANTIZE", far["number"]]]  # at fault itself, not most of a drift


@pytest.mark.parametrize("product", [False, True])
def test_a_wrong_assign_add_is_named_without_a_sound_file_beside_it(
    tf, save_module, wrong_converter, product
):
    """In the model it has no output, so what the file adds is seen where the variable is read."""

    class Added(tf.Module):
        def __init__(self):
            self.total = tf.Variable([1.0, 2.0, 3.0], name="total")

        @tf.function(input_signature=[tf.TensorSpec([3], tf.float32)])
        def __call__(self, x):
            self.total.assign_add(tf.tanh(x) * 0.5 if product else x)
            return self.total + 1.0

    path = save_module(Added())
    model = unpack(tf.lite.TFLiteConverter.from_saved_model(str(path)).convert())
    graph = model.subgraphs[0]
    added = next(n for n, op in enumerate(graph.operators) if op_name(model, op) == "ADD")
    graph.operators[added].inputs = [int(graph.operators[added].inputs[0])] * 2
    found = locate(path, wrong_converter(pack(model)))
    check_form("locate", found)
    first = found.first
    assert (first["call"], first["op"], first["group"]) == (1, "ADD", [["ADD", added]])
    assert first["tensor"] == graph.tensors[graph.operators[added].outputs[0]].name.decode()
    assert found.reduce().measured.differs


def test_a_sum_is_not_blamed_for_the_first_value_that_it_is_given(tf, save_module, wrong_converter):
    class Begun(tf.Module):
        def __init__(self):
            self.total = tf.Variable([1.0, 2.0, 3.0], name="total")

        @tf.function(input_signature=[tf.TensorSpec([3], tf.float32)])
        def __call__(self, x):
            self.total.assign_add(x)
            return self.total + 1.0

    path = save_module(Begun())
    content = tf.lite.TFLiteConverter.from_saved_model(str(path)).convert()
    first = locate(path, wrong_converter(with_other_first_value(content))).first
    assert {"READ_VARIABLE", "ADD"} == {op for op, _ in first["group"]}


def test_another_first_value_is_named_in_what_runs_once(tf, save_module):
    class Begun(tf.Module):
        def __init__(self):
            self.total = tf.Variable([1.0, 2.0, 3.0], name="total")

        @tf.function(input_signature=[tf.TensorSpec([3], tf.float32)])
        def __call__(self, x):
            self.total.assign_add(x)
            return self.total + 0.0

    path = save_module(Begun())
    content = tf.lite.TFLiteConverter.from_saved_model(str(path)).convert()
    assert locate(path, content).agrees
    found = locate(path, with_other_first_value(content))
    assert found.first["op"] == "READ_VARIABLE"
    (inside,) = found.first["inside"]
    assert (inside["where"], inside["op"]) == ("CALL_ONCE", "ASSIGN_VARIABLE")
    assert "differ" in inside["why"]


def test_loops_of_tensorflow_1(loops_of_tf1):
    """What they compute has several values in a call, so only what leaves them is compared."""
    path, content = loops_of_tf1
    assert {"Enter", "NextIteration", "Switch"} < set(read_graph(path).op_counts())
    assert [one.name for one in infer_signature(read_graph(path)).outputs] == ["y"]
    found = locate(path, content)
    assert found.agrees and found.pairs
    changed = with_changed_inside(content, "FULLY_CONNECTED", BODY, BODY)
    found = locate(path, changed)
    assert (found.first["call"], found.first["op"]) == (1, "WHILE")
    outer, within = found.first["inside"]
    assert (outer["where"], outer["op"]) == ("iteration 1", "WHILE")
    assert (within["where"], within["op"]) == ("iteration 1", "FULLY_CONNECTED")
    assert "its weights differ" in within["why"]
