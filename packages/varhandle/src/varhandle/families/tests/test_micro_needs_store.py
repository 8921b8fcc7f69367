"""TensorFlow Lite Micro, which must be given the variable ops and a store for the variables."""

import pytest
from family_checks import ids

from varhandle.families.catalog import family

FAMILY = family("micro-needs-store")


@pytest.mark.parametrize(
    "log",
    [
        "Failed to get registration from op code VAR_HANDLE",
    ],
)
def test_it_shows_in_a_log(log):
    assert ids(log)[0] == FAMILY.id
