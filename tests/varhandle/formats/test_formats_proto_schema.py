"""The hand-written message table against TensorFlow's own descriptors."""

from varhandle.formats.proto_schema import MESSAGES, dtype_of_number


def _tensorflow_messages():
    """Return TensorFlow's message descriptors by their last name; map entries come with them."""
    from tensorflow.core.framework import variable_pb2
    from tensorflow.core.protobuf import saved_model_pb2, tensor_bundle_pb2

    found = {}
    waiting = [
        saved_model_pb2.SavedModel.DESCRIPTOR,
        variable_pb2.VariableDef.DESCRIPTOR,
        tensor_bundle_pb2.BundleHeaderProto.DESCRIPTOR,
        tensor_bundle_pb2.BundleEntryProto.DESCRIPTOR,
    ]
    while waiting:
        message = waiting.pop()
        if message.full_name not in found:
            found[message.full_name] = message
            waiting.extend(f.message_type for f in message.fields if f.message_type)
    return {message.name: message for message in found.values()}


def _kind(field) -> str:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = field.message_type.fields
        return f"map of {_kind(key)} to {_kind(value)}"
    if field.message_type is not None:
        return field.message_type.name
    # An enum is an int32 on the wire, and is declared as one here.
    return str(field.TYPE_INT32 if field.type == field.TYPE_ENUM else field.type)


OF_SERVING = {"PredictionLog", "PredictLog", "PredictRequest", "ModelSpec"}
"""Those of TensorFlow Serving, which is not installed: a test writes such a file by hand."""


def test_every_field_is_tensorflows():
    theirs = _tensorflow_messages()
    for name, message in MESSAGES.items():
        if name in OF_SERVING:
            continue
        for ours in message.DESCRIPTOR.fields:
            field = theirs[name].fields_by_name[ours.name]
            place = f"{name}.{ours.name}"
            assert ours.number == field.number, place
            assert ours.is_repeated == field.is_repeated, place
            assert _kind(ours) == _kind(field), place
            assert bool(ours.containing_oneof) == bool(field.containing_oneof), place


def test_dtype_names_are_tensorflows(tf):
    from tensorflow.core.framework import types_pb2

    for name, number in types_pb2.DataType.items():
        if name == "DT_INVALID":
            continue
        try:
            expected = tf.dtypes.as_dtype(number % 100).name
        except TypeError:  # newer than the Python package knows
            continue
        assert dtype_of_number(number) == expected


def test_an_unknown_dtype_has_a_name():
    assert [dtype_of_number(number) for number in (-1, 99)] == ["dtype_-1", "dtype_99"]
