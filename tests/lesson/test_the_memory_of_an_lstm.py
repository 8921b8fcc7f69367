"""Lesson 90: the key of its prediction, and the cure of its card."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure

from workbook_lib.lesson.content import the_memory_of_an_lstm as content


@pytest.mark.parametrize(
    ("plain", "stateful", "key"),
    [(True, True, "plain and stateful"), (False, True, "stateful"), (False, False, "")],
)
def test_whose_answer_changes_is_read_off_the_run(plain, stateful, key):
    assert content.which_changes({"plain": plain, "stateful": stateful}) == key


def test_the_cure_of_the_card_gives_a_file_that_goes_on_as_keras_does(tf):
    made = run_cure("the_memory_of_an_lstm", keras=tf.keras)
    call = Interpreter(model_content=made["content"]).get_signature_runner()
    image = np.random.default_rng(5).random((1, 8, 8), np.float32)
    answers = [call(rows=image)["output_0"] for _ in range(3)]
    for answer in answers:
        np.testing.assert_allclose(answer, made["model"](image), atol=1e-5)
    assert not np.allclose(answers[0], answers[1], atol=1e-5)
