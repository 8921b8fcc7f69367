"""The nodes that the converter wrote down for each operator, read without its schema."""

from types import SimpleNamespace

import flatbuffers
import numpy as np
import pytest

from varhandle.divergence.debug_metadata import ENTRY, node_names
from varhandle.tflite.flatbuffer import op_name, unpack


@pytest.fixture(scope="module")
def convolution(tf):
    import keras

    layers = [keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    model = keras.Sequential([keras.Input((8, 8, 3), batch_size=1), *layers])
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.serialize_debug_metadata = True
    return unpack(converter.convert())


def test_a_fused_operator_has_the_nodes_that_it_was_made_from(convolution):
    names = node_names(convolution, 0)
    assert [name.split("/")[-1] for name in names[0]] == ["Relu", "convolution"]


def test_every_function_has_its_own(tf):
    @tf.function(input_signature=[tf.TensorSpec([2], tf.float32)])
    def branches(x):
        return tf.cond(x[0] > 0, lambda: tf.sin(x), lambda: tf.exp(x))

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [branches.get_concrete_function()], branches
    )
    converter.serialize_debug_metadata = True
    model = unpack(converter.convert())
    for number, subgraph in enumerate(model.subgraphs):
        names = node_names(model, number)
        for place, operator in enumerate(subgraph.operators):
            if op_name(model, operator) in ("SIN", "EXP"):
                (name,) = names[place]
                assert name.rpartition("/")[2].upper() == op_name(model, operator)


@pytest.mark.parametrize("damage", [0, 4, 60, 200])
def test_damaged_metadata_names_nothing_wrong(convolution, damage):
    (entry,) = [one for one in convolution.metadata if one.name == ENTRY]
    buffer = convolution.buffers[entry.buffer]
    whole = np.array(buffer.data, np.uint8)
    sound = node_names(convolution, 0)
    try:
        buffer.data = whole.copy()
        buffer.data[damage : damage + 4] = 255
        assert node_names(convolution, 0) in ({}, sound)
        buffer.data = whole[: len(whole) // 2]
        assert node_names(convolution, 0) == {}
    finally:
        buffer.data = whole


def test_a_file_without_it_has_no_names(counting_file):
    assert node_names(unpack(counting_file), 0) == {}


def _vector(builder, width, items, prepend):
    builder.StartVector(width, len(items), width)
    for item in reversed(items):
        prepend(item)
    return builder.EndVector()


def _table(builder, **slots):
    builder.StartObject(len(slots))
    for slot, value in enumerate(slots.values()):
        builder.PrependUOffsetTRelativeSlot(slot, value, 0)
    return builder.EndObject()


def test_locations_that_share_their_parts_are_read_once_each():
    """Forty fused locations, each of the next one twice, have 2**40 ways to the name."""
    builder = flatbuffers.Builder()

    def tables(items):
        return _vector(builder, 4, items, builder.PrependUOffsetTRelative)

    def numbers(items):
        return _vector(builder, 4, items, builder.PrependUint32)

    def attribute(kind, location):
        builder.StartObject(2)
        builder.PrependUint8Slot(0, kind, 0)
        builder.PrependUOffsetTRelativeSlot(1, location, 0)
        return builder.EndObject()

    fused, name, depth = 3, 4, 40
    parts = [
        attribute(fused, _table(builder, parts=numbers([part + 1, part + 1])))
        for part in range(depth)
    ]
    parts.append(attribute(name, _table(builder, name=builder.CreateString("end@f"))))
    operators = tables([_table(builder, locations=numbers([0]))])
    subgraphs = tables([_table(builder, operators=operators)])
    kinds = _vector(builder, 1, [1] * len(parts), builder.PrependUint8)
    metadata = _table(builder, subgraphs=subgraphs, kinds=kinds, attributes=tables(parts))
    builder.Finish(_table(builder, version=0, metadata=tables([metadata])))
    model = SimpleNamespace(
        metadata=[SimpleNamespace(name=ENTRY, buffer=0)],
        buffers=[SimpleNamespace(data=builder.Output())],
        subgraphs=[SimpleNamespace(operators=[SimpleNamespace(debugMetadataIndex=0)])],
    )
    assert node_names(model, 0) == {0: ("end",)}
