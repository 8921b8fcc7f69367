"""Logs are explained rightly: reported lines, real logs of many releases, what is no sign."""

import inspect
import json
import re
import sys
from pathlib import Path

import pytest
from log_noise import NOISES
from other_logs import OTHER_LOGS

from varhandle import explain
from varhandle.families.catalog import FAMILIES, LOG_PATTERNS

HERE = Path(__file__).parent
REPORTED = json.loads((HERE / "reported_lines.json").read_text(encoding="utf-8"))
# Gathered after the rules were written, from reports that their author had not seen.
FOUND = json.loads((HERE / "found_lines.json").read_text(encoding="utf-8"))
EXPECTED = json.loads((HERE / "logs" / "index.json").read_text(encoding="utf-8"))
REAL = {name: (HERE / "logs" / name).read_text(encoding="utf-8") for name in EXPECTED}

# A program on a microcontroller whose resolver has no such op says the same.
SAYS_NOTHING_ALONE = {"tensorflow/tensorflow#28163"}
# This line stands in every other traceback as well: it is explained where nothing else is told.
ALONE = "G-17"
# One line, two reports: what the calibrator refused was a quantized state in one of them, and the
# subgraphs of Flex variables in the other. The line does not say which.
EITHER = {"I-03", "L-06"}


def ids(log):
    return [match.id for match in explain(log).matches]


def test_the_reports_that_quote_a_line():
    assert len(REPORTED) == 74
    assert {entry["family"] for entry in REPORTED} == {family.id for family in FAMILIES} - {
        "unsupported-variable-dtype",  # its reports quote the line in their title only:
        "unsupported-variable-update",  # see test_the_message_that_the_workbook_is_named_for
    }


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


def test_how_many_are_explained():
    explained = [entry["id"] for entry in REPORTED if entry["family"] in ids(entry["error_line"])]
    assert (len(explained), len(REPORTED)) == (74, 74)


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


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.__name__)
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


def refused(*ops):
    return "\n".join(
        f"<unknown>:0: error: loc(\"{op}_node\"): 'tf.{op}' op is neither a custom op nor a flex op"
        for op in ops
    )


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


def test_the_message_that_the_workbook_is_named_for():
    (match,) = explain(refused("VarHandleOp")).matches
    assert match.id == "unsupported-variable-dtype"
    assert "'VarHandleOp_node'" in match.message
    assert "'tf.VarHandleOp' op is neither a custom op nor a flex op" in match.line


@pytest.mark.parametrize(
    ("written", "dtype"),
    [("f16", "float16"), ("bf16", "bfloat16"), ("ui32", "uint32"), ("!tf_type.string", "string")],
)
def test_a_dtype_in_the_compilers_spelling(written, dtype):
    log = refused("VarHandleOp", "ReadVariableOp") + (
        '\nsee current operation: %0 = "tf.VarHandleOp"() <{container = "", shared_name = "total"}>'
        f" : () -> tensor<!tf_type.resource<tensor<2x3x{written}>>>"
    )
    (match,) = explain(log).matches
    assert match.id == "unsupported-variable-dtype"
    assert dtype in match.message


def test_an_update_and_a_dtype_at_once():
    log = refused("VarHandleOp", "ResourceStridedSliceAssign") + (
        '\n%0 = "tf.VarHandleOp"() : () -> tensor<!tf_type.resource<tensor<4xf16>>>'
    )
    assert ids(log) == ["unsupported-variable-update", "unsupported-variable-dtype"]


FOLDING = (
    "ConverterError: Variable constant folding is failed. Please consider using enabling"
    " `experimental_enable_resource_variables` flag in the TFLite converter object. For example,"
    " converter.experimental_enable_resource_variables = True"
)


def test_folding_names_the_dtype_on_the_rest_of_its_line():
    rest = (
        "<unknown>:0: error: loc(\"seed\"): 'tfl.assign_variable' op operand #1 must be tensor of"
        " 32-bit float or 64-bit float or 1-bit signless integer values, but got 'tensor<2xui32>'"
    )
    first, echo = explain(FOLDING + rest).matches
    assert (first.id, echo.id) == ("unsupported-variable-dtype", "constant-folding-failed")
    assert "uint32" in first.message
    assert "'seed'" in first.message
    assert "echo" in echo.message
    assert "goes with it" in echo.fix


