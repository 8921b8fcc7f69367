"""The row reader's weights, the SavedModel made of them, and the file with the older kind of state.

The SavedModel is what notebook 36 begins with: a sound reader, and one that does not convert.
"""

import numpy as np
import pytest

from data import make_half_reader, train_row_reader
from varhandle.conversion.converter import convert
from varhandle.formats import read_graph
from workbook_lib.locations import data_path
from workbook_lib.samples import half_reader_rows, load_digits, load_row_reader

FOLDER = data_path("half_reader")


def by_hand(rows):
    """Read rows in NumPy, the memory rounded to half precision after each."""
    weights = load_row_reader()
    memory = weights["first_memory"].astype(np.float16)
    logits = []
    for row in rows:
        seen = row @ weights["row_kernel"] + memory.astype(np.float32) @ weights["memory_kernel"]
        new = np.tanh(seen + weights["memory_bias"])
        memory = new.astype(np.float16)
        logits.append(new @ weights["digit_kernel"] + weights["digit_bias"])
    return np.array(logits)


@pytest.fixture(scope="module")
def stored(tf):
    return tf.saved_model.load(str(FOLDER)).signatures["serving_default"]


def test_the_stored_model_reads_as_numpy_does(stored):
    rows = half_reader_rows(5)["row"]
    assert rows.shape == (8, 1, 8) and rows.dtype == np.float32
    answers = np.array([stored(row=row)["logits"].numpy() for row in rows])
    assert np.allclose(answers, by_hand(rows), atol=1e-2)
    assert answers[-1].argmax() == load_digits().test_labels[5]


def test_its_memory_is_a_float16_variable_and_the_only_one_assigned():
    graph = read_graph(FOLDER)
    assert {v.name: v.dtype for v in graph.variables if v.assigns} == {"memory": "float16"}
    assert all(v.initialized for v in graph.variables)


def test_the_converter_refuses_it_with_the_literal_message():
    conversion = convert(FOLDER)
    assert conversion.content is None
    message = "'tf.VarHandleOp' op is neither a custom op nor a flex op"
    assert message in conversion.record.message


def test_the_script_makes_it_again(tmp_path, stored, tf):
    make_half_reader.main(tmp_path / "again")
    again = tf.saved_model.load(str(tmp_path / "again")).signatures["serving_default"]
    fresh = tf.saved_model.load(str(FOLDER)).signatures["serving_default"]
    for row in half_reader_rows(3)["row"]:
        assert np.array_equal(again(row=row)["logits"], fresh(row=row)["logits"])


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


def test_the_first_memory_is_not_zero():
    """Lesson 32 shows by it that a state is to begin with its initial value."""
    assert np.abs(load_row_reader()["first_memory"]).max() > 0.5


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
