"""Inside a loop or a branch that the converter itself makes wrong: a fresh file is wrong too."""

import numpy as np
import pytest
from json_forms import check_form
from planted_faults import (
    BODY,
    subgraph_at,
    with_changed_inside,
    with_moved_assignment,
    with_other_first_value,
    with_outputs_of_loop,
    without_operators,
)

from varhandle import locate
from varhandle.divergence.file_trace import FileTrace
from varhandle.divergence.inside import file_of_subgraph
from varhandle.divergence.tf1_control_flow import with_functional_control
from varhandle.tflite.flatbuffer import callees, op_name, unpack

LOOP, COND = BODY, ("IF", 0)


@pytest.fixture(scope="module")
def convert(tf, save_module):
    """A module, saved and converted."""

    def made(module, **options):
        path = save_module(module)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(path))
        for name, value in options.items():
            setattr(converter, name, value)
        return path, converter.convert()

    return made


def inside(model, content, **options):
    """Return where locate goes, step by step: the place and the op."""
    found = locate(model, content, **options)
    first = found.first
    check_form("locate", found)
    return [(first["op"], ""), *((each["op"], each["where"]) for each in first["inside"])]


@pytest.fixture(scope="module")
def nest(tf, convert):
    """A loop that calls a function, a loop and a branch; its first round multiplies zeros."""

    class Nest(tf.Module):
        def __init__(self):
            weights = np.linspace(-1, 1, 9, dtype=np.float32).reshape(3, 3)
            self.weights = tf.Variable(weights)

        @tf.function
        def cell(self, h):
            return tf.tanh(h @ self.weights) * 0.5

        @tf.function(input_signature=[tf.TensorSpec([1, 3], tf.float32, "x")])
        def __call__(self, x):
            def within(j, a):
                return j + 1, tf.sin(a @ self.weights) + x

            def turn(i, h, g):
                h = self.cell(h) + x
                _, h = tf.while_loop(lambda j, _: j < 3, within, [0, h])
                h = tf.cond(tf.reduce_sum(h) > 0, lambda: h * 2.0, lambda: h - g)
                return i + 1, h, tf.tanh(-h)

            start = [0, tf.zeros([1, 3]), tf.ones([1, 3])]
            return tf.while_loop(lambda i, *_: i < 4, turn, start)[1]

    return convert(Nest())


CALLS = {"x": np.array([[[0.1, 0.2, 0.3]], [[-0.4, 0.5, 0.6]]], np.float32)}


@pytest.mark.parametrize(
    ("op", "path", "steps"),
    [
        # In the function that the loop calls; the first round has zeros.
        ("FULLY_CONNECTED", [LOOP], [("FULLY_CONNECTED", "iteration 2")]),
        ("MUL", [LOOP], [("MUL", "iteration 2")]),
        (
            "FULLY_CONNECTED",
            [LOOP, LOOP],
            [("WHILE", "iteration 1"), ("FULLY_CONNECTED", "iteration 1")],
        ),
        ("MUL", [LOOP, COND], [("IF", "iteration 1"), ("MUL", "the first branch")]),
    ],
)
def test_what_the_converter_makes_wrong_is_named(nest, wrong_converter, op, path, steps):
    model, content = nest
    wrong = wrong_converter(with_changed_inside(content, op, *path))
    assert inside(model, wrong, inputs=CALLS) == [("WHILE", ""), *steps]
    # Without a file, it is the converter's own answer.
    assert inside(model, None, inputs=CALLS) == [("WHILE", ""), *steps]


def test_it_is_the_right_operator_with_its_node(nest, wrong_converter):
    model, content = nest
    wrong = wrong_converter(with_changed_inside(content, "MUL", LOOP))
    (step,) = locate(model, wrong, inputs=CALLS).first["inside"]
    whole = unpack(content)
    operators = [op_name(whole, one) for one in subgraph_at(whole, LOOP).operators]
    assert step["number"] == operators.index("MUL")
    assert step["node"].startswith("while/")
    assert step["node"].endswith("/mul")
    assert [row["op"] for row in step["ops"]] == operators
    (pair,) = [pair for pair in step["pairs"] if pair["number"] == step["number"]]
    h = CALLS["x"][0]
    assert not pair["agrees"]
    weights = np.linspace(-1, 1, 9, dtype=np.float32).reshape(3, 3)
    for _ in range(3):
        h = np.sin(h @ weights) + CALLS["x"][0]
    h = 2 * h if h.sum() > 0 else h - 1
    np.testing.assert_allclose(pair["expected"][:3], 0.5 * np.tanh(h @ weights)[0], rtol=1e-5)


