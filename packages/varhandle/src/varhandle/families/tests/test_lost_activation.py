"""A ReLU that the converter loses: seen by ops and edges, or by where the file parts."""

import numpy as np
import pytest
import zoo
from ai_edge_litert.interpreter import Interpreter
from family_checks import case_test, code_of, finding_of, run, severe

from varhandle import cure, diagnose, locate
from varhandle.families.catalog import family, find
from varhandle.families.lost_activation import OP, _in_difference
from varhandle.graph import Access, Function, Graph, Node, Signature, Variable

FAMILY = family("lost-activation")

test_a_case_does_what_it_is_for = case_test(FAMILY, {"relu-of-product": "wrong"})

SPECS = [([2, 4], "x"), ([4, 3], "z")]


def converted(tf, function, **settings):
    """Convert a function of x [2, 4] and z [4, 3]; return the file, and what both answer."""
    specs = [tf.TensorSpec(shape, tf.float32, name) for shape, name in SPECS]
    step = tf.function(lambda x, z: {"y": function(x, z)}, input_signature=specs)
    function = step.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    for name, value in settings.items():
        setattr(converter, name, value)
    content = converter.convert()
    random = np.random.default_rng(1)
    given = {name: random.normal(0, 3, shape).astype(np.float32) for shape, name in SPECS}
    runner = Interpreter(model_content=content).get_signature_runner()
    return content, runner(**given)["y"], step(**given)["y"].numpy()


LOST = {
    "relu": lambda tf, x, z: tf.nn.relu(x @ z),
    "relu6": lambda tf, x, z: tf.nn.relu6(x @ z),
    "clip": lambda tf, x, z: tf.clip_by_value(x @ z, -1.0, 1.0),
    "a bias of zeros": lambda tf, x, z: tf.nn.relu(tf.nn.bias_add(x @ z, tf.zeros([3]))),
    "reshaped": lambda tf, x, z: tf.nn.relu(tf.reshape(x @ z, [6])),
    "transposed": lambda tf, x, z: tf.nn.relu(tf.transpose(tf.matmul(x, z))),
    "einsum": lambda tf, x, z: tf.nn.relu(tf.einsum("ij,jk->ik", x, z)),
}
KEPT = {
    "leaky": lambda tf, x, z: tf.nn.leaky_relu(x @ z),
    "tanh": lambda tf, x, z: tf.tanh(x @ z),
    "sigmoid": lambda tf, x, z: tf.sigmoid(x @ z),
    "a bias": lambda tf, x, z: tf.nn.relu(x @ z + tf.constant([1.0, -2.0, 3.0])),
    "a constant": lambda tf, x, z: tf.nn.relu(x @ tf.ones([4, 3])) + z[:2],
    "the other way round": lambda tf, x, z: tf.nn.relu(tf.matmul(z, x, True, True)),
    "three dimensions": lambda tf, x, z: tf.nn.relu(x[None] @ z[None]),
}


@pytest.mark.parametrize("how", LOST)
def test_the_setting_keeps_what_the_converter_loses(tf, how):
    _, got, wanted = converted(tf, lambda x, z: LOST[how](tf, x, z))
    assert not np.allclose(got, wanted, atol=1e-3)
    _, got, wanted = converted(tf, lambda x, z: LOST[how](tf, x, z), unfold_batchmatmul=True)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("how", KEPT)
def test_what_is_not_lost(tf, how):
    _, got, wanted = converted(tf, lambda x, z: KEPT[how](tf, x, z))
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def saved(tf, folder, function):
    specs = [tf.TensorSpec(shape, tf.float32, name) for shape, name in SPECS]
    return zoo.save_step(tf, folder, {}, lambda _, x, z: {"y": function(tf, x, z)}, *specs)


@pytest.mark.parametrize("how", ["relu", "relu6", "reshaped", "transposed"])
def test_it_shows_in_a_graph(tf, tmp_path, how):
    found = finding_of(saved(tf, tmp_path, LOST[how]), FAMILY.id, "error")
    assert "neither of which is a constant" in found.message


@pytest.mark.parametrize("how", KEPT)
def test_a_graph_that_keeps_it_is_silent(tf, tmp_path, how):
    assert severe(diagnose(saved(tf, tmp_path, KEPT[how]), static=True).findings) == ()


def graph_of(*nodes, assigned=("f",)):
    """A model whose signature multiplies: nodes are (name, op, *inputs); ``r`` reads ``w``."""
    made = tuple(
        Node(name, op, tuple(inputs), tuple(inputs), attributes=dict(options))
        for name, op, options, *inputs in (*nodes, ("a", "AssignVariableOp", (), "handle", "x"))
    )
    functions = (Function("main graph", ()), Function("f", made))
    reads = (Access("ReadVariableOp", "r", "f", ("s",)),) if READ in nodes else ()
    assigns = tuple(Access("AssignVariableOp", "a", name, ("s",)) for name in assigned)
    variable = Variable("weight", "float32", (4, 3), reads, assigns, True)
    return Graph("m", "saved_model", functions, (variable,), (Signature("s", "f", (), ()),))


READ = ("r", "ReadVariableOp", (), "handle")
PRODUCT = ("m", "MatMul", (), "x", "r")
RELU = ("y", "Relu", (), "m")
TRANSPOSED = [("transpose_b", True)]


