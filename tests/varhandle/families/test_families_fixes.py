"""What all fixes have in common; the fixes of one family are run in its own test."""

import shlex

import numpy as np
import pytest
from family_checks import code_of, counter, run

from varhandle import check_parity, explain
from varhandle.families import code, keras3_export, uninitialised_variable
from varhandle.families.catalog import FAMILIES

FIXES = {family.id: family.fix for family in FAMILIES}
FIX_OTHER_KERAS = keras3_export._OTHER_KERAS
FIX_SESSION = uninitialised_variable._IN_SESSION

# A shell's line, and C++.
NOT_PYTHON = {
    *("runtime-too-old", "micro-needs-store", "micro-arena-too-small", "micro-op-not-registered"),
    *("package-conflict", "other-tflite-failure", "keras-2-file"),
}

# What is to be done there is no code, or that of a build.
WITHOUT_CODE = {
    *("op-without-builtin", "android-build", "edge-tpu-compiler", "onnx-tensorflow"),
    *("runtime-library-missing", "task-metadata", "tensorflow-js"),
}


@pytest.mark.parametrize("family", sorted(FIXES))
def test_every_fix_is_a_sentence_and_code_that_compiles(family):
    sentence, _, written = FIXES[family].partition("\n\n")
    assert sentence.endswith((".", ":"))
    assert len(sentence) < 350
    assert bool(written) is (family not in WITHOUT_CODE)
    if family not in NOT_PYTHON:
        compile(written, family, "exec")


@pytest.mark.parametrize(
    "family", ["frozen-but-assigned", "gather-from-frozen-table", "not-immutable"]
)
def test_the_owner_is_handed_over(tf, family):
    module = counter(tf)
    names = run(code_of(FIXES[family]), tf=tf, module=module, folder=None)
    content = names["converter"].convert()
    fresh = counter(tf)
    calls = [{"x": np.full(4, i, "float32")} for i in range(3)]
    assert check_parity(fresh.__call__.get_concrete_function(), content, calls).passed


def test_builtin_ops_only(tf):
    module = counter(tf)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.__call__.get_concrete_function()], module
    )
    run(code_of(FIXES["flex-variable"]), tf=tf, converter=converter)
    run(code_of(FIXES["constant-folding-failed"]), converter=converter)
    content = converter.convert()
    names = run(
        code_of(FIXES["quantised-state"]).replace(", calls)", ", made(lifted))"),
        content=content,
        made=lambda lifted: [
            {name: np.full(4, i, "float32") for name in ("x", *lifted.start())} for i in range(3)
        ],
    )
    assert names["quantized"].content


def test_the_fix_is_made_for_the_line():
    (match,) = explain("FailedPreconditionError: Attempting to use uninitialized value w").matches
    assert match.fix == FIX_SESSION
    (match,) = explain("'Model' object has no attribute '_get_save_spec'").matches
    assert match.fix == FIX_OTHER_KERAS
    for number, variables in (("142", True), ("151", False)):
        (match,) = explain(f"Op builtin_code out of range: {number}.").matches
        assert ("lift" in match.fix) is variables
    for op, variables in (("VAR_HANDLE", True), ("QUANTIZE", False)):
        log = f"Didn't find op for builtin opcode '{op}' version '3'. Registration failed."
        (match,) = explain(log).matches
        assert ("lift" in match.fix) is variables
    (match,) = explain("Tensorflow op [a/states1: TFL_VAR_HANDLE] is not supported").matches
    assert "lift" in match.fix


@pytest.mark.parametrize("path", ["a b.tflite", "it's.tflite", "$(touch x).tflite"])
def test_a_path_is_quoted_for_the_shell(path):
    assert shlex.split(code.lift_code(path, None))[2] == path
    assert code.lift_code("a\nb.tflite", None).startswith("varhandle lift $'a\\nb.tflite'")
