r"""Patterns of a log: phrases that only a failure of TFLite has, and the names beside them.

A phrase is looked for in the log's squeezed form (``log_text``: no blanks, small letters, one kind
of quote) by a plain search, which no log can make slow. Only then, in a short stretch before and
after it, regular expressions look for names. So no expression ever meets more than some hundred
characters, and no phrase depends on how the log was wrapped. Phrases stand here as the log has
them; expressions are for the squeezed form.

Where the words of a phrase might stand in any log, the pattern also asks for company: another
phrase close by, or the form of a compiler's message.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from varhandle.display import printable
from varhandle.families.log_text import PAGE, Page, pages, squeezed

_TRIES = 200_000  # places that are looked at in a log, which may repeat a phrase for ever
_KEPT = 2000  # different matches of one pattern that are kept
_SHOWN = 80  # characters of a name that a sentence shows

OPS = (
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
_LIST = r"[^,\n]{0,120}(?:,[^,\n]{1,120}){0,40}"
_ITEM = rf"(?:counter)?[(\[{{'\"]{{0,4}}(?:tf\.|tfl\.|tfl_)?(?P<op>(?:flex)?(?:{OPS}))"
WORD = r"[\w/.:\-]"  #: a character of a node's name
DTYPE = r"(?:float|double|half|bfloat16|string|bool|q?u?int\d{1,2}|complex\d{2,3})"


class Context(NamedTuple):
    """The surroundings of a phrase, squeezed, in small letters."""

    before: str
    after: str


@dataclass(frozen=True)
class Pattern:
    """A phrase, and what must and may stand around it."""

    kind: str  # what it shows; several patterns may be of one kind
    phrase: str  # as a log has it
    # Expression with named groups, which must match right before the phrase. A group called
    # ``name`` or ``names`` (with commas) ends with a word: for names that nothing else ends.
    before: str = ""
    after: str = ""  # the same, right after it
    reach: int = 400  # characters before and after it that expressions and company see
    company: tuple[str, ...] = ()  # phrases of which one must stand within reach
    word: bool = False  # whether no letter may stand right before it
    line: str = ""  # expression that the whole line must match, where the phrase has no company
    items: bool = False  # whether a list of ops follows, of which one at least must be known
    test: Callable[[Context], bool] | None = None  # a last condition

    @cached_property
    def needle(self) -> str:
        """The phrase as the squeezed form has it."""
        return squeezed(self.phrase)

    def fits(self, page: Page, start: int, context: Context) -> bool:
        """Tell whether what stands around a place of the phrase lets it be a match."""
        company = map(squeezed, self.company)
        if self.company and not any(word in part for word in company for part in context):
            return False
        if self.word and not page.starts_word(start):
            return False
        if self.line and not re.fullmatch(self.line, page.line(start), re.IGNORECASE):
            return False
        return self.test is None or self.test(context)


@dataclass(frozen=True)
class Match:
    """A place where a log has a pattern."""

    kind: str  # of the pattern
    line_number: int  # counted from 1
    line: str  # cleaned and shortened
    names: Mapping[str, str]  # what was caught beside it (``op``, ``variable``, …), fit to be shown
    ops: tuple[str, ...]  # the known ops in the list that follows

    def get(self, name: str) -> str:
        """Return a name that was caught, or nothing."""
        return self.names.get(name, "")


def quoted(name: str, otherwise: str) -> str:
    """Quote a name; of a path that fills the line, its end, which tells the most."""
    if len(name) > _SHOWN:
        name = f"…{name[-_SHOWN:]}"
    return f"'{name}'" if name else otherwise


def find_matches(text: str, patterns: Sequence[Pattern]) -> list[Match]:
    """Find every pattern in a log without noise (``log_text.without_noise``).

    The matches are in the order of the log within each pattern; of the same names only the first.
    """
    found: dict[tuple[object, ...], Match] = {}
    kept: Counter[int] = Counter()
    tries = _TRIES // (1 + len(text) // PAGE)
    for page in pages(text):
        for index, start in _tried(page, patterns, tries):
            pattern = patterns[index]
            caught = _caught(page, pattern, start) if kept[index] < _KEPT else None
            if caught is None:
                continue
            names, ops, begin = caught
            key = (index, *names.items(), ops)
            if key not in found:
                kept[index] += 1
                line = page.excerpt(begin, start + len(pattern.needle))
                found[key] = Match(pattern.kind, page.line_number(start), line, names, ops)
    return list(found.values())


def _tried(page: Page, patterns: Sequence[Pattern], tries: int) -> Iterator[tuple[int, int]]:
    """Yield the places of a page that are looked at: a pattern's index, and a place of its phrase.

    A phrase that floods the page does not use up the tries of the others: the rare ones come first.
    Of a flood the beginning and the end are looked at: an error ends a log as a rule.
    """
    places = {index: _places(page, pattern.needle) for index, pattern in enumerate(patterns)}
    for done, index in enumerate(sorted(places, key=lambda index: len(places[index]))):
        all_of_them = places[index]
        half = max(1, tries // (len(places) - done) // 2)
        chosen = all_of_them[:half] + all_of_them[max(half, len(all_of_them) - half) :]
        tries -= len(chosen)
        yield from ((index, start) for start in chosen)


def _places(page: Page, needle: str) -> list[int]:
    """Return where a page's own text has the phrase."""
    found = []
    start = page.low.find(needle, page.own.start)
    while 0 <= start < page.own.stop:
        found.append(start)
        start = page.low.find(needle, start + len(needle))
    return found


def _caught(
    page: Page, pattern: Pattern, start: int
) -> tuple[dict[str, str], tuple[str, ...], int] | None:
    """Return the names and the listed ops around a phrase, and where all of it starts.

    ``None`` if it is no match here.
    """
    end = start + len(pattern.needle)
    left = max(0, start - pattern.reach)
    context = Context(page.low[left:start], page.low[end : end + pattern.reach])
    if not pattern.fits(page, start, context):
        return None
    # Searched for from the left: such a pattern ends where the phrase starts.
    before = re.search(pattern.before, context.before)
    after = re.match(pattern.after, context.after)
    ops = _listed_ops(page, context.after, end) if pattern.items else ()
    if before is None or after is None or (pattern.items and not ops):
        return None
    begin = start
    names = {}
    for found, offset in (before, left), (after, end):
        for name, value in found.groupdict().items():
            if value:
                at = offset + found.start(name)
                last = value.rfind(",") + 1 if name in ("name", "names") else len(value)
                last += page.word_length(at + last, len(value) - last)
                names[name] = printable(page.squeezed[at : at + last])
                begin = min(begin, at)
    return names, ops, begin


def _listed_ops(page: Page, after: str, offset: int) -> tuple[str, ...]:
    """Return the known ops of the list that follows a phrase."""
    found = re.match(_LIST, after)
    ops = []
    start = offset
    for name in found[0].split(",") if found else ():
        item = re.match(_ITEM, name)
        if item and page.ends_word(start + item.end("op")):
            ops.append(page.squeezed[start + item.start("op") : start + item.end("op")])
        start += len(name) + 1
    return tuple(ops)
