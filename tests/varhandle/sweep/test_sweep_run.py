"""A sweep: what each row says, what it leaves behind, and what becomes of it after a kill."""

import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path

import pyarrow.parquet
import pytest
import sweep_probe
from bs4 import BeautifulSoup
from sweep_probe import PretendedRows, Probe, ProbeMaker, until

from varhandle.evaluate import reference
from varhandle.sandbox import Record
from varhandle.sweep.row_specs import RowSpec, SweepInputError, rows_of_models
from varhandle.sweep.row_supervisor import CureMaker, run_row
from varhandle.sweep.rows import library_versions, read_row
from varhandle.sweep.run import run_sweep
from varhandle.verdict_file import PACKAGES

GIB = 2**30
SETTINGS = ("targets", "quantizations", "signature", "inputs")

NASTY = '<b onclick="x">\x1b[31m\nname{x}.tflite'
SHOWN = '<b onclick="x">\\x1b[31m\\nname{x}.tflite'
REASON = "</td><script>alert(1)</script>"


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return Probe(tmp_path_factory.mktemp("sweep{braces}"))


@pytest.fixture(scope="module")
def swept(probe):
    models = [
        probe.model("good.tflite", findings=["reads-only", "held-twice"], difference=0.25),
        probe.model("abort.tflite", act="abort"),
        probe.model("eat.tflite", act="eat"),
        probe.model("raise.tflite", act="raise"),
        probe.model("leave.tflite", act="leave", verdict="blocked", reason=REASON),
        probe.model(NASTY, verdict="wrong-answers", agreeing=2),
        probe.model("liar.tflite", content='{"verdict": "splendid"}'),
    ]
    said = []
    result = run_sweep(
        rows_of_models(models),
        probe.folder / "out",
        maker=ProbeMaker(),
        workers=2,
        memory=GIB,
        say=said.append,
    )
    return result, said


@pytest.fixture(scope="module")
def late(tmp_path_factory):
    """Two rows that never end, each with a child that lives before the row's clock runs."""
    late = Probe(tmp_path_factory.mktemp("late"))
    models = [late.model("hang.tflite", act="hang"), late.model("spin.tflite", act="spin")]
    maker = ProbeMaker(beside=late.pids_file)
    result = run_sweep(rows_of_models(models), late.folder / "out", maker=maker, timeout=1)
    return late, maker, models, result


def rows_by_name(result):
    return {row.model: row for row in result.rows}


@pytest.mark.parametrize(
    ("name", "verdict", "reason"),
    [
        ("good.tflite", "ready", "it runs"),
        ("abort.tflite", "crashed", "the row's process died: LLVM ERROR: no such thing"),
        ("raise.tflite", "failed", "KeyError: '<gone>'"),
        ("leave.tflite", "blocked", REASON),
        (SHOWN, "wrong-answers", "it runs"),
        ("eat.tflite", "out of memory", "ended: it held N GiB; it may hold 1.00 GiB"),
        (
            "liar.tflite",
            "failed",
            "verdict.json is no verdict file: ValueError: the verdict is 'splendid'",
        ),
    ],
)
def test_a_row_says_what_became_of_it(swept, name, verdict, reason):
    row = rows_by_name(swept[0])[name]
    # A busy machine looks a little late.
    said = re.sub(r"(after|held) [\d.]+ ", r"\1 N ", row.reason)
    assert (row.verdict, said) == (verdict, reason)


def test_rows_stand_in_the_order_in_which_they_were_given(swept):
    names = [row.model for row in swept[0].rows]
    assert names[:2] == ["good.tflite", "abort.tflite"]
    assert names[5:] == [SHOWN, "liar.tflite"]


def test_no_process_is_left_behind(probe, swept):
    assert len(probe.pids_file.read_text().split()) == 7 + 2  # the rows, and their children
    assert probe.left_behind() == []


