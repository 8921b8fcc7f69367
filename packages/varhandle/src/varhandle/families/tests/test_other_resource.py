"""A resource that is no variable (a table, an iterator), or a tool that is no TensorFlow."""
# ruff: noqa: E501

import numpy as np
import pytest
import zoo
from family_checks import case_test, code_of, fix_of, ids, log_test, run

from varhandle import explain
from varhandle.conversion.converter import convert
from varhandle.evaluate.session import Session
from varhandle.families.catalog import family
from varhandle.savedmodel.rewrite_signature import CannotRewriteError, rewrite_signatures

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


@pytest.mark.parametrize(
    ("keys", "values", "default"),
    [
        (np.int64([3, 5, 9]), np.int64([1, 2, 3]), 0),
        ([3, 5, 9], [1.5, 2.5, 3.5], -1.0),
        (["a", "bb", "c"], np.int64([1, 2, 3]), -1),
        (np.int32([3, 5, 9]), ["x", "yy", "z"], ""),
        (np.float32([0.5, 2, 4]), np.float16([1, 2, 3]), 9),
    ],
)
def test_a_table_of_any_dtype_is_two_constants(tf, specimen_path, keys, values, default):
    fix = fix_of(specimen_path("numbers_in_a_table"), "other-resource")
    keys, values = tf.constant(keys), tf.constant(values)
    look_up = run(fix)["look_up"]
    table = dict(zip(keys.numpy().tolist(), values.numpy().tolist(), strict=True))
    missing = tf.constant(default, values.dtype).numpy()
    some = tf.concat([keys, keys[:1] if keys.dtype == tf.string else keys[:1] + 1], 0)
    for shape in ([], [1], [1, 1], [2, 3], [0, 2]):
        x = tf.gather(some, np.random.default_rng(0).integers(0, 4, shape))
        found = look_up(x, keys, values, default)
        assert (found.dtype, found.shape) == (values.dtype, x.shape)
        wanted = [table.get(one, missing) for one in np.ravel(x.numpy()).tolist()]
        assert np.ravel(found.numpy()).tolist() == wanted
        listed = look_up(x, keys.numpy().tolist(), values, default)
        assert np.ravel(listed.numpy()).tolist() == wanted


def test_the_case_of_the_field(tf, specimen_path):
    fix = fix_of(specimen_path("numbers_in_a_table"), "other-resource")
    x = tf.constant([[5]], tf.int64)
    assert run(fix)["look_up"](x, [3, 5, 9], [1, 2, 3], 0).numpy().tolist() == [[2]]


def test_a_table_is_rewritten_as_a_comparison_beside_other_updates(tf, tmp_path):
    lookup, module = tf.lookup, tf.Module()
    pairs = lookup.KeyValueTensorInitializer(np.int64([7, 8]), np.float32([0.5, 0.25]))
    module.numbers = lookup.StaticHashTable(pairs, -1.0)
    module.seen = tf.Variable(np.zeros(2, "float32"))

    def step(number):
        module.seen[0].assign(tf.reduce_sum(module.numbers.lookup(number)))
        return {"y": module.seen.read_value(), "size": module.numbers.size()}

    module.step = tf.function(step, input_signature=[zoo.spec(tf, 2, dtype="int64")])
    path = zoo.save(tf, tmp_path, module, serving_default=module.step)
    rewrite_signatures(str(path), str(tmp_path / "rewritten"), ["serving_default"])
    answer = Session(convert(tmp_path / "rewritten").content)
    for numbers, wanted in (([7, 8], 0.75), ([8, 9], -0.75)):
        got = answer(np.int64(numbers))
        assert (got["y"].tolist(), got["size"].item()) == ([wanted, 0.0], 2)


def test_a_table_that_changes_is_not_rewritten(specimen_path, tmp_path):
    path = specimen_path("mutable_table")
    assert "varhandle cure" not in fix_of(path, "other-resource")
    with pytest.raises(CannotRewriteError, match="changes"):
        rewrite_signatures(str(path), str(tmp_path / "rewritten"), ["serving_default"])


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
