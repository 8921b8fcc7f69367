"""The cell magic, in a real IPython shell."""

import pytest
from IPython.core.error import UsageError
from IPython.testing.globalipapp import start_ipython
from IPython.utils.capture import capture_output


@pytest.fixture(scope="module")
def shell():
    ipython = start_ipython()
    ipython.run_line_magic("load_ext", "workbook_lib.isolated")
    return ipython


def test_keeps_the_record_and_the_names(shell):
    shell.user_ns["start"] = 20
    with capture_output() as shown:
        shell.run_cell_magic("isolated", "record -> end", "end = start + 1\nprint(end)")
    assert shell.user_ns["end"] == 21
    assert shell.user_ns["record"].ok
    assert shown.stdout == "21\n"
    assert not shown.outputs  # a run that went well and printed shows what it printed


def test_shows_the_record_of_a_failure_and_keeps_nothing(shell):
    with capture_output() as shown:
        shell.run_cell_magic("isolated", "failed -> never", "never = 1\nraise KeyError('gone')")
    assert shell.user_ns["failed"].exception_type == "KeyError"
    assert "never" not in shell.user_ns
    assert "raised KeyError at line 2" in shown.outputs[0].data["text/plain"]
    assert "raised KeyError at line 2" in shown.outputs[0].data["text/html"]


def test_what_the_cell_reads_of_the_notebook_comes_along_and_nothing_else(shell):
    shell.run_cell(
        "import math, threading\nbase, late, own = 20, 22, threading.Lock()\n"
        "def nobody_can_send(): return base"
    )
    code = (
        "def add():\n    return base + late\n"
        "own = [base for base in [add()]]\n"  # a name of its own is not taken along
        "own = list(own)\n"
        "try:\n    math\nexcept NameError:\n    print('a module is imported where it is used')"
    )
    with capture_output() as shown:
        shell.run_cell_magic("isolated", "-> own", code)
    assert shell.user_ns["own"] == [42]
    assert "a module is imported" in shown.stdout


def test_what_cannot_be_handed_over_is_said_in_one_line(shell):
    shell.run_cell("def helper(): return 1")
    with pytest.raises(UsageError, match="helper is defined in __main__"):
        shell.run_cell_magic("isolated", "", "helper()")


def test_code_that_is_no_python_is_a_record(shell):
    with capture_output():
        shell.run_cell_magic("isolated", "record", "def f(:")
    assert shell.user_ns["record"].exception_type == "SyntaxError"


def test_honors_the_time_limit(shell):
    with capture_output():
        shell.run_cell_magic("isolated", "slow --timeout 1", "import time\ntime.sleep(60)")
    assert shell.user_ns["slow"].outcome == "timed out"


def test_escapes_what_the_code_says(shell):
    with capture_output() as shown:
        shell.run_cell_magic("isolated", "", "raise ValueError('<script>alert(1)</script>')")
    assert "<script>" not in shown.outputs[0].data["text/html"]
