"""Findings as SARIF: valid by the schema of the standard, with the right weight and file."""

import json
import shutil
from pathlib import Path

import pytest
from json_forms import check_sarif

from varhandle import diagnose
from varhandle.cli import main
from varhandle.families.catalog import FAMILIES
from varhandle.sarif import CheckedModel, checked_model, sarif_log
from workbook_lib.locations import data_path


def results(*models, root=None):
    return check_sarif(json.dumps(sarif_log(models, root), allow_nan=False))


@pytest.fixture
def half_reader(tmp_path):
    folder = tmp_path / "my model"
    shutil.copytree(data_path("half_reader"), folder)
    return folder


def test_a_diagnosis_writes_verdict_and_findings(half_reader, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["diagnose", "my model", "--static", "--sarif", "found.sarif"]) == 1
    assert capsys.readouterr().out.startswith("blocked: ")
    verdict, *findings = check_sarif(Path("found.sarif").read_text())
    assert (verdict["ruleId"], verdict["level"]) == ("blocked", "error")
    found = diagnose("my model", static=True).findings
    assert [one["ruleId"] for one in findings] == [one.id for one in found]
    levels = {"error": "error", "warning": "warning", "info": "note"}
    assert [one["level"] for one in findings] == [levels[one.severity] for one in found]
    (place,) = findings[0]["locations"]
    uri = place["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "my%20model/saved_model.pb"  # a folder cannot be annotated
    assert [one["name"] for one in place["logicalLocations"]] == ["memory"]
    assert found[0].message in findings[0]["message"]["text"]


def test_what_was_mended_is_a_note_and_what_is_worth_knowing_is_nothing():
    def finding(severity):
        return {
            "id": "unsupported-variable-dtype",
            "severity": severity,
            "variables": ["memory"],
            "message": "it is float16",
            "fix": "",
        }

    findings = [finding(severity) for severity in ("error", "warning", "info")]
    path = data_path("half_reader")
    told = results(CheckedModel(path, "ready", "", findings))
    assert [one["level"] for one in told] == ["note", "note"]
    told = results(CheckedModel(path, "crashed", "it died", findings))
    assert [one["level"] for one in told] == ["error", "error", "warning", "note"]
    assert told[0]["ruleId"] == "no-verdict"
    told = results(CheckedModel(path, "unproved", "inputs were made up"))
    assert [(one["ruleId"], one["level"]) for one in told] == [("unproved", "warning")]


def test_every_family_is_a_rule():
    findings = [
        {"id": one.id, "severity": "error", "variables": [], "message": one.what, "fix": one.fix}
        for one in FAMILIES
    ]
    told = results(CheckedModel(Path("a.tflite"), "blocked", "why", findings))
    assert {one["ruleId"] for one in told} == {"blocked", *(one.id for one in FAMILIES)}


def test_a_fingerprint_is_of_the_model_and_its_fault_alone(half_reader, tmp_path):
    one = results(checked_model(diagnose(half_reader, static=True)), root=tmp_path)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    half_reader.rename(moved / half_reader.name)
    two = results(checked_model(diagnose(moved / half_reader.name, static=True)), root=moved)
    prints = [each["partialFingerprints"]["varhandle/v1"] for each in one]
    assert prints == [each["partialFingerprints"]["varhandle/v1"] for each in two]
    assert len(set(prints)) == len(prints)


def test_names_of_a_stranger_are_shown_as_text():
    finding = {
        "id": "unsupported-variable-dtype",
        "severity": "error",
        "variables": ["a\x1b[2J\u202e"],
        "message": "b\x1b[2J",
        "fix": "",
    }
    path = Path("c\x1b\udcff%.tflite")
    told = results(CheckedModel(path, "blocked", "d\x1b[2J", [finding]))
    assert "\\u001b" not in json.dumps(told)
    uri = told[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "c%1B%FF%25.tflite"


def test_a_place_that_cannot_be_written_is_said_before_the_work(half_reader, tmp_path, capsys):
    for place in (tmp_path, tmp_path / "none" / "x.sarif", half_reader / "saved_model.pb"):
        assert main(["diagnose", str(half_reader), "--sarif", str(place)]) == 2
        printed = capsys.readouterr()
        assert printed.out == "" and len(printed.err.splitlines()) == 1


def test_check_names_a_model_that_nothing_can_prove_and_faults_it_not(specimen_path, capsys):
    draws = str(specimen_path("draws_random_numbers"))
    assert main(["check", draws]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{draws}: unproved: ")
    assert "draws random numbers" in line and line.endswith(".")


def test_check_reads_many_and_says_a_line_of_each_at_fault(half_reader, tmp_path, capsys):
    sound = data_path("digits_classifier.keras")
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no model")
    assert main(["check"]) == 0
    assert main(["check", str(sound)]) == 0
    assert capsys.readouterr().out == ""
    log = tmp_path / "found.sarif"
    models = [str(sound), str(half_reader / "saved_model.pb")]
    assert main(["check", *models, "--sarif", str(log)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{models[1]}: blocked: ")
    assert line.endswith("[unsupported-variable-dtype]")
    assert {one["ruleId"] for one in check_sarif(log.read_text())} >= {"blocked"}
    assert main(["check", *models, str(broken)]) == 2
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 1  # the others are read all the same
    assert "broken.tflite" in printed.err
