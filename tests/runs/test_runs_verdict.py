"""The verdict file: it keeps to its schema, and says what was seen."""

import hashlib
import json
import re
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from varhandle.diagnosis import diagnose
from varhandle.display import TONES
from varhandle.facts.schemas import schema_of
from varhandle.families.base import Finding
from varhandle.formats import read_graph
from varhandle.formats.trust import NotTrustedError
from varhandle.repair.run import NoCureError, cure
from workbook_lib.locations import data_path
from workbook_lib.runs.verdict import NO_FILE, NoFile, _compared, write_verdict
from workbook_lib.samples import half_reader_rows

SCHEMA = schema_of("verdict")


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


@pytest.fixture(scope="module")
def classifier():
    return diagnose(data_path("digits_classifier.keras"), static=True)


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
    assert content["compared_with"] == "itself"
    assert content["sha256"] == hashlib.sha256(counting_file).hexdigest()
    assert content["float_bytes"] == content["bytes"]
    assert content["state_file"] is None and content["change"] is None
    assert content["runs_on"]["litert"] == [] and content["runs_on"]["tflite-2.3"]
    assert any("made up" in note for note in content["notes"])
    assert re.search(rf"^signature +{counting.signature}$", verdict.text(), re.MULTILINE)
    first = verdict.text().splitlines()[2]  # what the reader wants to know first
    assert first.startswith("what to do") and "Take model.tflite out of" in first


def test_a_lifted_state_lies_beside_the_file(counting, tmp_path):
    verdict = judged(tmp_path, counting, target="builtin-only")
    assert files(tmp_path) == ["model.state.npz", "model.tflite", "verdict.json"]
    content = stored(tmp_path)
    assert content["plan"]["id"] == "lift-state"
    assert content["state_file"] == "model.state.npz"
    assert content["runs_on"]["builtin-only"] == []
    assert "Take model.tflite and model.state.npz out of" in verdict.text()
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
    assert content["file"] is None and content["plan"] is None
    assert "dynamic range" in content["reason"]
    assert "blocked: no .tflite file" in verdict.text()
    assert content["change"] in verdict.text()  # what to do, where it is one sentence
    for name in ("bytes", "float_bytes", "sha256", "state_file", "runs_on"):
        assert content[name] is None


def test_what_was_not_run_is_not_called_blocked(classifier, tmp_path):
    error = NotTrustedError("it brings a Lambda layer along")
    warning = Finding("unsupported-variable-dtype", "warning", (), "Another signature's.", "")
    unnamed = replace(classifier, findings=(warning,), signature=None)
    verdict = write_verdict(tmp_path, unnamed, error)
    assert re.search(r"^signature +none$", verdict.text(), re.MULTILINE)
    content = stored(tmp_path)
    assert content["fails_on"] == []  # it is no fault of what was asked for
    assert (content["verdict"], content["file"]) == ("convertible", None)
    assert content["parity"] is None and content["calls"] is None
    assert "Lambda" in verdict.text() and "not compared" in verdict.text()
    assert TONES["right"][0] not in verdict.html()  # there is no file
    assert files(tmp_path) == ["verdict.json"]


def test_the_half_reader_is_blocked_then_cured_then_quantized(tmp_path):
    rows = half_reader_rows(3)
    diagnosis = diagnose(data_path("half_reader"), inputs=rows)
    cured = cure(diagnosis, inputs=rows, quantization="dynamic range")
    verdict = write_verdict(tmp_path, diagnosis, cured, quantization="dynamic range")
    content = stored(tmp_path)
    assert content["diagnosis"]["verdict"] == "blocked"
    assert content["verdict"] == "ready"
    assert content["calls"] == "given"
    assert content["diagnosis"]["findings"][0]["id"] == "unsupported-variable-dtype"
    assert content["quantization_parity"]["passed"]
    assert {"2.6.5", "2.15.1", "2.21.0"} <= set(content["fails_on"])
    assert content["compared_with"] == "TensorFlow"
    assert content["bytes"] == content["float_bytes"]  # its weights are too small for the recipe
    assert any("dynamic range changed nothing" in note for note in content["notes"])
    assert f"{content['float_bytes']:,} before it was quantized" in verdict.text()
    assert "quantized: dynamic range" in verdict.text()
    delivered = read_graph((tmp_path / "model.tflite").read_bytes())
    assert [v.name for v in delivered.variables] == ["memory"]


