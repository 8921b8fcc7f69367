"""The SavedModel that notebook 08 begins with: a sound reader, and one that does not convert."""

import numpy as np
import pytest

from data import make_half_reader
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


def test_there_are_no_rows_of_a_digit_that_is_not_there():
    with pytest.raises(IndexError):
        half_reader_rows(360)
