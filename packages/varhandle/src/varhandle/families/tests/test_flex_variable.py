"""Variables that became TensorFlow's own ops, which the interpreter does not link."""
# ruff: noqa: E501

from family_checks import case_test, ids, log_test, refused

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("flex-variable")

test_a_case_does_what_it_is_for = case_test(
    FAMILY, {"float16-state-select-ops": "load: RuntimeError: Select TensorFlow op(s)"}
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "RuntimeError: Encountered unresolved custom op: FlexVarHandleOp.",
        "Regular TensorFlow ops are not supported by this interpreter. Make sure you apply/link the Flex delegate before inference.Node number 2 (FlexAssignVariableOp) failed to prepare.",
    ],
)


FLEX = "ERROR: Regular TensorFlow ops are not supported by this interpreter."


def test_flex_is_a_matter_here_where_it_is_variables_or_training():
    assert ids(f"{FLEX} Node number 3 (FlexErf) failed to prepare.") == ["flex-op-missing"]
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
