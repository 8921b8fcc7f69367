"""What the converter refuses is narrowed down to the nodes that it refuses."""

import json
import re
import shlex
import subprocess
import sys
import types

import dtype_cases
import numpy as np
import pytest
import zoo
from family_checks import run_command
from json_forms import check_form
from printed_code import ran

from varhandle.cli import main
from varhandle.divergence import refusal_bisection
from varhandle.divergence.refusal_bisection import why_refused
from varhandle.sandbox import Record, run_isolated, run_source

REFUSED = {
    "float16_state": {"AddV2", "AssignVariableOp", "ReadVariableOp"},
    "int16_state": {"AssignVariableOp", "ReadVariableOp"},
    "slice_assign": {"ResourceStridedSliceAssign", "ReadVariableOp"},
    "scatter_update": {"ResourceScatterNdUpdate", "ReadVariableOp"},
    "mutable_table": {"MutableHashTableV2", "LookupTableInsertV2", "LookupTableFindV2"},
    "numbers_in_a_table": {"HashTableV2", "LookupTableFindV2"},
    "gathers_from_a_table_that_changes": {"ResourceGatherNd", "AssignAddVariableOp"},
    "ordinary_op_without_builtin": {"MatrixInverse"},
    "draws_with_a_seed": {"StatelessRandomGetKeyCounter", "StatelessRandomNormalV2"},
    "unfrozen_graph": {"VariableV2"},
    "gather_from_a_constant": {"ResourceGather", "Placeholder"},
}
"""The zoo's model -> the ops of the smallest part, as bare TensorFlow refuses them."""

VARIABLES = {
    "float16_state": ("total", "float16", ["AssignVariableOp"]),
    "slice_assign": ("ring", "float32", ["ResourceStridedSliceAssign"]),
    "gathers_from_a_table_that_changes": ("table", "float32", ["AssignAddVariableOp"]),
}


@pytest.fixture(scope="module")
def refusal(specimen_path):
    found = {}

    def of(name):
        if name not in found:
            found[name] = why_refused(specimen_path(name))
            check_form("locate", found[name])
        return found[name]

    return of


@pytest.mark.parametrize("name", REFUSED)
def test_the_nodes_that_are_refused_are_left(refusal, name):
    found = refusal(name)
    assert {node.op for node in found.part.nodes} == REFUSED[name]
    assert found.text().startswith("why: ")


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_is_named_with_its_dtype_and_its_update(refusal, name):
    variable, dtype, updates = VARIABLES[name]
    (told,) = refusal(name).as_dict()["variables"]
    assert (told["name"], told["dtype"], told["updates"]) == (variable, dtype, updates)
    first = refusal(name).text().splitlines()[0]
    assert f"the variable {variable} ({dtype}" in first
    assert updates[0] in first


@pytest.mark.parametrize("name", ["float16_state", "slice_assign", "unfrozen_graph"])
def test_the_script_of_the_part_fails_in_the_same_way(refusal, name, tmp_path):
    found = refusal(name)
    written = found.write(tmp_path / "out")
    assert {"reproduce.py", "issue.md"} < set(written)
    ended = run_script(tmp_path / "out")
    assert ended.exception_type == found.record.exception_type
    assert all(op in ended.message for op in found.record.failing_ops)


SMALLEST = {
    "an_inverse": [("MatrixInverse", ["float32 [1, 1, 1]"])],
    "a_slice_that_is_assigned": [
        ("ReadVariableOp", ["float32 [1, 1]"]),
        ("ResourceStridedSliceAssign", []),
    ],
    "a_loop": [("MatrixInverse", ["float32 [1, 1]"])],
}


@pytest.fixture
def wide(tf, tmp_path):
    """A model of many numbers that is refused, by its name."""
    inputs = [None, 16, 24], [2, 12], [5, 5]

    def inverse(module, x):
        return {"y": tf.nn.softmax(tf.linalg.inv(x @ tf.transpose(x, [0, 2, 1]) + module.v))}

    def assigned(module, x):
        module.v[2:4].assign(tf.nn.relu(x))
        return {"y": tf.reduce_sum(module.v.read_value(), 1)}

    def loop(module, x):
        def body(i, a):
            return i + 1, tf.linalg.inv(tf.nn.relu(a) + module.v)

        return {"y": tf.while_loop(lambda i, a: i < 3, body, (tf.constant(0), x))[1]}

    held = [16, 16], [8, 12], [5, 5]
    steps = dict(
        zip(SMALLEST, zip((inverse, assigned, loop), inputs, held, strict=True), strict=True)
    )

    def of(name):
        step, shape, begin = steps[name]
        spec, state = tf.TensorSpec(shape, tf.float32, "x"), {"v": tf.Variable(np.ones(begin, "f"))}
        return zoo.save_step(tf, tmp_path / "wide", state, step, spec)

    return of


