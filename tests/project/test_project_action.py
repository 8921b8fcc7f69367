"""The action and the hook, as GitHub's runner and pre-commit run them."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml
from family_fixtures import specimen_path
from json_forms import check_form, check_sarif
from workflow_runner import exists_in, run_action

from workbook_lib.locations import project_root

__all__ = ["specimen_path"]

ROOT = project_root()
ACTION = ROOT / "action.yml"
HOSTILE = "$(touch pwned);`touch pwned`; <b>|x, y%.tflite"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Run the action's own step that installs, with what it would download lent by this Python."""
    folder = tmp_path_factory.mktemp("runner")
    lent = sysconfig.get_paths()["purelib"]
    python = folder / "python"
    python.write_text(
        f'#!/bin/sh\n"{sys.executable}" "$@" || exit 1\n'
        f'[ "$2" != venv ] || echo "{lent}" >"$(echo "$3"/lib/python*/site-packages)/lent.pth"\n'
    )
    python.chmod(0o755)
    options = {"PIP_NO_BUILD_ISOLATION": "false", "PIP_NO_INDEX": "1"}
    job = run_action(
        ACTION,
        folder,
        folder / "temp",
        skip=["check"],
        environment=options,
        models="",
        python=python,
    )
    assert job.code == 0, job.printed
    return folder / "temp"


@pytest.fixture
def workspace(tmp_path, counting_file):
    folder = tmp_path / "checkout"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "counting.tflite").write_bytes(counting_file)
    return folder


@pytest.fixture
def check(installed, workspace):
    def run(**inputs):
        for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
            (installed / name).unlink(missing_ok=True)
        return run_action(ACTION, workspace, installed, skip=["Install varhandle"], **inputs)

    return run


@pytest.fixture
def broken(tf):
    """A file that no interpreter runs: an op of it is nobody's."""

    class Custom(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([2], tf.float32)])
        def __call__(self, x):
            return tf.raw_ops.Betainc(a=x, b=x, x=x)

    module = Custom()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.__call__.get_concrete_function()], module
    )
    converter.allow_custom_ops = True
    return converter.convert()


def test_the_installed_command_is_that_of_the_checkout(installed):
    python = installed / "varhandle" / "bin" / "python"
    where = "import varhandle, sys; print(varhandle.__file__)"
    done = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(installed / "varhandle")


OBEYED = re.compile(r"^\s*::|##\[")


def test_a_name_is_no_command_of_the_runner(check, workspace, broken):
    """A runner obeys what a step prints; a line of a name that has two is none of the list."""
    names = ["::error title=x::hello.tflite", "##[stop-commands]x.tflite", "a\nb ##[error]c.tflite"]
    names.append("\x1b]0;title\x07\u202e.tflite")  # which a terminal obeys
    for name in names:
        (workspace / "models" / name).write_bytes(broken)
    job = check(models="models/counting.tflite\nmodels/*.tflite")
    assert job.code == 1, job.printed
    assert len(check_form("sweep", Path(job.outputs["json"]).read_text())["rows"]) == 5
    commands = [line for line in job.printed.splitlines() if OBEYED.search(line)]
    assert [line.partition(" ")[0] for line in commands] == ["::error"] * 4
    assert len([line for line in commands if line.startswith("::error file=models/")]) == 4
    assert all(line.isprintable() for line in job.printed.split("\n"))


def test_the_name_of_the_report_sets_no_other_output(check):
    job = check(models="models/*.tflite", report="r\nsarif=/etc/passwd")
    assert job.code == 2
    assert not any(job.outputs.values())


def test_no_input_is_text_of_a_script():
    told = yaml.safe_load(ACTION.read_text())
    assert not [step for step in told["runs"]["steps"] if "${{" in step["run"]]


def sarif_results(job):
    return check_sarif(Path(job.outputs["sarif"]).read_text())


