"""Rows pushed one by one, beside TensorFlow's own model."""

import numpy as np
import pytest

from varhandle.tflite.externalize_state import lift_state
from workbook_lib import controls
from workbook_lib.controls.row_reading import RowReading
from workbook_lib.samples import load_digits, make_row_reader


@pytest.fixture(scope="module")
def reader(tf):
    """The row reader of lesson 31: the module, its file, and the file with its state lifted."""
    module = make_row_reader()
    functions = [module.step.get_concrete_function(), module.reset.get_concrete_function()]
    content = tf.lite.TFLiteConverter.from_concrete_functions(functions, module).convert()
    return make_row_reader, content, lift_state(content)


def test_each_push_answers_as_tensorflow_does_and_leaves_its_memory(reader):
    module, (content, lifted) = reader[0](), reader[1:]
    reading = RowReading(content, lifted, 3)
    for number, row in enumerate(load_digits().test_images[3, ..., 0], start=1):
        truth = module.step(row[np.newaxis])
        reading.push()
        last = reading.state.pushes[-1]
        said = (int(np.argmax(truth["digit"])), number)
        assert (last.kept, last.carried, last.agree) == (said, said, True)
        assert np.allclose(reading.state.memory, module.memory.numpy()[0], atol=1e-5)


def test_what_begins_anew_and_what_does_not(reader):
    """The numbers of lesson 31's table: memory and count, after eight rows and one more."""
    first = controls.row_by_row(*reader[1:], example=1).pushes[0]
    for way, anew, count in (
        ("reset_all_variables", False, 9),
        ("reset_signature", True, 9),
        ("new_interpreter", True, 1),
    ):
        reading = RowReading(*reader[1:], 1)
        for _ in range(8):
            reading.push()
        before = reading.state.memory
        getattr(reading, way)()
        unchanged = np.array_equal(reading.state.memory, before)
        assert unchanged is not anew
        reading.push()
        last = reading.state.pushes[-1]
        assert last.kept[1] == last.carried[1] == count
        assert last.agree
        if anew:
            assert last.kept[0] == first.kept[0]


def test_another_digit_goes_on_with_the_old_memory(reader):
    reading = RowReading(*reader[1:], 1)
    reading.push()
    memory = reading.state.memory
    reading.take(2)
    assert reading.row == 0
    assert np.array_equal(reading.state.memory, memory)


def test_sides_that_differ_are_said(reader):
    _, content, lifted = reader
    reading = RowReading(content, lifted, 1)
    reading.push()
    reading._memory["memory"] = reading._memory["memory"] + 0.5
    reading.push()
    assert "differ" in reading.state.text()
    assert "differ" in reading.state.html()


def test_where_nobody_can_press_the_whole_example_is_read(reader):
    text = controls.row_by_row(*reader[1:], example=1).text()
    lines = text.splitlines()
    assert sum(line.startswith("row ") for line in lines) == 8
    assert "row 8 of digit no. 1" in text
    memory = lines[-1].removeprefix("memory: ").split()
    assert len(memory) == 24
    assert all(-1 <= float(number) <= 1 for number in memory)


def test_an_example_that_there_is_not_is_refused(reader):
    with pytest.raises(ValueError, match="0 to 359, and is not -1"):
        controls.row_by_row(*reader[1:], example=-1)
