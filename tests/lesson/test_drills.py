"""Every drill: its program as handed out, right answers in two styles, and three wrong ones."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest

from varhandle.families.catalog import FAMILIES
from varhandle.sandbox import Record, run_isolated
from workbook_lib import cli, lesson
from workbook_lib.lesson import drill_catalog, drill_panel, progress
from workbook_lib.lesson.drill_catalog import VARIANTS, all_drills, find_drill, hand_out
from workbook_lib.lesson.drill_checks import judge
from workbook_lib.lesson.exercises import Outcome

DRILLS = all_drills()
every = pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The learner's folder, and a progress of its own, both empty."""
    monkeypatch.setenv("WORKBOOK_FOLDER", str(tmp_path))
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(tmp_path / "progress.jsonl"))
    monkeypatch.setattr(progress, "_unsaved", [])
    return tmp_path / "drills"


@every
def test_a_drill_tells_right_from_wrong(drill, monkeypatch):
    """The programs run; what the check then says depends on what they have made.

    In one child, which is faster the second time; or in a child each, where one takes it along.
    """
    programs = list(drill.variants.values())
    same = ([each] * len(programs) for each in (str(drill.file), drill.check_source))
    record = run_isolated(list, map(judge, programs, *same), locked=False)
    if record.ok:
        came = dict(zip(programs, record.value, strict=True))
        known = lambda _, program, *__, **___: Record("ok", came[program])  # noqa: E731
        monkeypatch.setattr(drill_catalog, "run_isolated", known)
    wanted = {"b": ("not attempted",), "r": ("right",), "w": ("wrong", "raised")}
    for variant in VARIANTS:
        outcome = drill.judge(drill.variants[variant])
        assert outcome.status in wanted[variant[0]], f"{variant}: {outcome.text()}"
        assert len(outcome.advice) > 20
    assert len(set(drill.variants.values())) == len(VARIANTS)


@every
def test_a_drill_is_small_and_says_what_is_to_be_true(drill):
    program = drill.variants["broken"]
    assert 9 <= len(program.splitlines()) <= 32
    assert re.search(r"^To be true: ", drill.about, re.MULTILINE)
    assert 2 <= len(drill.about.splitlines()) <= 4
    assert 2 <= len(drill.hints) <= 3
    assert not set(re.split("[-_]", drill.name)) & set(drill.family.split("-")), "it tells too much"
    changed = set(drill.variants["right 1"].splitlines()) - set(program.splitlines())
    assert not any(line.strip() in drill.about for line in changed if line.strip())


