"""``varhandle sweep``: what it prints, and the exit code that a CI job acts on."""

from pathlib import Path

import pytest
from sweep_probe import PretendedRows, Probe

from varhandle.cli import main
from varhandle.cli.program import UnfinishedError, write_errors_as_unfinished
from varhandle.sweep import run

NASTY = "<script>\x1b[2J\nx.tflite"


@pytest.fixture
def probe(tmp_path, monkeypatch):
    """A probe whose rows are pretended: each model file says what its row comes to."""
    probe = Probe(tmp_path)
    probe.asked = PretendedRows(monkeypatch).asked
    monkeypatch.chdir(tmp_path)
    return probe


def test_good_rows_exit_0_and_say_where_the_page_is(probe, capsys):
    models = [probe.model("a.tflite"), probe.model("b.tflite", verdict="convertible")]
    assert main(["sweep", *map(str, models)]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0] == "kept 0 of 2 rows, 2 to make by pretending"
    assert lines[1].startswith("1/2 [0:00, about 0:00 left] ✓ ")
    assert {line.partition("] ")[2] for line in lines[1:3]} == {
        "✓ ready: a.tflite (litert)",
        "✓ convertible: b.tflite (litert)",
    }
    index = probe.folder / "workbook-output" / "sweep" / "index.html"
    assert lines[-1] == f"SweepResult(2 of 2 rows ready or convertible): {index}"
    assert index.exists()
    assert printed.err == ""


@pytest.mark.parametrize(
    "verdict", ["blocked", "wrong-answers", "crashed", "timed out", "out of memory", "failed"]
)
def test_any_other_row_exits_1_and_its_name_cannot_forge_a_line(probe, capsys, verdict):
    models = [
        probe.model("a.tflite"),
        probe.model(NASTY, verdict=verdict, reason="a\x1b[31mb\nc"),
    ]
    assert main(["sweep", *map(str, models)]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 4
    assert f"{verdict}: <script>\\x1b[2J\\nx.tflite (litert): ab c" in out


def test_settings_reach_the_rows(probe, capsys):
    model = probe.model("a.tflite")
    calls = probe.folder / "calls.npz"
    calls.write_bytes(b"")
    options = ["--target", "micro", "--target", "litert", "--quantization", "int8"]
    options += ["--quantization", "none", "--signature", "serve", "--inputs", str(calls)]
    assert main(["sweep", str(model), *options, "--workers", "3"]) == 0
    assert probe.asked == [(3, None)]
    out = capsys.readouterr().out
    for setting in ("micro, int8", "micro", "litert, int8", "litert"):
        assert f"a.tflite ({setting}, serve, calls.npz)" in out
    probe.model("b.tflite")
    (probe.folder / "rows.csv").write_text("model,target\nb.tflite,micro\n")
    assert main(["sweep", "a.tflite", "--list", "rows.csv"]) == 0
    out = capsys.readouterr().out
    assert "a.tflite (litert)" in out
    assert "b.tflite (micro)" in out


@pytest.mark.parametrize(
    ("told", "code", "said"),
    [
        ({"verdict": "blocked"}, 0, ()),
        ({"verdict": "ready"}, 0, ("better: b.tflite (litert): blocked → ready",)),
        ({"verdict": "failed"}, 1, ("worse: b.tflite (litert): blocked → failed",)),
        (
            {"verdict": "blocked", "agreeing": 4},
            1,
            ("drifted: b.tflite (litert): 5 of 5 → 4 of 5 calls agree",),
        ),
    ],
)
def test_a_baseline_decides_the_exit_code(probe, capsys, told, code, said):
    parity = {"agreeing": 5, "calls": 5, "largest_difference": 0.0}
    probe.model("a.tflite")
    probe.model("b.tflite", verdict="blocked", **parity)
    assert main(["sweep", "a.tflite", "b.tflite", "--output", "old"]) == 1
    probe.model("b.tflite", **{**parity, **told})
    capsys.readouterr()
    command = ["sweep", "a.tflite", "b.tflite", "--output", "new", "--baseline", "old"]
    assert main(command) == code
    lines = capsys.readouterr().out.splitlines()
    assert tuple(lines[3:-1]) == said


def test_a_missing_row_is_a_regression_and_a_new_one_is_not(probe, capsys):
    for name in ("a.tflite", "b.tflite", "c.tflite"):
        probe.model(name, verdict="blocked")
    assert main(["sweep", "a.tflite", "b.tflite", "--output", "old"]) == 1
    assert main(["sweep", "a.tflite", "b.tflite", "c.tflite", "--baseline", "old"]) == 0
    assert "new: c.tflite (litert): not in the baseline" in capsys.readouterr().out
    assert main(["sweep", "a.tflite", "--output", "less", "--baseline", "old"]) == 1
    said = capsys.readouterr().out
    assert "missing: b.tflite (litert): was blocked" in said
    page = (probe.folder / "less" / "index.html").read_text()
    assert "b.tflite (litert)" in page
    table = (probe.folder / "less" / "sweep.csv").read_text().splitlines()
    assert len(table) == 2
    assert table[1].endswith("blocked,same")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ([], "no row to make: name a model"),
        (["absent"], "absent: there is no such file or folder"),
        (["a\nb"], "a b: there is no such file or folder"),
        (["a.tflite", "--list", "absent.csv"], "absent.csv: cannot be read"),
        (["a.tflite", "--baseline", "absent"], "absent: no sweep"),
        (["a.tflite", "--fail-on", "worse"], "--fail-on worse needs a --baseline"),
        (["a.tflite", "--target", "toaster"], "no target 'toaster'"),
        (["a.tflite", "--quantization", "int3"], "no recipe 'int3'"),
        (["a.tflite", "--inputs", "absent.npz"], "absent.npz: there is no such file"),
        (["a.tflite", "--output", "a.tflite"], "a.tflite: no folder for the results"),
        (["a.tflite", "--scheduler", "tcp://127.0.0.1:1"], "127.0.0.1:1: no scheduler answers"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(probe, capsys, monkeypatch, arguments, fault):
    if "--scheduler" in arguments:
        monkeypatch.undo()
        monkeypatch.chdir(probe.folder)
    probe.model("a.tflite")
    assert main(["sweep", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert fault in printed.err
    assert not (probe.folder / "workbook-output").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--workers", "0"],
        ["--workers", "x"],
        ["--timeout", "0"],
        ["--timeout", "nan"],
        ["--memory", "-1"],
        ["--memory", "inf"],
        ["--workers", "2", "--scheduler", "tcp://x:1"],
    ],
)
def test_a_limit_that_is_none_is_bad_usage(probe, capsys, arguments):
    with pytest.raises(SystemExit) as left:
        main(["sweep", "a.tflite", *arguments])
    assert left.value.code == 2


def test_the_file_that_could_not_be_written_is_named():
    with (
        pytest.raises(UnfinishedError, match=r"^rows/a/row\.json: No space; what was finished"),
        write_errors_as_unfinished(Path("out")),
    ):
        raise OSError(28, "No space", "rows/a/row.json")


def test_whoever_interrupts_a_sweep_is_told_what_is_kept(probe, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run_sweep", interrupted)
    assert main(["sweep", str(probe.model("a.tflite"))]) == 130
    assert capsys.readouterr().err.splitlines() == [
        "finished rows are kept; the same command makes the others",
        "varhandle: interrupted",
    ]
