"""The measured matrix: complete, in order, and true for the TensorFlow that runs here."""

import re
import sys
import threading
from pathlib import Path

import psutil
import pytest

from varhandle.families import catalog
from varhandle.families.base import Family
from varhandle.families.catalog import CASES, FAMILIES
from varhandle.matrix import version_matrix
from varhandle.matrix.environments import Release
from workbook_lib.show import version_grid as draw


@pytest.fixture(scope="module")
def matrix():
    return version_matrix.load()


def test_at_least_ten_releases_from_1_15_to_2_21(matrix):
    installed = [entry["version"] for entry in matrix["versions"] if entry["installed"]]
    assert len(installed) >= 10
    assert installed[0].startswith("1.15")
    assert installed[-1].startswith("2.21")


def test_every_release_has_every_case(matrix):
    assert {case["id"] for case in matrix["cases"]} == set(CASES)
    for entry in matrix["versions"]:
        if entry["installed"]:
            assert entry["results"].keys() <= CASES.keys()
        else:
            assert entry["reason"]
    assert matrix["versions"][-1]["results"].keys() == CASES.keys()


def test_the_stored_file_names_no_machine_and_no_run():
    text = version_matrix.stored_path().read_text(encoding="utf-8")
    assert not re.search(r"/tmp|/home|/root|https?:|0x[0-9a-f]{6}|site-packages|20\d\d-\d\d", text)


def test_the_picture_of_lesson_92_keeps_its_rows(matrix):
    drawn = draw(matrix)
    assert len(drawn.cases) == 14
    assert "2.21.0" in drawn.text()
    assert "hash table looked up" not in drawn.text()


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
        (
            {
                "outcome": "error",
                "stage": "convert",
                "exception": "ConverterError",
                "message": "/some/1.2/ops.py:241:0: error: 'tf.X' op requires a shape\nmore",
            },
            "error",
            "convert: ConverterError: 'tf.X' op requires a shape",
        ),
        *(
            (
                {"outcome": "error", "stage": stage, "exception": "E", "message": "no"},
                "refused",
                f"{stage}: E: no",
            )
            for stage in ("load", "run")
        ),
    ],
)
def test_a_label_says_what_gave_it_away(result, outcome, told):
    cell = version_matrix.label(result)
    assert cell["outcome"] == outcome
    assert told in cell["label"]
    assert "1.2" not in cell["label"]  # random values do not belong into a stored file


def run_cases(lines):
    """Run a program of a few lines in the place of the cases."""
    program = f"""
import json, os, sys, time
for name in sys.argv[1:]:
{lines}
    print('CASE ' + json.dumps({{'id': name, 'outcome': 'works'}}), flush=True)
"""
    return version_matrix._run_cases([sys.executable], program, threading.Event())


def test_a_case_that_kills_its_process_does_not_end_the_measurement():
    results = run_cases("    if name == 'float32-state': os.abort()")
    died = {"outcome": "crash", "label": "the process died: exit code -6"}
    assert results.pop("float32-state") == died
    assert {cell["outcome"] for cell in results.values()} == {"works"}


def test_a_case_that_hangs_does_not_either_and_leaves_no_program(tmp_path, monkeypatch):
    """TensorFlow 1.15 converts in a program of its own, which can hang as well."""
    child = tmp_path / "child"
    monkeypatch.setattr(version_matrix, "_TIMEOUT_SECONDS", 2)
    results = run_cases(
        "    if name == 'slice-assign':\n"
        "        import subprocess\n"
        "        started = subprocess.Popen(['sleep', '60'])\n"
        f"        open({str(child)!r}, 'w').write(str(started.pid))\n"
        "        started.wait()"
    )
    assert results["slice-assign"]["outcome"] == "crash"
    assert "still running" in results["slice-assign"]["label"]
    assert results["newer-file"]["outcome"] == "works"
    left = int(child.read_text())
    assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE


# What issue trackers, release notes and the workbook's own measurements say of a family, release
# by release; not what this library makes of the matrix.
KNOWN = {
    "frozen-but-assigned": ("2.1.4", "2.9.3", "2.21.0"),
    "not-immutable": ("2.4.4", "2.5.3"),
    "keras3-export": ("2.16.2", "2.20.0", "2.21.0"),
    "flex-variable": ("2.20.0", "2.21.0"),
    "runtime-too-old": ("1.15.5", "2.3.4", "2.5.3"),
    "shared-or-dynamic-state": ("2.15.1", "2.21.0"),
    "unsupported-variable-dtype": ("2.6.5", "2.21.0"),
}
SPARED = {
    "not-immutable": ("2.9.3", "2.21.0"),
    "keras3-export": ("2.15.1",),
    "flex-variable": ("2.15.1",),
    "runtime-too-old": ("2.6.5", "2.21.0"),
}


