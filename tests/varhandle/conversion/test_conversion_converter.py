"""Conversions, held against TensorFlow's own converter and LiteRT's own reading of the files."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from ai_edge_litert.tools import flatbuffer_utils

from varhandle.conversion.converter import convert, inspect_conversion
from varhandle.evaluate.parity import check_parity
from varhandle.facts.recipes import ConverterSettings
from varhandle.graph import ModelFileError
from varhandle.sandbox import OpError
from workbook_lib.locations import data_path

PLAIN = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
CALL_ONCE = 129  # its number in the schema of TensorFlow Lite


def interpreter_of(content):
    return Interpreter(model_content=content, experimental_op_resolver_type=PLAIN)


@pytest.fixture(scope="module")
def two_signatures(tf, tmp_path_factory):
    """A SavedModel that scales by 2, and by 3."""

    class Scales(tf.Module):
        def __init__(self):
            self.weight = tf.Variable([[2.0]] * 4)

        @tf.function(input_signature=[tf.TensorSpec([1, 4], name="x")])
        def double(self, x):
            return {"y": x @ self.weight}

        @tf.function(input_signature=[tf.TensorSpec([1, 4], name="x")])
        def triple(self, x):
            return {"y": 1.5 * (x @ self.weight)}

    scales, folder = Scales(), tmp_path_factory.mktemp("scales")
    signatures = {"double": scales.double, "triple": scales.triple}
    tf.saved_model.save(scales, str(folder), signatures=signatures)
    return folder


@pytest.fixture(scope="module")
def half_total(running_total, save_module):
    """A SavedModel that the converter refuses: it assigns a float16 variable."""
    return save_module(running_total("float16"))


def without_initializer(content):
    """Take the CALL_ONCE out of a file, so that its variable has no first value."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    main = model.subgraphs[0]
    codes = [code.builtinCode for code in model.operatorCodes]
    main.operators = [op for op in main.operators if codes[op.opcodeIndex] != CALL_ONCE]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def test_what_is_in_a_file_is_what_litert_finds_in_it(counting_file, tmp_path):
    found = inspect_conversion(counting_file)
    (tmp_path / "total.tflite").write_bytes(counting_file)
    assert found.size == (tmp_path / "total.tflite").stat().st_size
    interpreter = interpreter_of(counting_file)
    assert [signature.name for signature in found.signatures] == list(
        interpreter.get_signature_list()
    )
    main = {op["op_name"] for op in interpreter._get_ops_details()}
    assert main <= set(found.ops)
    assert found.ops["CALL_ONCE"] == 1
    assert [variable.name for variable in found.variables] == ["total"]
    assert (found.flex_ops, found.custom_ops) == ((), ())


def test_a_variable_is_initialized_where_plain_kernels_can_read_it(counting_file):
    assert inspect_conversion(counting_file).uninitialized == ()
    x = np.ones(4, np.float32)
    assert interpreter_of(counting_file).get_signature_runner()(x=x)

    broken = without_initializer(counting_file)
    assert inspect_conversion(broken).uninitialized == ("total",)
    with pytest.raises(RuntimeError, match="variable != nullptr"):
        interpreter_of(broken).get_signature_runner()(x=x)


def test_a_variable_that_is_only_read_is_none_of_the_file(tf, two_signatures):
    content = tf.lite.TFLiteConverter.from_saved_model(str(two_signatures)).convert()
    found = inspect_conversion(content)
    assert found.variables == ()
    assert [signature.name for signature in found.signatures] == ["double", "triple"]


def test_ops_that_the_runtime_may_not_have_are_told_apart(tf, half_total):
    converter = tf.lite.TFLiteConverter.from_saved_model(str(half_total))
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    flex = inspect_conversion(converter.convert())
    assert "FlexVarHandleOp" in flex.flex_ops
    assert flex.custom_ops == ()
    assert "Flex ops: Flex" in repr(flex)

    converter = tf.lite.TFLiteConverter.from_saved_model(str(half_total))
    converter.allow_custom_ops = True
    custom = inspect_conversion(converter.convert())
    assert "VarHandleOp" in custom.custom_ops
    assert custom.flex_ops == ()
    assert "custom ops: " in repr(custom)


def test_what_is_in_a_file_is_shown_in_a_line_and_in_a_table(counting_file):
    size = f"{len(counting_file) / 1000:.1f} kB"
    found = inspect_conversion(counting_file)
    assert repr(found) == f"Converted({size}; signatures: serving_default; variables: 1)"
    assert "total: float32 [4], initialized" in found.text()
    assert "serving_default(x) -> output_0" in found.text()
    assert "<caption" in found.html()

    broken = inspect_conversion(without_initializer(counting_file))
    assert "variables: 1, of these NOT initialized: 1" in repr(broken)
    assert "NOT initialized" in broken.text()
    assert "NOT initialized" in broken.html()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "empty"),
        (b"no model at all", "TFL3"),
        (b"\x1c\0\0\0TFL3", "damaged"),
        (b"\x0a\x0a\x0a\x01x\x12\x05Const", "TFL3"),  # a GraphDef
        (None, "<NoneType>: the bytes of a .tflite file are wanted"),
        ("total.tflite", "<str>: the bytes of a .tflite file are wanted"),
    ],
)
def test_what_is_no_tflite_file(content, fault):
    with pytest.raises(ModelFileError, match=fault):
        inspect_conversion(content)


