"""A resource that is no variable (a table, an iterator), or a tool that is no TensorFlow."""
# ruff: noqa: E501

from family_checks import case_test, code_of, log_test, run

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
