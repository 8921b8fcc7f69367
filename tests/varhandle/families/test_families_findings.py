"""The static rules, on every model of the zoo and on graphs made by hand."""

import subprocess
import sys
from pathlib import Path

import pytest
import zoo
from family_checks import finding_of, severe

from varhandle import explain
from varhandle.diagnosis import diagnose
from varhandle.families.base import inference_signature
from varhandle.families.catalog import FAMILIES, find
from varhandle.formats import read_graph
from varhandle.graph import Access, Function, Graph, Node, Signature, Variable


def concerned(found):
    return tuple(sorted({name for f in found if f.severity != "info" for name in f.variables}))


@pytest.mark.parametrize("name", sorted(zoo.ZOO))
def test_every_model_of_the_zoo_is_read_rightly(specimen_path, name):
    wanted = zoo.ZOO[name]
    found = diagnose(specimen_path(name), static=True)
    assert found.proof is None
    if wanted.seen:
        assert found.verdict == wanted.verdict
        assert severe(found.findings, "info") == tuple(sorted(wanted.infos))
    else:
        assert found.verdict in ("convertible", "ready"), "an alarm that nothing in the file gives"
    assert severe(found.findings) == tuple(sorted(wanted.families))
    assert concerned(found.findings) == wanted.variables
    for finding in found.findings:
        assert finding.message.endswith(".")
        assert finding.fix
        assert all(variable in finding.message for variable in finding.variables[:3])


def test_the_zoo_shows_every_family_that_a_model_can_show():
    shown = {name for one in zoo.ZOO.values() for name in (*one.families, *one.infos)}
    assert shown == {family.id for family in FAMILIES if family.graph_rules}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("float16_state", "assigned, and the builtin VAR_HANDLE does not carry float16."),
        ("slice_assign", "by ResourceStridedSliceAssign, which no builtin op does."),
        ("numbers_in_a_table", "is no variable, and has no builtin op: the builtin tables are"),
        ("draws_with_a_seed", "for which there is no builtin op"),
    ],
)
def test_a_model_and_the_log_of_its_conversion_are_told_in_the_same_words(
    tf, specimen_path, name, words
):
    path = specimen_path(name)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(path))
    with pytest.raises(Exception, match="neither a custom op nor a flex op") as refused:
        converter.convert()
    match = explain(str(refused.value)).matches[0]
    assert words in match.message
    assert words in finding_of(path, match.id).message


@pytest.mark.parametrize("flex", [True, False])
def test_a_file_and_what_its_interpreter_says_are_told_in_the_same_words(tf, tmp_path, flex):
    from ai_edge_litert.interpreter import Interpreter

    function = tf.function(tf.linalg.inv, input_signature=[tf.TensorSpec([3, 3])])
    functions = [function.get_concrete_function()]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(functions, function)
    if flex:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.SELECT_TF_OPS]
    else:
        converter.allow_custom_ops = True
    path = tmp_path / "model.tflite"
    path.write_bytes(converter.convert())
    with pytest.raises(RuntimeError) as refused:
        Interpreter(str(path)).allocate_tensors()
    (match,) = explain(str(refused.value)).matches
    assert match.id == ("flex-op-missing" if flex else "custom-op-missing")
    assert match.message in "".join(diagnose(path).other)


# Which signature.


def with_signatures(**assigned):
    """A graph with a variable for each signature and variable that it assigns."""
    names = sorted({name for variables in assigned.values() for name in variables})
    variables = tuple(
        Variable(
            name,
            "float32",
            (1,),
            assigns=tuple(
                Access("AssignVariableOp", "assign", f"f_{signature}", (signature,))
                for signature, written in assigned.items()
                if name in written
            ),
            initialized=True,
        )
        for name in names
    )
    functions = tuple(Function(f"f_{signature}", ()) for signature in assigned)
    signatures = tuple(Signature(name, f"f_{name}", (), ()) for name in sorted(assigned))
    main = Function("main graph", ())
    return Graph("m", "saved_model", (main, *functions), variables, signatures)


@pytest.mark.parametrize(
    ("assigned", "chosen"),
    [
        ({"step": "ab"}, "step"),
        ({"serving_default": "abc", "peek": ""}, "serving_default"),
        ({"train": "abc", "infer": "a", "reset": "ab"}, "infer"),
        ({"b": "x", "a": "x"}, "a"),
        ({"apply": "ab", "peek": "a"}, "peek"),  # not the first by name
        ({}, None),
    ],
)
def test_the_signature_for_inference_is_chosen(assigned, chosen):
    assert inference_signature(with_signatures(**assigned)) == chosen


def test_a_signature_that_is_not_there_is_refused():
    with pytest.raises(KeyError, match="no signature 'run'; there are: step"):
        inference_signature(with_signatures(step="a"), "run")


def test_another_signature_is_diagnosed_when_it_is_asked_for(specimen_path):
    graph = read_graph(specimen_path("trainer_and_server"))
    (other,) = (f for f in find(graph) if f.severity == "warning")
    assert "Only signature train does that" in other.message
    assert "signature_keys=['serving_default']" in other.fix
    (own,) = (f for f in find(graph, "train") if f.severity == "error")
    assert own.id == other.id == "unsupported-variable-update"