@pytest.mark.parametrize("name", SMALLEST)
def test_the_part_that_is_written_has_the_smallest_shapes(tf, wide, name, tmp_path):
    found = why_refused(wide(name))
    assert found.write(tmp_path / "out") == ["issue.md", "reproduce.py", "saved_model"]
    loaded = tf.saved_model.load(str(tmp_path / "out" / "saved_model"))
    _, specs = loaded.signatures["serving_default"].structured_input_signature
    shapes = [spec.shape for spec in specs.values()] + [held.shape for held in loaded.held]
    assert shapes
    assert {size for shape in shapes for size in shape} == {1}
    # TensorFlow still takes it: it is a model that somebody may have.
    loaded.signatures["serving_default"](**{n: tf.ones(s.shape) for n, s in specs.items()})
    told = (tmp_path / "out" / "issue.md").read_text()
    for op, outputs in SMALLEST[name]:
        (line,) = re.findall(rf"^  {op} .*$", told, re.MULTILINE)
        assert line.partition(" -> ")[2] == ", ".join(outputs)
    ended = run_script(tmp_path / "out")
    assert ended.exception_type == found.record.exception_type
    assert all(op in ended.message for op in found.record.failing_ops)


def test_a_model_that_cannot_be_divided_is_written_whole(tf, tmp_path, capsys):
    """No TensorFlow imports a graph with an op that it does not know."""
    graph = tf.compat.v1.GraphDef()
    taken = graph.node.add(op="Placeholder", name="x")
    taken.attr["dtype"].type = tf.float32.as_datatype_enum
    taken.attr["shape"].shape.CopyFrom(tf.TensorShape([2, 3]).as_proto())
    graph.node.add(op="AnOpOfTheirOwn", name="y", input=["x"])
    (tmp_path / "own.pb").write_bytes(graph.SerializeToString())
    command = ["locate", "--why", str(tmp_path / "own.pb"), "--trust"]
    assert main([*command, "--reduce", str(tmp_path / "out")]) == 1
    assert "wrote issue.md, model.pb, reproduce.py" in capsys.readouterr().out
    content = (tmp_path / "out" / "model.pb").read_bytes()
    assert content == (tmp_path / "own.pb").read_bytes()
    ended = run_script(tmp_path / "out")
    assert "Op type not registered 'AnOpOfTheirOwn'" in ended.message


def test_a_part_that_is_slow_on_a_busy_machine_is_tried_with_more_time(specimen_path, monkeypatch):
    """All parts take longer here than is usual; the last one is found all the same."""
    monkeypatch.setattr(refusal_bisection, "_SOON", 0.01)
    monkeypatch.setattr(refusal_bisection, "_TIMES", 0)
    found = why_refused(specimen_path("unfrozen_graph"))
    assert {node.op for node in found.part.nodes} == {"VariableV2"}


def run_script(folder):
    """Run a script as it is printed, in a child that has imported TensorFlow."""
    script = folder / "reproduce.py"
    text = script.read_text()
    assert len(text.splitlines()) <= 20
    assert text in (folder / "issue.md").read_text()
    ran(text)
    return run_source(text, inputs={"__file__": str(script)})


def test_a_crash_is_narrowed_down_to_what_crashes(tmp_path):
    assert run_isolated(dtype_cases.save, "int4", "assign", tmp_path / "int4", locked=False).ok
    found = why_refused(tmp_path / "int4")
    assert found.record.exit_signal in found.text().splitlines()[0]
    assert {node.op for node in found.part.nodes} == {"ReadVariableOp"}
    assert found.as_dict()["variables"][0]["dtype"] == "int4"
    found.write(tmp_path / "out")
    assert run_script(tmp_path / "out").outcome == "crashed"


@pytest.mark.parametrize(
    ("dtype", "update", "told"),
    [
        ("float64", "assign_sub", "tf.Sub: the converter has no builtin op for it in float64"),
        ("uint4", "assign", "AssignVariableOp: Could not translate MLIR to FlatBuffer"),
    ],
)
def test_the_variable_is_told_where_the_message_names_another_op_or_none(
    tmp_path, dtype, update, told
):
    assert run_isolated(dtype_cases.save, dtype, update, tmp_path / "model", locked=False).ok
    found = why_refused(tmp_path / "model")
    assert found.reason.startswith(f"the variable v ({dtype} [3]) is read by ReadVariableOp")
    assert told in found.reason


