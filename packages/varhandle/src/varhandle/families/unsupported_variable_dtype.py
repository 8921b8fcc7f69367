"""The literal message: an assigned variable of a dtype that the builtin VAR_HANDLE lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from varhandle.display import printable
from varhandle.facts.dtypes import dtype_of
from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading, advised_cure, named
from varhandle.families.harness import Answers, Trace, case
from varhandle.families.log_index import LOCATION, LogDiagnosis, MatchIndex, custom_op, dtype_in_log
from varhandle.families.log_patterns import Match, Pattern, quoted
from varhandle.graph import Access, Variable


@case("float16-state", "float16 variable, assigned", drawn=True)
def float16_state(trace: Trace) -> Answers:
    """Convert a running total kept in float16: the literal VarHandleOp message."""
    return trace.convert_total("float16")


@case("float16-state-flag-off", "float16, assigned, resource variables off", drawn=True)
def float16_state_flag_off(trace: Trace) -> Answers:
    """Answer the VarHandleOp message by switching resource variables off."""
    return trace.convert_total("float16", experimental_enable_resource_variables=False)


@case("int16-state", "int16 variable, assigned")
def int16_state(trace: Trace) -> Answers:
    """Convert a running total kept in int16."""
    return trace.convert_total("int16")


@case("uint32-state", "uint32 variable, assigned")
def uint32_state(trace: Trace) -> Answers:
    """Convert a running total kept in uint32."""
    return trace.convert_total("uint32")


@case("string-state", "string variable, assigned")
def string_state(trace: Trace) -> Answers:
    """Convert a module that remembers a word."""
    tf = trace.tf

    def step(self: Any, x: Any) -> Any:
        known = tf.equal(self.word, "seen")
        self.word.assign("seen")
        return tf.where(known, 2.0 * x, x)

    return trace.convert_saved(trace.module(step, word="none"))


def _in_saved_model(reading: Reading) -> Iterator[Finding]:
    def trouble(variable: Variable) -> Sequence[Access]:
        return () if dtype_of(variable.dtype).carried else variable.assigns

    def message(variables: Sequence[Variable]) -> str:
        typed = [f"{printable(v.name)} ({printable(v.dtype)})" for v in variables]
        dtypes = " or ".join(sorted({printable(v.dtype) for v in variables}))
        return _not_carried(named(typed), dtypes)

    def fix(variables: Sequence[Variable]) -> str:
        return hold_in_supported_dtype(variables) + advised_cure(reading, variables)

    yield from FAMILY.in_variables(reading, trouble, message, fix)


def hold_in_supported_dtype(variables: Sequence[Variable]) -> str:
    """Hold the state in a dtype that VAR_HANDLE carries, and cast at the edges."""
    blocks = ["# In the class of the model:", "import tensorflow as tf"]
    return "\n\n".join([*blocks, *map(_held, variables)])


def _held(variable: Variable) -> str:
    held, dtype = code.made(variable), dtype_of(variable.dtype)
    zeros = f"tf.zeros({code.sized(variable.shape)}, tf.{dtype.advised})"
    made = code.new_variable(variable, zeros)
    if dtype.name == "string":
        return code.lines(
            "# No variable of strings converts: keep a number that stands for the string.",
            made,
            f"{held}.assign(tf.cast(index, tf.int64))  # the strings themselves stay outside",
        )
    loss = f"; {dtype.loss}" if dtype.loss else ""
    return code.lines(
        f"{made}  # was {code.comment(variable.dtype)}; keep your own first value{loss}",
        f"value = tf.cast({held}, {_written(variable)})  # where it is read",
        f"{held}.assign(tf.cast(new_value, tf.{dtype.advised}))  # where it is assigned",
    )


def _written(variable: Variable) -> str:
    """Write a dtype as code; ``tf`` has no name for those of a few bits."""
    name = code.dtype(variable)
    few_bits = ("int4", "uint4", "int2", "uint2", "float8", "float4")
    return repr(name) if name.startswith(few_bits) else f"tf.{name}"


def _in_file(reading: Reading) -> Iterator[Finding]:
    """``allow_custom_ops`` hides such a variable behind a custom op that nobody has."""
    custom = {node.op for node in reading.reached_nodes if node.attributes.get("custom")}
    if custom & {"VarHandleOp", "ReadVariableOp"}:
        message = (
            "allow_custom_ops turned a variable into the custom op VarHandleOp: the converter had "
            'no builtin for it, and the interpreter answers "unresolved custom op: VarHandleOp".'
        )
        fix = (
            "# Convert again without converter.allow_custom_ops: the error that it hid names the "
            "variable.\n# Hold that one in float32, int32 or int64, and cast where it is read."
        )
        yield FAMILY.finding("error", (), message, fix)


def _not_carried(what: str, dtypes: str) -> str:
    return f"{what} assigned, and the builtin VAR_HANDLE does not carry {dtypes}."


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    refused, roles = index.refused, ("handle", "read", "assign")
    if refused.has(*roles):
        line, dtypes = refused.first(*roles), index.unsupported_dtypes
        # Without a dtype: only if nothing else explains that the variable was refused.
        others = refused.has("update", "gather", "reference", "table")
        if dtypes or not (index.only_reads_refused or others):
            yield _diagnose_dtype(line, index.refused_variables, dtypes)
    for line in index.of("operand"):
        dtype = dtype_in_log(line.get("dtype"))
        yield _diagnose_dtype(line, quoted(line.get("variable"), ""), dtype, 20 if dtype else 220)
    for line in index.custom(*roles):
        which = f", {index.unsupported_dtypes}" if index.unsupported_dtypes else ""
        behind = f"Behind it is a dtype or an update that VAR_HANDLE does not carry{which}."
        yield FAMILY.in_log(20, line, f"{custom_op(line.get('op'))} {behind}")


def _diagnose_dtype(line: Match, variables: str, dtypes: str, rank: int = 20) -> LogDiagnosis:
    are = "are" if " and " in variables else "is"
    what = f"{variables or 'A variable'}{dtypes and f' ({dtypes})'} {are}"
    other = "that dtype: float16, bfloat16, int16, an unsigned integer above 8 bits, or string"
    message = _not_carried(what, dtypes or other)
    return FAMILY.in_log(rank, line, message, fix_for_dtype(line.get("variable")))


def fix_for_dtype(variable: str) -> str:
    """Return the family's fix for a variable of this name."""
    return FAMILY.fix.replace("total", code.name_in_log(variable, "total"))


