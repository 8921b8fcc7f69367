"""SavedModels against TensorFlow's own loaders and messages."""

import shutil

import numpy as np
import pytest

from varhandle.formats import read_graph
from varhandle.graph import ModelFileError

WITH_FUNCTIONS = ["counter", "no_signatures", "control_flow", "trainer"]
CHECKPOINTED = [*WITH_FUNCTIONS, "keras_saved", "keras_exported"]
NAMES = [*CHECKPOINTED, "constant", "tf1"]


def _parse(folder):
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel()
    message.ParseFromString((folder / "saved_model.pb").read_bytes())
    return message.meta_graphs[0]


def _ops(accesses):
    return sorted(access.op for access in accesses)


@pytest.mark.parametrize("name", NAMES)
def test_holds_every_function_and_node(saved_models, name):
    graph_def = _parse(saved_models[name]).graph_def
    expected = {"main graph": graph_def.node}
    expected.update((f.signature.name, f.node_def) for f in graph_def.library.function)
    graph = read_graph(saved_models[name])
    assert graph.functions[0].name == "main graph"
    assert {f.name for f in graph.functions} == set(expected)
    for function in graph.functions:
        nodes = [
            (node.name, node.op, [*node.inputs, *(f"^{name}" for name in node.control_inputs)])
            for node in function.nodes
        ]
        assert nodes == [(n.name, n.op, list(n.input)) for n in expected[function.name]]


@pytest.mark.parametrize("name", NAMES)
def test_initialized_is_what_the_graph_loader_restores(tf, saved_models, name):
    """The v1 loader runs the restore op, as the converter does; then each variable is asked."""
    v1 = tf.compat.v1
    graph = read_graph(saved_models[name])
    with tf.Graph().as_default() as loaded, v1.Session() as session:
        v1.saved_model.load(session, ["serve"], str(saved_models[name]))
        expected = {}
        for op in loaded.get_operations():
            if op.type == "VarHandleOp":
                query = tf.raw_ops.VarIsInitializedOp(resource=op.outputs[0])
                expected[op.get_attr("shared_name").decode()] = bool(session.run(query))
            elif op.type == "VariableV2":
                query = v1.is_variable_initialized(op.outputs[0])
                expected[op.name] = bool(session.run(query))
    assert {v.name: v.initialized for v in graph.variables} == expected


@pytest.mark.parametrize("name", CHECKPOINTED)
def test_owners_dtypes_and_shapes_are_the_checkpoints(tf, saved_models, name):
    reader = tf.train.load_checkpoint(str(saved_models[name] / "variables" / "variables"))
    dtypes = reader.get_variable_to_dtype_map()
    expected = {
        key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): (dtypes[key].name, tuple(shape))
        for key, shape in reader.get_variable_to_shape_map().items()
        if not key.startswith("_CHECKPOINTABLE")
    }
    found = {v.owner: (v.dtype, v.shape) for v in read_graph(saved_models[name]).variables}
    found.pop(None, None)
    assert found == expected


def _inputs(tf, signature):
    """Make inputs that go down the branches in which the fixtures assign."""
    values = {"x": tf.constant(1.0), "s": tf.constant(["x"]), "i": tf.constant([1, 2])}
    specs = signature.structured_input_signature[1]
    if set(specs) == set(values):
        return values
    random = tf.random.Generator.from_seed(1)
    return {name: random.normal(spec.shape) for name, spec in specs.items()}


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        *(("counter", "step"), ("counter", "peek")),
        *(("control_flow", "serving_default"), ("trainer", "serving_default")),
    ],
)
def test_assigned_variables_are_those_that_change(tf, saved_models, name, signature):
    loaded = tf.saved_model.load(str(saved_models[name]))
    function = loaded.signatures[signature]
    variables = {v.name.removesuffix(":0"): v for v in function.graph.variables}
    before = {name: variable.numpy() for name, variable in variables.items()}
    function(**_inputs(tf, function))
    changed = {n for n, v in variables.items() if not np.array_equal(before[n], v.numpy())}
    graph = read_graph(saved_models[name])
    assigned = {
        v.name for v in graph.variables if any(signature in a.signatures for a in v.assigns)
    }
    touched = {
        v.name
        for v in graph.variables
        if any(signature in a.signatures for a in v.reads + v.assigns)
    }
    if name == "trainer":  # the loader gives Keras variables their own name, the graph a copy's
        assigned, touched = ({n.removesuffix("_1") for n in s} for s in (assigned, touched))
        changed, variables = ({n.removesuffix("_1") for n in s} for s in (changed, variables))
    assert assigned == changed
    assert touched == set(variables)


def test_accesses_are_found_through_every_kind_of_call(saved_models):
    graph = read_graph(saved_models["control_flow"])
    accesses = {v.name: (_ops(v.reads), _ops(v.assigns)) for v in graph.variables}
    assert accesses == {
        "a": (["ReadVariableOp"] * 3, ["AssignAddVariableOp"]),
        "b": (["ReadVariableOp"] * 3, ["AssignSubVariableOp"]),
        "embedding": (
            ["ReadVariableOp", "ResourceGather"],
            ["ResourceScatterUpdate", "ResourceStridedSliceAssign"],
        ),
        "half": ([], ["AssignVariableOp"]),
        "unused": ([], []),
    }


def test_an_access_names_its_signatures(saved_models):
    graph = read_graph(saved_models["counter"])
    counter, w = graph.variables
    assert [access.signatures for access in counter.reads] == [("peek",), ("step",)]
    assert [access.signatures for access in counter.assigns] == [("step",)]
    assert [access.signatures for access in w.reads] == [("step",)]


