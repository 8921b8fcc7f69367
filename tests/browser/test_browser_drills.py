"""The page of the drills: a drill is chosen, its file opens beside, and a save is checked."""

import pytest
from browser_axe import faults
from browser_servers import TOKEN
from browser_steps import run_cell, switch_theme, wait_for_kernel, wait_until_still

from workbook_lib.lesson.drill_catalog import PAGE, all_drills, find_drill

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

_CHECK = 120_000  # milliseconds; the first child imports TensorFlow


def test_a_drill_is_mended_beside_the_page(new_page, pictures):
    page = new_page
    page.goto(f"{page.address}/lab/tree/drills/{PAGE}?token={TOKEN}&reset", wait_until="load")
    wait_for_kernel(page)
    run_cell(page, "lesson.drills()")
    box = page.locator(".workbook-drills")
    sync_api.expect(box).to_contain_text(f"0 of {len(all_drills())}")
    status = box.locator("[role=status]")

    choice = box.get_by_label("Drill:")
    choice.focus()
    page.keyboard.press("ArrowDown")
    sync_api.expect(box).to_contain_text("A radio brings the file in packets")
    box.get_by_role("button", name="Hint").click()
    sync_api.expect(status).to_contain_text("Hint 1 of 3")
    for number, name in enumerate(("02_packets", "03_scales")):
        choice.select_option(label=f"· {name[:2]} {name[3:]}")
        box.get_by_role("button", name=f"Open {name}.py beside").click()
        page.locator(".jp-FileEditor", has_text=find_drill(name).about[:30]).first.wait_for()
        assert box.is_visible(), "the page stays in sight beside the file"
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(find_drill(name).variants["wrong 3"])
        page.keyboard.press("Control+s")
        sync_api.expect(status).to_contain_text("Not right yet", timeout=_CHECK) if number else (
            sync_api.expect(status).to_contain_text("raised an error", timeout=_CHECK)
        )
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(find_drill(name).variants["right 1"])
    page.keyboard.press("Control+s")
    sync_api.expect(status).to_contain_text("Right", timeout=_CHECK)
    sync_api.expect(box).to_contain_text(f"1 of {len(all_drills())}")
    for dark in (False, True):
        switch_theme(page, dark)
        wait_until_still(page)
        page.screenshot(path=pictures / f"drills-{'dark' if dark else 'light'}.png")
        assert not faults(page, ".workbook-drills")
    assert page.errors == []
