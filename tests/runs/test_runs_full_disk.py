"""A disk that is full under the output: one line says so, and nothing is lost."""

import os
import subprocess
import sys

import nbformat
import pytest

from varhandle.atomic_write import write_all, write_text
from workbook_lib.cli import main
from workbook_lib.locations import data_path

SIZE = 400_000
GROWING = ("print('a' * 1000)", "print('b' * 600_000)", "print('c')")


@pytest.fixture
def disk(tmp_path):
    """A file system of its own, with room for 400 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "workbook-test", str(folder)]
    try:
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("only root may mount a small file system, and not everywhere")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk, left):
    """Fill the disk but for so many bytes, in whole pages."""
    room = os.statvfs(disk)
    (disk / "fill").write_bytes(b"x" * max(0, room.f_bavail * room.f_bsize - left))


def notebook(path, *sources):
    cells = [nbformat.v4.new_code_cell(s, id=f"cell-{n}") for n, s in enumerate(sources)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def only_line(capsys):
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_run_keeps_what_ran_before_and_the_earlier_copy(tmp_path, disk, capsys):
    small = notebook(tmp_path / "small.ipynb", "print(1)")
    large = notebook(tmp_path / "large.ipynb", *GROWING)
    (disk / "large.ipynb").write_text("an earlier copy")
    assert main(["run", str(small), str(large), "--output", str(disk)]) == 1
    line = only_line(capsys)
    assert line.startswith(f"workbook: {disk / 'large.ipynb'}: No space left on device; ")
    assert "kept" in line
    assert sorted(path.name for path in disk.iterdir()) == ["large.ipynb", "small.ipynb"]
    assert (disk / "large.ipynb").read_text() == "an earlier copy"
    assert nbformat.read(disk / "small.ipynb", 4).cells[0].outputs[0].text == "1\n"


def test_an_edition_is_written_whole_or_not_at_all(tmp_path, disk, capsys):
    path = notebook(tmp_path / "large.ipynb", *GROWING)
    (disk / "index.html").write_text("an earlier one")
    assert main(["edition", "slides", str(path), "--output", str(disk)]) == 1
    assert "No space left on device" in only_line(capsys)
    assert [path.name for path in disk.iterdir()] == ["index.html"]
    assert (disk / "index.html").read_text() == "an earlier one"


@pytest.mark.parametrize("left", [4_096, 20_480])
def test_a_sweep_makes_the_row_when_there_is_room_again(disk, capfd, left):
    """First there is room for no file of the row, then for the verdict without the model."""
    model = data_path("digits_classifier.keras")
    command = ["sweep", str(model), "--output", str(disk / "sweep")]
    fill(disk, left)
    assert main(command) == 1
    said = capfd.readouterr()
    assert "No space left on device" in said.out + said.err
    assert "Traceback" not in said.out + said.err
    assert not list((disk / "sweep").rglob("row.json"))
    (disk / "fill").unlink()
    subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
    assert main(command) == 0
    assert "kept 0 of 1 rows" in capfd.readouterr().out
    assert main(command) == 0
    assert "kept 1 of 1 rows" in capfd.readouterr().out


def test_files_are_written_all_or_none(disk):
    old, large = disk / "old", disk / "large"
    old.write_text("old")
    with pytest.raises(OSError, match="No space left") as caught:
        write_all({old: b"new", large: b"x" * 2 * SIZE})
    assert caught.value.filename == str(large)
    assert [path.name for path in disk.iterdir()] == ["old"]
    assert old.read_text() == "old"


def test_a_file_in_place_of_a_folder_is_named(tmp_path):
    with pytest.raises(IsADirectoryError) as caught:
        write_text(tmp_path, "text")
    assert caught.value.filename == str(tmp_path)


def test_a_kill_while_writing_leaves_the_old_file(tmp_path):
    """The process is ended between the writing and the putting into place."""
    path = tmp_path / "file"
    path.write_text("old")
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from varhandle.atomic_write import write_text\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "write_text(Path(sys.argv[1]), 'new')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], check=False)
    assert done.returncode == -9
    assert path.read_text() == "old"
