"""What notebook 36 shows of a model whose file answers otherwise."""

import ast

import pytest
import zoo
from notebook_cells import execute, load, source

NOTEBOOK = load("36_your_own_model.ipynb")
CELLS = ("parameters", "setup", "verdict", "proof")


def shown(model, folder):
    """Execute the cells up to the proof; return what the last one shows."""
    names = {}
    for cell in CELLS:
        execute(source(NOTEBOOK, cell), names)
        if cell == "parameters":
            names.update(model=str(model), output=str(folder))
    last = ast.unparse(ast.parse(source(NOTEBOOK, "proof")).body[-1])
    return eval(last, names), names


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("growing", "the variable rows has shape [2, 3] where the model has [3, 3]"),
        ("growing_from_nothing", "the variable rows has shape [0, 3] where the model has [1, 3]"),
    ],
)
def test_the_panel_says_where_a_wrong_file_parts(tmp_path, name, line):
    panel, names = shown(zoo.make(name, tmp_path), tmp_path / "out")
    assert list(names["compared"]) == ["the model as it came", "where they part"]
    assert line in panel.html()
    assert line in panel.text()
    assert line in names["verdict"].content["first_difference"]


def test_the_panel_of_a_cured_model_compares_what_was_made(tmp_path):
    _, names = shown(zoo.make("keras_in_a_module", tmp_path), tmp_path / "out")
    assert list(names["compared"]) == ["the file"]
    assert names["diagnosis"].location is not None
    assert names["verdict"].content["first_difference"] is None
