"""The static rules: what a model's graph shows of each family, without TensorFlow.

Each rule looks at one :class:`Reading` and yields what it sees there. A rule looks at what the
signature in question can reach; the same trouble in another signature is a ``warning``, because
it stops a conversion of the whole file and not one of this signature. What the converter of
TensorFlow 2.21 takes was measured op by op and dtype by dtype; the tests measure it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from varhandle.display import printable
from varhandle.facts.dtypes import dtype_of
from varhandle.facts.variable_updates import CONVERTED_UPDATES, REWRITTEN_UPDATES, is_converted
from varhandle.facts.verdicts import SEVERITIES, Severity
from varhandle.families import compatibility, fixes
from varhandle.graph import Access, Function, Graph, Node, TensorSpec, Variable, variable_role

_PLAIN_ASSIGNS = frozenset({"AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"})

_TABLES = {("string", "int64"), ("int64", "string")}
"""Key and value dtypes of the look-up tables that have a builtin."""

_RESOURCES = (
    "LookupTable",
    "HashTable",
    "MutableHashTable",
    "MutableDenseHashTable",
    "Iterator",
    "MakeIterator",
    "OneShotIterator",
    "QueueEnqueue",
    "QueueDequeue",
    "FIFOQueue",
    "Barrier",
    "StackPush",
    "StackPop",
)
"""How the ops begin that work on a resource other than a variable."""

_VARIABLE_BUILTINS = frozenset({"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"})
_NAMED = 4  # variables that a sentence names before it begins to count


@dataclass(frozen=True)
class Finding:
    """One thing that was seen in a model.

    Attributes:
        id: Id of its family (see ``catalog.FAMILIES``).
        severity: ``"error"`` (it does not convert, or answers wrongly), ``"warning"`` (it may, on
            some road or some release), or ``"info"`` (worth knowing; no fault).
        variables: Names of the variables concerned, sorted.
        message: The cause, in one sentence, in terms of this model.
        fix: What to do: code made for this model, or a sentence where no code helps.
    """

    id: str
    severity: Severity
    variables: tuple[str, ...]
    message: str
    fix: str

    def __repr__(self) -> str:
        return f"Finding({self.severity}: {self.id}: {_listed(self.variables)})"


def inference_signature(graph: Graph, wanted: str | None = None) -> str | None:
    """Choose the signature that a diagnosis is about.

    Args:
        graph: The model.
        wanted: The caller's choice.

    Returns:
        ``wanted``; else ``serving_default``; else the only one; else the one from which the
        fewest variables are assigned, the first by name among equals. ``None`` where the model
        has no signatures.

    Raises:
        KeyError: There is no signature ``wanted``.
    """
    names = [signature.name for signature in graph.signatures]
    if wanted is not None:
        if wanted not in names:
            raise KeyError(f"no signature {wanted!r}; there are: {', '.join(names) or 'none'}")
        return wanted
    if "serving_default" in names or not names:
        return "serving_default" if names else None
    assigned = {
        name: sum(any(name in a.signatures for a in v.assigns) for v in graph.variables)
        for name in names
    }
    return min(names, key=lambda name: (assigned[name], name))


@dataclass(frozen=True)
class Reading:
    """A graph, and the signature in question.

    Attributes:
        graph: The model.
        signature: Name of the signature; ``None`` where the model has none.
        content: The bytes of a .tflite file that is in memory only.
    """

    graph: Graph
    signature: str | None
    content: bytes | None = None

    def here(self, accesses: Iterable[Access]) -> tuple[Access, ...]:
        """Return the accesses that the signature in question can reach."""
        return tuple(
            access
            for access in accesses
            if self.signature is None
            or not access.signatures
            or self.signature in access.signatures
        )

    def others(self, accesses: Iterable[Access]) -> tuple[str, ...]:
        """Return the other signatures that reach these accesses, sorted."""
        found = {name for access in accesses for name in access.signatures}
        return tuple(sorted(found - {self.signature}))

    @cached_property
    def state(self) -> tuple[Variable, ...]:
        """The variables that the signature in question assigns."""
        return tuple(v for v in self.graph.variables if self.here(v.assigns))

    @cached_property
    def reached(self) -> tuple[Function, ...]:
        """The functions that the signature in question can reach."""
        if self.signature is None:
            return self.graph.functions
        return self.graph.reachable(self.graph.signature(self.signature).function)

    @cached_property
    def nodes(self) -> dict[tuple[str, str], tuple[int, Function, Node]]:
        """Every node by function and name, with its position and its function."""
        return {
            (function.name, node.name): (position, function, node)
            for function in self.graph.functions
            for position, node in enumerate(function.nodes)
        }

    @property
    def spoken(self) -> str:
        """How to speak of the signature in a sentence."""
        return f"signature {printable(self.signature)}" if self.signature else "the model"


def find(
    graph: Graph, signature: str | None = None, content: bytes | None = None
) -> tuple[Finding, ...]:
    """Look for every family that a graph can show.

    Args:
        graph: The model, as ``read_graph`` gives it.
        signature: The signature in question; chosen by :func:`inference_signature` if ``None``.
        content: The bytes of a .tflite file that is in memory only.

    Returns:
        What was seen, the worst first, then by id; nothing for a model that is only read.

    Raises:
        KeyError: There is no such signature.
    """
    reading = Reading(graph, inference_signature(graph, signature), content)
    found = [finding for rule in _RULES.get(graph.format, ()) for finding in rule(reading)]
    return in_order(found)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings: the worst first, then by id; equal ones once.

    What is worth knowing of a variable once it is converted is left out where it is not.
    """
    once = list(dict.fromkeys(findings))
    faulty = {name for f in once if f.severity == "error" for name in f.variables}
    kept = [f for f in once if f.severity != "info" or not f.variables or set(f.variables) - faulty]
    return tuple(sorted(kept, key=lambda f: (SEVERITIES.index(f.severity), f.id, f.variables)))


