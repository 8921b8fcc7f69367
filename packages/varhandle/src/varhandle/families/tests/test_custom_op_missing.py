"""A custom op in a file, for which the runtime was given no kernel."""

import pytest
from family_checks import ids, log_test

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("custom-op-missing")
REFUSED = (
    "RuntimeError: Encountered unresolved custom op: {0}.Node number 0 ({0}) failed to prepare."
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        REFUSED.format("StridedSlice"),
        "Encountered unresolved custom op: TFLite_Detection_PostProcess.",
        "Didn't find custom op for name 'TFLite_Detection_PostProcess' with version 1\n"
        "Registration failed.",
        "Failed to initialize op resolver for calibration:\nThere are unresolved custom ops: [A]",
        "TFLite Warning: Encountered unresolved custom op: %s.\nException: Ops not found.",
        "Encountered an unresolved custom op. Did you miss a custom op or delegate?",
    ],
)


@pytest.mark.parametrize(
    ("op", "family", "word"),
    [
        ("edgetpu-custom-op", "delegate-refused", "libedgetpu"),
        ("ethos-u", "delegate-refused", "AddEthosU"),
        ("DISPATCH_OP", "delegate-refused", "NPU"),
        ("TFText>WhitespaceTokenizeWithOffsetsV2", "custom-op-missing", "tensorflow_text"),
        ("WordpieceTokenizeWithOffsets", "custom-op-missing", "tensorflow_text"),
        ("TFText>NgramsStringJoin", "custom-op-missing", "tensorflow_text"),
        ("VarHandleOp", "unsupported-variable-dtype", "float32"),
        ("FlexErf", "flex-op-missing", "Flex"),
    ],
)
def test_what_helps_depends_on_the_op(op, family, word):
    log = REFUSED.format(op)
    assert ids(log) == [family]
    (match,) = explain(log).matches
    assert word in match.fix
    assert op in match.message


def test_an_accelerators_part_that_fails_by_itself():
    log = "RuntimeError: Internal: Unsupported data type in custom op handler: 0Node number 0"
    assert ids(f"{log} (edgetpu-custom-op) failed to prepare.") == ["delegate-refused"]
