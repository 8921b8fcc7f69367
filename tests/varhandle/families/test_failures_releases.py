"""Releases in environments of their own: which Python, which reason, and no program left over."""

import inspect
import json
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from varhandle.facts.releases import WHEELS, pythons_of
from varhandle.matrix import environments
from varhandle.matrix.environments import (
    NotInstalledError,
    Release,
    ReleaseInputError,
    StoppedError,
    choose_pythons,
    install,
    parse_releases,
    run_with_descendants,
    tensorflow_packages,
    uv_run,
)
from workbook_lib import environment

HERE = {
    version: Path(f"/pythons/{version}")
    for version in ("3.14.0", "3.12.1", "3.11.7", "3.11.2", "3.10.13", "3.8.18", "3.7.16")
}


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("2.15.1", Release("2.15.1")),
        ("2.15.1@3.11", Release("2.15.1", "3.11")),
        ("1.15.5@3.7.16", Release("1.15.5", "3.7.16")),
    ],
)
def test_a_release_is_read(text, release):
    assert parse_releases([text]) == (release,)


@pytest.mark.parametrize(
    "text",
    ["", "2", "2.15", "2.x.1", "2.15.1@", "2.15.1@2.7", "2.15.1@python3.9", "-1.2.3", "2.15.1 ",
     "2.15.1\n", "--help", "1.14.0", "2.15.1;rm", "٢.15.1", "2.15.1@3.11@3.12"],
)  # fmt: skip
def test_what_is_no_release_is_refused_in_one_line(text):
    with pytest.raises(ReleaseInputError) as refused:
        parse_releases([text])
    assert "\n" not in str(refused.value)


# From the "tested build configurations" of TensorFlow's installation guide, and the wheels.
@pytest.mark.parametrize(
    ("version", "newest", "oldest"),
    [
        ("1.15.5", "3.7", "3.6"),
        ("2.3.4", "3.8", "3.6"),
        ("2.7.4", "3.9", "3.7"),
        ("2.8.4", "3.10", "3.7"),
        ("2.12.1", "3.11", "3.8"),
        ("2.15.1", "3.11", "3.9"),
        ("2.16.2", "3.12", "3.9"),
        ("2.20.0", "3.13", "3.9"),
        ("2.21.0", "3.13", "3.10"),
    ],
)
def test_the_pythons_of_a_release(version, newest, oldest):
    known = pythons_of(version)
    assert (known[0], known[-1]) == (newest, oldest)


def test_a_release_after_the_table_may_take_any_newer_python():
    known = pythons_of("2.30.0")
    assert known[-1] == "3.10"
    assert "3.14" in known


def test_the_newest_python_that_has_a_wheel_is_tried_first():
    chosen = choose_pythons(Release("2.12.1"), HERE)
    assert list(chosen) == ["3.11", "3.10", "3.8"]
    assert chosen["3.11"] == Path("/pythons/3.11.7")


def test_the_python_that_was_asked_for_is_the_only_one():
    assert choose_pythons(Release("2.12.1", "3.8"), HERE) == {"3.8": Path("/pythons/3.8.18")}
    assert list(choose_pythons(Release("2.12.1", "3.11.2"), HERE)) == ["3.11.2"]


def test_3_1_is_not_3_11():
    with pytest.raises(NotInstalledError, match=r"no CPython 3\.1 on this machine"):
        choose_pythons(Release("2.12.1", "3.1"), HERE)


@pytest.fixture
def uv(tmp_path, monkeypatch):
    """Put a program of a few lines in the place of uv."""

    def put(lines):
        path = tmp_path / "bin" / "uv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{lines}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(path.parent))
        return path

    return put


def listed(version, **other):
    usual = {"implementation": "cpython", "variant": "default", "path": f"/p/{version}"}
    return {"version": version, **usual, **other}


@pytest.mark.parametrize(
    ("version", "limits"),
    [
        ("2.8.4", ["numpy<2", "protobuf<3.21", "setuptools<70"]),
        ("2.9.3", ["numpy<2", "setuptools<70"]),
        ("2.16.2", ["numpy<2", "setuptools<70"]),
        ("2.17.1", ["numpy<2"]),
        ("2.18.1", []),
    ],
)
def test_a_release_is_installed_with_packages_of_its_time(uv, version, limits):
    uv("")
    command = uv_run(tensorflow_packages(version), Path("/p/3.10"))
    packages = [b for a, b in pairwise(command) if a == "--with"]
    assert packages == [f"tensorflow=={version}", *limits]


