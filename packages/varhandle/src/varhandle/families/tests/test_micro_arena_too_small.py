"""TensorFlow Lite Micro, whose arena is too small for the model."""

from family_checks import ids, log_test

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("micro-arena-too-small")

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "Failed to resize buffer. Requested: 19440, available 11876, missing: 7564\n"
        "[E][micro_wake_word:061][mww]: Failed to allocate tensors for the streaming model",
        "Failed to allocate memory. Requested: 40, available 8, missing: 32",
        "Failed to allocate tail memory. Requested: 5072, available 1232, missing: 3840",
        "Failed to allocate temp memory. Requested: 5072, available 1232, missing: 3840",
        "Failed to allocate persistent memory. Requested: 5072, available 1232, missing: 3840",
        "Arena size is too small for all buffers. Needed 627488 but only 203072 was available.\n"
        "AllocateTensors() failed",
        "Arena size is too small for activation buffers. Needed 55296 but only 48232 was"
        " available.\nAllocateTensors() failed",
        "Failed to allocate memory for tensor_info, 1320 bytes required\nAllocateTensors() failed",
        "Failed to allocate memory for context->eval_tensors, 2088 bytes required",
        "Failed to allocate memory for node_and_registrations.\nAllocateTensors() failed",
        "Unable to allocate TfLiteAffineQuantization.\n\nFailed to populate a persistent",
    ],
)


def test_the_sizes_are_told_and_a_store_is_not_asked_for():
    log = "Failed to resize buffer. Requested: 19440, available 11876, missing: 7564"
    (match,) = explain(log).matches
    assert "19440 bytes are asked for, 11876 are free" in match.message
    assert "tensor_arena_size" in match.fix
    log = "Arena size is too small for all buffers. Needed 64 but only 20 was available."
    (match,) = explain(log).matches
    assert "64 bytes are asked for, 20 are free" in match.message
    (match,) = explain("Failed to allocate memory for tensor_info, 1320 bytes required").matches
    assert "1320 bytes are asked for, fewer are free" in match.message
    assert ids("Failed to allocate memory for the picture, 1320 bytes required by the user.") == []
    assert ids(f"VAR_HANDLE (3), READ_VARIABLE (3)\n{log}") == [FAMILY.id]
