"""The exercises of notebook 03: stub, solution and typical mistakes, each with its outcome."""

import textwrap

import pytest
from notebook_cells import StoredExercises, execute, load, solution_code

from workbook_lib.lesson.checks import freeze_the_weights as check

CHECKS = {
    "freeze/constant-bytes": ("constant_bytes", check.constant_bytes),
    "freeze/assigning-nodes": ("assigning_nodes", check.assigning_nodes),
    "freeze/serving-function": ("serving_function", check.serving_function),
}


@pytest.fixture(autouse=True)
def no_progress(monkeypatch):
    monkeypatch.setenv("WORKBOOK_PROGRESS", "off")


@pytest.fixture(scope="session")
def notebook_03():
    return load("03_freeze_the_weights.ipynb")


@pytest.fixture(scope="session")
def imported():
    """What the notebook has imported where its exercises stand."""
    import numpy as np
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from varhandle.conversion.freezing import freeze

    return {
        "np": np,
        "tf": tf,
        "freeze": freeze,
        "convert_variables_to_constants_v2": convert_variables_to_constants_v2,
    }


@pytest.fixture
def outcome(imported):
    """Run what a learner wrote, and check it."""

    def of(exercise_id, source):
        name, checked = CHECKS[exercise_id]
        namespace = {"__name__": "__main__", **imported}
        return checked(execute(textwrap.dedent(source), namespace)[name])

    return of


class TestStored(StoredExercises):
    notebook = "03_freeze_the_weights.ipynb"
    checks = CHECKS


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
    result = outcome("freeze/constant-bytes", OVER_CONSTANTS.format(expression))
    assert result.status == "wrong"
    assert told in result.advice


def test_the_bytes_of_the_classifier_are_told_when_it_is_right(outcome, notebook_03):
    source = solution_code(notebook_03, "freeze/constant-bytes")
    assert "15,272 bytes" in outcome("freeze/constant-bytes", source).advice


def test_a_weight_of_constants_that_raises(outcome):
    source = "def constant_bytes(function): return function.as_graph_def().node.nbytes"
    result = outcome("freeze/constant-bytes", source)
    assert result.status == "raised"
    assert "AttributeError" in result.advice


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
    result = outcome(
        "freeze/assigning-nodes",
        f"""
        def assigning_nodes(function):
            nodes = function.graph.as_graph_def().node
            return {expression}
        """,
    )
    assert result.status == "wrong"
    assert told in result.advice


def test_a_list_of_nodes_that_is_made_up(outcome, notebook_03):
    source = solution_code(notebook_03, "freeze/assigning-nodes")
    padded = source.replace("return [", 'return ["AssignAddVariableOp"] or [')
    assert outcome("freeze/assigning-nodes", padded).status == "wrong"


def test_nodes_named_in_a_function_that_only_reads(outcome, notebook_03):
    solution = solution_code(notebook_03, "freeze/assigning-nodes")
    source = f"""{solution}

right = assigning_nodes

def assigning_nodes(function):
    return right(function) or [function.graph.as_graph_def().node[0].name]
"""
    result = outcome("freeze/assigning-nodes", source)
    assert result.status == "wrong"
    assert "only reads" in result.advice


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


@pytest.mark.parametrize(
    ("before", "call", "returned", "told"),
    [
        ("", "model(x, training=True)", CONCRETE, "3 nodes, in drop and normalize"),
        ("model.trainable = False", "model(x, training=True)", CONCRETE, "1 node, in drop"),
        ("", "model(x, training=False)", "function", "get_concrete_function"),
        ("", "model(x, training=False)", "model", "concrete function"),
        ("", "model(x, training=False)", f"freeze({CONCRETE})", "before freezing"),
        ("", "model.layers[1](x)", CONCRETE, "whole model"),
        ("", "model(x, training=False) * 2", CONCRETE, "something else"),
    ],
)
def test_wrong_functions_to_serve(outcome, before, call, returned, told):
    source = SERVING.format(before=before or "pass", call=call, returned=returned)
    result = outcome("freeze/serving-function", source)
    assert result.status == "wrong"
    assert told in result.advice


def test_the_default_mode_is_as_good(outcome):
    source = SERVING.format(before="pass", call="model(x)", returned=CONCRETE)
    assert outcome("freeze/serving-function", source).status == "right"


def test_a_function_that_serves_one_row_only(outcome):
    one_row = CONCRETE.replace("None", "1")
    source = SERVING.format(before="pass", call="model(x, training=False)", returned=one_row)
    result = outcome("freeze/serving-function", source)
    assert result.status == "wrong"
    assert "(1, 4)" in result.advice


def test_an_empty_list_of_nodes_is_no_proof(outcome, notebook_03):
    source = solution_code(notebook_03, "freeze/assigning-nodes")
    assert "not a proof" in outcome("freeze/assigning-nodes", source).advice


def test_a_function_to_serve_without_a_spec(outcome):
    source = SERVING.format(
        before="pass", call="model(x)", returned="function.get_concrete_function()"
    )
    assert outcome("freeze/serving-function", source).status == "raised"


def test_a_function_to_serve_that_calls_nothing(outcome):
    source = "def serving_function(model):\n    model.trainable = False"
    result = outcome("freeze/serving-function", source)
    assert result.status == "wrong"
    assert "return" in result.advice
