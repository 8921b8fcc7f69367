"""What the signs of a log mean together: which failure it shows, and what to do about it today.

Each rule looks at the signs of a few kinds and yields what they mean. Ranks put the cause before
its echoes: a line that names the op and the dtype comes before one that says that something failed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, auto

from varhandle.facts.dtypes import dtype_of
from varhandle.families.log_fixes import (
    FIX_OTHER_KERAS,
    FIX_OTHER_OP,
    FIX_OTHER_TOOL,
    FIX_SESSION,
    FIXES,
    dtype_fix,
    update_fix,
)
from varhandle.families.log_signs import Sighting

_NAME = 80  # characters of a name that a sentence shows
_LISTED = 4  # names that a sentence lists
_CALL = re.compile(r"partitionedcall(?:_\d+)?$")
_ASSIGNS = re.compile(r"assign|apply|scatter|update")
_GRADIENT = re.compile(r"grad(?:v\d)?$|backprop")  # how an op of training ends: FlexReluGrad

_ROLES = {
    "varhandleop": "handle",
    "readvariableop": "read",
    "assignvariableop": "assign",
    "assignaddvariableop": "assign",
    "assignsubvariableop": "assign",
    "variable": "reference",
    "variablev2": "reference",
    "temporaryvariable": "reference",
    "isvariableinitialized": "reference",
    "assign": "reference",
    "assignadd": "reference",
    "assignsub": "reference",
    "restorev2": "reference",
    "restoreslice": "reference",
    "var_handle": "builtin",
    "read_variable": "builtin",
    "assign_variable": "builtin",
    "call_once": "builtin",
    "makeiterator": "table",
    "oneshotiterator": "table",
}
_BUILTINS = {
    "129": "CALL_ONCE",
    "142": "VAR_HANDLE",
    "143": "READ_VARIABLE",
    "144": "ASSIGN_VARIABLE",
}


class Rank(IntEnum):
    """How close a line is to the cause: the smaller, the closer."""

    UPDATE = auto()
    DTYPE = auto()
    STATE_TYPE = auto()
    KERAS = auto()
    KERAS_PRIVATE = auto()
    UNFROZEN = auto()
    GATHER = auto()
    GATHER_LOST = auto()
    ASSIGNED = auto()
    IMMUTABLE = auto()
    DYNAMIC = auto()
    FREEZER = auto()
    OTHER = auto()
    STORE = auto()
    RESOLVER = auto()
    RUNTIME = auto()
    UNTRACKED = auto()
    UNINITIALIZED = auto()
    FLEX = auto()
    FLEX_LIST = auto()
    FOLDING = auto()
    HIDDEN_DTYPE = auto()
    CALIBRATOR_FLEX = auto()
    CALIBRATOR = auto()
    CALIBRATOR_MAYBE_FLEX = auto()
    INIT_NODE = auto()
    LAST_RESORT = auto()  # says so little that it counts only where nothing else was found


@dataclass(frozen=True)
class Meaning:
    """One failure that a log shows.

    Attributes:
        rank: How close to the cause, the smaller the closer.
        family: Id of the family.
        sighting: The line that gave it away.
        message: What the line means.
        fix: What to do.
    """

    rank: Rank
    family: str
    sighting: Sighting
    message: str
    fix: str


def meanings(sightings: Sequence[Sighting]) -> tuple[Meaning, ...]:
    """Read the signs of a log together.

    Args:
        sightings: What ``log_signs.sightings`` found.

    Returns:
        Each family that the log shows once, best first.
    """
    seen = Seen(sightings)
    best: dict[str, Meaning] = {}
    for rule in _RULES:
        for meaning in rule(seen):
            known = best.get(meaning.family)
            if known is None or _order(meaning) < _order(known):
                best[meaning.family] = meaning
    ordered = sorted(best.values(), key=_order)
    strong = tuple(meaning for meaning in ordered if meaning.rank < Rank.LAST_RESORT)
    return strong or tuple(ordered)


def _order(meaning: Meaning) -> tuple[Rank, int]:
    return meaning.rank, meaning.sighting.line_number


class Seen:
    """The sightings of a log, by kind."""

    def __init__(self, sightings: Iterable[Sighting]) -> None:
        self._by_kind: dict[str, list[Sighting]] = {}
        for sighting in sightings:
            self._by_kind.setdefault(sighting.kind, []).append(sighting)

    def of(self, *kinds: str) -> list[Sighting]:
        """Return the sightings of some kinds, in the order of the log."""
        found = (sighting for kind in kinds for sighting in self._by_kind.get(kind, ()))
        return sorted(found, key=lambda sighting: sighting.line_number)


def _meaning(
    rank: Rank, family: str, sighting: Sighting, message: str, fix: str | None = None
) -> Meaning:
    return Meaning(rank, family, sighting, message, FIXES[family] if fix is None else fix)


def _listed(names: Iterable[str]) -> str:
    """Write names in a sentence, each once."""
    different = list(dict.fromkeys(name for name in names if name))
    shown = ", ".join(different[:_LISTED])
    more = len(different) - _LISTED
    return f"{shown} and {more} more" if more > 0 else shown


def _quoted(name: str, otherwise: str) -> str:
    """Quote a name; of a path that fills the line, its end, which tells the most."""
    if len(name) > _NAME:
        name = f"…{name[-_NAME:]}"
    return f"'{name}'" if name else otherwise


def _role(op: str) -> str:
    """Return what an op does with a variable; nothing if it has none to do with one.

    A log may be in any letters, and a converter tells more roles apart than ``graph.variable_role``
    has to: it refuses an update and a lookup for other reasons than an assignment and a read.
    """
    name = op.lower().removeprefix("flex").removeprefix("tfl_")
    if name.startswith(("resourcestrided", "resourcescatter", "resourceapply", "resourcesparse")):
        return "update"
    if name.startswith("resourcegather"):
        return "gather"
    if "hashtable" in name or name.startswith(("lookuptable", "initializetable", "iterator")):
        return "table"
    return _ROLES.get(name, "")


class _Ops:
    """Ops that somebody refused, by what they do, each with the line that names it."""

    def __init__(self, sightings: Iterable[Sighting]) -> None:
        self.by_role: dict[str, dict[str, Sighting]] = {}
        for sighting in sightings:
            for op in (sighting.get("op"), *sighting.ops):
                role = _role(op)
                if role:
                    self.by_role.setdefault(role, {}).setdefault(op, sighting)

    def __contains__(self, role: str) -> bool:
        return role in self.by_role

    def names(self, *roles: str) -> str:
        """Return the names of the ops of some roles, for a sentence."""
        return _listed(op for role in roles for op in self.by_role.get(role, ()))

    def first(self, *roles: str) -> Sighting:
        """Return the first line that names an op of one of some roles."""
        lines = (line for role in roles for line in self.by_role.get(role, {}).values())
        return min(lines, key=lambda line: line.line_number)


def _variables(sightings: Iterable[Sighting], op: str = "") -> str:
    """Return the names of variables that lines give, for a sentence."""
    return _listed(
        f"'{line.get('variable')}'"
        for line in sightings
        if line.get("variable") and (not op or line.get("op").lower() == op)
    )


def _refused(seen: Seen) -> Iterator[Meaning]:
    """The converter cannot place an op: the literal VarHandleOp message, and those beside it."""
    lines = [
        *seen.of("refused"),
        *(line for line in seen.of("legalize") if _role(line.get("op"))),
    ]
    ops = _Ops(lines)
    if "update" in ops:
        yield _update(ops, lines)
    if "table" in ops:
        yield _table(ops)
    if "reference" in ops:
        yield _reference(ops)
    if "gather" in ops:
        message = (
            f"{ops.names('gather')} looks rows up straight from a variable's handle, and has no"
            " builtin."
        )
        yield _meaning(Rank.GATHER, "gather-from-frozen-table", ops.first("gather"), message)
    if not {"handle", "read", "assign"} & ops.by_role.keys():
        return
    first = ops.first(*({"handle", "read", "assign"} & ops.by_role.keys()))
    name = _variables(lines, "varhandleop")
    dtypes = _dtypes_seen(seen)
    if dtypes:
        yield _dtype(first, name, dtypes)
    elif "read" in ops and "assign" not in ops and not {"update", "gather"} & ops.by_role.keys():
        yield from _only_read(ops, first, name)
    elif not {"update", "gather", "reference", "table"} & ops.by_role.keys():
        yield _dtype(first, name, "")


def _dtypes_seen(seen: Seen) -> str:
    """Return the dtypes of variables in the log that VAR_HANDLE does not carry."""
    written = [line.get("dtype").lower() for line in seen.of("handle-type")]
    dtypes = [dtype_of(dtype.rpartition(".")[2].lstrip("!")) for dtype in written if dtype]
    return _listed(dtype.name for dtype in dtypes if not dtype.carried)


def _update(ops: _Ops, lines: Iterable[Sighting]) -> Meaning:
    names = ops.names("update")
    innocent = " VarHandleOp is named beside it, and is innocent." if "handle" in ops else ""
    message = f"The update has no builtin op: {names}.{innocent}"
    variable = next(
        (line.get("variable") for line in lines if _role(line.get("op")) == "handle"), ""
    )
    fix = update_fix(names, variable)
    return _meaning(Rank.UPDATE, "unsupported-variable-update", ops.first("update"), message, fix)


def _table(ops: _Ops) -> Meaning:
    message = f"The resource is no variable: {ops.names('table')} belong to a table or an iterator."
    return _meaning(Rank.OTHER, "other-resource", ops.first("table"), message)


def _reference(ops: _Ops) -> Meaning:
    message = (
        f"{ops.names('reference')} are ops of a TF1 training graph, whose values live in a session."
        " Nobody froze it."
    )
    return _meaning(Rank.UNFROZEN, "unfrozen-graph", ops.first("reference"), message)


def _dtype(line: Sighting, variables: str, dtypes: str, rank: Rank = Rank.DTYPE) -> Meaning:
    what = f"The model assigns {variables or 'a variable'}"
    if dtypes:
        message = f"{what} of dtype {dtypes}, which the builtin VAR_HANDLE does not carry."
    else:
        message = (
            f"{what} whose dtype the builtin VAR_HANDLE does not carry: float16, bfloat16, int16,"
            " an unsigned integer above 8 bits, or string."
        )
    fix = dtype_fix(line.get("variable"))
    return _meaning(rank, "unsupported-variable-dtype", line, message, fix)


def _only_read(ops: _Ops, line: Sighting, variable: str) -> Iterator[Meaning]:
    """A variable that is only read becomes a constant, if its value can be found."""
    if "handle" in ops:
        named = f"{variable} is" if variable else "The variables are"
        message = (
            f"{named} read and never assigned, so the value should have become a constant:"
            " the graph came without it."
        )
        yield _meaning(Rank.UNFROZEN, "unfrozen-graph", line, message)
    else:
        yield _lost(line)


def _lost(line: Sighting) -> Meaning:
    node = line.get("node")
    message = (
        f"The read{f' {node!r}' if node else ''} could not be followed back to its variable,"
        " so it was not made a constant."
    )
    return _meaning(Rank.FREEZER, "freezer-lost-variable", line, message)


def _importer(seen: Seen) -> Iterator[Meaning]:
    """Another importer lists the ops that it does not know: toco, Core ML, TVM, ONNX, OpenVINO."""
    ops = _Ops(seen.of("importer", "foreign"))
    if "builtin" in ops:
        message = (
            f"The tool reads .tflite files, but not {ops.names('builtin')}: the file keeps its"
            " state in variables, and the tool wants plain tensors."
        )
        line = ops.first("builtin")
        yield _meaning(Rank.OTHER, "other-resource", line, message, FIX_OTHER_TOOL)
    if "table" in ops:
        yield _table(ops)
    if "gather" in ops:
        line = ops.first("gather")
        message = (
            f"{_quoted(line.get('node'), ops.names('gather'))} looks rows up from a variable's"
            " handle, with an op that the tool does not know."
        )
        yield _meaning(Rank.GATHER, "gather-from-frozen-table", line, message)
    if "reference" in ops:
        yield _reference(ops)
    elif "handle" in ops:
        message = (
            f"{ops.names('handle', 'read', 'assign')}: the variables reached the importer as they"
            " are. Their values are not in the graph."
        )
        yield _meaning(Rank.UNFROZEN, "unfrozen-graph", ops.first("handle"), message)
    elif "assign" in ops or "update" in ops:
        message = f"The graph still writes to a variable: {ops.names('assign', 'update')}."
        line = ops.first("assign", "update")
        yield _meaning(Rank.ASSIGNED, "frozen-but-assigned", line, message)
    elif "read" in ops:
        yield _lost(ops.first("read"))


def _expects(seen: Seen) -> Iterator[Meaning]:
    """A node wants a variable's handle, and is given the value that the variable was frozen to."""
    for line in seen.of("expects"):
        node, source = line.get("node").strip("."), line.get("source")
        if source and _CALL.search(node.lower()) and not _assigns(node, source):
            message = (
                f"{_quoted(node, 'A call')} hides the node that wants a variable's handle and was"
                " given the frozen value: a lookup of an embedding as a rule, else an assignment."
            )
            yield _meaning(Rank.GATHER, "gather-from-frozen-table", line, message)
        elif _gathers(node, source):
            message = (
                f"{_quoted(node or source, 'A node')} looks rows up from a variable's handle, and"
                " was given the frozen value."
            )
            yield _meaning(Rank.GATHER, "gather-from-frozen-table", line, message)
        else:
            message = (
                f"{_quoted(node or source, 'A node')} assigns a variable, or calls what does, but"
                " the variable's value has become a constant."
            )
            dtype = dtype_of(line.get("dtype"))
            if dtype.number > 0 and not dtype.carried:
                message += f" Its dtype, {dtype.name}, will be refused next."
            yield _meaning(Rank.ASSIGNED, "frozen-but-assigned", line, message)