def test_a_good_model_passes_and_one_that_got_worse_fails(check, workspace, broken):
    job = check(models="models/*.tflite\n", report="before")
    assert job.code == 0, job.printed
    assert job.annotations == []
    assert "1 of 1 ready or convertible" in job.summary
    found = check_form("sweep", Path(job.outputs["json"]).read_text())
    assert [row["verdict"] for row in found["rows"]] == ["ready"]
    assert (workspace / job.outputs["report"] / "sweep.csv").is_file()
    assert sarif_results(job) == []
    (workspace / "models" / "counting.tflite").write_bytes(broken)
    (workspace / "models" / HOSTILE).write_bytes(broken)
    job = check(models=f"models/counting.tflite\nmodels/{HOSTILE}", baseline="before")
    assert job.code == 1, job.printed
    assert not list(workspace.rglob("pwned"))
    assert [kind for kind, *_ in job.annotations] == ["error", "error"]
    for _, properties, message in job.annotations:
        assert exists_in(workspace, properties)
        assert properties["title"] == "varhandle: blocked"
        assert "Betainc" in message
    assert "worse than the baseline: ready → blocked" in job.annotations[0][2]
    assert "1 worse than the baseline." in job.summary
    assert len(re.findall(r"(?<!\\)\|", job.summary.splitlines()[-1])) == 7  # its name adds no cell
    assert "<b>" not in job.summary
    results = sarif_results(job)
    assert {one["level"] for one in results if one["ruleId"] == "blocked"} == {"error"}
    places = {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results}
    assert len(places) == 2 and "models/counting.tflite" in places


@pytest.mark.parametrize(("fail_on", "code"), [("never", 0), ("worse", 2)])
def test_what_fails_is_chosen(check, workspace, broken, fail_on, code):
    (workspace / "models" / "counting.tflite").write_bytes(broken)
    job = check(models="models/counting.tflite", fail_on=fail_on)
    assert job.code == code
    assert ("needs a --baseline" in job.printed) == (fail_on == "worse")
    assert bool(job.outputs["sarif"]) == (code != 2)


def test_a_pattern_that_names_nothing_is_said(check):
    job = check(models="nowhere/*.keras")
    assert job.code == 2
    assert "nowhere/*.keras" in job.printed


@pytest.fixture
def repository(tmp_path, counting_file):
    """A repository of somebody's, with a good model and one that the hook is to stop."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "good.tflite").write_bytes(counting_file)
    (folder / "notes.txt").write_text("no model\n")
    return folder


def git(folder, *arguments):
    command = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def try_hook(folder, home):
    """Let pre-commit run the hook of a repository that has the one of this checkout."""
    hooks = home / "hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / ".pre-commit-hooks.yaml").write_bytes((ROOT / ".pre-commit-hooks.yaml").read_bytes())
    if not (hooks / ".git").exists():
        git(hooks, "init", "--quiet")
        git(hooks, "add", ".")
        git(hooks, "commit", "--quiet", "-m", "hooks")
    pytest.importorskip("pre_commit")
    binaries = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PRE_COMMIT_HOME": str(home / "cache"),
    }
    git(folder, "add", ".")
    command = [sys.executable, "-m", "pre_commit", "try-repo", str(hooks), "varhandle"]
    return subprocess.run(
        [*command, "--all-files", "--verbose"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_hook_stops_a_model_at_fault(repository, specimen_path, tmp_path):
    done = try_hook(repository, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed" in done.stdout
    (repository / "bad.tflite").write_bytes(specimen_path("custom_tflite").read_bytes())
    done = try_hook(repository, tmp_path)
    assert done.returncode == 1
    assert "bad.tflite: blocked" in done.stdout
    assert "good.tflite" not in done.stdout.partition("Failed")[2]


def test_the_hook_reads_a_saved_model_by_its_folder(repository, tmp_path):
    import shutil

    (repository / "good.tflite").unlink()
    shutil.copytree(ROOT / "data" / "half_reader", repository / "model")
    done = try_hook(repository, tmp_path)
    assert done.returncode == 1
    assert "saved_model.pb: blocked" in done.stdout
    assert "unsupported-variable-dtype" in done.stdout
