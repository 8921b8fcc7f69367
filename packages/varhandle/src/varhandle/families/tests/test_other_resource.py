"""A resource that is no variable (a table, an iterator), or a tool that is no TensorFlow."""
# ruff: noqa: E501

from types import SimpleNamespace

import numpy as np
import pytest
import zoo
from family_checks import case_test, code_of, fix_of, ids, log_test, run

from varhandle import explain
from varhandle.conversion.converter import convert
from varhandle.diagnosis import diagnose
from varhandle.evaluate.session import Session
from varhandle.families.catalog import family
from varhandle.formats import read_graph
from varhandle.repair.plan import plan_repair
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


def _looked_up(tf, path, *calls):
    """Rewrite a model, and compare its file with the model itself."""
    rewrite_signatures(str(path), str(path) + "-rewritten", ["serving_default"])
    answer = Session(convert(str(path) + "-rewritten").content)
    wanted = tf.saved_model.load(str(path)).signatures["serving_default"]
    for call in calls:
        (name,) = wanted.structured_input_signature[1]
        told = wanted(**{name: tf.constant(call)})
        assert {k: v.tolist() for k, v in answer(call).items()} == {
            k: v.numpy().tolist() for k, v in told.items()
        }


@pytest.fixture
def word_file(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("cat\ndog\nbird\n")
    return str(path)


WORDS = np.array(["cat", "zebra", "bird"], object)


def _of_file(tf, path):
    whole, line = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    return tf.lookup.TextFileInitializer(path, tf.string, whole, tf.int64, line)


def _saved_look_up(tf, folder, table, dtype):
    module = tf.Module()
    module.table = table
    module.step = tf.function(
        lambda x: {"y": module.table.lookup(x)}, input_signature=[zoo.spec(tf, 3, dtype=dtype)]
    )
    return zoo.save(tf, folder, module, serving_default=module.step)


def test_a_table_of_words_that_a_file_fills_is_filled_from_constants(tf, tmp_path, word_file):
    table = tf.lookup.StaticHashTable(_of_file(tf, word_file), -1)
    path = _saved_look_up(tf, tmp_path, table, "string")
    (found,) = (f for f in diagnose(path, static=True).findings if f.id == FAMILY.id)
    assert found.severity == "error"
    assert "InitializeTableFromTextFileV2" in found.message
    _looked_up(tf, path, WORDS)
    owner = SimpleNamespace(table=table)
    run(found.fix.partition("# Without")[0], tf=tf, self=owner)
    assert owner.table.lookup(tf.constant(WORDS.astype(str))).numpy().tolist() == [0, -1, 2]
    again = _saved_look_up(tf, tmp_path / "again", owner.table, "string")
    assert Session(convert(again).content)(WORDS)["y"].tolist() == [0, -1, 2]


def test_a_table_of_tensorflow_1_that_a_file_fills(tf, tmp_path, word_file):
    v1, path = tf.compat.v1, tmp_path / "saved"
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.string, [3], "x")
        y = tf.lookup.StaticHashTable(_of_file(tf, word_file), -1).lookup(x)
        filling = v1.tables_initializer()
        v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": y}, filling)
    assert not read_graph(path).embedded_code
    _looked_up(tf, path, WORDS)


def test_words_beside_numbers_and_numbers_to_words(tf, tmp_path):
    of = tf.lookup.KeyValueTensorInitializer
    words = tf.lookup.StaticHashTable(of(["cat", "bird"], np.int64([4, 5])), -1)
    names = tf.lookup.StaticHashTable(of(np.int32([4, 5]), ["four", "five"]), "none")
    module = tf.Module()
    module.tables = [words, names]

    def step(x):
        return {"y": names.lookup(tf.cast(words.lookup(x), tf.int32)), "size": words.size()}

    module.step = tf.function(step, input_signature=[zoo.spec(tf, 3, dtype="string")])
    _looked_up(tf, zoo.save(tf, tmp_path, module, serving_default=module.step), WORDS)


@pytest.mark.parametrize("kind", ["mutable", "dense"])
def test_a_table_that_is_never_changed_is_fixed(tf, tmp_path, kind):
    lookup = tf.lookup.experimental
    if kind == "mutable":
        table, keys = lookup.MutableHashTable(tf.string, tf.int64, -1), ["cat", "bird"]
        table.insert(keys, np.int64([1, 2]))
        call = WORDS
    else:
        table, call = lookup.DenseHashTable(tf.int64, tf.float32, -1.0, -5, -6), np.int64([7, 8, 9])
        table.insert(np.int64([7, 9]), np.float32([1, 2]))
    path = _saved_look_up(tf, tmp_path, table, "string" if kind == "mutable" else "int64")
    diagnosis = diagnose(path, static=True)
    assert [f.severity for f in diagnosis.findings if f.id == FAMILY.id] == ["error"]
    assert "Mutable" in diagnosis.findings[0].message
    assert "compare-with-keys" in plan_repair(diagnosis).steps
    _looked_up(tf, path, call)


def test_what_no_signature_calls_may_change_a_table(tf, tmp_path):
    """The function that adapts a layer of Keras 2 counts its tokens in a table."""
    module = tf.Module()
    pairs = tf.lookup.KeyValueTensorInitializer(np.int64([7]), np.int64([1]))
    module.table = tf.lookup.StaticHashTable(pairs, -1)
    module.counts = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, 0)
    module.adapt = tf.function(
        lambda x: (module.counts.insert(x, x), x)[1],
        input_signature=[zoo.spec(tf, 3, dtype="int64")],
    )
    module.step = tf.function(
        lambda x: {"y": module.table.lookup(x)}, input_signature=[zoo.spec(tf, 3, dtype="int64")]
    )
    path = zoo.save(tf, tmp_path, module, serving_default=module.step)
    assert "compare-with-keys" in plan_repair(diagnose(path, static=True)).steps
    _looked_up(tf, path, np.int64([7, 8, 9]))


def test_the_size_of_a_table_of_words_makes_no_other_table_of_it(tf, tmp_path):
    pairs = tf.lookup.KeyValueTensorInitializer(["cat"], np.int64([4]))
    module = tf.Module()
    module.table = table = tf.lookup.StaticHashTable(pairs, -1)
    module.step = tf.function(
        lambda x: {"y": table.lookup(x), "size": table.size()},
        input_signature=[zoo.spec(tf, 3, dtype="string")],
    )
    path = zoo.save(tf, tmp_path, module, serving_default=module.step)
    found = diagnose(path, static=True).findings
    assert [f.severity for f in found if f.id == FAMILY.id] == ["info"]


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