@pytest.mark.parametrize("family", KNOWN)
def test_a_family_fails_where_it_is_known_to(family):
    seen = version_matrix.fails_on(family)
    assert set(KNOWN[family]) <= set(seen.fails)
    assert set(SPARED.get(family, ())) <= set(seen.works)


@pytest.mark.parametrize("family", [entry.id for entry in FAMILIES])
def test_every_case_of_a_family_fails_on_some_release(family):
    seen = version_matrix.fails_on(family)
    assert not set(seen.fails) & set(seen.works)
    for case in seen.cases:
        assert case.versions("error", "refused", "wrong", "crash"), case.id


@pytest.fixture
def family(monkeypatch):
    """A family of the cases that a test names."""

    def of(*ids):
        cases = tuple(CASES[name] for name in ids)
        entry = Family("made-up", 1, "what", "cause", "fix", cases)
        monkeypatch.setattr(catalog, "FAMILIES", (entry,))
        return entry.id

    return of


def made(*outcomes, case="float32-state"):
    return {
        "versions": [
            {
                "version": f"2.{number}.0",
                "installed": outcome is not None,
                "results": {case: {"outcome": outcome}} if outcome else {},
            }
            for number, outcome in enumerate(outcomes)
        ]
    }


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        (["error", "crash", "works"], "fails on 2.0 to 2.1; works from 2.2"),
        (["works", "works", "wrong"], "fails from 2.2; works on 2.0 to 2.1"),
        (["error", "refused"], "fails on every release"),
        (["works", "works"], "works on every release"),
        (["works", "error", "works"], "fails on 2.1; works on 2.0 and 2.2"),
        (["absent", "works"], "works from 2.1; not offered on 2.0"),
        (["error", None, "works"], "fails on 2.0; works from 2.2"),
    ],
)
def test_releases_are_told_in_spans(family, outcomes, told):
    seen = version_matrix.fails_on(family("float32-state"), made(*outcomes))
    counted = sum(outcome is not None for outcome in outcomes)
    assert seen.text() == f"{told} ({counted} releases measured)"


def test_cases_that_differ_are_told_apart(family):
    matrix = made("error", "works")
    for entry, outcome in zip(matrix["versions"], ("works", "works"), strict=True):
        entry["results"]["float32-state-flag-off"] = {"outcome": outcome}
    differing = family("float32-state", "float32-state-flag-off")
    seen = version_matrix.fails_on(differing, matrix)
    assert seen.text().splitlines() == [
        "float32 variable, assigned: fails on 2.0; works from 2.1",
        "float32, assigned, resource variables off: works on every release",
        "(2 releases measured)",
    ]
    assert (seen.fails, seen.works) == (("2.0.0",), ("2.1.0",))


def test_a_release_that_does_not_offer_a_case_is_not_one_that_it_works_on(family):
    seen = version_matrix.fails_on(family("float32-state"), made("absent", "works", "error"))
    assert (seen.fails, seen.works) == (("2.2.0",), ("2.1.0",))


def test_a_family_without_a_case_is_not_measured(family):
    seen = version_matrix.fails_on(family())
    assert seen.text().startswith("not measured")
    assert (seen.fails, seen.works) == ((), ())


def test_an_unknown_family_is_named():
    with pytest.raises(KeyError, match="no-such-family"):
        version_matrix.fails_on("no-such-family")


def test_what_was_measured_once_is_not_lost_to_a_failed_installation():
    old = {"versions": [{"version": "2.9.3", "installed": True, "results": {"x": 1}}]}
    failed = {"version": "2.9.3", "installed": False, "reason": "no network", "results": {}}
    assert version_matrix.merge(old, [failed])["versions"] == old["versions"]


def test_a_release_is_measured_again_on_its_python_if_this_machine_has_it():
    matrix = {"versions": [{"version": "2.9.3", "python": "3.8"}, {"version": "2.8.4"}]}
    here = {"3.10.1": Path("a"), "3.8.18": Path("b")}
    assert version_matrix.releases_of(matrix, here) == (Release("2.9.3", "3.8"), Release("2.8.4"))
    without = {"3.10.1": Path("a")}
    assert version_matrix.releases_of(matrix, without)[0] == Release("2.9.3")


def test_a_file_that_cannot_be_replaced_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "matrix.json"
    path.write_text('{"versions": []}')

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        version_matrix.store({"version": "2.9.3", "installed": True, "results": {}}, path)
    assert [path.name for path in tmp_path.iterdir()] == ["matrix.json"]
    assert path.read_text() == '{"versions": []}'


def test_only_what_a_release_does_otherwise_is_a_difference():
    def measured(**outcomes):
        return {"results": {case: {"outcome": outcome} for case, outcome in outcomes.items()}}

    before = measured(one="ok", two="raised", gone="ok")
    after = measured(one="ok", two="died", new="ok")
    assert version_matrix.differences(before, after) == ("two: was raised, is died",)
