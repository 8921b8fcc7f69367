"""Lesson 23: answers to its exercise, the key of its prediction, and the cure of its card."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure
from notebook_cells import EXERCISES, assert_says

from workbook_lib.lesson.content import four_doors
from workbook_lib.older_keras import add_litert_format

STRICT = """
    def strict_export(model, path):
        builtins, flex = tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS
        {}
"""
BY_KERAS = "model.export(path, format='litert'{})"
BY_CONVERTER = "content = tf.lite.TFLiteConverter.from_keras_model(model).convert()"
WRITTEN = 'open(path, "wb").write(content)'


def lines(*given):
    return STRICT.format("\n        ".join(given))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([BY_KERAS.format("")], "FlexVarHandleOp"),
        ([BY_KERAS.format(", target_spec={'supported_ops': [builtins, flex]}")], "FlexVarHandleOp"),
        ([BY_KERAS.format(", target_spec={'supported_ops': [flex]}")], "Which set is the one"),
        ([BY_KERAS.format(", target_spec={'supported_ops': ['TFLITE_BUILTINS']}")], "by chance"),
        ([BY_KERAS.format(", target_spec={'supported_ops': []}")], "by chance"),
        ([BY_KERAS.format(", allow_custom_ops=True")], "FlexVarHandleOp"),
        (
            [BY_KERAS.format(", allow_custom_ops=True, target_spec={'supported_ops': [builtins]}")],
            "VarHandleOp",
        ),
        (["model.export(path)"], "a folder"),
        ([BY_CONVERTER], "no file at the path"),
        ([BY_CONVERTER, "return content"], "no file at the path"),
        ([BY_CONVERTER, 'open("/dev/null", "wb").write(content)'], "no file at the path"),
        (
            ["try:", f"    {BY_CONVERTER}", "except Exception:", "    return None", WRITTEN],
            "says nothing",
        ),
        (
            [
                BY_KERAS.format(""),
                'if b"Flex" in open(path, "rb").read():',
                '    raise ValueError("needs Flex ops")',
            ],
            "leaves a file behind",
        ),
        (
            [
                "import os",
                BY_KERAS.format(""),
                'if b"Flex" in open(path, "rb").read():',
                "    os.remove(path)",
                '    raise ValueError("needs Flex ops")',
            ],
            "a layer called `FlexLayer`",
        ),
        (["model.save(path + '.keras')"], "no file at the path"),
        (["open(path, 'wb').write(b'TFL3')"], "no `.tflite` file"),
        (
            [
                "fixed = tf.keras.Sequential([tf.keras.Input([4], batch_size=1)])",
                "fixed.add(tf.keras.layers.Dense(4))",
                "fixed.export(path, format='litert')",
            ],
            "something else than the model",
        ),
        (
            [
                "if 'float16' in {v.dtype for v in model.variables}:",
                "    return",
                BY_KERAS.format(""),
            ],
            "says nothing",
        ),
    ],
)
def test_wrong_exports(outcome, given, told):
    assert_says(outcome("four_doors/strict-export", lines(*given)), told)


def test_where_an_export_raises_is_a_line_of_the_learners(outcome):
    no_list = lines(BY_KERAS.format(", target_spec={'supported_ops': builtins}"))
    assert_says(outcome("four_doors/strict-export", no_list), "Line 4 of your code", "raised")


def test_an_error_on_the_way_is_the_learners(outcome):
    raised = outcome("four_doors/strict-export", lines("model.export(path, format='tflite')"))
    assert_says(raised, "ValueError", "raised")
    refused = lines(BY_KERAS.format(", supported_ops=[builtins]"))
    assert_says(
        outcome("four_doors/strict-export", refused), "Unknown converter attribute", "raised"
    )


@pytest.mark.parametrize(
    "given",
    [
        [BY_KERAS.format(", target_spec={'supported_ops': [builtins]}, verbose=False")],
        [BY_KERAS.format(", target_spec={'supported_ops': {builtins}}"), "return path"],
        [BY_CONVERTER, WRITTEN],
        [
            "import tempfile",
            "folder = tempfile.mkdtemp()",
            "model.export(folder)",
            "content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()",
            WRITTEN,
        ],
        [
            "import os",
            "from varhandle import read_graph",
            BY_KERAS.format(""),
            'if any(op.startswith("Flex") for op in read_graph(path).op_counts()):',
            "    os.remove(path)",
            '    raise ValueError("needs Flex ops")',
        ],
    ],
    ids=["target_spec", "set", "from_keras_model", "from_saved_model", "looked at"],
)
def test_other_exports_are_as_good(outcome, given):
    found = outcome("four_doors/strict-export", lines(*given))
    assert_says(found, "stops where the converter does", "right")


def test_nothing_is_printed_by_the_check(outcome, capsys):
    outcome("four_doors/strict-export", EXERCISES["four_doors/strict-export"].solution)
    assert "Saved artifact" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("written", "outcome", "key"),
    [
        (False, "ConverterError: ...", "refused"),
        (True, "RuntimeError: ...", "does not run"),
        (True, "it runs", "runs"),
    ],
)
def test_what_the_door_made_is_read_off_its_file_and_its_outcome(*, written, outcome, key):
    assert four_doors.keras_door((written, outcome)) == key


def test_the_cure_of_the_card_writes_builtin_ops_or_raises(tf, tmp_path):
    add_litert_format()

    def applying(function):
        x = tf.keras.Input([4], batch_size=1)
        return tf.keras.Model(x, tf.keras.layers.Lambda(function)(x))

    path = tmp_path / "model.tflite"
    with pytest.raises(Exception, match="neither a custom op nor a flex op"):
        run_cure("four_doors", model=applying(lambda x: tf.math.igamma(x, x)), path=path)
    assert not path.exists()
    run_cure("four_doors", model=applying(lambda x: x * 2.0), path=path)
    call = Interpreter(str(path)).get_signature_runner()
    [answer] = call(**dict.fromkeys(call.get_input_details(), np.ones((1, 4), np.float32))).values()
    assert answer.tolist() == [[2.0] * 4]