def _names(variables: Iterable[Variable]) -> tuple[str, ...]:
    return tuple(sorted({variable.name for variable in variables}))


def _listed(names: Sequence[str]) -> str:
    """Write names for a sentence: the first few, and how many more."""
    shown = [printable(name) for name in names[:_NAMED]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _is_are(names: Sequence[object]) -> str:
    return "is" if len(names) == 1 else "are"


def _scoped(
    reading: Reading,
    family: str,
    hits: Sequence[tuple[Variable, Sequence[Access]]],
    message: Callable[[Sequence[Variable]], str],
    fix: Callable[[Sequence[Variable]], str],
) -> Iterator[Finding]:
    """Yield an error for what the signature reaches, and a warning for what only others reach.

    Args:
        reading: The model and its signature.
        family: Id of the family.
        hits: The variables concerned, each with the accesses that make the trouble.
        message: Writes the cause for some of the variables.
        fix: Writes the fix for some of the variables.
    """
    mine = [variable for variable, accesses in hits if reading.here(accesses)]
    if mine:
        yield Finding(family, "error", _names(mine), message(mine), fix(mine))
    theirs = [(v, a) for v, a in hits if not reading.here(a)]
    if theirs and reading.signature is not None:
        others = sorted({name for _, a in theirs for name in reading.others(a)})
        variables = [variable for variable, _ in theirs]
        text = (
            f"{message(variables)} Only signature {_listed(others)} does that: "
            f"{reading.spoken} converts by itself."
        )
        alone = fixes.one_signature(reading.graph.source, reading.signature)
        yield Finding(family, "warning", _names(variables), text, alone)


# SavedModel.


def _unsupported_dtype(reading: Reading) -> Iterator[Finding]:
    hits = [
        (v, v.assigns)
        for v in reading.graph.variables
        if v.assigns and not dtype_of(v.dtype).carried
    ]

    def message(variables: Sequence[Variable]) -> str:
        named = [f"{printable(v.name)} ({printable(v.dtype)})" for v in variables]
        return (
            f"{_listed(named)} {_is_are(named)} assigned, and the builtin VAR_HANDLE does not "
            f"carry {' or '.join(sorted({printable(v.dtype) for v in variables}))}."
        )

    def fix(variables: Sequence[Variable]) -> str:
        recast = fixes.supported_dtype(variables)
        return recast + _cure_of(reading, variables)

    yield from _scoped(reading, "unsupported-variable-dtype", hits, message, fix)


def _unsupported_update(reading: Reading) -> Iterator[Finding]:
    hits = []
    for variable in reading.graph.variables:
        dtype = dtype_of(variable.dtype)
        bad = [a for a in variable.assigns if not is_converted(a.op, dtype)]
        if bad and dtype.carried:
            hits.append((variable, bad))
    ops = {v.name: sorted({printable(a.op) for a in bad}) for v, bad in hits}

    def message(variables: Sequence[Variable]) -> str:
        named = [
            f"{printable(v.name)} by {', '.join(ops[v.name])}"
            + ("" if dtype_of(v.dtype).calculated else f" in {printable(v.dtype)}")
            for v in variables
        ]
        return f"The model updates {_listed(named)}, which no builtin op does."

    def fix(variables: Sequence[Variable]) -> str:
        narrow = [v for v in variables if not dtype_of(v.dtype).calculated]
        parts = [v for v in variables if set(ops[v.name]) - CONVERTED_UPDATES]
        blocks = [fixes.supported_dtype(narrow)] if narrow else []
        blocks += [fixes.whole_update(parts, ops)] if parts else []
        return "\n\n".join(blocks) + _cure_of(reading, variables)

    yield from _scoped(reading, "unsupported-variable-update", hits, message, fix)


def _cure_of(reading: Reading, variables: Sequence[Variable]) -> str:
    """Advise the tool, where it can carry the variables and write every update anew."""
    dtypes = [dtype_of(variable.dtype) for variable in variables]
    ops = {access.op for v in reading.graph.variables for access in reading.here(v.assigns)}
    if all(one.calculated or one.widened for one in dtypes) and ops <= REWRITTEN_UPDATES:
        return f"\n{fixes.cured(reading.graph.source, reading.signature)}"
    return ""


def _gather(reading: Reading) -> Iterator[Finding]:
    """``ResourceGatherNd`` on a variable that is assigned; the converter knows the plain gather."""
    hits = []
    for variable in reading.graph.variables:
        gathers = [a for a in variable.reads if a.op == "ResourceGatherNd"]
        if gathers and variable.assigns:
            hits.append((variable, gathers))

    def message(variables: Sequence[Variable]) -> str:
        return (
            f"{_listed(_names(variables))} {_is_are(variables)} assigned, and looked up by "
            "ResourceGatherNd straight from the handle, which no builtin op does."
        )

    def fix(variables: Sequence[Variable]) -> str:
        return fixes.read_then_gather(variables) + _cure_of(reading, variables)

    yield from _scoped(reading, "gather-from-frozen-table", hits, message, fix)


def _dynamic_shape(reading: Reading) -> Iterator[Finding]:
    hits = [
        (v, v.assigns)
        for v in reading.graph.variables
        if v.assigns and (v.shape is None or None in v.shape)
    ]

    def message(variables: Sequence[Variable]) -> str:
        named = [f"{printable(v.name)} {_shape(v)}" for v in variables]
        return (
            f"{_listed(named)} {_is_are(named)} assigned with a dimension that is not known: the "
            "file converts, and its interpreter keeps the first shape or crashes."
        )

    yield from _scoped(reading, "shared-or-dynamic-state", hits, message, fixes.fixed_shape)


def _shape(variable: Variable) -> str:
    if variable.shape is None:
        return "[?...]"
    return f"[{', '.join('?' if size is None else str(size) for size in variable.shape)}]"


def _no_value(reading: Reading) -> Iterator[Finding]:
    """A variable that is read, and that the checkpoint does not restore."""
    lost = [v for v in reading.graph.variables if v.reads and v.initialized is False]
    twins = _twins(reading.graph, lost)
    keras = [(v, v.reads) for v in lost if twins and _key(v) in twins]
    bare = [(v, v.reads) for v in lost if not twins or _key(v) not in twins]

    def keras_message(variables: Sequence[Variable]) -> str:
        return (
            f"{_listed(_names(variables))} {_is_are(variables)} read, but the file restores "
            f"another copy ({_listed(sorted({twins[_key(v)] for v in variables}))}): "
            "tf.saved_model.save wrote each Keras 3 variable twice, and gave the value to the "
            "copy that nobody reads."
        )

    def bare_message(variables: Sequence[Variable]) -> str:
        return (
            f"{_listed(_names(variables))} {_is_are(variables)} read, and nothing in the file "
            "gives a value: no checkpoint entry, no initializer, no object that owns the variable."
        )

    yield from _scoped(
        reading,
        "keras3-export",
        keras,
        keras_message,
        lambda variables: fixes.keras_export(reading.graph.source, reading.signature, variables),
    )
    yield from _scoped(reading, "uninitialised-variable", bare, bare_message, fixes.tracked)


def _key(variable: Variable) -> tuple[object, ...]:
    return variable.dtype, variable.shape


def _twins(graph: Graph, lost: Sequence[Variable]) -> dict[tuple[object, ...], str]:
    """Return, by dtype and shape, a variable that has a value and that nobody reads.

    That is what Keras 3 leaves: the copy that the object graph holds, restored and not read. Every
    lost variable needs a copy of its own.
    """
    spare: dict[tuple[object, ...], list[str]] = {}
    for variable in graph.variables:
        if variable.initialized and variable.owner and not variable.reads and not variable.assigns:
            spare.setdefault(_key(variable), []).append(variable.owner)
    return {_key(v): sorted(spare[_key(v)])[0] for v in lost if _key(v) in spare}


def _other_resource(reading: Reading) -> Iterator[Finding]:
    nodes = [
        (function.name, node)
        for function in reading.reached
        for node in function.nodes
        if node.op.startswith(_RESOURCES)
    ]
    if not nodes:
        return
    ops = sorted({printable(node.op) for _, node in nodes})
    finds = [node for _, node in nodes if node.op.startswith("LookupTable")]
    kinds = {(n.attributes.get("Tin"), n.attributes.get("Tout")) for n in finds}
    plain = all(op in {"LookupTableFindV2", "LookupTableSizeV2"} for op in ops)
    if plain and kinds <= _TABLES:
        message = (
            f"{reading.spoken[:1].upper()}{reading.spoken[1:]} looks words up in a table "
            f"({', '.join(ops)}): it becomes HASHTABLE ops, which a compiler of plain tensors and "
            "TensorFlow Lite Micro do not have."
        )
        yield Finding("other-resource", "info", (), message, fixes.table_outside(reading.signature))
        return
    tables = ", ".join(
        sorted(printable(f"{key} to {value}") for key, value in kinds if key and value)
    )
    what = f" (a table from {tables})" if tables else ""
    message = (
        f"The resource behind {', '.join(ops)}{what} is no variable, and has no builtin op: the "
        "builtin tables are fixed ones from string to int64 and from int64 to string."
    )
    yield Finding("other-resource", "error", (), message, fixes.table_as_tensors())


_ON_OLDER_RELEASES = {
    "frozen-but-assigned": "incompatible with expected resource",
    "not-immutable": "is not immutable",
    "constant-folding-failed": "Variable constant folding is failed",
}
"""What the releases before today's answer to a model that assigns a variable, by family."""

_STATE_CASE, _BRANCH_CASE, _LSTM_CASE = "float32-state", "cond-read", "lstm"
"""The programs of the catalog that were measured on the releases."""


def _state_infos(reading: Reading) -> Iterator[Finding]:
    """What to know of a model whose state converts on 2.21."""
    state = tuple(v for v in reading.state if dtype_of(v.dtype).carried)
    if not state:
        return
    names = _names(state)
    path, signature = reading.graph.source, reading.signature
    since = compatibility.works_from(_STATE_CASE)
    for family, answer in _ON_OLDER_RELEASES.items():
        frozen = ", and every release if you freeze it," if family == "frozen-but-assigned" else ""
        releases = f"TensorFlow {compatibility.failing(_STATE_CASE, answer)}{frozen}"
        message = f'{releases} answer "{answer}": {reading.spoken} assigns {_listed(names)}.'
        fix = fixes.convert_here(path, signature, since)
        yield Finding(family, "info", names, message, fix)
    what = f"{_listed(names)} {'stays a variable' if len(names) == 1 else 'stay variables'}"
    yield Finding(
        "runtime-too-old",
        "info",
        names,
        f"{what} of the file: {compatibility.without_variables()}, have no ops on variables and "
        "refuse it.",
        fixes.lift(path, signature),
    )
    yield _micro_info(names, ())


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _micro_info(names: tuple[str, ...], refusals: Sequence[str]) -> Finding:
    fate = f"TensorFlow Lite Micro needs a variable store for {len(names)}, and its reset() sets "
    if refusals:
        fate = f"TensorFlow Lite Micro does not take the file ({'; '.join(refusals)}); it would "
        fate += f"also need a variable store for {len(names)}, and its reset() sets "
    message = f"{_listed(names)}: {fate}{'it' if len(names) == 1 else 'them'} to zero, not to "
    message += f"{'its first value' if len(names) == 1 else 'their first values'}."
    return Finding("micro-needs-store", "info", names, message, fixes.micro_store(len(names)))


_OF_TRAINING = ("moving_mean", "moving_variance", "seed_generator_state")
"""What Keras calls the variables that only a layer in training assigns: of BatchNormalization, and
of the layers that draw random numbers, such as Dropout."""


def _training_mode(reading: Reading) -> Iterator[Finding]:
    """A Keras model that was traced with ``training=True``: state that inference does not have."""
    names = _names(v for v in reading.state if v.name.endswith(_OF_TRAINING))
    if not names:
        return
    effects = [
        effect
        for endings, effect in (
            (_OF_TRAINING[:2], "BatchNormalization answers by the batch that it is given"),
            (_OF_TRAINING[2:], "Dropout and its like draw random numbers"),
        )
        if any(name.endswith(endings) for name in names)
    ]
    message = (
        f"{_capital(reading.spoken)} assigns {_listed(names)}, which Keras does with training=True "
        f"only: {', and '.join(effects)}. Inference wants training=False."
    )
    fix = fixes.not_in_training(reading.signature)
    yield Finding("frozen-but-assigned", "warning", names, message, fix)


_CONDITIONS = frozenset({"If", "StatelessIf"})


def _read_in_a_branch(reading: Reading) -> Iterator[Finding]:
    """A variable that a branch of ``tf.cond`` reads: older releases do not follow the handle."""
    branches = _reached_from(reading.graph, reading.reached)
    names = _names(
        variable
        for variable in reading.graph.variables
        if any(a.function in branches for a in reading.here(variable.reads))
        and not reading.here(variable.assigns)
    )
    if names:
        message = (
            f"{_listed(names)} {_is_are(names)} read in a branch of tf.cond: TensorFlow "
            f"{compatibility.failing(_BRANCH_CASE)} do not convert that from a SavedModel."
        )
        since = compatibility.works_from(_BRANCH_CASE)
        fix = fixes.convert_here(reading.graph.source, reading.signature, since)
        yield Finding("freezer-lost-variable", "info", names, message, fix)


def _reached_from(graph: Graph, functions: Iterable[Function]) -> set[str]:
    """Return the names of the functions that a condition in one of these can reach."""
    conditions = (n for f in functions for n in f.nodes if n.op in _CONDITIONS)
    waiting = [name for node in conditions for name in node.calls]
    known = {function.name: function for function in graph.functions}
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in known and name not in reached:
            reached.add(name)
            waiting.extend(call for node in known[name].nodes for call in node.calls)
    return reached


def _shared(reading: Reading) -> Iterator[Finding]:
    """State that several signatures touch: no fault, if they stay together."""
    for variable in reading.graph.variables:
        signatures = sorted({s for a in (*variable.reads, *variable.assigns) for s in a.signatures})
        writers = sorted({s for a in variable.assigns for s in a.signatures})
        if len(signatures) < 2 or not writers or set(signatures) == {"serve", "serving_default"}:
            continue
        if reading.signature not in signatures:
            continue
        message = (
            f"{printable(variable.name)} is shared by the signatures {_listed(signatures)}, and "
            f"assigned by {_listed(writers)}: they share it in one file and one interpreter only."
        )
        fix = fixes.several_signatures(reading.graph.source, signatures)
        yield Finding("shared-or-dynamic-state", "info", (variable.name,), message, fix)


# GraphDef.


def _unfrozen(reading: Reading) -> Iterator[Finding]:
    variables = reading.graph.variables
    if not variables:
        return
    names, state = _names(variables), _names(reading.state)
    assigned = f" It is a training graph: it assigns {_listed(state)}." if state else ""
    message = (
        f"A GraphDef holds no values, and this one has the variable"
        f"{'' if len(names) == 1 else 's'} {_listed(names)}: the weights are in a checkpoint or a "
        f"session, not in the file.{assigned}"
    )
    yield Finding("unfrozen-graph", "error", names, message, fixes.freeze(reading.graph))


def _lost_by_freezer(reading: Reading) -> Iterator[Finding]:
    """Reads that ``convert_variables_to_constants`` cannot follow back to their variable."""
    main = reading.graph.functions[0].name
    hidden = {
        v.name: sorted({a.function for a in v.reads if a.function != main})
        for v in reading.graph.variables
    }
    lost = tuple(name for name, functions in hidden.items() if functions)
    if not lost:
        return
    functions = sorted({function for name in lost for function in hidden[name]})
    message = (
        f"{_listed(sorted(lost))} {_is_are(lost)} read inside {_listed(functions)}, through an "
        'argument: the TF1 freezer answers "Cannot find the Placeholder op that is an input to '
        'the ReadVariableOp".'
    )
    yield Finding(
        "freezer-lost-variable",
        "warning",
        tuple(sorted(lost)),
        message,
        fixes.freeze_with_functions(reading.graph),
    )


def _constant_handles(reading: Reading) -> Iterator[Finding]:
    """Ops on a handle that a freezer replaced by a constant."""
    main = reading.graph.functions[0]
    nodes = {node.name: node for node in main.nodes}
    families: dict[str, list[tuple[Node, str]]] = {}
    for node in main.nodes:
        family = _family_of_user(node.op)
        constant = _constant_behind(nodes, node) if family else None
        if family and constant:
            families.setdefault(family, []).append((node, constant))
    for family, hits in families.items():
        tables = tuple(sorted({constant for _, constant in hits}))
        users = [f"{node.op} {printable(node.name)}" for node, _ in hits]
        message = (
            f"{_listed(users)} takes a variable's handle, and finds the constant "
            f'{_listed(tables)}: a freezer left it behind, and the importer answers "incompatible '
            'with expected resource".'
        )
        fix = fixes.mend_frozen(reading.graph.source, family, [node.name for node, _ in hits])
        yield Finding(family, "error", tables, message, fix)


def _family_of_user(op: str) -> str | None:
    if op in {"ResourceGather", "ResourceGatherNd"}:
        return "gather-from-frozen-table"
    if op == "ReadVariableOp":
        return "freezer-lost-variable"
    if op in _PLAIN_ASSIGNS or (op.startswith("Resource") and variable_role(op) == "assign"):
        return "frozen-but-assigned"
    return None


def _constant_behind(nodes: dict[str, Node], user: Node) -> str | None:
    """Return the name of the constant where a handle should be, looking through identities."""
    seen: set[str] = set()
    source = nodes.get(user.sources[0]) if user.sources else None
    while source is not None and source.name not in seen:
        if source.op == "Const":
            return source.name if source.attributes.get("dtype") != "resource" else None
        seen.add(source.name)
        through = source.op in {"Identity", "Enter"} and source.sources
        source = nodes.get(source.sources[0]) if through else None
    return None


# .tflite.


def _uninitialized_file(reading: Reading) -> Iterator[Finding]:
    hits = []
    for variable in reading.graph.variables:
        if variable.reads and not variable.initialized:
            unset = [a for a in variable.reads if not _set_before(reading, variable, a)]
            if unset:
                hits.append((variable, unset))

    def message(variables: Sequence[Variable]) -> str:
        text = (
            f"{_listed(_names(variables))} {_is_are(variables)} read, and no CALL_ONCE gives a "
            "value: the default delegates answer whatever lies in memory, the plain kernels refuse."
        )
        setters = sorted({s for v in variables for a in v.assigns for s in a.signatures})
        return (
            f"{text} Signature {_listed(setters)} sets it, and must run first." if setters else text
        )

    yield from _scoped(
        reading, "uninitialised-variable", hits, message, lambda _: fixes.convert_again()
    )


def _set_before(reading: Reading, variable: Variable, read: Access) -> bool:
    """Tell whether the same run assigns a variable before this read of it."""
    assigned = [
        reading.nodes[a.function, a.node][0]
        for a in variable.assigns
        if a.function == read.function
    ]
    return bool(assigned) and min(assigned) < reading.nodes[read.function, read.node][0]


def _flex(reading: Reading) -> Iterator[Finding]:
    hits = []
    for variable in reading.graph.variables:
        accesses = [a for a in (*variable.reads, *variable.assigns) if a.op.startswith("Flex")]
        if accesses:
            hits.append((variable, accesses))

    def message(variables: Sequence[Variable]) -> str:
        named = [f"{printable(v.name)} ({printable(v.dtype)})" for v in variables]
        return (
            f"{_listed(named)} became Flex ops: the interpreter needs the Flex delegate, which "
            "the Python packages no longer have."
        )

    yield from _scoped(reading, "flex-variable", hits, message, fixes.without_flex)


def _custom_handles(reading: Reading) -> Iterator[Finding]:
    """``allow_custom_ops`` hides an unsupported variable behind a custom op that nobody has."""
    ops = {
        node.op
        for function in reading.reached
        for node in function.nodes
        if node.attributes.get("custom") and node.op in {"VarHandleOp", "ReadVariableOp"}
    }
    if ops:
        message = (
            "allow_custom_ops turned a variable into the custom op VarHandleOp: the converter had "
            'no builtin for it, and the interpreter answers "unresolved custom op: VarHandleOp".'
        )
        yield Finding("unsupported-variable-dtype", "error", (), message, fixes.without_custom())


def _quantized_state(reading: Reading) -> Iterator[Finding]:
    for variable in reading.state:
        moved = _moved(reading, variable)
        dtypes = sorted({spec.dtype for _, _, spec in moved})
        fix = fixes.state_outside(reading.graph.source, reading.signature)
        if len(dtypes) > 1:
            message = (
                f"{printable(variable.name)} is {' in one place and '.join(dtypes)} in another: "
                "the interpreter refuses to read it."
            )
            yield Finding("quantised-state", "error", (variable.name,), message, fix)
        elif any(_adds_to_itself(reading, function, node) for function, node, _ in moved):
            message = (
                f"{printable(variable.name)} is added to in 8 bits: a sum that grows stops at the "
                "largest value that calibration saw, and stays there."
            )
            yield Finding("quantised-state", "warning", (variable.name,), message, fix)


def _moved(reading: Reading, variable: Variable) -> list[tuple[Function, Node, TensorSpec]]:
    """Return the nodes that read or assign a variable, each with the value that it moves."""
    found = []
    for access in (*variable.reads, *variable.assigns):
        _, function, node = reading.nodes[access.function, access.node]
        value = node.attributes.get("value")
        if isinstance(value, TensorSpec):
            found.append((function, node, value))
    return found


_QUANTIZED_ADDS = frozenset({"ADD", "SUB", "ADD_N"})
_CONVERSIONS = frozenset({"QUANTIZE", "DEQUANTIZE", "RESHAPE", "CAST"})


def _adds_to_itself(reading: Reading, function: Function, assign: Node) -> bool:
    """Tell whether an assign stores what it read plus something, worked out in integers."""
    if assign.op != "ASSIGN_VARIABLE" or len(assign.sources) < 2:
        return False
    total, quantized = _through_conversions(reading, function, assign.sources[1])
    if total is None or total.op not in _QUANTIZED_ADDS:
        return False
    for source in total.sources:
        read, again = _through_conversions(reading, function, source)
        if read is not None and read.op == "READ_VARIABLE" and read.sources == assign.sources[:1]:
            value = read.attributes.get("value")
            narrow = isinstance(value, TensorSpec) and value.dtype in {"int8", "int16"}
            return quantized or again or narrow
    return False


def _through_conversions(
    reading: Reading, function: Function, name: str
) -> tuple[Node | None, bool]:
    """Return the node behind conversions, and whether one of them quantizes."""
    quantized = False
    for _ in range(4):
        _, _, node = reading.nodes.get((function.name, name), (0, function, None))
        if node is None or node.op not in _CONVERSIONS or not node.sources:
            return node, quantized
        quantized |= node.op in {"QUANTIZE", "DEQUANTIZE"}
        name = node.sources[0]
    return None, quantized


def _file_infos(reading: Reading) -> Iterator[Finding]:
    users = [v for v in reading.graph.variables if reading.here((*v.reads, *v.assigns))]
    builtin = [
        v
        for v in users
        if any(a.op in _VARIABLE_BUILTINS for a in (*v.reads, *v.assigns)) and v.initialized
    ]
    if builtin:
        graph, names = reading.graph, _names(builtin)
        message = f"{_listed(names)} {_is_are(names)} kept by the file: "
        message += f"{compatibility.takers(graph, reading.content)}."
        fix = fixes.lift(graph.source, reading.signature)
        yield Finding("runtime-too-old", "info", names, message, fix)
        yield _micro_info(names, compatibility.micro_refusals(graph, reading.content))
    tables = sorted(
        {n.op for f in reading.reached for n in f.nodes if n.op.startswith("HASHTABLE")}
    )
    if tables:
        message = (
            f"It looks words up in a table ({', '.join(tables)}), which a compiler of plain "
            "tensors and TensorFlow Lite Micro do not have."
        )
        yield Finding("other-resource", "info", (), message, fixes.table_outside(reading.signature))


_KEEP_STATE = frozenset(
    {
        *("BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "LSTM", "RNN", "SVDF"),
        *("UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN"),
    }
)
"""Ops whose kernels keep a state in tensors that the file marks as variable."""

_BASIC_LSTM = 1  # LSTMKernelType.BASIC: its state comes in and goes out, and nothing is kept


def _older_state(reading: Reading) -> Iterator[Finding]:
    """State of the older kind, which no VAR_HANDLE shows."""
    nodes = [
        node
        for function in reading.reached
        for node in function.nodes
        if node.op in _KEEP_STATE
        and not (node.op == "LSTM" and node.attributes.get("kernel_type") == _BASIC_LSTM)
    ]
    if not nodes:
        return
    message = (
        f"{_listed([printable(node.name) for node in nodes])} "
        f"{'keeps' if len(nodes) == 1 else 'keep'} a state between calls without any variable: a "
        "new interpreter starts it at zero, and so does reset_all_variables()."
    )
    if any("SEQUENCE" in node.op for node in nodes):
        message += (
            f" TensorFlow {compatibility.failing(_LSTM_CASE, 'wrong')} also converted a layer that "
            "is not stateful to such an op: its file has to be reset before each sequence."
        )
    yield Finding("shared-or-dynamic-state", "info", (), message, fixes.reset_older_state())


Rule = Callable[[Reading], Iterator[Finding]]

_RULES: dict[str, tuple[Rule, ...]] = {
    "saved_model": (
        _unsupported_dtype,
        _unsupported_update,
        _gather,
        _dynamic_shape,
        _no_value,
        _other_resource,
        _training_mode,
        _state_infos,
        _read_in_a_branch,
        _shared,
    ),
    "graph_def": (_unfrozen, _lost_by_freezer, _constant_handles, _other_resource),
    "tflite": (
        _uninitialized_file,
        _flex,
        _custom_handles,
        _quantized_state,
        _dynamic_shape,
        _file_infos,
        _older_state,
        _shared,
    ),
    "keras": (),
}
"""The rules for each format. A Keras file shows no reads and no assigns: only the proof can."""


def with_severity(finding: Finding, severity: Severity, added: str = "") -> Finding:
    """Return a finding with another severity, and a sentence more in its message.

    Args:
        finding: The finding.
        severity: What it is to be.
        added: The sentence that says why.

    Returns:
        A new finding.
    """
    return replace(finding, severity=severity, message=f"{finding.message} {added}".strip())