def test_folding_misleads_where_another_op_is_at_fault():
    log = (
        FOLDING
        + "\nerror: failed to legalize operation 'tfl.pow' that was explicitly marked illegal"
    )
    (match,) = explain(log).matches
    assert match.id == "constant-folding-failed"
    assert "misleads" in match.message
    assert "pow" in match.message
    assert "pow" in match.fix


def test_of_lines_that_say_the_same_the_first_is_shown():
    operand = "error: 'tfl.assign_variable' op operand #1 must be tensor of 32-bit float values, "
    (match,) = explain(f"{operand}but got 'tensor<ui32>'\n{refused('VarHandleOp')}").matches
    assert (match.id, match.line_number) == ("unsupported-variable-dtype", 1)


def test_none_is_called_in_the_converters_keras_code():
    traceback = (
        'Traceback (most recent call last):\n  File "{}", line 188, in _wrapped_model\n'
        "    with keras_deps.get_call_context_function()().enter(\n"
        "TypeError: 'NoneType' object is not callable"
    )
    unix = "/site-packages/tensorflow/lite/python/tflite_keras_util.py"
    assert ids(traceback.format(unix)) == ["keras3-export"]
    assert ids(traceback.format(unix.replace("/", "\\"))) == ["keras3-export"]
    other = traceback.format("app.py").replace("keras_deps.get_call_context_function", "make")
    assert ids(other) == []


def test_none_is_called_and_nothing_else_is_told():
    """G-17 quotes no more; with any other line beside it, that says where it comes from."""
    alone = "TypeError: 'NoneType' object is not callable"
    (match,) = explain(alone).matches
    assert match.id == "keras3-export"
    assert "names no cause" in match.message
    assert ids(f'  File "app.py", line 3, in <module>\n{alone}') == []
    assert ids(f"{alone}\nexit code 1") == []


def test_a_node_that_assigns_in_a_layer_called_embedding():
    line = (
        "Input 0 of node model/embedding_bn/AssignNewValue was passed float from Func/input/_2:0"
        " incompatible with expected resource."
    )
    assert ids(line) == ["frozen-but-assigned"]
    assert ids(line.replace("AssignNewValue", "GatherV2")) == ["gather-from-frozen-table"]


def test_a_dtype_that_will_be_refused_next_is_told():
    line = (
        "Input 0 of node AssignVariableOp was passed half from total:0 incompatible with expected"
        " resource."
    )
    (match,) = explain(line).matches
    assert "float16" in match.message
    assert "float16" not in explain(line.replace("half", "float")).matches[0].message


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("Didn't find op for builtin opcode 'VAR_HANDLE' version '1'. An older version of this"
         " builtin might be supported. Are you using an old TFLite binary with a newer model?\n"
         "Registration failed.", "runtime-too-old"),
        ("Didn't find op for builtin opcode 'CALL_ONCE' version '1'. Are you using an old TFLite"
         " binary with a newer model?", "runtime-too-old"),
        ("Didn't find op for builtin opcode 'CALL_ONCE'", "micro-needs-store"),
        ("Didn't find op for builtin opcode 'READ_VARIABLE'\nFailed to get registration from op"
         " code READ_VARIABLE\nAllocateTensors() failed", "micro-needs-store"),
        ("READ_VARIABLE requires resource variables. Please create ResourceVariables and pass it"
         " to the interpreter.\nNode READ_VARIABLE (number 2f) failed to prepare with status 1",
         "micro-needs-store"),
        ("Unsupported data type 13 in tensor", "runtime-too-old"),
        ("RuntimeError: Element type (13) is not supported", "runtime-too-old"),
    ],
)  # fmt: skip
def test_a_runtime_and_a_microcontroller(log, expected):
    assert ids(log) == [expected]


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


FLEX = "ERROR: Regular TensorFlow ops are not supported by this interpreter."


