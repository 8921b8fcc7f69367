"""The checkpoint index against TensorFlow's own reader."""

import struct

import pytest

from varhandle.formats.checkpoint import read_checkpoint


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


def test_a_value_beyond_the_end_of_its_data_file_is_not_held(tf, prefix, tmp_path):
    index, data = (prefix.with_name(f"model.{end}") for end in ("index", "data-00000-of-00001"))
    (tmp_path / index.name).write_bytes(index.read_bytes())
    whole = read_checkpoint(prefix)
    assert read_checkpoint(tmp_path / "model") == {}
    content = data.read_bytes()
    (tmp_path / data.name).write_bytes(content[: len(content) // 2])
    assert 0 < len(read_checkpoint(tmp_path / "model")) < len(whole)
    (tmp_path / data.name).write_bytes(content[:-1])
    (cut,) = whole.keys() - read_checkpoint(tmp_path / "model").keys()
    with pytest.raises(IndexError, match="less bytes"):
        tf.train.load_checkpoint(str(tmp_path / "model")).get_tensor(cut)


@pytest.mark.parametrize("content", [b"", b"x" * 47, b"x" * 500])
def test_a_damaged_index_is_an_error(tmp_path, content):
    (tmp_path / "model.index").write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        read_checkpoint(tmp_path / "model")


def _varint(number):
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def _block(*entries):
    """Return a block of entries, each the bytes shared with the key before, the rest, the value."""
    body = b"".join(
        _varint(shared) + _varint(len(rest)) + _varint(len(value)) + rest + value
        for shared, rest, value in entries
    )
    return body + struct.pack("<II", 0, 1)


def _table(index, *blocks, compression=b"\0"):
    """Return a table: its blocks one after another, the index block, and the footer."""
    content = b"".join(block + compression + bytes(4) for block in blocks)
    handle = _varint(len(content)) + _varint(len(index))
    footer = (_varint(0) * 2 + handle).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    return content + index + b"\0" + bytes(4) + footer


def test_a_hand_made_index_is_read(tmp_path):
    """Of two parts, with a value in the second one."""
    block = _block((0, b"", b"\x08\x02"), (0, b"key", b"\x08\x01\x18\x01"))
    index = _block((0, b"key", _varint(0) + _varint(len(block))))
    (tmp_path / "m.index").write_bytes(_table(index, block))
    (tmp_path / "m.data-00000-of-00002").write_bytes(b"")
    assert read_checkpoint(tmp_path / "m") == {}
    (tmp_path / "m.data-00001-of-00002").write_bytes(b"")
    assert [*read_checkpoint(tmp_path / "m")] == ["key"]
    (tmp_path / "m.index").write_bytes(_table(index, block, compression=b"\1"))
    with pytest.raises(ValueError, match="compressed"):
        read_checkpoint(tmp_path / "m")


@pytest.mark.parametrize(
    "place", [(-1, 1), (0, -1), (0, 9), (9, 0)], ids=lambda place: "{} and {}".format(*place)
)
def test_a_value_that_is_nowhere_in_its_data_file_is_not_held(tmp_path, place):
    """As a damaged index says it: with an offset or a size below 0, or too large."""
    offset, size = (_varint(number % 2**64) for number in place)
    entry = b"\x08\x01\x20" + offset + b"\x28" + size
    block = _block((0, b"", b"\x08\x01"), (0, b"bad", entry), (0, b"good", b"\x08\x01\x28\x08"))
    index = _block((0, b"good", _varint(0) + _varint(len(block))))
    (tmp_path / "m.index").write_bytes(_table(index, block))
    (tmp_path / "m.data-00000-of-00001").write_bytes(bytes(8))
    assert [*read_checkpoint(tmp_path / "m")] == ["good"]


def test_a_number_without_an_end(tmp_path):
    footer = b"\xff" * 40 + struct.pack("<Q", 0xDB4775248B80FB57)
    (tmp_path / "m.index").write_bytes(footer)
    with pytest.raises(ValueError, match="without an end"):
        read_checkpoint(tmp_path / "m")


def test_an_index_that_lists_the_same_block_again_and_again(tmp_path):
    """A file of 40 kB that stands for hundreds of millions of entries."""
    block = _block(*[(0, b"k", b"")] * 5000)
    handle = _varint(0) + _varint(len(block))
    (tmp_path / "m.index").write_bytes(_table(_block(*[(0, b"", handle)] * 5000), block))
    with pytest.raises(ValueError, match="overlap"):
        read_checkpoint(tmp_path / "m")


def test_keys_that_share_their_beginning_without_end(tmp_path):
    """A file of some 200 kB that stands for gigabytes of keys."""
    block = _block((0, b"k" * 100_000, b""), *[(100_000, b"x", b"")] * 25_000)
    handle = _varint(0) + _varint(len(block))
    (tmp_path / "m.index").write_bytes(_table(_block((0, b"", handle)), block))
    with pytest.raises(ValueError, match="more than it can hold"):
        read_checkpoint(tmp_path / "m")
