"""The matches of a log together, and the patterns of ops that somebody refused.

A phrase is not yet a cause: VarHandleOp is named for a dtype, for an update, for a graph that
nobody froze. So each family looks at all matches (``MatchIndex``), and says what it sees in them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from varhandle.display import join_names
from varhandle.facts.dtypes import dtype_of
from varhandle.facts.random_ops import is_draw, is_generator
from varhandle.families import log_release
from varhandle.families.log_patterns import OPS, WORD, Match, Pattern, quoted

LAST_RESORT = 1000  #: rank of a line that counts only where nothing else was found

_REFUSED_LISTS = (
    "Ops that need custom implementation (enabled via setting the -emit-custom-ops flag):",
    "Ops that can be supported by the flex runtime"
    " (enabled via setting the -emit-select-tf-ops flag):",
    "TF Select ops:",
)
_IMPORTERS_LISTS = (
    "Converting unsupported operation:",  # toco
    "you will need custom implementations:",
    "Unsupported Ops of type:",  # tf-coreml
    "Conversion for TF op",  # coremltools
    "operators are not implemented:",  # TVM
    "ops are not implemented:",
    "Unsupported ops:",  # tf2onnx
    "Unsupported operations:",
    "Unsupported Ops in the model before optimization",  # tfjs
    "Unsupported Ops in the model after optimization",
    "no translator found for operation(s):",  # OpenVINO
    "cannot be converted to Inference Engine IR:",
)
LOCATION = r"(?:loc\((?:fused\['\w{1,40}:',)?'(?P<variable>[^']{1,200})'\]?\)+:(?:error:)?)?"
_REFUSED_OP = rf"{LOCATION}'(?:tfl?\.)?(?P<op>\w{{1,80}})'$"

PATTERNS: tuple[Pattern, ...] = (
    *log_release.PATTERNS,
    Pattern("refused", "op is neither a custom op nor a flex op", _REFUSED_OP),
    Pattern("refused", "op is illegal in a TFLite pipeline", _REFUSED_OP),
    Pattern("legalize", "failed to legalize operation", after=r"'(?:tfl?\.)?(?P<op>\w{1,80})'"),
    *(Pattern("refused", phrase, items=True) for phrase in _REFUSED_LISTS),
    *(Pattern("importer", phrase, items=True) for phrase in _IMPORTERS_LISTS),
    Pattern("refused", "Custom ops:", company=("ops_custom", "convertererror"), items=True),
    Pattern(
        "importer",
        "] is not supported",
        rf"tensorflowop\[(?P<node>{WORD}{{1,250}}):(?P<op>\w{{1,60}})$",
    ),
    Pattern(
        "importer",
        "No corresponding ONNX op matches the tf.op node",
        after=rf"(?P<node>{WORD}{{1,250}}?)oftype(?P<op>{OPS})",
    ),
    Pattern(  # the GPU delegate
        "importer",
        "Operation is not supported",
        r"(?P<op>var_handle|read_variable|assign_variable|call_once):$",
    ),
    Pattern(
        "handle-type", "resource<tensor<", after=r"(?:[\d?*]{1,12}x){0,12}(?P<dtype>!?[\w.]+)>"
    ),
    Pattern(
        "resource-list",
        "Resource ops:",
        company=("natively supported", "resource type"),
        items=True,
    ),
    Pattern("custom", "Encountered unresolved custom op:", after=rf"(?P<op>(?:flex)?(?:{OPS}))"),
)
"""Ops that a converter, another importer or a runtime cannot place, as lists or one by one."""

_ROLES = {
    "handle": r"varhandleop",
    "read": r"readvariableop",
    "assign": r"assign(?:add|sub)?variableop",
    "update": r"resource(?:strided|scatter|apply|sparse).*",
    "gather": r"resourcegather.*",
    "reference": r"(?:temporary)?variable|variablev2|assign(?:add|sub)?|isvariableinitialized"
    r"|restore(?:v2|slice)",
    "builtin": r"var_handle|read_variable|assign_variable|call_once",
    "table": r".*hashtable.*|(?:lookuptable|initializetable|iterator).*|(?:make|oneshot)iterator",
}
"""What an op does with a variable: names in small letters."""


def role(op: str) -> str:
    """Return what an op does with a variable; nothing if it has none to do with one.

    A log may be in any letters, and a converter tells more roles apart than ``graph.variable_role``
    has to: it refuses an update and a lookup for other reasons than an assignment and a read.
    """
    name = op.lower().removeprefix("flex").removeprefix("tfl_")
    return next((one for one, names in _ROLES.items() if re.fullmatch(names, name)), "")


def is_random(op: str) -> bool:
    """Tell whether an op of TensorFlow draws random numbers, or makes a seed for one that does."""
    name = op[4:] if is_flex(op) else op
    return is_draw(name) or is_generator(name)


def is_flex(op: str) -> bool:
    """Tell whether an op of a file is TensorFlow's own."""
    return op.lower().startswith("flex")


def custom_op(op: str) -> str:
    """Say what became of an op that no converter knew."""
    return f"allow_custom_ops wrote {op} into the file, and no runtime has such an op."


def dtype_in_log(written: str) -> str:
    """Return the name of a dtype as MLIR or a message writes it; nothing for nothing."""
    bare = written.lower().rpartition(".")[2].lstrip("!")
    return dtype_of(bare).name if bare else ""


