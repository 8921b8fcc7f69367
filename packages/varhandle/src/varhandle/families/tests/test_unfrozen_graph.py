"""A graph without values: the weights live in a session, not in the file."""
# ruff: noqa: E501

import numpy as np
import pytest
from family_checks import case_test, code_of, fix_of, ids, log_test, run

from varhandle import explain
from varhandle.diagnosis import diagnose
from varhandle.evaluate.session import Session
from varhandle.families import uninitialised_variable
from varhandle.families.catalog import family
from varhandle.repair.refusal import NoCureError
from varhandle.repair.run import cure

FAMILY = family("unfrozen-graph")

test_a_case_does_what_it_is_for = case_test(
    FAMILY,
    {
        "unfrozen-graph": "wrong",
        "unfrozen-reference": "convert: ConverterError: 'tf.VariableV2' op is illegal in a TFLite pipeline",
    },
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "error: failed while converting: 'main': Ops that need custom implementation (enabled via setting the -emit-custom-ops flag):\n\ttf.VariableV2 {container = \"\"}",
        "Here is a list of operators for which you will need custom implementations: VariableV2.",
        "These ops are not implemented: Assign, VariableV2",
        "List of operations that cannot be converted to Inference Engine IR:\n VariableV2 (1)",
    ],
)


def test_a_graph_that_was_taken_out_of_a_function(tf, tmp_path):
    module = tf.Module()
    module.w = tf.Variable([2.0, 3.0], name="w")
    spec = tf.TensorSpec([2], tf.float32, name="x")
    function = tf.function(lambda x: {"y": x * module.w}, input_signature=[spec])
    graph = function.get_concrete_function().graph
    x, (y,) = np.float32([1, 2]), [output.name for output in graph.outputs]

    def answer(graph_def, y):
        v1 = tf.compat.v1
        with tf.Graph().as_default(), v1.Session() as session:
            tf.import_graph_def(graph_def, name="")
            return session.run(y, {"x:0": x})

    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        answer(graph.as_graph_def(), y)
    (match,) = explain(caught.value.message).matches
    assert match.id == FAMILY.id
    path = tmp_path / "graph.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    (found,) = (f for f in diagnose(path, static=True).findings if f.id == FAMILY.id)
    assert match.message.startswith(found.message)
    frozen = run(code_of(match.fix), function=function, spec=spec)
    (output,) = frozen["frozen"].outputs
    np.testing.assert_array_equal(answer(frozen["graph_def"], output.name), x * [2, 3])


def test_a_note_of_the_executor_is_no_error():
    log = "You must feed a value for placeholder tensor 'x' with dtype resource"
    start = "(this does not indicate an error and you can ignore this message): INVALID_ARGUMENT: "
    assert ids(f"{start}{log}") == []
    assert ids(log) == [FAMILY.id]


def test_frozen_in_its_session(tf, tmp_path):
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder("float32", [4], name="x")
        weight = v1.get_variable("w", [4], use_resource=True)
        tf.identity(x * weight, name="y")
        saver = v1.train.Saver()
        given = {"graph": graph, "saver": saver, "session": session, "tf": tf}
        session.run(v1.global_variables_initializer())
        checkpoint = saver.save(session, str(tmp_path / "w"))
    names = run(
        code_of(FAMILY.fix),
        **given,
        checkpoint=checkpoint,
        output_node_names=["y"],
    )
    assert {node.op for node in names["frozen"].node} == {"Placeholder", "Const", "Mul", "Identity"}
    with graph.as_default(), v1.Session(graph=graph) as session:
        run(
            code_of(uninitialised_variable._IN_SESSION),
            **{**given, "session": session},
            checkpoint=checkpoint,
        )
        assert session.run("y:0", {"x:0": np.ones(4)}).shape == (4,)


def answer_of(tf, graph_def, x):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph_def, name="")
        return session.run("y:0", {"x:0": x})


def test_a_graph_is_frozen_with_the_values_of_its_checkpoint(
    tf, specimen_path, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = specimen_path("unfrozen_graph_with_a_saver")
    fix = fix_of(path, "unfrozen-graph")
    run(fix)
    assert diagnose("frozen.pb").verdict == "convertible"
    kernel = tf.train.load_checkpoint(str(path.parent / "model.ckpt")).get_tensor("kernel")
    x = np.ones([1, 3], "float32")
    frozen = tf.compat.v1.GraphDef.FromString((tmp_path / "frozen.pb").read_bytes())
    np.testing.assert_allclose(answer_of(tf, frozen, x), x @ kernel, rtol=1e-6)


def test_a_graph_is_frozen_where_its_session_is(tf, specimen_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = specimen_path("unfrozen_graph")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(tf.compat.v1.GraphDef.FromString(path.read_bytes()), name="")
        session.run(["kernel/Assign", "bias/Assign"])
        run(fix_of(path, "unfrozen-graph"), session=session)
    assert diagnose("frozen.pb").verdict == "convertible"


@pytest.mark.parametrize("use_resource", [False, True])
def test_what_a_session_assigns_is_saved_and_not_frozen(tf, tmp_path, monkeypatch, use_resource):
    monkeypatch.chdir(tmp_path)
    v1, x = tf.compat.v1, np.ones([1, 4], "float32")
    with tf.Graph().as_default(), v1.Session() as session:
        fed = v1.placeholder("float32", [1, 4], name="x")
        weight = v1.get_variable("w", initializer=[[2.0]] * 4, use_resource=use_resource)
        calls = v1.get_variable("n", initializer=[1.0], use_resource=use_resource)
        with tf.control_dependencies([v1.assign_add(calls, [1.0])]):
            tf.identity(fed @ weight + calls.read_value(), name="y")
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, "model.ckpt")
        told = [session.run("y:0", {"x:0": x}) for _ in range(3)]
    with pytest.raises(NoCureError, match="assigns n, and a frozen value") as caught:
        cure(".")
    fix = fix_of(tmp_path, "unfrozen-graph")
    assert caught.value.change == fix.replace(f"{tmp_path}/", "")
    run(fix)
    made = cure("saved")
    assert made.verdict == "ready"
    interpreter = Session(made.content)
    for answer in told:
        (got,) = interpreter({"x": x}).values()
        np.testing.assert_allclose(got, answer)


def test_what_only_a_step_of_training_assigns_is_frozen(tf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        fed = v1.placeholder("float32", [1, 4], name="x")
        weight = v1.get_variable("w", initializer=[[2.0]] * 4, use_resource=True)
        y = tf.identity(fed @ weight, name="y")
        v1.assign_sub(weight, [[1.0]] * 4)
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, "model.ckpt")
        told = session.run(y, {fed: np.ones([1, 4])})
    assert "It is a training graph: it assigns w." in diagnose(".").findings[0].message
    (got,) = Session(cure(".").content)({"x": np.ones([1, 4], "float32")}).values()
    np.testing.assert_allclose(got, told)


def test_a_graph_that_assigns_is_saved_where_its_session_is(tf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as session:
        fed = v1.placeholder("float32", [1], name="x")
        calls = v1.get_variable("n", initializer=[1.0], use_resource=True)
        with tf.control_dependencies([v1.assign_add(calls, [1.0])]):
            tf.identity(fed + calls.read_value(), name="y")
        session.run(v1.global_variables_initializer())
        tf.io.write_graph(graph, ".", "graph.pb", as_text=False)
        run(fix_of("graph.pb", "unfrozen-graph"), session=session)
    assert cure("saved").verdict == "ready"
