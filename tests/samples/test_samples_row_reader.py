"""The row reader's weights, and the file with the older kind of state."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from data import train_row_reader
from varhandle.formats import read_graph
from workbook_lib.locations import data_path
from workbook_lib.samples import delay_line_file, load_digits, load_row_reader


def test_the_stored_reader_names_more_than_nine_in_ten_after_the_last_row():
    """Against a loop of its own: one image, one row, one matrix product at a time."""
    weights = load_row_reader()
    digits = load_digits()
    right = 0
    for image, label in zip(digits.test_images, digits.test_labels, strict=True):
        memory = weights["first_memory"][0]
        for row in image[..., 0]:
            old = memory
            memory = np.tanh(
                weights["row_kernel"].T @ row
                + weights["memory_kernel"].T @ old
                + weights["memory_bias"]
            )
        right += np.argmax(weights["digit_kernel"].T @ memory + weights["digit_bias"]) == label
    assert right / len(digits.test_labels) > 0.92
    assert train_row_reader.accuracy_by_row(weights)[-1] == pytest.approx(
        right / len(digits.test_labels), abs=0.005
    )


def test_the_reader_knows_more_with_every_row():
    shares = train_row_reader.accuracy_by_row(load_row_reader())
    assert len(shares) == 8
    assert shares == sorted(shares)
    assert shares[0] < 0.2


def test_the_first_memory_is_not_zero():
    """Notebook 07 shows by it that a state is to begin with its initial value."""
    assert np.abs(load_row_reader()["first_memory"]).max() > 0.5


def test_the_weights_are_plain_arrays_of_the_shapes_that_are_told():
    with np.load(data_path("row_reader.npz"), allow_pickle=False) as file:
        shapes = {name: (file[name].shape, file[name].dtype) for name in file.files}
    assert shapes == {
        "row_kernel": ((8, 24), np.float32),
        "memory_kernel": ((24, 24), np.float32),
        "memory_bias": ((24,), np.float32),
        "first_memory": ((1, 24), np.float32),
        "digit_kernel": ((24, 10), np.float32),
        "digit_bias": ((10,), np.float32),
    }


def test_rows_may_have_a_channel_or_none():
    images = load_digits().test_images[:3]
    weights = load_row_reader()
    assert np.array_equal(
        train_row_reader.read_rows(weights, images),
        train_row_reader.read_rows(weights, images[..., 0]),
    )
    assert train_row_reader.read_rows(weights, images).shape == (3, 8, 10)


def test_the_script_rebuilds_a_reader_as_good(tmp_path, tf):
    path = tmp_path / "rebuilt.npz"
    train_row_reader.main(path)
    with np.load(path, allow_pickle=False) as file:
        rebuilt = {name: file[name] for name in file.files}
    assert set(rebuilt) == set(load_row_reader())
    assert train_row_reader.accuracy_by_row(rebuilt)[-1] > 0.92


def test_the_delay_line_adds_up_its_last_four_inputs():
    interpreter = Interpreter(model_content=delay_line_file())
    interpreter.allocate_tensors()
    (given,), (told,) = interpreter.get_input_details(), interpreter.get_output_details()
    inputs = [1.0, 20.0, 300.0, 4000.0, 50000.0, 6.0]
    for index, value in enumerate(inputs):
        interpreter.set_tensor(given["index"], np.array([[value]], np.float32))
        interpreter.invoke()
        assert interpreter.get_tensor(told["index"]).item() == sum(inputs[: index + 1][-4:])


def test_the_delay_line_has_no_resource_variable():
    graph = read_graph(delay_line_file())
    assert graph.variables == ()
    assert dict(graph.op_counts()) == {"SVDF": 1}
