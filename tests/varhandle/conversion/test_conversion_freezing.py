"""Freezing, held against TensorFlow's own graph and answers."""

import numpy as np
import pytest

from varhandle.conversion.freezing import FrozenButAssignedError, freeze


@pytest.fixture(scope="module")
def scale(tf):
    weight = tf.Variable([[1.0, 2.0], [3.0, 4.0]], name="weight")

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)])
    def apply(x):
        return x @ weight

    return apply, weight


def test_no_variable_is_left(scale):
    apply, _ = scale
    frozen = freeze(apply.get_concrete_function())
    ops = {node.op for node in frozen.function.graph.as_graph_def().node}  # TensorFlow's answer
    assert not ops & {"VarHandleOp", "ReadVariableOp"}
    assert (frozen.variables, frozen.captured) == (1, 0)
    assert frozen.before["ReadVariableOp"] == 1
    assert frozen.after["ReadVariableOp"] == 0
    assert frozen.after["Const"] > frozen.before["Const"]


def test_answers_as_before_and_no_longer_follows_the_variable(tf, scale):
    apply, weight = scale
    function = apply.get_concrete_function()
    x = np.array([[1.0, -1.0]], np.float32)
    before = apply(x).numpy()
    frozen = freeze(function).function
    np.testing.assert_array_equal(np.asarray(frozen(tf.constant(x))[0]), before)
    kept = weight.numpy()
    weight.assign(weight * 10.0)
    try:
        np.testing.assert_array_equal(np.asarray(frozen(tf.constant(x))[0]), before)
    finally:
        weight.assign(kept)


def test_a_signature_of_a_loaded_saved_model_freezes(tf, tmp_path):
    class Scale(tf.Module):
        def __init__(self):
            self.weight = tf.Variable(2.0)

        @tf.function(input_signature=[tf.TensorSpec([3], tf.float32)])
        def __call__(self, x):
            return {"y": self.weight * x}

    tf.saved_model.save(Scale(), str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    frozen = freeze(loaded.signatures["serving_default"])
    assert frozen.variables == 1
    answer = frozen.function(tf.constant([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(np.ravel(tf.nest.flatten(answer)[0]), [2.0, 4.0, 6.0])


@pytest.mark.parametrize("op", ["AssignVariableOp", "AssignAddVariableOp"])
def test_an_assigned_variable_is_refused_by_name(tf, op):
    total = tf.Variable(0.0, name="total")

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
    def add(x):
        if op == "AssignAddVariableOp":
            return total.assign_add(x)
        return total.assign(x)

    with pytest.raises(FrozenButAssignedError) as caught:
        freeze(add.get_concrete_function())
    assert [found for _, found in caught.value.nodes] == [op]
    assert caught.value.nodes[0][0] in str(caught.value)
    assert "incompatible with expected resource" in str(caught.value.__cause__)


def test_batch_normalization_freezes_in_inference_and_not_in_training(tf):
    layer = tf.keras.layers.BatchNormalization()
    layer.build([None, 4])
    for training in (False, True):
        function = tf.function(lambda x, training=training: layer(x, training=training))
        concrete = function.get_concrete_function(tf.TensorSpec([8, 4]))
        if training:
            with pytest.raises(FrozenButAssignedError):
                freeze(concrete)
        else:
            assert freeze(concrete).captured == 0


def test_a_function_without_variables_stays_as_it_is(tf):
    function = tf.function(lambda x: x + 1.0).get_concrete_function(tf.TensorSpec([2]))
    frozen = freeze(function)
    assert (frozen.variables, frozen.captured) == (0, 0)


def test_an_assignment_in_a_called_function_is_named_too(tf):
    total = tf.Variable(tf.zeros([3]), name="total")

    @tf.function(input_signature=[tf.TensorSpec([1], tf.float32)])
    def scatter(x):
        total.scatter_add(tf.IndexedSlices(x, tf.constant([1])))
        return total + 0.0

    @tf.function(input_signature=[tf.TensorSpec([1], tf.float32)], autograph=False)
    def call(x):
        return tf.cond(x[0] > 0, lambda: scatter(x), lambda: total + 1.0)

    for function in (scatter, call):
        with pytest.raises(FrozenButAssignedError) as caught:
            freeze(function.get_concrete_function())
        assert {op for _, op in caught.value.nodes} == {"ResourceScatterAdd"}


def test_only_assignments_of_the_variables_that_are_asked_for_are_named(tf):
    frozen, kept = (tf.Variable(tf.zeros([3]), name=name) for name in ("frozen", "kept"))

    @tf.function(input_signature=[tf.TensorSpec([3])])
    def step(x):
        kept.assign_add(x)
        frozen.assign(x)
        return frozen + kept

    with pytest.raises(FrozenButAssignedError) as caught:
        freeze(step.get_concrete_function(), only=["frozen"])
    assert {op for _, op in caught.value.nodes} == {"AssignVariableOp"}


def test_a_handle_that_is_asked_whether_it_is_set_is_tensorflows_own_error(tf):
    total = tf.Variable(tf.zeros([3]))

    @tf.function(input_signature=[])
    def is_set():
        return total + 1.0, tf.raw_ops.VarIsInitializedOp(resource=total.handle)

    with pytest.raises(ValueError, match="incompatible with expected resource") as caught:
        freeze(is_set.get_concrete_function())
    assert not isinstance(caught.value, FrozenButAssignedError)


def test_a_table_is_left_and_counted(tf):
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant([1, 2]), tf.constant([3, 4])), -1
    )
    weight = tf.Variable(2)

    @tf.function(input_signature=[tf.TensorSpec([2], tf.int32)])
    def look_up(x):
        return table.lookup(x) * weight

    frozen = freeze(look_up.get_concrete_function())
    assert (frozen.variables, frozen.captured) == (1, 1)


def test_the_error_survives_its_way_out_of_a_child():
    import pickle

    error = pickle.loads(pickle.dumps(FrozenButAssignedError((("a", "AssignVariableOp"),))))
    assert error.nodes == (("a", "AssignVariableOp"),)
    assert str(error).startswith("cannot freeze")
