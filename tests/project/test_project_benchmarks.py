"""The page of figures is what the README quotes, and says what it says by arithmetic."""

import re

import pytest

from benchmarks import __main__ as command
from benchmarks.figures import Chapter, Figure, page
from workbook_lib.locations import project_root

ROOT = project_root()
PAGE = (ROOT / "benchmarks" / "results.md").read_text(encoding="utf-8")
NUMBER = r"([\d.e+-]+)"
ROW = re.compile(rf"^\| (?!what)(.+?) \| {NUMBER} \| (.+?) \| {NUMBER} \| {NUMBER} \| ", re.M)


def test_a_ratio_is_ours_over_theirs():
    chapter = Chapter("T", "How.", "cmd", (Figure("a", 3.0, "b", 12.0, "< 1"),))
    assert "| a | 3 | b | 12 | 0.25 | < 1 |" in page([chapter], "a machine")


def test_the_page_holds_every_benchmark_and_its_arithmetic():
    rows = ROW.findall(PAGE)
    assert len(rows) >= 9
    for what, ours, _, theirs, ratio in rows:
        assert float(ours) / float(theirs) == pytest.approx(float(ratio), rel=0.02), what
    for name in command.BENCHMARKS:
        assert f"`python -m benchmarks {name}`" in PAGE


def test_what_was_aimed_at_was_reached():
    for line in PAGE.splitlines():
        aim = re.search(r"\| (ratio < |< )([\d.]+)( ms)? \|$", line)
        if aim:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            reached = float(cells[4]) if aim[1].startswith("ratio") else float(cells[1])
            assert reached < float(aim[2]), line


def test_the_readme_quotes_the_page():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    quoted = readme.partition("## What it costs")[2].partition("\n## ")[0]
    rows = re.findall(rf"^\| (?!---)(.+?) \| (.+?) \| {NUMBER} \|$", quoted, re.M)
    assert len(rows) >= 6
    measured = {(what, against): ratio for what, _, against, _, ratio in ROW.findall(PAGE)}
    for what, against, ratio in rows:
        assert measured[what, against] == ratio, what


def test_the_page_names_no_machine():
    assert not re.search(r"/home/|/root|/tmp/", PAGE)


def test_an_unknown_benchmark_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "nonsense"])
    with pytest.raises(SystemExit) as refused:
        command.main()
    assert refused.value.code == 2
    assert "there are: overhead, runtimes" in capsys.readouterr().err