def test_a_sound_loop_agrees_and_its_values_are_paired_in_order(nest):
    found = locate(*nest, inputs=CALLS)
    assert found.agrees
    assert {pair["how"] for pair in found.pairs} <= {"name and value", "value", "name"}


def test_values_that_a_loop_hands_on_otherwise(tf, convert, wrong_converter):
    class Two(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, 3], tf.float32, "x")])
        def __call__(self, x):
            def turn(i, a, b):
                return i + 1, tf.sin(a) + b, tf.cos(b) * a

            start = [0, x, 2.0 * x]
            return tf.while_loop(lambda i, *_: i < 4, turn, start)[1]

    model, content = convert(Two())

    def swapped(inputs, outputs):
        floats = [n for n, tensor in enumerate(outputs) if tensor not in inputs][-2:]
        a, b = floats
        outputs[a], outputs[b] = outputs[b], outputs[a]
        return outputs

    wrong = wrong_converter(with_outputs_of_loop(content, swapped))
    first = locate(model, wrong, inputs=CALLS).first
    (step,) = first["inside"]
    assert (step["where"], step["op"]) == ("iteration 1", None)
    assert step["why"].endswith("it hands their values on in another order")


@pytest.fixture(scope="module")
def steps(tf, convert):
    """A loop over the steps of an input, which writes an array."""

    class Steps(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([5, 1, 3], tf.float32, "x")])
        def __call__(self, x):
            def turn(i, h, written):
                h = tf.tanh(h * 0.7 + x[i])
                return i + 1, h, written.write(i, h * 2.0)

            array = tf.TensorArray(tf.float32, 5, element_shape=[1, 3])
            start = [0, tf.zeros([1, 3]), array]
            return tf.while_loop(lambda i, *_: i < 5, turn, start)[2].stack()

    return convert(Steps())


STEPS = {"x": np.linspace(-1, 1, 30, dtype=np.float32).reshape(2, 5, 1, 3)}


def test_a_loop_that_writes_an_array(steps, wrong_converter):
    model, content = steps
    wrong = wrong_converter(with_changed_inside(content, "MUL", LOOP))
    assert inside(model, wrong, inputs=STEPS) == [("WHILE", ""), ("MUL", "iteration 2")]


def test_an_op_in_a_loop_that_refuses_is_named(steps, wrong_converter):
    """It takes a step of the input that there is not, since the round is counted wrongly."""
    model, content = steps
    wrong = wrong_converter(with_changed_inside(content, "ADD", LOOP, dtype=np.int32))
    first = locate(model, wrong, inputs=STEPS).first
    assert "refuses the call" in first["why"]
    assert [(each["op"], each["where"]) for each in first["inside"]] == [("ADD", "iteration 1")]


@pytest.fixture(scope="module")
def state(tf, convert):
    """A loop that adds to a variable in each round, and reads it again."""

    class Adds(tf.Module):
        def __init__(self):
            self.total = tf.Variable([1.0, 2.0, 3.0], name="total")

        @tf.function(input_signature=[tf.TensorSpec([3], tf.float32, "x")])
        def __call__(self, x):
            def turn(i, h):
                self.total.assign_add(h * 0.5)
                return i + 1, tf.sin(self.total) * 0.75 + x

            return tf.while_loop(lambda i, _: i < 4, turn, [0, x])[1]

    return convert(Adds(), experimental_enable_resource_variables=True)


FED = {"x": np.array([[0.1, 0.2, 0.3], [0.4, -0.5, 0.6]], np.float32)}


def test_a_variable_in_a_loop_has_its_value_in_each_round(state, wrong_converter):
    model, content = state
    assert locate(model, content, inputs=FED).agrees
    wrong = wrong_converter(with_changed_inside(content, "MUL", LOOP))
    assert inside(model, wrong, inputs=FED) == [("WHILE", ""), ("MUL", "iteration 1")]


