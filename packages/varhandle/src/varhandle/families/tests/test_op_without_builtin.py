"""An op, no variable's, that the converter has no builtin for."""

import re

import numpy as np
import pytest
import zoo
from family_checks import ids, log_test, run_command
from printed_code import ran

from varhandle import cure, diagnose, explain
from varhandle.evaluate.session import Session
from varhandle.families.catalog import family
from varhandle.repair.refusal import NoCureError

FAMILY = family("op-without-builtin")
CONV_2D = (
    "error: 'tf.Conv2D' op is neither a custom op nor a flex op\n"
    "TF Select ops: Conv2D\nDetails:\n"
    '\ttf.Conv2D(tensor<{0}x{1}>, tensor<3x3x3x4x{1}>) -> (tensor<{0}x{1}>) : {{device = ""}}'
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "error: 'tf.AsString' op is neither a custom op nor a flex op",
        "error: failed to legalize operation 'tfl.pow' that was explicitly marked illegal\n"
        "error: failed to legalize operation 'tf.Erf' that was explicitly marked illegal",
        "TF Select ops: Betainc, Pow",
        "RuntimeError: Lowering not found: aten.grid_sampler_2d.default",
        "Some ops in the model are custom ops, See instructions to implement custom ops:"
        " https://www.tensorflow.org/lite/guide/ops_custom\nCustom ops: Betainc",
        "error: Ops that can be supported by the flex runtime (enabled via setting the"
        ' -emit-select-tf-ops flag):\n\ttf.Erf {device = ""}',
        "error: Ops that need custom implementation (enabled via setting the -emit-custom-ops"
        ' flag):\n\ttf.Betainc {device = ""}',
        "I tensorflow/lite/toco/import_tensorflow.cc:659] Converting unsupported operation: While\n"
        "Some of the operators in the model are not supported by the standard TensorFlow Lite"
        " runtime. Here is a list of operators for which you will need custom implementations:"
        " TensorListReserve, While.\nRuntimeError: TOCO failed see console for info.",
    ],
)


def test_the_ops_are_named_once():
    (match,) = explain("TF Select ops: MatrixInverse, Tan\nDetails:\nTF Select ops: Tan").matches
    assert match.message.startswith("tf.MatrixInverse, tf.Tan: ")


def test_flex_is_not_advised_for_what_it_has_not():
    custom = "https://www.tensorflow.org/lite/guide/ops_custom\nCustom ops: Betainc\n"
    assert "SELECT_TF_OPS" not in explain(custom).matches[0].fix
    assert "SELECT_TF_OPS" in explain(f"TF Select ops: Pow\n{custom}").matches[0].fix


@pytest.mark.parametrize(
    ("size", "dtype", "expected", "word"),
    [
        ("1x8x8x3", "f32", "op-without-builtin", "for it."),
        ("1x8x8x3", "f16", "op-without-builtin", "in float16"),
        ("1x8x8x3", "f64", "op-without-builtin", "in float64"),
        ("1x8x8x3", "bf16", "op-without-builtin", "in bfloat16"),
        ("?x?x?x3", "f16", "op-without-builtin", "in float16"),  # which no size would cure
        ("?x?x?x3", "f32", "dynamic-shape", "size is open"),
        ("1x8x?x3", "f32", "dynamic-shape", "size is open"),
        ("?x8x8x3", "f32", "op-without-builtin", "for it."),  # the batch may be open
    ],
)
def test_an_op_that_has_a_builtin_is_refused_for_its_dtype_or_its_size(size, dtype, expected, word):
    (match,) = explain(CONV_2D.format(size, dtype)).matches
    assert match.id == expected
    assert word in match.message


@pytest.mark.parametrize("types", ["?x?xf32", "4x4xf64"])
def test_an_op_that_never_has_a_builtin_is_not_blamed_on_a_size_or_a_dtype(types):
    (match,) = explain(CONV_2D.replace("Conv2D", "Betainc").format(types, "f32")).matches
    assert match.id == FAMILY.id
    assert match.message == "tf.Betainc: the converter has no builtin op for it."


def test_a_dtype_is_blamed_only_if_it_explains_every_op():
    tangent = "error: 'tf.Tan' op is neither a custom op nor a flex op\n"
    (match,) = explain(tangent + CONV_2D.format("1x8x8x3", "f64")).matches
    assert "float64" not in match.message
    assert "tf.Tan, tf.Conv2D" in match.message
    assert match.line_number == 1


def test_what_is_refused_beside_a_variable_is_not_told_by_itself():
    refused = "error: 'tf.{}' op is neither a custom op nor a flex op\n"
    assert ids(refused.format("AddV2") + refused.format("VarHandleOp")) == [
        "unsupported-variable-dtype"
    ]


