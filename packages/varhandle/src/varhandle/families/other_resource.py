"""A resource that is no variable (a table, an iterator), or a tool that is no TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Iterator

from varhandle.display import join_names, printable
from varhandle.facts.tables import BUILTIN_TABLES, CHANGES, FILLED_FROM_FILE, FIXED
from varhandle.families import code
from varhandle.families.base import Family, Finding, Reading
from varhandle.families.harness import Answers, Trace, case
from varhandle.families.log_index import (
    LAST_RESORT,
    LogDiagnosis,
    MatchIndex,
    Meaning,
    Ops,
    custom_op,
)
from varhandle.families.log_patterns import WORD, Context, Pattern
from varhandle.graph import Node

_RESOURCES = (
    *("LookupTable", "HashTable", "MutableHashTable", "MutableDenseHashTable"),
    *("Iterator", "MakeIterator", "OneShotIterator"),
    *("QueueEnqueue", "QueueDequeue", "FIFOQueue", "Barrier", "StackPush", "StackPop"),
)
"""How the ops begin that work on a resource other than a variable."""

_ORDINARY = re.compile(
    r"LookupTable(?:Find|Size|Import)(?:V2)?|InitializeTable\w{0,20}|(?:Anonymous)?HashTable(?:V2)?"
)
"""The ops of a table that is filled once; TensorFlow 1 keeps all of them in one graph."""

_NO_VARIABLE = (
    "is no variable, and has no builtin op: the builtin tables are fixed ones from string to int64"
    " and from int64 to string."
)


@case("hash-table", "hash table looked up")
def hash_table(trace: Trace) -> Answers:
    """Convert a lookup in a table, a resource that is no variable."""
    tf = trace.tf
    keys = tf.constant([1, 2, 3], tf.int64)
    pairs = tf.lookup.KeyValueTensorInitializer(keys, tf.constant([10.0, 20.0, 30.0]))
    module = trace.module(lambda self, x: self.table.lookup(tf.cast(x, tf.int64)))
    module.table = tf.lookup.StaticHashTable(pairs, 0.0)
    return trace.convert_saved(module)


def _in_graph(reading: Reading) -> Iterator[Finding]:
    nodes = [node for node in reading.reached_nodes if node.op.startswith(_RESOURCES)]
    if not nodes:
        return
    ops = sorted({printable(node.op) for node in nodes})
    tables = _tables_asked(reading)
    kinds = {(key, value) for key, value, _ in tables}
    makers = {maker for _, _, maker in tables} - {""}
    fixed = all(FIXED.fullmatch(maker) for maker in makers)
    plain = all(_ORDINARY.fullmatch(node.op) for node in nodes)
    words = plain and fixed and kinds <= BUILTIN_TABLES
    cure = code.cure_comment(reading.graph.source, reading.signature)
    if words and (filling := _filled_from_file(reading)):
        message = (
            f"The table behind {', '.join(ops)} is filled from a text file ({filling}), which no "
            "builtin op does: the file would look up in a table that nothing has filled."
        )
        yield FAMILY.finding("error", (), message, f"{FILLED_FROM_CONSTANTS}\n{cure}")
        return
    if words:
        message = (
            f"{reading.capital_subject} looks words up in a table ({', '.join(ops)}): it becomes "
            "HASHTABLE ops, which a compiler of plain tensors and TensorFlow Lite Micro do not "
            "have."
        )
        yield FAMILY.finding("info", (), message, _look_up_outside(reading))
        return
    pairs = (printable(f"{key} to {value}") for key, value in kinds if key and value)
    kind = "table" if fixed else join_names(sorted(map(printable, makers)))
    told = ", ".join(sorted(pairs))
    what = f" (a {kind} from {told})" if told else ""
    message = f"The resource behind {', '.join(ops)}{what} {_NO_VARIABLE}"
    fix = TABLE_AS_TENSORS
    if plain and not any(CHANGES.fullmatch(node.op) for node in reading.graph.called_nodes):
        fix += f"\n{cure}"
    yield FAMILY.finding("error", (), message, fix)


def _tables_asked(reading: Reading) -> set[tuple[object, object, str]]:
    """Return the dtypes of the keys and values of each table that is asked, and what makes it."""
    flow = reading.resource_flow
    found = set[tuple[object, object, str]]()
    for function, node in _finds(reading):
        dtypes = node.attributes.get("Tin"), node.attributes.get("Tout")
        origins = flow.origins([(function, node.sources[0])]) if node.sources else ()
        made = [reading.nodes[one][2].op for one in origins if one in reading.nodes]
        found |= {(*dtypes, maker) for maker in made or [""]}
    return found


def _finds(reading: Reading) -> Iterator[tuple[str, Node]]:
    for function in reading.reached:
        for node in function.nodes:
            if node.op.startswith("LookupTableFind"):
                yield function.name, node


def _filled_from_file(reading: Reading) -> str:
    """Return the op that fills a table which is asked from a text file; "" where none does."""
    flow = reading.resource_flow
    finds = ((function, node) for function, node in _finds(reading) if node.sources)
    asked = flow.origins((function, node.sources[0]) for function, node in finds)
    filling = (
        node.op
        for function in reading.graph.functions
        for node in function.nodes
        if FILLED_FROM_FILE.fullmatch(node.op) and node.sources
        if flow.origins([(function.name, node.sources[0])]) & asked
    )
    return printable(next(filling, ""))


def _in_file(reading: Reading) -> Iterator[Finding]:
    ops = {node.op for node in reading.reached_nodes}
    tables = sorted(op for op in ops if op.startswith("HASHTABLE"))
    if tables:
        message = (
            f"It looks words up in a table ({', '.join(tables)}), which a compiler of plain "
            "tensors and TensorFlow Lite Micro do not have."
        )
        yield FAMILY.finding("info", (), message, _look_up_outside(reading))


def _look_up_outside(reading: Reading) -> str:
    where = f" {code.comment(reading.signature)}" if reading.signature else ""
    return f"# For such a target look the words up before you call{where}, and pass the numbers in."


TABLE_AS_TENSORS = """\
# A fixed table: two constants and a comparison, for x of any shape and dtype.
import tensorflow as tf


