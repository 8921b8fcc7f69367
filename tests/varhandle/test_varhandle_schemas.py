"""What the commands print as JSON keeps to the schemas that the package publishes."""

import argparse
import copy
import json
import re

import jsonschema
import numpy as np
import pytest
from json_forms import check_form, form_of
from sweep_probe import PretendedRows, Probe

from varhandle.cli import main
from varhandle.cli.commands import register
from varhandle.divergence.model_diff import diff_models
from varhandle.facts.schemas import schema_names, schema_of
from varhandle.formats.registry import FORMATS
from workbook_lib.locations import data_path

HALF_READER = str(data_path("half_reader"))
DIGITS = str(data_path("digits_classifier.keras"))
UNRESOLVED = "RuntimeError: Encountered unresolved custom op: VarHandleOp.\n"


@pytest.fixture
def told(capsys):
    """Run a command with --json; return its exit code and what it printed, held against its form.

    Reading the output as JSON also shows that nothing else was printed.
    """

    def run(verb, *arguments):
        code = main([verb, *map(str, arguments), "--json"])
        return code, check_form(verb, capsys.readouterr().out)

    return run


@pytest.fixture
def counting(counting_file, tmp_path):
    path = tmp_path / "counting.tflite"
    path.write_bytes(counting_file)
    return path


def commands_with_json():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    register(commands)
    return {
        verb for verb, each in commands.choices.items() if "--json" in each._option_string_actions
    }


def test_each_command_with_json_has_a_schema_with_a_version(capsys):
    assert set(schema_names()) == {*commands_with_json(), "verdict"}
    for name in schema_names():
        assert main(["schema", name]) == 0
        schema = json.loads(capsys.readouterr().out)
        jsonschema.Draft202012Validator.check_schema(schema)
        assert re.fullmatch(rf"urn:varhandle:schema:{name}:\d+", schema["$id"])


def objects(part, path=""):
    """Yield each object of a schema that lists its properties."""
    if isinstance(part, dict):
        if "properties" in part and "type" in part:
            yield path, part
        for key, value in part.items():
            yield from objects(value, f"{path}/{key}")
    elif isinstance(part, list):
        for number, value in enumerate(part):
            yield from objects(value, f"{path}/{number}")


@pytest.mark.parametrize("name", schema_names())
def test_no_field_may_be_left_out_or_added(name):
    own = {**schema_of(name)}
    listed = [(path, one) for path, one in objects(own) if "allOf" not in path]
    for path, one in listed:
        if path.endswith(("/versions", "/then/properties/parity")):  # of any package; a condition
            continue
        assert one.get("additionalProperties") is False, path
        assert sorted(one["required"]) == sorted(one["properties"]), path
    assert listed or name == "cure"


def test_the_formats_are_those_that_are_read():
    assert set(schema_of("diagnose")["$defs"]["format"]["enum"]) == {each.id for each in FORMATS}


def test_a_blocked_model(told):
    code, found = told("diagnose", HALF_READER, "--static")
    assert (code, found["verdict"], found["proof"]) == (1, "blocked", None)


def test_a_file_that_is_ready_and_one_that_does_not_run(told, counting, specimen_path):
    code, found = told("diagnose", counting)
    assert (code, found["verdict"], found["doubt"]) == (0, "ready", None)
    code, found = told("diagnose", specimen_path("custom_tflite"))
    assert (code, found["verdict"]) == (1, "blocked")


def test_wrong_answers(told, specimen_path):
    code, found = told("diagnose", specimen_path("keras_saved_tflite"))
    assert (code, found["verdict"]) == (1, "wrong-answers")


def test_an_unproved_file(told, specimen_path, tmp_path):
    code, made = told("cure", DIGITS, tmp_path / "out.tflite", "--quantization", "int8")
    assert (code, made["cured"]) == (3, False)
    assert made["doubt"] and made["file"] == str(tmp_path / "out.tflite")


def test_a_cured_file_and_a_refusal(told, counting, specimen_path, tmp_path):
    code, made = told("cure", counting, tmp_path / "out.tflite", "--target", "builtin-only")
    assert (code, made["cured"], made["plan"]["id"]) == (0, True, "lift-state")
    assert made["state_file"] and made["state"]
    code, made = told("cure", specimen_path("custom_tflite"), tmp_path / "none.tflite")
    assert (code, made["cured"]) == (1, False)
    assert made["reason"]


def test_explanations(told, tmp_path):
    log = tmp_path / "log.txt"
    log.write_text(UNRESOLVED)
    code, found = told("explain", log)
    assert (code, found["matches"][0]["id"]) == (0, "unsupported-variable-dtype")
    log.write_text("nothing of the kind")
    assert told("explain", log) == (0, {"matches": []})


@pytest.mark.parametrize("name", ["counter", "tf1_counter", "frozen_graph", "words_in_a_table"])
def test_contents_are_told_whole(told, specimen_path, name):
    path = specimen_path(name)
    code, found = told("inspect", path)
    assert (code, found["model"]) == (0, str(path))
    diagnosed = told("diagnose", path, "--static")[1]
    assert found["variables"] == diagnosed["variables"]
    assert found["format"] == diagnosed["format"]
    assert found["ops"]