def test_keras_exports_two_names_of_one_signature_and_that_is_no_shared_state(specimen_path):
    assert len(read_graph(specimen_path("cnn_exported")).signatures) == 2
    assert find(read_graph(specimen_path("cnn_exported"))) == ()


# Names are the author's choice.

HOSTILE = "v'\"\n\x1b[31m<script>alert(1)</script>\u202e"


def hostile_graph():
    assign = Access("AssignVariableOp", HOSTILE, "f", (HOSTILE,))
    other = Access(f"Resource{HOSTILE}", HOSTILE, "f", (HOSTILE,))
    half = Variable(HOSTILE, "float16", (4,), (), (assign,), True, HOSTILE)
    odd = Variable(HOSTILE + "2", "float32", None, (), (other,), True, HOSTILE)
    grown = Variable(HOSTILE + "3", f"float32{HOSTILE}", (None,), (assign,), (assign,), False, None)
    words = Node(HOSTILE, "LookupTableFindV2", attributes={"Tin": "int64", "Tout": HOSTILE})
    kept = Node(HOSTILE, "LookupTableFindV2", attributes={"Tin": "string", "Tout": "int64"})
    functions = (Function("main graph", ()), Function("f", (words,)), Function("g", (kept,)))
    entries = {HOSTILE: "f", f"{HOSTILE}2": "g", "z": "f"}
    signatures = tuple(Signature(name, function, (), ()) for name, function in entries.items())
    source = f"/tmp/{HOSTILE}"
    return Graph(source, "saved_model", functions, (half, odd, grown), signatures, HOSTILE)


@pytest.mark.parametrize("signature", [HOSTILE, f"{HOSTILE}2", "z"])
def test_nothing_of_a_name_reaches_terminal_page_or_code_as_it_is(signature):
    found = diagnose(hostile_graph(), static=True, signature=signature)
    assert {"other-resource", "unsupported-variable-update"} <= {f.id for f in found.findings}
    for text in (found.text(), repr(found)):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<script>" not in found.html()
    assert "\x1b" not in found.html()
    for finding in found.findings:
        assert HOSTILE not in finding.fix
        if "import tensorflow" in finding.fix:
            compile(finding.fix, "fix", "exec")


def test_a_dtype_out_of_a_flex_op_is_a_name_too():
    access = Access("FlexReadVariableOp", "n", "main", ())
    variable = Variable("v", HOSTILE, None, (access,), (), True)
    functions = (Function("main", (Node("n", "FlexReadVariableOp"),)),)
    (finding,) = find(Graph("m.tflite", "tflite", functions, (variable,)))
    assert finding.id == "flex-variable"
    assert "\x1b" not in finding.message + finding.fix


# Size and depth.


def chain(functions, nodes):
    """A SavedModel whose functions call each other in a row, each with a row of nodes."""
    made = []
    for number in range(functions):
        row = [Node("n0", "Neg", ("x",), ("x",))]
        row += [Node(f"n{i}", "Neg", (f"n{i - 1}",), (f"n{i - 1}",)) for i in range(1, nodes)]
        if number + 1 < functions:
            row.append(Node("call", "PartitionedCall", calls=(f"f{number + 1}",)))
        made.append(Function(f"f{number}", tuple(row)))
    variable = Variable("v", "float32", (1,), (Access("ReadVariableOp", "n0", "f0", ("s",)),))
    signature = Signature("s", "f0", (), ())
    return Graph("m", "saved_model", tuple(made), (variable,), (signature,))


@pytest.mark.parametrize(("functions", "nodes"), [(1, 100_000), (10_000, 5)])
def test_a_long_and_a_deep_graph_are_read_without_recursion(functions, nodes):
    assert find(chain(functions, nodes)) == ()


def test_the_zoo_is_made_of_what_it_says(specimen_path):
    """The zoo's own claim, by TensorFlow's word: the lost value is not the one that is read."""
    graph = read_graph(specimen_path("keras_saved"))
    lost = [v for v in graph.variables if v.reads and not v.initialized]
    assert [v.owner for v in lost] == [None, None]


@pytest.mark.parametrize("in_a_circle", [False, True])
def test_nodes_without_inputs_and_nodes_that_take_their_own_value(tf, tmp_path, in_a_circle):
    """Of a damaged or a hostile file; in a process of its own, which a loop would keep for ever."""
    graph = tf.compat.v1.GraphDef()
    inputs = {"AssignVariableOp": ["v", "one"], "RestoreV2": ["x", "x", "x"], "Mean": []}
    for name, op in {"x": "Placeholder", "v": "VarHandleOp", "find": "LookupTableFindV2"}.items():
        graph.node.add(name=name, op=op)
    for name, other in (("one", "two"), ("two", "one" if in_a_circle else "x")):
        graph.node.add(name=name, op="Identity", input=[other])
    for op, given in inputs.items():
        graph.node.add(name=op, op=op, input=given)
    graph.node.add(name="group", op="NoOp", input=["^AssignVariableOp"])
    path = tmp_path / "damaged.pb"
    path.write_bytes(graph.SerializeToString())
    program = Path(sys.executable).with_name("varhandle")
    command = [str(program), "diagnose", "--static", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == (2 if in_a_circle else 1)
    assert ("would have to run after themselves" in ended.stderr) is in_a_circle
    assert ("--static" in ended.stdout) is not in_a_circle
