"""A read that the freezer cannot follow back to its variable."""

import pytest
import zoo
from family_checks import case_test, code_of, counter, fix_of, log_test, run, severe

from varhandle import explain
from varhandle.diagnosis import diagnose
from varhandle.families.catalog import family, find
from varhandle.formats import read_graph
from varhandle.graph import Access, Function, Graph, Node, Signature, Variable

FAMILY = family("freezer-lost-variable")

test_a_case_does_what_it_is_for = case_test(
    FAMILY, {"cond-read": "works", "cond-read-concrete-function": "works"}
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "Unsupported operations: ReadVariableOp",
        "Exception: Placeholder ReadVariableOp/resource should be specified by input_arrays.",
    ],
)


def test_a_saved_model_with_its_signature(tf, tmp_path):
    names = run(code_of(FAMILY.fix), tf=tf, module=counter(tf), folder=str(tmp_path))
    assert names["converter"].convert()


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


def test_a_read_of_a_constant_becomes_an_identity(tf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    graph_def = zoo.broken_freeze(tf, {"op": "ReadVariableOp", "name": "value"})
    graph_def.node[-1].input.append("table")
    graph_def.node[-1].attr["dtype"].type = tf.float32.as_datatype_enum
    path = zoo.write_graph(tmp_path, graph_def)
    assert diagnose(path, static=True).verdict == "blocked"
    run(fix_of(path, "freezer-lost-variable"))
    assert diagnose("mended.pb", static=True).verdict == "convertible"


def branching(*, assigned=False, condition="StatelessIf"):
    """A model whose variable is read in a function that a branch calls."""
    read = Access("ReadVariableOp", "read", "inner", ("s",))
    assign = Access("AssignVariableOp", "assign", "f", ("s",))
    nodes = [Node("cond", condition, calls=("then", "otherwise"))]
    if assigned:
        nodes.append(Node("assign", "AssignVariableOp"))
    functions = (
        Function("main graph", ()),
        Function("f", tuple(nodes)),
        Function("then", (Node("call", "PartitionedCall", calls=("inner", "then")),)),
        Function("otherwise", ()),
        Function("inner", (Node("read", "ReadVariableOp"),)),
    )
    v = Variable("v", "float32", (1,), (read,), (assign,) if assigned else (), True)
    return Graph("m", "saved_model", functions, (v,), (Signature("s", "f", (), ()),))


@pytest.mark.parametrize(
    ("graph", "seen"),
    [
        (branching(), True),
        (branching(condition="If"), True),
        (branching(condition="PartitionedCall"), False),
        (branching(assigned=True), False),
    ],
)
def test_a_read_in_a_branch_is_followed_through_calls(graph, seen):
    assert ("freezer-lost-variable" in severe(find(graph), "info")) == seen


def test_a_line_that_only_looks_bad_says_so():
    (match,) = explain(
        "E tensorflow/core/grappler/grappler_item_builder.cc:637] Init node Conv1/kernel/Assign"
        " doesn't exist in graph\nConverted, wrote model.tflite"
    ).matches
    assert "goes on after this line" in match.message
    assert "'Conv1/kernel/Assign'" in match.message
