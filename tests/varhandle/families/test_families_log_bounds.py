"""Whatever the input, ``explain`` answers, and a long log is answered as a short one is."""

import codecs
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_noise import NOISES

from varhandle import explain
from varhandle.families import log_patterns
from varhandle.families.catalog import LOG_PATTERNS
from varhandle.families.log_text import decode_log, pages, without_noise

LINE = (
    "<unknown>:0: error: loc(\"total\"): 'tf.VarHandleOp' op is neither a custom op nor a flex op"
)
FAMILY = "unsupported-variable-dtype"
SOME = settings(max_examples=150, deadline=None, derandomize=True)

PHRASES = [pattern.phrase for pattern in LOG_PATTERNS]
# Text made of phrases, of what stands around them, and of what carriers add.
CARRIED = ["\n", "\r", "\t", "\0", "\\", "\\n", "\x1b[31m", "\x1b]0;", "&amp;", "&lt;", "E     "]
CARRIED += ["> ", "| ", "2026-11-22T10:11:12Z ", "\u0130", "\ud800", "\U0001f600", "a" * 5000]
BESIDE = ["loc(", "loc('a'):", "error:", "input0ofnode", "waspassedfloatfrom", "x/y:0", "Flex"]
BESIDE += ["butgot'tensor<", "VarHandleOp", "'tf.", *" '\",([]<>"]
PIECES = st.sampled_from([*PHRASES, *PHRASES, *CARRIED, *BESIDE])


@SOME
@given(st.text())
def test_any_text(text):
    explanation = explain(text)
    explanation.text().encode("utf-8")
    explanation.html().encode("utf-8")


@SOME
@given(st.lists(PIECES, max_size=60).map("".join))
def test_any_text_that_is_nearly_a_log(text):
    explanation = explain(text)
    explanation.text().encode("utf-8")
    for match in explanation.matches:
        assert 1 <= match.line_number <= text.count("\n") + text.count("\r") + 1
        assert match.line.isprintable()
        assert len(match.line) < 600


@SOME
@given(st.binary())
def test_any_bytes(content):
    assert explain(content) is not None


@pytest.mark.parametrize("odd", [None, 7, 1.5, [], {}, object(), ["a", "b"], str, Exception("x")])
def test_what_is_no_log(odd):
    assert explain(odd).matches == ()


def test_a_view_that_was_released():
    view = memoryview(LINE.encode())
    view.release()
    assert explain(view).matches == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_bytes_of_every_kind_and_encoding(make, encoding):
    assert [match.id for match in explain(make(LINE.encode(encoding))).matches] == [FAMILY]


@pytest.mark.parametrize("width", ["16", "32"])
@pytest.mark.parametrize("order", ["LE", "BE"])
def test_a_byte_order_mark_says_how_letters_are_written(width, order):
    log = getattr(codecs, f"BOM_UTF{width}_{order}")
    log += LINE.replace("total", "größe_\U0001f600").encode(f"utf-{width}-{order}")
    (match,) = explain(log).matches
    assert "'größe_\U0001f600'" in match.message


def test_letters_that_grow_in_small_letters_move_no_name():
    (match,) = explain("\u0130" * 50 + " " + LINE).matches
    assert "'total'" in match.message


def test_bytes_that_cannot_be_decoded():
    log = b"x" + b"\xff\xfe\xfa" * 3 + LINE.encode() + b"\x80\x81"
    assert [match.id for match in explain(log).matches] == [FAMILY]
    assert "\ufffd" in decode_log(log)


around = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@SOME
@given(around, around, st.sampled_from(list(NOISES.values())))
def test_anything_may_stand_around_a_line(before, after, noise):
    # What stands on the line itself may end an escape sequence, or continue a name.
    log = f"{before}\n\n{LINE}\n\n{after}"
    if "\x1b" not in log and "\x9b" not in log and "\\" not in log and "<" not in before:
        assert explain(noise(log)).matches[0].id == FAMILY


@SOME
@given(
    st.integers(20, 200), st.sampled_from(["", "> ", "    ", "E       ", "[stderr] ", "app_1 | "])
)
def test_any_width(width, prefix):
    text = f"some words first\n{LINE}\nand some after"
    wrapped = "\n".join(
        prefix + line[start : start + width]
        for line in text.splitlines()
        for start in range(0, len(line), width)
    )
    assert [match.id for match in explain(wrapped).matches] == [FAMILY]


