"""The checkpoint index against TensorFlow's own reader."""

import pytest

from workbook_lib.graph.checkpoint import read_checkpoint


@pytest.fixture(scope="module")
def prefix(tf, tmp_path_factory):
    """A checkpoint of enough variables for an index of several blocks."""
    variables = {f"group_{i // 100}": {} for i in range(600)}
    for i in range(600):
        dtype = [tf.float32, tf.float16, tf.int64, tf.bool][i % 4]
        value = tf.cast(tf.zeros([i % 5, 2]), dtype)
        variables[f"group_{i // 100}"][f"variable_{i}"] = tf.Variable(value)
    path = tmp_path_factory.mktemp("checkpoint") / "model"
    tf.train.Checkpoint(**variables).write(str(path))
    return path


def test_holds_what_tensorflow_lists(tf, prefix):
    reader = tf.train.load_checkpoint(str(prefix))
    dtypes = reader.get_variable_to_dtype_map()
    expected = {
        key: (dtypes[key].name, tuple(shape))
        for key, shape in reader.get_variable_to_shape_map().items()
    }
    found = {key: (spec.dtype, spec.shape) for key, spec in read_checkpoint(prefix).items()}
    assert len(found) > 600
    assert found == expected


def test_a_value_beyond_the_end_of_its_data_file_is_not_held(prefix, tmp_path):
    index, data = (prefix.with_name(f"model.{end}") for end in ("index", "data-00000-of-00001"))
    (tmp_path / index.name).write_bytes(index.read_bytes())
    whole = read_checkpoint(prefix)
    assert read_checkpoint(tmp_path / "model") == {}
    content = data.read_bytes()
    (tmp_path / data.name).write_bytes(content[: len(content) // 2])
    assert 0 < len(read_checkpoint(tmp_path / "model")) < len(whole)


@pytest.mark.parametrize("content", [b"", b"x" * 47, b"x" * 500])
def test_a_damaged_index_is_an_error(tmp_path, content):
    (tmp_path / "model.index").write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        read_checkpoint(tmp_path / "model")