def test_programs_are_laid_out_as_ruff_does(tmp_path):
    for drill in DRILLS:
        for variant in VARIANTS[:3]:
            path = tmp_path / f"{drill.name}_{variant}.py"
            path.write_text(drill.variants[variant], encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "format", "--line-length", "100", "--diff"]
    done = subprocess.run([*command, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_there_is_a_drill_of_each_family():
    """But of the one that stands for what is of no family, and of what no program here shows.

    A browser shows it, another tool, the build of an app, a file of 2 GB or an older Keras.
    """
    found = [drill.family for drill in DRILLS]
    without = {
        *("other-tflite-failure", "unwritten-output", "tensorflow-js", "onnx-tensorflow"),
        *("edge-tpu-compiler", "android-build", "runtime-library-missing", "task-metadata"),
        *("larger-than-2gb", "keras-2-file", "keras-load-model"),
    }
    assert sorted(found) == sorted({family.id for family in FAMILIES} - without)
    assert [drill.number for drill in DRILLS] == [f"{n:02}" for n in range(1, len(DRILLS) + 1)]


def test_what_the_check_cannot_judge_is_the_learners_error_and_named_with_its_line():
    drill = find_drill("reading")
    for program, told in {
        "x = 1": "without a `interpreter`",
        "def f(:": "Line 1 is no Python",
        "\n\n1 / 0": "Line 3 of your code: `1 / 0`",
        "import os\nos.abort()": "SIGABRT",
        "raise SystemExit(2)": "SystemExit: 2",
    }.items():
        outcome = drill.judge(program)
        assert outcome.status in ("wrong", "raised")
        assert told in outcome.advice


def test_the_converters_message_is_short_and_names_every_op_that_it_refuses():
    drill = find_drill("last_three")
    advice = drill.judge(drill.variants["broken"]).advice
    assert "'tf.VarHandleOp' op is neither" in advice
    assert "tf.ResourceStridedSliceAssign" in advice
    assert len(advice) < 400
    assert ".py:" not in find_drill("chain").judge(drill.variants["broken"]).advice


def test_comments_alone_are_no_attempt_and_what_is_printed_is_shown():
    drill = find_drill("2")
    assert drill.judge(f"# mine\n\n{drill.variants['broken']}").status == "not attempted"
    outcome = drill.judge(f"{drill.variants['right 1']}\nprint('here', len(received))")
    assert outcome.status == "right"
    assert "here" in outcome.advice


def test_work_is_kept_when_drills_are_handed_out_again(folder):
    handed_out = {f"{drill.name}.py" for drill in DRILLS} | {drill_catalog.PAGE}
    hand_out()
    assert {path.name for path in folder.iterdir()} == handed_out
    assert not any("# ----" in path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    drill = DRILLS[3]
    drill.file.write_text("mine", encoding="utf-8")
    DRILLS[4].file.unlink()
    hand_out()
    assert {path.name for path in folder.iterdir()} == handed_out
    assert drill.file.read_text(encoding="utf-8") == "mine"
    drill.reset()
    assert drill.file.read_text(encoding="utf-8") == drill.variants["broken"]


def test_progress_leads_to_the_next(folder, monkeypatch):
    hand_out()
    first, second, third = DRILLS[:3]
    assert drill_catalog.first_unsolved() is first
    monkeypatch.setattr(drill_catalog.Drill, "judge", lambda *_: made("right"))
    second.check()
    assert drill_catalog.next_drill(first) is third
    first.check()
    assert drill_catalog.first_unsolved() is third
    (row,) = (row for row in lesson.board().rows if str(row[1]) == "Drills")
    assert row[3] == f"2 of {len(DRILLS)}"
    second.reset()
    assert not second.solved
    for drill in DRILLS:
        drill.check()
    assert drill_catalog.next_drill(DRILLS[-1]) is first


def test_hints_go_on_and_stay_at_the_last(folder):
    drill = DRILLS[0]
    titles = [drill.hint().title for _ in range(4)]
    assert titles == ["Hint 1 of 3", "Hint 2 of 3", "Hint 3 of 3", "Hint 3 of 3"]


def test_without_a_terminal_a_drill_is_checked_once(folder, capsys):
    assert cli.main(["drill", "kelvin"]) == 2
    assert cli.main(["drill", "--reset"]) == 2
    drill = find_drill("03_scales.py")
    assert cli.main(["drill", "scales"]) == 1
    assert "kelvin" in capsys.readouterr().out
    drill.file.write_text(drill.variants["right 2"], encoding="utf-8")
    assert cli.main(["drill", "3"]) == 0
    assert cli.main(["drill", "--list"]) == 0
    listed = capsys.readouterr().out
    assert re.search(r"03 +scales .* right", listed)
    assert cli.main(["drill", "--reset", "3"]) == 0
    assert drill.file.read_text(encoding="utf-8") == drill.variants["broken"]


def test_in_a_terminal_a_save_is_checked_and_keys_are_heard(folder):
    """The program as a learner starts it, at a terminal of its own."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "workbook_lib.cli", "drill"]
    program = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = ""

    def wait_for(text):
        nonlocal shown
        deadline = time.monotonic() + 120
        while text not in shown:
            assert time.monotonic() < deadline, f"{text!r} is not in {shown!r}"
            if select.select([ours], [], [], 0.2)[0]:
                shown += os.read(ours, 65536).decode()
        shown = shown.partition(text)[2]

    wait_for(f"Drill 01 of {len(DRILLS)}")
    wait_for("Not attempted yet")
    wait_for("q quit")
    os.write(ours, b"h")
    wait_for("Hint 1 of 3")
    DRILLS[0].file.write_text(DRILLS[0].variants["right 1"], encoding="utf-8")
    wait_for("✓ Right")
    wait_for("q quit")
    os.write(ours, b"l")
    wait_for("reader")
    os.write(ours, b"n")
    wait_for(f"Drill 02 of {len(DRILLS)}")
    wait_for("q quit")
    os.write(ours, b"q")
    assert program.wait(timeout=60) == 0
    os.close(ours)


def test_the_panel_checks_whichever_file_is_saved(folder, monkeypatch):
    pytest.importorskip("ipywidgets")
    monkeypatch.setattr(drill_catalog.Drill, "judge", lambda *_: made("right", "it is so"))
    monkeypatch.setattr(drill_panel, "is_in_notebook", lambda: True)
    lesson.drills()
    (panel,) = drill_panel._watching
    assert panel.choice.value == "01_reading"
    DRILLS[4].file.write_text("saved", encoding="utf-8")
    until(lambda: "it is so" in panel.status.value)
    assert panel.choice.value == DRILLS[4].name
    assert 'role="status"' in panel.status.value
    until(lambda: f"1 of {len(DRILLS)}" in panel.count.value)
    DRILLS[6].file.write_text("", encoding="utf-8")
    assert DRILLS[6].stamp() is None, "an editor empties a file before it writes it"
    assert "✓ 05 install" in dict(panel.choice.options)
    panel.choice.value = "02_packets"
    assert "Open 02_packets.py beside" in panel.about.value
    panel._hint(None)
    assert "Hint 1 of 3" in panel.status.value
    panel._solution(None)
    assert "packet[4:]" in panel.status.value
    panel._check(None)
    until(lambda: "it is so" in panel.status.value)
    lesson.drills()
    assert panel._ended.is_set(), "one at a time looks at the files"
    drill_panel._watching.pop().end()


def test_where_nobody_can_click_the_drills_are_a_list(folder):
    assert re.search("30 +reader .* not attempted", lesson.drills().text())


def test_the_page_runs_the_panel():
    page = json.loads(drill_catalog.page_of_drills().read_text(encoding="utf-8"))
    (code,) = (cell for cell in page["cells"] if cell["cell_type"] == "code")
    assert "lesson.drills()" in "".join(code["source"])
    assert code["outputs"] == []


def made(status, advice="because"):
    return Outcome("right", "Right", advice, status)


def until(holds, seconds=20):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