def test_contents_of_a_file_are_what_the_interpreter_says(told, counting):
    from ai_edge_litert.interpreter import Interpreter

    _, found = told("inspect", counting)
    (signature,) = found["signatures"]
    runner = Interpreter(str(counting)).get_signature_runner(signature["name"])
    wanted = {n: list(one["shape"]) for n, one in runner.get_input_details().items()}
    assert {one["name"]: one["shape"] for one in signature["inputs"]} == wanted
    assigns = sum(one["count"] for one in found["ops"] if one["role"] == "assign")
    assert assigns == 2  # the step's, and that of the first value
    assert [one["op"] for one in found["variables"][0]["assigns"]] == ["ASSIGN_VARIABLE"]


def test_a_lifted_file(told, counting, tmp_path):
    code, made = told("lift", counting, tmp_path / "lifted.tflite")
    assert (code, made["file"]) == (0, str(tmp_path / "lifted.tflite"))
    (variable,) = made["variables"]
    assert made["inputs"] == made["outputs"] == {"serving_default": [variable["name"]]}
    with np.load(made["state_file"]) as state:
        assert list(state[variable["name"]].shape) == variable["shape"]


def test_a_difference_that_is_no_number(told, tf, save_module):
    class Scaled(tf.Module):
        def __init__(self, value):
            self.w = tf.Variable([value, 2.0], name="w")

        @tf.function(input_signature=[tf.TensorSpec([2], tf.float32)])
        def __call__(self, x):
            return x * self.w

    paths = [save_module(Scaled(value)) for value in (1.0, float("nan"))]
    code, found = told("diff", *paths)
    (changed,) = [one for one in found["variables"] if one["status"] == "changed"]
    assert (code, changed["difference"]) == (1, None)
    assert np.isinf(diff_models(*paths).variables[0].difference)  # in Python it is what it is


def test_a_sweep_and_its_baseline(tmp_path, monkeypatch, capsys):
    PretendedRows(monkeypatch)
    probe = Probe(tmp_path)
    models = [
        str(probe.model("a.tflite", agreeing=5, calls=5, largest_difference=float("nan"))),
        str(probe.model("b.tflite", verdict="crashed", reason="it died")),
    ]
    assert main(["sweep", *models, "--output", str(tmp_path / "one"), "--json"]) == 1
    printed = capsys.readouterr()
    found = check_form("sweep", printed.out)
    assert [row["verdict"] for row in found["rows"]] == ["ready", "crashed"]
    assert (found["ok"], found["kept"], found["changes"]) == (False, 0, [])
    assert "2/2" in printed.err  # progress, out of the way of the JSON
    probe.model("a.tflite", verdict="blocked")
    options = ["--output", str(tmp_path / "two"), "--baseline", str(tmp_path / "one"), "--json"]
    assert main(["sweep", *models, *options]) == 1
    found = check_form("sweep", capsys.readouterr().out)
    assert [(one["kind"], one["regression"]) for one in found["changes"]] == [
        ("worse", True),
        ("same", False),
    ]


def changed_fields(content, path=()):
    """Yield the content again and again, each time with another field renamed."""
    part = content
    for step in path:
        part = part[step]
    if isinstance(part, dict):
        for key in part:
            renamed = copy.deepcopy(content)
            inner = renamed
            for step in path:
                inner = inner[step]
            inner[f"{key}_"] = inner.pop(key)
            yield (*path, key), renamed
            yield from changed_fields(content, (*path, key))
    elif isinstance(part, list) and part:
        yield from changed_fields(content, (*path, 0))


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("diagnose", ["COUNTING"]),
        ("diagnose", [HALF_READER, "--static"]),
        ("explain", ["LOG"]),
        ("inspect", ["COUNTING"]),
        ("diff", [HALF_READER, "COUNTING"]),
        ("cure", ["COUNTING", "OUT"]),
        ("lift", ["COUNTING", "OUT"]),
    ],
)
def test_a_field_by_another_name_is_seen(told, counting, tmp_path, verb, arguments):
    (tmp_path / "log.txt").write_text(UNRESOLVED)
    paths = {"COUNTING": counting, "LOG": tmp_path / "log.txt", "OUT": tmp_path / "out.tflite"}
    _, content = told(verb, *(paths.get(one, one) for one in arguments))
    form, open_names = form_of(verb), {"inputs", "outputs", "state"}  # names that the model gives
    for path, renamed in changed_fields(content):
        if verb in ("lift", "cure") and len(path) > 1 and path[-2] in open_names:
            continue
        assert not form.is_valid(renamed), path


def test_what_is_unproved_says_why(told, counting):
    _, content = told("diagnose", counting)
    form = form_of("diagnose")
    assert not form.is_valid({**content, "doubt": "why"})
    assert form.is_valid({**content, "verdict": "unproved", "doubt": "why"})


def test_a_zip_archive_comes_to_a_verdict_file_of_its_form(specimen_path, tmp_path):
    """Its format is told by another name than the folder's."""
    import shutil

    from varhandle.diagnosis import diagnose
    from varhandle.formats.trust import NotTrustedError
    from varhandle.verdict_file import write_verdict_file

    archive = shutil.make_archive(str(tmp_path / "counter"), "zip", specimen_path("counter"))
    found = diagnose(archive, static=True)
    write_verdict_file(tmp_path / "out", found, NotTrustedError("not asked"))
    content = check_form("verdict", (tmp_path / "out" / "verdict.json").read_text())
    assert content["format"] == "saved_model_zip"
