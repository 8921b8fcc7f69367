"""Papermill parameters: each is declared, read, and changes something that can be seen."""

import ast
import json
import re
from pathlib import Path

import numpy as np
import pytest
from notebook_slice import sliced

from workbook_lib.runs import all_notebooks, run_notebooks

(
    A_TFLITE_FILE,
    TWO_SIGNATURES,
    A_LAMBDA_LAYER,
    INPUTS,
    A_CLASS,
    A_MODULE,
    A_WRITER,
    A_FOLDER,
    OUTPUT,
) = FILES = tuple(
    f"the path of {name}, which the test fills in"
    for name in (
        *("total.tflite", "two.tflite", "lambda.keras", "inputs.npz"),
        *("class.keras", "own_class_of_a_test.py", "writer_of_a_test.py", "folder", "output"),
    )
)

# notebook -> parameter -> (another value, the cell whose output it changes), and what else is given
# in both runs, where the stored outputs are not what the run is to be compared with
CHANGES = {
    "11_the_error": {"variable_dtype": ("int16", "message-end")},
    "32_lift_the_state": {"steps": (20, "fifty-steps")},
    "29_how_fast": {"threads": (3, "times")},
    "97_calibration": {"calibration_size": (3, "ranges")},
    "36_your_own_model": {
        "model": (A_TFLITE_FILE, "file"),
        "signature": ("second", "verdict", {"model": TWO_SIGNATURES}),
        "inputs": (INPUTS, "verdict", {"model": TWO_SIGNATURES}),
        "target": ("builtin-only", "file", {"model": A_TFLITE_FILE}),
        "quantization": ("int8", "file", {"model": TWO_SIGNATURES}),
        "output": (A_FOLDER, None, {"model": TWO_SIGNATURES}),
        "trust": (True, "verdict", {"model": A_LAMBDA_LAYER}),
        "imports": (A_MODULE, "verdict", {"model": A_CLASS}),
        "lock": (False, "verdict", {"model": A_CLASS, "imports": A_WRITER}),
    },
}
OWN_CLASS = """
import keras

class Own(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(3)

    def call(self, x):
        return self.dense(x)
"""


def declared(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    names = set()
    for cell in notebook["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            tree = ast.parse("".join(cell["source"]))
            names |= {node.targets[0].id for node in tree.body if isinstance(node, ast.Assign)}
    return names


def outputs(path, cell_id):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cell = next(cell for cell in notebook["cells"] if cell["id"] == cell_id)
    texts = [
        "".join(output.get("text", "")) or "".join(output.get("data", {}).get("text/plain", ""))
        for output in cell["outputs"]
    ]
    return [re.sub(r"_\d+", "", text) for text in texts]  # TensorFlow numbers traced functions


@pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
def test_every_parameter_has_a_test(path):
    assert declared(path) == set(CHANGES.get(path.stem, {}))


@pytest.fixture(scope="module")
def fillings(tf, counting_file, tmp_path_factory):
    """The files that stand for the names in ``FILES``."""
    folder = tmp_path_factory.mktemp("files")
    paths = [folder / name.split()[3].rstrip(",") for name in FILES]
    total, two, layer, inputs, own_class, own_module, writer, *_ = paths
    total.write_bytes(counting_file)

    class Two(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def first(self, x):
            return {"y": tf.tanh(x) * 3.0}

        @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
        def second(self, x):
            return {"y": tf.nn.relu(x)}

    module = Two()
    signatures = {"serving_default": module.first, "second": module.second}
    tf.saved_model.save(module, str(folder / "two"), signatures=signatures)
    two.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(folder / "two")).convert())
    model = tf.keras.Sequential([tf.keras.Input([4]), tf.keras.layers.Lambda(lambda x: x * 2.0)])
    model.save(layer)
    own_module.write_text(OWN_CLASS)
    writer.write_text(f"open({str(folder / 'written')!r}, 'w').close()\n{OWN_CLASS}")
    space = {"__name__": own_module.stem}
    exec(OWN_CLASS, space)
    own = space["Own"]()
    own(np.ones((1, 4), "float32"))
    own.save(own_class)
    np.savez(inputs, x=np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4))
    return dict(zip(FILES, map(str, paths), strict=True))


@pytest.fixture(scope="module")
def executed(fillings, tmp_path_factory):
    """``executed(stem, cells, parameters)``: what these cells of a notebook need, run once."""
    runs = {}

    def run(stem, cells, parameters):
        filled = {name: fillings.get(str(value), value) for name, value in parameters.items()}
        key = (stem, cells, *sorted(map(str, filled.items())))
        if key not in runs:
            stored = next(path for path in all_notebooks() if path.stem == stem)
            notebook = json.loads(stored.read_text(encoding="utf-8"))
            path = tmp_path_factory.mktemp("slice") / stored.name
            path.write_text(json.dumps(sliced(notebook, *cells)), encoding="utf-8")
            report = run_notebooks([path], tmp_path_factory.mktemp("run"), filled)
            assert report.ok, report.text()
            runs[key] = report.notebooks[0].executed
        return runs[key]

    return run


@pytest.mark.parametrize(
    ("stem", "name"), [(stem, name) for stem, names in CHANGES.items() for name in names]
)
def test_a_parameter_changes_what_a_reader_sees(executed, fillings, stem, name):
    value, cell, *given = CHANGES[stem][name]
    base = given[0] if given else {}
    if stem.startswith("08"):  # otherwise it writes into the checkout
        base = {"output": OUTPUT, **base}
    every = tuple(cell for _, cell, *other in CHANGES[stem].values() if cell and not other)
    cells = (cell,) if given else every
    if cell is None:  # it changes where something is written
        executed(stem, ("verdict",), {**base, name: value})
        assert (Path(fillings[value]) / "verdict.json").exists()
        return
    changed = executed(stem, (cell,), {**base, name: value})
    assert outputs(changed, cell) != outputs(executed(stem, cells, base), cell)
