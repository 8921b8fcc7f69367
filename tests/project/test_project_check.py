"""Which tests ``make check`` runs for a change."""

import json

import changed
import pytest


@pytest.fixture
def chosen(tmp_path, monkeypatch):
    """Return a function: what is run, and what is left, where no test has been timed but these."""

    def of(path, **seconds):
        known = tmp_path / "durations.json"
        known.write_text(json.dumps(seconds))
        monkeypatch.setattr(changed, "DURATIONS", known)
        return changed.choose(changed.distances([path]), [path])

    return of


@pytest.mark.parametrize(
    ("path", "test"),
    [
        (
            "packages/varhandle/src/varhandle/evaluate/parity.py",
            "tests/varhandle/evaluate/test_evaluate_parity.py",
        ),
        (
            "packages/varhandle/src/varhandle/families/tensor_list.py",
            "packages/varhandle/src/varhandle/families/tests/test_tensor_list.py",
        ),
        ("workbook_lib/controls/recipes.py", "tests/controls/test_controls_recipes.py"),
        ("notebooks/26_run_it.ipynb", "tests/lesson/test_run_it.py"),
    ],
)
def test_the_test_that_is_named_for_a_file_comes_first(chosen, path, test):
    run, left = chosen(path)
    assert test in run[:2]
    assert not set(run) & set(left)
    assert len(run) <= changed.SECONDS / changed.UNKNOWN


def test_what_imports_it_indirectly_comes_later(chosen):
    steps = changed.distances(["packages/varhandle/src/varhandle/sandbox/plain_data.py"])
    assert steps["tests/varhandle/sandbox/test_sandbox_lock.py"] == 1
    assert steps["tests/varhandle/repair/test_repair_cure.py"] > 1


def test_a_test_that_takes_too_long_is_left_unless_it_was_changed(chosen):
    slow = {"tests/varhandle/evaluate/test_evaluate_parity.py": 1000.0}
    path = "packages/varhandle/src/varhandle/evaluate/parity.py"
    assert set(slow) <= set(chosen(path, **slow)[1])
    (test,) = slow
    assert test in chosen(test, **slow)[0]


def test_what_lies_in_no_package_is_tested_by_the_project(chosen):
    run, left = chosen("Makefile")
    assert {"tests/project/test_project_make.py"} <= {*run, *left}
    assert all(name.startswith("tests/project/") for name in (*run, *left))