def test_a_row_that_does_not_end_is_ended_with_its_children(late):
    late, _, _, result = late
    for row in result.rows:
        assert row.verdict == "timed out"
        assert re.fullmatch(r"ended: after \d+ s; it may take 1 s", row.reason)
    assert len(late.pids_file.read_text().split()) >= 2
    assert late.left_behind() == []


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        ("timed out", "ended: after 99 s; it may take 900 s"),
        ("out of memory", "ended: it took over 16.0 GiB"),
    ],
)
def test_a_row_whose_process_does_not_come_to_look_is_ended_and_kept(
    small, monkeypatch, outcome, reason
):
    pretended = PretendedRows(monkeypatch)
    run_sweep(rows_of_models([small.model("a.tflite")]), small.folder / "out", maker=ProbeMaker())
    (task,) = pretended.made
    (task.row_folder / "row.json").unlink()
    ended = Record(outcome, message=reason, seconds=99.0)
    monkeypatch.setattr("varhandle.sweep.row_supervisor.run_isolated", lambda *_, **__: ended)
    row = run_row(task)
    assert (row.verdict, row.reason) == (outcome, reason)
    assert read_row(task) == row


def test_a_crash_leaves_its_last_words(swept):
    row = rows_by_name(swept[0])["abort.tflite"]
    log = swept[0].folder / row.folder / "log.txt"
    assert log.read_text().startswith("LLVM ERROR: no such thing\n")
    assert not list(swept[0].folder.glob("rows/good*/log.txt"))


def test_the_worst_run_of_a_parity_counts(swept):
    row = rows_by_name(swept[0])["good.tflite"]
    assert (row.agreeing, row.calls, row.largest_difference) == (5, 5, 0.25)
    assert rows_by_name(swept[0])[SHOWN].agreeing == 2


def test_progress_is_one_line_a_row(swept):
    result, said = swept
    assert said.pop(0) == "kept 0 of 7 rows, 7 to make 2 at a time"
    assert [line.split()[0] for line in said] == [f"{n}/7" for n in range(1, 8)]
    assert all(line.isprintable() for line in said)
    assert all("left]" in line for line in said[:-1])
    assert any("✗ blocked: leave.tflite (litert)" in line for line in said)
    assert not result.ok


def page_of(result):
    return BeautifulSoup((result.folder / "index.html").read_text(), "html.parser")


