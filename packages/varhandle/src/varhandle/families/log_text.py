r"""A pasted log as text that can be searched: the noise off, and every place's line still known.

A message in a log is broken by whatever carried it here: a terminal wraps it in the middle of a
word, a CI service writes a time before every line, a chat adds quote marks, JSON writes ``\n``
for a line end, a web page ``&#39;`` for a quote. So nothing is looked for in the log as it stands,
but in its *squeezed* form: prefixes and colors off, no blanks at all, small letters, one kind of
quote. What was found there is shown as it stands in the log.

All of it is linear in the length of the log. Patterns that run over the whole text have a fixed
length or a bounded one, and the text is worked on a page at a time.
"""

from __future__ import annotations

import codecs
import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from itertools import accumulate, pairwise

from varhandle.display import printable

PAGE = 1 << 20  #: characters of a log that are worked on at once
_OVERLAP = 1 << 14  # characters that a page also shows of the page before and of the next
_NEAR = 1 << 12  # characters: how far from a place the ends of its line are looked for
_SHOWN = 240  # characters of a line that are shown
_LEAD = 60  # of these, characters before what gave it away

# Each starts at the first backslash of a run: a run of a million must not be tried a million times.
_RUN = r"\\(?<!\\\\)\\{0,7}"
_NOISE: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"\0", ""),  # without them, UTF-16 that was read byte by byte is text again
    (r"\r\n?", "\n"),
    (
        r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|[@-Z\\-_])",
        "",
    ),
    (r"\^\[\[[\d;]{0,20}[A-Za-z]", ""),  # a color, as a terminal echoes it
    (r"\[\d{1,3}(?:;\d{1,3}){0,5}m", ""),  # the same, without its first character
    (r"&amp;", "&"),
    (r"&(?:[A-Za-z]{2,8}|#\d{2,5}|#[xX][\da-fA-F]{2,4});", lambda found: _character(found[0])),
    (_RUN + r"(?:u001[bB]|x1[bB]|033|e)\[[\d;]{0,20}[A-Za-z]", ""),  # a color, written out
    (_RUN + r"u(00[2-7][0-9a-fA-F]|201[89cCdD])", lambda found: chr(int(found[1], 16))),
    (_RUN + r"[nrt]", "\v"),
    (_RUN + r"(?=['\"`\n])", ""),
    (r"</?(?:span|code|pre|div|strong|em|mark|td|tr|br|p|a|b|i)\b[^<>\n]{0,300}>", ""),
    # Zero-width characters, the soft hyphen and the byte order mark.
    ("[\u200b\u200c\u200d\u2060\ufeff\u00ad]", ""),
    # It becomes two characters in small letters, and would put every place after it off by one.
    ("\u0130", "I"),
)
_QUOTES = str.maketrans(dict.fromkeys('"`\u2018\u2019\u201c\u201d\u00b4\u2032\u00ab\u00bb', "'"))

_PREFIX = r"""(?:
      [ \t\xa0]+
    | >+[ \t][ \t>]*                                                     # quoted in Markdown
    | [│┃║▏╎┆|][ \t]*                                                    # the border of a box
    | [\[(]?(?:19|20)\d\d[-/.]\d\d[-/.]\d\d[T ,_]{0,2}                     # 2026-11-22T10:11:12Z
      (?:\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)?[ ]?(?:Z|UTC|GMT|[+-]\d\d:?\d\d)?[\])]?[:,]?[ \t]*
    | \[?\d{1,2}:\d\d:\d\d(?:[.,]\d{1,9})?\]?[:,]?[ \t]+                   # 10:11:12.345
    | [IWEFD]\d{4}[ ][\d:.]{8,24}[ \t]+\d{1,10}[ \t]+                      # glog
    | [IWEF][ ](?=tensorflow/)                                           # 2.3: its level
    | [\[<(](?:std(?:out|err)|info|warn(?:ing)?|error|debug|trace|notice|fatal|critical
      |STD(?:OUT|ERR)|INFO|WARN(?:ING)?|ERROR|DEBUG|TRACE|NOTICE|FATAL|CRITICAL)[\])>]:?[ \t]*
    | std(?:out|err)(?:[ ]?[|:>]|[ ][FP](?=[ ]))[ \t]*                     # Kubernetes, compose
    | (?:INFO|WARN(?:ING)?|DEBUG|NOTICE)[ ]?[:|-][ \t]+
    | (?:ERROR|CRITICAL|FATAL)[ ]?[|-][ \t]+
    | [\w.-]{1,40}[ \t]{0,20}\|[ \t]                                      # compose: app_1  |
    | [\w./-]{1,40}\[\d{1,8}\]:[ \t]                                      # syslog: app[123]:
    | \[[\w./:,-]{1,40}\](?:<std(?:out|err)>)?:?[ \t]+                    # [worker-3]
    | \#\d{1,6}[ ]\d{1,6}\.\d{1,6}[ ]                                     # BuildKit
    | \#\#\[\w{1,12}\]                                                    # Azure
    | E[ \t]{2,}                                                         # pytest
    | \d{1,7}:[ \t]+                                                     # the line's number
    ){1,8}"""
