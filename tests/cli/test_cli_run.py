"""``workbook run``: what it makes of the parameters on its command line."""

import pytest

from workbook_lib import cli, runs


class Report:
    ok = True

    def __init__(self, folder):
        self.folder = folder

    def text(self):
        return "ran"


@pytest.fixture
def given(monkeypatch, tmp_path):
    """The parameters that a command line gives to the notebooks."""
    seen = {}

    def run_notebooks(notebooks, folder, parameters, on_start, jobs):
        seen.update(parameters)
        return Report(folder)

    monkeypatch.setattr(runs, "run_notebooks", run_notebooks)
    monkeypatch.chdir(tmp_path)

    def given(*words):
        assert cli.main(["run", "--output", str(tmp_path / "out"), *words]) == 0
        return seen

    return given


def test_a_path_is_seen_from_where_the_user_stands(given, tmp_path):
    """The notebooks run in their own folder, where the same words would name something else."""
    seen = given("-p", "model", "models/mine", "-p", "inputs", "calls.npz", "-p", "output", "made")
    assert seen["model"] == str(tmp_path / "models" / "mine")
    assert seen["inputs"] == str(tmp_path / "calls.npz")
    assert seen["output"] == str(tmp_path / "made")


def test_other_values_are_python_or_text(given):
    seen = given("-p", "steps", "20", "-p", "target", "micro", "-p", "inputs", "")
    assert seen == {"steps": 20, "target": "micro", "inputs": ""}