def test_csv_parquet_and_page_say_the_same(swept):
    result, _ = swept
    with (result.folder / "sweep.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    stored = pyarrow.parquet.read_table(result.folder / "sweep.parquet")
    kinds = {field.name: str(field.type) for field in stored.schema}
    assert kinds["agreeing"] == kinds["bytes"] == "int64"
    assert kinds["largest_difference"] == kinds["seconds"] == "double"
    assert kinds["findings"].startswith("list<")
    table = stored.to_pylist()
    page = page_of(result).select("tbody tr")
    assert len(written) == len(table) == len(page) == len(result.rows)
    for row, line, record, shown in zip(result.rows, written, table, page, strict=True):
        for name in asdict(row):
            value = getattr(row, name)
            assert record[name] == (list(value) if name == "findings" else value)
            text = "; ".join(value) if name == "findings" else value
            assert line[name] == ("" if text is None else str(text))
        cells = [cell.get_text() for cell in shown.find_all(["th", "td"])]
        assert row.verdict in cells[2]
        assert cells[0] == row.model
        assert row.reason in cells[3]
        assert all(finding in cells[3] for finding in row.findings)
        if row.agreeing is not None:
            assert f"{row.agreeing} of {row.calls} calls" in cells[4]


def test_the_page_runs_and_fetches_nothing_and_its_links_exist(swept):
    result, _ = swept
    page = page_of(result)
    assert not page.find_all(["script", "b", "link", "img", "iframe"])
    assert "default-src 'none'" in page.meta.find_next("meta")["content"]
    assert "color-scheme: light dark" in page.style.string
    assert all(title["scope"] for title in page.find_all("th"))
    links = [link["href"] for link in page.find_all("a")]
    assert len(links) >= 10
    for link in links:
        assert (result.folder / link).is_file(), link


def test_a_second_sweep_keeps_every_row(probe, swept):
    result, _ = swept
    began, said = probe.counted("began"), []
    models = [probe.folder / name for name in ("good.tflite", "abort.tflite")]
    specs = rows_of_models(models)
    again = run_sweep(specs, result.folder, maker=ProbeMaker(), memory=GIB, say=said.append)
    assert said == ["kept 2 of 2 rows"]
    assert (again.kept, probe.counted("began")) == (2, began)
    first = rows_by_name(result)
    assert again.rows == tuple(first[model.name] for model in models)


def test_a_second_sweep_keeps_what_took_too_long(late):
    late, maker, models, result = late
    again = run_sweep(rows_of_models(models), result.folder, maker=maker, timeout=1)
    assert (again.kept, again.rows) == (2, result.rows)


# What is kept, without a kernel.


@pytest.fixture
def small(tmp_path):
    return Probe(tmp_path)


@pytest.fixture
def pretend(small, monkeypatch):
    """Pretend to make rows; returns the names of the models whose rows were not kept."""
    pretended = PretendedRows(monkeypatch)

    def run(*names, **options):
        pretended.made.clear()
        settings = {name: options.pop(name) for name in SETTINGS if name in options}
        specs = rows_of_models([small.folder / name for name in names], **settings)
        run_sweep(specs, small.folder / "out", **{"maker": ProbeMaker(), **options})
        return [task.name for task in pretended.made]

    return run


def test_what_a_row_depends_on_makes_it_again(small, pretend, monkeypatch):
    small.model("a.tflite")
    small.model("b.tflite")
    names = ["a.tflite", "b.tflite"]
    assert pretend(*names) == names
    assert pretend("a.tflite") == []  # which leaves the other row alone
    assert pretend(*names) == []
    small.model("b.tflite", reason="another")
    assert pretend(*names) == ["b.tflite"]
    source = small.folder / "source.py"
    for text in ("a = 1", "a = 2"):
        source.write_text(text)
        assert pretend(*names, maker=ProbeMaker(source)) == names
    assert pretend(*names, maker=ProbeMaker(source)) == []
    assert pretend(*names, maker=ProbeMaker(source), trust=True) == names
    calls = small.folder / "calls.npz"
    for content in (b"one", b"other"):
        calls.write_bytes(content)
        assert pretend("a.tflite", inputs=calls) == ["a.tflite"]
    assert pretend("a.tflite", inputs=calls) == []
    monkeypatch.setattr("varhandle.sweep.run.library_versions", lambda: (("numpy", "0"),))
    assert pretend("a.tflite", inputs=calls) == ["a.tflite"]


def test_a_row_rests_on_the_releases_that_are_installed(monkeypatch):
    found = dict(library_versions())
    assert found.pop("varhandle")
    assert found == {name: metadata.version(name) for name in PACKAGES}
    monkeypatch.setattr("varhandle.sweep.rows.installed_version", lambda _: None)
    assert dict(library_versions())["keras"] == "not installed"


def test_every_setting_is_a_row_of_its_own(small, pretend):
    small.model("a.tflite")
    kept = []
    for settings in ({}, {"targets": ["micro"]}, {"quantizations": ["int8"]}, {"signature": "s"}):
        assert pretend("a.tflite", **settings) == ["a.tflite"]
        kept.append(settings)
        assert not any(pretend("a.tflite", **earlier) for earlier in kept)


@pytest.mark.parametrize(
    ("verdict", "limits", "again"),
    [
        ("timed out", {"timeout": 100.0}, True),
        ("timed out", {"timeout": 5.0}, False),
        ("timed out", {"memory": 9 * GIB}, False),
        ("out of memory", {"memory": 9 * GIB}, True),
        ("ready", {"timeout": 100.0, "memory": 9 * GIB}, False),
    ],
)
def test_a_row_that_met_a_limit_is_made_again_under_a_wider_one(
    small, pretend, verdict, limits, again
):
    small.model("a.tflite", verdict=verdict)
    first = {"timeout": 10.0, "memory": GIB}
    pretend("a.tflite", **first)
    assert bool(pretend("a.tflite", **{**first, **limits})) is again


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"key": 1}', "null"])
def test_a_damaged_row_file_is_no_row(small, pretend, damage):
    small.model("a.tflite")
    pretend("a.tflite")
    (file,) = (small.folder / "out" / "rows").glob("*/row.json")
    file.write_text(damage)
    assert pretend("a.tflite") == ["a.tflite"]


