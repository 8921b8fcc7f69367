"""Big constants of GraphDefs and SavedModels: they stay in the file until somebody asks for one."""

import re
import subprocess
import sys

import numpy as np
import pytest

from varhandle.divergence.model_diff import diff_models
from varhandle.formats import format_of, proto_bytes, read_graph
from varhandle.graph import ModelFileError

_DIFF = """
import sys
from varhandle.divergence.model_diff import diff_models

assert diff_models(*sys.argv[1:]).agrees
print(open("/proc/self/status").read())
"""


@pytest.fixture(scope="module")
def frozen(tf, tmp_path_factory):
    """A GraphDef with constants of four dtypes, in the graph and in a function of it."""
    rng = np.random.default_rng(0)
    given = [
        rng.normal(size=(40, 30)).astype(np.float32),
        rng.integers(-100, 100, (300,)).astype(np.int64),
        np.full((40, 30), 2.5, np.float64),
        rng.normal(size=(7, 5)).astype(np.float16),
    ]

    @tf.function(input_signature=[tf.TensorSpec([30, 2])])
    def inner(x):
        return tf.matmul(tf.constant(given[0] + 1, name="inside"), x)

    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [30, 2], name="x")
        for number, value in enumerate(given):
            tf.constant(value, name=f"held_{number}")
        tf.identity(tf.matmul(tf.constant(given[0], name="outside"), x) + inner(x), name="y")
    path = tmp_path_factory.mktemp("frozen") / "frozen.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


@pytest.fixture
def all_is_big(monkeypatch):
    """Let every constant of over 16 bytes count as a big one, in a file of any size."""

    def let():
        monkeypatch.setattr(proto_bytes, "_READ_WHOLE", 0)
        monkeypatch.setattr(proto_bytes, "_BIG_CONSTANT", 16)

    return let


def _held(tf, path):
    """Return what TensorFlow reads of each constant, by name."""
    graph_def = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    nodes = [*graph_def.node, *(n for f in graph_def.library.function for n in f.node_def)]
    return {n.name: tf.make_ndarray(n.attr["value"].tensor) for n in nodes if n.op == "Const"}


def test_values_left_in_the_file_are_those_that_tensorflow_reads(tf, frozen, all_is_big):
    expected, whole = _held(tf, frozen), read_graph(frozen)
    all_is_big()
    graph = read_graph(frozen)
    assert (graph.functions, graph.variables) == (whole.functions, whole.variables)
    assert len(proto_bytes.read_message(frozen, "GraphDef")) < frozen.stat().st_size / 3
    constants = format_of(graph).constants(graph)
    assert {"inside", "outside", "held_3"} <= {name for _, name in constants}
    for (_, name), constant in constants.items():
        value = constant.read()
        assert value.dtype == expected[name].dtype
        np.testing.assert_array_equal(value, expected[name])


def test_a_saved_model_leaves_its_constants_in_the_file(tf, tmp_path, all_is_big):
    value = np.arange(400, dtype=np.float32).reshape(20, 20)
    module = tf.Module()
    module.step = tf.function(
        lambda x: {"y": x + tf.constant(value, name="shift")},
        input_signature=[tf.TensorSpec([20, 20])],
    )
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.step)
    all_is_big()
    graph = read_graph(tmp_path / "saved")
    read = [one.read() for one in format_of(graph).constants(graph).values()]
    assert any(np.array_equal(one, value) for one in read)


def test_damaged_files_are_refused_as_before(frozen, tmp_path, all_is_big):
    content, cut = frozen.read_bytes(), tmp_path / "cut.pb"
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFileError) as expected:
        read_graph(cut)
    all_is_big()
    with pytest.raises(ModelFileError, match=re.escape(str(expected.value))):
        read_graph(cut)


@pytest.mark.parametrize("seed", range(40))
def test_a_changed_byte_changes_no_more_than_where_a_constant_lies(
    frozen, tmp_path, all_is_big, seed
):
    """Whatever is damaged, the file is refused in both ways, or read alike in both."""
    content = bytearray(frozen.read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, len(content), 5):
        content[place] = rng.integers(0, 256)
    path = tmp_path / "changed.pb"
    path.write_bytes(content)

    def said():
        try:
            graph = read_graph(path)
        except ModelFileError as error:
            return str(error)
        values = {
            key: None if (value := one.read()) is None else (value.dtype, value.tobytes())
            for key, one in format_of(graph).constants(graph).items()
        }
        return graph.functions, graph.variables, values

    expected = said()
    all_is_big()
    assert said() == expected


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
def test_the_memory_that_diff_takes_does_not_grow_with_a_frozen_graph(tf, tmp_path):
    """Two graphs of 120 MB, in 15 constants: less than half of one is in memory at once."""

    def write(name, count):
        rng = np.random.default_rng(0)
        graph_def = tf.compat.v1.GraphDef()
        for number in range(count):
            node = graph_def.node.add(name=f"w{number}", op="Const")
            node.attr["dtype"].type = tf.float32.as_datatype_enum
            value = rng.random((2000, 1000), np.float32)
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        path = tmp_path / name
        path.write_bytes(graph_def.SerializeToString())
        return path

    def peak(path):
        command = [sys.executable, "-c", _DIFF, str(path), str(path)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        (line,) = re.findall(r"VmHWM:\s+(\d+) kB", run.stdout)
        return int(line) * 1024

    small, large = write("small.pb", 1), write("large.pb", 15)
    grown = large.stat().st_size - small.stat().st_size
    assert grown > 100_000_000
    assert peak(large) - peak(small) < grown / 2


def test_a_frozen_graph_is_compared_by_what_is_read_of_it(tf, frozen, tmp_path, all_is_big):
    graph_def = tf.compat.v1.GraphDef.FromString(frozen.read_bytes())
    (node,) = [node for node in graph_def.node if node.name == "outside"]
    value = tf.make_ndarray(node.attr["value"].tensor).copy()
    value[3, 4] += 1
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    other = tmp_path / "other.pb"
    other.write_bytes(graph_def.SerializeToString())
    expected = diff_models(frozen, other).as_dict()
    assert [one["name"] for one in expected["variables"] if one["status"] == "changed"] == [
        "outside"
    ]
    all_is_big()
    assert diff_models(frozen, other).as_dict() == expected


def test_a_file_of_many_small_fields_is_not_looked_through(tf, frozen, all_is_big, monkeypatch):
    """What stands behind the last field that is looked at is read as it is, and is the same."""
    expected = _held(tf, frozen)
    all_is_big()
    slim = len(proto_bytes.read_message(frozen, "GraphDef"))
    monkeypatch.setattr(proto_bytes, "_MOST_FIELDS", 12)
    assert slim < len(proto_bytes.read_message(frozen, "GraphDef")) <= frozen.stat().st_size
    graph = read_graph(frozen)
    for (_, name), constant in format_of(graph).constants(graph).items():
        np.testing.assert_array_equal(constant.read(), expected[name])