def test_the_pythons_of_this_machine_come_from_uv(uv):
    found = [
        listed("3.9.18"),
        listed("3.13.0", variant="freethreaded"),
        listed("3.10.13"),
        listed("3.10.13", path="/shim"),
        listed("3.11.1", implementation="pypy"),
    ]
    uv(f"print({json.dumps(json.dumps(found))})")
    assert environments.pythons_here() == {
        "3.10.13": Path("/p/3.10.13"),
        "3.9.18": Path("/p/3.9.18"),
    }


def test_the_pythons_of_pyenv_are_on_the_path_that_uv_sees(uv, tmp_path, monkeypatch):
    (tmp_path / "versions" / "3.8.18" / "bin").mkdir(parents=True)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    seen = tmp_path / "seen"
    uv(
        "told = os.environ['PATH'] + os.environ['UV_PYTHON_DOWNLOADS']\n"
        f"open({str(seen)!r}, 'w').write(told)\n"
        "print([])"
    )
    environments.pythons_here()
    assert str(tmp_path / "versions" / "3.8.18" / "bin") in seen.read_text()
    assert seen.read_text().endswith("never")


# As uv 0.5 to 0.13 words it, tree and line breaks included.
@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (
            "  x No solution found when resolving dependencies:\n"
            "  ╰─▶ Because there is no version of tensorflow==2.99.0 and you require\n"
            "      tensorflow==2.99.0, we can conclude that your requirements are unsatisfiable.\n",
            "there is no version of tensorflow==2.99.0 and you require tensorflow==2.99.0",
        ),
        (
            "error: Failed to fetch: `https://index.example/simple/tensorflow/`\n",
            "error: Failed to fetch: ` ",
        ),
        ("", "uv gave no reason"),
    ],
)
def test_the_reason_is_one_line_without_an_address(uv, stderr, reason):
    uv(f"sys.stderr.write({stderr!r}); sys.exit(1)")
    with pytest.raises(NotInstalledError) as failed:
        install(uv_run(["tensorflow==2.99.0"], Path("/p/3.10")), threading.Event())
    assert str(failed.value).startswith(reason.strip())
    assert "\n" not in str(failed.value)
    assert "index.example" not in str(failed.value)


def test_an_environment_is_isolated_and_limited_as_old_releases_need(uv, tmp_path):
    seen = tmp_path / "seen"
    uv(f"open({str(seen)!r}, 'w').write(' '.join(sys.argv[1:]))")
    install(uv_run(tensorflow_packages("2.8.4"), Path("/p/3.10")), threading.Event())
    assert seen.read_text() == (
        "run --quiet --isolated --no-project --python /p/3.10 --with tensorflow==2.8.4 "
        "--with numpy<2 --with protobuf<3.21 --with setuptools<70 python -c pass"
    )


def test_what_takes_too_long_is_not_installed(uv):
    uv("time.sleep(60)")
    with pytest.raises(NotInstalledError, match="still being installed after 1 s"):
        install(uv_run(tensorflow_packages("2.8.4"), Path("/p/3.10")), threading.Event(), seconds=1)


def test_a_stop_ends_a_program_and_what_it_started():
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    started = time.monotonic()
    with pytest.raises(StoppedError):
        run_with_descendants(["sh", "-c", "sleep 60; true"], {"PATH": "/bin:/usr/bin"}, 30, stop)
    assert time.monotonic() - started < 25


def test_what_was_printed_before_time_was_over_is_kept():
    ended = run_with_descendants(
        ["sh", "-c", "echo here; sleep 60; true"], {"PATH": "/bin:/usr/bin"}, 1, threading.Event()
    )
    assert (ended.code, ended.stdout) == (None, "here\n")


def test_the_pythons_that_the_workbook_asks_for_are_those_with_wheels():
    first, last = WHEELS[max(WHEELS)]
    assert f"3.{first} to 3.{last}" in inspect.getsource(environment._python)
