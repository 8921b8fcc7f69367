"""A sweep beside an earlier one: what counts as worse, as drift, as missing."""

import csv
import os

import pytest
from sweep_probe import PretendedRows, Probe

from varhandle.formats import regular_file
from varhandle.sweep.baseline import compare_rows
from varhandle.sweep.results import read_rows
from varhandle.sweep.row_specs import SweepInputError, rows_of_models
from varhandle.sweep.rows import OUTCOMES, Row
from varhandle.sweep.run import run_sweep


def row(verdict="ready", *, model="m", quantization=None, **more):
    return Row(model, None, None, "litert", quantization, verdict, "why", **more)


def parity(agreeing, difference, tolerance=None, **more):
    return row(
        agreeing=agreeing, calls=5, largest_difference=difference, tolerance=tolerance, **more
    )


def kind(now, before):
    (change,) = compare_rows([now], [before])
    return change.kind


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        *((outcome, outcome, "same") for outcome in OUTCOMES),
        ("ready", "convertible", "worse"),
        ("convertible", "unproved", "worse"),
        ("unproved", "blocked", "worse"),
        ("unproved", "ready", "better"),
        ("blocked", "wrong-answers", "worse"),
        ("wrong-answers", "crashed", "worse"),
        ("wrong-answers", "failed", "worse"),
        ("ready", "timed out", "worse"),
        ("crashed", "out of memory", "same"),
        ("failed", "crashed", "same"),
        ("timed out", "wrong-answers", "better"),
        ("blocked", "ready", "better"),
    ],
)
def test_verdicts_have_an_order(before, now, expected):
    assert kind(row(now), row(before)) == expected


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (parity(5, 1e-7), parity(5, 1e-7), "same"),
        (parity(5, 1e-7), parity(4, 1e-7), "drifted"),
        (parity(4, 1e-7), parity(5, 1e-7), "same"),
        (parity(5, 1e-6), parity(5, 9e-6), "same"),  # below ten times
        (parity(5, 1e-6), parity(5, 1.1e-5), "drifted"),
        (parity(5, 0.0), parity(5, 9e-7), "same"),  # below 1 % of 1e-4: rounding
        (parity(5, 0.0), parity(5, 1.1e-6), "drifted"),
        (parity(5, 1e-4, 0.1), parity(5, 9e-4, 0.1), "same"),
        (parity(5, 1e-6, 0.1), parity(5, 9e-4, 0.1), "same"),  # below 1 % of 0.1
        (parity(5, 1e-5, 0.1), parity(5, 2e-3, 0.1), "drifted"),
        (parity(5, 1e-5), parity(5, float("nan")), "drifted"),
        (parity(5, 1e-7), row(), "drifted"),  # nothing was compared any more
        (parity(5, 1e-7), row(calls=5), "drifted"),  # as a table that was edited may have it
        (parity(5, 1e-7), row(agreeing=0, calls=0), "drifted"),
        (row(), parity(5, 1e-7), "same"),
        (row(calls=5), parity(5, 1e-7), "same"),
        (row(agreeing=0, calls=0), parity(5, 1e-7), "same"),
        (parity(5, 1e-7), row("blocked"), "worse"),  # said once
        (parity(3, 1e-7, verdict="wrong-answers"), row("blocked"), "better"),
    ],
)
def test_answers_drift(before, now, expected):
    assert kind(now, before) == expected


def test_rows_belong_together_by_name_and_settings():
    before = [row(model="a"), row(model="a", quantization="int8"), row(model="gone")]
    now = [row("blocked", model="a", quantization="int8"), row(model="a"), row(model="fresh")]
    changes = compare_rows(now, before)
    assert [(change.title, change.kind) for change in changes] == [
        ("a (litert, int8)", "worse"),
        ("a (litert)", "same"),
        ("fresh (litert)", "new"),
        ("gone (litert)", "missing"),
    ]
    assert [change.regression for change in changes] == [True, False, False, True]
    assert str(changes[0]) == "worse: a (litert, int8): ready → blocked"


