"""The Dockerfile and the devcontainer: what Binder has, for somebody who is not root."""

import json
import re
import shlex

import yaml

from workbook_lib.locations import project_root

ROOT = project_root()
FOLDER = ROOT / ".devcontainer"


def instructions(text):
    """The instructions of a Dockerfile and what each is told, in their order."""
    joined = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


STEPS = instructions((FOLDER / "Dockerfile").read_text(encoding="utf-8"))
DEVCONTAINER = json.loads((FOLDER / "devcontainer.json").read_text(encoding="utf-8"))
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def told(instruction):
    return [arguments for name, arguments in STEPS if name == instruction]


def test_it_installs_the_lock_that_binder_installs():
    (install,) = [line for line in told("RUN") if " -r " in line]
    words = shlex.split(install)
    assert words[:2] == ["pip", "install"]
    assert "--require-hashes" in words
    files = [f"-r {words[at + 1]}" for at, word in enumerate(words) if word == "-r"]
    assert files == ENVIRONMENT["dependencies"][-1]["pip"]


def test_it_has_the_python_of_binder():
    (python,) = [
        one.removeprefix("python=")
        for one in ENVIRONMENT["dependencies"]
        if str(one).startswith("python=")
    ]
    assert told("ARG") == [f"PYTHON=python:{python}-slim"]
    assert told("FROM") == ["${PYTHON}"]


def test_it_ends_with_what_binder_does_last():
    assert told("RUN")[-1] == "sh postBuild"
    assert (ROOT / "postBuild").is_file()
    names = [name for name, _ in STEPS]
    assert names.index("CMD") > max(at for at, name in enumerate(names) if name == "RUN")


def test_nothing_runs_as_root_but_what_makes_the_user():
    names = [name for name, _ in STEPS]
    assert names.count("USER") == 1
    first = names.index("USER")
    (user,) = told("USER")
    as_root = [arguments for name, arguments in STEPS[:first] if name == "RUN"]
    assert [line.split()[0] for line in as_root] == ["apt-get", "useradd"]
    assert f"--uid 1000 {user}" in as_root[-1]
    assert all(f"--chown={user} " in line for line in told("COPY"))


def test_what_it_copies_is_there():
    for line in told("COPY"):
        *sources, _ = [word for word in line.split() if not word.startswith("--")]
        for source in sources:
            assert (ROOT / source).exists(), source


def test_what_git_does_not_have_is_not_copied():
    """What has no slash in front is anywhere, in git's words; in Docker's, what has two stars."""
    of_git = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    in_dockers_words = {
        line.strip("/") if line.startswith("/") else f"**/{line.rstrip('/')}" for line in of_git
    }
    of_docker = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line for line in of_docker if not line.startswith("#")} == {".git", *in_dockers_words}


def test_the_devcontainer_is_that_image():
    build = DEVCONTAINER["build"]
    assert (FOLDER / build["dockerfile"]).is_file()
    assert (FOLDER / build["context"]).resolve() == ROOT
    assert [DEVCONTAINER["remoteUser"]] == told("USER")
    # The packages of the checkout take the place of those of the image.
    assert DEVCONTAINER["postCreateCommand"] == told("RUN")[-1]
    assert [str(port) for port in DEVCONTAINER["forwardPorts"]] == told("EXPOSE")
    (python,) = [line.split()[-1] for line in told("RUN") if "-m venv" in line]
    settings = DEVCONTAINER["customizations"]["vscode"]["settings"]
    assert settings["python.defaultInterpreterPath"] == f"{python}/bin/python"


def test_the_command_opens_a_lesson_that_is_there():
    command = json.loads(told("CMD")[-1])
    assert command[:2] == ["jupyter", "lab"]
    options = dict(word.removeprefix("--").split("=") for word in command if "=" in word)
    assert options["ip"] == "0.0.0.0"
    lesson = options["LabApp.default_url"].removeprefix("/lab/tree/")
    assert (ROOT / lesson).is_file()
