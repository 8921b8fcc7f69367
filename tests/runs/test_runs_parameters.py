"""Papermill parameters: each is declared, read, and changes something that can be seen."""

import ast
import json

import pytest

from workbook_lib.runs import all_notebooks, run_notebooks
from workbook_lib.samples import data_path

A_TFLITE_FILE = "a path that the test fills in"

# notebook -> parameter -> (another value, the cell whose output it changes)
CHANGES = {
    "01_reproduce_the_failure": {"variable_dtype": ("int16", "literal-dtype")},
    "02_inspect_the_graph": {
        "open_netron": (True, "netron"),
        "model": (A_TFLITE_FILE, "own-model"),
    },
    "03_freeze_the_weights": {
        "calls": (3, "freeze-parity"),
        "model": (str(data_path("digits_classifier.keras")), "freeze-proof"),
    },
    "04_convert": {
        "calls": (2, "door-parity"),
        "variable_dtype": ("int16", "entries"),
    },
    "05_quantize": {"calibration_size": (3, "ranges")},
    "07_keep_the_state": {"steps": (20, "fifty-steps"), "new_digits": ("01", "base")},
    "06_run_inference": {
        "batch_sizes": ([2, 400], "batch-equal"),
        "threads": (1, "variants"),
    },
}


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
    return [
        "".join(output.get("text", "")) or "".join(output.get("data", {}).get("text/plain", ""))
        for output in cell["outputs"]
    ]


@pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
def test_every_parameter_has_a_test(path):
    assert declared(path) == set(CHANGES.get(path.stem, {}))


@pytest.mark.parametrize(
    ("stem", "name"), [(stem, name) for stem, names in CHANGES.items() for name in names]
)
def test_a_parameter_changes_what_a_reader_sees(tmp_path, counting_file, stem, name):
    value, cell = CHANGES[stem][name]
    if value == A_TFLITE_FILE:
        value = str(tmp_path / "total.tflite")
        (tmp_path / "total.tflite").write_bytes(counting_file)
    path = next(path for path in all_notebooks() if path.stem == stem)
    report = run_notebooks([path], tmp_path, {name: value})
    assert report.ok, report.text()
    assert outputs(report.notebooks[0].executed, cell) != outputs(path, cell)