def _gathers(node: str, source: str) -> bool:
    """Tell whether a node that wants a handle looks something up, rather than assigns."""
    if _ASSIGNS.search(node.lower().rpartition("/")[2]):
        return False
    return re.search(r"embed|gather", f"{node} {source}".lower()) is not None


def _assigns(node: str, source: str) -> bool:
    """Tell whether a node that wants a handle assigns."""
    return _ASSIGNS.search(f"{node} {source}".lower()) is not None


def _placeholder(seen: Seen) -> Iterator[Meaning]:
    for line in seen.of("placeholder"):
        if _gathers(line.get("node"), ""):
            message = (
                f"{_quoted(line.get('node'), 'A lookup')} wants a variable's handle, and got no"
                " value."
            )
            yield _meaning(Rank.GATHER, "gather-from-frozen-table", line, message)
        else:
            yield _lost(line)
    for line in seen.of("ill-formed"):
        message = (
            f"The importer lost the function {_quoted(line.get('function'), 'of the model')}, as"
            " it does where an embedding is looked up from a variable's handle."
        )
        yield _meaning(Rank.GATHER_LOST, "gather-from-frozen-table", line, message)


def _converter(seen: Seen) -> Iterator[Meaning]:
    """The importer of TensorFlow 2.3 to 2.18, on variables that are written."""
    for line in seen.of("immutable"):
        message = (
            f"{_quoted(line.get('variable'), 'A variable')} is assigned, and this importer takes"
            " only variables that are never written."
        )
        yield _meaning(Rank.IMMUTABLE, "not-immutable", line, message)
    for line in seen.of("operand"):
        written = line.get("dtype").lower().rpartition(".")[2].lstrip("!")
        dtype = dtype_of(written).name
        rank = Rank.DTYPE if dtype else Rank.HIDDEN_DTYPE
        yield _dtype(line, _quoted(line.get("variable"), ""), dtype, rank)
    for line in seen.of("folding"):
        yield _folding(seen, line)


