"""Reads and assignments of one variable that nothing orders, told from the graph alone."""

import numpy as np
import pytest
import zoo

from varhandle import cure, diagnose, read_graph
from varhandle.cli import main
from varhandle.formats import format_of
from varhandle.graph.access_order import unordered_accesses

# Graphs of TensorFlow 1 on a variable v: what is fetched.


def beside(tf, v1, x, v):
    old = v.read_value()
    return {"old": old * 2.0, "new": tf.identity(v.assign_add(x))}


def beside_the_input(tf, v1, x, v):
    return {"y": v.read_value() + x, "new": tf.identity(v.assign_add(x))}


def first(tf, v1, x, v):
    old = tf.identity(v.read_value())
    with tf.control_dependencies([old]):
        new = v.assign_add(x)
    return {"old": old * 2.0, "new": tf.identity(new)}


def used_first(tf, v1, x, v):
    twice = v.read_value() * 2.0
    with tf.control_dependencies([twice]):
        return {"old": twice, "new": tf.identity(v.assign_add(x))}


def given_as_it_is(tf, v1, x, v):
    old = tf.identity(v.read_value())
    return {"old": old, "new": tf.identity(v.assign(old + x))}


def through_data(tf, v1, x, v):
    return {"new": tf.identity(v.assign(v.read_value() * 0.5 + x))}


def after(tf, v1, x, v):
    with tf.control_dependencies([v.assign_add(x)]):
        return {"new": v.read_value() * 2.0}


def its_output(tf, v1, x, v):
    return {"new": tf.identity(v.assign_add(x)), "twice": tf.identity(x) * 2.0}


def taken_directly(tf, v1, x, v):
    """A node that takes a reference variable itself, with no Identity before it."""
    y = tf.raw_ops.AddN(inputs=[v._ref(), x]) if hasattr(v, "_ref") else v + x
    return {"y": y, "new": tf.identity(v.assign_add(x))}


def two(tf, v1, x, v):
    return {"a": tf.identity(v.assign_add(x)), "b": tf.identity(v.assign(3.0 * x))}


def two_in_order(tf, v1, x, v):
    one = tf.identity(v.assign_add(x)) * 1.0
    with tf.control_dependencies([one]):
        return {"a": one, "b": tf.identity(v.assign(3.0 * x))}


def first_output_late(tf, v1, x, v):
    one = v.assign_add(x)
    with tf.control_dependencies([one]):
        return {"b": tf.identity(v.assign(3.0 * x)), "a": tf.identity(one)}


def sums(tf, v1, x, v):
    with tf.control_dependencies([v.assign_add(x), v.assign_sub(3.0 * x)]):
        return {"y": v.read_value() * 1.0}


def read_for_nothing(tf, v1, x, v):
    with tf.control_dependencies([v.read_value()]):
        y = x * 1.0
    return {"y": y, "new": tf.identity(v.assign_add(x))}


def branches(tf, v1, x, v):
    def added():
        with tf.control_dependencies([v.assign_add(x)]):
            return v.read_value() * 1.0

    return {"y": v1.cond(x[0] > 0.0, added, lambda: v.read_value() * 2.0)}


def after_branches(tf, v1, x, v):
    """What runs after a condition is in none of its branches."""
    no, yes = tf.raw_ops.Switch(data=x, pred=x[0] > 0.0)
    met, _ = tf.raw_ops.Merge(inputs=[no * 1.0, yes * 2.0])
    with tf.control_dependencies([met]):
        now = v.read_value()
    return {"y": met + now, "new": tf.identity(v.assign_add(yes))}


def rounds(tf, v1, x, v):
    def body(i, total):
        with tf.control_dependencies([v.assign_add(x)]):
            return i + 1, total + v.read_value()

    return {"y": v1.while_loop(lambda i, _: i < 3, body, [0, x])[1]}


def rounds_beside(tf, v1, x, v):
    def body(i, total):
        old = v.read_value()
        with tf.control_dependencies([v.assign_add(x)]):
            return i + 1, total + old

    return {"y": v1.while_loop(lambda i, _: i < 3, body, [0, x])[1]}


def after_rounds(tf, v1, x, v):
    def body(i, total):
        with tf.control_dependencies([v.assign_add(x)]):
            return i + 1, total + 1.0

    y = v1.while_loop(lambda i, _: i < 3, body, [0, x])[1]
    return {"y": y, "now": v.read_value() * 1.0}


