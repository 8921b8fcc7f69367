r"""What to look for in a log: phrases that only a failure of a variable has, and the names beside.

A sign is a phrase of a message. It is looked for in the log's squeezed form (``log_text``: no
blanks, small letters, one kind of quote) by a plain search, which no log can make slow. Only then,
in a short stretch before and after it, patterns look for names. So a pattern never meets more than
some hundred characters, and a phrase never depends on how the log was wrapped. Phrases stand here
as the log has them; patterns are for the squeezed form.

Where the words of a phrase might stand in any log, the sign also asks for company: another phrase
close by, or the form of a compiler's message.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from varhandle.display import printable
from varhandle.families.log_text import PAGE, Page, pages, squeezed

_TRIES = 200_000  # places that are looked at in a log, which may repeat a phrase for ever
_KEPT = 2000  # different sightings of one sign that are kept

_OPS = (
    # The longest first: a name may end where the next word of the log begins.
    "resourcestridedsliceassign|resourcescatternd(?:update|add|sub|max|min)"
    "|resourcescatter(?:update|add|sub|mul|div|max|min)"
    "|resource(?:sparse)?apply(?:keras|centered)?(?:adagrad|gradientdescent|adadelta|rmsprop"
    "|proximalgradientdescent|proximaladagrad|powersign|addsign|ftrl|adamax|adam|momentum)"
    "(?:withamsgrad|da|v2)?"
    "|resourcecountupto|resourcegathernd|resourcegather"
    "|assignaddvariableop|assignsubvariableop|assignvariableop|readvariableop|varhandleop"
    "|varisinitializedop|variableshape|variablev2|variable"
    "|assignadd|assignsub|assign|restorev2|restoreslice|temporaryvariable|isvariableinitialized"
    "|(?:mutable|anonymous|anonymousmutable)?(?:dense)?hashtable(?:oftensors)?(?:v2)?"
    "|lookuptable(?:find|size|insert|import|export|remove)(?:v2)?|initializetable\\w{0,20}?(?:v2)?"
    "|iteratorgetnext|iteratorv2|makeiterator|oneshotiterator"
    "|assign_variable|read_variable|var_handle|call_once"
)
# A list of names goes on as long as there are commas.
_LIST = re.compile(r"[^,\n]{0,120}(?:,[^,\n]{1,120}){0,40}")
_ITEM = re.compile(rf"(?:counter)?[(\[{{'\"]{{0,4}}(?:tf\.|tfl\.|tfl_)?(?P<op>(?:flex)?(?:{_OPS}))")
_WORD = r"[\w/.:\-]"


class Near(NamedTuple):
    """The surroundings of a phrase, squeezed, in small letters."""

    before: str
    after: str


@dataclass(frozen=True)
class Sign:
    """A phrase, and what must and may stand around it.

    Attributes:
        kind: What it is a sign of; several signs may be of one kind.
        phrase: The phrase, as a log has it.
        before: Pattern with named groups, which must match right before the phrase.
        after: The same, right after it.
        reach: Characters before and after it that patterns and company see.
        company: Phrases of which one must stand within reach.
        word: Whether the phrase starts a word: no letter may stand right before it.
        line: Pattern that the whole line must match, where the phrase has no company.
        items: Whether a list of ops follows, of which one at least must be known.
        test: A last condition.
    """

    kind: str
    phrase: str
    before: str = ""
    after: str = ""
    reach: int = 400
    company: tuple[str, ...] = ()
    word: bool = False
    line: str = ""
    items: bool = False
    test: Callable[[Near], bool] | None = None

    @cached_property
    def needle(self) -> str:
        """The phrase as the squeezed form has it."""
        return squeezed(self.phrase)

    @cached_property
    def companions(self) -> tuple[str, ...]:
        """The company, likewise."""
        return tuple(map(squeezed, self.company))


@dataclass(frozen=True)
class Sighting:
    """A place where a log shows a sign.

    Attributes:
        kind: The kind of the sign.
        line_number: Number of its line, counted from 1.
        line: The line, cleaned and shortened.
        names: What was caught beside it: ``op``, ``variable``, ``dtype``, ``node`` and the like,
            fit to be shown.
        ops: The known ops in the list that follows.
    """

    kind: str
    line_number: int
    line: str
    names: Mapping[str, str] = field(default_factory=dict)
    ops: tuple[str, ...] = ()

    def get(self, name: str) -> str:
        """Return a name that was caught, or nothing."""
        return self.names.get(name, "")


def _compilers_word(near: Near) -> bool:
    """Tell whether "is not immutable" is the MLIR importer's sentence, not somebody's prose."""
    return bool(
        near.after.startswith((",tryrunningtf-saved-model", ",tryremovingmutable"))
        or re.search(r"loc\(.{1,200}\):(?:error:)?$", near.before)
        or re.search(r"(?:>:\d+:|convert(?:er|ion)error:|^)error:$", near.before)
        or near.before.endswith("convertererror:")
    )


def _no_markup(near: Near) -> bool:
    """Tell that "error: missing attribute 'value'" is not about XML or HTML."""
    return not re.match(r"(?:in|on|for|of|at)(?:the)?(?:element|tag|node|<)", near.after)


def _of_a_variable(near: Near) -> bool:
    found = re.search(r"'(\w{1,60})'object$", near.before)
    return found is not None and ("variable" in found[1] or "tensor" in found[1])


def _is_the_whole_log(near: Near) -> bool:
    """Tell that nothing but the exception's name stands in the log."""
    return near.before in ("", "typeerror:") and not near.after.strip(".")


