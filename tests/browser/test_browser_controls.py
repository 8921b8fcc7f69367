"""The chooser of recipes in notebook 05: with the mouse, with the keyboard alone, and cancelled."""

import re

import pytest
from browser_steps import open_notebook, outside_hosts, run_all, switch_theme

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

LONG = 120_000  # milliseconds that a trial may take on a busy machine


def test_trials_join_the_table_and_a_cancelled_one_does_not(page, pictures):
    open_notebook(page, "05_quantize.ipynb")
    run_all(page)
    expect = sync_api.expect
    box = page.locator(".workbook-recipes")
    status, rows = box.locator("[role=status]"), box.locator("tbody tr")
    start, cancel = (box.get_by_role("button", name=name) for name in ("Quantize", "Cancel"))

    recipe = box.get_by_label("Recipe:")  # the keyboard alone
    recipe.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert recipe.input_value() == "float16"
    expect(box.get_by_label("Calibration digits:")).to_be_disabled()
    page.keyboard.press("Tab")  # past the size, which this recipe does not use
    expect(start).to_be_focused()
    page.keyboard.press("Enter")
    expect(status).to_contain_text("float16: 12,676 bytes, 0.66 of float32", timeout=LONG)
    assert rows.locator("td:nth-child(2)").all_inner_texts() == ["float32", "float16"]
    assert "19176" in rows.first.inner_text()
    expect(start).to_be_focused()

    recipe.select_option("int8")  # the mouse
    start.click()
    expect(cancel).to_be_enabled()
    cancel.click()
    expect(status).to_contain_text("Cancelled", timeout=LONG)
    expect(cancel).to_be_disabled()
    assert rows.count() == 2

    box.get_by_label("Calibration digits:").select_option("1")
    start.click()
    expect(rows).to_have_count(3, timeout=LONG)
    expect(status).to_contain_text("int8, calibrated with 1 digit:")
    expect(box.get_by_role("img")).to_have_attribute("aria-label", re.compile("3, int8"))
    box.evaluate("box => box.scrollIntoView({block: 'center'})")
    page.screenshot(path=pictures / "recipes.png")
    switch_theme(page, dark=True)
    page.screenshot(path=pictures / "recipes-dark.png")

    box.get_by_role("button", name="Remove all trials").click()
    expect(rows).to_have_count(0)
    expect(recipe).to_be_focused()
    assert not outside_hosts(page)