def test_an_unproved_file_is_delivered_and_said_to_be_so(tmp_path):
    diagnosis = diagnose(data_path("digits_classifier.keras"))
    verdict = judged(tmp_path, diagnosis, quantization="int8, float inputs")
    content = stored(tmp_path)
    assert not verdict.ok
    assert (content["verdict"], content["file"]) == ("unproved", "model.tflite")
    assert content["calls"] in ("graph", "made up")
    assert "model.tflite" in files(tmp_path)
    assert content["reason"].startswith("int8, float inputs was calibrated and compared with")
    assert "unproved: model.tflite (" in verdict.text()
    assert "Prove model.tflite before you rely on it" in verdict.text()


def test_a_model_s_names_cannot_forge_the_report(counting, tmp_path):
    error = NoCureError("a <script>alert(1)</script>\nverdict: ready \x1b[2J")
    verdict = write_verdict(tmp_path, counting, error)
    assert "\n" not in stored(tmp_path)["reason"]
    assert "<script>" not in verdict.html()
    assert "\x1b" not in verdict.text()


def test_a_verdict_without_its_proof_does_not_keep_to_the_schema(counting, tmp_path):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    judged(tmp_path, counting)
    content = stored(tmp_path)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for name in ("sha256", "runs_on", "plan", "parity", "float_bytes"):
        assert not validator.is_valid({**content, name: None}), name
    assert not validator.is_valid({**content, "verdict": "blocked"})
    assert validator.is_valid({**content, "verdict": "unproved", "parity": None})
    assert not validator.is_valid({**content, "sha256": "0"})


def test_what_was_not_trusted_is_told_in_one_clear_sentence(classifier, tmp_path):
    error = NotTrustedError("it brings code along (a Lambda layer)")
    verdict = write_verdict(tmp_path, classifier, error)
    assert stored(tmp_path)["change"].startswith("Set trust = True")
    assert "Set trust = True" in verdict.text()
    assert NoFile.of(error).text().splitlines()[0] == (
        "Nothing was run: it brings code along (a Lambda layer)."
    )


def test_why_there_is_no_file():
    finding = diagnose(data_path("half_reader"), static=True).findings[0]
    above = NoFile.of(NoCureError("it does not go", finding, finding.fix))
    assert above.change == "Its author must change it: the fix of unsupported-variable-dtype above."
    code = NoFile.of(NoCureError("it does not go", change="a = 1\nb = '\x1b<b>'"))
    assert code.text() == "it does not go\n\na = 1\nb = '\\x1b<b>'"
    assert "<pre" in code.html() and "<b>" not in code.html()
    assert "<pre" not in NoFile.of(NoCureError("no", change="a sentence")).html()
    assert NoFile.of(ValueError("bare")) == NoFile("bare")
    assert str(NO_FILE) == NO_FILE.text()
    assert repr(NO_FILE).startswith("NoFile(")


def test_a_change_in_code_is_left_to_its_section(counting, tmp_path):
    verdict = write_verdict(tmp_path, counting, NoCureError("no", change="a = 1\nb = 2"))
    assert "Change the model: section 4 says what." in verdict.text()
    told = write_verdict(tmp_path, counting, NoCureError("no")).text()
    assert "Nothing is known that would help." in told


def test_a_run_that_was_refused_is_no_comparison():
    run = {"kernels": "plain kernels", "agreeing": 0, "calls": 20, "refusal": "no such op"}
    assert _compared({"runs": [run]}) == "plain kernels: refused: no such op"


@pytest.mark.parametrize("change", ["", "<b>", "<b>\n<b>"])
def test_a_reason_is_no_markup(change):
    assert "<b>" not in NoFile("<b>", change).html()
