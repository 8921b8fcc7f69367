"""Slow work behind a button, without a browser: a thread, a child process, and what is said."""

import os
import threading
import time

import psutil
import pytest

from varhandle.sandbox import cancellable, run_isolated
from workbook_lib.controls.slow_work import SlowWork, is_interactive


def button(work):
    return SlowWork("Convert", work, hint="Choose & press")


def test_what_the_work_returns_is_shown():
    slow = button(lambda report: "<b>19 kB</b>")
    assert "Choose &amp; press" in slow.status.value
    slow.start.click()
    slow.wait(30)
    assert slow.status.value == '<div role="status"><b>19 kB</b></div>'
    assert slow.cancel.disabled


def test_a_failure_is_one_line_without_its_traceback_and_the_button_works_again():
    errors = [ValueError("no <recipe>")]

    def work(report):
        while errors:
            raise errors.pop()
        return "well"

    slow = button(work)
    slow.start.click()
    slow.wait(30)
    assert "ValueError: no &lt;recipe&gt;" in slow.status.value
    assert "Traceback" not in slow.status.value
    slow.start.click()
    slow.wait(30)
    assert "well" in slow.status.value


def test_a_second_press_while_it_runs_does_nothing_and_what_it_does_can_be_read():
    go, calls = threading.Event(), []

    def work(report):
        report("<digits>")
        calls.append(1)
        go.wait(30)
        return "once"

    slow = button(work)
    slow.start.click()
    slow.start.click()
    assert slow.running
    assert _until(lambda: "<div>Convert: &lt;digits&gt;, " in slow.status.value)
    go.set()
    slow.wait(30)
    assert len(calls) == 1


def test_cancelling_ends_the_child_that_the_work_waits_for():
    run_isolated(int, tensorflow=False)  # what it is forked from lasts
    before = set(psutil.Process().children(recursive=True))
    records = []

    def work(report):
        records.append(run_isolated(time.sleep, 3600, tensorflow=False))
        return "too late"

    slow = button(work)
    slow.start.click()
    assert _until(lambda: _sleepers(before)), "the child never came"
    sleeping = _sleepers(before)
    slow.cancel.click()
    slow.wait(60)
    assert [record.outcome for record in records] == ["cancelled"]
    assert not [child for child in sleeping if child.is_running()]
    assert "Cancelled" in slow.status.value
    assert "too late" not in slow.status.value
    slow.start.click()  # another press begins anew
    assert _until(lambda: _sleepers(before))
    slow.cancel.click()
    slow.wait(60)


def test_work_without_a_child_ends_at_its_next_report():
    under_way, reached = threading.Event(), []

    def work(report):
        for number in range(1000):
            report(f"digit {number}")
            reached.append(number)
            under_way.set()
            time.sleep(0.01)
        return "all"

    slow = button(work)
    slow.start.click()
    under_way.wait(30)
    slow.cancel.click()
    slow.wait(30)
    assert len(reached) < 1000
    assert "Cancelled" in slow.status.value


def test_a_cancelled_run_does_not_start_another_child():
    cancelled = threading.Event()
    cancelled.set()
    with cancellable(cancelled):
        assert run_isolated(int, tensorflow=False).outcome == "cancelled"
    assert run_isolated(int, tensorflow=False).ok


@pytest.mark.parametrize("progress", ["off", ""])
def test_nobody_can_use_a_control_outside_a_kernel(monkeypatch, progress):
    monkeypatch.setenv("WORKBOOK_PROGRESS", progress)
    assert not is_interactive()


def _sleepers(before):
    """Return the new processes that have come as far as to lead a session of their own."""
    new = set(psutil.Process().children(recursive=True)) - before
    return [child for child in new if _leads_a_session(child)]


def _leads_a_session(process):
    try:
        return os.getsid(process.pid) == process.pid
    except ProcessLookupError:
        return False


def _until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False
