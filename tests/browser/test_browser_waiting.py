"""The browser tests' own means, without a browser: what they drive, and how long they wait."""

import re

import browser_program
import browser_steps
import pytest

from varhandle.display import TONES
from workbook_lib.locations import project_root
from workbook_lib.show.versions import OUTCOMES

sync_api = pytest.importorskip("playwright.sync_api")


class StuckPage:
    """A page on which every locator finds three cells that wait for ever."""

    def locator(self, *arguments, **options):
        return self

    first = property(lambda self: self)

    def count(self):
        return 3

    def click(self):
        pass

    def wait_for(self, **options):
        pass

    def all_inner_texts(self):
        return ["Directory not found"]

    def evaluate(self, script, argument=None):
        pass

    def wait_for_function(self, script, timeout):
        raise sync_api.TimeoutError(f"{timeout} ms")


def test_cells_that_never_end_are_said():
    with pytest.raises(TimeoutError, match=r"3 cells still wait .*Directory not found"):
        browser_steps.run_all(StuckPage())


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine on whose PATH stand the named programs: ``machine(name=exit_code)``."""

    def build(**programs):
        for name, code in programs.items():
            path = tmp_path / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\nexit {code}\n")
            path.chmod(0o755)
        return tmp_path

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROME_BIN", raising=False)
    return build


def test_a_browser_that_does_not_start_is_passed_over(machine):
    folder = machine(chromium=1, google_chrome_stable=0, chromium_browser=0)
    assert browser_program.find_browser() == str(folder / "google-chrome-stable")


def test_chrome_bin_comes_first(machine, monkeypatch):
    folder = machine(chromium=0, mine=0)
    monkeypatch.setenv("CHROME_BIN", str(folder / "mine"))
    assert browser_program.find_browser() == str(folder / "mine")


def test_no_browser_is_none(machine):
    machine(chromium_browser=1)
    assert browser_program.find_browser() is None


def test_ci_looks_for_the_same_browsers():
    script = (project_root() / ".ci" / "run").read_text(encoding="utf-8")
    listed = re.search(r'for name in "\$\{CHROME_BIN:-\}" (.*); do', script)[1]
    assert tuple(listed.split()) == browser_program.BROWSERS


def test_ci_wants_a_font_with_every_mark():
    script = (project_root() / ".ci" / "run").read_text(encoding="utf-8")
    wanted = {chr(int(code, 16)) for code in re.search(r":charset=([\da-f ]+)", script)[1].split()}
    marks = {mark for mark, _ in TONES.values()} | {each.mark for each in OUTCOMES.values()}
    assert {mark for mark in marks if not mark.isascii()} <= wanted
