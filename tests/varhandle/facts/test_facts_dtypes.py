"""Every dtype x every update: diagnose's advice, cure's answer and the converter agree."""

import pytest
from dtype_cases import UPDATES, converted, outcomes, save

from varhandle.diagnosis import diagnose
from varhandle.facts.dtypes import DTYPES
from varhandle.facts.variable_updates import REFERENCE_UPDATES
from varhandle.repair.run import cure
from varhandle.sandbox import run_isolated

#: The converter dies of these, so they are converted in a child of their own.
DEADLY = {("int4", update) for update in UPDATES if update != "only read"}
#: TensorFlow's Python cannot make variables of these, or only read them.
NO_VARIABLES = {
    *("qint8", "quint8", "qint32", "qint16", "quint16", "int2", "uint2", "float4_e2m1fn"),
    *("float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz"),
}
TRIED = [name for name in DTYPES if name not in NO_VARIABLES]
CASES = [(dtype, update) for dtype in TRIED for update in UPDATES]


@pytest.fixture(scope="module")
def found():
    safe = [case for case in CASES if case not in DEADLY]
    record = run_isolated(outcomes, safe, timeout=900, locked=False)
    assert record.ok, record
    return record.value


@pytest.mark.parametrize("dtype", TRIED)
def test_advice_cure_and_converter_agree(found, dtype):
    one = DTYPES[dtype]
    for update in UPDATES:
        told = found.get((dtype, update))
        if told is None or not told["tensorflow"]:
            continue
        named = f"{dtype}, {update}: {told}"
        assert told["converted"] is not bool(told["advice"]), named
        assert told["cured"] is ("varhandle cure" in told["advice"] or not told["advice"]), named
        if told["cured"]:
            assert told["passed"], named
        else:
            assert one.advised in told["change"] and dtype in told["reason"], named


def test_the_converter_dies_of_an_assigned_int4_and_cure_carries_it(tmp_path):
    folder = tmp_path / "model"
    assert run_isolated(save, "int4", "assign", folder, locked=False).ok
    assert run_isolated(converted, folder, reads=[folder]).outcome == "crashed"
    diagnosis = diagnose(folder, static=True)
    assert "varhandle cure" in diagnosis.findings[0].fix
    made = cure(diagnosis)
    assert made.plan.steps == ("widen-dtype", "convert")
    assert made.parity.passed


def test_an_update_of_a_reference_has_its_like_on_a_handle(tf):
    """By TensorFlow's own registry: the same inputs, but that the variable is a handle."""
    from tensorflow.python.framework import op_def_registry

    for name, of_handle in REFERENCE_UPDATES.items():
        before, after = (op_def_registry.get(op).input_arg for op in (name, of_handle))
        assert before[0].is_ref, name
        assert after[0].type == tf.resource.as_datatype_enum, of_handle
        assert len(before) == len(after), name
    assert {"ScatterAdd", "ScatterNdUpdate"} <= set(REFERENCE_UPDATES)
