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

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from varhandle.display import printable

PAGE = 1 << 20  #: characters of a log that are worked on at once
_OVERLAP = 1 << 14  # characters that a page also shows of the page before and of the next
_CHUNK = 1 << 12  # characters of a line that are handled at once
_SHORT = 12  # characters: lines that are shorter on average are not looked at one by one,
_MANY = 1 << 16  # where there are so many characters of them: they have no room for prefixes
_SHOWN = 240  # characters of a line that are shown
_LEAD = 60  # of these, characters before what gave it away

_ANSI = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|[@-Z\\-_])"
)
_CARET_COLOR = re.compile(r"\^\[\[[\d;]{0,20}[A-Za-z]")
_BARE_COLOR = re.compile(r"\[\d{1,3}(?:;\d{1,3}){0,5}m")
# Each starts at the first backslash of a run: a run of a million must not be tried a million times.
_RUN = r"\\(?<!\\\\)\\{0,7}"
_WRITTEN_COLOR = re.compile(_RUN + r"(?:u001[bB]|x1[bB]|033|e)\[[\d;]{0,20}[A-Za-z]")
_WRITTEN_CHARACTER = re.compile(_RUN + r"u(00[2-7][0-9a-fA-F]|201[89cCdD])")
_WRITTEN_BLANK = re.compile(_RUN + r"[nrt]")
_ESCAPED_QUOTE = re.compile(_RUN + r"(?=['\"`\n])")
_TAG = re.compile(r"</?(?:span|code|pre|div|strong|em|mark|td|tr|br|p|a|b|i)\b[^<>\n]{0,300}>")
_ENTITIES = (
    ("&amp;", "&"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", '"'),
    ("&#34;", '"'),
    ("&#39;", "'"),
    ("&#x27;", "'"),
    ("&#x60;", "`"),
    ("&#96;", "`"),
    ("&apos;", "'"),
    ("&lsquo;", "'"),
    ("&rsquo;", "'"),
    ("&ldquo;", '"'),
    ("&rdquo;", '"'),
    ("&nbsp;", " "),
    ("&#160;", " "),
)
# Zero-width characters, the soft hyphen and the byte order mark; a capital I with a dot becomes two
# characters in small letters, and would put every place after it off by one.
_INVISIBLE = ("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad")
_QUOTES = ('"', "`", "\u2018", "\u2019", "\u201c", "\u201d", "\u00b4", "\u2032", "\u00ab", "\u00bb")

_PREFIX = re.compile(
    r"""(?:
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
    ){1,8}""",
    re.VERBOSE,
)
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
    for mark, encoding in (
        (b"\xff\xfe\0\0", "utf-32"),
        (b"\0\0\xfe\xff", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    return content.decode("utf-8-sig", errors="replace")


def without_noise(text: str) -> str:
    """Return a log without what is not its text; its lines keep their numbers.

    Colors, tags, zero-width characters and NULs go (without NULs, UTF-16 that was read byte by byte
    is text again); written-out escapes and HTML entities are resolved. A written-out line end
    becomes a vertical tab: a blank that ends no line.
    """
    text = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "^[[" in text:
        text = _CARET_COLOR.sub("", text)
    text = _BARE_COLOR.sub("", text)
    if "&" in text:
        for entity, character in _ENTITIES:
            text = text.replace(entity, character)
    if "\\" in text:
        text = _WRITTEN_COLOR.sub("", text)
        text = _WRITTEN_CHARACTER.sub(lambda found: chr(int(found[1], 16)), text)
        text = _WRITTEN_BLANK.sub("\v", text)
        text = _ESCAPED_QUOTE.sub("", text)
    text = _TAG.sub("", text)
    if not text.isascii():
        for character in _INVISIBLE:
            text = text.replace(character, "")
        text = text.replace("\u0130", "I")
    return text


@dataclass(frozen=True, eq=False)
class Page:
    """A stretch of a log, squeezed.

    Attributes:
        first: Number of its first line in the log, counted from 1.
        raw: Its lines, as ``without_noise`` left them: a long one in several pieces, and thousands
            of very short ones in one.
        numbers: For each of them how many lines end before it in this page.
        parts: How many of these lines stand before the page's own text, and how many before the
            text of the next page.
    """

    first: int
    raw: list[str]
    numbers: list[int]
    parts: tuple[int, int]

    @cached_property
    def lines(self) -> list[str]:
        """The same lines without the prefixes that a log's carrier writes before each of them."""
        return [_bare(line) for line in self.raw]

    @cached_property
    def squeezed(self) -> str:
        """The lines in one, without any blank."""
        return "".join("".join(self.lines).split())

    @cached_property
    def low(self) -> str:
        """The same in small letters, and with one kind of quote."""
        return _lowered(self.squeezed)

    @cached_property
    def _starts(self) -> list[int]:
        """Where each line starts in the squeezed text, and where the last one ends."""
        sizes = (len("".join(line.split())) for line in self.lines)
        return list(accumulate(sizes, initial=0))

    @cached_property
    def own(self) -> range:
        """The places in the squeezed text that are this page's own."""
        own, after = self.parts
        head = len("".join("".join(self.lines[:own]).split()))
        body = len("".join("".join(self.lines[own:after]).split()))
        return range(head, head + body)

    def _place(self, at: int) -> tuple[int, int]:
        """Return the line of a place in the squeezed text, and the place in that line."""
        index = min(bisect_right(self._starts, at) - 1, len(self.lines) - 1)
        left = at - self._starts[index]
        for place, character in enumerate(self.lines[index]):
            if not character.isspace():
                if left == 0:
                    return index, place
                left -= 1
        return index, len(self.lines[index])

    def starts_word(self, at: int) -> bool:
        """Tell whether no letter or figure stands right before a place in the squeezed text."""
        index, place = self._place(at)
        before = self.lines[index][:place]
        if not before and index and self.numbers[index - 1] == self.numbers[index]:
            before = self.lines[index - 1]
        return not before[-1:].isalnum()

    def ends_word(self, at: int) -> bool:
        """Tell whether no letter or figure goes on where a name ends."""
        index, place = self._place(at - 1)
        after = self.lines[index][place + 1 :]
        if not after and self.numbers[index : index + 2].count(self.numbers[index]) == 2:
            after = self.lines[index + 1]
        return not (after[:1].isalnum() or after[:1] == "_")

    def line(self, at: int) -> str:
        """Return the line of a place in the squeezed text."""
        return self.lines[self._place(at)[0]]

    def line_number(self, at: int) -> int:
        """Return the number in the log of the line of a place in the squeezed text."""
        index, place = self._place(at)
        return self.first + self.numbers[index] + self.lines[index].count("\n", 0, place)

    def excerpt(self, start: int, end: int) -> str:
        """Return the line around a stretch of the squeezed text, shortened to be shown.

        A line that was wrapped is put together again.
        """
        first, place = self._place(start)
        last, end_place = self._place(max(start, end - 1))
        spanned = range(first, last + 1)
        # A terminal breaks at a fixed column, also in the middle of a word; an editor at blanks.
        fixed = len({len(self.raw[index]) for index in spanned[:-1]}) == 1
        pieces = [self.lines[index] for index in spanned]
        joint = "" if fixed and last > first else " "
        text = joint.join(pieces)
        stop = len(text) - len(pieces[-1]) + end_place + 1
        begin = max(0, text.rfind("\v", 0, place) + 1, place - _LEAD)
        line_end = text.find("\v", stop)
        finish = min(len(text) if line_end < 0 else line_end, max(stop, begin + _SHOWN))
        cut = " ".join(text[begin:finish].split())
        before = "…" if text[:begin].rpartition("\v")[2].strip() else ""
        after = "…" if text[finish:].partition("\v")[0].strip() else ""
        return printable(f"{before}{cut}{after}", most=None)


def squeezed(phrase: str) -> str:
    """Return a phrase as the squeezed form of a log has it (``Page.low``)."""
    return _lowered("".join(phrase.split()))


def _lowered(text: str) -> str:
    text = text.lower()
    for quote in _QUOTES:
        text = text.replace(quote, "'")
    return text


def _bare(line: str) -> str:
    found = _PREFIX.match(line)
    if found:
        line = line[found.end() :]
    if line.endswith(_BORDERS):
        line = line.rstrip("│┃║|\\ \t")
    return line


def pages(text: str) -> Iterator[Page]:
    """Cut a log without noise into pages that overlap, so that no message is lost at a cut."""
    cuts = [0]
    while cuts[-1] < len(text):
        cuts.append(_cut(text, cuts[-1] + PAGE))
    line = 1  # of the start of the page's own text
    for start, end in pairwise(cuts):
        head = _cut(text, max(0, start - _OVERLAP))
        tail = _cut(text, min(len(text), end + _OVERLAP))
        raw: list[str] = []
        numbers: list[int] = []
        parts = []
        for begin, finish in ((head, start), (start, end), (end, tail)):
            _add_lines(text[begin:finish], text.count("\n", head, begin), raw, numbers)
            parts.append(len(raw))
        yield Page(line - text.count("\n", head, start), raw, numbers, (parts[0], parts[1]))
        line += text.count("\n", start, end)


def _cut(text: str, at: int) -> int:
    """Return a place to cut the text at: after a line end if there is one close before."""
    if at >= len(text):
        return len(text)
    line_end = text.rfind("\n", max(0, at - _CHUNK), at)
    return at if line_end < 0 else line_end + 1


def _add_lines(part: str, number: int, raw: list[str], numbers: list[int]) -> None:
    """Add a part's lines, long ones in pieces, and the number of line ends before each."""
    if len(part) > _MANY and part.count("\n") * _SHORT > len(part):
        lines = [part]
    else:
        lines = part.split("\n")
        if not lines[-1]:
            lines.pop()
    for line in lines:
        for start in range(0, max(1, len(line)), _CHUNK):
            piece = line[start : start + _CHUNK]
            raw.append(piece)
            numbers.append(number)
            number += piece.count("\n")
        number += 1
