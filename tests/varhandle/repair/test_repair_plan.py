"""The choice of a plan: from findings, target and recipe alone, without TensorFlow."""

import ast
from dataclasses import replace

import pytest
import zoo
from family_checks import counter

from varhandle.diagnosis import diagnose
from varhandle.repair.plan import plan_repair
from varhandle.repair.refusal import NoCureError
from varhandle.repair.steps import STEPS


@pytest.fixture
def read(specimen_path):
    """Read a specimen without a proof."""
    return lambda name: diagnose(specimen_path(name), static=True)


def test_a_warning_leaves_out_other_signatures_only_where_there_are_some(read):
    found = read("trainer_and_server")
    assert plan_repair(found, signature="serving_default").steps == ("signature", "convert")
    (serve,) = [one for one in found.graph.signatures if one.name == "serving_default"]
    alone = replace(found, graph=replace(found.graph, signatures=(serve,)))
    assert plan_repair(alone, signature="serving_default").steps == ("convert",)


@pytest.mark.parametrize(
    ("name", "target", "recipe", "expected"),
    [
        ("module_that_reads", "litert", None, "convert: convert"),
        ("module_that_reads", "micro", "int8", "convert: convert quantize"),
        ("counter", "litert", None, "convert: convert"),
        ("counter", "micro", None, "convert: convert"),
        ("counter", "builtin-only", None, "lift-state: convert lift"),
        ("counter", "tflite-2.5", None, "lift-state: convert lift"),
        ("counter", "tflite-2.6", None, "convert: convert"),
        ("counter", "litert", "int8", "lift-state: convert lift quantize"),
        ("counter", "litert", "float16", "convert: convert quantize"),
        ("trainer_and_server", "litert", None, "take-signature: signature convert"),
        ("float16_state", "litert", None, "recast-state: widen-dtype convert"),
        ("float16_state", "builtin-only", None, "recast-state: widen-dtype convert lift"),
        ("slice_assign", "litert", None, "whole-updates: functional-updates convert"),
        ("keras_saved", "litert", None, "hold-variables: track-variables convert"),
        ("unfrozen_graph_with_a_saver", "litert", None, "freeze: freeze convert"),
        ("frozen_graph", "litert", None, "convert: convert"),
        ("counter_tflite", "litert", None, "as-it-is: as-it-is"),
        ("counter_tflite", "tflite-2.3", None, "lift-state: lift"),
        ("counter_tflite", "litert", "int8", "lift-state: lift quantize"),
        ("mlp_tflite", "litert", "int8", "quantize: quantize"),
    ],
)
def test_the_way(read, name, target, recipe, expected):
    found = plan_repair(read(name), target, recipe)
    assert f"{found.id}: {' '.join(found.steps)}" == expected
    assert set(found.steps) <= set(STEPS)
    assert found.why
    assert "\n" not in found.why
    assert ("variable store" in found.why) == (
        name == "counter" and (target, recipe) == ("micro", None)
    )
    if "lift" in found.steps:  # a sentence about the target begins as a sentence does
        assert all(sentence[0].isupper() for sentence in found.why.split(". "))
    compile(found.code, "<plan>", "exec")


@pytest.mark.parametrize(
    ("name", "family", "told"),
    [
        ("string_state", "unsupported-variable-dtype", "last"),
        ("mutable_table", "other-resource", "table"),
        ("growing", "shared-or-dynamic-state", "rows"),
        ("never_initialized", "uninitialised-variable", "lost"),
        ("unfrozen_graph", "unfrozen-graph", "checkpoint"),
        ("gather_from_a_constant", "gather-from-frozen-table", "table"),
        ("keras_saved_tflite", "uninitialised-variable", "dense"),
        ("flex_tflite", "flex-variable", "Flex"),
        ("custom_tflite", "unsupported-variable-dtype", "custom"),
    ],
)
def test_where_there_is_none(read, name, family, told):
    with pytest.raises(NoCureError) as raised:
        plan_repair(read(name))
    assert raised.value.finding.id == family
    assert told in raised.value.reason
    assert "\n" not in raised.value.reason
    assert raised.value.change
    assert "varhandle cure" not in raised.value.change
    assert raised.value.as_dict()["finding"] == family