_BORDERS = ("│", "┃", "║", "|", "\\")


def decode_log(log: object) -> str:
    """Return a log as text; anything but text and bytes is no log.

    Bytes are UTF-8; or UTF-16 or UTF-32 with a byte order mark, which PowerShell writes. What
    cannot be decoded becomes a replacement character.
    """
    if isinstance(log, str):
        return log
    if not isinstance(log, (bytes, bytearray, memoryview)):
        return ""
    try:
        content = bytes(log)
    except ValueError:  # a memoryview that was released
        return ""
    marks = {
        codecs.BOM_UTF32_LE: "utf-32",  # before that of UTF-16, which begins it
        codecs.BOM_UTF32_BE: "utf-32",
        codecs.BOM_UTF16_LE: "utf-16",
        codecs.BOM_UTF16_BE: "utf-16",
    }
    encoding = next((marks[mark] for mark in marks if content.startswith(mark)), "utf-8-sig")
    return content.decode(encoding, errors="replace")


def without_noise(text: str) -> str:
    """Return a log without what is not its text; its lines keep their numbers.

    Colors, tags, zero-width characters and NULs go; written-out escapes and HTML entities are
    resolved. A written-out line end becomes a vertical tab: a blank that ends no line.
    """
    for expression, replacement in _NOISE:
        text = re.sub(expression, replacement, text)
    return text


def _character(entity: str) -> str:
    return html.unescape(entity).replace("\n", "\v")