@SOME
@given(st.lists(st.sampled_from(string.printable), max_size=400).map("".join))
def test_pages_lose_no_line(text):
    clean = without_noise(text)
    (page,) = pages(clean) if clean else (None,)
    if page is not None:
        assert "\n".join(page.raw) == clean
        assert page.text.count("\n") == clean.count("\n")


# The page is a million characters long. Some of these stretch over several, some put a cut where
# it hurts.
FILL = "2026-11-22 10:11:12.123456: I tensorflow/core/common_runtime/executor.cc:1197] nothing\n"


@pytest.mark.parametrize("at", [-40, -1, 0, 1, 40])
def test_a_line_on_the_cut_between_two_pages(at):
    page = 1 << 20
    filler = "word " * (page // 5 + 20)
    log = filler[: page + at - len(LINE) // 2] + " " + LINE + " " + filler
    (match,) = explain(log).matches
    assert (match.id, match.line_number) == (FAMILY, 1)


def test_company_on_the_other_side_of_a_cut():
    beside = 'File "/site-packages/tensorflow/lite/python/lite.py", line 9, in convert\n'
    told = "OSError: SavedModel file does not exist at: m.h5/{saved_model.pbtxt}\n"
    filler = "word\n" * (1 << 18)
    log = filler[: (1 << 20) - 1000] + beside + "word\n" * 300 + told + filler
    assert [match.id for match in explain(log).matches] == ["converter-call"]


@pytest.mark.parametrize(
    "near", ["unsupported ops: (assign_x", "XMLSyntaxerror: missing attribute 'value'"]
)
def test_a_cut_within_a_word_ends_no_word(near):
    """A line of many thousand characters is handled in pieces."""
    assert explain(near * 10_000).matches == ()


@pytest.mark.parametrize("lines", [0, 11_000, 25_000])
def test_a_line_far_down(lines):
    log = FILL * lines + LINE + "\n" + FILL * 100
    (match,) = explain(log).matches
    assert (match.id, match.line_number) == (FAMILY, lines + 1)
    assert match.line == LINE


def test_a_line_among_very_short_ones():
    log = "a\n" * 700_000 + LINE + "\n" + "b\n" * 100
    (match,) = explain(log).matches
    assert (match.id, match.line_number) == (FAMILY, 700_001)


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_without_end_is_no_burden(phrase):
    """Nearly-matches by the thousand, and a real one after them."""
    log = phrase * 1_000 + "\n" + FILL * 100 + LINE
    assert FAMILY in [match.id for match in explain(log).matches]


NEARLY = "app/{}.xml: error: missing attribute 'value' in element <param>\n"
GENUINE = "error: missing attribute 'value'\nLLVM ERROR: aborted\n"


def test_a_genuine_line_after_thousands_that_are_nearly_one():
    log = "".join(map(NEARLY.format, range(5_000)))
    assert explain(log).matches == ()
    for genuine in (log + GENUINE, GENUINE + log, log + GENUINE + log):
        assert [match.id for match in explain(genuine).matches] == ["keras3-export"]


@pytest.mark.parametrize("where", ["first", "last", "another phrase, in the middle"])
def test_where_not_every_place_can_be_looked_at(monkeypatch, where):
    monkeypatch.setattr(log_patterns, "_TRIES", 2 * len(PHRASES))
    log = "".join(map(NEARLY.format, range(2_000)))
    given = {"first": GENUINE + log, "last": log + GENUINE}.get(where, log + LINE + "\n" + log)
    expected = FAMILY if where.startswith("another") else "keras3-export"
    assert [match.id for match in explain(given).matches] == [expected]


def test_hundreds_of_different_lines_hide_none():
    lines = "\n".join(LINE.replace("total", f"variable_{number}") for number in range(1_000))
    last = LINE.replace("VarHandleOp", "ResourceApplyAdam")
    first, *_ = explain(f"{lines}\n{last}").matches
    assert first.id == "unsupported-variable-update"


@pytest.mark.parametrize(
    "run",
    ["\\", "'", "(", "[", "\x1b[", "\x1b]", "&", "<", " ", "\n", "\r", "\0", "_", "/", ":", "é"],
)
def test_a_run_of_one_character_is_no_burden(run):
    log = run * 1_000_000 + "\n" + FILL + LINE
    assert [match.id for match in explain(log).matches] == [FAMILY]
