"""State without a fixed shape, or not shared or reset as it was thought to be."""

import numpy as np
import pytest
import zoo
from family_checks import case_test, fix_of, log_test, run

from varhandle.diagnosis import diagnose
from varhandle.families.base import inference_signature
from varhandle.families.catalog import family, find
from varhandle.formats import read_graph
from varhandle.graph import Function, Graph, Node
from varhandle.repair.plan import plan_repair

FAMILY = family("shared-or-dynamic-state")

test_a_case_does_what_it_is_for = case_test(
    FAMILY, {"growing-variable": "wrong", "two-signatures": "works", "lstm": "works"}
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "error: Failed to duplicate values for the stateful op",
    ],
)


def test_signatures_that_share_state_are_converted_together(specimen_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(fix_of(specimen_path("counter_of_two_signatures"), "shared-or-dynamic-state"))
    assert [s.name for s in read_graph("model.tflite").signatures] == ["peek", "step"]


def test_what_saves_and_restores_stays_out_of_the_file(tf, tmp_path, monkeypatch):
    """The four signatures of a model that is trained on the device."""
    monkeypatch.chdir(tmp_path)
    module, path = tf.Module(), zoo.spec(tf, dtype="string", name="checkpoint_path")
    module.w = tf.Variable(np.ones([4, 1], "float32"), name="w")

    def train(x):
        module.w.assign_sub(0.1 * tf.transpose(x))
        return {"loss": tf.reduce_sum(module.w)}

    def save(checkpoint_path):
        tf.raw_ops.Save(filename=checkpoint_path, tensor_names=["w"], data=[module.w.read_value()])
        return {"saved": checkpoint_path}

    def restore(checkpoint_path):
        value = tf.raw_ops.Restore(file_pattern=checkpoint_path, tensor_name="w", dt=tf.float32)
        return {"restored": module.w.assign(tf.reshape(value, [4, 1]))}

    specs = {"infer": zoo.spec(tf, 1, 4), "train": zoo.spec(tf, 1, 4), "a": path, "restore": path}
    steps = {"infer": lambda x: {"y": x @ module.w}, "train": train, "a": save, "restore": restore}
    made = {n: tf.function(s, input_signature=[specs[n]]) for n, s in steps.items()}
    module.functions = list(made.values())
    model = zoo.save(tf, tmp_path, module, **made)
    graph = read_graph(model)
    assert inference_signature(graph) == "infer"  # and not the one that saves, a
    (found,) = (f for f in find(graph) if f.id == "shared-or-dynamic-state")
    assert "a, restore cannot be in that file" in found.message
    run(found.fix)
    assert [s.name for s in read_graph("model.tflite").signatures] == ["infer", "train"]
    plan = plan_repair(diagnose(model, static=True))
    assert (plan.signatures, plan.left_out) == (("infer", "train"), ("a", "restore"))


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


@pytest.mark.parametrize(
    ("op", "attributes", "seen"),
    [
        ("SVDF", {}, True),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", {}, True),
        ("LSTM", {"kernel_type": 0}, True),
        ("LSTM", {"kernel_type": 1}, False),  # BASIC: its state comes in and goes out
        ("FULLY_CONNECTED", {}, False),
    ],
)
def test_a_state_of_the_older_kind_is_seen_by_its_op(op, attributes, seen):
    main = Function("main", (Node(f"{op}#0", op, attributes=attributes),))
    found = find(Graph("m.tflite", "tflite", (main,)))
    assert [f.id for f in found] == ["shared-or-dynamic-state"] * seen
    assert any("not stateful" in f.message for f in found) == ("SEQUENCE" in op)