class Page:
    """A stretch of a log, squeezed.

    Attributes:
        own: The places in the squeezed text that are this page's own.
        raw: Its lines, as ``without_noise`` left them.
        text: The same without the prefixes that a log's carrier writes before each line.
        squeezed: The text without any blank.
        low: The same in small letters, and with one kind of quote.
    """

    def __init__(self, first: int, before: str, own: str, after: str) -> None:
        """Take the page's own text, what stands around it, and the number of its first line."""
        self._first = first
        self.raw = (before + own + after).split("\n")
        parts = ["\n".join(map(_bare, part.split("\n"))) for part in (before, own, after)]
        self.text = "".join(parts)
        self.squeezed = "".join(self.text.split())
        self.low = squeezed(self.squeezed)
        head, body = (len("".join(part.split())) for part in parts[:2])
        self.own = range(head, head + body)

    @cached_property
    def _words(self) -> tuple[list[int], list[int]]:
        """Where each word starts in the text, and where in the squeezed text."""
        words = [word.span() for word in re.finditer(r"\S+", self.text)]
        squeezed_starts = accumulate((end - start for start, end in words), initial=0)
        return [start for start, _ in words], list(squeezed_starts)[:-1]

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(end.end() for end in re.finditer("\n", self.text))]

    def _place(self, at: int) -> int:
        """Return the place in the text of one in the squeezed text."""
        starts, squeezed_starts = self._words
        word = bisect_right(squeezed_starts, at) - 1
        return starts[word] + at - squeezed_starts[word]

    def starts_word(self, at: int) -> bool:
        """Tell whether no letter or figure stands right before a place in the squeezed text."""
        place = self._place(at)
        return not self.text[max(0, place - 1) : place].isalnum()

    def ends_word(self, at: int) -> bool:
        """Tell whether no letter or figure goes on where a name ends."""
        place = self._place(at - 1) + 1
        after = self.text[place : place + 1]
        return not (after.isalnum() or after == "_")

    def word_length(self, at: int, most: int) -> int:
        """Return how many characters of the word at a place in the squeezed text follow it."""
        starts, squeezed_starts = self._words
        word = bisect_right(squeezed_starts, at)
        return min(most, squeezed_starts[word] - at) if word < len(starts) else most

    def line(self, at: int) -> str:
        """Return the line of a place in the squeezed text, as far as it is near."""
        place = self._place(at)
        start, end = self._line_ends(place, place)
        return self.text[start:end]

    def _line_ends(self, first: int, last: int) -> tuple[int, int]:
        """Return where the line of one place in the text starts, and where that of another ends."""
        nearest, farthest = max(0, first - _NEAR), min(len(self.text), last + _NEAR)
        start = self.text.rfind("\n", nearest, first) + 1
        end = self.text.find("\n", last, farthest)
        return start or nearest, farthest if end < 0 else end

    def line_number(self, at: int) -> int:
        """Return the number in the log of the line of a place in the squeezed text."""
        return self._first + self._line_index(self._place(at))

    def _line_index(self, place: int) -> int:
        return bisect_right(self._line_starts, place) - 1

    def excerpt(self, start: int, end: int) -> str:
        """Return the line around a stretch of the squeezed text, shortened to be shown.

        A line that was wrapped is put together again.
        """
        first, last = self._place(start), self._place(max(start, end - 1))
        wrapped = self.raw[self._line_index(first) : self._line_index(last)]
        # A terminal breaks at a fixed column, also in the middle of a word; an editor at blanks.
        joint = "" if len(set(map(len, wrapped))) == 1 else " "
        found = self.text[first : last + 1].replace("\n", joint)
        line_start, line_end = self._line_ends(first, last)
        before = self.text[line_start:first].rpartition("\v")[2]
        after = self.text[last + 1 : line_end].partition("\v")[0]
        lead = before[-_LEAD:]
        rest = after[: max(0, _SHOWN - len(lead) - len(found))]
        cut = " ".join(f"{lead}{found}{rest}".split())
        dots_before = "…" if before[:-_LEAD].strip() else ""
        dots_after = "…" if after[len(rest) :].strip() else ""
        return printable(f"{dots_before}{cut}{dots_after}", most=None)


def squeezed(phrase: str) -> str:
    """Return a phrase as the squeezed form of a log has it (``Page.low``)."""
    return "".join(phrase.split()).lower().translate(_QUOTES)


@cache
def _prefix() -> re.Pattern[str]:
    """Compile the prefixes where a log is read, and not where only a model is."""
    return re.compile(_PREFIX, re.VERBOSE)


def _bare(line: str) -> str:
    found = _prefix().match(line)
    if found:
        line = line[found.end() :]
    if line.endswith(_BORDERS):
        line = line.rstrip("│┃║|\\ \t")
    return line


def pages(text: str) -> Iterator[Page]:
    """Cut a log without noise into pages that overlap, so that no message is lost at a cut."""
    cuts = [0]
    while cuts[-1] < len(text):
        cut = min(cuts[-1] + PAGE, len(text))
        line_end = text.rfind("\n", cut - _NEAR, cut) if cut < len(text) else -1
        cuts.append(cut if line_end < 0 else line_end + 1)
    line = 1  # of the start of the page's own text
    for start, end in pairwise(cuts):
        before = text[max(0, start - _OVERLAP) : start]
        first = line - before.count("\n")
        yield Page(first, before, text[start:end], text[end : end + _OVERLAP])
        line += text.count("\n", start, end)
