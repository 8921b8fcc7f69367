"""An embedding that is looked up from a table's handle, where the table's value is a constant."""

from types import SimpleNamespace

from family_checks import case_test, fix_of, ids, log_test, run

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("gather-from-frozen-table")

test_a_case_does_what_it_is_for = case_test(
    FAMILY, {"embedding": "works", "embedding-concrete-function": "works"}
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "Exception: Placeholder model/embed/Gather/resource should be specied by input_arrays.",
    ],
)


def test_a_table_that_changes_is_read_before_it_is_looked_up(tf, specimen_path):
    fix = fix_of(specimen_path("gathers_from_a_table_that_changes"), "gather-from-frozen-table")
    owner = SimpleNamespace(table=tf.Variable([[1.0], [2.0], [3.0]]))
    assert run(fix, self=owner, index=[[2]])["rows"].numpy().tolist() == [[3.0]]


def test_a_call_hides_its_node():
    line = "Input 1 of node {} was passed float from {}:0 incompatible with expected resource."
    for node, source in (
        ("StatefulPartitionedCall", "unknown"),
        ("StatefulPartitionedCall/encoder/PartitionedCall_3", "Func/input/_7"),
    ):
        (match,) = explain(line.format(node, source)).matches
        assert match.id == "gather-from-frozen-table"
        assert "hides" in match.message
    assert ids(line.format("StatefulPartitionedCall", "bn/AssignMovingAvg/1")) == [
        "frozen-but-assigned"
    ]
    long = "/".join(["StatefulPartitionedCall"] * 8)
    (match,) = explain(line.format(long, "unknown")).matches
    assert len(match.message) < 230
