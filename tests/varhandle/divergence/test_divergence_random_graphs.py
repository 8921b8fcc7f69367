"""Random small graphs: a sound file agrees in every op, and a planted fault is named."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from benchmarks.locate.faults import plant, shown
from varhandle.divergence.file_trace import FileTrace
from varhandle.divergence.walk import compare_ops
from varhandle.evaluate.reference import loader_of
from varhandle.formats import read_graph

RULES = settings(max_examples=6, deadline=None, derandomize=True)
ONE = ("relu", "tanh", "sigmoid", "dense", "scaled", "reversed", "softmax")
TWO = ("add", "sub", "mul", "maximum", "halves")
KINDS = ("a weight changed", "a bias dropped", "an option flipped", "inputs swapped")


@st.composite
def graphs(draw):
    """Steps of a graph: an op, and which of the tensors before it each takes."""
    steps = []
    for count in range(1, draw(st.integers(2, 7)) + 1):
        op = draw(st.sampled_from(ONE + TWO))
        takes = st.integers(max(0, count - 3), count - 1)
        steps.append((op, [draw(takes) for _ in range(1 if op in ONE else 2)]))
    return steps


def function_of(tf, steps, seed):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(len(steps), 7, 6)).astype(np.float32)
    ops = {
        "relu": tf.nn.relu, "tanh": tf.tanh, "sigmoid": tf.sigmoid, "softmax": tf.nn.softmax,
        "add": tf.add, "sub": tf.subtract, "mul": tf.multiply, "maximum": tf.maximum,
        "reversed": lambda x: tf.reverse(x, [1]),
        "halves": lambda x, y: tf.concat([tf.split(x, 2, 1)[1], tf.split(y, 2, 1)[0]], 1),
    }  # fmt: skip

    def function(x):
        made = [x]
        for weight, (op, takes) in zip(weights, steps, strict=True):
            taken = [made[place] for place in takes]
            if op == "dense":
                made.append(taken[0] @ weight[:6] + weight[6])
            elif op == "scaled":
                made.append(taken[0] * weight[6] + weight[5])
            else:
                made.append(ops[op](*taken))
        return {"last": made[-1], "all": tf.add_n(made)}

    return function


@pytest.fixture(scope="module")
def compared(tf, saved_and_converted):
    def make(steps, seed):
        path, content = saved_and_converted(function_of(tf, steps, seed), [1, 6])
        rng = np.random.default_rng(seed)
        calls = [{"x": rng.normal(size=(1, 6)).astype(np.float32)} for _ in range(2)]
        load = loader_of(read_graph(path), "serving_default")

        def compare(file):
            return compare_ops(load, "serving_default", calls, file,
                               file_signature="serving_default", witness=content)  # fmt: skip

        return content, calls, compare

    return make


def tells(content, calls, name):
    """Whether a tensor has more than a few values: zeros, for one, are like any others."""
    trace = FileTrace(content)
    (tensor,) = [t for op in trace.ops for t in op.outputs if trace.name(t) == name]
    values = set()
    for call in calls:
        trace(call)
        values.update(np.ravel(trace.value(tensor)).tolist())
    return len(values) >= 4


@RULES
@given(graphs(), st.integers(0, 99))
def test_a_sound_file_of_any_graph_agrees(compared, steps, seed):
    content, calls, compare = compared(steps, seed)
    found = compare(content)
    assert found["first"] is None
    assert not [name for name in found["unmatched"] if tells(content, calls, name)]


@RULES
@given(graphs(), st.integers(0, 99), st.sampled_from(KINDS))
def test_a_fault_at_a_random_op_is_named(compared, steps, seed, kind):
    content, calls, compare = compared(steps, seed)
    fault = plant(content, kind, np.random.default_rng(seed))
    assume(fault)
    fault = shown(content, fault, calls, 0.01)
    assume(fault)
    first = compare(fault.content)["first"]
    assert (first["call"], first["number"]) == (fault.call, fault.shown)


@pytest.fixture(scope="module")
def stateful(tf, save_module):
    """A state that is read before and after it is assigned, and a loop of two values."""

    class Level(tf.Module):
        def __init__(self):
            self.level = tf.Variable([1.0, 2.0, 3.0], name="level")

        @tf.function(input_signature=[tf.TensorSpec([3], tf.float32, "x")])
        def __call__(self, x):
            before = tf.identity(self.level)
            self.level.assign(0.5 * before + x)

            def turn(i, a, b):
                return i + 1, tf.sin(b) + x, tf.exp(-a)

            return tf.while_loop(lambda i, *_: i < 4, turn, [0, before, self.level + 0.0])[1]

    path = save_module(Level())
    return path, tf.lite.TFLiteConverter.from_saved_model(str(path)).convert()


@pytest.mark.parametrize(
    "kind",
    [
        "a CALL_ONCE removed",
        "an assignment in CALL_ONCE with another value",
        "an assignment dropped",
        "an assignment moved",
        "a loop's order swapped",
        "a loop or a branch changed",
    ],
)
def test_a_fault_of_a_state_or_a_loop_is_shown_and_named(stateful, kind):
    path, content = stateful
    rng = np.random.default_rng(0)
    calls = [{"x": rng.normal(size=3).astype(np.float32)} for _ in range(3)]
    planted = (plant(content, kind, rng) for _ in range(20))
    fault = next(filter(None, (shown(content, one, calls, 0.01) for one in planted)))
    load = loader_of(read_graph(path), "serving_default")
    compared = load, "serving_default", calls, fault.content
    found = compare_ops(*compared, file_signature="serving_default", witness=content)
    first = found["first"]
    assert (first["call"], first["number"]) == (fault.call, fault.shown)
