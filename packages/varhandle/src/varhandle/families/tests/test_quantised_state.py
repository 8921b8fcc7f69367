"""A quantized file whose state has two dtypes, or stops changing."""
# ruff: noqa: E501

from family_checks import case_test, file_of, log_test, severe

from varhandle.families.catalog import family, find
from varhandle.formats import read_graph

FAMILY = family("quantised-state")

test_a_case_does_what_it_is_for = case_test(FAMILY, {"int8-state": "wrong"})

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "tensorflow/lite/kernels/assign_variable.cc:60 variable_tensor->type != input->type (FLOAT32 != INT8)",
    ],
)


def test_a_state_of_two_dtypes_is_refused_by_the_interpreter():
    graph = file_of("read", "assign", initialized=True, dtypes=("int8", "float32"))
    (finding,) = (f for f in find(graph) if f.severity == "error")
    assert finding.id == "quantised-state"
    assert "float32 in one place and int8 in another" in finding.message


def test_a_sum_in_float_is_no_quantized_state(specimen_path):
    assert severe(find(read_graph(specimen_path("counter_tflite")))) == ()