def test_a_baseline_is_read_back_as_it_was(tmp_path, monkeypatch):
    PretendedRows(monkeypatch)
    probe = Probe(tmp_path)
    good = probe.model("good.tflite", findings=["x", "y"], agreeing=5, calls=5, bytes=9)
    numbers = {"largest_difference": 0.1 + 0.2, "tolerance": 1e-3, "seconds": 2.5}
    bad = probe.model('q"uo,te.tflite', verdict="blocked", reason='a, "b"', **numbers)
    formulas = [probe.model(name, reason=f"{name}1+1") for name in ("=.pb", "@.pb", "'=.pb")]
    specs = rows_of_models([good, bad, *formulas], quantizations=[None, "int8"])
    result = run_sweep(specs, tmp_path / "out")
    assert read_rows(tmp_path / "out") == result.rows
    again = run_sweep(specs, tmp_path / "new", baseline=tmp_path / "out")
    assert [change.kind for change in again.changes] == ["same"] * 10
    assert again.ok
    with pytest.raises(SweepInputError, match="the baseline is the output folder"):
        run_sweep(specs, tmp_path / "new", baseline=tmp_path / "new")
    with (tmp_path / "out" / "sweep.csv").open(newline="") as file:
        cells = [cell for line in csv.reader(file) for cell in line]
    assert "'=.pb" in cells and "'=.pb1+1" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


HEADER = (
    "model,signature,inputs,target,quantization,verdict,reason,findings,agreeing,calls,"
    "largest_difference,tolerance,bytes,seconds,cell,folder,file"
)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "No such file or directory"),
        (b"", "its columns are others"),
        (b"a,b\n1,2\n", "its columns are others"),
        (b"\xff\xfe", "it is no UTF-8 text"),
        (f"{HEADER}\nm,,,litert,,splendid,,,,,,,,1.0,,,\n".encode(), "the verdict 'splendid'"),
        (f"{HEADER}\nm,,,litert,,ready,,,x,,,,,1.0,,,\n".encode(), "invalid literal"),
        (f"{HEADER}\nm,,,litert\n".encode(), "the verdict None"),
        (f'{HEADER}\n"m'.encode(), "unexpected end of data"),
        (f"{HEADER}\nm,,,litert,,ready,,,6,5,,,,1.0,,,\n".encode(), "more calls agree"),
        (f"{HEADER}\nm,,,litert,,ready,,,{'9' * 4000},1,,,,1.0,,,\n".encode(), "more calls agree"),
    ],
)
def test_a_baseline_that_is_no_sweep_is_refused(tmp_path, content, fault):
    if content is not None:
        (tmp_path / "sweep.csv").write_bytes(content)
    with pytest.raises(SweepInputError, match=f"no sweep: .*{fault}"):
        read_rows(tmp_path)


def test_names_of_a_baseline_are_shown_as_text(tmp_path):
    line = '"\x1b]0;a\nb",,,\x9b2J,,ready,,,,,,,,1.0,,,'
    (tmp_path / "sweep.csv").write_text(f"{HEADER}\n{line}\n", encoding="utf-8")
    (change,) = compare_rows([], read_rows(tmp_path))
    assert str(change).isprintable()
    assert change.regression


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_baseline_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(regular_file, "_UNTIL_A_WRITER", 50)
    monkeypatch.setattr(regular_file, "LARGEST_TEXT", 1000)
    os.mkfifo(tmp_path / "sweep.csv")
    with pytest.raises(SweepInputError, match="nobody writes"):
        read_rows(tmp_path)
    (tmp_path / "sweep.csv").unlink()
    (tmp_path / "sweep.csv").symlink_to("/dev/zero")
    with pytest.raises(SweepInputError, match="more than 1,000 bytes"):
        read_rows(tmp_path)
