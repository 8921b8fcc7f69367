"""A variable that is updated by an op without a builtin: a slice or a scatter assignment."""

from types import SimpleNamespace

import numpy as np
import pytest
import zoo
from family_checks import case_test, code_of, fix_of, log_test, run, severe

from varhandle import check_parity
from varhandle.conversion.converter import convert
from varhandle.evaluate.session import Session
from varhandle.facts.variable_updates import CONVERTED_UPDATES
from varhandle.families import unsupported_variable_dtype, unsupported_variable_update
from varhandle.families.catalog import family, find
from varhandle.formats import read_graph
from varhandle.graph import Variable

FAMILY = family("unsupported-variable-update")

test_a_case_does_what_it_is_for = case_test(
    FAMILY,
    {
        "slice-assign": "convert: ConverterError: tf.ResourceStridedSliceAssign",
        "scatter-update": "convert: ConverterError: tf.ResourceScatter",
    },
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "RuntimeError: Encountered unresolved custom op: ResourceScatterNdUpdate.",
        "TF Select ops: ResourceScatterNdUpdate, VarHandleOp",
    ],
)


@pytest.mark.parametrize(
    ("fix", "expected"),
    [
        (
            unsupported_variable_update.fix_for_update("ResourceStridedSliceAssign"),
            [9.0, 9.0, 3.0, 4.0],
        ),
        (
            unsupported_variable_update.fix_for_update("ResourceScatterNdUpdate"),
            [1.0, 7.0, 3.0, 4.0],
        ),
        (unsupported_variable_update.fix_for_update("ResourceApplyAdam"), [0.5, 1.5, 2.5, 3.5]),
        (unsupported_variable_dtype.fix_for_dtype("model/seen"), [9.0, 9.0, 9.0, 9.0]),
    ],
)
def test_an_update_is_computed_and_assigned(tf, fix, expected):
    given = {
        "tf": tf,
        "x": tf.constant([9.0] * 4),
        "indices": [[1]],
        "updates": [7.0],
        "rate": 0.5,
        "gradient": tf.ones([4]),
    }
    owner = tf.Module()
    owner.seen = tf.Variable([1.0, 2.0, 3.0, 4.0])
    run(code_of(fix), self=owner, **given)
    assert owner.seen.numpy().tolist() == expected


SCATTERED = ("Add", "Sub", "Min", "Max", "Update", "Mul", "Div")
UPDATES = [f"ResourceScatter{how}" for how in SCATTERED]
UPDATES += [f"ResourceScatterNd{how}" for how in SCATTERED[:5]]


@pytest.mark.parametrize("op", UPDATES)
def test_what_stands_in_for_an_update_does_the_same(tf, op):
    values = tf.constant([[1.0, 4.0], [-2.0, 8.0], [0.5, -3.0]])
    new_value, index = tf.constant([[3.0, -5.0]]), tf.constant([[1]])
    there, here = tf.Variable(values), SimpleNamespace(rows=tf.Variable(values))
    nested = op.startswith("ResourceScatterNd")
    handle = {"ref" if nested else "resource": there.handle}
    at = index if nested else index[:, 0]
    getattr(tf.raw_ops, op)(**handle, indices=at, updates=new_value)
    code = unsupported_variable_update.assign_whole_value(
        [Variable("rows", "float32", (3, 2))], {"rows": [op]}
    )
    run(code, self=here, index=index, new_value=new_value)
    np.testing.assert_allclose(here.rows.numpy(), there.numpy())


def test_a_slice_and_a_step_of_an_optimizer(tf):
    here = SimpleNamespace(v=tf.Variable([1.0, 2.0, 3.0]))
    variable = Variable("v", "float32", (3,))
    for op in ("ResourceStridedSliceAssign", "ResourceApplyAdadelta"):
        code = unsupported_variable_update.assign_whole_value([variable], {"v": [op]})
        run(code, self=here, index=[[1]], new_value=[9.0], rate=0.5, gradient=tf.ones([3]))
    assert here.v.numpy().tolist() == [0.5, 8.5, 2.5]


