"""A fix that is code is run here, on the model that it was made for: it has to work."""

import shlex
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import zoo

from varhandle import check_parity
from varhandle.cli import main
from varhandle.conversion.converter import convert
from varhandle.diagnosis import diagnose
from varhandle.families import code, other_resource, unsupported_variable_update
from varhandle.families.catalog import find
from varhandle.formats import read_graph
from varhandle.graph import Variable


def fix_of(path, family, severity=None):
    severities = (severity,) if severity else ("error", "warning", "info")
    found = (f for f in find(read_graph(path)) if f.severity in severities)
    (finding,) = (f for f in found if f.id == family)
    return finding.fix


def run(code, **names):
    exec(compile(code, "fix", "exec"), names)
    return names


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int16"])
def test_a_state_in_the_recommended_dtype_converts(tf, specimen_path, tmp_path, dtype):
    fix = fix_of(specimen_path(f"{dtype}_state"), "unsupported-variable-dtype")
    module = tf.Module()
    run(fix, self=module, new_value=tf.ones([4], dtype))
    assert module.total.numpy().tolist() == [1.0] * 4

    in_the_step = fix.replace("self.total = tf.Variable", "_ = lambda: tf.Variable")

    def step(x):
        names = run(in_the_step, self=module, new_value=tf.cast(x, dtype))
        return {"y": tf.cast(names["value"], tf.float32)}

    module.step = tf.function(step, input_signature=[zoo.spec(tf, 4)])
    path = zoo.save(tf, tmp_path, module, step=module.step)
    assert convert(path).content


def test_strings_become_numbers(tf, specimen_path):
    fix = fix_of(specimen_path("string_state"), "unsupported-variable-dtype")
    module = tf.Module()
    run(fix, self=module, index=[2], tf=tf)
    assert module.last.dtype == tf.int64
    assert module.last.numpy().tolist() == [2]


UPDATES = {
    "ResourceScatterAdd": "resource",
    "ResourceScatterSub": "resource",
    "ResourceScatterMul": "resource",
    "ResourceScatterDiv": "resource",
    "ResourceScatterMin": "resource",
    "ResourceScatterMax": "resource",
    "ResourceScatterUpdate": "resource",
    "ResourceScatterNdAdd": "ref",
    "ResourceScatterNdSub": "ref",
    "ResourceScatterNdMin": "ref",
    "ResourceScatterNdMax": "ref",
    "ResourceScatterNdUpdate": "ref",
}


@pytest.mark.parametrize("op", UPDATES)
def test_what_stands_in_for_an_update_does_the_same(tf, op):
    values = tf.constant([[1.0, 4.0], [-2.0, 8.0], [0.5, -3.0]])
    new_value, index = tf.constant([[3.0, -5.0]]), tf.constant([[1]])
    there, here = tf.Variable(values), SimpleNamespace(rows=tf.Variable(values))
    at = index if op.startswith("ResourceScatterNd") else index[:, 0]
    getattr(tf.raw_ops, op)(**{UPDATES[op]: there.handle, "indices": at, "updates": new_value})
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


