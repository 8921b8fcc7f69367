"""A traceback in a notebook: whole, and the same on every machine."""

import html
import re

from varhandle.sandbox import run_source
from workbook_lib import show

DEEP = """
import json
def ask(text):
    return json.loads(text)
ask("<none>")
"""


def test_a_record_has_the_whole_traceback_and_no_folder():
    record = run_source(DEEP)
    lines = record.traceback.splitlines()
    assert lines[:5] == [
        "Traceback (most recent call last):",
        '  File "cell", line 5, in <module>',
        '    ask("<none>")',
        '  File "cell", line 4, in ask',
        "    return json.loads(text)",
    ]
    assert re.fullmatch(r'  File "json/__init__\.py", line \d+, in loads', lines[5])
    assert lines[-1] == f"json.decoder.JSONDecodeError: {record.message}"


def test_an_error_in_the_syntax_has_one_too():
    assert run_source("1 +").traceback.startswith(
        "Traceback (most recent call last):\nSyntaxError: "
    )


def test_it_is_shown_whole_with_what_is_inside_folded():
    traceback = run_source(DEEP).traceback
    shown = show.red_error(traceback + "\n")
    assert shown.text() == traceback
    markup = shown.html()
    words = html.unescape(re.sub(r"<summary>.*?</summary>|<[^>]+>", "", markup))
    assert words == traceback
    folded = re.search(r"<details>(.*?)</details>", markup, re.DOTALL)[1]
    assert "3 more frames" in folded and "ask" not in folded
    assert re.search(r"<b [^>]+>json\.decoder\.JSONDecodeError: ", markup)


def test_a_traceback_without_frames_is_shown_as_it_is():
    assert show.red_error("ValueError: <no>").text() == "ValueError: <no>"
    assert "<details>" not in show.red_error("ValueError: <no>").html()
