"""The verdict file: it keeps to its schema, and says what was seen."""

import json

import jsonschema
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from workbook_lib.device.reference import NotRepeatableError, NotTrustedError
from workbook_lib.failures.cure import NoCureError, cure
from workbook_lib.failures.diagnosis import diagnose
from workbook_lib.graph import read_graph
from workbook_lib.runs.verdict import write_verdict
from workbook_lib.samples import data_path, half_reader_rows

SCHEMA = json.loads(data_path("verdict.schema.json").read_text(encoding="utf-8"))


def stored(folder):
    content = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(SCHEMA).validate(content)
    return content


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def judged(folder, diagnosis, target="litert", quantization=None):
    try:
        outcome = cure(diagnosis, target=target, quantization=quantization)
    except NoCureError as error:
        outcome = error
    return write_verdict(folder, diagnosis, outcome, target=target, quantization=quantization)


@pytest.fixture(scope="module")
def counting(counting_file, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "counting.tflite"
    path.write_bytes(counting_file)
    return diagnose(path)


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_a_sound_file_is_ready_and_delivered(counting, counting_file, tmp_path):
    verdict = judged(tmp_path, counting)
    assert verdict.ok
    assert files(tmp_path) == ["model.tflite", "verdict.json"]
    assert (tmp_path / "model.tflite").read_bytes() == counting_file
    content = stored(tmp_path)
    assert (content["verdict"], content["bytes"]) == ("ready", len(counting_file))
    assert content["model"] == "counting.tflite"
    assert content["parity"]["passed"]
    assert content["calls"] == "made up"


def test_a_lifted_state_lies_beside_the_file(counting, tmp_path):
    judged(tmp_path, counting, target="builtin-only")
    assert files(tmp_path) == ["model.state.npz", "model.tflite", "verdict.json"]
    content = stored(tmp_path)
    assert content["way"]["id"] == "lift-state"
    # By a plain interpreter: the file takes what the state file holds.
    with np.load(tmp_path / "model.state.npz", allow_pickle=False) as state:
        runner = Interpreter(str(tmp_path / "model.tflite")).get_signature_runner()
        details = runner.get_input_details()
        assert set(state.files) < set(details)
        assert all(state[n].shape == tuple(details[n]["shape"]) for n in state.files)


def test_what_has_no_cure_is_blocked_and_leaves_no_file(counting, tmp_path):
    judged(tmp_path, counting, target="builtin-only")
    verdict = judged(tmp_path, counting, quantization="dynamic range")  # the converter's recipe
    assert not verdict.ok
    assert files(tmp_path) == ["verdict.json"]  # nothing of the verdict before
    content = stored(tmp_path)
    assert content["verdict"] == "blocked"
    assert content["file"] is None and content["way"] is None
    assert "dynamic range" in content["reason"]
    assert "blocked: no .tflite file" in verdict.text()


@pytest.mark.parametrize("error", [NotTrustedError, NotRepeatableError])
def test_what_was_not_run_is_not_called_blocked(tmp_path, error):
    diagnosis = diagnose(data_path("digits_classifier.keras"), static=True)
    verdict = write_verdict(tmp_path, diagnosis, error("it brings a Lambda layer along"))
    content = stored(tmp_path)
    assert (content["verdict"], content["file"]) == ("convertible", None)
    assert content["parity"] is None and content["calls"] is None
    assert "Lambda" in verdict.text() and "not compared" in verdict.text()
    assert files(tmp_path) == ["verdict.json"]


def test_the_half_reader_is_blocked_then_cured_then_quantized(tmp_path):
    rows = half_reader_rows(3)
    diagnosis = diagnose(data_path("half_reader"), inputs=rows)
    cured = cure(diagnosis, inputs=rows, quantization="dynamic range")
    verdict = write_verdict(tmp_path, diagnosis, cured, quantization="dynamic range", calls="given")
    content = stored(tmp_path)
    assert content["diagnosis"]["verdict"] == "blocked"
    assert content["verdict"] == "ready"
    assert content["calls"] == "given"
    assert content["diagnosis"]["findings"][0]["id"] == "unsupported-variable-dtype"
    assert content["quantization_parity"]["passed"]
    assert {"2.6.5", "2.15.1", "2.21.0"} <= set(content["fails_on"])
    assert "quantized: dynamic range" in verdict.text()
    delivered = read_graph((tmp_path / "model.tflite").read_bytes())
    assert [v.name for v in delivered.variables] == ["memory"]


def test_a_model_s_names_cannot_forge_the_report(counting, tmp_path):
    error = NoCureError("a <script>alert(1)</script>\nverdict: ready \x1b[2J")
    verdict = write_verdict(tmp_path, counting, error)
    assert "\n" not in stored(tmp_path)["reason"]
    assert "<script>" not in verdict.html()
    assert "\x1b" not in verdict.text()
