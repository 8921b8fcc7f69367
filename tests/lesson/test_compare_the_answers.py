"""Lesson 13: answers to its exercise, and the cure of its card."""

import textwrap

import numpy as np
import pytest
from lesson_cards import run_cure
from notebook_cells import assert_says

SAME = "compare_the_answers/same-answers"


def loop(condition, *, before="", after="return True", made="", inside=""):
    """Write a same_answers that goes through the images, and returns False on a condition."""
    return f"""
def same_answers(function, tflite_model, images):
    runner = Interpreter(model_content=tflite_model).get_signature_runner()
    {before or "pass"}
    for image in images:
        {made or "pass"}
        [answer] = runner(image=image).values()
        expected = function(image).numpy()
        {inside or "pass"}
        if {condition}:
            return False
    {after}
"""


CLOSE = "np.allclose(answer, expected, rtol=0, atol=1e-4)"
TENSORS = """
def same_answers(function, tflite_model, images):
    interpreter = Interpreter(model_content=tflite_model)
    interpreter.allocate_tensors()
    [given], [made] = interpreter.get_input_details(), interpreter.get_output_details()
    verdict = []
    for image in images:
        interpreter.set_tensor(given["index"], image)
        interpreter.invoke()
        difference = interpreter.get_tensor(made["index"]) - function(image)
        verdict.append(bool(tf.reduce_all(tf.abs(difference) < 1e-4)))
    return all(verdict)
"""
IN_ONE_LINE = """
def same_answers(function, tflite_model, images):
    run = Interpreter(model_content=tflite_model).get_signature_runner()
    pairs = [(next(iter(run(image=each).values())), function(each)) for each in images]
    return np.all([np.abs(mine - theirs) <= 1e-4 for mine, theirs in pairs])
"""
BY_AN_ERROR = """
def same_answers(function, tflite_model, images):
    runner = Interpreter(model_content=tflite_model).get_signature_runner()
    for image in images:
        try:
            np.testing.assert_allclose(*runner(image=image).values(), function(image), 0, 1e-4)
        except AssertionError:
            return False
    return True
"""


@pytest.mark.parametrize(
    "answer", [loop(f"not {CLOSE}"), loop("not (abs(answer - expected).max() <= 1e-4)"), TENSORS,
               IN_ONE_LINE, BY_AN_ERROR],
    ids=["allclose", "largest", "tensors", "one-line", "by-an-error"],
)  # fmt: skip
def test_comparisons_in_any_style_are_right(outcome, answer):
    result = outcome(SAME, answer)
    assert result.status == "right", result.advice


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (loop("not np.array_equal(answer, expected)"), "0.00005 off"),
        (loop("not np.allclose(answer, expected)"), "0.00005 off"),
        (loop("not np.allclose(answer, expected, atol=1e-2)"), "0.001 too small"),
        (loop("(answer - expected).max() > 1e-4"), "0.001 too small"),
        (loop("(expected - answer).max() > 1e-4"), "0.001 too large"),
        (loop("abs(answer[0] - expected[0]) > 1e-4"), "the last number"),
        (loop("answer.argmax() != expected.argmax()"), "0.001 too small"),
        (loop("not abs(answer - expected).mean() < 1e-4"), "off by 0.0003"),
        (loop("abs(answer.sum() - expected.sum()) > 3e-4"), "off by 1 and by -1"),
        (loop("(abs(answer - expected) > 1e-4).any()"), "an answer of NaN"),
        (loop("np.nanmax(abs(answer - expected), initial=0) > 1e-4"), "an answer of NaN"),
        (loop(f"not {CLOSE}").replace("    return True", "        return True"),
         "answer to the second"),
        (loop("False", after=f"return {CLOSE}"), "answer to the first"),
        (loop(f"not {CLOSE}", made="runner = Interpreter(model_content=tflite_model)"
                                   ".get_signature_runner()"), "keeps a state"),
        (loop(f"not {CLOSE}", made="runner(image=image)"), "keeps a state"),
        (loop(f"not {CLOSE}", inside="expected = function(image).numpy()"), "keeps a state"),
        (loop("answer.shape != expected.shape"), "0.001 too small"),
        (loop(f"{CLOSE}"), "exactly right"),
        (loop(f"not {CLOSE}", after="return 'the same'"), "`True` or `False`"),
        (loop(f"not {CLOSE}", after="return len(images)"), "`True` or `False`"),
        (loop(f"not {CLOSE}", after="print(True)"), "returned `None`"),
        ("def same_answers(function, tflite_model, images): return True", "0.001 too small"),
        ("def same_answers(function, tflite_model, images): return False", "exactly right"),
    ],
)  # fmt: skip
def test_comparisons_that_let_something_past(outcome, answer, told):
    assert_says(outcome(SAME, answer), told)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (loop(f"not {CLOSE}").replace("image=image", "x=image"), "x"),
        (loop(f"not {CLOSE}").replace("model_content=", "model_path="), "Could not open"),
        (loop("answer != expected"), "ambiguous"),
    ],
)
def test_a_comparison_that_raises_is_said_to(outcome, answer, told):
    assert_says(outcome(SAME, answer), told, "raised")


def test_the_cure_of_the_card_tells_a_right_file_from_a_wrong_one(tf):
    module = tf.Module()
    signature = [tf.TensorSpec([4], tf.float32, name="image")]
    service = tf.function(tf.square, input_signature=signature)
    functions = [service.get_concrete_function()]
    content = tf.lite.TFLiteConverter.from_concrete_functions(functions, module).convert()
    image = np.array([1, 2, 3, 4], np.float32)
    run_cure("compare_the_answers", tflite_model=content, service=service, image=image)
    other = textwrap.dedent("def service(image): return np.square(image) + [0, 0, 0, np.nan]")
    with pytest.raises(AssertionError):
        run_cure("compare_the_answers", other, tflite_model=content, image=image)
