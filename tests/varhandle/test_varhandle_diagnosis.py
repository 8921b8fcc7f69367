"""The diagnosis of whole models: what was read, what the proof showed, and what is told."""

import json

import numpy as np
import pytest
import zoo
from json_forms import check_form

from varhandle import diagnose
from varhandle.formats import read_graph

#: One of each kind; the rest of the zoo is read only (``test_failures_findings``).
PROVEN = (
    *("mlp_keras", "mlp_h5", "two_inputs_keras", "embedding_exported", "lstm_of_any_batch"),
    *("half_weights", "read_in_a_branch", "tf1_saved_model", "tf1_counter", "frozen_graph"),
    *("counter", "counter_of_two_signatures", "words_in_a_table", "trainer_and_server"),
    *("float16_state", "slice_assign", "mutable_table", "ordinary_op_without_builtin"),
    *("unfrozen_graph", "gather_from_a_constant", "assign_to_a_constant", "never_initialized"),
    *("keras_saved", "keras_in_a_module", "growing", "draws_random_numbers"),
    *("without_signature", "stateful_rnn_keras", "lambda_keras", "lambda_h5"),
    *("mlp_tflite", "counter_tflite", "keras_saved_tflite", "flex_tflite", "custom_tflite"),
    *("int8_counter_tflite", "int8_leaky_tflite", "int8_mlp_tflite", "delay_line_tflite"),
    *("stateful_rnn_exported", "stateful_gru_h5", "growing_from_nothing"),
    *("batch_norm_in_training", "dropout_in_training"),
)


@pytest.fixture(scope="module")
def diagnosed(specimen_path):
    made = {}

    def get(name):
        if name not in made:
            made[name] = diagnose(specimen_path(name))
            check_form("diagnose", made[name])
        return made[name]

    return get


@pytest.mark.parametrize("name", PROVEN)
def test_the_proof_reaches_the_right_verdict(diagnosed, name):
    wanted, found = zoo.ZOO[name], diagnosed(name)
    faults = [f for f in found.findings if f.severity != "info"]
    assert found.verdict == wanted.verdict, found.text()
    assert sorted(f.id for f in faults) == sorted(wanted.families)
    assert sorted({v for f in faults for v in f.variables}) == sorted(wanted.variables)
    assert sorted(f.id for f in found.findings if f.severity == "info") == sorted(wanted.infos)


def test_what_is_read_only_gives_no_finding_at_all(diagnosed):
    found = diagnosed("embedding_exported")
    assert found.findings == found.other == ()
    assert found.proof.passed
    assert found.proof.reference == "TensorFlow"
    assert len(found.proof.asked[0].calls) == 5


def test_an_ordinary_op_is_blamed_on_no_variable(diagnosed):
    (line,) = diagnosed("ordinary_op_without_builtin").other
    assert all(part in line for part in ("tf.MatrixInverse", "no matter of variables"))
    assert "SELECT_TF_OPS" in line


def test_what_the_converter_says_makes_a_warning_an_error(diagnosed):
    (finding,) = diagnosed("lstm_of_any_batch").findings
    assert (finding.id, finding.severity) == ("tensor-list", "error")
    assert "tf.TensorSpec([1, 5, 3], 'float32', name=" in finding.fix


def test_random_numbers_are_not_called_wrong_answers(diagnosed):
    found = diagnosed("draws_random_numbers")
    assert found.proof.parity is None
    assert "it draws random numbers" in found.doubt


def test_a_saturated_state_is_shown_by_running_it(diagnosed):
    (finding,) = (f for f in diagnosed("int8_counter_tflite").findings if f.severity == "error")
    assert "equal calls the answers stopped changing" in finding.message
    assert diagnosed("int8_leaky_tflite").proof.stuck_after is None


def test_a_model_in_training_mode_is_told_to_leave_it(diagnosed):
    for name, severity, words in (
        ("batch_norm_in_training", "warning", "training=False"),
        ("dropout_in_training", "error", "StatelessRandomUniformV2"),
    ):
        (finding,) = (f for f in diagnosed(name).findings if f.severity == severity)
        assert words in finding.message
        assert "training=False" in finding.fix


def test_an_interpreter_that_dies_is_told(diagnosed):
    with_delegates, plain = diagnosed("growing_from_nothing").proof.parity.runs
    assert "SIGSEGV" in with_delegates.refusal
    assert not plain.refusal
    assert plain.agreeing < plain.calls


