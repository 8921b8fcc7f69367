"""User numbers, and what a process is when it has left root behind."""

import os
import subprocess
from pathlib import Path

import pytest

from workbook_lib import cli
from workshop import mount_view, user_numbers
from workshop.hub_folder import USER_NUMBERS, HubFolder, WorkshopError
from workshop.mount_view import mount_view_of, unreadable_ancestors
from workshop.sandbox_spec import MountView, SandboxSpec
from workshop.user_numbers import first_number

ALL = "         0          0 4294967295\n"
INSIDE = "         0       1000          1\n         1     100000      65536\n"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
NUMBER = 1_900_000_123


def test_numbers_are_high_and_fit():
    for _ in range(100):
        assert 20_000 <= first_number(ALL) <= 2**31 - USER_NUMBERS
        assert 20_000 <= first_number(INSIDE) <= 65_537 - USER_NUMBERS


def test_numbers_that_are_in_use_are_not_taken():
    taken = range(20_000, 64_000)
    assert first_number(INSIDE, taken) >= 64_000


def test_a_range_of_one_block_is_enough():
    assert first_number(f"0 1000 1\n20000 100000 {USER_NUMBERS}") == 20_000
    with pytest.raises(WorkshopError, match="/etc/subuid"):
        first_number(f"0 1000 1\n20000 100000 {USER_NUMBERS - 1}")


def test_a_block_is_free_from_its_first_number_to_its_last():
    """Of every 900 numbers one is taken, so a block of a thousand is free nowhere."""
    with pytest.raises(WorkshopError, match="in use"):
        first_number(ALL, range(20_000, 2**31, 900))


@pytest.mark.parametrize("uid_map", ["", "0 1000 1\n", "0 1000 1\n1 100000 20500\n"])
def test_too_few_numbers_are_refused_with_what_to_do(uid_map):
    with pytest.raises(WorkshopError, match="/etc/subuid"):
        first_number(uid_map)


def test_without_separation_the_command_starts_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(user_numbers.shutil, "which", lambda _: None)
    folder = tmp_path / "hub"
    assert cli.main(["hub", f"--folder={folder}"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("workbook: participants can be kept apart only by root")
    assert err.count("\n") == 1
    assert not folder.exists()


@as_root
@pytest.mark.parametrize("own_view", [True, False])
def test_a_process_that_has_entered_has_no_rights(tmp_path, own_view):
    if own_view and not mount_view.can_have_own_view():
        pytest.skip("this container has no mount namespaces")
    show = "id -u; id -g; id -G; pwd; umask; grep -E 'CapPrm|CapEff|NoNewPrivs' /proc/self/status"
    command = SandboxSpec(NUMBER, "/", view=MountView((), ()) if own_view else None).command(
        ["sh", "-c", show]
    )
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd="/", extra_groups=[4]
    )
    number = str(NUMBER)
    assert done.stdout.split() == [
        number, number, number, "/", "0077",
        "CapPrm:", "0" * 16, "CapEff:", "0" * 16, "NoNewPrivs:", "1",
    ]  # fmt: skip


@as_root
def test_a_view_covers_and_keeps(tmp_path):
    if not mount_view.can_have_own_view():
        pytest.skip("this container has no mount namespaces")
    closed = tmp_path / "closed"
    kept = closed / "kept"
    kept.mkdir(parents=True)
    (kept / "file").write_text("here")
    (closed / "other").touch()
    deep = closed / "elsewhere" / "and" / "deeper"
    deep.mkdir(parents=True)
    (kept / "link").symlink_to(deep)  # as .venv may be one
    closed.chmod(0o700)
    assert closed in unreadable_ancestors(kept)
    folders = [str(folder) for folder in (kept, kept / "link", deep)]
    spec = SandboxSpec(NUMBER, "/", view=MountView(covered=[str(closed)], kept=folders))
    look = f"cat {kept}/file; ls {closed}; touch /tmp/x-{NUMBER} /dev/shm/x && ls /dev/shm"
    done = subprocess.run(
        spec.command(["sh", "-c", look]), capture_output=True, text=True, check=True, cwd="/"
    )
    assert done.stdout.split() == ["hereelsewhere", "kept", "x"]
    assert (closed / "other").exists()
    assert not Path(f"/tmp/x-{NUMBER}").exists()
    assert not Path("/dev/shm/x").exists()


@as_root
def test_scratch_is_smaller_than_the_memory_that_it_counts_as(tmp_path):
    """A full one must leave room for the server, which the kernel would end again and again."""
    if not mount_view.can_have_own_view():
        pytest.skip("this container has no mount namespaces")
    hub = HubFolder(tmp_path)
    view = mount_view_of(hub, memory=2**30)
    assert 3 * view.scratch < 2**29
    spec = SandboxSpec(NUMBER, "/", view=MountView((), (), 2**20))
    fill = "for d in /tmp /dev/shm; do head -c 4M /dev/zero > $d/x; stat -c %s $d/x; done"
    done = subprocess.run(
        spec.command(["sh", "-c", fill]), capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.stdout.split() == [str(2**20)] * 2
    assert "No space left" in done.stderr


@as_root
def test_what_cannot_be_entered_runs_nothing(tmp_path):
    spec = SandboxSpec(NUMBER, "/", groups=[str(tmp_path / "no" / "cgroup.procs")])
    mark = tmp_path / "mark"
    done = subprocess.run(
        spec.command(["touch", str(mark)]), capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 1
    assert "this place cannot be entered" in done.stderr
    assert not mark.exists()
