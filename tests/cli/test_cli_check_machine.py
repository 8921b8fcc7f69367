"""``workbook check-machine``: one screen that can be mailed, also where little is installed."""

import getpass
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from workbook_lib import machine_check
from workbook_lib.cli import main
from workbook_lib.environment import EnvironmentFinding, check_environment
from workbook_lib.locations import project_root


def test_this_machine_is_ready_and_says_so_on_one_screen(capsys):
    """It really converts a model in a kernel, and asks a JupyterLab for its page."""
    assert main(["check-machine"]) == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert "ok  a lesson's cell       the answer is right" in lines
    assert "ok  JupyterLab            JupyterLab answers" in lines
    assert "This computer is ready." in lines
    assert str(project_root()) not in said and str(Path.home()) not in said
    assert platform.node() not in said.split() and getpass.getuser() not in said.split()


def test_where_no_package_is_installed_it_says_what_to_do():
    done = subprocess.run(  # -S: no site-packages
        [sys.executable, "-S", "-m", "workbook_lib.machine_check"],
        capture_output=True,
        text=True,
        check=False,
        cwd=project_root(),
    )
    assert done.returncode == 1
    assert "NO  the packages" in done.stdout and "make setup" in done.stdout
    assert "Not ready: the packages" in done.stdout
    assert not done.stderr


@pytest.mark.parametrize(
    ("program", "found"),
    [
        ("print('the wrong answer')", "ended without a word (exit code 0)"),
        ("import os; os.abort()", "ended without a word (SIGABRT)"),
        ("raise ValueError('what went wrong')", "ValueError: what went wrong"),
        ("import time; time.sleep(60)", "no answer in 2 s"),
    ],
)
def test_what_does_not_work_is_a_line_and_not_a_traceback(monkeypatch, program, found):
    monkeypatch.setattr(machine_check, "_SECONDS", 2)
    tried = machine_check._tried("x", [program], "the right answer")
    assert (tried.ok, tried.found) == (False, found)


def test_a_lesson_that_comes_to_another_answer_is_found(monkeypatch):
    wrong = machine_check._LESSON.replace("[3.0, 6.0]", "[3.0, 7.0]")
    assert wrong != machine_check._LESSON
    monkeypatch.setattr(machine_check, "_LESSON", wrong)
    found = machine_check._lesson()
    assert not found.ok and "AssertionError" in found.found


def test_the_text_names_what_is_not_ready_and_nobodys_folders():
    inside = f"no {Path.home()}/secret and no {project_root()}/x"
    findings = [
        EnvironmentFinding("Python", "3.11", True, ""),
        EnvironmentFinding("the files", inside, False, f"Look into {Path.home()}."),
        EnvironmentFinding("long", "x " * 300, False, "Do it " * 40),
    ]
    checked = machine_check.MachineCheck(findings)
    said = checked.text()
    assert not checked.ready
    assert "Not ready: the files, long." in said
    assert str(Path.home()) not in said and str(project_root()) not in said
    assert max(map(len, said.splitlines())) <= 80


def test_python_is_named_by_its_release():
    python, *_ = check_environment().findings
    assert python.what == "Python"
    assert python.found == "{}.{}.{}".format(*sys.version_info[:3])