ON_A_HANDLE = {
    beside: True,
    beside_the_input: True,
    first: False,
    used_first: False,
    given_as_it_is: False,
    through_data: False,
    after: False,
    its_output: False,
    taken_directly: True,
    two: True,
    two_in_order: False,
    first_output_late: True,
    sums: False,
    read_for_nothing: False,
    branches: False,
    after_branches: True,
    rounds: False,
    rounds_beside: True,
    after_rounds: True,
}
# A reference variable is not copied where it is read, nor where its assignment is taken.
BY_REFERENCE = {
    beside: True,
    first: True,
    used_first: False,
    given_as_it_is: True,
    through_data: False,
    after: False,
    its_output: False,
    taken_directly: True,
    two: True,
    two_in_order: False,
    first_output_late: True,
}


def save_tf1(tf, folder, compute, on_a_handle=True):
    v1, path = tf.compat.v1, folder / compute.__name__
    switches = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [4], "x")
            start = tf.zeros([4])
            v = v1.get_variable("state", initializer=start, use_resource=on_a_handle)
            fetched = compute(tf, v1, x, v)
            session.run(v1.global_variables_initializer())
            v1.saved_model.simple_save(session, str(path), {"x": x}, fetched)
    finally:
        if switches:
            v1.enable_control_flow_v2()
    return path


def found_in(path):
    graph = read_graph(path)
    (signature,) = graph.signatures
    return list(unordered_accesses(graph, signature))


@pytest.mark.parametrize(
    ("compute", "on_a_handle", "to_chance"),
    [
        pytest.param(compute, on_a_handle, to_chance, id=f"{compute.__name__}-{kind}")
        for kind, on_a_handle, graphs in (
            ("handle", True, ON_A_HANDLE),
            ("reference", False, BY_REFERENCE),
        )
        for compute, to_chance in graphs.items()
    ],
)
def test_what_a_graph_of_tensorflow_1_leaves_to_chance(
    tf, tmp_path, compute, on_a_handle, to_chance
):
    found = found_in(save_tf1(tf, tmp_path, compute, on_a_handle=on_a_handle))
    assert bool(found) == to_chance, found
    assert all(pair.variable == "state" for pair in found)


