import html
import re

import pytest

from varhandle.graph.model import Access, Function, Graph, Node, TensorSpec, Variable
from workbook_lib import show

FLOW = """\
Flow of signature serve: 10 boxes, 2 variables
one (constant float32 []) -> AssignAddVariableOp -> counter (variable float32 [])
w (variable float32 [4, 2]) -> ReadVariableOp
x (input float32 [?, 4]), ReadVariableOp -> MatMul
counter (variable float32 []) -> ReadVariableOp #2 (after AssignAddVariableOp)
MatMul, ReadVariableOp #2 -> AddV2
AddV2 -> y (output float32 [?, 2])"""


def tflite(*nodes, variables=()):
    x = TensorSpec("x:0", "float32", (1, 2))
    return Graph(
        "m.tflite",
        "tflite",
        (Function("main", nodes, (x,), (TensorSpec("Identity:0", "float32", (1, 2)),)),),
        variables,
    )


def test_calls_and_identities_are_seen_through(counter):
    forms = show.draw_graph(counter)._repr_mimebundle_()
    assert forms["text/plain"] == FLOW
    assert "<img alt=" in forms["text/html"]  # JupyterLab takes <svg> out where it does not trust


def test_another_function(counter):
    assert show.draw_graph(counter, function="serve").text().splitlines()[1:] == [
        *FLOW.splitlines()[1:-1],
        "AddV2 -> identity (output float32 [?...])",
    ]


def test_main_graph_without_signature(frozen):
    assert show.draw_graph(frozen).text() == (
        "Flow of the main graph: 3 boxes, 0 variables\n"
        "x (input float32), w (constant float32 [4, 2]) -> MatMul"
    )


def test_tflite_constants_are_tensors_without_a_node():
    named = ("READ_VARIABLE", "R#2"), ("ASSIGN_VARIABLE", "W#5")
    accesses = [(Access(*each, "main"),) for each in named]
    graph = tflite(
        Node("ONCE#0", "CALL_ONCE", calls=("init",)),
        Node("V#1", "VAR_HANDLE", attributes={"shared_name": "v"}),
        Node("R#2", "READ_VARIABLE", ("v",), ("V#1",)),
        Node("ADD#3", "ADD", ("read", "x:0"), ("R#2", "x:0")),
        Node("FC#4", "FULLY_CONNECTED", ("sum", "weights", ""), ("ADD#3", "", "")),
        Node("W#5", "ASSIGN_VARIABLE", ("v", "sum"), ("V#1", "ADD#3")),
        variables=(Variable("v", "float32", (1, 2), *accesses),),
    )
    assert show.draw_graph(graph).text() == (
        "Flow of the main graph: 9 boxes, 1 variable\n"
        "CALL_ONCE (calls init)\n"
        "v (variable float32 [1, 2]) -> READ_VARIABLE\n"
        "READ_VARIABLE, x:0 (input float32 [1, 2]) -> ADD\n"
        "ADD, weights (constant) -> FULLY_CONNECTED\n"
        "ADD -> ASSIGN_VARIABLE -> v (variable float32 [1, 2])\n"
        "FULLY_CONNECTED -> Identity:0 (output float32 [1, 2])"
    )


def test_an_output_that_is_also_taken_is_found_by_its_tensor():
    graph = tflite(
        Node("A#0", "ABS", ("x:0",), ("x:0",)), Node("B#1", "NEG", ("Identity:0",), ("A#0",))
    )
    assert "ABS -> Identity:0 (output" in show.draw_graph(graph).text()


def test_hostile_and_long_names(hostile):
    long = "layer/" * 40 + "kernel"
    graph = tflite(
        Node(hostile, "VarHandleOp"),
        Node("r", "ReadVariableOp", (hostile,), (hostile,)),
        Node("end", "1. <b>", ("r", long), ("r", "")),
        variables=(Variable(hostile, "float32", (), (Access("ReadVariableOp", "r", "main"),)),),
    )
    chart = show.draw_graph(graph)
    assert hostile in chart.text()
    assert long in chart.text()
    words = re.findall(r"<text[^>]*>([^<]*)</text>", chart.svg())
    assert words and all(len(html.unescape(word)) < 50 for word in words)
    assert "<script" not in chart.svg()


def test_too_many_boxes_leave_the_variables(counter):
    chart = show.draw_graph(counter, max_nodes=6)
    assert chart.text() == (
        "Flow of signature serve: 10 boxes, 2 variables\n"
        "10 boxes are more than max_nodes=6: only the variables and the ops that touch them are "
        "drawn. To see more: max_nodes=10; function= one of the 3 in graph.functions.\n"
        "AssignAddVariableOp -> counter (variable float32 [])\n"
        "w (variable float32 [4, 2]) -> ReadVariableOp\n"
        "counter (variable float32 []) -> ReadVariableOp #2 (after AssignAddVariableOp)"
    )
    assert chart.across
    assert f"<p>{chart.note}</p>" in chart.html()


def test_too_many_variables_are_cut_and_counted(counter):
    assert "only 1 of 2 variables" in show.draw_graph(counter, max_nodes=3).note


def test_too_many_boxes_without_variables(frozen):
    chart = show.draw_graph(frozen, max_nodes=2)
    assert "no variables, so nothing is drawn" in chart.text()
    assert "<img" not in chart.html() and chart.note.split(":")[0] in chart.html()


def test_unknown_names(counter):
    with pytest.raises(KeyError, match="no signature 'predict'; there are: serve"):
        show.draw_graph(counter, signature="predict")
    with pytest.raises(KeyError, match="no function 'f'; there are: main graph, wrapper, serve"):
        show.draw_graph(counter, function="f")


def test_a_function_that_calls_itself_is_not_followed_for_ever():
    call = Node("again", "PartitionedCall", ("x",), ("x",), calls=("f",))
    x = TensorSpec("x", "float32", ())
    graph = Graph("m", "saved_model", (Function("f", (call,), (x,), (x,)),))
    assert "PartitionedCall (calls f)" in show.draw_graph(graph).text()


def test_boxes_in_a_circle_are_drawn_and_identities_in_a_circle_end():
    nodes = (
        Node("merge", "Merge", ("x", "next"), ("x", "next")),
        Node("next", "NextIteration", ("merge",), ("merge",)),
        Node("x", "Placeholder", attributes={"dtype": "float32"}),
        Node("a", "Identity", ("b",), ("b",)),
        Node("b", "Identity", ("a",), ("a",)),
        Node("c", "Neg", ("a",), ("a",)),
    )
    graph = Graph("m", "graph_def", (Function("main graph", nodes),))
    _, first, second, third = show.draw_graph(graph).text().splitlines()
    assert (first, second) == (
        "Merge -> NextIteration",
        "x (input float32), NextIteration -> Merge",
    )
    assert third.endswith("Neg")


def test_an_output_whose_name_is_a_number_is_no_output_number():
    spec = TensorSpec("7", "float32", ())
    nodes = (
        Node("add", "AddV2", ("x", "x"), ("x", "x")),
        Node("7", "Identity", ("add:z:0",), ("add",)),
    )
    function = Function("f", nodes, (TensorSpec("x", "float32", ()),), (spec,))
    chart = show.draw_graph(Graph("m", "graph_def", (function,)))
    assert chart.text().splitlines()[-1] == "AddV2 -> 7 (output float32 [])"