def look_up(x, keys, values, default):
    values = tf.convert_to_tensor(values)
    hit = tf.equal(tf.expand_dims(x, -1), tf.convert_to_tensor(keys, x.dtype))
    at = tf.argmax(tf.cast(hit, tf.int32), -1)
    default = tf.convert_to_tensor(default, values.dtype)
    return tf.where(tf.reduce_any(hit, -1), tf.gather(values, at), default)


# in the place of the table: look_up(x, keys, values, default)
# A table that changes, an iterator or a queue: keep it outside, and pass its values in."""

FILLED_FROM_CONSTANTS = """\
# Fill the table from constants, in place of the file, before you save the model:
import tensorflow as tf

keys, values = self.table.export()
filling = tf.lookup.KeyValueTensorInitializer(keys, values)
self.table = tf.lookup.StaticHashTable(filling, self.table.default_value)"""

_OTHER_TOOL = (
    "Lift the state out of the file, into inputs and outputs, which any tool can read.\n\n"
    "varhandle lift model.tflite lifted.tflite"
)


_OWN_TABLE = (
    "Let an attribute of the object that is saved hold the table, as it has to hold variables.\n\n"
    "self.table = tf.lookup.StaticHashTable(pairs, default)"
)
_TABLE_IN_ONNX = (
    "Look the words up before the model, in your program, and give it the numbers; tf2onnx takes"
    " only tables from string to int64 whose initializer is in the SavedModel."
)