def test_a_saved_model_converts_as_in_this_process(tf, running_total, save_module):
    folder = save_module(running_total())
    conversion = convert(folder)
    here = tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert()
    assert inspect_conversion(conversion.content).ops == inspect_conversion(here).ops
    calls = [np.full(4, value, np.float32) for value in (1.0, 2.0, 3.0)]
    assert check_parity(running_total(), conversion.content, calls).passed
    assert conversion.errors == ()
    assert repr(conversion).startswith("Conversion(Converted(")
    assert "signature" in conversion.text()
    assert "<table>" in conversion.html()


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_keras_file_converts(tf, tmp_path, suffix):
    model = tf.keras.models.load_model(data_path("digits_classifier.keras"))
    model.save(tmp_path / f"digits{suffix}")
    conversion = convert(tmp_path / f"digits{suffix}")
    images = list(np.random.default_rng(1).random((3, 1, 8, 8, 1), np.float32))
    assert check_parity(model, conversion.content, images).passed


def test_signature_keys_choose(two_signatures):
    conversion = convert(two_signatures, signature_keys=["triple"])
    assert list(interpreter_of(conversion.content).get_signature_list()) == ["triple"]
    with pytest.raises(ValueError, match=r"no signature half; there are: double, triple"):
        convert(two_signatures, signature_keys=["half", "double"])


def test_an_infinity_is_kept_only_where_that_is_asked_for(tf, tmp_path):
    module, x = tf.Module(), np.float32([1, -1])
    module.call = tf.function(
        lambda x: {"y": tf.where(x > 0.0, x, -float("inf"))}, [tf.TensorSpec([2], name="x")]
    )
    tf.saved_model.save(module, str(tmp_path), signatures=module.call)
    bare = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path)).convert()
    for settings, expected in (
        (ConverterSettings(), interpreter_of(bare).get_signature_runner()(x=x)["y"]),
        (ConverterSettings(keep_infinities=True), module.call(x)["y"].numpy()),
    ):
        content = convert(tmp_path, settings=settings).content
        answer = interpreter_of(content).get_signature_runner()(x=x)["y"]
        np.testing.assert_array_equal(answer, expected)
        assert np.isinf(answer[1]) == settings.keep_infinities


def test_a_refusal_is_data(half_total):
    conversion = convert(half_total)
    assert conversion.content is None
    assert OpError("tf.VarHandleOp", "ERROR_NEEDS_FLEX_OPS") in conversion.errors
    assert "tf.AssignVariableOp" in conversion.record.failing_ops
    assert conversion.record.exception_type == "ConverterError"
    assert repr(conversion) == "Conversion(no file: Record(raised ConverterError))"
    assert "ERROR_NEEDS_FLEX_OPS" in conversion.text()
    assert "ERROR_NEEDS_FLEX_OPS" in conversion.html()


def test_a_conversion_that_takes_too_long_is_ended(two_signatures):
    conversion = convert(two_signatures, timeout=0.0)
    assert conversion.content is None
    assert conversion.record.outcome == "timed out"


IMAGES = list(np.random.default_rng(2).random((8, 1, 8, 8, 1), np.float32))


@pytest.mark.parametrize(
    "samples",
    [[{"image": image} for image in IMAGES], [[image] for image in IMAGES]],
    ids=["mappings", "lists"],
)
def test_full_int8_with_samples_of_any_form(samples):
    settings = ConverterSettings(
        optimizations=("DEFAULT",),
        representative_dataset=samples,
        supported_ops=("TFLITE_BUILTINS_INT8",),
        inference_input_type="int8",
        inference_output_type="uint8",
    )
    conversion = convert(data_path("digits_classifier.keras"), settings=settings)
    interpreter = interpreter_of(conversion.content)
    assert interpreter.get_input_details()[0]["dtype"] == np.int8
    assert interpreter.get_output_details()[0]["dtype"] == np.uint8


def test_each_signature_is_calibrated(two_signatures):
    x = np.linspace(0, 1, 4, dtype=np.float32)[np.newaxis]
    settings = ConverterSettings(
        optimizations=("DEFAULT",),
        representative_dataset=[("double", {"x": x}), ("triple", {"x": x})],
    )
    conversion = convert(two_signatures, settings=settings)
    interpreter = interpreter_of(conversion.content)
    for key, factor in (("double", 2.0), ("triple", 3.0)):
        answer = interpreter.get_signature_runner(key)(x=x)["y"]
        assert answer == pytest.approx(factor * x.sum(), abs=0.1)


def test_a_model_that_cannot_be_converted(tmp_path, counting_file):
    with pytest.raises(ModelFileError, match="no such file"):
        convert(tmp_path / "nothing.keras")
    (tmp_path / "total.tflite").write_bytes(counting_file)
    with pytest.raises(ModelFileError, match=r"nor a GraphDef: give the model that the file was"):
        convert(tmp_path / "total.tflite")