def test_what_could_not_be_written_is_made_again(small):
    specs = rows_of_models([small.model("a.tflite", act="full")])
    for _ in range(2):
        (row,) = run_sweep(specs, small.folder / "out", maker=ProbeMaker()).rows
        assert (row.verdict, row.reason) == ("failed", "/full: No space left on device")
    assert len(small.counted("began")) == 2


def test_a_row_asks_tensorflow_once(running_total, save_module, small, monkeypatch):
    asked, isolated = [], reference.run_isolated

    def counted(*args, **options):
        asked.append(args)
        return isolated(*args, **options)

    pretended = PretendedRows(monkeypatch)
    monkeypatch.setattr(reference, "run_isolated", counted)
    model = small.model("told")
    run_sweep(rows_of_models([model]), small.folder / "out")
    (task,) = pretended.made
    spec = RowSpec(save_module(running_total()))
    CureMaker().make(replace(task, spec=spec))
    verdict = json.loads((task.row_folder / "verdict.json").read_text())
    assert verdict["verdict"] == "ready"
    assert len(asked) == 1
    assert [run["calls"] for run in verdict["diagnosis"]["proof"]["parity"]["runs"]] == [20, 20]
    assert [run["calls"] for run in verdict["parity"]["runs"]] == [20, 20]


# A task that reaches a worker which does not see what the sweep sees.


@pytest.mark.parametrize(
    ("unseen", "fault"),
    [
        ({"folder": Path("/nowhere")}, "cannot see /nowhere: the output folder must be"),
        ({"token": "another"}, "is not the output folder of this sweep: it must be"),
        ({"spec": RowSpec(Path("/gone.tflite"))}, "cannot see /gone.tflite"),
        ({"versions": (("numpy", "0"),)}, "different versions of "),
    ],
)
def test_a_worker_that_cannot_make_a_row_says_why(small, monkeypatch, unseen, fault):
    pretended = PretendedRows(monkeypatch)
    run_sweep(rows_of_models([small.model("a.tflite")]), small.folder / "out", maker=ProbeMaker())
    (task,) = pretended.made
    shutil.rmtree(task.row_folder)
    row = run_row(replace(task, **unseen))
    assert row.verdict == "failed"
    assert fault in row.reason
    assert small.counted("began") == []


# Kills.

# Its rows need no TensorFlow, which each of these programs would import for seconds.
PROGRAM = """
import functools, sys
import varhandle.sweep.row_supervisor as supervisor
import varhandle.sweep.run
from sweep_probe import ProbeMaker
from varhandle.cli import main
varhandle.sweep.run.CureMaker = ProbeMaker
supervisor.run_isolated = functools.partial(supervisor.run_isolated, tensorflow=False)
sys.exit(main(["sweep", *sys.argv[1:]]))
"""


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(sweep_probe.__file__).parent)},
    )


def test_ten_kills_lose_nothing_and_make_no_finished_row_again(small):
    """A row is finished when its result is stored: a kill just before that makes it anew."""
    names = ["a.tflite", "b.tflite", "c.tflite"]
    models = [small.model(name, reason=f"of {name}") for name in names]
    chance = random.Random(8)
    started = time.monotonic()
    start(*models, "--workers", 2, "--output", small.folder / "whole").communicate()
    whole = time.monotonic() - started
    arguments = (*models, "--workers", 2, "--output", small.folder / "out")
    for _ in range(10):
        finished = {path.parent.name[0] for path in small.folder.glob("out/rows/*/row.json")}
        before = Counter(small.counted("began"))
        process = start(*arguments)
        time.sleep(whole * chance.uniform(0.2, 1.1))
        process.kill()
        process.communicate()
        begun = Counter(small.counted("began")) - before
        assert not finished & {row[0] for row in begun}
    said, trouble = start(*arguments).communicate()
    assert "3 of 3 rows ready or convertible" in said, said + trouble
    assert set(small.counted("ended")) == {f"{name} litert None" for name in names}
    assert small.left_behind() == []
    with (small.folder / "out" / "sweep.csv").open(newline="") as file:
        table = [(row["model"], row["reason"], row["bytes"]) for row in csv.DictReader(file)]
    assert table == [(name, f"of {name}", "1234") for name in names]


