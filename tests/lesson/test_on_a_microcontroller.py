"""Lesson 96: a reader of rows on a chip's runtime beside NumPy, and the cure of the card."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from lesson_cards import run_cure

from data import train_row_reader
from varhandle import read_graph
from varhandle.tflite.externalize_state import lift_state
from workbook_lib.samples import load_digits, load_row_reader, make_row_reader

RUNTIME = "tflite_micro.python.tflite_micro.runtime"
WITHOUT = "the extra `runtimes` with tflite-micro is not installed, or not for this platform"


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("form", ["stateful", "lifted"])
def test_the_reader_runs_on_a_microcontrollers_runtime(tf, form):
    runtime = pytest.importorskip(RUNTIME, reason=WITHOUT)
    owner = make_row_reader()
    functions = [owner.step.get_concrete_function()]
    content = tf.lite.TFLiteConverter.from_concrete_functions(functions, owner).convert()
    lifted = lift_state(content)
    content = content if form == "stateful" else lifted.content
    state = {} if form == "stateful" else lifted.start()
    lite = Interpreter(model_content=content)
    runner = lite.get_signature_runner()
    chip = runtime.Interpreter.from_bytes(content, arena_size=50_000)
    places = [
        [detail["index"] for detail in details]
        for details in (lite.get_input_details(), lite.get_output_details())
    ]

    def call(**inputs):
        for name, detail in runner.get_input_details().items():
            chip.set_input(inputs[name], places[0].index(detail["index"]))
        chip.invoke()
        details = runner.get_output_details().items()
        return {n: chip.get_output(places[1].index(d["index"])) for n, d in details}

    image = load_digits().test_images[:1]
    expected = softmax(train_row_reader.read_rows(load_row_reader(), image))[0]
    for row, answer in zip(image[0, :, :, 0], expected, strict=True):
        outputs = call(row=row[np.newaxis], **state)
        state = {name: outputs[name].copy() for name in state}
        assert np.allclose(outputs["digit"][0], answer, atol=1e-5)


def test_the_cure_of_the_card_needs_no_store_and_begins_where_you_say(tf):
    add = run_cure("on_a_microcontroller")["add"]
    functions = [add.get_concrete_function()]
    content = tf.lite.TFLiteConverter.from_concrete_functions(functions, tf.Module()).convert()
    assert set(read_graph(content).op_counts()) == {"ADD"}
    runner = Interpreter(model_content=content).get_signature_runner()
    one, total, seen = np.ones(1, np.float32), np.full(1, 10, np.float32), []
    for _ in range(3):
        total = runner(x=one, total=total)["total"]
        seen.append(total.item())
    assert seen == [11, 12, 13]
    runtime = pytest.importorskip(RUNTIME, reason=WITHOUT)
    chip = runtime.Interpreter.from_bytes(content, arena_size=20_000)
    for place, value in enumerate((one, np.full(1, 10, np.float32))):
        chip.set_input(value, place)
    chip.invoke()
    assert chip.get_output(0).item() == 11
