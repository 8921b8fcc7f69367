"""Whoever compares and fails says where the file parts; the silent cases of the catalog as well."""

import numpy as np
import pytest

from varhandle import cure, diagnose, locate
from varhandle.divergence import failed_comparison, location
from varhandle.repair.refusal import NoCureError


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "keras-in-module",
            "call 1, READ_VARIABLE dense_1/BiasAdd/ReadVariableOp: the variable "
            "dense/bias is not initialized: no CALL_ONCE assigns it",
        ),
        (
            "unfrozen-graph",
            "call 1, READ_VARIABLE matmul/ReadVariableOp: the variable w is not "
            "initialized: no CALL_ONCE assigns it",
        ),
        (
            "growing-variable",
            "call 1, READ_VARIABLE Sum/ReadVariableOp: the variable rows has shape "
            "[2, 3] where the model has [3, 3]",
        ),
    ],
)
def test_the_first_difference_of_a_silent_case_is_named(silent, name, line):
    assert locate(*silent(name)).line == line


def test_a_state_in_int8_saturates(silent):
    inputs = {"x": np.full([20, 1, 4], 0.25, np.float32)}  # as it was calibrated with
    found = locate(*silent("int8-state"), inputs=inputs)
    assert found.first["call"] == 11  # calibrated over ten calls, it counts to nine
    ends = "it ends at 0 and 9, where values go from 10 to 10; it holds the variable counter"
    assert found.first["why"].endswith(ends)


def test_a_diagnosis_names_it(specimen_path):
    found = diagnose(specimen_path("growing"))
    told = found.as_dict()["first_difference"]
    assert told.endswith("the variable rows has shape [2, 3] where the model has [3, 3]")
    assert f"first difference: {told}" in found.text()
    assert told in found.html()
    assert diagnose(specimen_path("counter")).as_dict()["first_difference"] is None


def test_what_has_just_been_converted_is_not_converted_again(specimen_path, monkeypatch):
    monkeypatch.setattr(location, "convert", None)
    found = diagnose(specimen_path("growing"))
    assert found.location is not None
    inputs = {"x": np.full([20, 1, 4], 0.25, np.float32)}
    with pytest.raises(NoCureError) as refused:
        cure(specimen_path("counter"), quantization="int8", inputs=inputs)
    assert refused.value.location is not None


def test_that_nothing_is_located_does_not_hide_the_verdict(specimen_path, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("no")

    monkeypatch.setattr(failed_comparison, "locate", fail)
    found = diagnose(specimen_path("growing"))
    assert found.verdict == "wrong-answers"
    assert found.as_dict()["first_difference"] is None


def test_a_refused_cure_keeps_it(silent):
    found = locate(*silent("growing-variable"))
    error = NoCureError("no cure", None, "change it", found)
    made, parts = error.__reduce__()
    assert made(*parts).as_dict()["first_difference"] == found.line
    assert error.text().splitlines() == ["no cure", f"first difference: {found.line}", "change it"]
