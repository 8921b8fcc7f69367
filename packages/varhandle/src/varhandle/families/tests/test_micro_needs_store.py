"""TensorFlow Lite Micro, which must be given the variable ops and a store for the variables."""

from family_checks import log_test

from varhandle.families.catalog import family

FAMILY = family("micro-needs-store")

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "Failed to get registration from op code VAR_HANDLE",
    ],
)