@pytest.mark.parametrize(
    ("nodes", "assigned", "variables"),
    [
        ([READ, PRODUCT, ("y", "Relu", (), "m")], ["f"], ("weight",)),
        ([READ, PRODUCT, ("y", "Relu", (), "m")], [], None),
        ([READ, ("m", "MatMul", TRANSPOSED, "x", "r"), ("y", "Relu", (), "m")], ["f"], None),
        ([READ, PRODUCT, ("y", "Tanh", (), "m")], ["f"], None),
        ([READ, PRODUCT, ("b", "BiasAdd", (), "m"), ("y", "Relu", (), "b")], ["f"], None),
        ([("r", "Mul", (), "c", "c"), ("c", "Const", ()), PRODUCT, RELU], ["f"], None),
        ([("s", "Shape", (), "x"), ("r", "Fill", (), "s"), PRODUCT, RELU], ["f"], None),
        ([("r", "Mul", (), "x", "x"), PRODUCT, RELU], ["f"], ()),
        ([READ, PRODUCT, ("i", "Reshape", (), "m"), ("y", "Relu6", (), "i")], ["f"], ("weight",)),
    ],
)
def test_a_factor_that_the_converter_knows_is_none(nodes, assigned, variables):
    found = [f for f in find(graph_of(*nodes, assigned=assigned)) if f.id == FAMILY.id]
    assert [f.variables for f in found] == ([] if variables is None else [variables])


@pytest.mark.parametrize("how", ["clip", "a bias of zeros", "einsum"])
def test_what_no_graph_shows_is_seen_where_the_file_parts(tf, tmp_path, how):
    path = saved(tf, tmp_path, LOST[how])
    assert severe(diagnose(path, static=True).findings) == ()
    found = diagnose(path)
    assert (found.verdict, found.other) == ("wrong-answers", ())
    assert severe(found.findings) == (FAMILY.id,)
    assert found.location.first["op"] == "BATCH_MATMUL"
    assert "which the file lacks" in found.location.line
    made = cure(found)
    assert (made.plan.id, made.proved) == ("keep-activations", True)
    runner = Interpreter(model_content=made.content).get_signature_runner()
    loaded = tf.saved_model.load(str(path)).signatures["serving_default"]
    given = {"x": np.full([2, 4], -1.5, np.float32), "z": np.eye(4, 3, dtype=np.float32)}
    wanted = loaded(**{name: tf.constant(value) for name, value in given.items()})["y"]
    np.testing.assert_allclose(runner(**given)["y"], wanted, atol=1e-6)


def test_a_keras_file_is_cured(tf, tmp_path, monkeypatch):
    import keras

    monkeypatch.chdir(tmp_path)
    x = keras.Input((4,), batch_size=2, name="x")
    z = keras.Input((3,), batch_size=4, name="z")
    keras.Model([x, z], keras.ops.relu(keras.ops.matmul(x, z))).save("two.keras")
    found = diagnose("two.keras")
    assert severe(found.findings) == (FAMILY.id,)
    assert cure(found).proved
    run(finding_in(found).fix)
    given = {"x": np.float32([[1, -1, 2, 0]] * 2), "z": np.float32([[1, -1, 0]] * 4)}
    runner = Interpreter("model.tflite").get_signature_runner()
    (got,) = runner(**given).values()
    np.testing.assert_allclose(got, np.maximum(given["x"] @ given["z"], 0))


def finding_in(diagnosis):
    return next(f for f in diagnosis.findings if f.id == FAMILY.id)


@pytest.mark.parametrize("quantization", [None, "dynamic range", "int8", "16x8"])
def test_a_kept_variable_is_cured_by_every_recipe(specimen_path, quantization):
    inputs = {"x": np.random.default_rng(0).normal(0, 1, [40, 1, 2]).astype(np.float32)}
    path = specimen_path("relu_of_a_product_that_changes")
    made = cure(path, quantization=quantization, inputs=inputs)
    assert made.proved, made.doubt
    assert "keep-activations" in made.plan.steps


def test_the_fix_that_explain_prints_works(tf):
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [
            tf.function(lambda x, z: tf.nn.relu(x @ z))
            .get_concrete_function(*[tf.TensorSpec(shape, tf.float32) for shape, _ in SPECS])
        ]
    )  # fmt: skip
    run(code_of(FAMILY.fix), converter=converter)
    ops = [
        op["op_name"] for op in Interpreter(model_content=converter.convert())._get_ops_details()
    ]
    assert "FULLY_CONNECTED" in ops


def test_another_difference_at_a_product_is_another_matter(tf, tmp_path):
    """A product with a wrong weight is no lost ReLU, and a ReLU lost by hand no converter's."""
    path = saved(tf, tmp_path, KEPT["tanh"])
    content, _, _ = converted(tf, lambda x, z: 2.0 * tf.tanh(x @ z))
    found = locate(path, content)
    assert found.first["lost_activation"] == ""


@pytest.mark.parametrize(
    "first", [{"op": "TANH", "lost_activation": "Relu"}, {"op": OP, "lost_activation": None}, {}]
)
def test_a_difference_elsewhere_is_none_of_it(first):
    assert _in_difference(None, first) is None
