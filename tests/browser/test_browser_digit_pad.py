"""The sheet of lesson 98: a digit drawn with the mouse, and one with the keyboard alone."""

import re

import pytest
from browser_steps import open_notebook, outside_hosts, run_all, switch_theme
from drawn_digits import DRAWN

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser


def test_a_digit_is_drawn_and_both_files_answer(page, pictures):
    open_notebook(page, "98_integers_in_and_out.ipynb", "digit-pad")
    run_all(page)
    box = page.locator(".workbook-digits")
    sheet = box.get_by_label("Sheet to draw a digit on")
    answer = box.locator(".widget-html-content [role=group]")
    spoken = box.locator(".widget-html-content [role=status]")
    sync_api.expect(answer).to_contain_text("what the files get")

    draw(page, sheet, DRAWN[4])
    sync_api.expect(answer).to_contain_text("float32 says 4, int8 says 4")
    sync_api.expect(spoken).to_have_text(re.compile(r"^float32 says 4, int8 says 4; at most"))
    box.evaluate("box => box.scrollIntoView({block: 'center'})")
    page.screenshot(path=pictures / "readme-digit-pad.png")

    clear = box.get_by_role("button", name="Clear the sheet")
    cleared = box.get_by_text("The sheet is clear.")
    clear.click()
    sync_api.expect(cleared).to_be_visible()
    draw(page, sheet, DRAWN[4])
    sync_api.expect(cleared).to_be_hidden()  # a drawing stands there again
    clear.click()
    sheet.focus()
    press(page, ArrowLeft=3, ArrowUp=5, Space=1, ArrowRight=5)
    sync_api.expect(box.get_by_text("pen down, column 10, row 3 of 16")).to_be_visible()
    press(page, ArrowDown=4, End=5)  # a two: down, down to the left, along the bottom
    press(page, ArrowDown=1, ArrowRight=6, Space=1)
    sync_api.expect(answer).to_contain_text("float32 says 2, int8 says 2")
    page.screenshot(path=pictures / "digit-pad-keys.png")
    sync_api.expect(sheet).to_be_focused()  # no key has moved the notebook's own cursor

    page.keyboard.press("Tab")
    sync_api.expect(box.get_by_role("button", name="Clear the sheet")).to_be_focused()
    page.keyboard.press("Tab")
    number = box.get_by_label("Held-out digit:")
    sync_api.expect(number).to_be_focused()
    number.fill("5")
    page.keyboard.press("Enter")
    sync_api.expect(answer).to_contain_text(f"float32 says {label_of(5)}")

    switch_theme(page, dark=True)
    page.screenshot(path=pictures / "digit-pad-dark.png")
    assert not outside_hosts(page)


def draw(page, sheet, strokes):
    """Draw strokes on the sheet as a hand does: press, move, let go."""
    sheet.scroll_into_view_if_needed()
    place = sheet.bounding_box()

    def at(point):
        return place["x"] + point[0] * place["width"], place["y"] + point[1] * place["height"]

    for stroke in strokes:
        page.mouse.move(*at(stroke[0]))
        page.mouse.down()
        for point in stroke[1:]:
            page.mouse.move(*at(point), steps=3)
        page.mouse.up()


def press(page, **keys):
    for key, times in keys.items():
        for _ in range(times):
            page.keyboard.press(key)


def label_of(number):
    from workbook_lib.samples import load_digits

    return load_digits().test_labels[number]