def answers(tf, path, calls=3):
    """Return what bare TensorFlow 1 gives a fresh session."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        (info,) = v1.saved_model.load(session, ["serve"], str(path)).signature_def.values()
        fetched = {name: one.name for name, one in info.outputs.items()}
        feed = {info.inputs["x"].name: np.ones(4, "float32")}
        return [session.run(fetched, feed) for _ in range(calls)]


def test_tensorflow_itself_gives_what_came_after_a_read_of_a_reference(tf, tmp_path):
    """The control edge is there, and yet what is fetched as the old value is the new one."""
    given = answers(tf, save_tf1(tf, tmp_path, given_as_it_is, on_a_handle=False))
    assert all(np.array_equal(call["old"], call["new"]) for call in given)
    (tmp_path / "handle").mkdir()
    given = answers(tf, save_tf1(tf, tmp_path / "handle", given_as_it_is))
    assert all(np.array_equal(call["old"] + 1.0, call["new"]) for call in given)


@pytest.mark.parametrize("compute", [beside, two], ids=lambda each: each.__name__)
def test_the_verdict_is_unproved_and_says_what_its_author_does(tf, tmp_path, capsys, compute):
    path = save_tf1(tf, tmp_path, compute)
    (pair,) = found_in(path)
    found = diagnose(path)
    assert found.verdict == "unproved"
    for word in ("state is ", pair.first.node, pair.second.node, "tf.control_dependencies"):
        assert word in found.doubt
    assert "answer as" not in found.text()  # whichever way the comparison went
    assert main(["diagnose", str(path), "--static"]) == 3
    assert capsys.readouterr().out.startswith("unproved: nothing was run, so nothing is proved: ")
    out = tmp_path / "out.tflite"
    assert main(["cure", str(path), str(out)]) == 3
    assert capsys.readouterr().out.startswith(f"unproved: {found.doubt}")
    assert out.exists()
    assert main(["locate", str(path), str(out)]) == 2
    assert "tf.control_dependencies" in "".join(capsys.readouterr())


def test_what_a_comparison_shows_by_chance_is_not_told(tf, tmp_path, monkeypatch):
    from varhandle.evaluate import proof
    from varhandle.evaluate.parity import Parity, Run
    from varhandle.repair import run

    path = save_tf1(tf, tmp_path, beside)
    for agreeing in (5, 0):
        shown = Parity((Run("default delegates", agreeing, 5),))
        for module in (proof, run):
            monkeypatch.setattr(module, "compare", lambda *_, found=shown, **__: found)
        made = cure(path)
        assert made.parity is None
        assert made.doubt == made.diagnosis.doubt
        assert made.doubt.startswith("state is read by ")


def test_what_the_interpreter_refuses_is_no_matter_of_chance(tf, tmp_path, monkeypatch):
    from varhandle.evaluate import proof
    from varhandle.evaluate.parity import Parity, Run

    refused = Parity((Run("default delegates", 0, 5, "no such kernel"),))
    monkeypatch.setattr(proof, "compare", lambda *_, **__: refused)
    monkeypatch.setattr(proof, "with_answers", lambda one, *_, **__: one)
    found = diagnose(save_tf1(tf, tmp_path, beside))
    assert (found.verdict, found.doubt) == ("blocked", "")


def test_what_sets_the_order_as_it_is_told_is_proved(tf, tmp_path):
    assert diagnose(save_tf1(tf, tmp_path, first)).verdict == "convertible"
    for compute in (used_first, after):
        path = save_tf1(tf, tmp_path, compute, on_a_handle=False)
        assert cure(path).proved


# Functions of TensorFlow 2, and what is left of them without their control edges.


def without_control_edges(path, at):
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    message = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    for function in message.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            kept = [one for one in node.input if not one.startswith("^") or not at(node)]
            node.input[:] = kept
    (path / "saved_model.pb").write_bytes(message.SerializeToString())


def stateful(tf, folder, make):
    module = tf.Module()
    module.v, module.w = (tf.Variable(tf.zeros([4]), name=name) for name in "vw")
    module.step = tf.function(make(tf, module), input_signature=[zoo.spec(tf, 4)])
    return zoo.save(tf, folder, module, serving_default=module.step)


def read_and_called(tf, module):
    module.add = tf.function(module.v.assign_add)

    def step(x):
        old = module.v.read_value()
        return {"old": old * 2.0, "new": module.add(x)}

    return step


def one_function_of_two_variables(tf, module):
    @tf.function
    def add(variable, x):
        variable.assign_add(x)
        return variable * 1.0

    module.add = add
    return lambda x: {"a": add(module.v, x), "b": add(module.w, 2.0 * x)}


def looping(tf, module):
    def step(x):
        for i in tf.range(4):
            if x[i] > 0.0:
                module.v.assign_add(x)
            else:
                module.w.assign(module.v * 2.0)
        module.w.assign_add(module.v)
        return {"y": module.v + module.w}

    return step


@pytest.mark.parametrize("make", [read_and_called, one_function_of_two_variables, looping])
def test_what_a_function_of_tensorflow_2_does_has_an_order(tf, tmp_path, make):
    path = stateful(tf, tmp_path, make)
    assert not found_in(path)
    if make is not one_function_of_two_variables:
        without_control_edges(path, lambda _: True)
        assert found_in(path)
        assert diagnose(path, static=True).verdict == "unproved"


def test_two_calls_of_one_function_on_two_variables_need_no_order(tf, tmp_path):
    path = stateful(tf, tmp_path, one_function_of_two_variables)
    without_control_edges(path, lambda node: "Call" in node.op)
    assert not found_in(path)


def test_a_bare_graph_and_its_initializer(tf, tmp_path):
    v1, told = tf.compat.v1, {}
    for compute in (beside_the_input, through_data):
        with tf.Graph().as_default() as graph:
            x = v1.placeholder(tf.float32, [4], "x")
            v = v1.get_variable("state", initializer=tf.zeros([4]), use_resource=True)
            compute(tf, v1, x, v)
            v1.train.Saver()
        path = tmp_path / f"{compute.__name__}.pb"
        path.write_bytes(graph.as_graph_def().SerializeToString())
        read = read_graph(path)
        told[compute] = format_of(read).left_to_chance(read, [None])
    assert told[beside_the_input].startswith("state is read by ")
    assert not told[through_data]