def test_flex_is_a_matter_here_where_it_is_variables_or_training():
    assert ids(f"{FLEX} Node number 3 (FlexErf) failed to prepare.") == []
    assert ids(f"{FLEX} Node number 3 (FlexAssignVariableOp) failed to prepare.") == [
        "flex-variable"
    ]
    for op in ("FlexReluGrad", "FlexMaxPoolGradV2", "FlexConv2DBackpropFilter"):
        (match,) = explain(f"{FLEX} Node number 3 ({op}) failed to prepare.").matches
        assert "training" in match.message
    (match,) = explain(FLEX).matches
    assert "does not say" in match.message
    assert ids(f"{FLEX}\n{refused('VarHandleOp')}") == ["unsupported-variable-dtype"]


def test_a_conversion_that_went_through_with_flex_ops():
    log = (
        "TFLite interpreter needs to link Flex delegate in order to run the model since it contains"
        " the following Select TFop(s):\nFlex ops: FlexAssignVariableOp, FlexErf, FlexVarHandleOp"
    )
    (match,) = explain(log).matches
    assert match.id == "flex-variable"
    assert "went through" in match.message
    assert "FlexVarHandleOp" in match.message
    assert "FlexErf" not in match.message
    refusal = f"{FLEX} Node number 0 (FlexVarHandleOp) failed to prepare."
    assert "went through" not in explain(f"{log}\n{refusal}").matches[0].message


def test_a_call_hides_its_node():
    line = "Input 1 of node {} was passed float from {}:0 incompatible with expected resource."
    for node, source in (
        ("StatefulPartitionedCall", "unknown"),
        ("StatefulPartitionedCall/encoder/PartitionedCall_3", "Func/input/_7"),
    ):
        (match,) = explain(line.format(node, source)).matches
        assert match.id == "gather-from-frozen-table"
        assert "hides" in match.message
    assert ids(line.format("StatefulPartitionedCall", "bn/AssignMovingAvg/1")) == [
        "frozen-but-assigned"
    ]
    long = "/".join(["StatefulPartitionedCall"] * 8)
    (match,) = explain(line.format(long, "unknown")).matches
    assert len(match.message) < 230


