"""Lesson 29: answers to its exercise, what the runtime says to them, and the cure of its card."""

import re

import numpy as np
import pytest
from ai_edge_litert.compiled_model import CompiledModel, CpuOptions, HardwareAccelerator, Options
from lesson_cards import run_cure
from notebook_cells import assert_says, load

from workbook_lib.lesson.checks.how_fast import _PAIRS, _half_sum

EXERCISE = "how_fast/tells"
FORCE_FP16 = 4


def answer(expression):
    return f"def tells(first, second):\n    return {expression}"


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("np.float16(first) + np.float16(second) == np.float32(first) + np.float32(second)",
         "the other way round"),
        ("np.float16(first) != first or np.float16(second) != second", "False of every pair"),
        ("np.float32(first) + np.float32(second) != first + second", "False of every pair"),
        ("np.float16(first) + np.float16(second) != np.float16(first + second)",
         "False of every pair"),
        ("np.float16(np.float32(first) + np.float32(second)) is not np.float32(first + second)",
         "True of every pair"),
        ("True", "True of every pair"),
        ("first + second == 2049", "Of 1024 and 0.5 it says False"),
        ("first + second > 2048", "Of 2048 and 2 it says True"),
        ("abs(first + second) > 2048", "Of 2048 and 2 it says True"),
        ("(first + second) % 2 == 1", "Of 1024 and 1 it says True"),
        ("first + second != int(first + second)", "Of 2048 and 1 it says False"),
        ("max(first, second) >= 2048", "Of 2048 and 2 it says True"),
        ("np.float16(abs(first) + abs(second)) != np.float32(abs(first) + abs(second))",
         "Of -2048 and 1 it says True"),
        ("np.float16(first) - np.float16(second) != np.float32(first) - np.float32(second)",
         "Of 2048 and 1 it says False"),
        ("np.float16(first + second) != first + second", "takes a Python number"),
        ("not np.isclose(np.float16(first + second), np.float32(first + second))",
         "the sum is 30000, and as a float32 30000.25"),
        ("np.float16(first) + np.float16(second)", "True or False"),
        ("'yes'", "True or False"),
        ("abs(np.float16(first + second) - (first + second))", "True or False"),
    ],
)  # fmt: skip
def test_sums_that_do_not_tell(outcome, expression, told):
    assert_says(outcome(EXERCISE, answer(expression)), told)


@pytest.mark.parametrize(
    "expression",
    [
        "np.float16(first + second) != np.float32(first + second)",
        "bool(np.add(first, second, dtype=np.float16) - np.float64(first + second))",
        "not np.isclose(np.float32(np.float16(first + second)), first + second, rtol=0)",
        "float(np.sum(np.array([first, second], 'float16'))) != sum((first, second))",
    ],
)
def test_told_otherwise_is_as_good(outcome, expression):
    assert_says(outcome(EXERCISE, answer(expression)), "any runtime", "right")


def test_an_answer_that_raises(outcome):
    source = answer("first.float16 + second.float16 != first + second")
    assert_says(outcome(EXERCISE, source), "AttributeError", "raised")


def test_the_runtime_adds_the_pairs_of_the_check_as_it_says(tf):
    """A file that adds, run by XNNPACK in float32 and, by its flag, in float16."""
    ones = tf.keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = tf.keras.Sequential([tf.keras.Input([2], name="x"), ones])
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()

    def add(pair, **options):
        cpu = CpuOptions(num_threads=1, **options)
        options = Options(hardware_accelerators=HardwareAccelerator.CPU, cpu_options=cpu)
        opened = CompiledModel.from_buffer(content, options=options)
        (source,), (target,) = opened.create_input_buffers(0), opened.create_output_buffers(0)
        source.write(np.float32([pair]))
        opened.run_by_index(0, [source], [target])
        return float(target.read(1, np.float32)[0])

    for pair in _PAIRS:
        assert [float(np.float16(number)) for number in pair] == list(pair)
        assert add(pair) == sum(pair)
        assert add(pair, xnnpack_flags=FORCE_FP16) == _half_sum(*pair)
    assert 3 < sum(_half_sum(*pair) != sum(pair) for pair in _PAIRS) < len(_PAIRS) - 3


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


def test_the_stored_figures_show_what_a_cache_saves():
    """They differ from run to run, so nbval does not compare them."""
    cells = {cell["id"]: cell for cell in load("29_how_fast.ipynb")["cells"]}
    printed = "".join(cells["cache"]["outputs"][0]["text"])
    made, without, cached = map(float, re.findall(r"([\d.]+) ms", printed))
    assert cached < without < made