def test_the_made_file_says_itself_which_runtimes_take_it(diagnosed, specimen_path):
    """What the SavedModel led one to expect gives way, and the fix still names the model."""
    path = specimen_path("counter")
    (info,) = (f for f in diagnosed("counter").findings if f.id == "runtime-too-old")
    assert "with all of its ops is 2.6" in info.message
    assert f"varhandle cure {path} " in info.fix
    (rnn,) = (f for f in diagnosed("stateful_rnn_keras").findings if f.id == "runtime-too-old")
    assert f"varhandle cure {specimen_path('stateful_rnn_keras')} " in rnn.fix


@pytest.mark.parametrize("name", ["trainer_and_server", "keras_saved", "mlp_keras", "mlp_tflite"])
def test_the_json_is_the_one_that_is_promised(diagnosed, name):
    found = json.loads(json.dumps(diagnosed(name).as_dict(), allow_nan=False))
    assert {"model", "format", "variables", "findings", "verdict"} <= set(found)
    for variable in found["variables"]:
        assert {"name", "dtype", "shape", "reads", "assigns", "initialised"} <= set(variable)
        for access in (*variable["reads"], *variable["assigns"]):
            assert set(access) == {"op", "node", "function", "signatures"}
    for finding in found["findings"]:
        assert set(finding) == {"id", "severity", "variables", "message", "fix"}
    assert found["proof"]["parity"]["runs"][0]["calls"] == (20 if name == "keras_saved" else 5)
    assert (found["proof"]["inputs"], found["doubt"]) == ("made up", None)


def test_it_is_short_where_nothing_is_wrong(diagnosed):
    assert len(diagnosed("mlp_keras").text().splitlines()) < 8
    assert repr(diagnosed("mlp_keras")) == "Diagnosis(convertible: nothing wrong)"


def test_a_convertible_model_is_told_how_the_file_is_made(diagnosed, specimen_path):
    line = f"make the file: varhandle cure {specimen_path('mlp_keras')} model.tflite"
    assert line in diagnosed("mlp_keras").text().splitlines()
    assert "model.tflite --trust" in diagnosed("lambda_h5").text()
    assert "--signature serving_default" in diagnosed("trainer_and_server").text()
    for name in ("mlp_tflite", "float16_state", "keras_saved"):
        assert "make the file" not in diagnosed(name).text()


def test_what_is_worth_knowing_later_does_not_hide_what_is_wrong_now(diagnosed):
    assert "a variable store" in diagnosed("counter").text()
    text = diagnosed("without_signature").text()
    assert "a variable store" not in text
    assert "micro-needs-store" in text
    (line,) = diagnosed("without_signature").other
    assert "signatures=" in line


def test_one_refusal_is_told_once(diagnosed):
    assert diagnosed("flex_tflite").proof.text().count("Select TensorFlow op") == 1


def test_the_text_names_cause_and_cure_before_the_evidence(diagnosed):
    text = diagnosed("keras_saved").text()
    order = [text.index(part) for part in ("wrong-answers", "keras3-export", ".export(", "proof:")]
    assert order == sorted(order)
    assert repr(diagnosed("keras_saved")) == "Diagnosis(wrong-answers: keras3-export)"


def test_the_page_has_the_same(diagnosed):
    page = diagnosed("float16_state").html()
    for part in ("blocked", "unsupported-variable-dtype", "tf.float32", "proof"):
        assert part in page


def test_a_graph_that_was_read_already_is_taken(specimen_path):
    graph = read_graph(specimen_path("counter"))
    assert diagnose(graph, static=True).graph is graph
    from_memory = diagnose(read_graph(specimen_path("counter_tflite").read_bytes()))
    assert from_memory.verdict == "unproved"
    assert from_memory.text().startswith("unproved: nothing was run, so nothing is proved: the mod")


def test_the_signature_that_is_asked_for_is_proven(specimen_path):
    found = diagnose(specimen_path("trainer_and_server"), signature="train")
    assert found.verdict == "blocked"
    assert found.signature == "train"
    with pytest.raises(KeyError, match="no signature 'nothing'"):
        diagnose(specimen_path("trainer_and_server"), signature="nothing")


def test_inputs_of_ones_own_are_used(specimen_path, tmp_path):
    inputs = {"x": np.full([2, 1, 4], 3.0, "float32")}
    found = diagnose(specimen_path("counter"), inputs=inputs)
    assert [call["x"].tolist() for call in found.proof.asked[0].calls] == [[[3.0] * 4]] * 2
    assert found.proof.passed
    with pytest.raises(ValueError, match="takes x, and not y"):
        diagnose(specimen_path("counter"), inputs={"y": inputs["x"]})
