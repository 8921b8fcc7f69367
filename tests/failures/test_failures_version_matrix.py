"""The measured matrix: complete, in order, and true for the TensorFlow that runs here."""

import json
import subprocess
import sys
from importlib import metadata

import pytest

from workbook_lib.failures import cases, reproduce, version_matrix
from workbook_lib.show import version_matrix as draw


@pytest.fixture(scope="module")
def matrix():
    return version_matrix.load()


def test_at_least_ten_releases_from_1_15_to_2_21(matrix):
    installed = [entry["version"] for entry in matrix["versions"] if entry["installed"]]
    assert len(installed) >= 10
    assert installed[0].startswith("1.15")
    assert installed[-1].startswith("2.21")


def test_every_release_has_every_case(matrix):
    assert [case["id"] for case in matrix["cases"]] == list(cases.CASES)
    for entry in matrix["versions"]:
        if entry["installed"]:
            assert set(entry["results"]) == set(cases.CASES)
        else:
            assert entry["reason"]


def test_the_installed_release_behaves_as_its_column_says(matrix):
    column = next(
        entry["results"]
        for entry in matrix["versions"]
        if entry["version"] == metadata.version("tensorflow")
    )
    for case in cases.CASES:
        seen = reproduce(case)
        result = {
            "outcome": seen.outcome,
            "stage": seen.stage,
            "exception": seen.exception_type,
            "message": seen.message,
        }
        assert version_matrix.label(result) == column[case], case


def test_it_can_be_drawn(matrix):
    assert "2.21.0" in draw(matrix).text()


def test_a_measured_release_takes_the_place_of_the_old_one_in_order():
    old = {"versions": [{"version": "2.9.3", "installed": False}, {"version": "2.21.0"}]}
    new = version_matrix.merge(
        old, [{"version": "2.10.1"}, {"version": "2.9.3", "installed": True}]
    )
    assert [entry["version"] for entry in new["versions"]] == ["2.9.3", "2.10.1", "2.21.0"]
    assert new["versions"][0]["installed"]


@pytest.mark.parametrize(
    ("result", "outcome", "told"),
    [
        ({"outcome": "works"}, "works", "works"),
        ({"outcome": "wrong"}, "wrong", "wrong answers"),
        ({"outcome": "crash", "message": "LLVM ERROR"}, "crash", "LLVM ERROR"),
        ({"outcome": "absent", "message": "no flag"}, "absent", "no flag"),
        (
            {
                "outcome": "error",
                "stage": "load",
                "exception": "RuntimeError",
                "message": "Encountered unresolved custom op: VarHandleOp.",
            },
            "refused",
            "Encountered unresolved custom op",
        ),
        (
            {"outcome": "error", "stage": "build", "exception": "TypeError", "message": "T [[1.2"},
            "error",
            "build: TypeError: T",
        ),
    ],
)
def test_a_label_says_what_gave_it_away(result, outcome, told):
    cell = version_matrix.label(result)
    assert cell["outcome"] == outcome
    assert told in cell["label"]
    assert "1.2" not in cell["label"]  # random values do not belong into a stored file


def test_a_case_that_kills_its_process_does_not_end_the_measurement(tmp_path, monkeypatch):
    script = tmp_path / "cases.py"
    script.write_text(
        "import json, os, sys\n"
        "for name in sys.argv[1:]:\n"
        "    if name == 'float32-state': os.abort()\n"
        "    print('CASE ' + json.dumps({'id': name, 'outcome': 'works'}), flush=True)\n"
    )
    monkeypatch.setattr(version_matrix, "_SCRIPT", script)
    from pathlib import Path

    results = version_matrix._run_cases(Path(sys.executable))
    assert results["float32-state"]["outcome"] == "crash"
    assert {cell["outcome"] for name, cell in results.items() if name != "float32-state"} == {
        "works"
    }


def test_a_case_that_hangs_does_not_either(tmp_path, monkeypatch):
    script = tmp_path / "cases.py"
    script.write_text(
        "import json, sys, time\n"
        "for name in sys.argv[1:]:\n"
        "    if name == 'slice-assign': time.sleep(600)\n"
        "    print('CASE ' + json.dumps({'id': name, 'outcome': 'works'}), flush=True)\n"
    )
    monkeypatch.setattr(version_matrix, "_SCRIPT", script)
    monkeypatch.setattr(version_matrix, "_TIMEOUT_SECONDS", 2)
    from pathlib import Path

    results = version_matrix._run_cases(Path(sys.executable))
    assert "still running" in results["slice-assign"]["label"]
    assert results["unfrozen-graph"]["outcome"] == "works"


def test_without_uv_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(version_matrix.shutil, "which", lambda _: None)
    assert version_matrix.main(["2.21.0"]) == 2
    assert "uv" in capsys.readouterr().err


def test_the_script_prints_a_line_a_case():
    done = subprocess.run(
        [sys.executable, cases.__file__, "read-only"], capture_output=True, text=True, check=True
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("CASE "))
    assert json.loads(line.removeprefix("CASE "))["outcome"] == "works"
