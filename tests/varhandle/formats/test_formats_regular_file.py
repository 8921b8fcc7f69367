"""Only what is a regular file is read, and never more than there is."""

import os

import pytest

from varhandle.formats.regular_file import open_regular, read_regular


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