def _folding(seen: Seen, line: Sighting) -> Meaning:
    """One sentence for every failure that TensorFlow 2.7 to 2.18 could not name."""
    family = "constant-folding-failed"
    others = [other.get("op") for other in seen.of("legalize", "refused") if other.get("op")]
    unrelated = _listed(op for op in others if not _role(op))
    echo = ""
    if seen.of("operand"):
        echo = "the rest of the line names a variable's dtype"
    elif seen.of("immutable"):
        echo = "another line names the variable that is assigned"
    elif any(map(_role, others)):
        echo = f"the cause is {_listed(filter(_role, others))}"
    if echo:
        fix = "Mend what is named there; this sentence goes with it."
        return _meaning(Rank.FOLDING, family, line, f"The sentence is an echo: {echo}.", fix)
    if unrelated:
        message = f"The sentence misleads: no variable is at fault, but {unrelated}."
        fix = f"Replace {unrelated} by ops that have builtins. The flag changes nothing here."
        return _meaning(Rank.FOLDING, family, line, message, fix)
    message = (
        "The converter could not make constants of all variables, and says this whatever the cause:"
        " a variable that is assigned, its dtype, or another op altogether."
    )
    return _meaning(Rank.FOLDING, family, line, message)


def _freezer(seen: Seen) -> Iterator[Meaning]:
    for line in seen.of("freezer"):
        yield _lost(line)
    for line in seen.of("init-node"):
        if line.get("node").lower().endswith("table_init"):
            message = f"Grappler dropped {_quoted(line.get('node'), '')}, which fills a table."
            yield _meaning(Rank.INIT_NODE, "other-resource", line, message)
            continue
        message = (
            f"Grappler dropped the initializer {_quoted(line.get('node'), 'of a variable')}. The"
            " conversion goes on after this line: if a .tflite was written, compare its answers."
        )
        yield _meaning(Rank.INIT_NODE, "freezer-lost-variable", line, message)


