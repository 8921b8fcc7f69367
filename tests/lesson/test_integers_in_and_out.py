"""Appendix 98: answers to its exercise, and the cure of its card."""

import numpy as np
import pytest
from lesson_cards import run_cure
from notebook_cells import assert_says

from workbook_lib.lesson.checks.hand_made_files import chain_file, tensor

EXERCISE = "integers_in_and_out/run-quantized"
QUANTIZED = """
    def run_quantized(interpreter, values):
        source = interpreter.get_input_details()[0]
        target = interpreter.get_output_details()[0]
        found = source["quantization_parameters"]
        scale, zero = found["scales"][0], found["zero_points"][0]
        interpreter.set_tensor(source["index"], {fed})
        interpreter.invoke()
        found = target["quantization_parameters"]
        out_scale, out_zero = found["scales"][0], found["zero_points"][0]
        integers = interpreter.get_tensor(target["index"])
        return {returned}
"""
FED = "np.clip(np.round(values / scale) + zero, -128, 127).astype(np.int8)"
RETURNED = "(integers.astype(np.float32) - out_zero) * out_scale"


@pytest.mark.parametrize(
    ("fed", "told"),
    [
        ("(np.round(values / scale) + zero).astype(np.int64).astype(np.int8)", "wraps around"),
        ("np.clip(np.round(values / scale), -128, 127).astype(np.int8)", "zero point of the input"),
        ("np.clip(values / scale + zero, -128, 127).astype(np.int8)", "Round"),
        ("(values / scale + zero).astype(np.int64).astype(np.int8)", "Round and clip"),
        ("values.astype(np.int8)", "the real values, cast"),
        ("np.clip(np.round(values * scale) + zero, -128, 127).astype(np.int8)", "How many steps"),
        ("np.clip(np.round(values / 0.1) - 128, -128, 127).astype(np.int8)", "read both from"),
        ("np.clip((values / scale).astype(int) + zero, -128, 127).astype(np.int8)", "Round"),
        ("np.clip(np.round(values / scale) - zero, -128, 127).astype(np.int8)", "is added"),
        ("np.minimum(np.round(values / scale) + zero, 127).astype(int).astype(np.int8)", "lower"),
        ("np.clip(np.round(values / scale) + zero, -127, 127).astype(np.int8)", "lower end"),
    ],
)
def test_wrong_integers_for_the_input(outcome, fed, told):
    assert_says(
        outcome(EXERCISE, QUANTIZED.format(fed=fed, returned=RETURNED)),
        told,
    )


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("integers", "These are the integers"),
        ("integers.astype(np.float32) * out_scale", "zero point of the output is missing"),
        ("(integers.astype(np.float32) - zero) * scale", "scale and zero point of the input"),
        ("(integers - np.int8(out_zero)) * np.float32(out_scale)", "overflowed"),
        ("values", "does not follow"),
        ("(integers.astype(np.float32) - out_zero).tolist()", "an array of real values"),
        ("None", "end in a `return`"),
    ],
)
def test_wrong_real_values_of_the_output(outcome, returned, told):
    assert_says(
        outcome(EXERCISE, QUANTIZED.format(fed=FED, returned=returned)),
        told,
    )


@pytest.mark.parametrize(
    ("fed", "returned"),
    [
        (
            "np.rint(np.clip(values / scale + zero, -128, 127)).astype('int8')",
            "out_scale * (integers.astype(int) - out_zero)",
        ),
        (
            "((values / scale + 0.5) // 1 + zero).clip(-128, 127).astype(np.int8)",
            "(integers - np.float32(out_zero)) * out_scale",
        ),
    ],
)
def test_quantized_otherwise_is_as_good(outcome, fed, returned):
    assert_says(
        outcome(EXERCISE, QUANTIZED.format(fed=fed, returned=returned)),
        "",
        "right",
    )


def test_floats_are_refused_by_the_interpreter_itself(outcome):
    source = QUANTIZED.format(fed="values", returned=RETURNED)
    assert_says(outcome(EXERCISE, source), "ValueError", "raised")


def test_a_quantized_run_that_never_runs(outcome):
    source = QUANTIZED.format(fed=FED, returned=RETURNED)
    assert "invoke" in outcome(EXERCISE, source.replace("interpreter.invoke()", "pass")).advice
    result = outcome(EXERCISE, "def run_quantized(interpreter, values): return values")
    assert "set_tensor" in result.advice


def test_the_callers_array_is_not_written_to(outcome):
    source = QUANTIZED.format(fed=FED, returned=RETURNED).replace(
        "interpreter.invoke()", "interpreter.invoke(); values += 1"
    )
    assert_says(outcome(EXERCISE, source), "changes the array")


def test_the_deprecated_entry_of_a_detail_has_the_same_two_numbers(outcome):
    source = """
    def run_quantized(interpreter, values):
        source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        scale, zero = source["quantization"]
        steps = np.clip(np.round(values / scale) + zero, -128, 127).astype(np.int8)
        interpreter.set_tensor(source["index"], steps)
        interpreter.invoke()
        scale, zero = target["quantization"]
        return (interpreter.get_tensor(target["index"]).astype(float) - zero) * scale
    """
    assert outcome(EXERCISE, source).status == "right"


RUNNER = """
    def run_quantized(interpreter, values):
        runner = interpreter.get_signature_runner()
        ((name, source),) = runner.get_input_details().items()
        ((output, target),) = runner.get_output_details().items()
        found = source["quantization_parameters"]
        steps = np.round(values / found["scales"]) + found["zero_points"]
        integers = runner(**{name: np.clip(steps, -128, 127).astype(np.int8)})[output]
        found = target["quantization_parameters"]
        return (integers.astype(np.float32) - found["zero_points"]) * found["scales"]
"""


def test_a_signature_runner_is_as_good(outcome):
    assert_says(outcome(EXERCISE, RUNNER), "", "right")


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("values / found", "values * found", "How many steps"),
        ("np.round(values", "np.ceil(values", "read both from"),
        ("np.round(values", "np.trunc(values", "Round"),
        ("-128, 127)", "0, 127)", "lower end"),
        ("-128, 127)", "-127, 127)", "lower end"),
        ('+ found["zero_points"]', "- 128", "read both from"),
        ("integers.astype(np.float32) - found", "integers.astype(np.float32) + found", "follow"),
        ('* found["scales"]', '/ found["scales"]', "follow"),
        ("[output]", "[output] * 0", "follow"),
    ],
)
def test_more_wrong_ways_in_and_out(outcome, right, wrong, told):
    assert right in RUNNER
    source = RUNNER.replace(right, wrong)
    assert_says(outcome(EXERCISE, source), told)


def test_numbers_by_heart_do_not_pass(outcome):
    source = QUANTIZED.format(fed=FED, returned=RETURNED)
    source = source.replace('source["index"]', "0").replace('target["index"]', "1")
    assert outcome(EXERCISE, source).status in ("raised", "wrong")


def test_the_cure_of_the_card_gives_real_values():
    content = chain_file(
        "QUANTIZE", 2, tensor("x", [1, 3], (0.5, 3)), tensor("output_0", [1, 3], (0.25, -10))
    )
    given = """
        interpreter = Interpreter(model_content=content)
        runner = interpreter.get_signature_runner()
        integers = runner(x=np.int8([[3, 5, 127]]))["output_0"]
    """
    names = run_cure("integers_in_and_out", given, content=content)
    np.testing.assert_array_equal(names["scores"], [[0.0, 1.0, 34.25]])