def test_what_helps_depends_on_the_release_of_the_log():
    log = "TF Select ops: Tan\n"
    (today,) = explain(log).matches
    (old,) = explain(f"tensorflow version: 2.15.1\n{log}").matches
    (older,) = explain(f"tensorflow version: 2.8.0\n{log}").matches
    (toco,) = explain(f"W tensorflow/contrib/lite/toco/x.cc:1]\n{log}").matches
    assert "Bound" not in today.fix
    assert "Bound to TensorFlow 2.15.1: its tensorflow package still links Flex" in old.fix
    assert "Bound to TensorFlow 2.8.0: convert it with SELECT_TF_OPS for a runtime" in older.fix
    assert "Bound to TensorFlow 1.15 or older: take the op out" in toco.fix
    assert all(one.fix.startswith(FAMILY.fix) for one in (today, old, older, toco))


@pytest.fixture
def served(tf, tmp_path, monkeypatch):
    """As for TensorFlow Serving: examples as strings, and for some models tensors as well."""
    monkeypatch.chdir(tmp_path)
    module = tf.Module()
    module.w = tf.Variable([[1.0], [2.0]])
    taken = {"x": tf.io.FixedLenFeature([2], tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def parsed(examples):
        return {"y": tf.io.parse_example(examples, taken)["x"] @ module.w}

    @tf.function(input_signature=[tf.TensorSpec([None, 2])])
    def plain(x):
        return {"y": x @ module.w}

    module.parsed, module.plain = parsed, plain
    return lambda **more: zoo.save(
        tf, tmp_path, module, serving_default=parsed, **{n: getattr(module, n) for n in more}
    )


def test_another_signature_that_does_without_the_op_is_named(served):
    (cause,) = diagnose(served(plain=True)).other
    assert cause.startswith("tf.ParseExampleV2: no builtin op does it, and signature plain does")
    assert run_command(cause[cause.index("varhandle ") :]) == 0
    (answer,) = Session("model.tflite")([[3.0, 4.0]]).values()
    assert answer.tolist() == [[11.0]]


def test_where_no_signature_does_without_it_none_is_named(served):
    (cause,) = diagnose(served()).other
    assert "signature" not in cause
    assert "leave it to the program around the model" in cause


@pytest.mark.parametrize("mode", ["multi_hot", "count"])
def test_the_printed_sum_of_one_hots_is_what_the_layer_counts(tf, tmp_path, mode):
    keras = tf.keras
    encoding = keras.layers.CategoryEncoding(4, mode)
    given = keras.Input((4,), 1, dtype="int32")
    keras.Model(given, encoding(given)).save(tmp_path / "m.keras")
    (told,) = diagnose(tmp_path / "m.keras").other
    line = re.search(rf"(keras\.ops\.\w+\([^)]+\), axis=-2\)) for {mode}", told)[1]
    ran(line)
    x = np.array([[1, 3, 3, 0]])
    got = eval(line, {"keras": keras, "ids": x, "depth": encoding.num_tokens})
    np.testing.assert_array_equal(got, encoding(x))
    for kind, words in (("IntegerLookup", [11, 12, 13]), ("StringLookup", ["a", "b", "c"])):
        counted, plain = (
            getattr(keras.layers, kind)(vocabulary=words, output_mode=it) for it in (mode, "int")
        )
        x = np.array([[words[0], words[2], words[2], words[1] * 2]])
        depth = plain.vocabulary_size()
        got = eval(line, {"keras": keras, "ids": plain(x), "depth": depth})
        np.testing.assert_array_equal(got, counted(x))
    model = keras.Model(given, eval(line, {"keras": keras, "ids": given, "depth": 4}))
    assert tf.lite.TFLiteConverter.from_keras_model(model).convert()


@pytest.mark.parametrize("is_saved_model", [True, False])
def test_what_counts_ids_behind_a_table_is_told_by_diagnose_and_by_cure(
    tf, tmp_path, is_saved_model
):
    keras = tf.keras
    ids = keras.Input((4,), dtype="int32")
    counted = keras.layers.IntegerLookup(vocabulary=[11, 12, 13], output_mode="count")(ids)
    model = keras.Model(ids, keras.layers.Dense(2)(counted))
    path = tmp_path / ("m" if is_saved_model else "m.keras")
    (model.export if is_saved_model else model.save)(path)
    found = diagnose(path)
    assert [f.id for f in found.findings if f.severity == "error"] == ["other-resource"]
    (told,) = found.other
    assert told.startswith("tf.DenseBincount: the converter has no builtin op for it. It counts")
    assert "keras.ops.sum(keras.ops.one_hot(ids, depth), axis=-2) for count" in told
    with pytest.raises(NoCureError) as refused:
        cure(found)
    assert told in refused.value.text()
