"""A variable that is updated by an op without a builtin: a slice or a scatter assignment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from varhandle.display import join_names, printable
from varhandle.facts.dtypes import dtype_of
from varhandle.facts.random_ops import is_draw, is_generator
from varhandle.facts.variable_updates import CONVERTED_UPDATES, is_converted
from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading, advised_cure
from varhandle.families.harness import Answers, Trace, case
from varhandle.families.log_index import LogDiagnosis, MatchIndex, custom_op, role
from varhandle.families.unsupported_variable_dtype import hold_in_supported_dtype
from varhandle.graph import Access, Variable


@case("slice-assign", "float32, one slice assigned", drawn=True)
def slice_assign(trace: Trace) -> Answers:
    """Convert an update that has no builtin op: VarHandleOp is named beside the culprit."""
    tf = trace.tf

    def step(self: Any, x: Any) -> Any:
        self.seen[:2].assign(x[:2])
        return self.seen + x

    return trace.convert_saved(trace.module(step, seen=tf.zeros([4])))


@case("scatter-update", "float32, rows scattered into it")
def scatter_update(trace: Trace) -> Answers:
    """Convert an update by scattering, which has no builtin op."""
    tf = trace.tf

    def step(self: Any, x: Any) -> Any:
        self.seen.scatter_nd_update([[0], [2]], x[:2])
        return self.seen + x

    return trace.convert_saved(trace.module(step, seen=tf.zeros([4])))


def _in_saved_model(reading: Reading) -> Iterator[Finding]:
    def trouble(variable: Variable) -> Sequence[Access]:
        dtype = dtype_of(variable.dtype)
        refused = [a for a in variable.assigns if dtype.carried and not is_converted(a.op, dtype)]
        return [a for a in refused if not is_draw(a.op) and not is_generator(a.op)]

    ops = {v.name: sorted({printable(a.op) for a in trouble(v)}) for v in reading.graph.variables}

    def message(variables: Sequence[Variable]) -> str:
        updates = [
            f"{printable(v.name)} by {', '.join(ops[v.name])}"
            + ("" if dtype_of(v.dtype).calculated else f" in {printable(v.dtype)}")
            for v in variables
        ]
        references = all(_on_reference(op) for v in variables for op in ops[v.name])
        what = "a reference variable of TensorFlow 1, which" if references else "which"
        return _without_builtin(join_names(updates), what)

    def fix(variables: Sequence[Variable]) -> str:
        references = [v for v in variables if any(map(_on_reference, ops[v.name]))]
        rest = [v for v in variables if v not in references]
        narrow = [v for v in rest if not dtype_of(v.dtype).calculated]
        parts = [v for v in rest if set(ops[v.name]) - CONVERTED_UPDATES]
        blocks = [_use_resources(reading, references)] if references else []
        blocks += [hold_in_supported_dtype(narrow)] if narrow else []
        blocks += [assign_whole_value(parts, ops)] if parts else []
        return "\n\n".join(blocks) + advised_cure(reading, variables)

    yield from FAMILY.in_variables(reading, trouble, message, fix)


def _without_builtin(updates: str, what: str = "which") -> str:
    return f"The model updates {updates}, {what} no builtin op does."


def assign_whole_value(variables: Sequence[Variable], ops: Mapping[str, Sequence[str]]) -> str:
    """Compute the whole new value, and assign it at once."""
    blocks = ["# Compute the whole new value, and assign it at once:", "import tensorflow as tf"]
    for variable in variables:
        target = code.held(variable)
        for op in ops[variable.name]:
            blocks.append(f"# instead of {code.comment(op)}\n{_plain_assign(target, op)}")
    return "\n\n".join(blocks)


def _plain_assign(target: str, op: str) -> str:
    """Return the plain assign that does what an op does."""
    scatter = re.fullmatch(r"ResourceScatter(?:Nd)?(Add|Sub|Min|Max|Update)", op)
    if scatter:
        function = f"tf.tensor_scatter_nd_{scatter[1].lower()}"
        return f"{target}.assign({function}({target}, index, new_value))"
    beginning = next(it for it in _UPDATES if op.startswith(it))
    return _UPDATES[beginning].replace("TARGET", target)


_BY_PARTS = "TARGET.assign(tf.tensor_scatter_nd_update(TARGET, index, changed))"
_UPDATES = {
    "ResourceScatterMul": f"changed = tf.gather_nd(TARGET, index) * new_value\n{_BY_PARTS}",
    "ResourceScatterDiv": f"changed = tf.gather_nd(TARGET, index) / new_value\n{_BY_PARTS}",
    "ResourceStridedSliceAssign": _BY_PARTS.replace("changed", "new_value"),
    "ResourceCountUpTo": "TARGET.assign_add(1)",
    "Resource": "# Write the step out with arithmetic; gradient and rate are your own:\n"
    "TARGET.assign_sub(rate * gradient)",
    "": "# Draw the random numbers outside, and pass them in as an input.",  # RngSkip
}
"""What to write in the place of the ops that begin so; the first that fits."""


def _on_reference(op: str) -> bool:
    """Tell whether an update is of a variable without a handle, as only TensorFlow 1 makes one."""
    return not op.startswith("Resource") and not op.endswith("VariableOp")


READ_ASSIGNMENTS = "with tf.identity around each assignment that is an output"
"""What assigning a resource returns is an operation until it is read."""


def _use_resources(reading: Reading, variables: Sequence[Variable]) -> str:
    ends = {name for signature in reading.graph.signatures for name in signature.ends}
    given_back = any(access.node in ends for v in variables for access in v.assigns)
    again = f", {READ_ASSIGNMENTS}," if given_back else ","
    return code.with_tensorflow(
        f"# At the beginning of the program that builds the graph; then {_names(variables)} can be "
        f"written to.\n# Build it again{again} and save it again:",
        "tf.compat.v1.enable_resource_variables()",
    )


def _names(variables: Sequence[Variable]) -> str:
    return code.comment(join_names(v.name for v in variables))


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    refused = index.refused
    if refused.has("update"):
        names = refused.names("update")
        beside = " VarHandleOp is named beside it, and is innocent."
        updates = f"{index.refused_variables or 'a variable'} by {names}"
        message = _without_builtin(updates) + beside * refused.has("handle")
        handles = (it.get("variable") for it in index.refusals if role(it.get("op")) == "handle")
        fix = fix_for_update(names, next(handles, ""))
        yield FAMILY.in_log(10, refused.first("update"), message, fix)
    for line in index.custom("update"):
        op = line.get("op")
        fix = fix_for_update(op if role(op) == "update" else index.listed.names("update"))
        yield FAMILY.in_log(10, line, custom_op(op), fix)


_SLICE = (
    "self.seen.assign(tf.concat([x[:2], self.seen[2:]], axis=0))  # not self.seen[:2].assign(x[:2])"
)
_IN_A_LOG = {
    "strided": _SLICE,
    "scatter": "self.seen.assign(tf.tensor_scatter_nd_update(self.seen, indices, updates))"
    "  # not self.seen.scatter_nd_update(indices, updates)",
    "apply": "self.seen.assign_sub(rate * gradient)  # not an optimizer's apply_gradients",
}
"""What to write in the place of the ops whose names have this."""


def fix_for_update(ops: str, variable: str = "") -> str:
    """Return a line of code for each way to update that the names of ops show."""
    told = [line for part, line in _IN_A_LOG.items() if part in ops.lower()] or [_SLICE]
    written = "\n".join(told).replace("seen", code.name_in_log(variable, "seen"))
    return f"Compute the whole new value, and assign it at once.\n\n{written}"


FAMILY = Family(
    id="unsupported-variable-update",
    order=20,
    what="VarHandleOp is named, but beside another op that is the culprit.",
    cause="The variable is updated by an op that has no builtin: a slice or a scatter assignment.",
    fix=fix_for_update(""),
    cases=(slice_assign, scatter_update),
    graph_rules={"saved_model": _in_saved_model},
    log_rule=_in_log,
    spoils_whole_file=True,
    repair_step="functional-updates",
)
