"""The way in: from a message, a log or a model to the family, its cure and its lesson."""

import json
import re
import types

import pytest

from varhandle.families.catalog import FAMILIES
from workbook_lib import controls
from workbook_lib.controls.failure_chooser import FailureTable, Recognition, recognition_of_family
from workbook_lib.lesson import where_taught
from workbook_lib.lesson.where_taught import family_places, heading_of, place_of
from workbook_lib.locations import project_root

LITERAL = "error: 'tf.VarHandleOp' op is neither a custom op nor a flex op"
HALF_READER = project_root() / "data" / "half_reader"


def test_every_family_leads_to_a_section_that_there_is():
    assert set(family_places()) == {family.id for family in FAMILIES}
    for place in family_places().values():
        file, cell = place.file, place.cell
        notebook = json.loads((project_root() / "notebooks" / file).read_text(encoding="utf-8"))
        found = [one for one in notebook["cells"] if one["id"] == cell]
        assert len(found) == 1, f"{file} has no cell {cell}"
        assert found[0]["cell_type"] == "markdown", f"{file}: {cell} begins no section"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.id)
def test_what_is_picked_gets_its_own_answer(family):
    shown = recognition_of_family(family.id)
    assert [one.id for one in shown.families] == [family.id]
    assert family.cause in shown.text()
    assert family.fix.partition("\n\n")[0] in shown.text()
    assert f"#cell-id={place_of(family.id).cell}" in shown.html()


def test_a_pasted_log_a_log_file_and_a_model_are_told_apart(tmp_path):
    pasted = controls.recognize_failure(f"Traceback\n{LITERAL}\n" + "x" * 5000)
    assert pasted.families[0].id == "unsupported-variable-dtype"
    assert "11 · The error, “The whole message”" in pasted.text()
    assert controls.recognize_failure(
        LITERAL + "y" * 5000
    ).families  # one line, longer than a name may be
    log = tmp_path / "log.txt"
    log.write_text(LITERAL, encoding="utf-8")
    assert (
        controls.recognize_failure(str(log)).families
        == controls.recognize_failure(LITERAL).families
    )

    model = controls.recognize_failure(f"  '{HALF_READER}' \n")
    assert model.families[0].id == "unsupported-variable-dtype"
    assert "memory (float16)" in model.families[0].cause
    assert f"varhandle cure {HALF_READER} OUT.tflite" in model.text()


def test_what_is_not_known_says_what_to_give(tmp_path):
    assert "Give the whole log" in controls.recognize_failure("segmentation fault").text()
    noise = tmp_path / "noise.tflite"
    noise.write_bytes(b"\x08\x00\x00\x00TFL3" + bytes(40))
    assert "noise.tflite" in controls.recognize_failure(str(noise)).text()


def test_what_a_file_says_is_not_taken_for_markup(tmp_path):
    log = f"<img src=x onerror=alert(1)>\n{LITERAL} <script>alert(1)</script>"
    assert "<script>" not in controls.recognize_failure(log).html()
    folder = tmp_path / "<b>bold<"
    folder.mkdir()
    assert "<b>bold<" not in controls.recognize_failure(str(folder)).html()


def test_where_nobody_can_choose_a_table_leads_to_the_lessons():
    table = controls.which_failure()
    assert isinstance(table, FailureTable)
    assert LITERAL.removeprefix("error: ") in table.text()
    links = re.findall(r'href="(\d\d_\w+\.ipynb)#cell-id=[\w-]+"', table.html())
    assert len(links) == sum(family.of_variables for family in FAMILIES)


def test_a_pick_and_a_paste_are_told(watched, monkeypatch):
    updates = []
    handle = types.SimpleNamespace(update=lambda bundle, **_: updates.append(bundle["text/html"]))
    monkeypatch.setattr("IPython.display.display", lambda *_, **__: handle)
    chooser = controls.which_failure()
    chooser._ipython_display_()
    chooser.pick.value = "frozen-but-assigned"
    assert "incompatible with expected resource" in updates[-1]
    chooser.given.value = LITERAL
    chooser.work.start.click()
    chooser.work.wait(60)
    assert "unsupported-variable-dtype" in updates[-1]
    said = chooser.work.status.value
    assert 'role="status"' in said and "unsupported-variable-dtype" in said


def test_a_comment_of_a_program_is_no_heading(tmp_path, monkeypatch):
    cells = [
        {"id": "a", "cell_type": "markdown", "source": ["## Reproduce it\n", "text"]},
        {"id": "b", "cell_type": "code", "source": ["# the export\n", "1"]},
        {"id": "c", "cell_type": "markdown", "source": ["why"]},
    ]
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "n.ipynb").write_text(json.dumps({"cells": cells}))
    monkeypatch.setattr(where_taught, "working_copy", lambda: tmp_path)
    assert [heading_of("n.ipynb", cell) for cell in "abcd"] == [*["Reproduce it"] * 3, ""]


def test_what_nobody_recognizes_is_spoken_too():
    assert Recognition(()).spoken() == "Not recognized, see below."
