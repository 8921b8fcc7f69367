"""The exercises of notebook 03: typical mistakes, each with its advice."""

import pytest
from notebook_cells import EXERCISES, assert_says

OVER_CONSTANTS = """
    def constant_bytes(function):
        nodes = function.graph.as_graph_def().node
        constants = [node for node in nodes if node.op == "Const"]
        arrays = [tf.make_ndarray(node.attr["value"].tensor) for node in constants]
        return {}
"""


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("sum(array.size for array in arrays)", "counts the values"),
        ("sum(array.size * 4 for array in arrays)", "four bytes for every value"),
        ("len(arrays)", "counts the nodes"),
        ("sum(node.ByteSize() for node in constants)", "its name included"),
        (
            'sum(len(n.attr["value"].tensor.tensor_content) for n in constants)',
            "stored in short form",
        ),
        ("[array.nbytes for array in arrays]", "one whole number"),
        ("sum(a.nbytes for a in arrays if a.dtype == np.float32)", "leave out or add"),
        ("15272", "leave out or add"),
    ],
)
def test_wrong_weights_of_constants(outcome, expression, told):
    assert_says(outcome("freeze/constant-bytes", OVER_CONSTANTS.format(expression)), told)


def test_a_weight_of_constants_that_raises(outcome):
    source = "def constant_bytes(function): return function.as_graph_def().node.nbytes"
    assert_says(outcome("freeze/constant-bytes", source), "AttributeError", "raised")


@pytest.mark.parametrize(
    ("exercise_id", "told"),
    [("freeze/constant-bytes", "15,272 bytes"), ("freeze/assigning-nodes", "not a proof")],
)
def test_what_is_said_of_the_solution(outcome, exercise_id, told):
    assert_says(outcome(exercise_id, EXERCISES[exercise_id].solution), told, "right")


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ('[node.name for node in nodes if node.op == "AssignVariableOp"]', "AssignAddVariableOp"),
        ('[node.name for node in nodes if node.op.startswith("Assign")]', "StridedSliceAssign"),
        ('[node.name for node in nodes if "Assign" in node.name]', "A name is a label"),
        ('[node.name for node in nodes if "Variable" in node.op]', "ReadVariableOp"),
        ('[node.name for node in nodes if "Resource" in node.op]', "ResourceGather"),
        ('[node.op for node in nodes if "Assign" in node.op]', "These are ops"),
        ('[node for node in nodes if "Assign" in node.op]', "not the nodes themselves"),
        ('", ".join(node.name for node in nodes if "Assign" in node.op)', "list of names"),
        ("[]", "Yours found 0"),
        ('any("Assign" in node.op for node in nodes)', "list of names"),
    ],
)
def test_wrong_lists_of_nodes(outcome, expression, told):
    assert_says(
        outcome(
            "freeze/assigning-nodes",
            f"""
        def assigning_nodes(function):
            nodes = function.graph.as_graph_def().node
            return {expression}
        """,
        ),
        told,
    )


def test_a_list_of_nodes_that_is_made_up(outcome):
    source = EXERCISES["freeze/assigning-nodes"].solution
    padded = source.replace("return [", 'return ["AssignAddVariableOp"] or [')
    assert_says(outcome("freeze/assigning-nodes", padded), "Yours found 1")


def test_nodes_named_in_a_function_that_only_reads(outcome):
    source = f"""{EXERCISES["freeze/assigning-nodes"].solution}

right = assigning_nodes

def assigning_nodes(function):
    return right(function) or [function.graph.as_graph_def().node[0].name]
"""
    assert_says(outcome("freeze/assigning-nodes", source), "only reads")


def test_a_list_of_nodes_that_raises(outcome):
    source = 'def assigning_nodes(function): return [n for n in function.graph if "Assign" in n]'
    assert outcome("freeze/assigning-nodes", source).status == "raised"


SERVING = """
    def serving_function(model):
        {before}
        function = tf.function(lambda x: {call})
        return {returned}
"""
CONCRETE = "function.get_concrete_function(tf.TensorSpec([None, 4]))"


ONE_ROW = CONCRETE.replace("None", "1")
NO_SPEC = "function.get_concrete_function()"
UNTRAINED = "model.trainable = False"


@pytest.mark.parametrize(
    ("before", "call", "returned", "status", "told"),
    [
        ("", "model(x, training=True)", CONCRETE, "wrong", "3 nodes, in drop and normalize"),
        (UNTRAINED, "model(x, training=True)", CONCRETE, "wrong", "1 node, in drop"),
        ("", "model(x, training=False)", "function", "wrong", "get_concrete_function"),
        ("", "model(x, training=False)", "model", "wrong", "concrete function"),
        ("", "model(x, training=False)", f"freeze({CONCRETE})", "wrong", "before freezing"),
        ("", "model.layers[1](x)", CONCRETE, "wrong", "whole model"),
        ("", "model(x, training=False) * 2", CONCRETE, "wrong", "something else"),
        ("", "model(x, training=False)", ONE_ROW, "wrong", "(1, 4)"),
        ("", "model(x)", "None", "wrong", "return"),
        ("", "model(x)", NO_SPEC, "raised", "TypeError"),
        ("", "model(x)", CONCRETE, "right", "In inference mode"),
    ],
)
def test_functions_to_serve(outcome, *, before, call, returned, status, told):
    source = SERVING.format(before=before or "pass", call=call, returned=returned)
    assert_says(outcome("freeze/serving-function", source), told, status)