def test_what_is_to_be_changed_is_not_to_run_the_tool_again(read):
    (found,) = (f for f in read("float16_state").findings if f.severity == "error")
    assert "varhandle cure" in found.fix
    change = NoCureError("it was tried", found).change
    assert "tf.float32" in change
    assert "varhandle cure" not in change


def test_what_shares_state_stays_together(read):
    plan = plan_repair(read("counter_of_two_signatures"))
    assert plan.signatures == ("peek", "step")
    alone = plan_repair(read("counter_of_two_signatures"), signature="step")
    assert alone.signatures == ("step",)
    assert alone.left_out == ("peek",)


def test_what_is_only_read_keeps_nothing_together(tf, tmp_path):
    module = tf.Module()
    module.w = tf.Variable(2.0, name="w")
    call = tf.function(lambda x: {"y": x * module.w}, input_signature=[zoo.spec(tf, 4)])
    saved = zoo.save(tf, tmp_path, module, serving_default=call, other=call)
    assert plan_repair(diagnose(saved, static=True)).signatures == ("serving_default",)


def test_weights_of_half_precision_alone_are_no_calculation(tf, tmp_path):
    state = {"w": tf.Variable(tf.ones([4], tf.float16), name="w")}
    path = zoo.save_step(
        tf, tmp_path, state, lambda own, x: {"y": x * tf.cast(own.w.read_value(), tf.float32)}
    )
    assert plan_repair(diagnose(path, static=True)).narrow == ()


def test_of_a_third_signature_both_names_of_a_call_stay(tf, tmp_path):
    module = counter(tf)
    calls = dict.fromkeys(("serve", "serving_default", "step"), module.__call__)
    saved = zoo.save(tf, tmp_path, module, **calls)
    plan = plan_repair(diagnose(saved, signature="step", static=True))
    assert plan.signatures == ("serve", "serving_default", "step")


def test_keras_exports_its_call_twice_and_once_is_taken(read, tf, tmp_path):
    module = counter(tf)
    twice = dict.fromkeys(("serve", "serving_default"), module.__call__)
    saved = zoo.save(tf, tmp_path, module, **twice)
    assert plan_repair(diagnose(saved, static=True)).signatures == ("serving_default",)
    plan = plan_repair(read("cnn_exported"))
    assert plan.signatures == ("serving_default",)


@pytest.mark.parametrize(
    ("name", "recipe", "told"),
    [
        ("counter_tflite", "float16", "converter's"),
        ("counter", "selective", "without state"),
        ("float16_state", "int8", "round to float16"),
        ("bfloat16_state", "int8", "round to bfloat16"),
    ],
)
def test_a_recipe_that_does_not_go(read, name, recipe, told):
    with pytest.raises(NoCureError, match=told):
        plan_repair(read(name), "litert", recipe)


def test_two_checkpoints_are_no_choice(tf, tmp_path):
    path = zoo.make("unfrozen_graph_with_a_saver", tmp_path)
    assert plan_repair(diagnose(path, static=True)).id == "freeze"
    for part in sorted(tmp_path.glob("model.ckpt.*")):
        part.with_name(part.name.replace("model.ckpt", "other.ckpt")).write_bytes(part.read_bytes())
    # The shards are found by the index's own name, so the copy is a whole checkpoint.
    with pytest.raises(NoCureError, match="checkpoint"):
        plan_repair(diagnose(path, static=True))


def test_a_way_is_shown(read):
    plan = plan_repair(read("slice_assign"), "builtin-only")
    assert repr(plan) == "RepairPlan(whole-updates: functional-updates, convert, lift)"
    assert "ring" in plan.text()
    assert "<ol>" in plan.html()


def test_a_name_cannot_leave_the_code_of_a_plan(tf, tmp_path):
    hostile = tmp_path / "model'\nimport os #"
    module = tf.Module()
    module.v = tf.Variable(tf.zeros([4], tf.float16), name="v")

    @tf.function(input_signature=[tf.TensorSpec([4])])
    def step(x):
        module.v.assign(tf.cast(x, tf.float16))
        return {"y": x}

    tf.saved_model.save(module, str(hostile), signatures={"a'\nimport os": step})
    plan = plan_repair(diagnose(hostile, static=True))
    imported = [
        name.name
        for node in ast.walk(ast.parse(plan.code))
        if isinstance(node, ast.Import)
        for name in node.names
    ]
    assert imported == ["tensorflow"]
    assert "\nimport os" not in plan.why
