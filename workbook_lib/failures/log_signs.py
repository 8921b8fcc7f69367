r"""What to look for in a log: phrases that only a failure of a variable has, and the names beside.

A sign is a phrase of a message in its squeezed form (``log_text``): no blanks, small letters, one
kind of quote. It is found by a plain search, which no log can make slow. Only then, in a short
stretch before and after it, patterns look for names. So a pattern never meets more than some
hundred characters, and a phrase never depends on how the log was wrapped.

Where the words of a phrase might stand in any log, the sign also asks for company: another phrase
close by, or the form of a compiler's message.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from workbook_lib.failures.log_text import Page, pages
from workbook_lib.rendering import printable

_TRIES = 500  # places of one sign that are looked at in a page: a log may repeat itself for ever
_KEPT = 200  # different sightings of one sign that are kept

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
        phrase: The phrase, squeezed.
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


def _of_a_handle(near: Near) -> bool:
    return "dtype=resource" in near.after


def _stands_for_a_variable(near: Near) -> bool:
    return bool(re.search(r"placeholder[\w/]{0,120}[/_]resource(?:_\d+)?$", near.before))


_REFUSED_LISTS = (
    "opsthatneedcustomimplementation(enabledviasettingthe-emit-custom-opsflag):",
    "opsthatcanbesupportedbytheflexruntime(enabledviasettingthe-emit-select-tf-opsflag):",
    "tfselectops:",
)
_IMPORTERS_LISTS = (
    "convertingunsupportedoperation:",  # toco
    "youwillneedcustomimplementations:",
    "unsupportedopsoftype:",  # tf-coreml
    "conversionfortfop",  # coremltools
    "operatorsarenotimplemented:",  # TVM
    "opsarenotimplemented:",
    "unsupportedops:",  # tf2onnx
    "unsupportedoperations:",
    "unsupportedopsinthemodelbeforeoptimization",  # tfjs
    "unsupportedopsinthemodelafteroptimization",
    "notranslatorfoundforoperation(s):",  # OpenVINO
    "cannotbeconvertedtoinferenceengineir:",
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
    Sign("refused", "opisneitheracustomopnoraflexop", rf"{_LOC}'(?:tfl?\.)?(?P<op>\w{{1,80}})'$"),
    Sign("refused", "opisillegalinatflitepipeline", rf"{_LOC}'(?:tfl?\.)?(?P<op>\w{{1,80}})'$"),
    Sign("legalize", "failedtolegalizeoperation", after=r"'(?:tfl?\.)?(?P<op>\w{1,80})'"),
    *(Sign("refused", phrase, items=True) for phrase in _REFUSED_LISTS),
    *(Sign("importer", phrase, items=True) for phrase in _IMPORTERS_LISTS),
    Sign("refused", "customops:", company=("ops_custom", "convertererror"), items=True),
    Sign(
        "foreign",
        "]isnotsupported",
        rf"tensorflowop\[(?P<node>{_WORD}{{1,250}}):(?P<op>\w{{1,60}})$",
    ),
    Sign(
        "foreign",
        "nocorrespondingonnxopmatchesthetf.opnode",
        after=rf"(?P<node>{_WORD}{{1,250}}?)oftype(?P<op>{_OPS})",
    ),
    Sign(  # the GPU delegate
        "foreign",
        "operationisnotsupported",
        r"(?P<op>var_handle|read_variable|assign_variable|call_once):$",
    ),
    Sign("handle-type", "resource<tensor<", after=r"(?:[\d?*]{1,12}x){0,12}(?P<dtype>!?[\w.]+)>"),
    # A value where a handle is wanted.
    Sign(
        "expects",
        "incompatiblewithexpectedresource",
        _PASSED,
        reach=600,
        company=("waspassed",),
    ),
    Sign(  # as a title quotes it
        "expects",
        "incompatiblewithexpectedresource",
        reach=80,
        company=("tensorflow", "tflite", "converter", "variableop"),
    ),
    Sign(
        "expects",
        "incompatiblewithexpected",
        _PASSED,
        reach=600,
        after=r"(?:float|double|half|bfloat16|u?int\d{1,2}|bool|string|complex\d{2,3})_ref",
    ),
    Sign(
        "expects",
        "expectedtyperesource!=",
        after=r"(?P<dtype>\w{1,12}),thetypeof(?P<source>[\w/.:\-]{1,250})(?:\[\d+\])?"
        r"(?:in\{\{node(?P<node>[^}]{1,250})\}\})?",
    ),
    Sign(
        "placeholder",
        "shouldbespeciedbyinput_arrays",
        rf"placeholder(?P<node>{_WORD}{{1,250}})$",
        test=_stands_for_a_variable,
    ),
    Sign(
        "placeholder",
        "shouldbespecifiedbyinput_arrays",
        rf"placeholder(?P<node>{_WORD}{{1,250}})$",
        test=_stands_for_a_variable,
    ),
    Sign(
        "ill-formed",
        "graphdefisill-formed",
        r"failedtofindfunction'(?P<function>[^']{1,200})'.{0,40}$",
    ),
    # The importer of TensorFlow 2.3 to 2.6, and its heirs.
    Sign("immutable", "isnotimmutable", rf"{_LOC}$", test=_compilers_word),
    Sign("immutable", "isnotimmutable", line=r"\W*(?:error:\W*)?is not immutable\W*"),
    Sign("immutable", "couldnotrewriteuseofimmutableboundinput"),
    Sign("folding", "variableconstantfoldingisfailed"),
    Sign("folding", "variableconstantfoldingfailed"),
    Sign(
        "operand",
        "mustbetensorof",
        reach=900,
        before=rf"{_LOC}'tfl\.(?P<op>assign_variable|read_variable)'op(?:operand|result)#\d{{1,2}}$",
        after=r"(?:.{0,700}?butgot'tensor<(?:[\d?*]{1,12}x){0,12}(?P<dtype>!?[\w.]+)>')?",
    ),
    # A freezer that loses a variable.
    Sign("freezer", "cannotfindtheplaceholderopthatisaninputto"),
    Sign("freezer", "cannotfindthevariablethatisaninputto"),
    Sign("freezer", ":value:0isnotfound", r"(?P<node>[\w/]{0,200}readvariableop(?:_\d+)?)$"),
    Sign(
        "freezer",
        "keyerror:",
        r"convert_to_constants\.py.{0,300}$",
        after=r"'(?P<node>[^']{1,250})'",
        word=True,
    ),
    Sign("init-node", "doesn'texistingraph", rf"initnode(?P<node>{_WORD}{{1,250}})$"),
    # Keras 3.
    Sign("no-value", "error:missingattribute'value'", word=True, test=_no_markup),
    Sign("no-value", "failedtoinferresulttype(s)"),
    Sign("keras-private", "hasnoattribute'_get_save_spec'", r"'(?P<class>\w{1,80})'object$"),
    Sign("keras-private", "hasnoattribute'_set_save_spec'", r"'(?P<class>\w{1,80})'object$"),
    Sign(
        "keras-private",
        "hasnoattribute'read_value'",
        r"'(?P<class>\w{1,80})'object$",
        test=_of_a_variable,
    ),
    Sign(
        "keras-private",
        "'nonetype'objectisnotcallable",
        reach=1500,
        # Of a Windows path to tflite_keras_util.py, "\t" has become a blank.
        company=("flite_keras_util", "get_call_context_function"),
    ),
    Sign(
        "openvino",
        "conversionisfailedfor",
        reach=700,
        after=r"(?P<op>varhandleop|readvariableop|assignvariableop)operation"
        r"(?:.{0,120}?variableorresource'(?P<variable>[^']{1,200})')?",
    ),
    # A variable without a value.
    Sign("no-variable", "variable!=nullptrwasnottrue"),
    Sign(
        "no-variable",
        "couldnotfindvariable",
        reach=300,
        company=("hasbeendeleted", "failed_precondition", "failedprecondition", "readvariableop"),
        after=rf"(?:(?P<variable>{_WORD}{{1,200}}?)\.?(?:thiscouldmean|$))?",
    ),
    Sign(
        "no-variable",
        "errorwhilereadingresourcevariable",
        after=rf"(?:(?P<variable>{_WORD}{{1,200}}?)fromcontainer)?",
    ),
    Sign(
        "no-variable",
        "n10tensorflow3varedoesnotexist",
        rf"resource[a-z]{{0,40}}/(?P<variable>{_WORD}{{1,200}}?)/$",
    ),
    Sign(
        "no-variable",
        "attemptingtouseuninitializedvalue",
        after=r"(?:(?P<variable>[\w/.\-]{1,200}?)(?:\[\[|$))?",
    ),
    *(
        Sign(
            "untracked",
            phrase,
            reach=1200,
            company=("triedtoexportafunction",),
            test=_of_a_handle if phrase.endswith("object") else None,
            after=r"(?:.{0,1100}?<tf\.variable'(?P<variable>[^':]{1,200}))?",
        )
        for phrase in ("untracked'resource", "untrackedresource", "untrackedobject")
    ),
    Sign(
        "untracked",
        "failedtoaddconcretefunction",
        company=("captures",),
        after=r"'?b?'(?P<function>[^']{1,200})'.{0,200}?dtype=resource",
    ),
    # Flex.
    Sign(
        "flex",
        "regulartensorflowopsarenotsupportedbythisinterpreter",
        reach=600,
        after=r"(?:.{0,560}?nodenumber\d{1,7}\((?P<op>flex\w{1,60})\))?",
    ),
    Sign(
        "flex",
        "selecttensorflowop(s),includedinthegivenmodel",
        reach=600,
        after=r"(?:.{0,560}?nodenumber\d{1,7}\((?P<op>flex\w{1,60})\))?",
    ),
    Sign("flex", "failedtoprepare", r"nodenumber\d{1,7}\((?P<op>flex\w{1,60})\)$"),
    Sign("flex", "missinginputs", r"op'?(?P<op>flex\w{1,60})'?$"),
    Sign("flex-list", "flexops:", items=True),
    Sign(
        "resource-list", "resourceops:", company=("nativelysupported", "resourcetype"), items=True
    ),
    Sign("custom", "encounteredunresolvedcustomop:", after=rf"(?P<op>(?:flex)?(?:{_OPS}))"),
    # A runtime that does not know what the file holds.
    Sign("builtin-code", "opbuiltin_codeoutofrange:", after=r"(?P<code>\d{1,4})"),
    Sign(
        "opcode",
        "findopforbuiltinopcode",
        r"(?:didn't|didnot|couldn't|couldnot)$",
        after=r"'?(?P<op>[a-z0-9_]{1,60}?)'?(?:version'?(?P<version>\d{1,4}))?"
        r"(?:'|\.|failed|anolder|registration|$)",
    ),
    Sign("old-binary", "oldtflitebinary"),
    Sign("registration", "failedtogetregistrationfromopcode", after=rf"'?(?P<op>{_OPS})"),
    *(
        Sign("tensor-type", phrase, test=lambda near: not near.after[:1].isdigit())
        for phrase in (
            "elementtype(13)",
            "elementtype13",
            "tensortype13",
            "tensortype(13)",
            "unsupporteddatatype13",
            "unsupportedtensortype13",
        )
    ),
    Sign("variable-tensor", "variabletensorsnotyetsupported"),
    Sign(
        "store",
        "requiresresourcevariables",
        r"(?P<op>\w*(?:var_handle|read_variable|assign_variable))$",
    ),
    Sign("store", "pleasecreateresourcevariables"),
    # Quantization.
    Sign(
        "state-type",
        "variable_tensor->type!=",
        after=r"\w{1,40}->type(?:\((?P<dtype>\w{1,20}?)!=(?P<other>\w{1,20}?)\))?",
    ),
    Sign(
        "state-type",
        "variableandvaluedtypesdon'tmatch",
        company=("tflite", "interpreter"),
        after=r";?(?:respectively,?(?P<dtype>half|float|double|bfloat16|u?int\d{1,2}|q?u?int\d{1,2})"
        r"and(?P<other>half|float|double|bfloat16|q?u?int\d{1,2}))?",
    ),
    Sign(
        "state-type",
        "cannotcomputeassign",
        company=("tflite", "interpreter"),
        after=r"\w{0,12}variableopasinput.{0,60}?expectedtobean?(?P<dtype>\w{1,12})tensor"
        r"butisan?(?P<other>\w{1,12})tensor",
    ),
    Sign("calibrator", "onlymodelswithasinglesubgrapharesupported"),
    # State whose shape is not known, and resources that are no variables.
    Sign("unliftable", "unabletolifttensor", after=r"(?:<tf\.tensor'(?P<tensor>[^']{1,200})')?"),
    Sign("unliftable", "unliftableerror"),
    Sign("duplicate", "cannotduplicatethevaluesinceit'snotconstant"),
    Sign("duplicate", "failedtoduplicatevaluesforthestatefulop"),
    Sign("to-numpy", "cannotconvertatensorofdtyperesourcetoanumpyarray"),
    # A graph that nobody froze.
    Sign("not-frozen", "pleasefreezethegraph"),
    Sign("toco", "tocofailed"),
    Sign("toco-reason", "operatorsinthemodelarenotsupportedbythestandardtensorflowliteruntime"),
    Sign("toco-reason", "checkfailed:", company=("toco",)),
    Sign("toco-reason", "convertingunsupportedoperation:"),
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
    for page in pages(text):
        for index, sign in enumerate(SIGNS):
            for start in islice(_places(page, sign.phrase), _TRIES):
                if kept[index] >= _KEPT:
                    break
                caught = _caught(page, sign, start)
                if caught is None:
                    continue
                key = (index, *caught.names.items(), caught.ops)
                if key not in found:
                    kept[index] += 1
                    line = page.shown(caught.start, start + len(sign.phrase))
                    number = page.line_number(start)
                    found[key] = Sighting(sign.kind, number, line, caught.names, caught.ops)
    return list(found.values())


def _places(page: Page, phrase: str) -> Iterator[int]:
    """Yield where a page's own text has the phrase."""
    start = page.low.find(phrase)
    while start >= 0:
        if start in page.own:
            yield start
        start = page.low.find(phrase, start + len(phrase))


class _Caught(NamedTuple):
    """What was found around a phrase, and where in the squeezed page it starts."""

    names: dict[str, str]
    ops: tuple[str, ...]
    start: int


def _caught(page: Page, sign: Sign, start: int) -> _Caught | None:
    """Return what is around a phrase, or ``None`` if it is no sign here."""
    end = start + len(sign.phrase)
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
    if sign.company and not any(word in part for word in sign.company for part in near):
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
