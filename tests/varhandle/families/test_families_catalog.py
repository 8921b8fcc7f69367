"""The registry of families, and the reproductions as one script."""

import ast
import json
import os
import subprocess
import sys
import time
from importlib import import_module, metadata
from pathlib import Path

import pytest
from family_checks import case_test

from varhandle import reproduction
from varhandle.facts.releases import measured_releases, minor
from varhandle.families import catalog
from varhandle.families.catalog import CASES, FAMILIES, family
from varhandle.matrix.version_matrix import label
from varhandle.repair.steps import STEPS
from varhandle.reproduction import reproduce, script
from varhandle.sandbox import OpError

FAMILY_TESTS = Path(catalog.__file__).parent / "tests"
RELEASE = metadata.version("tensorflow")

#: Ids that other programs rely on.
FAMILY_IDS = {
    *("unfrozen-graph", "freezer-lost-variable", "frozen-but-assigned", "keras3-export"),
    *("gather-from-frozen-table", "not-immutable", "constant-folding-failed", "flex-variable"),
    *("uninitialised-variable", "runtime-too-old", "quantised-state", "other-resource"),
    *("shared-or-dynamic-state", "unsupported-variable-dtype", "unsupported-variable-update"),
    "micro-needs-store",
}

#: It converts and runs, and nothing says a word: no log shows it.
SILENT = {"lost-activation", "clamped-infinity"}

#: What the programs do that belong to no family; those of a family stand in its own test.
OF_NO_FAMILY = {
    "read-only": "works",
    "float16-state-custom-ops": "load: RuntimeError: unresolved custom op: VarHandleOp",
    "optimizer-step": "works",
    "embedding-assigned": "works",
    "article-example-1": "build: InvalidArgumentError: Incompatible shapes: [10,128] vs. [10,10]",
    "article-example-1-mended": "works",
    "article-example-2": "works",
    "article-example-3": "works",
}
test_a_case_does_what_it_is_for = case_test(None, OF_NO_FAMILY)


def test_every_case_is_held_to_something():
    """A family's own test names its cases."""
    held = "".join(path.read_text("utf-8") for path in FAMILY_TESTS.glob("test_*.py"))
    assert {case for case in CASES if f'"{case}"' not in held} == set(OF_NO_FAMILY)


def test_the_structured_errors_come_along(reproduced):
    errors = reproduced("float16-state").errors
    assert OpError("tf.VarHandleOp", "ERROR_NEEDS_FLEX_OPS") in errors


def _abort(_):
    os.abort()


def _sleep(_):
    time.sleep(60)


def test_a_case_that_dies_is_a_record(monkeypatch):
    monkeypatch.setattr(reproduction, "_run_case", _abort)
    seen = reproduce("read-only")
    assert (seen.outcome, seen.record.exit_signal) == ("crash", "SIGABRT")


def test_a_case_that_hangs_is_not_called_a_crash(monkeypatch):
    monkeypatch.setattr(reproduction, "_run_case", _sleep)
    assert reproduce("read-only", timeout=1).text().startswith("read-only: timed out")


def test_an_unknown_case_is_named():
    with pytest.raises(KeyError, match="no-such-case"):
        reproduce("no-such-case")


def test_the_families_of_the_contract_are_there():
    assert len(FAMILY_IDS) == 16
    assert {entry.id for entry in FAMILIES} >= FAMILY_IDS


@pytest.mark.parametrize("entry", FAMILIES, ids=lambda entry: entry.id)
def test_a_family_is_a_module_with_its_test_beside_it(entry):
    stem = entry.id.replace("-", "_")
    assert import_module(f"varhandle.families.{stem}").FAMILY is entry
    assert (FAMILY_TESTS / f"test_{stem}.py").exists()
    assert family(entry.id) is entry
    for sentence in (entry.what, entry.cause):
        assert sentence.endswith(".")
    assert bool(entry.log_rule or entry.log_meanings) != (entry.id in SILENT)
    for last, advice in entry.older:
        assert minor(last) < minor(RELEASE)  # what helps today is no older release's
        assert advice[0].islower()
        assert advice.endswith(".")
    assert list(entry.older) == sorted(entry.older, key=lambda pair: minor(pair[0]))
    assert entry.repair_step is None or entry.repair_step in STEPS


def test_the_registry_is_the_folder():
    """A module with a FAMILY is a family, and nothing else makes one."""
    folder = Path(catalog.__file__).parent
    with_family = {
        path.stem for path in folder.glob("*.py") if "\nFAMILY = " in path.read_text("utf-8")
    }
    assert {entry.id.replace("-", "_") for entry in FAMILIES} == with_family
    orders = [entry.order for entry in FAMILIES]
    assert orders == sorted(set(orders))


def test_a_family_has_its_own_cases():
    shown = [case.id for entry in FAMILIES for case in entry.cases]
    assert len(set(shown)) == len(shown)
    assert set(shown) <= set(CASES)
    # A model shows nothing that could not be tried on a release; a device or a log alone may.
    assert {f.id for f in FAMILIES if f.graph_rules and not f.cases} == {
        "micro-needs-store",
        "unwritten-output",
    }


def test_the_script_stands_alone(tmp_path):
    """Old releases run it with TensorFlow and nothing of this project, TensorFlow 1.15 on 3.6."""
    tree = ast.parse(script(), feature_version=(3, 6))
    # TensorFlow 1.15 to 2.3 write annotations into a SavedModel: "No encoder for object".
    assert not [node for node in ast.walk(tree) if getattr(node, "annotation", None)]
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {getattr(node, "module", None) or node.names[0].name for node in imports}
    assert names - set(sys.stdlib_module_names) == {"numpy", "tensorflow"}
    program = tmp_path / "script.py"
    ours = ("varhandle", "workbook_lib", "warm_kernels", "workshop")
    hidden = f"import sys\nsys.modules.update(dict.fromkeys({ours}))\n"
    program.write_text(hidden + script(), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, program, *CASES], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    told = [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("CASE ")]
    assert [one["id"] for one in told] == list(CASES)
    column = next(one["results"] for one in measured_releases() if one["version"] == RELEASE)
    assert {one["id"]: label(one) for one in told} == column
