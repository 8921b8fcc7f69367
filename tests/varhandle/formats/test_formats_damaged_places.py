"""Places in a file that reading its graph does not look at."""

import struct

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from varhandle.diagnosis import diagnose
from varhandle.divergence.case_folder import write_case
from varhandle.divergence.model_diff import diff_models
from varhandle.formats import read_graph
from varhandle.formats.checkpoint import checkpoint_values
from varhandle.formats.stored_inputs import tensor_metadata
from varhandle.graph import ModelFileError
from varhandle.tflite.flatbuffer import pack, unpack


@pytest.fixture(scope="module")
def content(tf):
    @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32)])
    def scaled(x):
        return x * tf.constant([1.0, 2.0, 3.0, 4.0])

    concrete = [scaled.get_concrete_function()]
    return tf.lite.TFLiteConverter.from_concrete_functions(concrete, scaled).convert()


def test_metadata_in_a_buffer_that_is_far_away(content, tmp_path):
    model = unpack(content)
    entry = schema.MetadataT()
    entry.name, entry.buffer = b"TFLITE_METADATA", 2**31
    model.metadata.append(entry)
    path = tmp_path / "far.tflite"
    path.write_bytes(pack(model))
    assert tensor_metadata(path.read_bytes()) == []
    assert diagnose(path).verdict == "ready"


def test_a_constant_that_lies_far_away(content, tmp_path):
    data = bytearray(content)
    model = schema.Model.GetRootAs(data, 0)
    constant = np.arange(1, 5, dtype=np.float32).tobytes()
    (table,) = (
        model.Buffers(i)._tab
        for i in range(model.BuffersLength())
        if model.Buffers(i).DataLength() and model.Buffers(i).DataAsNumpy().tobytes() == constant
    )
    struct.pack_into("<I", data, table.Pos + table.Offset(4), 0xBF000000)
    sound, damaged = tmp_path / "sound.tflite", tmp_path / "damaged.tflite"
    sound.write_bytes(content)
    damaged.write_bytes(data)
    read_graph(damaged)
    with pytest.raises(ModelFileError, match="damaged or cut short"):
        diff_models(sound, damaged)


def test_a_damaged_checkpoint_of_a_model_without_variables(tf, tmp_path):
    module = tf.Module()
    module.f = tf.function(lambda x: x + 1, input_signature=[tf.TensorSpec([2], tf.float32)])
    tf.saved_model.save(module, tmp_path / "model")
    index = tmp_path / "model" / "variables" / "variables.index"
    index.write_bytes(np.arange(64, dtype=np.uint8).tobytes())
    read_graph(tmp_path / "model")
    with pytest.raises(ModelFileError, match="damaged or cut short"):
        diff_models(tmp_path / "model", tmp_path / "model")
    with pytest.raises(ModelFileError):
        checkpoint_values(index.with_suffix(""))


def test_a_name_in_the_text_for_a_tracker_is_no_markup(tmp_path):
    title = 'call 1, ADD <img src="//example.com">![x](//example.com) @all'
    write_case(tmp_path, "pass\n", title, ["largest difference 1"])
    outside = (tmp_path / "issue.md").read_text().split("```")[::2]
    assert not any("example.com" in part or "@all" in part for part in outside)