def is_table_tensor(context: Context) -> bool:
    """Tell whether the tensor that is named after a phrase is a table's."""
    return re.match(r"'?tensor\('[^']{0,200}(?:hash_?table|lookup)", context.after) is not None


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    yield from _tables(index.refused)
    ops = index.not_imported
    if ops.has("builtin"):
        message = (
            f"The tool reads .tflite files, but not {ops.names('builtin')}: the file keeps its"
            " state in variables, and the tool wants plain tensors."
        )
        yield FAMILY.in_log(130, ops.first("builtin"), message, _OTHER_TOOL)
    yield from _tables(ops)
    for line in index.of("resource-list"):
        listed = Ops([line])
        if listed.has("table") and not listed.has("handle", "read", "assign"):
            message = f"The resource behind {listed.names('table')} {_NO_VARIABLE}"
            yield FAMILY.in_log(LAST_RESORT, line, message)
    for line in index.custom("table"):
        yield FAMILY.in_log(130, line, custom_op(line.get("op")))


def _tables(ops: Ops) -> Iterator[LogDiagnosis]:
    if ops.has("table"):
        message = f"The resource behind {ops.names('table')} {_NO_VARIABLE}"
        yield FAMILY.in_log(130, ops.first("table"), message)


FAMILY = Family(
    id="other-resource",
    order=160,
    what="The resource that the message names is no variable, or the tool is no TensorFlow.",
    cause="Tables and iterators are resources too; and other tools do not read VAR_HANDLE.",
    fix=(
        "Take the table or the iterator out of the model: look up before it, in your program, or"
        " gather from a constant. Only tables between strings and int64 have builtins.\n\n"
        "self.values = tf.constant(values)          # instead of a table with keys 0, 1, 2, …\n"
        "answer = tf.gather(self.values, indices)"
    ),
    cases=(hash_table,),
    graph_rules={"saved_model": _in_graph, "graph_def": _in_graph, "tflite": _in_file},
    log_patterns=(
        *(  # as GCC and Clang, and as MSVC write the type of the resource
            Pattern(
                "no-table",
                f"{written} does not exist",
                rf"resource[a-z]{{0,40}}/(?P<variable>{WORD}{{1,200}}?)/$",
            )
            for written in (
                "N10tensorflow6lookup15LookupInterfaceE",
                "class tensorflow::lookup::LookupInterface",
            )
        ),
        Pattern("no-table", "hashtable need to be initialized before using"),
        *(
            Pattern(
                "untracked-table",
                phrase,
                reach=1200,
                company=("Tried to export a function",),
                after=r"'?tensor\('(?P<node>[^']{1,200})'",
                test=is_table_tensor,
            )
            for phrase in ("untracked resource", "untracked object")
        ),
        Pattern(
            "onnx-table",
            "Could not determine table shared name for node",
            after=r"(?P<node>[\w/.:\-]{1,250})?",
        ),
        Pattern("onnx-table", "Only lookup tables of type string->int64 are currently supported"),
        Pattern("to-numpy", "Cannot convert a Tensor of dtype resource to a NumPy array"),
        Pattern(
            "table-init",
            "doesn't exist in graph",
            rf"initnode(?P<node>{WORD}{{1,250}}?table_init)$",
        ),
    ),
    log_meanings={
        "table-init": Meaning(260, "Grappler dropped {node:}, which fills a table."),
        "no-table": Meaning(130, "A lookup table is read, and nothing has filled it before."),
        "untracked-table": Meaning(
            165,
            "The function looks up in a table, {node:one} by name, which no attribute of the saved"
            " object holds; what is in it would be lost.",
            _OWN_TABLE,
        ),
        "onnx-table": Meaning(
            130,
            "tf2onnx cannot take the lookup {node:in a table}: the resource is a table, and no"
            " variable.",
            _TABLE_IN_ONNX,
        ),
        "to-numpy": Meaning(
            130, "A resource's handle is treated as a value; most often it is a lookup table's."
        ),
    },
    log_rule=_in_log,
    spoils_whole_file=True,
    repair_step="compare-with-keys",
)
