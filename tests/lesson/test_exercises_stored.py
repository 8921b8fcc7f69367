"""What holds for the exercises of every notebook."""

import importlib
import re

import pytest
from notebook_cells import EXERCISES

every = pytest.mark.parametrize("exercise_id", EXERCISES)


def check_of(exercise_id):
    stored = EXERCISES[exercise_id]
    checks = importlib.import_module(f"workbook_lib.lesson.checks.{stored.notebook[3:]}")
    return getattr(checks, re.match(r"check\.(\w+)\(", stored.check)[1])


@every
def test_the_untouched_stub_is_not_attempted(outcome, exercise_id):
    assert outcome(exercise_id, EXERCISES[exercise_id].stub).status == "not attempted"


@every
def test_the_solution_in_the_notebook_is_right(outcome, exercise_id):
    result = outcome(exercise_id, EXERCISES[exercise_id].solution)
    assert result.status == "right", result.advice


@every
def test_hints_lead_to_the_answer_and_do_not_hold_it(exercise_id):
    check = check_of(exercise_id)
    assert check.id == exercise_id, "a notebook calls the check of the exercise above"
    assert 2 <= len(check.hints) <= 3
    assert not any(EXERCISES[exercise_id].solution in hint for hint in check.hints)


@pytest.mark.parametrize("nonsense", [7, "x", [1, 2], {"a": 1}, object()])
@pytest.mark.parametrize("exercise_id", [id for id, e in EXERCISES.items() if "," not in e.check])
def test_whatever_is_handed_in_gets_a_verdict(exercise_id, nonsense):
    check = check_of(exercise_id)
    assert check(nonsense).status == "wrong"
    assert check(lambda *_: nonsense).status in ("wrong", "raised")
