"""Logs are explained rightly: reported lines, real logs of many releases, what is no sign."""

import inspect
import json
import re
import sys
from pathlib import Path

import pytest
from family_checks import ids, refused
from log_noise import NOISES
from other_logs import OTHER_LOGS

from varhandle import explain
from varhandle.families import catalog
from varhandle.families.catalog import FAMILIES, LOG_PATTERNS

HERE = Path(__file__).parent
REPORTED = json.loads((HERE / "reported_lines.json").read_text(encoding="utf-8"))
# Gathered after the rules were written, from reports that their author had not seen.
FOUND = json.loads((HERE / "found_lines.json").read_text(encoding="utf-8"))
EXPECTED = json.loads((HERE / "logs" / "index.json").read_text(encoding="utf-8"))
OF_THE_FAMILIES = [
    path.read_text("utf-8") for path in (Path(catalog.__file__).parent / "tests").glob("*.py")
]
REAL = {name: (HERE / "logs" / name).read_text(encoding="utf-8") for name in EXPECTED}

# A program on a microcontroller whose resolver has no such op says the same.
SAYS_NOTHING_ALONE = {"tensorflow/tensorflow#28163"}
# This line stands in every other traceback as well: it is explained where nothing else is told.
ALONE = "G-17"
# One line, two reports: what the calibrator refused was a quantized state in one of them, and the
# subgraphs of Flex variables in the other. The line does not say which.
EITHER = {"I-03", "L-06"}


def test_the_reports_that_quote_a_line():
    assert len(REPORTED) == 74
    # Those on a dtype and on an update quote it in their title only: see refused("VarHandleOp").
    reported = {entry["family"] for entry in REPORTED}
    assert len(reported) == 14
    assert reported <= {family.id for family in FAMILIES}


@pytest.mark.parametrize("entry", REPORTED, ids=lambda entry: entry["id"])
def test_a_reported_line(entry):
    found = ids(entry["error_line"])
    if entry["id"] in EITHER:
        assert sorted(found) == ["flex-variable", "quantised-state"]
    else:
        assert found[0] == entry["family"]


@pytest.mark.parametrize("entry", FOUND, ids=lambda entry: entry["source"])
def test_a_line_found_later(entry):
    """The family was decided from the thread; ``null`` is a log about something else."""
    about = entry["family"] and entry["source"] not in SAYS_NOTHING_ALONE
    assert ids(entry["lines"])[:1] == ([entry["family"]] if about else [])


@pytest.mark.parametrize("name", EXPECTED)
def test_a_real_log(name):
    assert ids(REAL[name]) == EXPECTED[name]


def test_the_real_logs_are_of_many_releases_and_name_nobody():
    assert len({name.split("-")[0] for name in EXPECTED}) >= 14
    assert {path.name for path in (HERE / "logs").glob("*.txt")} == set(EXPECTED)
    for name, log in REAL.items():
        paths = set(re.findall(r"(?<![\w.>])/(?:home|root|work|tmp|Users|opt)/[\w.-]+", log))
        assert paths <= {"/home/user", "/tmp/model"}, name


@pytest.mark.parametrize("name", OTHER_LOGS)
def test_a_log_about_something_else(name):
    assert ids(OTHER_LOGS[name]) == []


def test_logs_about_something_else_do_not_add_up_to_something():
    together = "\n".join(OTHER_LOGS.values())
    assert ids(together) == []
    assert ids("\n".join(reversed(OTHER_LOGS.values()))) == []
    assert ids(" ".join(together.split())) == []


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_noise_changes_nothing(noise):
    for name, log in REAL.items():
        assert ids(noise(log))[:1] == EXPECTED[name][:1], name
    for name, log in OTHER_LOGS.items():
        assert ids(noise(log)) == [], name
    for entry in REPORTED:
        line = entry["error_line"] + "\n"
        if entry["id"] != ALONE:
            assert ids(noise(line)) == ids(line), entry["id"]


# --- what the lines mean together ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        (["VarHandleOp"], ["unsupported-variable-dtype"]),
        (["VarHandleOp", "AssignVariableOp"], ["unsupported-variable-dtype"]),
        (["VarHandleOp", "ReadVariableOp", "AssignAddVariableOp"], ["unsupported-variable-dtype"]),
        (["VarHandleOp", "ResourceStridedSliceAssign"], ["unsupported-variable-update"]),
        (
            ["VarHandleOp", "ReadVariableOp", "ResourceScatterNdUpdate"],
            ["unsupported-variable-update"],
        ),
        (["VarHandleOp", "ResourceApplyAdam", "AssignVariableOp"], ["unsupported-variable-update"]),
        (["VarHandleOp", "ResourceSparseApplyAdagrad"], ["unsupported-variable-update"]),
        (["VarHandleOp", "ReadVariableOp"], ["unfrozen-graph"]),
        (["ResourceGather", "VarHandleOp"], ["gather-from-frozen-table"]),
        (["HashTableV2", "LookupTableFindV2"], ["other-resource"]),
        (["VariableV2"], ["unfrozen-graph"]),
        (["Betainc"], []),
    ],
    ids="+".join,
)
def test_the_ops_that_are_named_beside_it(ops, expected):
    assert ids(refused(*ops)) == expected
    assert ids(refused(*reversed(ops))) == expected