def test_the_words_that_it_dies_with_are_told(tf, tmp_path):
    """A constant of int4: LLVM says what it lacks, and ends the process."""

    def step(x):
        return {"y": tf.concat([x, tf.cast(tf.constant([1, 0, 1, 1]), x.dtype)], axis=0)}

    spec = tf.TensorSpec([4], tf.dtypes.experimental.int4)
    module = tf.Module()
    module.step = tf.function(step, input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path / "int4"), signatures=module.step)
    found = why_refused(tmp_path / "int4")
    words = "ElementsAttr does not provide iteration facilities"
    assert "at Cast, with the words: " in found.reason
    assert words in found.reason
    check_form("locate", found)
    assert [node.outputs for node in found.part.nodes] == [("int4 [4]",)]
    found.write(tmp_path / "out")
    assert words in (tmp_path / "out" / "issue.md").read_text().split("It says:")[1]
    ended = run_script(tmp_path / "out")
    assert ended.outcome == "crashed"
    assert words in ended.log


def test_a_conversion_that_does_not_end_is_narrowed_down(tf, tmp_path):
    """The converter folds what rests on constants, however long that takes."""

    def step(x):
        rows = tf.constant(np.full([8000, 1], 1e6, np.float32))
        slow = tf.math.igamma(rows, tf.constant(np.full([1, 8000], 1e6, np.float32)))
        return {"y": tf.nn.relu(x) + tf.reduce_sum(slow)}

    module = tf.Module()
    module.step = tf.function(step, input_signature=[tf.TensorSpec([4], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "slow"), signatures=module.step)
    found = why_refused(tmp_path / "slow", timeout=3)
    assert "had not ended after 3 s" in found.text().splitlines()[0]
    assert {node.op for node in found.part.nodes} == {"Igamma"}


def test_what_only_takes_its_time_is_not_blamed_for_what_does_not_end(tf, tmp_path, monkeypatch):
    """As a fill of two gigabytes does, which the converter computes before a product of it."""

    def step(x):
        return {"y": tf.linalg.inv(tf.nn.relu(x)) + 1.0}

    module = tf.Module()
    module.step = tf.function(step, input_signature=[tf.TensorSpec([3, 3], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.step)

    def ended(search, names, timeout):
        ops = {search.flat.ops[name] for name in names}
        slow = "MatrixInverse" in ops or ("Relu" in ops and timeout < 50)
        return Record("timed out") if slow else Record("ok")

    unending = Record("timed out", seconds=60.0)
    conversion = types.SimpleNamespace(record=unending)
    monkeypatch.setattr(refusal_bisection, "convert", lambda *_, **__: conversion)
    monkeypatch.setattr(refusal_bisection._Search, "_converted", ended)
    found = why_refused(tmp_path / "model", timeout=60)
    assert [node.op for node in found.part.nodes] == ["MatrixInverse"]
    assert found.reason == "the converter had not ended after 60 s at MatrixInverse"


def test_what_is_refused_inside_a_loop_is_found_there(tf, tmp_path):
    def step(x):
        def body(i, a):
            return i + 1, tf.linalg.inv(tf.nn.relu(a) + module.shift)

        turned = tf.while_loop(lambda i, a: i < 3, body, (tf.constant(0), tf.nn.relu(x)))[1]
        return {"y": tf.nn.softmax(turned)}

    module = tf.Module()
    module.shift = tf.Variable(tf.eye(3))
    module.step = tf.function(step, input_signature=[tf.TensorSpec([3, 3], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "loop"), signatures=module.step)
    found = why_refused(tmp_path / "loop")
    assert [node.op for node in found.part.nodes] == ["MatrixInverse"]
    found.write(tmp_path / "out")
    assert "MatrixInverse" in run_script(tmp_path / "out").message


def test_what_converts_is_no_refusal(specimen_path, capsys):
    assert main(["locate", "--why", str(specimen_path("counter"))]) == 0
    assert "it converts" in capsys.readouterr().out


def test_the_command_says_why_and_writes_the_part(specimen_path, tmp_path, capsys):
    model, out = str(specimen_path("int16_state")), str(tmp_path / "out")
    assert run_command(f"varhandle locate --why {model} --reduce {out} --json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["converts"] is False
    assert {node["op"] for node in told["nodes"]} == REFUSED["int16_state"]
    bare = [sys.executable, "-I", f"{out}/reproduce.py"]  # away from this package
    ended = subprocess.run(bare, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "tf.AssignVariableOp" in ended.stderr
    assert main(["locate", "--why", model, "--reduce", out]) == 2
    assert "not empty" in capsys.readouterr().err
    assert main(["locate", "--why", model, "other.tflite"]) == 2


def test_a_refused_model_without_a_file_has_a_next_step(specimen_path, capsys):
    path = str(specimen_path("int16_state"))
    assert main(["locate", path]) == 2
    said = capsys.readouterr().err
    (command,) = re.findall(r"`(varhandle locate MODEL --why)`", said)
    ran(command)
    arguments = [path if word == "MODEL" else word for word in shlex.split(command)[1:]]
    assert main(arguments) == 1
    assert capsys.readouterr().out.startswith("why: ")