def test_a_count_up_to_a_limit(tf):
    there, here = tf.Variable(3), SimpleNamespace(n=tf.Variable(3))
    tf.raw_ops.ResourceCountUpTo(resource=there.handle, limit=9, T=tf.int32)
    variable = Variable("n", "int32", ())
    run(
        unsupported_variable_update.assign_whole_value([variable], {"n": ["ResourceCountUpTo"]}),
        self=here,
    )
    assert here.n.numpy() == there.numpy() == 4


def test_the_slice_assign_of_the_zoo_converts_with_its_fix(tf, specimen_path, tmp_path):
    fix = fix_of(specimen_path("slice_assign"), "unsupported-variable-update")
    module = tf.Module()
    module.ring = tf.Variable(np.zeros(4, "float32"), name="ring")

    def step(x):
        run(fix, self=module, index=[[0]], new_value=tf.reduce_sum(x)[None])
        return {"y": module.ring.read_value()}

    module.step = tf.function(step, input_signature=[zoo.spec(tf, 4)])
    path = zoo.save(tf, tmp_path, module, serving_default=module.step)
    fresh = tf.saved_model.load(str(path)).signatures["serving_default"]
    calls = [{"x": np.full(4, i, "float32")} for i in range(3)]
    assert check_parity(fresh, convert(path).content, calls).passed


@pytest.mark.parametrize("update", ["assign", "assign_add", "scatter_update"])
def test_a_reference_variable_becomes_a_resource(tf, tmp_path, update):
    """The author's program, first as it is, and then with what is printed at its beginning."""
    v1 = tf.compat.v1

    def program(folder):
        def step(v1, x):
            total = v1.get_variable("bn/moving_mean", [4], initializer=v1.zeros_initializer())
            more = ([1], [2.0]) if update == "scatter_update" else (x,)
            with tf.control_dependencies([getattr(v1, update)(total, *more)]):
                return x + v1.get_variable("w", [4], initializer=v1.ones_initializer())

        folder.mkdir()
        return zoo.save_tf1(tf, folder, [4], step)

    before = v1.resource_variables_enabled()
    try:
        v1.disable_resource_variables()
        path = program(tmp_path / "reference")
        fix = fix_of(path, "unsupported-variable-update")
        assert "bn/moving_mean" in fix
        assert severe(find(read_graph(path))) == ("unsupported-variable-update",)
        run(fix)
        path = program(tmp_path / "resource")
    finally:
        (v1.enable_resource_variables if before else v1.disable_resource_variables)()
    assert severe(find(read_graph(path))) == ()
    (answer,) = Session(convert(path).content)(np.ones(4, "float32")).values()
    assert answer.tolist() == [2.0] * 4


@pytest.mark.parametrize("is_output", [True, False])
def test_an_assignment_that_is_an_output_is_read(tf, tmp_path, is_output):
    v1 = tf.compat.v1

    def program(folder, read):
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [4], name="x")
            total = v1.get_variable("total", [4], initializer=v1.zeros_initializer())
            added = read(v1.assign_add(total, x))
            session.run(v1.global_variables_initializer())
            outputs = {"y": added if is_output else added * 1.0}
            v1.saved_model.simple_save(session, str(folder), {"x": x}, outputs)
        return folder

    before = v1.resource_variables_enabled()
    try:
        v1.disable_resource_variables()
        path = program(tmp_path / "reference", lambda value: value)
        fix = fix_of(path, "unsupported-variable-update")
        told = "with tf.identity around each assignment that is an output" in fix
        assert told == is_output
        run(fix)
        path = program(tmp_path / "resource", tf.identity if told else lambda value: value)
    finally:
        (v1.enable_resource_variables if before else v1.disable_resource_variables)()
    session = Session(convert(path).content)
    for times in (1.0, 2.0):
        (answer,) = session(np.ones(4, "float32")).values()
        assert answer.tolist() == [times] * 4