def test_one_signature_is_converted_by_itself(tf, specimen_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = specimen_path("trainer_and_server")
    run(fix_of(path, "unsupported-variable-update"))
    assert list(read_graph("model.tflite").op_counts()) == ["FULLY_CONNECTED"]


def test_signatures_that_share_state_are_converted_together(specimen_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(fix_of(specimen_path("counter_of_two_signatures"), "shared-or-dynamic-state"))
    assert [s.name for s in read_graph("model.tflite").signatures] == ["peek", "step"]


def test_a_state_is_converted_as_it_is(specimen_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fix = fix_of(specimen_path("counter"), "not-immutable")
    assert fix.startswith("# TensorFlow 2.9 and later")
    run(fix)
    assert read_graph("model.tflite").variable("counter").initialized


def test_a_keras_model_is_exported_again(tf, specimen_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    export, rest = fix_of(specimen_path("keras_in_a_module"), "keras3-export").split("# Or, ")
    model = zoo.dense_model()
    run(export, model=model)
    assert diagnose("exported", static=True).findings == ()
    module = tf.Module()
    module.model = model
    module.infer = tf.function(lambda x: {"y": model(x)}, input_signature=[zoo.spec(tf, 1, 4)])
    run("# " + rest, module=module, model=model, signature=module.infer)
    found = diagnose("exported")
    assert found.verdict == "convertible"
    assert found.findings == ()
    assert found.proof.passed


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


def test_a_state_of_the_older_kind_is_reset(specimen_path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(specimen_path("delay_line_tflite")))
    interpreter.allocate_tensors()

    def answer(value):
        (given,), (got,) = interpreter.get_input_details(), interpreter.get_output_details()
        interpreter.set_tensor(given["index"], np.full([1, 1], value, "float32"))
        interpreter.invoke()
        return interpreter.get_tensor(got["index"]).item()

    assert [answer(1.0), answer(2.0)] == [1.0, 3.0]
    run(
        fix_of(specimen_path("delay_line_tflite"), "shared-or-dynamic-state"),
        interpreter=interpreter,
    )
    assert [answer(1.0), answer(2.0)] == [1.0, 3.0]


def test_a_table_that_changes_is_read_before_it_is_looked_up(tf, specimen_path):
    fix = fix_of(specimen_path("gathers_from_a_table_that_changes"), "gather-from-frozen-table")
    owner = SimpleNamespace(table=tf.Variable([[1.0], [2.0], [3.0]]))
    assert run(fix, self=owner, index=[[2]])["rows"].numpy().tolist() == [[3.0]]


def test_rows_are_added_to_a_variable_of_fixed_length(tf, specimen_path, tmp_path):
    fix = fix_of(specimen_path("growing"), "shared-or-dynamic-state")
    making, adding = fix.split("# where a row is added:\n")
    module = tf.Module()
    names = run(making, self=module)

    def step(x):
        run(adding, tf=tf, self=module, longest=names["longest"], new_value=x)
        return {"sum": tf.reduce_sum(module.rows, 0)}

    module.step = tf.function(step, input_signature=[zoo.spec(tf, 1, 3)])
    module.step(tf.ones([1, 3]))
    assert module.step(tf.ones([1, 3]))["sum"].numpy().tolist() == [2.0] * 3
    path = zoo.save(tf, tmp_path, module, serving_default=module.step)
    assert diagnose(path).verdict == "convertible"


def test_a_variable_is_owned_by_what_is_saved(tf, specimen_path):
    module = tf.Module()
    run(fix_of(specimen_path("never_initialized"), "uninitialised-variable"), self=module)
    assert [v.name for v in module.variables] == ["lost:0"]
    assert module.lost.shape == [4]


def test_a_table_of_numbers_is_two_constants(tf):
    keys, values = tf.constant([3, 5, 9]), tf.constant([1.0, 2.0, 3.0])
    names = {"keys": keys, "values": values, "default": -1.0}
    for x, wanted in ((5, 2.0), (6, -1.0), ([[5], [9], [4]], [[2.0], [3.0], [-1.0]])):
        found = run(other_resource.TABLE_AS_TENSORS, x=tf.constant(x), **names)["found"]
        assert found.numpy().tolist() == wanted


# Graphs that are not frozen, or badly.


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
    run(fix.replace('"model.ckpt"', repr(str(path.parent / "model.ckpt"))))
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


def test_a_graph_with_reads_in_functions_is_saved_where_its_session_is(
    tf, specimen_path, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    fix = fix_of(specimen_path("unfrozen_read_in_a_function"), "freezer-lost-variable")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        zoo.read_in_a_function(tf)  # the program that wrote the graph
        session.run(tf.compat.v1.global_variables_initializer())
        run(fix, session=session)
    assert diagnose("saved").verdict == "convertible"
    assert not read_graph("model.tflite").variables


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


def test_a_read_of_a_constant_becomes_an_identity(tf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    graph_def = zoo.broken_freeze(tf, {"op": "ReadVariableOp", "name": "value"})
    graph_def.node[-1].input.append("table")
    graph_def.node[-1].attr["dtype"].type = tf.float32.as_datatype_enum
    path = zoo.write_graph(tmp_path, graph_def)
    assert diagnose(path, static=True).verdict == "blocked"
    run(fix_of(path, "freezer-lost-variable"))
    assert diagnose("mended.pb", static=True).verdict == "convertible"


# Commands.


def test_a_command_in_a_fix_is_one(specimen_path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(fix_of(specimen_path("counter_tflite"), "runtime-too-old"))
    assert program == "varhandle"
    assert main(arguments) == 0
    assert not read_graph("stateless.tflite").variables
    assert "counter" in capsys.readouterr().out


@pytest.mark.parametrize("path", ["a b.tflite", "it's.tflite", "$(touch x).tflite"])
def test_a_path_is_quoted_for_the_shell(path):
    assert shlex.split(code.lift(path, None))[2] == path


def test_another_graph_gives_the_shell_no_control_characters():
    assert "\n" not in code.lift("a\nb.tflite", None)
    assert code.lift("a\nb.tflite", None).startswith("varhandle lift $'a\\nb.tflite'")
