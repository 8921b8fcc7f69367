"""Every reproduction really triggers its failure; the families are those that the field reports."""

import ast
import json
import subprocess
import sys

import pytest

from varhandle import explain, reproduction
from varhandle.families.catalog import CASES, FAMILIES, family
from varhandle.reproduction import reproduce, script
from varhandle.sandbox import OpError

# case -> outcome, stage, exception, and a part of the message that only this failure has
SEEN_ON_2_21 = {
    "read-only": ("works", "run", "", ""),
    "float32-state": ("works", "run", "", ""),
    "float32-state-flag-off": ("works", "run", "", ""),
    "float16-state": (
        "error",
        "convert",
        "ConverterError",
        "'tf.VarHandleOp' op is neither a custom op nor a flex op",
    ),
    "float16-state-flag-off": (
        "error",
        "convert",
        "ConverterError",
        "'tf.VarHandleOp' op is neither a custom op nor a flex op",
    ),
    "float16-state-select-ops": ("error", "load", "RuntimeError", "Select TensorFlow op(s)"),
    "float16-state-custom-ops": (
        "error",
        "load",
        "RuntimeError",
        "Encountered unresolved custom op: VarHandleOp",
    ),
    "slice-assign": ("error", "convert", "ConverterError", "tf.ResourceStridedSliceAssign"),
    "concrete-function-alone": (
        "error",
        "convert",
        "ValueError",
        "incompatible with expected resource",
    ),
    "keras-in-module": ("wrong", "run", "", ""),
    "article-example-1": (
        "error",
        "build",
        "InvalidArgumentError",
        "Incompatible shapes: [10,128] vs. [10,10]",
    ),
    "article-example-1-mended": ("works", "run", "", ""),
    "article-example-2": ("works", "run", "", ""),
    "article-example-3": ("works", "run", "", ""),
    "unfrozen-graph": ("wrong", "run", "", ""),
    "embedding": ("works", "run", "", ""),
    "embedding-assigned": ("works", "run", "", ""),
    "embedding-concrete-function": ("works", "run", "", ""),
    "cond-read": ("works", "run", "", ""),
    "cond-read-concrete-function": ("works", "run", "", ""),
    "batch-norm-training": (
        "error",
        "convert",
        "ValueError",
        "incompatible with expected resource",
    ),
    "int16-state": (
        "error",
        "convert",
        "ConverterError",
        "'tf.VarHandleOp' op is neither a custom op nor a flex op",
    ),
    "uint32-state": ("error", "convert", "ConverterError", "but got 'tensor<4xui32>'"),
    "string-state": (
        "error",
        "convert",
        "ConverterError",
        "'tf.VarHandleOp' op is neither a custom op nor a flex op",
    ),
    "scatter-update": ("error", "convert", "ConverterError", "tf.ResourceScatter"),
    "optimizer-step": ("works", "run", "", ""),
    "growing-variable": ("wrong", "run", "", ""),
    "two-signatures": ("works", "run", "", ""),
    "int8-state": ("wrong", "run", "", ""),
    "hash-table": ("error", "convert", "ConverterError", "'tf.HashTableV2' op is neither"),
    "untracked-variable": ("error", "save", "AssertionError", "'untracked' resource"),
    "lstm": ("works", "run", "", ""),
    "unfrozen-reference": (
        "error",
        "convert",
        "ConverterError",
        "'tf.VariableV2' op is illegal in a TFLite pipeline",
    ),
    "newer-file": ("works", "run", "", ""),
}

# The families of the field's reports; only a device shows the last of them.
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
    assert set(SEEN_ON_2_21) == set(CASES)


@pytest.mark.parametrize("case", SEEN_ON_2_21)
def test_a_case_does_what_it_is_for(case, reproduced):
    outcome, stage, exception, telling = SEEN_ON_2_21[case]
    seen = reproduced(case)
    assert (seen.outcome, seen.stage, seen.exception_type) == (outcome, stage, exception)
    assert telling in seen.message
    assert case in seen.text()


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


def test_the_families_are_those_of_the_field():
    assert len(FAMILIES) == len(FAMILY_IDS) == 16
    assert {entry.id for entry in FAMILIES} == FAMILY_IDS
    for entry in FAMILIES:
        assert family(entry.id) is entry
        for sentence in (entry.what, entry.cause, entry.cure):
            assert sentence.endswith(".")


def test_a_family_has_its_own_cases():
    shown = [case.id for entry in FAMILIES for case in entry.cases]
    assert len(set(shown)) == len(shown)
    assert set(shown) <= set(CASES)
    assert {entry.id for entry in FAMILIES if not entry.cases} == {"micro-needs-store"}
    # What converts on 2.21 and is shown by no case there fails on other releases only.
    assert {
        entry.id
        for entry in FAMILIES
        if entry.cases and all(SEEN_ON_2_21[case.id][0] == "works" for case in entry.cases)
    } == {
        "freezer-lost-variable",
        "gather-from-frozen-table",
        "not-immutable",
        "constant-folding-failed",
        "runtime-too-old",
    }


@pytest.mark.parametrize(
    ("entry", "case"),
    [
        (entry.id, case.id)
        for entry in FAMILIES
        for case in entry.cases
        if SEEN_ON_2_21[case.id][0] == "error"
    ],
)
def test_what_a_case_says_is_explained_as_its_family(entry, case, reproduced):
    assert explain(reproduced(case).message).matches[0].id == entry


def test_the_script_stands_alone(tmp_path):
    """Old releases run it with TensorFlow and nothing of this project, TensorFlow 1.15 on 3.6."""
    tree = ast.parse(script(), feature_version=(3, 6))
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
    assert {one["id"]: (one["outcome"], one["stage"], one["exception"]) for one in told} == {
        case: seen[:3] for case, seen in SEEN_ON_2_21.items()
    }


HIDES_THE_PROJECT = """
import sys
sys.modules.update(dict.fromkeys(("varhandle", "workbook_lib", "warm_kernels", "workshop")))
"""