def test_one_signature_is_converted_by_itself(tf, specimen_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = specimen_path("trainer_and_server")
    run(fix_of(path, "unsupported-variable-update"))
    assert list(read_graph("model.tflite").op_counts()) == ["FULLY_CONNECTED"]


def test_the_updates_that_are_called_convertible_convert(tf, tmp_path):
    raw = tf.raw_ops
    module = tf.Module()
    for name in "vabc":
        setattr(module, name, tf.Variable(tf.ones([4, 2]), name=name))
    v, a, b, c = (getattr(module, name).handle for name in "vabc")
    rates = {"lr": 0.1, "momentum": 0.9}
    root = {"lr": 0.1, "rho": 0.9, "momentum": 0.9, "epsilon": 1e-7}
    betas = {"beta1_power": 0.9, "beta2_power": 0.9, "beta1": 0.9, "beta2": 0.9, "epsilon": 1e-7}

    def step(x):
        some = {"resource": v, "indices": [1], "updates": x[:1]}
        raw.ResourceApplyAdagrad(var=v, accum=a, lr=0.1, grad=x)
        raw.ResourceApplyAdagradV2(var=v, accum=a, lr=0.1, epsilon=1e-7, grad=x)
        raw.ResourceApplyAdam(var=v, m=a, v=b, lr=0.1, grad=x, **betas)
        raw.ResourceApplyCenteredRMSProp(var=v, mg=a, ms=b, mom=c, grad=x, **root)
        raw.ResourceApplyGradientDescent(var=v, alpha=0.1, delta=x)
        raw.ResourceApplyKerasMomentum(var=v, accum=a, grad=x, **rates)
        raw.ResourceApplyMomentum(var=v, accum=a, grad=x, **rates)
        raw.ResourceApplyRMSProp(var=v, ms=a, mom=b, grad=x, **root)
        raw.ResourceScatterAdd(**some)
        raw.ResourceScatterUpdate(**some)
        raw.AssignVariableOp(resource=v, value=x)
        raw.AssignAddVariableOp(resource=v, value=x)
        raw.AssignSubVariableOp(resource=v, value=x)
        return {"y": module.v.read_value()}

    module.step = tf.function(step, input_signature=[zoo.spec(tf, 4, 2)])
    path = zoo.save(tf, tmp_path, module, serving_default=module.step)
    graph = read_graph(path)
    assigns = {access.op for variable in graph.variables for access in variable.assigns}
    assert assigns == CONVERTED_UPDATES
    assert severe(find(graph)) == ()
    assert convert(path).content


@pytest.mark.parametrize("op", ["Sub", "Mul", "Max", "NdAdd"])
def test_the_updates_that_are_called_unsupported_stop_the_converter(tf, tmp_path, op):
    def step(module, x):
        first = "ref" if op.startswith("Nd") else "resource"
        at = [[1]] if op.startswith("Nd") else [1]
        scatter = getattr(tf.raw_ops, f"ResourceScatter{op}")
        scatter(**{first: module.v.handle, "indices": at, "updates": x[:1]})
        return {"y": module.v.read_value()}

    path = zoo.save_step(tf, tmp_path, {"v": tf.Variable(tf.ones([4]), name="v")}, step)
    assert severe(find(read_graph(path)), "error") == ("unsupported-variable-update",)
    assert f"tf.ResourceScatter{op}" in convert(path).record.failing_ops


def test_a_variable_that_nobody_named_is_called_by_its_place(tf, tmp_path):
    """TensorFlow calls it Variable_1, and the model's object has no attribute of that name."""
    module = tf.Module()
    module.ring, module.deep = tf.Variable(tf.zeros([6])), tf.Module()
    module.deep.rows = [tf.Variable(tf.zeros([3])), tf.Variable(tf.zeros([6]))]
    ring, row = module.ring, module.deep.rows[1]

    def step(i):
        ring[i].assign(1.0)
        row.scatter_nd_add([[i]], [2.0])
        return {"y": ring + row}

    module.step = tf.function(step, input_signature=[tf.TensorSpec([], tf.int32)])
    path = zoo.save(tf, tmp_path, module, serving_default=module.step)
    run(fix_of(path, FAMILY.id), self=module, index=[[2]], new_value=[5.0])
    assert ring.numpy().tolist() == row.numpy().tolist() == [0, 0, 5, 0, 0, 0]
