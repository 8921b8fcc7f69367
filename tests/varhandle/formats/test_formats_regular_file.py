"""Only what is a regular file is read, and never more than there is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from varhandle.formats import regular_file
from varhandle.formats.regular_file import open_regular, read_regular, read_text


def _changing(monkeypatch, change):
    stat, sizes = os.fstat, []

    def changed(descriptor):
        seen = stat(descriptor)
        sizes.append(seen.st_size)
        change()
        return seen

    monkeypatch.setattr(os, "fstat", changed)
    return sizes


def test_a_file_that_grows_is_read_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_bytes(b"before")
    sizes = _changing(monkeypatch, lambda: path.write_bytes(path.read_bytes() + b" and after"))
    assert len(read_regular(path)) == sizes[-1] < path.stat().st_size


def test_a_file_that_shrinks_is_read_as_far_as_it_goes(tmp_path, monkeypatch):
    (tmp_path / "f").write_bytes(b"before")
    _changing(monkeypatch, lambda: os.truncate(tmp_path / "f", 3))
    assert read_regular(tmp_path / "f") == b"bef"


def test_a_large_file_is_refused_unread(tmp_path):
    (tmp_path / "f").write_bytes(b"1234")
    assert read_regular(tmp_path / "f", most=4) == b"1234"
    with pytest.raises(OSError, match="larger"):
        read_regular(tmp_path / "f", most=3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_regular_file_is_refused_and_closed(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        following = os.dup(0)  # the lowest number that is free
        os.close(following)
        with pytest.raises(OSError, match=r"neither|directory"):
            open_regular(path)
        again = os.dup(0)
        os.close(again)
        assert again == following


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("", None),
        ("open({0!r}, 'w').write('whole\\ntext')", b"whole\ntext"),
        ("with open({0!r}, 'w') as pipe: time.sleep(0.5); pipe.write('late')", b"late"),
    ],
)
def test_a_pipe_is_read_if_somebody_writes(tmp_path, monkeypatch, program, expected):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    if expected is None:
        monkeypatch.setattr(regular_file, "_UNTIL_A_WRITER", 50)
        with pytest.raises(OSError, match="nobody writes"):
            read_text(pipe)
        return
    source = f"import time\n{program.format(str(pipe))}"
    with subprocess.Popen([sys.executable, "-c", source]) as writer:
        assert read_text(pipe) == expected
    assert not writer.returncode


def test_a_writer_who_takes_his_time_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(regular_file, "_UNTIL_A_WRITER", 1)
    reading, writing = os.pipe()
    source = f"import os, time; time.sleep(1); os.write({writing}, b'late')"
    with subprocess.Popen([sys.executable, "-c", source], pass_fds=[writing]):
        os.close(writing)
        assert read_text(Path(f"/dev/fd/{reading}")) == b"late"
    os.close(reading)


def test_a_text_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(regular_file, "LARGEST_TEXT", 1000)
    with pytest.raises(OSError, match="more than 1,000 bytes"):
        read_text(Path("/dev/zero"))
