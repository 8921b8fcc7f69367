"""A variable that is read, and that nothing has set."""

import pytest
from family_checks import case_test, file_of, fix_of, log_test, run, severe

from varhandle.families.catalog import family, find

FAMILY = family("uninitialised-variable")

test_a_case_does_what_it_is_for = case_test(
    FAMILY, {"untracked-variable": "save: AssertionError: 'untracked' resource"}
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "Resource localhost/dense/kernel/N10tensorflow3VarE does not exist.",
        "FailedPreconditionError: Attempting to use uninitialized value beta1_power",
    ],
)


def test_a_variable_is_owned_by_what_is_saved(tf, specimen_path):
    module = tf.Module()
    run(fix_of(specimen_path("never_initialized"), "uninitialised-variable"), self=module)
    assert [v.name for v in module.variables] == ["lost:0"]
    assert module.lost.shape == [4]


@pytest.mark.parametrize(
    ("graph", "families"),
    [
        (file_of("read"), ("uninitialised-variable",)),
        (file_of("read", "assign"), ("uninitialised-variable",)),
        (file_of("assign", "read"), ()),
        (file_of("assign", "read", "assign"), ()),
        (file_of("read", "assign", initialized=True), ()),
        (file_of("assign"), ()),
    ],
)
def test_a_variable_of_a_file_needs_a_value_before_it_is_read(graph, families):
    assert severe(find(graph), "error") == families