def _of_a_handle(near: Near) -> bool:
    return "dtype=resource" in near.after


def _stands_for_a_variable(near: Near) -> bool:
    return bool(re.search(r"placeholder[\w/]{0,120}[/_]resource(?:_\d+)?$", near.before))


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
_LOC = r"(?:loc\((?:fused\['\w{1,40}:',)?'(?P<variable>[^']{1,200})'\]?\)+:(?:error:)?)?"
_DTYPE = r"(?:float|double|half|bfloat16|string|bool|q?u?int\d{1,2}|complex\d{2,3})"
# The node is what stands last before "was passed": after "of node", or after what is in no name.
_PASSED = (
    rf"^(?:.*(?:ofnode|^|[^\w/.\-])(?P<node>[\w/.\-]{{1,250}}?)waspassed(?P<dtype>{_DTYPE})"
    rf"(?:from(?P<source>{_WORD}{{1,250}})$)?)?"
)

SIGNS: tuple[Sign, ...] = (
    # An op that a converter or an importer cannot place.
    Sign(
        "refused",
        "op is neither a custom op nor a flex op",
        rf"{_LOC}'(?:tfl?\.)?(?P<op>\w{{1,80}})'$",
    ),
    Sign(
        "refused", "op is illegal in a TFLite pipeline", rf"{_LOC}'(?:tfl?\.)?(?P<op>\w{{1,80}})'$"
    ),
    Sign("legalize", "failed to legalize operation", after=r"'(?:tfl?\.)?(?P<op>\w{1,80})'"),
    *(Sign("refused", phrase, items=True) for phrase in _REFUSED_LISTS),
    *(Sign("importer", phrase, items=True) for phrase in _IMPORTERS_LISTS),
    Sign("refused", "Custom ops:", company=("ops_custom", "convertererror"), items=True),
    Sign(
        "foreign",
        "] is not supported",
        rf"tensorflowop\[(?P<node>{_WORD}{{1,250}}):(?P<op>\w{{1,60}})$",
    ),
    Sign(
        "foreign",
        "No corresponding ONNX op matches the tf.op node",
        after=rf"(?P<node>{_WORD}{{1,250}}?)oftype(?P<op>{_OPS})",
    ),
    Sign(  # the GPU delegate
        "foreign",
        "Operation is not supported",
        r"(?P<op>var_handle|read_variable|assign_variable|call_once):$",
    ),
    Sign("handle-type", "resource<tensor<", after=r"(?:[\d?*]{1,12}x){0,12}(?P<dtype>!?[\w.]+)>"),
    # A value where a handle is wanted.
    Sign(
        "expects",
        "incompatible with expected resource",
        _PASSED,
        reach=600,
        company=("was passed",),
    ),
    Sign(  # as a title quotes it
        "expects",
        "incompatible with expected resource",
        reach=80,
        company=("tensorflow", "tflite", "converter", "variableop"),
    ),
    Sign(
        "expects",
        "incompatible with expected",
        _PASSED,
        reach=600,
        after=r"(?:float|double|half|bfloat16|u?int\d{1,2}|bool|string|complex\d{2,3})_ref",
    ),
    Sign(
        "expects",
        "expected type resource !=",
        after=r"(?P<dtype>\w{1,12}),thetypeof(?P<source>[\w/.:\-]{1,250})(?:\[\d+\])?"
        r"(?:in\{\{node(?P<node>[^}]{1,250})\}\})?",
    ),
    Sign(
        "placeholder",
        "should be specied by input_arrays",
        rf"placeholder(?P<node>{_WORD}{{1,250}})$",
        test=_stands_for_a_variable,
    ),
    Sign(
        "placeholder",
        "should be specified by input_arrays",
        rf"placeholder(?P<node>{_WORD}{{1,250}})$",
        test=_stands_for_a_variable,
    ),
    Sign(
        "ill-formed",
        "GraphDef is ill-formed",
        r"failedtofindfunction'(?P<function>[^']{1,200})'.{0,40}$",
    ),
    # The importer of TensorFlow 2.3 to 2.6, and its heirs.
    Sign("immutable", "is not immutable", rf"{_LOC}$", test=_compilers_word),
    # Alone on its line, or in a string that holds nothing else.
    Sign(
        "immutable",
        "is not immutable",
        line=r"(?:.*[\v\"']|\W*)(?:error:\W*)?is not immutable(?:\W*?[\v\"'].*|\W*)",
    ),
    Sign("immutable", "could not rewrite use of immutable bound input"),
    Sign("folding", "Variable constant folding is failed"),
    Sign("folding", "Variable constant folding failed"),
    Sign(
        "operand",
        "must be tensor of",
        reach=900,
        before=rf"{_LOC}'tfl\.(?P<op>assign_variable|read_variable)'op(?:operand|result)#\d{{1,2}}$",
        after=r"(?:.{0,700}?butgot'tensor<(?:[\d?*]{1,12}x){0,12}(?P<dtype>!?[\w.]+)>')?",
    ),
    # A freezer that loses a variable.
    Sign("freezer", "Cannot find the Placeholder op that is an input to"),
    Sign("freezer", "Cannot find the variable that is an input to"),
    Sign("freezer", ":value:0 is not found", r"(?P<node>[\w/]{0,200}readvariableop(?:_\d+)?)$"),
    Sign(
        "freezer",
        "KeyError:",
        r"convert_to_constants\.py.{0,300}$",
        after=r"'(?P<node>[^']{1,250})'",
        word=True,
    ),
    Sign("init-node", "doesn't exist in graph", rf"initnode(?P<node>{_WORD}{{1,250}})$"),
    # Keras 3.
    Sign("no-value", "error: missing attribute 'value'", word=True, test=_no_markup),
    Sign("no-value", "Failed to infer result type(s)"),
    Sign("keras-private", "has no attribute '_get_save_spec'", r"'(?P<class>\w{1,80})'object$"),
    Sign("keras-private", "has no attribute '_set_save_spec'", r"'(?P<class>\w{1,80})'object$"),
    Sign(
        "keras-private",
        "has no attribute 'read_value'",
        r"'(?P<class>\w{1,80})'object$",
        test=_of_a_variable,
    ),
    Sign(
        "keras-private",
        "'NoneType' object is not callable",
        reach=1500,
        # Of a Windows path to tflite_keras_util.py, "\t" has become a blank.
        company=("flite_keras_util", "get_call_context_function"),
    ),
    Sign("none-alone", "'NoneType' object is not callable", test=_is_the_whole_log),
    Sign(
        "openvino",
        "conversion is failed for",
        reach=700,
        after=r"(?P<op>varhandleop|readvariableop|assignvariableop)operation"
        r"(?:.{0,120}?variableorresource'(?P<variable>[^']{1,200})')?",
    ),
    # A variable without a value.
    Sign("no-variable", "variable != nullptr was not true"),
    Sign(
        "no-variable",
        "Could not find variable",
        reach=300,
        company=("has been deleted", "failed_precondition", "failedprecondition", "readvariableop"),
        after=rf"(?:(?P<variable>{_WORD}{{1,200}}?)\.?(?:thiscouldmean|$))?",
    ),
    Sign(
        "no-variable",
        "Error while reading resource variable",
        after=rf"(?:(?P<variable>{_WORD}{{1,200}}?)fromcontainer)?",
    ),
    *(  # as GCC and Clang, and as MSVC write the type of the resource
        Sign(
            kind,
            f"{written} does not exist",
            rf"resource[a-z]{{0,40}}/(?P<variable>{_WORD}{{1,200}}?)/$",
        )
        for kind, written in (
            ("no-variable", "N10tensorflow3VarE"),
            ("no-variable", "class tensorflow::Var"),
            ("no-table", "N10tensorflow6lookup15LookupInterfaceE"),
            ("no-table", "class tensorflow::lookup::LookupInterface"),
        )
    ),
    Sign("no-table", "hashtable need to be initialized before using"),
    Sign(
        "no-value-in-session",
        "Attempting to use uninitialized value",
        after=r"(?:(?P<variable>[\w/.\-]{1,200}?)(?:\[\[|$))?",
    ),
    *(
        Sign(
            "untracked",
            phrase,
            reach=1200,
            company=("Tried to export a function",),
            test=_of_a_handle if phrase.endswith("object") else None,
            after=r"(?:.{0,1100}?<tf\.variable'(?P<variable>[^':]{1,200}))?",
        )
        for phrase in ("untracked' resource", "untracked resource", "untracked object")
    ),
    Sign(
        "untracked",
        "Failed to add concrete function",
        company=("captures",),
        after=r"'?b?'(?P<function>[^']{1,200})'.{0,200}?dtype=resource",
    ),
    # Flex.
    Sign(
        "flex",
        "Regular TensorFlow ops are not supported by this interpreter",
        reach=600,
        after=r"(?:.{0,560}?nodenumber\d{1,7}\((?P<op>flex\w{1,60})\))?",
    ),
    Sign(
        "flex",
        "Select TensorFlow op(s), included in the given model",
        reach=600,
        after=r"(?:.{0,560}?nodenumber\d{1,7}\((?P<op>flex\w{1,60})\))?",
    ),
    Sign("flex", "failed to prepare", r"nodenumber\d{1,7}\((?P<op>flex\w{1,60})\)$"),
    Sign("flex", "missing inputs", r"op'?(?P<op>flex\w{1,60})'?$"),
    Sign("flex-list", "Flex ops:", items=True),
    Sign(
        "resource-list",
        "Resource ops:",
        company=("natively supported", "resource type"),
        items=True,
    ),
    Sign("custom", "Encountered unresolved custom op:", after=rf"(?P<op>(?:flex)?(?:{_OPS}))"),
    # A runtime that does not know what the file holds.
    Sign("builtin-code", "Op builtin_code out o", after=r"[fr]range:(?P<code>\d{1,4})"),
    Sign(
        "opcode",
        "find op for builtin opcode",
        r"(?:didn't|didnot|couldn't|couldnot)$",
        after=r"'?(?P<op>[a-z0-9_]{1,60}?)'?(?:version'?(?P<version>\d{1,4}))?"
        r"(?:'|\.|failed|anolder|registration|$)",
    ),
    Sign("old-binary", "old TFLite binary"),
    Sign("old-binary", "Registration failed."),
    Sign("registration", "Failed to get registration from op code", after=rf"'?(?P<op>{_OPS})?"),
    *(
        Sign("tensor-type", phrase, test=lambda near: not near.after[:1].isdigit())
        for phrase in (
            "Element type (13)",
            "Element type 13",
            "TensorType 13",
            "TensorType (13)",
            "Unsupported data type 13",
            "Unsupported tensor type 13",
        )
    ),
    Sign("variable-tensor", "Variable tensors not yet supported"),
    Sign(
        "store",
        "requires resource variables",
        r"(?P<op>(?:tfl_)?(?:var_handle|read_variable|assign_variable))$",
    ),
    Sign("store", "Please create ResourceVariables"),
    # Quantization.
    Sign(
        "state-type",
        "variable_tensor->type !=",
        after=r"\w{1,40}->type(?:\((?P<dtype>\w{1,20}?)!=(?P<other>\w{1,20}?)\))?",
    ),
    Sign(
        "state-type",
        "variable and value dtypes don't match",
        company=("tflite", "interpreter"),
        after=r";?(?:respectively,?(?P<dtype>half|float|double|bfloat16|u?int\d{1,2}|q?u?int\d{1,2})"
        r"and(?P<other>half|float|double|bfloat16|q?u?int\d{1,2}))?",
    ),
    Sign(
        "state-type",
        "Cannot compute Assign",
        company=("tflite", "interpreter"),
        after=r"\w{0,12}variableopasinput.{0,60}?expectedtobean?(?P<dtype>\w{1,12})tensor"
        r"butisan?(?P<other>\w{1,12})tensor",
    ),
    Sign("calibrator", "Only models with a single subgraph are supported"),
    # State whose shape is not known, and resources that are no variables.
    Sign("unliftable", "Unable to lift tensor", after=r"(?:<tf\.tensor'(?P<tensor>[^']{1,200})')?"),
    Sign("unliftable", "unliftableerror"),
    Sign("duplicate", "cannot duplicate the value since it's not constant"),
    Sign("duplicate", "Failed to duplicate values for the stateful op"),
    Sign("to-numpy", "Cannot convert a Tensor of dtype resource to a NumPy array"),
    # A graph that nobody froze.
    Sign("not-frozen", "Please freeze the graph"),
    Sign("toco", "TOCO failed"),
    Sign(
        "toco-reason",
        "operators in the model are not supported by the standard TensorFlow Lite runtime",
    ),
    Sign("toco-reason", "Check failed:", company=("toco",)),
    Sign("toco-reason", "Converting unsupported operation:"),
)


