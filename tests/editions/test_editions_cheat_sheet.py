"""The cheat sheet: each card of the main parts, on one page, in words that a PDF reader finds."""

import dataclasses
import subprocess
import sys

import pypdf
import pytest

from workbook_lib.editions import cheat_sheet
from workbook_lib.lesson.content import card_of, lessons
from workbook_lib.lesson.outline import read_outlines


def words(text):
    return "".join(text.split())


def test_the_sheet_is_one_page_with_each_card_of_the_main_parts(tmp_path):
    command = [sys.executable, "-m", "workbook_lib.cli", "edition", "cheat-sheet"]
    done = subprocess.run(
        [*command, "--output", tmp_path / "new"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("written: ")
    [page] = pypdf.PdfReader(tmp_path / "new" / cheat_sheet.FILE).pages
    text = words(page.extract_text())
    with_card = [one for one in read_outlines() if one.name in lessons() and card_of(one.name)]
    assert {found.is_appendix for found in with_card} == {False, True}
    for found in with_card:
        card = card_of(found.name)
        if found.is_appendix:
            assert words(f"{found.number} · {card.symptom}") not in text
            continue
        assert words(f"{found.number} · {card.symptom}") in text
        assert words(card.cause) in text
        assert words(card.cure.replace("  #", " #")) in text
    width, height = page.mediabox.width, page.mediabox.height
    assert (round(width), round(height)) == (842, 595)  # A4, landscape, in points


def many(monkeypatch, count):
    one = cheat_sheet.lesson_cards()[0]
    cards = tuple(dataclasses.replace(one, number=f"{n:02}") for n in range(count))
    monkeypatch.setattr(cheat_sheet, "lesson_cards", lambda: cards)


def test_many_cards_are_set_smaller_and_too_many_are_refused(tmp_path, monkeypatch):
    many(monkeypatch, 30)
    cheat_sheet.write_cheat_sheet(tmp_path / "sheet.pdf")
    [page] = pypdf.PdfReader(tmp_path / "sheet.pdf").pages
    text = page.extract_text()
    assert [f"{n:02} ·" in text for n in range(30)] == [True] * 30
    many(monkeypatch, 200)
    with pytest.raises(ValueError, match="200 cards do not fit on one page"):
        cheat_sheet.write_cheat_sheet(tmp_path / "other.pdf")
    assert not (tmp_path / "other.pdf").exists()
