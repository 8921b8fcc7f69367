"""Control groups of both versions, as files that a test can look at."""

import pytest

from workshop.limits import Limits, NoLimitsError


@pytest.fixture
def second(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    return tmp_path


@pytest.fixture
def first(tmp_path):
    for controller in ("memory", "cpu", "pids"):
        (tmp_path / controller).mkdir()
        (tmp_path / controller / "cgroup.procs").touch()
    return tmp_path


@pytest.mark.parametrize(("cpus", "quota"), [(1.5, "150000 100000"), (0, "max 100000")])
def test_version_2_is_one_tree(second, cpus, quota):
    limits = Limits.find("hub", second)
    assert (second / "cgroup.subtree_control").read_text() == "+memory +cpu +pids"
    assert limits.make("ada", 2**31, cpus) == [str(second / "hub" / "ada" / "cgroup.procs")]
    group = second / "hub" / "ada"
    assert (group / "memory.max").read_text() == str(2**31)
    assert (group / "memory.swap.max").read_text() == "0"
    assert (group / "cpu.max").read_text() == quota
    assert int((group / "pids.max").read_text()) > 100


@pytest.mark.parametrize(("cpus", "quota"), [(1.5, "150000"), (0, "-1")])
def test_version_1_is_a_tree_for_each(first, cpus, quota):
    limits = Limits.find("hub", first)
    entries = limits.make("ada", 2**31, cpus)
    assert sorted(entries) == [
        str(first / tree / "hub" / "ada" / "cgroup.procs") for tree in ("cpu", "memory", "pids")
    ]
    assert (first / "memory/hub/ada/memory.limit_in_bytes").read_text() == str(2**31)
    assert (first / "memory/hub/ada/memory.memsw.limit_in_bytes").read_text() == str(2**31)
    assert (first / "cpu/hub/ada/cpu.cfs_quota_us").read_text() == quota


def test_a_machine_without_control_groups_says_so(tmp_path):
    with pytest.raises(NoLimitsError, match="no control groups for memory"):
        Limits.find("hub", tmp_path)


def test_groups_that_cannot_be_written_are_named(second):
    (second / "hub").write_text("a file is in the way")
    with pytest.raises(NoLimitsError, match="hub"):
        Limits.find("hub", second)


def test_an_old_group_is_made_anew(second):
    limits = Limits.find("hub", second)
    (second / "hub" / "ada").mkdir(mode=0o700)
    limits.make("ada", 2**31, 1)
    assert (second / "hub" / "ada").stat().st_mode & 0o777 != 0o700


def test_no_limit_but_that_of_swap_may_be_missing(second):
    limits = Limits.find("hub", second)
    for name, file in (("ada", "memory.swap.max"), ("bob", "memory.max")):
        (second / "hub" / name / file).mkdir(parents=True)  # so that it cannot be written
    limits.make("ada", 2**31, 1)
    with pytest.raises(IsADirectoryError):
        limits.make("bob", 2**31, 1)
