"""TensorFlow Lite Micro, which must be given the variable ops and a store for the variables."""

from family_checks import log_test

from varhandle.families.catalog import family

FAMILY = family("micro-needs-store")

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "Failed to get registration from op code VAR_HANDLE",
        "Failed to allocate resource variable. Maximum resource variable count (2) reached.\n"
        "Node VAR_HANDLE (number 2) failed to prepare with status 1",
    ],
)
