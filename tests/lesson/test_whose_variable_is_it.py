"""Lesson 15: answers to its exercise, the keys of its predictions, and the cure of its card."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure
from notebook_cells import assert_says

ASSIGNED = "whose_variable_is_it/assigned-by"
ASSIGNS = 'any("Assign" in op.type for op in argument.consumers())'


def assigned(condition, *, source="function", collect="names.add(variable.name)", after="names"):
    """Write an assigned_by with some other condition than the solution's."""
    return f"""
def assigned_by(function):
    names = set()
    for handle, argument in {source}.graph.captures:
        variable = next(each for each in {source}.variables if each.handle is handle)
        if {condition}:
            {collect}
    return {after}
"""


BY_OPS = """
def assigned_by(function):
    inside = {id(argument): handle for handle, argument in function.graph.captures}
    handles = {id(variable.handle): variable.name for variable in function.variables}
    return [
        handles[id(inside[id(op.inputs[0])])]
        for op in function.graph.get_operations()
        if "Assign" in op.type
    ]
"""
WITHOUT_THE_NUMBER = assigned(ASSIGNS, collect="names.add(variable.name.split(':')[0])")


@pytest.mark.parametrize(
    "answer",
    [assigned(ASSIGNS), BY_OPS, WITHOUT_THE_NUMBER, assigned(ASSIGNS, after="sorted(names)")],
    ids=["captures", "ops", "without-the-number", "list"],
)
def test_walks_in_any_style_are_right(outcome, answer):
    result = outcome(ASSIGNED, answer)
    assert result.status == "right", result.advice


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (assigned("True"), "You name `gain`"),
        (assigned('any("Read" in op.type for op in argument.consumers())'), "You name `gain`"),
        (assigned('all("Assign" in op.type for op in argument.consumers())'), "You miss `total`"),
        (assigned('any("AssignVariableOp" in op.type for op in argument.consumers())'),
         "You find nothing"),
        (assigned('any(op.type == "AssignAddVariableOp" for op in argument.consumers())'),
         "not for another function. You find nothing"),
        (assigned('any(op.type.startswith("Assign") for op in argument.consumers())'),
         "not for another function. You miss `seen`"),
        (assigned('"Assign" in argument.consumers()[-1].type'), "You miss `total`"),
        (assigned('"Assign" in argument.name'), "not for another function"),
        (assigned('"ssign" in variable.name or ' + ASSIGNS), "You name `AssignedNever`"),
        (assigned(ASSIGNS, source="step"), "not for another function"),
        (assigned(ASSIGNS, collect="names.add(variable.ref())"), "as text"),
        (assigned(ASSIGNS, collect="names.add(argument.name)"), "is no variable"),
        (assigned(ASSIGNS, after="[v for v in function.variables if v.name in names]"),
         "variables themselves"),
        (assigned(ASSIGNS, after="', '.join(names)"), "a set of names"),
        (assigned(ASSIGNS, after="len(names)"), "a set of names"),
        (assigned(ASSIGNS, after="dict.fromkeys(names)"), "a set of names"),
        (assigned(ASSIGNS, after="print(names)"), "returned `None`"),
        ("def assigned_by(function): return {'total:0', 'calls:0'}", "not for another function"),
        ("def assigned_by(function): return [v.name for v in function.variables]",
         "You name `gain`"),
        ("def assigned_by(function): return set()", "You find nothing"),
    ],
)  # fmt: skip
def test_walks_that_name_too_few_or_too_many(outcome, answer, told):
    assert_says(outcome(ASSIGNED, answer), told)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (assigned("argument.consumers.type"), "AttributeError"),
        (assigned("any('Assign' in op for op in argument.consumers())"), "TypeError"),
        (assigned(ASSIGNS).replace("each.handle is handle", "each is handle"), "StopIteration"),
        (
            assigned(ASSIGNS).replace("in function.variables", "in step.variables"),
            "not for another function. StopIteration",
        ),
    ],
)
def test_a_walk_that_raises_is_said_to(outcome, answer, told):
    assert_says(outcome(ASSIGNED, answer), told, "raised")


@pytest.mark.parametrize("owned", [True, False])
def test_the_cure_of_the_card_gives_the_variable_an_owner(tf, tmp_path, owned):
    """A variable without an owner cannot be saved; as an attribute it is, and the file has it."""
    cured = run_cure("whose_variable_is_it", lines=slice(3))["Service"]
    scale = tf.Variable([2.0], name="scale")
    module = cured(scale) if owned else tf.Module()
    module.answer = tf.function(lambda x: scale * x, input_signature=[tf.TensorSpec([4])])
    if not owned:
        with pytest.raises(AssertionError, match="untracked"):
            tf.saved_model.save(module, str(tmp_path), signatures=module.answer)
        return
    tf.saved_model.save(module, str(tmp_path), signatures=module.answer)
    content = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path)).convert()
    [answer] = (
        Interpreter(model_content=content).get_signature_runner()(x=np.ones(4, np.float32)).values()
    )
    assert answer.tolist() == [2, 2, 2, 2]
