"""The registry of families, and the reproductions as one script."""

import ast
import json
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import pytest

from varhandle import reproduction
from varhandle.facts.releases import measured_releases
from varhandle.families import catalog
from varhandle.families.catalog import CASES, FAMILIES, family
from varhandle.matrix.version_matrix import label
from varhandle.repair.steps import STEPS
from varhandle.reproduction import reproduce, script
from varhandle.sandbox import OpError

FAMILY_TESTS = Path(catalog.__file__).parent / "tests"
RELEASE = metadata.version("tensorflow")

#: What the programs do that belong to no family; those of a family stand in its own test.
OF_NO_FAMILY = {
    "read-only": ("works", "run"),
    "float16-state-custom-ops": (
        "error",
        "load",
        "RuntimeError",
        "unresolved custom op: VarHandleOp",
    ),
    "optimizer-step": ("works", "run"),
    "embedding-assigned": ("works", "run"),
    "article-example-1": (
        "error",
        "build",
        "InvalidArgumentError",
        "Incompatible shapes: [10,128] vs. [10,10]",
    ),
    "article-example-1-mended": ("works", "run"),
    "article-example-2": ("works", "run"),
    "article-example-3": ("works", "run"),
}

#: Ids that other programs rely on; only a device shows the last of them.
FAMILY_IDS = {
    "unfrozen-graph",
    "freezer-lost-variable",
    "frozen-but-assigned",
    "gather-from-frozen-table",
    "not-immutable",
    "constant-folding-failed",
    "keras3-export",
    "uninitialised-variable",
    "flex-variable",
    "runtime-too-old",
    "quantised-state",
    "shared-or-dynamic-state",
    "other-resource",
    "unsupported-variable-dtype",
    "unsupported-variable-update",
    "micro-needs-store",
}


def test_every_case_is_held_to_something():
    """A family's own test names its cases."""
    held = "".join(path.read_text("utf-8") for path in FAMILY_TESTS.glob("test_*.py"))
    assert {case for case in CASES if f'"{case}"' not in held} == set(OF_NO_FAMILY)


@pytest.mark.parametrize("case", OF_NO_FAMILY)
def test_a_case_does_what_it_is_for(case, reproduced):
    outcome, stage, *telling = OF_NO_FAMILY[case]
    seen = reproduced(case)
    assert (seen.outcome, seen.stage) == (outcome, stage)
    assert [seen.exception_type][: len(telling)] == telling[:1]
    assert all(part in seen.message for part in telling[1:])


def test_the_structured_errors_come_along(reproduced):
    errors = reproduced("float16-state").errors
    assert OpError("tf.VarHandleOp", "ERROR_NEEDS_FLEX_OPS") in errors


def test_a_case_that_dies_is_a_record(monkeypatch):
    monkeypatch.setattr(reproduction, "run_case", _abort)
    seen = reproduce("read-only")
    assert (seen.outcome, seen.record.exit_signal) == ("crash", "SIGABRT")


def test_a_case_that_hangs_is_not_called_a_crash(monkeypatch):
    monkeypatch.setattr(reproduction, "run_case", _sleep)
    seen = reproduce("read-only", timeout=1)
    assert seen.outcome == "timed out"
    assert seen.text().startswith("read-only: timed out")


def _sleep(_):
    import time

    time.sleep(60)


def _abort(_):
    import os

    os.abort()


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
    assert entry.log_rule or entry.log_meanings
    assert entry.graph_rules
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


def test_the_families_import_no_tensorflow():
    code = "import sys, varhandle.families.catalog; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_family_has_its_own_cases():
    shown = [case.id for entry in FAMILIES for case in entry.cases]
    assert len(set(shown)) == len(shown)
    assert set(shown) <= set(CASES)
    assert {entry.id for entry in FAMILIES if not entry.cases} == {"micro-needs-store"}


def test_the_script_stands_alone(tmp_path):
    """Old releases run it with TensorFlow and nothing of this project, TensorFlow 1.15 on 3.6."""
    tree = ast.parse(script(), feature_version=(3, 6))
    # TensorFlow 1.15 to 2.3 write annotations into a SavedModel: "No encoder for object".
    assert not [node for node in ast.walk(tree) if getattr(node, "annotation", None)]
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {getattr(node, "module", None) or node.names[0].name for node in imports}
    assert names - set(sys.stdlib_module_names) == {"numpy", "tensorflow"}
    program = tmp_path / "script.py"
    program.write_text(HIDES_THE_PROJECT + script(), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, program, *CASES], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    told = [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("CASE ")]
    assert [one["id"] for one in told] == list(CASES)
    column = next(one["results"] for one in measured_releases() if one["version"] == RELEASE)
    assert {one["id"]: label(one) for one in told} == column


HIDES_THE_PROJECT = """
import sys
sys.modules.update(dict.fromkeys(("varhandle", "workbook_lib", "warm_kernels", "workshop")))
"""