def _keras(seen: Seen) -> Iterator[Meaning]:
    family = "keras3-export"
    for line in seen.of("no-value"):
        message = (
            "A read found no value: Keras 3 saved the variable under an object that nobody reads."
        )
        yield _meaning(Rank.KERAS, family, line, message)
    for line in seen.of("openvino"):
        message = (
            f"The importer found no value for {_quoted(line.get('variable'), 'a variable')}:"
            " Keras 3 saved it under an object that this importer does not look at."
        )
        yield _meaning(Rank.KERAS, family, line, message)
    for line in seen.of("keras-private"):
        message = (
            f"{_quoted(line.get('class'), 'The model')} is of another Keras than the one that the"
            " converter of this release calls; Keras 3 has no such method."
        )
        yield _meaning(Rank.KERAS_PRIVATE, family, line, message, FIX_OTHER_KERAS)
    for line in seen.of("none-alone"):
        message = (
            "This line alone names no cause: paste the whole traceback. Where that ends in"
            " tflite_keras_util.py, the converter has met a Keras that it does not know."
        )
        yield _meaning(Rank.LAST_RESORT, family, line, message, FIX_OTHER_KERAS)


def _values(seen: Seen) -> Iterator[Meaning]:
    """A variable that is read, and that nothing has set; and a table that nothing has filled."""
    family = "uninitialised-variable"
    for line in seen.of("no-table"):
        message = "A lookup table is read, and nothing has filled it before."
        yield _meaning(Rank.OTHER, "other-resource", line, message)
    for line in seen.of("untracked"):
        message = (
            f"The function uses {_quoted(line.get('variable'), 'a variable')}, which no attribute"
            " of the saved object holds; its value would be lost."
        )
        yield _meaning(Rank.UNTRACKED, family, line, message)
    for line in seen.of("no-variable", "no-value-in-session"):
        message = (
            f"{_quoted(line.get('variable'), 'A variable')} is read, and nothing has set it before."
        )
        fix = FIX_SESSION if line.kind == "no-value-in-session" else None
        yield _meaning(Rank.UNINITIALIZED, family, line, message, fix)


