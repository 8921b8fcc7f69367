"""What an assistant is told: commands that there are, files that there are, the rules that hold."""

import argparse
import re

import pytest
import yaml

from varhandle.cli.commands import register
from workbook_lib.locations import project_root

ROOT = project_root()
SKILL, INDEX = ROOT / "SKILL.md", ROOT / "llms.txt"


def parsers():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    register(commands)
    return commands.choices


def test_the_skill_says_when_it_is_for():
    _, head, body = SKILL.read_text().split("---\n", 2)
    told = yaml.safe_load(head)
    assert set(told) == {"name", "description"}
    assert re.fullmatch(r"[a-z-]{1,64}", told["name"])
    assert "VarHandleOp" in told["description"] and len(told["description"]) <= 1024
    assert len(body.splitlines()) < 100


def test_each_command_of_the_skill_is_one_that_there_is():
    written = re.findall(r"`varhandle ([a-z]+)([^`]*)`", SKILL.read_text())
    assert {verb for verb, _ in written} >= {"explain", "inspect", "diagnose", "cure", "locate"}
    known = parsers()
    for verb, rest in written:
        options = set(re.findall(r"--[a-z-]+", rest))
        assert options <= set(known[verb]._option_string_actions), (verb, rest)


def test_each_field_of_the_skill_is_one_of_the_form():
    from varhandle.facts.schemas import schema_of

    row = r"`varhandle ([a-z]+)[^`]*--json` \| (.*) \|$"
    rows = re.findall(row, SKILL.read_text(), re.MULTILINE)
    assert len(rows) >= 9
    for verb, cell in rows:
        form = str(schema_of(verb))
        for field in re.findall(r"`([a-z]+)(?:\[\S*\])?(?:\.([a-z]+))?`", cell):
            assert all(f"'{part}'" in form for part in field if part), (verb, field)


@pytest.mark.parametrize("path", [SKILL, INDEX, ROOT / "SECURITY.md"], ids=lambda path: path.name)
def test_each_link_leads_somewhere(path):
    targets = re.findall(r"\]\(([^)#\s]+)\)", path.read_text())
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_index_is_of_the_form_of_its_kind():
    """A title, a quote that sums it up, then sections of links: llmstxt.org."""
    lines = INDEX.read_text().splitlines()
    assert lines[0].startswith("# ") and lines[2].startswith("> ")
    listed = [line for line in lines if line.startswith("- ")]
    assert listed and all(re.match(r"- \[[^\]]+\]\([^)]+\)", line) for line in listed)


def test_an_assistant_is_told_not_to_trust():
    assert re.search(r"Never add `--trust` or `--no-lock`", SKILL.read_text())