def test_signatures_are_those_that_can_be_called(tf, saved_models):
    loaded = tf.saved_model.load(str(saved_models["counter"]))
    graph = read_graph(saved_models["counter"])
    assert [signature.name for signature in graph.signatures] == sorted(loaded.signatures)
    step = graph.signature("step")
    assert [(s.name, s.dtype, s.shape) for s in step.inputs] == [("x", "float32", (1, 3))]
    assert [(s.name, s.dtype, s.shape) for s in step.outputs] == [("y", "float32", (1, 2))]
    assert graph.op_counts("step")["AssignAddVariableOp"] == 1
    assert graph.op_counts("peek")["AssignAddVariableOp"] == 0
    assert graph.producer == f"TensorFlow {tf.__version__}"
    file = read_graph(saved_models["counter"] / "saved_model.pb")
    assert (file.signatures, file.variables) == (graph.signatures, graph.variables)


def test_what_keras_3_restores_is_read_only_after_its_own_export(saved_models):
    """tf.saved_model.save of a Keras 3 model restores copies that no signature reads."""
    saved, exported = (read_graph(saved_models[f"keras_{how}"]) for how in ("saved", "exported"))
    read = [v for v in saved.variables if v.reads]
    restored = [v for v in saved.variables if v.initialized]
    assert len(read) == len(restored) == 8
    assert {(v.initialized, v.owner) for v in read} == {(False, None)}
    assert all(v.owner and not v.reads for v in restored)
    read = [v for v in exported.variables if v.reads]
    assert len(read) == 8
    assert all(v.initialized and v.owner for v in read)


def test_without_signatures_the_functions_count(saved_models):
    graph = read_graph(saved_models["no_signatures"])
    assert graph.signatures == ()
    counter = graph.variable("counter")
    assert (_ops(counter.reads), _ops(counter.assigns)) == (
        ["ReadVariableOp", "ReadVariableOp"],
        ["AssignAddVariableOp"],
    )
    assert {access.signatures for access in counter.reads} == {()}


def test_owners_with_dots_and_slashes_in_their_names(tf, tmp_path):
    class Named(tf.Module):
        def __init__(self):
            super().__init__()
            self.parts = {"a/b.c": tf.Variable(1.0), ".S": tf.Variable(2.0)}

        @tf.function(input_signature=[])
        def call(self):
            return self.parts["a/b.c"] + self.parts[".S"]

    tf.saved_model.save(Named(), str(tmp_path), signatures={})
    graph = read_graph(tmp_path)
    assert {v.owner for v in graph.variables} == {"parts/a/b.c", "parts/.S"}
    assert all(len(v.reads) == 1 for v in graph.variables)


def test_a_tf1_model_runs_in_the_main_graph(saved_models):
    graph = read_graph(saved_models["tf1"])
    assert graph.signature("serving_default").function == "main graph"
    accesses = {v.name: (_ops(v.reads), _ops(v.assigns)) for v in graph.variables}
    assert accesses == {"reference": (["Identity"], []), "resource": (["ReadVariableOp"], [])}


def test_without_its_variables_nothing_is_initialized(saved_models, tmp_path):
    shutil.copytree(saved_models["counter"], tmp_path, dirs_exist_ok=True)
    (tmp_path / "variables" / "variables.data-00000-of-00001").unlink()
    assert {v.initialized for v in read_graph(tmp_path).variables} == {False}
    shutil.rmtree(tmp_path / "variables")
    graph = read_graph(tmp_path)
    assert [(v.owner, v.initialized) for v in graph.variables] == [("counter", False), ("w", False)]


def test_a_restore_op_that_names_nothing_restores_nothing(saved_models, tmp_path):
    from tensorflow.core.protobuf import saved_model_pb2

    content = (saved_models["counter"] / "saved_model.pb").read_bytes()
    message = saved_model_pb2.SavedModel.FromString(content)
    for function in message.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            if node.op == "RestoreV2":
                del node.input[:]
    (tmp_path / "saved_model.pb").write_bytes(message.SerializeToString())
    assert {v.initialized for v in read_graph(tmp_path).variables} == {False}


def test_a_damaged_index_is_named(saved_models, tmp_path):
    shutil.copytree(saved_models["counter"], tmp_path, dirs_exist_ok=True)
    (tmp_path / "variables" / "variables.index").write_bytes(b"no index")
    with pytest.raises(ModelFileError, match=r"variables\.index"):
        read_graph(tmp_path)


def test_a_signature_of_tensorflow_1_runs_a_part_of_the_main_graph(tf, tmp_path):
    """What is fed does not run, nor what only another signature or the saver needs."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [2], "x")
        middle = tf.tanh(x, "middle")
        w = v1.get_variable("w", [2])
        infer, train = tf.nn.softmax(middle * w), v1.assign_add(w, x)
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(tmp_path / "sm"))
        make = v1.saved_model.signature_def_utils.predict_signature_def
        signatures = {
            "infer": make({"x": x}, {"y": infer}),
            "inner": make({"middle": middle}, {"y": infer}),
            "train": make({"x": x}, {"w": train}),
        }
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
    graph = read_graph(tmp_path / "sm")
    told = {"Softmax", "Mul", "Tanh", "SaveV2", "RestoreV2"}
    told |= {"AssignAddVariableOp", "AssignAdd"}
    ran = {one.name: told & graph.op_counts(one.name).keys() for one in graph.signatures}
    assert ran["infer"] == {"Softmax", "Mul", "Tanh"}
    assert ran["inner"] == {"Softmax", "Mul"}
    assert len(ran["train"]) == 1
