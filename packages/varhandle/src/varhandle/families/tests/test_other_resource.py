"""A resource that is no variable (a table, an iterator), or a tool that is no TensorFlow."""
# ruff: noqa: E501

import pytest
from family_checks import case_test, code_of, ids, log_test, run

from varhandle import explain
from varhandle.families import other_resource
from varhandle.families.catalog import family

FAMILY = family("other-resource")

test_a_case_does_what_it_is_for = case_test(
    FAMILY, {"hash-table": "convert: ConverterError: 'tf.HashTableV2' op is neither"}
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "Not found: Resource localhost/table_72/N10tensorflow6lookup15LookupInterfaceE does not exist.",
        "Not found: Resource localhost/table_72/class tensorflow::lookup::LookupInterface does not exist.",
        "See https://www.tensorflow.org/lite/guide/ops_custom\nCustom ops: HashTableV2",
    ],
)


def test_a_table_becomes_a_constant(tf):
    owner = tf.Module()
    names = run(code_of(FAMILY.fix), tf=tf, self=owner, values=[5, 7], indices=[1])
    assert names["answer"].numpy().tolist() == [7]
    run(code_of(family("shared-or-dynamic-state").fix), tf=tf, self=owner, units=3)
    assert owner.state.shape == (1, 3)


def test_a_table_of_numbers_is_two_constants(tf):
    keys, values = tf.constant([3, 5, 9]), tf.constant([1.0, 2.0, 3.0])
    names = {"keys": keys, "values": values, "default": -1.0}
    for x, wanted in ((5, 2.0), (6, -1.0), ([[5], [9], [4]], [[2.0], [3.0], [-1.0]])):
        found = run(other_resource.TABLE_AS_TENSORS, x=tf.constant(x), **names)["found"]
        assert found.numpy().tolist() == wanted


@pytest.mark.parametrize("what", ["resource", "object"])
def test_a_table_that_nobody_owns_is_called_a_table(what):
    line = (
        f'Tried to export a function which references untracked {what} Tensor("{{}}", shape=(),'
        " dtype=resource)."
    )
    (table,) = explain(line.format("init/hash_table:0")).matches
    assert table.id == FAMILY.id
    assert "table" in table.message
    assert ids(line.format("5486:0")) == ["uninitialised-variable"]


def test_a_table_that_tf2onnx_does_not_take():
    types = "make_sure failure: Only lookup tables of type string->int64 are currently supported."
    name = "make_sure failure: Could not determine table shared name for node a/LookupTableFindV2"
    assert ids(types) == ids(name) == [FAMILY.id]
    assert "a/LookupTableFindV2" in explain(name).matches[0].message
