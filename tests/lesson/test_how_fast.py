"""Lesson 29: answers to its exercise, and the cure of its card."""

import numpy as np
import pytest
from lesson_cards import run_cure
from notebook_cells import assert_says

BYTES = """
    def tensor_bytes(interpreter):
        details = interpreter.get_tensor_details()
        return {}
"""


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ('sum(int(np.prod(one["shape"])) for one in details)', "counts the elements"),
        ('sum(4 * int(np.prod(one["shape"])) for one in details)', "An int8 takes one"),
        ('int(np.prod(details[0]["shape"])) * 4', "weighs one tensor"),
        (
            'sum(int(np.prod(one["shape"])) * np.dtype(one["dtype"]).itemsize'
            ' for one in details if len(one["shape"]))',
            "has one element",
        ),
        ("sum(one['shape'].nbytes for one in details)", "was expected"),
        ("sum(int(np.sum(one['shape'])) * 4 for one in details)", "was expected"),
        (
            "max(int(np.prod(one['shape'])) * np.dtype(one['dtype']).itemsize for one in details)",
            "weighs one tensor",
        ),
        (
            "sum(int(np.prod(one['shape'])) * np.dtype(one['dtype']).itemsize for one in"
            " details[:-1])",
            "two of three",
        ),
        (
            "sum(int(np.prod(one['shape_signature'])) * np.dtype(one['dtype']).itemsize"
            " for one in details)",
            "was expected",
        ),
        (
            "sum(8 * int(np.prod(one['shape'])) * np.dtype(one['dtype']).itemsize"
            " for one in details)",
            "was expected",
        ),
        (
            "sum(int(np.prod(one['shape'])) * np.dtype(one['dtype']).itemsize"
            " for one in details) // 1024",
            "was expected",
        ),
        ("str(sum(interpreter.get_tensor(one['index']).nbytes for one in details))", "one whole"),
        (
            "sum(int(np.prod(one['shape'][1:])) * np.dtype(one['dtype']).itemsize"
            " for one in details)",
            "was expected",
        ),
        ("len(details)", "was expected"),
        ('[one["shape"] for one in details]', "one whole number"),
        ("True", "one whole number"),
        ("0.5", "one whole number"),
        (
            "sum(int(np.prod(one['shape'])) * np.dtype(one['dtype']).itemsize for one in"
            " interpreter.get_input_details() + interpreter.get_output_details())",
            "weighs two of three",
        ),
        (
            "sum(int(np.prod(one['shape'])) * np.dtype(details[0]['dtype']).itemsize"
            " for one in details)",
            "a dtype of its own",
        ),
    ],
)
def test_wrong_weights_of_tensors(outcome, expression, told):
    assert_says(outcome("how_fast/tensor-bytes", BYTES.format(expression)), told)


@pytest.mark.parametrize(
    "expression",
    [
        'sum(np.zeros(one["shape"], one["dtype"]).nbytes for one in details)',
        'sum(interpreter.get_tensor(one["index"]).nbytes for one in details)',
        'sum(np.prod(list(one["shape"])) * one["dtype"]().itemsize for one in details)',
    ],
)
def test_weighed_otherwise_is_as_good(outcome, expression):
    assert_says(outcome("how_fast/tensor-bytes", BYTES.format(expression)), "", "right")


def test_weights_of_tensors_that_raise(outcome):
    source = BYTES.format('sum(one["nbytes"] for one in details)')
    assert outcome("how_fast/tensor-bytes", source).status == "raised"


def test_the_cure_of_the_card_keeps_packed_weights(tf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dense = tf.keras.layers.Dense(64)
    model = tf.keras.Sequential([tf.keras.Input([256], name="x"), dense])
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    (tmp_path / "model.tflite").write_bytes(content)
    given = """
        from ai_edge_litert.compiled_model import CompiledModel, CpuOptions
        from ai_edge_litert.compiled_model import HardwareAccelerator, Options
    """
    x = np.ones([1, 256], np.float32)
    for _ in range(2):  # the second reads the cache that the first has made
        opened = run_cure("how_fast", given)["model"]
        (source,), (target,) = opened.create_input_buffers(0), opened.create_output_buffers(0)
        source.write(x)
        opened.run_by_index(0, [source], [target])
        np.testing.assert_allclose(target.read(64, np.float32), model(x)[0], rtol=1e-4, atol=1e-5)
    assert (tmp_path / "model.cache").stat().st_size > 4 * 256 * 64
