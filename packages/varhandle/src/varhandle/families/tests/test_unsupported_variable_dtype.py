"""The literal message: an assigned variable of a dtype that the builtin VAR_HANDLE lacks."""
# ruff: noqa: E501

import types

import pytest
import zoo
from family_checks import case_test, fix_of, ids, log_test, refused, run

from varhandle import explain
from varhandle.conversion.converter import convert
from varhandle.families.catalog import family, find
from varhandle.formats import read_graph

FAMILY = family("unsupported-variable-dtype")

test_a_case_does_what_it_is_for = case_test(
    FAMILY,
    {
        "float16-state": "convert: ConverterError: 'tf.VarHandleOp' op is neither a custom op nor a flex op",
        "float16-state-flag-off": "convert: ConverterError: 'tf.VarHandleOp' op is neither a custom op nor a flex op",
        "int16-state": "convert: ConverterError: 'tf.VarHandleOp' op is neither a custom op nor a flex op",
        "uint32-state": "convert: ConverterError: but got 'tensor<4xui32>'",
        "string-state": "convert: ConverterError: 'tf.VarHandleOp' op is neither a custom op nor a flex op",
    },
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "error: failed to legalize operation 'tf.VarHandleOp' that was explicitly marked illegal",
        "error: 'tfl.read_variable' op result #0 must be tensor of 32-bit float or 64-bit float values, but got 'tensor<*xui16>'",
        "error: failed while converting: 'main': Ops that can be supported by the flex runtime (enabled via setting the -emit-select-tf-ops flag):\ttf.VarHandleOp {}",
    ],
)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int16"])
def test_a_state_in_the_recommended_dtype_converts(tf, specimen_path, tmp_path, dtype):
    fix = fix_of(specimen_path(f"{dtype}_state"), "unsupported-variable-dtype")
    module = tf.Module()
    run(fix, self=module, new_value=tf.ones([4], dtype))
    assert module.total.numpy().tolist() == [1.0] * 4

    in_the_step = fix.replace("self.total = tf.Variable", "_ = lambda: tf.Variable")

    def step(x):
        names = run(in_the_step, self=module, new_value=tf.cast(x, dtype))
        return {"y": tf.cast(names["value"], tf.float32)}

    module.step = tf.function(step, input_signature=[zoo.spec(tf, 4)])
    path = zoo.save(tf, tmp_path, module, step=module.step)
    assert convert(path).content


def test_strings_become_numbers(tf, specimen_path):
    fix = fix_of(specimen_path("string_state"), "unsupported-variable-dtype")
    module = tf.Module()
    run(fix, self=module, index=[2], tf=tf)
    assert module.last.dtype == tf.int64
    assert module.last.numpy().tolist() == [2]


def test_the_message_that_the_workbook_is_named_for():
    (match,) = explain(refused("VarHandleOp")).matches
    assert match.id == "unsupported-variable-dtype"
    assert "'VarHandleOp_node'" in match.message
    assert "'tf.VarHandleOp' op is neither a custom op nor a flex op" in match.line


@pytest.mark.parametrize(
    ("written", "dtype"),
    [
        *(("f16", "float16"), ("bf16", "bfloat16"), ("ui32", "uint32"), ("i16", "int16")),
        *(("i4", "int4"), ("ui4", "uint4"), ("i2", "int2"), ("ui64", "uint64"), ("ui16", "uint16")),
        *(("f8E5M2", "float8_e5m2"), ("f4E2M1FN", "float4_e2m1fn"), ("!tf_type.string", "string")),
    ],
)
def test_a_dtype_in_the_compilers_spelling(written, dtype):
    log = refused("VarHandleOp", "ReadVariableOp") + (
        '\nsee current operation: %0 = "tf.VarHandleOp"() <{container = "", shared_name = "total"}>'
        f" : () -> tensor<!tf_type.resource<tensor<2x3x{written}>>>"
    )
    (match,) = explain(log).matches
    assert match.id == "unsupported-variable-dtype"
    assert f" does not carry {dtype}." in match.message


def test_an_update_and_a_dtype_at_once():
    log = refused("VarHandleOp", "ResourceStridedSliceAssign") + (
        '\n%0 = "tf.VarHandleOp"() : () -> tensor<!tf_type.resource<tensor<4xf16>>>'
    )
    assert ids(log) == ["unsupported-variable-update", "unsupported-variable-dtype"]


def test_the_code_is_for_the_variable_that_the_log_names():
    log = refused("VarHandleOp").replace("VarHandleOp_node", "model/ring_buffer")
    assert "self.ring_buffer.assign(" in explain(log).matches[0].fix
    log = refused("VarHandleOp").replace("VarHandleOp_node", "while; rm -rf")
    assert "self.total.assign(" in explain(log).matches[0].fix


def test_a_variable_that_nobody_named_is_held_anew_in_its_place(tf, tmp_path):
    """A list that is tracked takes no other variable in the place of one that it has."""
    module = tf.Module()
    module.total, module.rows = (
        tf.Variable(tf.zeros([4], "float16")),
        [tf.Variable(0, dtype="int8")],
    )
    total, row = module.total, module.rows[0]

    def step(x):
        row.assign_add(tf.constant(1, tf.int8))
        return {"y": tf.cast(total.assign_add(tf.cast(x, "float16")), "float32")}

    module.step = tf.function(step, input_signature=[zoo.spec(tf, 4)])
    path = zoo.save(tf, tmp_path, module, step=module.step)
    new = types.SimpleNamespace()
    for fix in {one.fix for one in find(read_graph(path)) if one.severity == "error"}:
        run(
            fix.partition("# Without")[0],
            self=new,
            new_value=tf.zeros([4] if "self.total" in fix else []),
        )
    assert {name: value.dtype.name for name, value in vars(new).items()} == {
        "total": "float32",
        "rows_0": "int32",
    }
