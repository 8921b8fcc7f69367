"""The values for Kubernetes: keys that the chart knows, and the same workshop as ``make hub``."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from workbook_lib.locations import project_root
from workshop.hub_folder import FIRST_PAGE, INSTRUCTOR, SHORTEST_PASSWORD, HubSettings

ROOT = project_root()
VALUES = yaml.safe_load((ROOT / "kubernetes" / "values.yaml").read_text(encoding="utf-8"))
SCHEMA = json.loads((ROOT / "kubernetes" / "values.schema.json").read_text(encoding="utf-8"))
SINGLE = VALUES["singleuser"]


def faults(values):
    checker = jsonschema.Draft202012Validator(SCHEMA)
    return [error.message for error in checker.iter_errors(values)]


def test_the_values_fit_the_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert faults(VALUES) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("singleuser", "memory", "limit"), 2),
        (("singleuser", "memory", "limit"), "2GB"),
        (("singleuser", "memory", "max"), "2G"),
        (("singleuser", "cpus"), {"limit": 2}),
        (("singleuser", "image", "name"), "image:tag"),
        (("singleuser", "storage", "capacity"), "2G"),
        (("cull", "timeout"), "3600"),
        (("cull", "interval"), 300),
        (("hub", "config", "Authenticator", "admin_users"), "instructor"),
        (("hub", "config", "NativeAuthenticator", "open_signups"), False),
    ],
)
def test_what_the_chart_would_refuse_or_pass_over_is_refused(path, value):
    wrong = copy.deepcopy(VALUES)
    inner = wrong
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert faults(wrong)


@pytest.mark.parametrize("key", ["memory", "cpu", "storage", "image"])
def test_nothing_that_a_workshop_needs_may_be_missing(key):
    wrong = copy.deepcopy(VALUES)
    del wrong["singleuser"][key]
    assert faults(wrong)


def test_limits_times_people_and_first_page_are_those_of_make_hub():
    units = {"M": 1024**2, "G": 1024**3}  # as JupyterHub reads them
    text = SINGLE["memory"]["limit"]
    settings = HubSettings()
    authenticator = VALUES["hub"]["config"]["Authenticator"]
    native = VALUES["hub"]["config"]["NativeAuthenticator"]
    assert int(text[:-1]) * units[text[-1]] == settings.memory_bytes
    assert SINGLE["cpu"]["limit"] == settings.cpus
    assert VALUES["hub"]["activeServerLimit"] == settings.places + 1
    assert VALUES["cull"]["timeout"] == settings.idle_seconds
    assert VALUES["cull"]["every"] == settings.cull_seconds
    assert SINGLE["defaultUrl"] == FIRST_PAGE
    assert (ROOT / FIRST_PAGE.removeprefix("/lab/tree/")).is_file()
    assert authenticator["admin_users"] == [INSTRUCTOR]
    assert native["minimum_password_length"] == SHORTEST_PASSWORD


def test_nobody_comes_in_who_was_not_let_in():
    native = VALUES["hub"]["config"]["NativeAuthenticator"]
    assert native["open_signup"] is False
    # Who may not come in is the authenticator's own question then, and no other is asked.
    assert VALUES["hub"]["config"]["JupyterHub"]["authenticator_class"] == "native"
    assert SINGLE["networkPolicy"]["enabled"]


def test_progress_is_kept_on_the_volume():
    home = SINGLE["storage"]["homeMountPath"]
    assert SINGLE["extraEnv"]["WORKBOOK_PROGRESS"].startswith(f"{home}/")


def test_the_hook_makes_the_learners_copy_and_never_overwrites(tmp_path):
    environment = {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    copied = tmp_path / "notebooks" / "00_start_here.ipynb"
    for mine in (None, "mine"):
        if mine:
            copied.write_text(mine)
        subprocess.run(
            SINGLE["lifecycleHooks"]["postStart"]["exec"]["command"], env=environment, check=True
        )
        assert (tmp_path / ".workbook" / "handed-out.json").exists()
    assert copied.read_text() == "mine"
