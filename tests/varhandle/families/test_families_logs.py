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
from varhandle.families.log_patterns import find_matches
from varhandle.families.log_text import without_noise

HERE = Path(__file__).parent
REPORTED = json.loads((HERE / "reported_lines.json").read_text(encoding="utf-8"))
# Gathered after the rules were written, from reports that their author had not seen.
FOUND = json.loads((HERE / "found_lines.json").read_text(encoding="utf-8"))
# Whole logs of public reports, with the words that an answer must have.
FIELD = json.loads((HERE / "field_logs.json").read_text(encoding="utf-8"))
EXPECTED = json.loads((HERE / "logs" / "index.json").read_text(encoding="utf-8"))
OF_THE_FAMILIES = [
    path.read_text("utf-8") for path in (Path(catalog.__file__).parent / "tests").glob("*.py")
]
REAL = {name: (HERE / "logs" / name).read_text(encoding="utf-8") for name in EXPECTED}

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
    assert ids(entry["lines"])[:1] == ([entry["family"]] if entry["family"] else [])


@pytest.mark.parametrize("name", EXPECTED)
def test_a_real_log(name):
    assert ids(REAL[name]) == EXPECTED[name]


@pytest.mark.parametrize("entry", FIELD, ids=lambda entry: entry["id"])
def test_a_log_from_the_field(entry):
    explanation = explain(entry["log"])
    assert [match.id for match in explanation.matches] == entry["expected"]
    for word in entry["words"]:
        assert word in explanation.text()


@pytest.mark.parametrize("tool", ["coremltools/", "tf2onnx/", "tensorflowjs/", "openvino/"])
def test_somebody_who_converts_with_another_tool_gets_no_code_for_tflite(tool):
    (log,) = (entry["log"] for entry in FIELD if entry["id"].startswith("V01"))
    assert "TFLiteConverter" not in explain(log.replace("coremltools/", tool)).text()
    assert "TFLiteConverter" in explain(log.replace("coremltools/", "")).text()


@pytest.mark.parametrize("name", ["a/b/Switch", "cond/ReadVariableOp/Switch", "x/ReadVariableOp"])
def test_a_read_is_told_from_an_assignment(name):
    line = "Input 0 of node {} was passed float from w:0 incompatible with expected resource."
    read = name != "a/b/Switch"
    assert ids(line.format(name)) == ["freezer-lost-variable" if read else "frozen-but-assigned"]
    written = name.replace("ReadVariableOp", "AssignVariableOp")
    assert ids(line.format(written)) == ["frozen-but-assigned"]


def test_the_authors_names_decide_no_family():
    line = (
        "ValueError: input resource[0] expected type resource != float, the type of"
        " {}_resource_0[0]\n\tIn {{{{node {}}}}}"
    )
    for author in ("embedding_gather_net", "assign_net", "plain"):
        assert ids(line.format(f"{author}_cast", "Cast")) == ["frozen-but-assigned"]
        lookup = line.format(f"{author}_embedding_lookup", "embedding_lookup")
        assert ids(lookup) == ["gather-from-frozen-table"]


def test_a_log_of_thousands_of_lines_from_a_build_service():
    """What matters is found among everything else, and nothing else is."""
    noise = "\n".join(OTHER_LOGS.values()).splitlines() * 30
    assert len(noise) > 3000
    wanted = ["O17", "O20", "N03", "V32"]
    chosen = [e for e in FIELD if e["id"].split("-")[0] in wanted]
    for place, entry in enumerate(chosen, start=1):
        at = place * len(noise) // 5
        noise[at:at] = entry["log"].splitlines()
    stamped = "\n".join(f"2026-11-22T10:11:{i % 60:02}.1234567Z {it}" for i, it in enumerate(noise))
    expected = {match for entry in chosen for match in entry["expected"]}
    assert set(ids(stamped)) == expected


@pytest.mark.parametrize(
    ("beside", "told"),
    [
        ("tensorflow==2.4.1", "Bound to TensorFlow 2.4.1: no release before 2.6"),
        ("Successfully installed tensorflow-cpu==2.7.0", "Bound to TensorFlow 2.7.0: set conv"),
        ('File "/usr/lib/python3.6/site-packages/x.py"', "Bound to TensorFlow 1.15 to 2.4"),
        ("lib/python2.7/site-packages/x.py", "Bound to TensorFlow 2.1 or older: no"),
        ("lib/python3.5/site-packages/x.py", "Bound to TensorFlow 2.3 or older: no"),
        ("tf-nightly==2.4.0.dev20200901", "Bound to TensorFlow 2.4.0: no"),
        ('File "C:\\Python37\\lib\\x.py", line 1', ""),
        ("tensorflow_core/python/client/session.py", "Bound to TensorFlow 1.15 to 2.1: no"),
        ("lib/python3.6/tensorflow_core/x.py [[Node: a", "Bound to TensorFlow 1.15 to 2.1: no"),
        ("tensorflow/contrib/x.py lib/python3.7/x.py", "Bound to TensorFlow 1.15: no"),
        ("tensorflow-2.3.0.dist-info/METADATA", "Bound to TensorFlow 2.3.0: no release"),
        (">>> tf.__version__\n'2.5.0'", "Bound to TensorFlow 2.5.0: no release"),
        ("tensorflow version: 2.21.0", ""),
        ("tf-nightly 2.23.0.dev20261026", ""),
        ('File "/usr/lib/python3.11/site-packages/x.py"', ""),
        ("nothing", ""),
    ],
)
def test_the_release_of_the_log_decides_what_is_advised_beside_todays_cure(beside, told):
    line = (
        "Input 0 of node cell/AssignVariableOp was passed float from cell/x:0 incompatible with"
        " expected resource."
    )
    (match,) = explain(f"{beside}\n{line}").matches
    assert match.fix.startswith("Hand the converter the object that owns the variable")
    assert (told or "Bound") in match.fix or not told
    assert bool(told) == ("Bound to" in match.fix)


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
    for entry in FIELD:
        assert ids(noise(entry["log"]))[:1] == entry["expected"][:1], entry["id"]
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
        (["Betainc"], ["op-without-builtin"]),
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


def test_every_phrase_and_every_name_is_met_somewhere():
    """A phrase that no test holds would go on to be believed."""
    told = [*REAL.values(), *OTHER_LOGS.values(), *OF_THE_FAMILIES]
    told += [entry["log"] for entry in FIELD]
    told += [entry["error_line"] for entry in REPORTED] + [entry["lines"] for entry in FOUND]
    held = "\n".join(told) + inspect.getsource(sys.modules[__name__])
    squeezed = "".join(held.split()).lower().replace('"', "").replace("`", "'")
    for pattern in LOG_PATTERNS:
        assert pattern.needle in squeezed, pattern.phrase
    # Nor would a name that no expression catches: a sentence would go on without it.
    joined = without_noise(re.sub(r'"\s*\n\s*f?"', "", held))
    matches = find_matches(joined, LOG_PATTERNS)
    caught = {(match.kind, name) for match in matches for name in match.names}
    for pattern in LOG_PATTERNS:
        names = [*re.compile(pattern.before).groupindex, *re.compile(pattern.after).groupindex]
        assert {(pattern.kind, name) for name in names} <= caught, pattern.phrase


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
    shown |= {match for entry in FIELD for match in entry["expected"]}
    assert shown == {family.id for family in FAMILIES if family.log_rule or family.log_meanings}


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