def _flex(seen: Seen) -> Iterator[Meaning]:
    """Variables that became TensorFlow's own ops. Other ops may as well: that is no matter here."""
    family = "flex-variable"
    refusals = seen.of("flex")
    for line in refusals:
        op = line.get("op")
        if _role(op) or _GRADIENT.search(op.lower()):
            which = "" if _role(op) else ", an op of training,"
            message = f"{op}{which} is TensorFlow's own, and this interpreter has no Flex delegate."
            yield _meaning(Rank.FLEX, family, line, message)
        elif not any(refusal.get("op") for refusal in refusals):
            message = (
                "Some ops of the file are TensorFlow's own, and this interpreter has no Flex"
                " delegate. Whether they are variables' ops, this line does not say."
            )
            yield _meaning(Rank.LAST_RESORT, family, line, message)
    for line in seen.of("flex-list"):
        names = _listed(op for op in line.ops if _role(op))
        message = (
            f"The conversion went through, but the file holds {names}: they run only where the Flex"
            " delegate is linked, and today's interpreter will not load it."
        )
        yield _meaning(Rank.FLEX_LIST, family, line, message)
    for line in seen.of("resource-list"):
        ops = _Ops([line])
        if {"handle", "read", "assign"} & ops.by_role.keys():
            names = ops.names("handle", "read", "assign")
            message = f"{names} went into the file as TensorFlow's own ops."
            yield _meaning(Rank.LAST_RESORT, family, line, message)
        elif "table" in ops:
            yield _meaning(
                Rank.LAST_RESORT,
                "other-resource",
                line,
                f"The resource is no variable: {ops.names('table')}.",
            )


