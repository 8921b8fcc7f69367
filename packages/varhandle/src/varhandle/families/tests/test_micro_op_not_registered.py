"""TensorFlow Lite Micro, whose resolver was not given an op of the file."""

import pytest
from family_checks import ids, log_test

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("micro-op-not-registered")

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "Didn't find op for builtin opcode 'CONV_2D' version '3'\nFailed to get registration from"
        " op code CONV_2D\nAllocateTensors() failed",
        "Didn't find op for builtin opcode 'AVERAGE_POOL_2D' version '2'. An older version of this"
        " builtin might be supported. Are you using an old TFLite binary with a newer model?\n"
        "Failed to get registration from op code AVERAGE_POOL_2D",
        "Didn't find op for builtin opcode 'CAST' version '1'\nFailed to get registration from op"
        " code  d",
        "Didn't find op for builtin opcode 'QUANTIZE'",
        "Failed to get registration from op code CUSTOM",
        "Couldn't register builtin op #9, resolver size is too small (5).",
        "Couldn't register custom op 'mine', resolver size is too small (5)",
    ],
)


@pytest.mark.parametrize(
    ("op", "method"),
    [
        ("TRANSPOSE", "AddTranspose"),
        ("FULLY_CONNECTED", "AddFullyConnected"),
        ("MAX_POOL_2D", "AddMaxPool2D"),
        ("CONV_3D", "AddConv3D"),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", "AddUnidirectionalSequenceLSTM"),
        ("L2_NORMALIZATION", "AddL2Normalization"),
    ],
)
def test_the_method_that_adds_the_op_is_named(op, method):
    assert f"resolver.{method}();" in explain(f"Didn't find op for builtin opcode '{op}'").text()


def test_another_runtime_is_too_old_and_a_variable_needs_a_store():
    full = (
        "Didn't find op for builtin opcode 'CONV_2D' version '6'. An older version of this builtin"
        " might be supported. Are you using an old TFLite binary with a newer model?\n"
        "Registration failed."
    )
    assert ids(full) == ["runtime-too-old"]
    micro = full.replace("Registration failed.", "Failed to get registration from op code CONV_2D")
    assert ids(micro) == [FAMILY.id]
    assert ids("Failed to get registration from op code VAR_HANDLE") == ["micro-needs-store"]
    assert ids("Didn't find op for builtin opcode 'VAR_HANDLE'") == ["runtime-too-old"]
    assert ids("Didn't find op for builtin opcode 'CAST'\nRegistration failed.") == [
        "runtime-too-old"
    ]