@pytest.mark.parametrize("to", [None, -1])
def test_an_assignment_in_a_loop_that_is_lost_or_moved(state, wrong_converter, to):
    model, content = state
    wrong = wrong_converter(with_moved_assignment(content, LOOP, to=to))
    first = locate(model, wrong, inputs=FED).first
    (step,) = first["inside"]
    assert (step["op"], step["where"]) == ("READ_VARIABLE", "iteration 1")
    assert step["why"] == "the variable total is read where the model has assigned it anew"
    operators = subgraph_at(unpack(wrong), LOOP).operators
    assert op_name(unpack(wrong), operators[step["number"]]) == "READ_VARIABLE"


def test_a_variable_that_only_a_loop_takes_and_nobody_initializes(state):
    model, content = state
    first = locate(model, without_operators(content, "CALL_ONCE"), inputs=FED).first
    assert (first["call"], first["op"]) == (1, "WHILE")
    assert first["why"] == "the variable total is not initialized: no CALL_ONCE assigns it"


def test_an_assignment_that_nobody_reads_again(tf, convert, wrong_converter):
    class Counts(tf.Module):
        def __init__(self):
            self.count = tf.Variable(0.0, name="count")

        @tf.function(input_signature=[tf.TensorSpec([3], tf.float32, "x")])
        def __call__(self, x):
            def turn(i, h):
                self.count.assign_add(1.0)
                return i + 1, tf.sin(h)

            return tf.while_loop(lambda i, _: i < 4, turn, [0, x])[1] + self.count

    model, content = convert(Counts(), experimental_enable_resource_variables=True)
    wrong = wrong_converter(with_moved_assignment(content, LOOP, to=None))
    first = locate(model, wrong, inputs=FED).first
    (step,) = first["inside"]
    assert (step["op"], step["where"]) == (None, "iteration 1")
    assert step["why"] == "the variable count is not left with what it should hold"


def test_a_first_value_that_the_converter_makes_wrong(tf, convert, wrong_converter):
    class Begun(tf.Module):
        def __init__(self):
            self.total = tf.Variable([1.0, 2.0, 3.0], name="total")

        @tf.function(input_signature=[tf.TensorSpec([3], tf.float32, "x")])
        def __call__(self, x):
            before = self.total * 1.0
            self.total.assign_add(x)
            return {"before": before, "after": self.total * 2.0}

    model, content = convert(Begun())
    wrong = wrong_converter(with_other_first_value(content))
    steps = [("READ_VARIABLE", ""), ("ASSIGN_VARIABLE", "CALL_ONCE")]
    assert inside(model, wrong, inputs=FED) == steps
    lost = wrong_converter(without_operators(content, "ASSIGN_VARIABLE"))
    first = locate(model, lost, inputs=FED).first
    assert (first["call"], first["op"], first["inside"]) == (1, "READ_VARIABLE", [])
    assert first["why"] == "the variable total has another value, and nothing assigns it before"


def test_nodes_that_the_converter_wrote_down_are_known_in_a_body_too(tf, convert):
    class Loop(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([3], tf.float32, "x")])
        def __call__(self, x):
            def turn(i, h):
                return i + 1, tf.sin(tf.cond(h[0] > 0, lambda: h * 2.0, lambda: -h))

            return tf.while_loop(lambda i, _: i < 4, turn, [0, x])[1]

    _, content = convert(Loop(), serialize_debug_metadata=True)
    trace = FileTrace(content)
    (loop,) = [op for op in trace.ops if op.op == "WHILE"]
    body = file_of_subgraph(trace, callees(loop.operator)[1])
    names = {body.ops[number].op: nodes for number, nodes in body.written.items()}
    assert names["SIN"][0].endswith("Sin")
    (branch,) = [op for op in body.ops if op.op == "IF"]
    second = file_of_subgraph(body, callees(branch.operator)[1])
    assert [op.op for op in second.ops] == ["NEG"]
    assert second.written[0][0].endswith("Neg")


ROW = {"x": np.array([[[0.3, -0.2, 0.5, 0.4]]], np.float32)}


def test_a_loop_of_tensorflow_1(loops_of_tf1, wrong_converter):
    """Its body becomes a function, the loop in it as well, and their nodes keep their names."""
    path, content = loops_of_tf1
    wrong = wrong_converter(with_changed_inside(content, "FULLY_CONNECTED", BODY, BODY))
    first = locate(path, wrong, inputs=ROW).first
    assert first["op"] == "WHILE"
    outer, within = first["inside"]
    assert (outer["op"], outer["where"]) == ("WHILE", "iteration 1")
    assert (within["op"], within["where"]) == ("FULLY_CONNECTED", "iteration 1")
    assert within["node"] == "while/while/matmul"