def _custom(seen: Seen) -> Iterator[Meaning]:
    """``allow_custom_ops`` wrote an op into the file that no runtime has."""
    listed = _Ops(seen.of("resource-list"))
    for line in seen.of("custom"):
        op = line.get("op")
        role = _role(op)
        message = f"allow_custom_ops wrote {op} into the file, and no runtime has such an op."
        if op.lower().startswith("flex"):
            message = f"{op} needs the Flex delegate, which this interpreter does not have."
            yield _meaning(Rank.FLEX, "flex-variable", line, message)
        elif role == "update" or "update" in listed:
            fix = update_fix(op if role == "update" else listed.names("update"))
            yield _meaning(Rank.UPDATE, "unsupported-variable-update", line, message, fix)
        elif role in ("handle", "read", "assign"):
            dtypes = _dtypes_seen(seen)
            which = f", {dtypes}" if dtypes else ""
            message += f" Behind it is a dtype that VAR_HANDLE does not carry{which}."
            yield _meaning(Rank.DTYPE, "unsupported-variable-dtype", line, message)
        elif role == "table":
            yield _meaning(Rank.OTHER, "other-resource", line, message)
        elif role == "reference":
            yield _meaning(Rank.UNFROZEN, "unfrozen-graph", line, message)
        elif role == "gather":
            yield _meaning(Rank.GATHER, "gather-from-frozen-table", line, message)


