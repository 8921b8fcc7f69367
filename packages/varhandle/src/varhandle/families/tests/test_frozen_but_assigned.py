"""A variable that became a constant, while the graph still assigns it."""

import shutil
from functools import partial

import numpy as np
import pytest
import zoo
from family_checks import case_test, code_of, fix_of, ids, log_test, run, severe

from varhandle import check_parity, explain
from varhandle.diagnosis import diagnose
from varhandle.evaluate.session import Session
from varhandle.families.catalog import family, find
from varhandle.formats import read_graph
from varhandle.repair.refusal import NoCureError
from varhandle.repair.run import cure

FAMILY = family("frozen-but-assigned")

test_a_case_does_what_it_is_for = case_test(
    FAMILY,
    {
        "concrete-function-alone": "convert: ValueError: incompatible with expected resource",
        "batch-norm-training": "convert: ValueError: incompatible with expected resource",
    },
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "Unsupported Ops in the model after optimization\nAssignVariableOp",
        "graph_def is invalid at node u'bn/AssignMovingAvg/Switch': Input tensor 'bn/mean:0' Cannot"
        " convert a tensor of type float32 to an input of type float32_ref.",
    ],
)


@pytest.mark.parametrize(
    ("node", "word"),
    [
        ("save/Assign_3", "saver"),
        ("import/save_1/restore_all/AssignVariableOp", "saver"),
        ("my_save/AssignVariableOp", "owns the variable"),
        ("m/prune_low_magnitude_dense/AssignVariableOp", "strip_pruning"),
        ("m/bn/AssignNewValue_1", "training=False"),
        ("m/counter/AssignAddVariableOp", "owns the variable"),
    ],
)
def test_the_fix_of_a_log_is_for_what_assigns(node, word):
    line = (
        f"Input 0 of node {node} was passed float from m/w:0 incompatible with expected resource."
    )
    (match,) = explain(line).matches
    assert match.id == FAMILY.id
    assert word in f"{match.message} {match.fix}"
    (old,) = explain(f"tensorflow==2.2.0\n{line}").matches
    # What no release needs an assignment for is mended on an old release as on today's.
    assert ("Bound to" in old.fix) == (word not in ("saver", "strip_pruning"))


def test_the_fix_for_a_batch_norm_in_training_runs(tf, tmp_path):
    model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.BatchNormalization()])
    line = "Input 0 of node bn/AssignNewValue was passed float from x:0 incompatible with expected"
    (match,) = explain(f"{line} resource.").matches
    names = run(code_of(match.fix), tf=tf, model=model, folder=str(tmp_path))
    saved = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    (name,) = saved.structured_input_signature[1]
    calls = [{name: np.full((1, 4), i, "float32")} for i in range(3)]
    assert check_parity(saved, names["converter"].convert(), calls).passed


def test_a_model_in_training_is_saved_for_inference(tf, specimen_path, tmp_path, monkeypatch):
    import keras

    monkeypatch.chdir(tmp_path)
    fix = fix_of(specimen_path("batch_norm_in_training"), "frozen-but-assigned", "warning")
    export, module = fix.split("# Or, ")
    norm = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((4,), batch_size=2), norm])
    for part in (export, "# " + module):
        run(part, model=model, spec=zoo.spec(tf, 2, 4))
        found = diagnose("inference")
        assert (found.verdict, found.findings) == ("convertible", ())
        assert found.proof.passed
        shutil.rmtree("inference")


def learning(tf, step, **variables):
    """A module whose one call does ``step``, and whose variables have names that say nothing."""
    module = tf.Module()
    for number, (name, value) in enumerate(variables.items()):
        setattr(module, name, tf.Variable(value, name=f"v{number}"))
    module.step = tf.function(
        lambda x: {"y": step(module, x)}, input_signature=[zoo.spec(tf, 2, 4)]
    )
    return module


def fused(tf, module, x):
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x[None, None], scale=module.scale, offset=module.mean, mean=[], variance=[]
    )
    module.mean.assign_sub((module.mean - mean) * 0.1)
    module.scale.assign_sub((module.scale - variance) * 0.1)
    return y[0, 0]


def moments(tf, module, x):
    mean, variance = tf.nn.moments(x, [0])
    module.mean.assign(0.9 * module.mean + 0.1 * mean)
    module.scale.assign(0.9 * module.scale + 0.1 * variance)
    return (x - mean) * tf.math.rsqrt(variance + 1e-3)


def mean_alone(tf, module, x):
    module.mean.assign(0.9 * module.mean + 0.1 * tf.reduce_mean(x, 0))
    return x - module.mean + module.scale