def test_a_loop_of_tensorflow_1_that_is_wrong_in_its_second_round(tf, tmp_path, wrong_converter):
    """Its rounds take a value that stays, and hand on two that change places."""
    v1 = tf.compat.v1
    was_new = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    try:
        with v1.Graph().as_default() as graph:
            x = v1.placeholder(tf.float32, [1, 4], name="x")

            def turn(i, a, b):
                return i + 1, tf.nn.relu(b - 0.25) * tf.constant([0.5, 2.0, 3.0, 4.0]) + x, a * 1.5

            start = [tf.constant(0), tf.zeros([1, 4]), x]
            y = tf.identity(v1.while_loop(lambda i, *_: i < 4, turn, start)[1], name="y")
            path = tmp_path / "loop.pb"
            path.write_bytes(graph.as_graph_def().SerializeToString())
            content = v1.lite.TFLiteConverter(graph.as_graph_def(), [x], [y]).convert()
    finally:
        if was_new:
            v1.enable_control_flow_v2()
    assert locate(path, content, inputs=ROW).agrees
    wrong = wrong_converter(with_changed_inside(content, "MUL", BODY))
    (step,) = locate(path, wrong, inputs=ROW).first["inside"]
    assert (step["op"], step["where"], step["node"]) == ("MUL", "iteration 2", "while/mul_1")


def test_a_loop_of_tensorflow_1_in_a_saved_model(tf, tmp_path, wrong_converter):
    """TensorFlow does not inline the function that such a signature is: it has loops."""
    v1 = tf.compat.v1
    was_new = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    try:
        with v1.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [1, 4], name="x")
            first = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32) / 4
            kernel = v1.get_variable("kernel", initializer=first, use_resource=True)

            def turn(i, a):
                return i + 1, tf.tanh(a @ kernel) + x

            looped = v1.while_loop(lambda i, _: i < 5, turn, [tf.constant(0), x])[1]
            y = tf.identity(looped * 2, name="y")
            session.run(v1.global_variables_initializer())
            path = tmp_path / "saved"
            v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": y})
    finally:
        if was_new:
            v1.enable_control_flow_v2()
    content = tf.lite.TFLiteConverter.from_saved_model(str(path)).convert()
    sound = locate(path, content, inputs=ROW)
    assert sound.agrees
    assert [pair["node"] for pair in sound.pairs][-1].endswith("mul")
    wrong = wrong_converter(with_changed_inside(content, "FULLY_CONNECTED", BODY))
    first = locate(path, wrong, inputs=ROW).first
    (step,) = first["inside"]
    assert (first["op"], step["op"], step["where"]) == ("WHILE", "FULLY_CONNECTED", "iteration 1")
    assert step["node"] == "StatefulPartitionedCall/while/matmul"


@pytest.fixture(scope="module")
def made_by_tf1(tf, tmp_path_factory):
    """A function of one x as a frozen graph, or with variables as a SavedModel, and its file."""
    v1 = tf.compat.v1

    def make(function, variables=None):
        was_new, path = v1.control_flow_v2_enabled(), tmp_path_factory.mktemp("tf1") / "model"
        v1.disable_control_flow_v2()
        try:
            with v1.Graph().as_default() as graph, v1.Session() as session:
                x = v1.placeholder(tf.float32, [1, 3], "x")
                held = {
                    name: v1.get_variable(name, initializer=value, use_resource=True)
                    for name, value in (variables or {}).items()
                }
                y = tf.identity(function(x, **held), "y")
                session.run(v1.global_variables_initializer())
                if held:
                    v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": y})
                else:
                    path = path.with_suffix(".pb")
                    path.write_bytes(graph.as_graph_def().SerializeToString())
                    converter = v1.lite.TFLiteConverter(graph.as_graph_def(), [x], [y])
        finally:
            if was_new:
                v1.enable_control_flow_v2()
        if held:
            converter = tf.lite.TFLiteConverter.from_saved_model(str(path))
        return path, converter.convert()

    return make


KERNEL = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
POSITIVE = {"x": np.array([[[0.3, 0.2, 0.5]], [[-0.3, -0.2, -0.5]]], np.float32)}
FIRST = "the first branch"


