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
        shell.run_cell_magic(
            "isolated", "record --use start --keep end", "end = start + 1\nprint(end)"
        )
    assert shell.user_ns["end"] == 21
    assert shell.user_ns["record"].ok
    assert shown.stdout == "21\n"
    assert not shown.outputs  # a run that went well and printed shows what it printed


def test_shows_the_record_of_a_failure_and_keeps_nothing(shell):
    with capture_output() as shown:
        shell.run_cell_magic("isolated", "failed --keep never", "never = 1\nraise KeyError('gone')")
    assert shell.user_ns["failed"].exception_type == "KeyError"
    assert "never" not in shell.user_ns
    assert "raised KeyError at line 2" in shown.outputs[0].data["text/plain"]
    assert "raised KeyError at line 2" in shown.outputs[0].data["text/html"]


def test_names_what_is_not_defined(shell):
    with pytest.raises(UsageError, match="nowhere"):
        shell.run_cell_magic("isolated", "--use nowhere", "pass")


def test_honors_the_time_limit(shell):
    with capture_output():
        shell.run_cell_magic("isolated", "slow --timeout 1", "import time\ntime.sleep(60)")
    assert shell.user_ns["slow"].outcome == "timed out"


def test_escapes_what_the_code_says(shell):
    with capture_output() as shown:
        shell.run_cell_magic("isolated", "", "raise ValueError('<script>alert(1)</script>')")
    assert "<script>" not in shown.outputs[0].data["text/html"]
