"""``workbook class``: a folder of progress files becomes a table, a picture and a page."""

import json
import struct

import pytest
from class_of_thirty import write_class

from workbook_lib.cli import main
from workshop.classroom import plot_class, read_classroom


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


def test_the_page_has_the_picture_and_needs_nothing_else(folder, tmp_path, capsys):
    page = tmp_path / "new" / "class.html"
    assert main(["class", str(folder), "--output", str(page)]) == 0
    text = page.read_text()
    assert text.count("<img ") == 1
    assert 'alt="A bar for each of' in text
    assert "learner-29" in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/", "")


def test_the_picture_is_a_png_with_words(folder):
    drawn = plot_class(read_classroom(folder))
    assert drawn.png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", drawn.png[16:24])
    assert width > height > 300
    assert "30 learners long; stuck: 1 at " in drawn.alt


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
