"""Bare GraphDefs: from TF1 graphs, concrete functions and messages made by hand."""

import pytest

from varhandle.formats import read_graph
from varhandle.formats.proto_schema import MESSAGES
from varhandle.graph import ModelFileError


def _ops(accesses):
    return sorted(access.op for access in accesses)


def _accesses(graph):
    return {v.name: (_ops(v.reads), _ops(v.assigns)) for v in graph.variables}


@pytest.fixture(scope="module")
def training_graph(tf):
    """A TF1 training graph with a saver: a reference variable and a resource variable."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 3], name="x")
        resource = v1.get_variable("resource", [3, 2], use_resource=True)
        reference = v1.get_variable("reference", [2], use_resource=False)
        y = tf.identity(x @ resource + reference, name="y")
        v1.assign_add(reference, tf.ones([2]))
        v1.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(y), var_list=[resource])
        v1.global_variables_initializer()
        v1.train.Saver()
    return graph.as_graph_def()


def test_neither_start_nor_save_nor_restore_is_an_access(training_graph):
    graph = read_graph(training_graph)
    assert _accesses(graph) == {
        "reference": (["Identity"], ["AssignAdd"]),
        "resource": (["ReadVariableOp"], ["ResourceApplyGradientDescent"]),
    }
    assert {v.initialized for v in graph.variables} == {False}
    assert [(v.dtype, v.shape) for v in graph.variables] == [("float32", (2,)), ("float32", (3, 2))]


def test_path_bytes_and_message_are_the_same(training_graph, tmp_path):
    path = tmp_path / "graph.pb"
    path.write_bytes(training_graph.SerializeToString())
    graphs = [read_graph(s) for s in (path, path.read_bytes(), training_graph)]
    assert [graph.source for graph in graphs] == [str(path), "<bytes>", "<bytes>"]
    assert graphs[0].functions == graphs[1].functions == graphs[2].functions
    assert graphs[0].variables == graphs[2].variables


def test_a_frozen_graph_has_no_variables(counter):
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    frozen = convert_variables_to_constants_v2(counter.peek.get_concrete_function())
    assert read_graph(frozen.graph.as_graph_def()).variables == ()


def test_a_graph_of_a_concrete_function_is_fed_its_handles(control_flow):
    function = control_flow.call.get_concrete_function()
    graph = read_graph(function.graph.as_graph_def())
    found = sorted((v.dtype, _ops(v.assigns)) for v in graph.variables)
    assert found == [
        ("float16", ["AssignVariableOp"]),
        ("float32", ["AssignAddVariableOp"]),
        ("float32", ["AssignSubVariableOp"]),
        ("float32", ["ResourceScatterUpdate", "ResourceStridedSliceAssign"]),
    ]


def test_saved_models_main_graph_keeps_its_machinery_apart(saved_models):
    saved_model = MESSAGES["SavedModel"].FromString(
        (saved_models["counter"] / "saved_model.pb").read_bytes()
    )
    graph = read_graph(saved_model.meta_graphs[0].graph_def)
    assert _accesses(graph) == {
        "counter": (["ReadVariableOp", "ReadVariableOp"], ["AssignAddVariableOp"]),
        "w": (["ReadVariableOp"], []),
    }


def test_handles_are_followed_through_tf1_control_flow(tf):
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        v1.disable_control_flow_v2()
        try:
            total = v1.get_variable("total", [], use_resource=True)
            loop = v1.while_loop(
                lambda i: i < 3, lambda i: total.assign_add(1.0) * 0 + i + 1, [0.0]
            )
            tf.cond(loop > 1, lambda: total + 1.0, lambda: tf.constant(0.0), name="branch")
        finally:
            v1.enable_control_flow_v2()
    nodes = graph.as_graph_def().node
    assert {"Switch", "Merge", "Enter", "NextIteration"} <= {node.op for node in nodes}
    (variable,) = read_graph(graph.as_graph_def()).variables
    reads = {node.name for node in nodes if node.op == "ReadVariableOp"}
    assert {access.node for access in variable.reads} == reads - {"total/Read/ReadVariableOp"}
    assert _ops(variable.assigns) == ["AssignAddVariableOp"]


def _node(graph_def, name, op, *inputs, **types):
    node = graph_def.node.add(name=name, op=op, input=inputs)
    for key, number in types.items():
        node.attr[key].type = number


def test_one_shared_name_is_one_variable():
    graph_def = MESSAGES["GraphDef"]()
    for name in ("first", "second"):
        _node(graph_def, name, "VarHandleOp", dtype=1)
        graph_def.node[-1].attr["shared_name"].s = b"state"
        _node(graph_def, f"read_{name}", "ReadVariableOp", name)
    (state,) = read_graph(graph_def).variables
    assert (state.name, state.dtype) == ("state", "float32")
    assert [access.node for access in state.reads] == ["read_first", "read_second"]


def test_a_question_about_a_variable_is_no_access():
    graph_def = MESSAGES["GraphDef"]()
    _node(graph_def, "v", "VarHandleOp", dtype=1)
    for op in ("VarIsInitializedOp", "VariableShape", "DisableCopyOnRead"):
        _node(graph_def, op, op, "v")
    assert _accesses(read_graph(graph_def)) == {"v": ([], [])}


def test_a_while_hands_each_handle_on_at_its_own_place():
    graph_def = MESSAGES["GraphDef"]()
    for name in ("a", "b"):
        _node(graph_def, name, "VarHandleOp", dtype=1)
    _node(graph_def, "loop", "While", "a", "b")
    _node(graph_def, "read", "ReadVariableOp", "loop:1")
    assert _accesses(read_graph(graph_def)) == {"a": ([], []), "b": (["ReadVariableOp"], [])}


def test_an_identity_hands_a_handle_on():
    graph_def = MESSAGES["GraphDef"]()
    _node(graph_def, "v", "VarHandleOp", dtype=1)
    _node(graph_def, "same", "Identity", "v", T=20)
    _node(graph_def, "read", "ReadVariableOp", "same")
    assert _accesses(read_graph(graph_def)) == {"v": (["ReadVariableOp"], [])}


def test_a_random_generators_update_is_an_assign(tf):
    generator = tf.random.Generator.from_seed(1)
    function = tf.function(lambda: generator.normal([2])).get_concrete_function()
    (state,) = read_graph(function.graph.as_graph_def()).variables
    assert len(state.assigns) == 1


def test_functions_that_call_each_other_end():
    graph_def = MESSAGES["GraphDef"]()
    _node(graph_def, "v", "VarHandleOp", dtype=1)
    _node(graph_def, "call", "f", "v")
    for name, other in (("f", "g"), ("g", "f")):
        function = graph_def.library.function.add()
        function.signature.name = name
        function.signature.input_arg.add(name="x", type=20)
        function.node_def.add(name="again", op=other, input=["x"])
        function.node_def.add(name="read", op="ReadVariableOp", input=["x"])
    assert _accesses(read_graph(graph_def)) == {"v": (["ReadVariableOp"] * 2, [])}


def test_attributes_are_plain_values(tf):
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [1, None, 4, 3], name="x")
        tf.nn.conv2d(x, tf.ones([2, 2, 3, 5]), strides=[1, 2, 2, 1], padding="SAME", name="conv")
        tf.constant([[1.0, 2.0]], name="constant")
        tf.compat.v1.placeholder(tf.int32, None, name="anything")
    nodes = {node.name: node for node in read_graph(graph.as_graph_def()).nodes}
    assert nodes["x"].attributes == {"dtype": "float32", "shape": (1, None, 4, 3)}
    assert nodes["conv"].attributes["strides"] == (1, 2, 2, 1)
    assert nodes["conv"].attributes["padding"] == "SAME"
    assert nodes["constant"].attributes["value"].shape == (1, 2)
    assert nodes["anything"].attributes["shape"] is None


def test_the_sources_of_a_node_are_those_of_its_data_inputs(training_graph):
    assert {node.name: node.sources for node in read_graph(training_graph).nodes} == {
        node.name: tuple(t.split(":")[0] for t in node.input if not t.startswith("^"))
        for node in training_graph.node
    }


@pytest.mark.parametrize("data", [b"", b"\x08\x01", b"hello, I am text\n", bytes(range(256)) * 9])
def test_other_bytes_are_no_graph(data):
    with pytest.raises(ModelFileError, match="GraphDef"):
        read_graph(data)
