"""``workbook run``: what it executes, keeps and reports, and what it says to bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from workbook_lib.cli import main
from workbook_lib.locations import project_root
from workbook_lib.runs import RunInputError, all_notebooks, run_notebooks
from workbook_lib.runs.execute import execute_notebook


def write(path, *sources, parameters=None):
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(sources)]
    if parameters is not None:
        cell = nbformat.v4.new_code_cell(parameters, id="parameters")
        cell.metadata["tags"] = ["parameters"]
        cells.insert(0, cell)
    metadata = {"kernelspec": {"name": "python3", "display_name": "p", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    return path


def command(*words):
    return [sys.executable, "-m", "workbook_lib.cli", "run", *words]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run{braces}")  # papermill fills such a field in
    good = write(folder / "good.ipynb", "print(size * 2)", parameters="size = 1")
    bad = write(folder / "bad.ipynb", "x = 1", "raise KeyError('<gone>')", "y = 2")
    started = []
    report = run_notebooks([good, bad], folder / "out", {"size": 21}, started.append)
    return report, started


def test_a_parameter_reaches_the_notebook_that_declares_it(ran):
    executed = json.loads(ran[0].notebooks[0].executed.read_text())
    printed = [o["text"] for c in executed["cells"] for o in c.get("outputs", [])]
    assert "".join(printed[0]) == "42\n"


def test_a_failure_is_named_by_notebook_cell_and_error(ran):
    report, started = ran
    good, bad = report.notebooks
    assert started == ["good.ipynb", "bad.ipynb"]
    assert good.ok
    assert (bad.cell, bad.error) == ("cell-1", "KeyError: '<gone>'")
    assert not report.ok
    assert repr(report) == "RunReport(1 of 2 notebooks passed)"
    assert "failed in cell cell-1: KeyError: '<gone>'" in report.text()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_kernel_that_is_killed_in_a_cell_costs_that_notebook_alone(tmp_path, jobs):
    kill = "import os, signal; print('so far', flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    killed = write(tmp_path / "killed.ipynb", "print('before')", kill, "print('never')")
    good = write(tmp_path / "good.ipynb", "print('good')")
    report = run_notebooks([killed, good], tmp_path / "out", jobs=jobs)
    first, second = report.notebooks
    assert second.ok
    assert first.died and not report.ok
    assert first.verdict.startswith("failed in cell cell-1: the kernel died: a library crashed")
    cells = nbformat.read(first.executed, as_version=4).cells
    assert [[output.text for output in cell.outputs] for cell in cells][::2] == [["before\n"], []]
    assert first.verdict in (tmp_path / "out" / "index.html").read_text()


def test_the_index_leads_to_files_that_are_kept_and_to_the_cell_that_failed(ran):
    report, _ = ran
    index = BeautifulSoup((report.folder / "index.html").read_text(), "html.parser")
    assert "KeyError: '<gone>'" in index.get_text()
    links = [link["href"] for link in index("a")]
    assert links == ["good.html", "good.ipynb", "bad.html#cell-cell-1", "bad.ipynb"]
    assert all((report.folder / link.partition("#")[0]).exists() for link in links)
    assert 'id="cell-cell-1"' in (report.folder / "bad.html").read_text()


def test_pages_run_and_fetch_nothing_and_show_what_failed(ran):
    report, _ = ran
    for name in ("index.html", "good.html", "bad.html"):
        page = (report.folder / name).read_text()
        assert "default-src 'none'" in page
        assert "<script" not in page
        assert "://" not in page
    assert "KeyError" in (report.folder / "bad.html").read_text()


LOOK = """
import json
from pathlib import Path
(copy,) = Path({folder!r}).glob(".*.growing.ipynb")
cells = json.loads(copy.read_text())["cells"]
print(json.dumps([cell["metadata"]["papermill"]["status"] for cell in cells]))
print([output["text"] for cell in cells for output in cell.get("outputs", [])])
"""


def test_a_cell_that_is_at_work_is_in_the_copy_with_all_that_came_before(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    path = write(tmp_path / "reads.ipynb", "print('first')", LOOK.format(folder=str(folder)))
    notebook = nbformat.read(path, as_version=4)
    text = [nbformat.v4.new_markdown_cell(words) for words in ("Text.", "More.")]
    notebook.cells = [notebook.cells[0], text[0], notebook.cells[1], text[1]]
    nbformat.write(notebook, path)
    run = execute_notebook(path, folder / path.name, {})
    assert run.ok, run.error
    executed = nbformat.read(run.executed, as_version=4).cells
    statuses, outputs = executed[2].outputs[0].text.splitlines()
    assert json.loads(statuses) == ["completed", "completed", "running", "pending"]
    assert outputs == "[['first\\n']]"
    assert [cell.metadata.papermill.status for cell in executed] == ["completed"] * 4


def test_a_run_keeps_out_of_the_learners_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_PROGRESS", str(tmp_path / "mine.jsonl"))
    path = write(tmp_path / "reads.ipynb", "import os; print(os.environ['WORKBOOK_PROGRESS'])")
    report = run_notebooks([path], tmp_path / "out")
    assert '"off\\n"' in report.notebooks[0].executed.read_text()
    assert os.environ["WORKBOOK_PROGRESS"] == str(tmp_path / "mine.jsonl")


def test_an_unknown_parameter_is_refused_before_anything_runs(tmp_path):
    path = write(tmp_path / "one.ipynb", "1", parameters="size = 1")
    with pytest.raises(RunInputError, match="no notebook has the parameter sise; there are: size"):
        run_notebooks([path], tmp_path / "out", {"sise": 2})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("folder", [".", "link"])
def test_a_run_does_not_write_over_its_notebook(tmp_path, monkeypatch, folder):
    (tmp_path / "apart").mkdir()
    first = write(tmp_path / "apart" / "one.ipynb", "1")
    second = write(tmp_path / "two.ipynb", "2")
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    before = second.read_bytes()
    monkeypatch.chdir(tmp_path)
    started = []
    with pytest.raises(RunInputError, match=r"two\.ipynb: its executed copy would replace it"):
        run_notebooks([first, second], Path(folder), on_start=started.append)
    assert started == []
    assert second.read_bytes() == before


@pytest.mark.parametrize("second", ["same.ipynb", "Same.ipynb"])
def test_two_notebooks_of_one_name_are_refused_before_anything_runs(tmp_path, second):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    paths = [write(tmp_path / "a" / "same.ipynb", "1"), write(tmp_path / "b" / second, "2")]
    with pytest.raises(RunInputError, match=r"replace that of .*same\.ipynb; run them apart"):
        run_notebooks(paths, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [None, b"", b"hello", bytes(range(256)), b"[]"])
def test_bad_input_gets_one_line_that_names_the_file_and_exit_2(tmp_path, capsys, content):
    path = tmp_path / "bad.ipynb"
    if content is not None:
        path.write_bytes(content)
    assert main(["run", str(path), "--output", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert str(path) in line


def test_a_folder_that_cannot_be_written_is_said(tmp_path, capsys):
    path = write(tmp_path / "one.ipynb", "1")
    (tmp_path / "file").write_text("")
    assert main(["run", str(path), "--output", str(tmp_path / "file" / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "file" / "out") in line


def test_trouble_in_the_middle_of_a_run_is_not_called_bad_input(tmp_path, monkeypatch, capsys):
    def full(report):
        raise OSError(28, "No space left on device", str(report.folder / "index.html"))

    monkeypatch.setattr("workbook_lib.runs.report.write_report", full)
    path = write(tmp_path / "one.ipynb", "1")
    assert main(["run", str(path), "--output", str(tmp_path / "out")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{tmp_path / 'out' / 'index.html'}: No space left on device" in line


def test_relative_paths_hold_while_another_notebook_runs(tmp_path, monkeypatch):
    (tmp_path / "lessons").mkdir()
    for name in "abc":
        write(tmp_path / "lessons" / f"{name}.ipynb", "import os; print(os.getcwd())")
    monkeypatch.chdir(tmp_path)
    paths = [Path("lessons", f"{name}.ipynb") for name in "abc"]
    report = run_notebooks(paths, Path("out"), jobs=2)
    assert report.ok, report.text()
    assert len(list((tmp_path / "out").glob("?.ipynb"))) == 3


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_a_run_with_one_line_and_exit_130(tmp_path, jobs):
    source = "open('begun', 'w').close(); import time; time.sleep(600)"
    paths = [write(tmp_path / name, source) for name in ("one.ipynb", "two.ipynb", "three.ipynb")]
    process = subprocess.Popen(
        command(*paths, "--output", tmp_path / "out", "--jobs", jobs),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(600):
        if (tmp_path / "begun").exists():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "workbook: interrupted"
    assert "Traceback" not in said


def test_two_at_a_time_meet_and_are_reported_in_their_order(tmp_path):
    """Each waits for the other's mark: one after the other, the first would wait in vain."""
    meet = (
        "import pathlib, time\n"
        "pathlib.Path('mark-{own}').touch()\n"
        "for _ in range(600):\n"
        "    if pathlib.Path('mark-{other}').exists(): break\n"
        "    time.sleep(0.1)\n"
        "else: raise TimeoutError\n"
        "time.sleep({own})\n"  # the first one ends last
        "import os; print(os.environ['WORKBOOK_PROGRESS'])"
    )
    paths = [
        write(tmp_path / f"{own}.ipynb", meet.format(own=own, other=other))
        for own, other in ((1, 0), (0, 1))
    ]
    report = run_notebooks(paths, tmp_path / "out", jobs=2)
    assert report.ok, report.text()
    assert [run.name for run in report.notebooks] == ["1.ipynb", "0.ipynb"]
    for run in report.notebooks:
        assert "off" in run.executed.read_text(encoding="utf-8")


def test_the_command_exits_1_and_names_what_failed(tmp_path):
    path = write(tmp_path / "fails.ipynb", "assert 1 == 2, 'sums'")
    done = subprocess.run(
        command(path, "--output", tmp_path / "o"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "fails.ipynb" in done.stdout
    assert "failed in cell cell-0: AssertionError: sums" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_all_notebooks_are_those_of_the_folder():
    names = [path.name for path in all_notebooks()]
    assert names[0] == "00_start_here.ipynb"
    assert names == sorted(path.name for path in (project_root() / "notebooks").glob("*.ipynb"))