def _runtime(seen: Seen) -> Iterator[Meaning]:
    """A runtime that does not know what is in the file, or is not given what it needs."""
    old = "runtime-too-old"
    for line in seen.of("builtin-code"):
        code = line.get("code")
        which = _BUILTINS.get(code)
        named = f"op {code}, {which}" if which else f"op {code}"
        message = f"The file uses {named}, which this runtime has never heard of."
        fix = None if which else FIX_OTHER_OP
        yield _meaning(Rank.RUNTIME, old, line, message, fix)
    micro = bool(seen.of("store", "registration"))
    for line in seen.of("opcode"):
        op = line.get("op").upper()
        variable = _role(op) == "builtin"
        if variable and (micro or (op == "CALL_ONCE" and not seen.of("old-binary"))):
            yield _resolver(line, op)
        elif variable or (seen.of("old-binary") and not micro):
            version = f" version {line.get('version')}" if line.get("version") else ""
            message = f"The file uses {op}{version}, which this runtime does not have."
            fix = None if variable else FIX_OTHER_OP
            yield _meaning(Rank.RUNTIME, old, line, message, fix)
    for line in seen.of("registration"):
        if line.get("op"):
            yield _resolver(line, line.get("op").upper())
    for line in seen.of("store"):
        what = line.get("op").upper() or "A variable op"
        message = f"{what} keeps its value in a store that the program must create and hand over."
        yield _meaning(Rank.STORE, "micro-needs-store", line, message)
    for line in seen.of("tensor-type"):
        message = "The file has tensors of type 13, RESOURCE, which this runtime cannot read."
        yield _meaning(Rank.RUNTIME, old, line, message)
    for line in seen.of("variable-tensor"):
        message = "The file keeps state in variable tensors, which this loader does not take."
        yield _meaning(Rank.RUNTIME, old, line, message)


def _resolver(line: Sighting, op: str) -> Meaning:
    message = f"The op resolver of the program has no {op}, which the state needs."
    return _meaning(Rank.RESOLVER, "micro-needs-store", line, message)


def _quantized(seen: Seen) -> Iterator[Meaning]:
    family = "quantised-state"
    for line in seen.of("state-type"):
        pair = [name for name in (line.get("dtype"), line.get("other")) if name]
        which = f": {pair[0]} and {pair[1]}" if len(pair) == 2 else ""
        message = f"A variable and what is read from it or written to it differ in dtype{which}."
        yield _meaning(Rank.STATE_TYPE, family, line, message)
    for line in seen.of("calibrator"):
        message = (
            "The calibrator of this release takes one subgraph. Initializing a variable (CALL_ONCE)"
            " or a loop makes more, so a model with state cannot be calibrated."
        )
        yield _meaning(Rank.CALIBRATOR, family, line, message)
        flex = bool(seen.of("flex", "flex-list", "resource-list"))
        message = "If the variables became Flex ops, their subgraphs are refused as well."
        yield _meaning(
            Rank.CALIBRATOR_FLEX if flex else Rank.CALIBRATOR_MAYBE_FLEX,
            "flex-variable",
            line,
            message,
        )


def _dynamic(seen: Seen) -> Iterator[Meaning]:
    family = "shared-or-dynamic-state"
    for line in seen.of("unliftable"):
        tensor = _quoted(line.get("tensor"), "The first value of a variable")
        message = (
            f"{tensor} depends on an input: the variable cannot be made before the first call."
        )
        yield _meaning(Rank.DYNAMIC, family, line, message)
    for line in seen.of("duplicate"):
        message = "The first value of a state depends on an input: its shape is not known."
        yield _meaning(Rank.DYNAMIC, family, line, message)
    for line in seen.of("to-numpy"):
        message = "A resource's handle is treated as a value; most often it is a lookup table's."
        yield _meaning(Rank.OTHER, "other-resource", line, message)


def _unfrozen(seen: Seen) -> Iterator[Meaning]:
    family = "unfrozen-graph"
    for line in seen.of("not-frozen"):
        message = "The graph holds variables, whose values live in a session and not in the file."
        yield _meaning(Rank.UNFROZEN, family, line, message)
    if not seen.of("toco-reason"):
        for line in seen.of("toco"):
            message = (
                "toco stopped, and says why only on the console. Most often training ops (Assign,"
                " VariableV2) were left in the graph."
            )
            yield _meaning(Rank.LAST_RESORT, family, line, message)


_RULES: tuple[Callable[[Seen], Iterator[Meaning]], ...] = (
    _refused,
    _importer,
    _expects,
    _placeholder,
    _converter,
    _freezer,
    _keras,
    _values,
    _flex,
    _custom,
    _runtime,
    _quantized,
    _dynamic,
    _unfrozen,
)