def layer_norm(tf, module, x):
    mean, variance = tf.nn.moments(x, [1], keepdims=True)
    module.mean.assign_add(x[0])
    return (x - mean) * tf.math.rsqrt(variance + 1e-3) * module.scale


def pruned(tf, module, x):
    module.scale.assign(module.scale * module.mean)
    return x * module.scale


def decays(tf, module, x):
    module.scale.assign(module.scale * 0.5)
    return x * module.scale * module.mean


@pytest.mark.parametrize(
    ("step", "seen"),
    [
        (fused, "BatchNormalization"),
        (moments, "BatchNormalization"),
        (mean_alone, ""),
        (layer_norm, ""),
        (pruned, "wrappers of pruning"),
        (decays, ""),
    ],
)
def test_training_is_seen_by_its_ops_whatever_the_variables_are_called(tf, tmp_path, step, seen):
    variables = {"mean": np.zeros(4, "float32"), "scale": np.ones(4, "float32")}
    module = learning(tf, partial(step, tf), **variables)
    path = zoo.save(tf, tmp_path, module, serving_default=module.step)
    told = [f for f in find(read_graph(path)) if f.severity != "info"]
    assert [f.id for f in told] == ["frozen-but-assigned"] * bool(seen)
    assert all(seen in f.message for f in told)


def test_a_name_shows_nothing(tf, tmp_path):
    """A variable may be called as BatchNormalization's and a seed's are, and be neither."""
    module = tf.Module()
    module.a = tf.Variable(np.zeros(4, "float32"), name="bn/moving_mean")
    module.b = tf.Variable(np.zeros(2, "int64"), name="seed_generator_state")

    def step(x):
        module.b.assign_add([1, 1])
        return {"y": module.a.assign_add(x)}

    module.step = tf.function(step, input_signature=[zoo.spec(tf, 4)])
    path = zoo.save(tf, tmp_path, module, serving_default=module.step)
    assert severe(find(read_graph(path))) == ()


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("gather_from_a_constant", "gather-from-frozen-table"),
        ("assign_to_a_constant", "frozen-but-assigned"),
    ],
)
def test_a_badly_frozen_graph_is_mended(specimen_path, tmp_path, monkeypatch, name, family):
    monkeypatch.chdir(tmp_path)
    run(fix_of(specimen_path(name), family))
    found = diagnose("mended.pb")
    assert found.findings == ()
    assert found.verdict == "convertible"
    assert found.proof.passed


def test_a_node_that_assigns_in_a_layer_called_embedding():
    line = (
        "Input 0 of node model/embedding_bn/AssignNewValue was passed float from Func/input/_2:0"
        " incompatible with expected resource."
    )
    assert ids(line) == ["frozen-but-assigned"]
    assert ids(line.replace("AssignNewValue", "GatherV2")) == ["gather-from-frozen-table"]


def test_a_dtype_that_will_be_refused_next_is_told():
    line = (
        "Input 0 of node AssignVariableOp was passed half from total:0 incompatible with expected"
        " resource."
    )
    (match,) = explain(line).matches
    assert "float16" in match.message
    assert "float16" not in explain(line.replace("half", "float")).matches[0].message


@pytest.mark.parametrize("use_resource", [False, True])
@pytest.mark.parametrize("alone", [False, True])
def test_a_savers_node_as_an_output(tf, tmp_path, monkeypatch, use_resource, alone):
    monkeypatch.chdir(tmp_path)
    v1, given = tf.compat.v1, np.ones([1, 4], "float32")
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder("float32", [1, 4], name="x")
        weight = v1.get_variable("w", initializer=[[2.0]] * 4, use_resource=use_resource)
        y = tf.identity(x @ weight, name="y")
        v1.train.Saver()
        session.run(v1.global_variables_initializer())
        told = session.run(y, {x: given})
        outputs = {"saved": graph.get_tensor_by_name("save/control_dependency:0")}
        outputs |= {} if alone else {"y": y}
        v1.saved_model.simple_save(session, "model", {"x": x}, outputs)
    with pytest.raises(NoCureError, match="a saver's node was named as an output") as caught:
        cure("model", trust=True)
    assert "answers with save/control_dependency, which saves or rest" in caught.value.reason
    assert caught.value.change == fix_of("model", "frozen-but-assigned", "error")
    run(caught.value.change)
    made = cure("saved")
    assert made.verdict == "ready"
    (got,) = Session(made.content)({"x": given}).values()
    np.testing.assert_allclose(got, told)