WORDINGS = (
    ("AttributeError: 'KerasVariable' object has no attribute 'read_value'", "keras3-export"),
    ("AttributeError: 'Functional' object has no attribute '_get_save_spec'", "keras3-export"),
    ("AttributeError: 'Functional' object has no attribute '_set_save_spec'", "keras3-export"),
    ("LLVM ERROR: Failed to infer result type(s).\nAborted (core dumped)", "keras3-export"),
    ("RuntimeError: Encountered unresolved custom op: ResourceScatterNdUpdate.",
     "unsupported-variable-update"),
    ("RuntimeError: Encountered unresolved custom op: FlexVarHandleOp.", "flex-variable"),
    ("Regular TensorFlow ops are not supported by this interpreter. Make sure you apply/link"
     " the Flex delegate before inference.Node number 2 (FlexAssignVariableOp) failed to"
     " prepare.", "flex-variable"),
    ("error: failed to legalize operation 'tf.VarHandleOp' that was explicitly marked illegal",
     "unsupported-variable-dtype"),
    ("error: 'tfl.read_variable' op result #0 must be tensor of 32-bit float or 64-bit float"
     " values, but got 'tensor<*xui16>'", "unsupported-variable-dtype"),
    ("tensorflow/lite/kernels/assign_variable.cc:60 variable_tensor->type != input->type"
     " (FLOAT32 != INT8)", "quantised-state"),
    ("Resource localhost/dense/kernel/N10tensorflow3VarE does not exist.",
     "uninitialised-variable"),
    ("Not found: Resource localhost/table_72/N10tensorflow6lookup15LookupInterfaceE does not"
     " exist.", "other-resource"),
    ("Not found: Resource localhost/table_72/class tensorflow::lookup::LookupInterface does not"
     " exist.", "other-resource"),
    ("FailedPreconditionError: Attempting to use uninitialized value beta1_power",
     "uninitialised-variable"),
    ("error: failed while converting: 'main': Ops that can be supported by the flex runtime"
     " (enabled via setting the -emit-select-tf-ops flag):\ttf.VarHandleOp {}",
     "unsupported-variable-dtype"),
    ("error: failed while converting: 'main': Ops that need custom implementation (enabled via"
     " setting the -emit-custom-ops flag):\n\ttf.VariableV2 {container = \"\"}", "unfrozen-graph"),
    ("TF Select ops: ResourceScatterNdUpdate, VarHandleOp", "unsupported-variable-update"),
    ("See https://www.tensorflow.org/lite/guide/ops_custom\nCustom ops: HashTableV2",
     "other-resource"),
    ("Here is a list of operators for which you will need custom implementations: VariableV2.",
     "unfrozen-graph"),
    ("These ops are not implemented: Assign, VariableV2", "unfrozen-graph"),
    ("Unsupported operations: ReadVariableOp", "freezer-lost-variable"),
    ("Unsupported Ops in the model after optimization\nAssignVariableOp", "frozen-but-assigned"),
    ("List of operations that cannot be converted to Inference Engine IR:\n VariableV2 (1)",
     "unfrozen-graph"),
    ("Exception: Placeholder model/embed/Gather/resource should be specied by input_arrays.",
     "gather-from-frozen-table"),
    ("Exception: Placeholder ReadVariableOp/resource should be specified by input_arrays.",
     "freezer-lost-variable"),
    ("Variable constant folding failed.", "constant-folding-failed"),
    ("Element type 13 is unknown", "runtime-too-old"),
    ("TensorType 13 cannot be loaded", "runtime-too-old"),
    ("TensorType (13) cannot be loaded", "runtime-too-old"),
    ("Unsupported tensor type 13", "runtime-too-old"),
    ("Failed to get registration from op code VAR_HANDLE", "micro-needs-store"),
    ("error: Failed to duplicate values for the stateful op", "shared-or-dynamic-state"),
)  # fmt: skip


@pytest.mark.parametrize(("log", "expected"), WORDINGS)
def test_other_wordings(log, expected):
    assert ids(log)[0] == expected


def test_every_phrase_is_met_somewhere():
    """A phrase that no test holds would go on to be believed."""
    told = [*REAL.values(), *OTHER_LOGS.values(), *(log for log, _ in WORDINGS)]
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


def test_a_line_that_only_looks_bad_says_so():
    (match,) = explain(
        "E tensorflow/core/grappler/grappler_item_builder.cc:637] Init node Conv1/kernel/Assign"
        " doesn't exist in graph\nConverted, wrote model.tflite"
    ).matches
    assert "goes on after this line" in match.message
    assert "'Conv1/kernel/Assign'" in match.message


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
    (match,) = explain(
        "\n".join(
            ("<unknown>:0: error: 'tf.VarHandleOp' op is neither a cust", "om op nor a flex op")
        )
    ).matches
    assert "neither a custom op nor a flex op" in match.line


def test_the_code_is_for_the_variable_that_the_log_names():
    log = refused("VarHandleOp").replace("VarHandleOp_node", "model/ring_buffer")
    assert "self.ring_buffer.assign(" in explain(log).matches[0].fix
    log = refused("VarHandleOp").replace("VarHandleOp_node", "while; rm -rf")
    assert "self.total.assign(" in explain(log).matches[0].fix


def test_many_names_are_counted():
    names = [f"v{number}" for number in range(6)]
    log = "\n".join(refused("VarHandleOp").replace("VarHandleOp_node", name) for name in names)
    message = explain(log).matches[0].message
    assert "'v0', 'v1', 'v2', 'v3' and 2 more" in message


def test_every_family_is_explained_somewhere():
    shown = {match for found in EXPECTED.values() for match in found}
    shown |= {entry["family"] for entry in REPORTED}
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
    for shown in (
        explanation.text(),
        explanation.html(),
        *explanation.matches[0].__dict__.values(),
    ):
        text = str(shown)
        assert "\x1b" not in text
        assert "\u202e" not in text
        text.encode("utf-8")
