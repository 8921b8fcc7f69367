"""What notebook 07 takes and what its own cells cannot show: NumPy's answers, a chip's runtime.

The rest, such as the proof against TensorFlow's tape, is in the notebook, and nbval holds it.
"""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from notebook_cells import execute, load, source

from data import train_row_reader
from varhandle.tflite.externalize_state import lift_state
from workbook_lib.samples import load_digits, load_row_reader


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        *(({"new_digits": given, "steps": 50}, "new_digits is 1 to 9 different digits")
          for given in ("", "88", "8a", "0123456789", None, 3.5)),
        *(({"new_digits": 89, "steps": given}, "steps is a whole number")
          for given in (0, -1, 2881, "50", 2.0)),
    ],
)  # fmt: skip
def test_parameters_that_cannot_be_used_are_refused_in_words(parameters, told):
    check = source(load("07_keep_the_state.ipynb"), "setup").partition("__version__)")[2]
    with pytest.raises(ValueError, match=told):
        execute(check, parameters)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def convert_reader(tf):
    """A function that converts signatures of the row reader, as the notebook's cell defines it."""
    namespace = {"np": np, "tf": tf, "load_row_reader": load_row_reader, "__name__": "cells"}
    execute(source(load("07_keep_the_state.ipynb"), "row-reader"), namespace)

    def converted(*names):
        owner = namespace["RowReader"]()
        functions = [getattr(owner, name).get_concrete_function() for name in names]
        return tf.lite.TFLiteConverter.from_concrete_functions(functions, owner).convert()

    return converted


def test_every_step_of_the_reader_is_that_of_numpy(convert_reader):
    interpreter = Interpreter(model_content=convert_reader("step", "reset"))
    step, reset = map(interpreter.get_signature_runner, ("step", "reset"))
    images = load_digits().test_images[:10]
    expected = softmax(train_row_reader.read_rows(load_row_reader(), images))
    rows_read = 0
    for image, answers in zip(images[..., 0], expected, strict=True):
        reset()
        for row, answer in zip(image, answers, strict=True):
            rows_read += 1
            told = step(row=row[np.newaxis])
            assert np.allclose(told["digit"][0], answer, atol=1e-5)
            assert told["rows"].item() == rows_read


@pytest.mark.parametrize("form", ["stateful", "lifted"])
def test_the_reader_runs_on_a_microcontrollers_runtime(convert_reader, form):
    reason = "the extra `runtimes` with tflite-micro is not installed, or not for this platform"
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason=reason)
    content = convert_reader("step")
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
