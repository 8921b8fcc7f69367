"""The column of a sweep that says where a file parts from its model, for models that fail."""

import csv

import numpy as np
import pytest
from bs4 import BeautifulSoup

from varhandle.sweep.row_specs import rows_of_models
from varhandle.sweep.run import run_sweep

GROWN = (
    "call 1, READ_VARIABLE Sum/ReadVariableOp: the variable rows has shape [2, 3] where the model "
    "has [3, 3]"
)


@pytest.fixture(scope="module")
def rounded_away(tf, tmp_path_factory):
    """A net whose answers rest on weights that eight bits round away, and inputs."""
    import keras

    layers = [keras.Input((8,), batch_size=1, name="x"), keras.layers.Dense(4)]
    model = keras.Sequential(layers)
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(8, 4)).astype(np.float32) * 1e-2
    kernel[0] = 100.0  # the input that it meets is 0
    model.set_weights([kernel, np.zeros(4, np.float32)])
    folder = tmp_path_factory.mktemp("rounded")
    model.save(folder / "rounded.keras")
    calls = rng.normal(size=(6, 1, 8)).astype(np.float32)
    calls[..., 0] = 0.0
    np.savez(folder / "inputs.npz", x=calls)
    return folder


def test_rows_of_models_that_fail(specimen_path, rounded_away, tmp_path):
    names = ("growing", "keras_in_a_module", "draws_random_numbers")
    specs = rows_of_models([specimen_path(name) for name in names])
    rounded = rounded_away / "rounded.keras"
    inputs = rounded_away / "inputs.npz"
    specs += rows_of_models([rounded], quantizations=["int8"], inputs=inputs)
    result = run_sweep(specs, tmp_path / "out")
    grown, cured, draws, quantized = result.rows
    assert grown.verdict == "wrong-answers"
    assert grown.first_difference == GROWN
    assert (cured.verdict, cured.first_difference) == ("ready", None)  # the file is the cured one
    assert (draws.verdict, draws.first_difference) == ("unproved", None)
    assert quantized.verdict == "blocked", quantized.reason
    assert "FULLY_CONNECTED" in quantized.first_difference
    table = list(csv.DictReader((tmp_path / "out" / "sweep.csv").open(encoding="utf-8")))
    told = [row.first_difference or "" for row in result.rows]
    assert [row["first_difference"] for row in table] == told
    page = BeautifulSoup((tmp_path / "out" / "index.html").read_text("utf-8"), "html.parser")
    assert [cell.text for cell in page.select("td.why")].count(GROWN) == 1
