"""The one sentence for every failure that TensorFlow 2.7 to 2.18 could not name."""

from family_checks import case_test, log_test

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("constant-folding-failed")

test_a_case_does_what_it_is_for = case_test(FAMILY, {"float32-state-flag-off": "works"})

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "Variable constant folding failed.",
    ],
)


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
