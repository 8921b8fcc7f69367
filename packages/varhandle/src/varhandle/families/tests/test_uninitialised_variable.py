"""A variable that is read, and that nothing has set."""

import pytest
from family_checks import case_test, code_of, counter, file_of, fix_of, log_test, run, severe

from varhandle import diagnose, explain
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


def test_of_a_handle_that_a_function_makes_the_reading_says_what_the_converter_does(specimen_path):
    """It finds no such handle; that of a main graph converts, and the file answers wrongly."""
    path = specimen_path("never_initialized")
    assert diagnose(path).proof.refused
    assert diagnose(path, static=True).verdict == "blocked"


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


def test_a_variable_whose_owner_is_gone_is_told_from_one_in_another_session():
    line = "FAILED_PRECONDITION: Could not find variable {}. This could mean that the variable has"
    (gone,) = explain(f"{line.format('_AnonymousVar523')} been deleted.").matches
    session = 'File "tensorflow/python/client/session.py", line 1375\n'
    (other,) = explain(f"{session}{line.format('dense/kernel')} been deleted.").matches
    (plain,) = explain(f"{line.format('dense/kernel')} been deleted.").matches
    assert "deleted the object that owned it" in gone.message
    assert "session.as_default()" in other.fix
    assert plain.fix == FAMILY.fix


def test_the_owner_is_kept(tf, tmp_path):
    (match,) = explain("Could not find variable _AnonymousVar523. FAILED_PRECONDITION").matches
    module = counter(tf)
    tf.saved_model.save(module, str(tmp_path), signatures=module.__call__)
    inputs = {"x": tf.ones(4)}
    names = run(code_of(match.fix), tf=tf, folder=str(tmp_path), inputs=inputs)
    assert names["answer"]["y"].numpy().tolist() == [1, 1, 1, 1]