class Ops:
    """Ops that somebody refused, by what they do, each with the line that names it."""

    def __init__(self, matches: Iterable[Match]) -> None:
        self.by_role: dict[str, dict[str, Match]] = {}
        for match in matches:
            for op in (match.get("op"), *match.ops):
                if role(op):
                    self.by_role.setdefault(role(op), {}).setdefault(op, match)

    def has(self, *roles: str) -> bool:
        """Tell whether an op of one of some roles is among them."""
        return not self.by_role.keys().isdisjoint(roles)

    def names(self, *roles: str) -> str:
        """Return the names of the ops of some roles, for a sentence."""
        return join_names(op for it in roles for op in self.by_role.get(it, ()))

    def first(self, *roles: str) -> Match:
        """Return the first line that names an op of one of some roles."""
        lines = (line for it in roles for line in self.by_role.get(it, {}).values())
        return min(lines, key=lambda line: line.line_number)


class MatchIndex:
    """The matches of a log, by kind."""

    def __init__(self, matches: Iterable[Match]) -> None:
        self._by_kind: dict[str, list[Match]] = {}
        for match in matches:
            self._by_kind.setdefault(match.kind, []).append(match)

    def of(self, *kinds: str) -> list[Match]:
        """Return the matches of some kinds, in the order of the log."""
        found = (match for kind in kinds for match in self._by_kind.get(kind, ()))
        return sorted(found, key=lambda match: match.line_number)

    @cached_property
    def release(self) -> log_release.LogRelease:
        """The release of TensorFlow that wrote the log."""
        signs = (kind for kind in self._by_kind if kind.startswith("written-by "))
        return log_release.LogRelease(self.of("release", "python", *signs))

    @cached_property
    def refusals(self) -> list[Match]:
        """The lines in which the converter names an op that it cannot place."""
        legalize = (line for line in self.of("legalize") if role(line.get("op")))
        return [*self.of("refused"), *legalize]

    @cached_property
    def refused(self) -> Ops:
        """The ops that the converter cannot place."""
        return Ops(self.refusals)

    @property
    def refused_variables(self) -> str:
        """The names of the variables whose handles were refused, for a sentence."""
        handles = (it for it in self.refusals if it.get("op").lower() == "varhandleop")
        return join_names(f"'{it.get('variable')}'" for it in handles if it.get("variable"))

    @property
    def only_reads_refused(self) -> bool:
        """Whether a variable was refused that is read, and never written or looked up."""
        return self.refused.has("read") and not self.refused.has("assign", "update", "gather")

    @cached_property
    def not_imported(self) -> Ops:
        """The ops that another importer does not know: toco, Core ML, TVM, ONNX, OpenVINO."""
        return Ops(self.of("importer"))

    @cached_property
    def draws_in_training(self) -> dict[str, Match]:
        """The refused ops that draw random numbers, where a layer of Keras's is seen to draw."""
        if not self.of("random-layer"):
            return {}
        lines = [(line.get("op"), line) for line in self.of("random-op", "refused")]
        return {op: line for op, line in lines if is_random(op)}

    @cached_property
    def listed(self) -> Ops:
        """The ops on resources that the converter wrote into the file as TensorFlow's own."""
        return Ops(self.of("resource-list"))

    def custom(self, *roles: str) -> list[Match]:
        """Return the lines in which a runtime refuses a custom op of one of some roles.

        Where the converter listed an update, that is what each of them is about.
        """
        update = "update" if self.listed.has("update") else ""
        plain = (line for line in self.of("custom") if not is_flex(line.get("op")))
        return [line for line in plain if (update or role(line.get("op"))) in roles]

    @cached_property
    def unsupported_dtypes(self) -> str:
        """The dtypes of handles in the log that VAR_HANDLE does not carry, for a sentence."""
        names = [dtype_in_log(line.get("dtype")) for line in self.of("handle-type")]
        return join_names(name for name in names if name and not dtype_of(name).carried)


@dataclass(frozen=True)
class LogDiagnosis:
    """A family of failure that a log shows."""

    id: str  # of the family
    line: str  # the line that gave it away, without colors and prefixes, shortened
    message: str  # what the line means here, with the names that it gives
    fix: str  # a sentence, and code where code helps
    line_number: int  # in the log, counted from 1
    rank: int  # how close the line is to the cause: the smaller, the closer
    with_older: bool = True  # whether the family's advice for older releases fits it
    of_variables: bool = True  # whether a variable is at fault, or what holds the model's values


LogRule = Callable[[MatchIndex], Iterator[LogDiagnosis]]


@dataclass(frozen=True)
class Meaning:
    """What every line of some kind means, whatever else the log has.

    ``{node:a variable}`` in a message is the name that the pattern caught as ``node``, quoted, or
    else the words after the colon; an op, a name of any kind and a number have no quotes.
    """

    rank: int
    message: str
    fix: str | None = None  # if not the family's own

    def message_of(self, match: Match) -> str:
        """Write the message for a line."""

        def written(place: re.Match[str]) -> str:
            name, otherwise = place.groups()
            caught = match.get(name)
            bare = name in {"op", "name"} or caught.isdigit()
            return (caught or otherwise) if bare else quoted(caught, otherwise)

        return re.sub(r"\{(\w+):([^}]*)\}", written, self.message)