def test_ctrl_c_keeps_what_is_finished_and_one_folder_takes_one_sweep(small, capsys):
    flag = small.folder / "flag"
    models = [small.model("a.tflite"), small.model("b.tflite", until=str(flag))]
    output = small.folder / "out"
    process = start(*models, "--output", output, "--workers", 2)
    until(lambda: "b.tflite litert None" in small.counted("began"))
    assert process.stdout.readline().startswith("kept 0 of 2 rows")
    assert process.stdout.readline().startswith("1/2 ")

    other = start(*models, "--output", output)
    _, said = other.communicate(timeout=60)
    assert (other.returncode, said.splitlines()) == (
        2,
        [f"varhandle: {output}: another sweep is writing into it: wait, or name another --output"],
    )

    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "varhandle: interrupted"
    assert "Traceback" not in said
    assert small.left_behind() == []
    assert not (output / "sweep.csv").exists()

    (half,) = output.glob("rows/b*")
    assert not (half / "row.json").exists()
    (half / "remains").write_text("")
    flag.touch()
    printed, said = start(*models, "--output", output).communicate(timeout=60)
    assert printed.startswith("kept 1 of 2 rows, 1 to make one at a time\n2/2 "), said
    assert small.counted("ended") == ["a.tflite litert None", "b.tflite litert None"]
    assert not (half / "remains").exists()


def test_a_row_ends_soon_after_whoever_asked_for_it(small):
    model = small.model("a.tflite", until=str(small.folder / "never"), act="leave")
    process = start(model, "--output", small.folder / "out")
    until(lambda: small.pids_file.exists() and small.left_behind())
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    until(lambda: not small.left_behind(), seconds=20)


@pytest.fixture
def prepared(probe, tmp_path):
    """A sweep's folder of one row, which somebody may change, and a place beside it."""
    model = probe.model(f"{tmp_path.name}.tflite")
    specs = rows_of_models([model])
    (row,) = run_sweep(specs, tmp_path / "out", maker=ProbeMaker()).rows
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "precious").write_text("mine")
    return specs, tmp_path / "out", Path(row.folder)


def put(kind, place, beside):
    """Put something else in the place of what a sweep has written."""
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    if kind == "pipe":
        os.mkfifo(place)
    else:
        leads = {"file": "precious", "folder": "elsewhere"}
        place.symlink_to("/dev/zero" if kind == "device" else beside / leads[kind])


@pytest.mark.parametrize("kind", ["file", "folder", "pipe", "device"])
@pytest.mark.parametrize("name", [".sweep", ".locks", "rows", "sweep.csv"])
def test_nothing_is_written_through_what_lies_in_a_folder_of_results(prepared, kind, name):
    specs, out, _ = prepared
    put(kind, out / name, out.parent)
    try:
        run_sweep(specs, out, maker=ProbeMaker())
    except (SweepInputError, OSError) as error:
        assert name in str(error)
    else:  # a link that a file takes the place of
        assert kind == "file" and name in (".sweep", "sweep.csv")
        assert not (out / name).is_symlink()
    assert (out.parent / "precious").read_text() == "mine"
    assert not any((out.parent / "elsewhere").iterdir())


@pytest.mark.parametrize("kind", ["file", "folder", "pipe", "device"])
def test_a_row_is_made_anew_where_something_else_took_its_place(prepared, kind):
    specs, out, folder = prepared
    for place in (out / folder, out / folder / "row.json"):
        put(kind, place, out.parent)
        made = run_sweep(specs, out, maker=ProbeMaker())
        assert [row.verdict for row in made.rows] == ["ready"]
        assert (out / folder / "verdict.json").is_file() and made.kept == 0
    assert (out.parent / "precious").read_text() == "mine"
    assert not any((out.parent / "elsewhere").iterdir())
