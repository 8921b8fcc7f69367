"""``workbook class``: a folder of progress files becomes a table, a picture and a page."""

import json

import pytest
from class_of_thirty import write_class

from workbook_lib.cli import main
from workshop.classroom import read_classroom


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class")
    write_class(folder)
    return folder


def test_the_table_and_the_json_say_who_is_stuck(folder, capsys):
    assert main(["class", str(folder)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("30 learners")
    assert "learner-03" in said
    assert main(["class", str(folder), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said["learners"]) == 30
    assert said["exercises"][0]["stuck"] == ["learner-00"]
    assert len(said["exercises"][0]["right"]) == 29


def test_the_page_names_everybody_and_needs_nothing_else(folder, tmp_path, capsys):
    page = tmp_path / "new" / "class.html"
    assert main(["class", str(folder), "--output", str(page)]) == 0
    text = page.read_text()
    assert text.count('class="bar"') == len(read_classroom(folder).exercises)
    assert 'aria-label="right: 29, trying: 0, stuck: 1, untouched: 0"' in text
    assert "give back" not in text, "there are no places without a hub"
    assert "learner-29" in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/", "")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["{empty}/none"], "there is no such folder"),
        (["{empty}"], "no progress file"),
        (["{class}", "--output", "{class}/learner-00.jsonl/page.html"], "learner-00.jsonl"),
    ],
)
def test_what_cannot_be_read_or_written_is_one_line(folder, tmp_path, capsys, arguments, reason):
    filled_in = [part.format(**{"empty": tmp_path, "class": folder}) for part in arguments]
    assert main(["class", *filled_in]) == 2
    said = capsys.readouterr().err
    assert reason in said and said.count("\n") == 1
