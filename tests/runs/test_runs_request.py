"""The parameters of notebook 36: read before anything slow begins, refused in one line."""

import numpy as np
import pytest

from varhandle.evaluate.example_inputs import CallsError
from varhandle.graph import ModelFileError
from workbook_lib.locations import data_path
from workbook_lib.runs.request import RequestError, one_line_errors, read_request


def test_the_bundled_model_brings_its_inputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = read_request("half_reader")
    assert asked.graph.format == "saved_model"
    assert not asked.graph.source.startswith("/")  # a page names no machine
    assert asked.calls is not None
    assert (asked.signature, asked.recipe, asked.target.id) == (None, None, "litert")


def test_a_model_of_that_name_that_is_there_is_the_one_that_is_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "half_reader").write_bytes(b"no model")
    with pytest.raises(RequestError, match="half_reader"):
        read_request("half_reader")


def test_what_is_empty_is_left_to_the_tool(tmp_path):
    for nothing in ("", None):
        asked = read_request(
            data_path("digits_classifier.keras"),
            signature=nothing,
            inputs=nothing,
            quantization=nothing,
        )
        assert (asked.signature, asked.calls, asked.recipe) == (None, None, None)
        assert asked.calls is None


def test_modules_are_named_in_one_text_or_in_a_list():
    for given in ("one, two", ["one", "two"]):
        assert read_request("half_reader", imports=given).imports == ("one", "two")


def test_what_is_given_is_taken(tmp_path):
    path = tmp_path / "rows.npz"
    np.savez(path, row=np.zeros([2, 1, 8], "float32"))
    asked = read_request(
        "half_reader",
        signature="serving_default",
        inputs=path,
        target="tflite-2.5",
        quantization="int8",
    )
    assert (asked.signature, asked.recipe) == ("serving_default", "int8")
    assert asked.calls == str(path)
    assert asked.target.id == "tflite-2.5"


@pytest.mark.parametrize(
    ("parameter", "value", "told"),
    [
        ("model", "nowhere", "nowhere: there is no such file or folder"),
        ("signature", "nobody", "no signature 'nobody'; there are: serving_default"),
        ("inputs", "nothing.npz", "inputs: there is no file or folder nothing.npz"),
        ("target", "toaster", "no target 'toaster'"),
        ("quantization", "int4", "no recipe 'int4'"),
        ("imports", "a_module,nowhere.py", "--import nowhere.py: there is no such file"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(parameter, value, told):
    with pytest.raises(RequestError) as raised:
        read_request(**{"model": "half_reader", parameter: value})
    assert told in str(raised.value)
    (line,) = raised.value._render_traceback_()  # what a notebook shows instead of a traceback
    assert line == f"RequestError: {raised.value}"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ModelFileError("m", "is\nno model"), "m: is no model"),
        (CallsError("input x:\x1b[2J"), r"input x:\x1b[2J"),
        (PermissionError(13, "Permission denied", "out"), "out: Permission denied"),
        (OSError("no space at all"), "no space at all"),
    ],
)
def test_errors_of_a_model_or_a_folder_become_one_line(error, told):
    with pytest.raises(RequestError) as raised, one_line_errors():
        raise error
    assert str(raised.value) == told


def test_a_fault_of_the_tool_stays_one():
    with pytest.raises(ZeroDivisionError), one_line_errors():
        _ = 1 / 0