def test_of_lines_that_say_the_same_the_first_is_shown():
    operand = "error: 'tfl.assign_variable' op operand #1 must be tensor of 32-bit float values, "
    (match,) = explain(f"{operand}but got 'tensor<ui32>'\n{refused('VarHandleOp')}").matches
    assert (match.id, match.line_number) == ("unsupported-variable-dtype", 1)


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("NotImplementedError: Conversion for TF op 'VarHandleOp' not implemented.",
         "unfrozen-graph"),
        ("Tensorflow op [model/cell/AssignVariableOp: AssignVariableOp] is not supported",
         "frozen-but-assigned"),
        ("Tensorflow op [emb/Gather: ResourceGather] is not supported", "gather-from-frozen-table"),
        ("tf2onnx: Unsupported ops: Counter({'VarHandleOp': 3, 'ReadVariableOp': 3})",
         "unfrozen-graph"),
        ("ValueError: Unsupported Ops in the model before optimization\nHashTableV2,"
         " LookupTableFindV2", "other-resource"),
        ("[TensorFlow Frontend] Internal error, no translator found for operation(s):"
         " LookupTableFindV2, StringSplit", "other-resource"),
        ("[TensorFlow Frontend] Internal error, conversion is failed for ReadVariableOp operation"
         " with a message:\nVariable or resource `dense/kernel` is not initialized",
         "keras3-export"),
        ("INFO: Following operations are not supported by GPU delegate:\nREAD_VARIABLE: Operation"
         " is not supported.\n2 operations will run on the GPU", "other-resource"),
        ("NotImplementedError: The following operators are not implemented: ['AssignVariableOp']",
         "frozen-but-assigned"),
    ],
)  # fmt: skip
def test_other_importers(log, expected):
    assert ids(log) == [expected]


def test_every_phrase_is_met_somewhere():
    """A phrase that no test holds would go on to be believed."""
    told = [*REAL.values(), *OTHER_LOGS.values(), *OF_THE_FAMILIES]
    told += [entry["error_line"] for entry in REPORTED] + [entry["lines"] for entry in FOUND]
    held = "\n".join(told) + inspect.getsource(sys.modules[__name__])
    squeezed = "".join(held.split()).lower().replace('"', "").replace("`", "'")
    for pattern in LOG_PATTERNS:
        assert pattern.needle in squeezed, pattern.phrase


def test_several_errors_the_cause_before_its_echoes():
    log = "\n".join(
        (
            "2019-07-01 10:11:12.1: E tensorflow/core/grappler/grappler_item_builder.cc:637] Init"
            " node Conv1/kernel/Assign doesn't exist in graph",
            "RuntimeError: TOCO failed see console for info.",
            "RuntimeError: tensorflow/lite/kernels/read_variable.cc:67 variable != nullptr was not"
            " true",
            refused("VarHandleOp", "ResourceStridedSliceAssign"),
        )
    )
    assert ids(log) == [
        "unsupported-variable-update",
        "uninitialised-variable",
        "freezer-lost-variable",
    ]


# --- what a match holds -------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in EXPECTED if EXPECTED[name]])
def test_a_match_points_at_its_line(name):
    lines = REAL[name].split("\n")
    for match in explain(REAL[name]).matches:
        there = re.sub(r"\W", "", lines[match.line_number - 1])
        for part in match.line.strip("…").split("…"):
            assert re.sub(r"\W", "", part)[-40:] in there, match.line
        assert len(match.line) <= 500
        assert match.message.endswith(".")
        assert match.fix


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\r"])
def test_the_number_of_the_line(separator):
    log = separator.join(["first", "", "third", refused("VarHandleOp"), "fifth"])
    (match,) = explain(log).matches
    assert match.line_number == 4


def test_a_wrapped_line_is_put_together_again():
    wrapped = "<unknown>:0: error: 'tf.VarHandleOp' op is neither a cust\nom op nor a flex op"
    (match,) = explain(wrapped).matches
    assert "neither a custom op nor a flex op" in match.line


def test_many_names_are_counted():
    names = [f"v{number}" for number in range(6)]
    log = "\n".join(refused("VarHandleOp").replace("VarHandleOp_node", name) for name in names)
    message = explain(log).matches[0].message
    assert "'v0', 'v1', 'v2', 'v3' and 2 more" in message


def test_every_family_is_explained_somewhere():
    shown = {match for found in EXPECTED.values() for match in found}
    shown |= {entry["family"] for entry in REPORTED + FOUND if entry["family"]}
    assert shown == {family.id for family in FAMILIES}


def test_as_data_as_text_and_as_html():
    explanation = explain(REAL["2.21.0-slice-assign.txt"])
    (entry,) = explanation.as_dict()["matches"]
    assert set(entry) == {"id", "line", "line_number", "message", "fix"}
    json.dumps(entry)
    assert "ResourceStridedSliceAssign" in explanation.text()
    assert "unsupported-variable-update" in explanation.html()
    assert repr(explanation) == "Explanation(unsupported-variable-update)"
    assert explanation._repr_mimebundle_()["text/plain"] == explanation.text()


def test_nothing_is_said_to_be_nothing():
    explanation = explain("")
    assert explanation.as_dict() == {"matches": []}
    assert "nothing" in explanation.text()
    assert "nothing" in explanation.html()
    assert repr(explanation) == "Explanation(nothing recognized)"


def test_names_are_escaped_in_every_part():
    log = refused("VarHandleOp").replace("VarHandleOp_node", "<script>alert()</script>")
    explanation = explain(log)
    assert "<script>" in explanation.matches[0].message
    assert "<script>" not in explanation.html()


def test_names_cannot_forge_the_report():
    name = "<script>alert(1)</script>\x1b]0;title\x07\u202e\ud800"
    log = (
        f"Input 0 of node {name}/AssignVariableOp was passed float from x:0 incompatible with"
        " expected resource."
    )
    explanation = explain(log)
    assert explanation.matches
    assert "<script>" not in explanation.html()
    for shown in (explanation.text(), explanation.html(), *vars(explanation.matches[0]).values()):
        text = str(shown)
        assert "\x1b" not in text
        assert "\u202e" not in text
        text.encode("utf-8")
