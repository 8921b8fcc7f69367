"""Lesson 93: the cure of its card."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure


def test_the_cure_of_the_card_gives_a_file_that_answers_right(tf):
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [1, 4], name="x")
        w = v1.get_variable("w", initializer=[[2.0]] * 4, use_resource=True)
        y = tf.identity(x @ w, name="y")
        session.run(v1.global_variables_initializer())
        content = run_cure("tensorflow_1", session=session, x=x, y=y)["content"]
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.ones((1, 4), np.float32))
    interpreter.invoke()
    assert interpreter.get_tensor(interpreter.get_output_details()[0]["index"]) == 8