def sightings(text: str) -> list[Sighting]:
    """Find every sign in a log.

    Args:
        text: The log, as ``log_text.without_noise`` returns it.

    Returns:
        The sightings, in the order of the log within each sign; of the same names only the first.
    """
    found: dict[tuple[object, ...], Sighting] = {}
    kept: Counter[int] = Counter()
    tries = _TRIES // (1 + len(text) // PAGE)
    for page in pages(text):
        for index, start in _tried(page, tries):
            sign = SIGNS[index]
            if kept[index] >= _KEPT:
                continue
            caught = _caught(page, sign, start)
            if caught is None:
                continue
            key = (index, *caught.names.items(), caught.ops)
            if key not in found:
                kept[index] += 1
                line = page.shown(caught.start, start + len(sign.needle))
                number = page.line_number(start)
                found[key] = Sighting(sign.kind, number, line, caught.names, caught.ops)
    return list(found.values())


def _tried(page: Page, tries: int) -> Iterator[tuple[int, int]]:
    """Yield the places of a page that are looked at: a sign's index, and a place of its phrase.

    A phrase that floods the page does not use up the tries of the others: the rare ones come first.
    Of a flood the beginning and the end are looked at: an error ends a log as a rule.
    """
    places = {index: _places(page, sign.needle) for index, sign in enumerate(SIGNS)}
    for done, index in enumerate(sorted(places, key=lambda index: len(places[index]))):
        all_of_them = places[index]
        half = max(1, tries // (len(places) - done) // 2)
        chosen = all_of_them[:half] + all_of_them[max(half, len(all_of_them) - half) :]
        tries -= len(chosen)
        yield from ((index, start) for start in chosen)


def _places(page: Page, needle: str) -> list[int]:
    """Return where a page's own text has the phrase."""
    own = page.own
    found = []
    start = page.low.find(needle, own.start)
    while 0 <= start < own.stop:
        found.append(start)
        start = page.low.find(needle, start + len(needle))
    return found


class _Caught(NamedTuple):
    """What was found around a phrase, and where in the squeezed page it starts."""

    names: dict[str, str]
    ops: tuple[str, ...]
    start: int


def _caught(page: Page, sign: Sign, start: int) -> _Caught | None:
    """Return what is around a phrase, or ``None`` if it is no sign here."""
    end = start + len(sign.needle)
    left = max(0, start - sign.reach)
    near = Near(page.low[left:start], page.low[end : end + sign.reach])
    if not _in_place(page, sign, start, near):
        return None
    # Searched for from the left: such a pattern ends where the phrase starts.
    before = re.search(sign.before, near.before)
    after = re.match(sign.after, near.after)
    if before is None or after is None:
        return None
    ops = _listed_ops(page, near.after, end) if sign.items else ()
    if sign.items and not ops:
        return None
    spans = _spans(before, left)
    begin = min((span.start for span in spans.values()), default=start)
    spans |= _spans(after, end)
    names = {name: printable(page.squeezed[span.start : span.stop]) for name, span in spans.items()}
    return _Caught(names, ops, begin)


def _listed_ops(page: Page, after: str, offset: int) -> tuple[str, ...]:
    """Return the known ops of the list that follows a phrase."""
    found = _LIST.match(after)
    ops = []
    start = 0
    for name in found[0].split(",") if found else ():
        item = _ITEM.match(name)
        if item:
            end = offset + start + item.end("op")
            if page.ends_word(end):
                ops.append(page.squeezed[offset + start + item.start("op") : end])
        start += len(name) + 1
    return tuple(ops)


def _in_place(page: Page, sign: Sign, start: int, near: Near) -> bool:
    """Tell whether what stands around a phrase lets it be a sign."""
    if sign.company and not any(word in part for word in sign.companions for part in near):
        return False
    if sign.word and not page.starts_word(start):
        return False
    if sign.line and not re.fullmatch(sign.line, page.line(start), re.IGNORECASE):
        return False
    return sign.test is None or sign.test(near)


def _spans(found: re.Match[str], offset: int) -> dict[str, range]:
    """Return where in the squeezed page each named group has caught something."""
    return {
        name: range(offset + found.start(name), offset + found.end(name))
        for name, value in found.groupdict().items()
        if value
    }