FAMILY = Family(
    id="unsupported-variable-dtype",
    order=10,
    what="The converter stops with \"'tf.VarHandleOp' op is neither a custom op nor a flex op\".",
    cause="The model assigns a variable of a dtype that the builtin VAR_HANDLE does not carry.",
    fix=(
        "Keep the state in float32 (float64, int8, uint8, int32, int64, bool and complex64 work as"
        " well), and cast where it meets the rest. SELECT_TF_OPS and allow_custom_ops only move the"
        " failure to the interpreter. A seed of Keras: export with dropout off.\n\n"
        'self.total = tf.Variable(tf.zeros([4], tf.float32), name="total")\n'
        "self.total.assign(self.total + tf.cast(x, tf.float32))"
    ),
    cases=(float16_state, float16_state_flag_off, int16_state, uint32_state, string_state),
    graph_rules={"saved_model": _in_saved_model, "tflite": _in_file},
    log_patterns=(
        Pattern(
            "operand",
            "must be tensor of",
            reach=900,
            before=rf"{LOCATION}'tfl\.(?P<op>assign_variable|read_variable)'op"
            r"(?:operand|result)#\d{1,2}$",
            after=r"(?:.{0,700}?butgot'tensor<(?:[\d?*]{1,12}x){0,12}(?P<dtype>!?[\w.]+)>')?",
        ),
    ),
    log_rule=_in_log,
    spoils_whole_file=True,
    repair_step="widen-dtype",
    refuted_by_running=True,
)