def test_a_branch_in_a_branch_of_tensorflow_1(tf, made_by_tf1, wrong_converter):
    v1 = tf.compat.v1

    def within(x):
        more = tf.reduce_sum(x) > 0.5
        return v1.cond(more, lambda: tf.sin(x @ KERNEL), lambda: tf.cos(x) * 3.0)

    def chosen(x):
        return v1.cond(
            tf.reduce_sum(x) > 0, lambda: tf.tanh(within(x) @ KERNEL) * 2.0, lambda: x - 1.0
        )

    path, content = made_by_tf1(chosen)
    assert locate(path, content, inputs=POSITIVE).agrees
    for where in ([COND], [COND, COND]):
        wrong = wrong_converter(with_changed_inside(content, "FULLY_CONNECTED", *where))
        first = locate(path, wrong, inputs=POSITIVE).first
        steps = [(each["op"], each["where"]) for each in first["inside"]]
        assert steps == [("IF", FIRST)] * (len(where) - 1) + [("FULLY_CONNECTED", FIRST)]
        assert first["inside"][-1]["node"] == "cond/" * len(where) + "matmul"


def test_a_branch_in_a_loop_of_tensorflow_1(tf, made_by_tf1, wrong_converter):
    def turn(i, h):
        positive = tf.reduce_sum(h) > 0
        return i + 1, tf.compat.v1.cond(positive, lambda: tf.sin(h) * 2.0, lambda: h + 0.5)

    def looped(x):
        return tf.compat.v1.while_loop(lambda i, _: i < 4, turn, [0, -x])[1]

    path, content = made_by_tf1(looped)
    assert locate(path, content, inputs=POSITIVE).agrees
    wrong = wrong_converter(with_changed_inside(content, "MUL", LOOP, COND))
    assert inside(path, wrong, inputs=POSITIVE) == [
        *(("WHILE", ""), ("IF", "iteration 2"), ("MUL", "the first branch")),
    ]


def test_a_branch_of_tensorflow_1_that_assigns(tf, made_by_tf1, wrong_converter):
    """A SavedModel, whose function TensorFlow does not inline."""
    v1 = tf.compat.v1

    def chosen(x, total):
        return v1.cond(tf.reduce_sum(x) > 0, lambda: total.assign_add(x) * 2.0, lambda: x - 1.0)

    path, content = made_by_tf1(chosen, {"total": np.ones((1, 3), np.float32)})
    assert locate(path, content, inputs=POSITIVE).agrees
    wrong = wrong_converter(with_changed_inside(content, "MUL", COND))
    assert inside(path, wrong, inputs=POSITIVE) == [("IF", ""), ("MUL", "the first branch")]


def test_a_branch_of_tensorflow_1_that_takes_nothing(tf, made_by_tf1):
    """The condition that it leaves over is no output of the graph."""

    def chosen(x):
        positive = tf.reduce_sum(x) > 0
        return x * tf.compat.v1.cond(positive, lambda: tf.constant(2.0), lambda: tf.constant(3.0))

    path, content = made_by_tf1(chosen)
    assert locate(path, content, inputs=POSITIVE).agrees


def test_no_file_is_made_of_an_array_of_tensorflow_1(tf, made_by_tf1):
    """So ``locate`` has no such loop to look into."""

    def written(x):
        def turn(i, array):
            return i + 1, array.write(i, x * 2.0)

        start = [0, tf.TensorArray(tf.float32, 2, element_shape=[1, 3])]
        return tf.compat.v1.while_loop(lambda i, _: i < 2, turn, start)[1].stack()

    with pytest.raises(Exception, match=r"TensorArrayV3.* is neither a custom op nor a flex op"):
        made_by_tf1(written)


def test_a_loop_that_is_not_made_as_tensorflow_makes_one_stays(loops_of_tf1, tf):
    whole = tf.compat.v1.GraphDef.FromString(loops_of_tf1[0].read_bytes())
    functional = with_functional_control(whole)
    assert "Enter" not in {node.op for node in functional.node}
    assert with_functional_control(functional) is functional
    (merge,) = [node for node in whole.node if node.name == "while/Merge"]
    merge.input[1] = "while/Enter"  # no round hands anything on
    kept = {node.name for node in with_functional_control(whole).node}
    assert {"while/Enter", "while/while"} < kept
    assert "while/while/Enter" not in kept
