"""Controls in JupyterLab, with the mouse and with the keyboard alone: predictions, 97 and 32."""

import re

import numpy as np
import pytest
from browser_steps import open_notebook, outside_hosts, run_all, switch_theme

from workbook_lib.samples import load_digits, load_row_reader

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

LONG = 120_000  # milliseconds that a trial may take on a busy machine


def test_trials_join_the_table_and_a_cancelled_one_does_not(page, pictures):
    open_notebook(page, "97_calibration.ipynb", "chooser")
    run_all(page)
    expect = sync_api.expect
    box = page.locator(".workbook-recipes")
    status, rows = box.locator("[role=status]"), box.locator("tbody tr")
    start, cancel = (box.get_by_role("button", name=name) for name in ("Quantize", "Cancel"))

    recipe = box.get_by_label("Recipe:")  # the keyboard alone
    recipe.focus()
    # One key: of several quick changes the page holds back all but the first until the kernel has
    # answered, and not the press of a button.
    page.keyboard.press("ArrowUp")
    assert recipe.input_value() == "float16"
    expect(box.get_by_label("Calibration digits:")).to_be_disabled()  # the kernel knows
    page.keyboard.press("Tab")  # past the size, which this recipe does not use
    expect(start).to_be_focused()
    page.keyboard.press("Enter")
    expect(status).to_contain_text("float16: 77,424 bytes, 0.52 of float32", timeout=LONG)
    assert rows.locator("td:nth-child(2)").all_inner_texts() == ["float32", "float16"]
    assert "147780" in rows.first.inner_text()
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
    expect(box.get_by_role("img")).to_have_attribute("alt", re.compile("3, int8"))
    box.evaluate("box => box.scrollIntoView({block: 'center'})")
    page.screenshot(path=pictures / "recipes.png")
    arrow = recipe.evaluate("list => getComputedStyle(list).backgroundImage")
    switch_theme(page, dark=True)
    assert recipe.evaluate("list => getComputedStyle(list).backgroundImage") != arrow  # black
    page.screenshot(path=pictures / "recipes-dark.png")

    box.get_by_role("button", name="Remove all trials").click()
    expect(rows).to_have_count(0)
    expect(recipe).to_be_focused()
    assert not outside_hosts(page)


def test_arrow_keys_and_letters_in_a_control_are_the_control_s(page):
    """JupyterLab would go to another cell, and insert one at the letter B."""
    open_notebook(page, "00_start_here.ipynb", "practice-prediction")
    run_all(page)
    cells = page.locator(".jp-Cell").count()
    options = page.locator(".workbook-prediction input")
    options.first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    sync_api.expect(options.nth(1)).to_be_checked()
    sync_api.expect(options.nth(1)).to_be_focused()
    page.keyboard.press("b")
    page.keyboard.press("Escape")  # the notebook's again
    page.get_by_text("Noted: 4 to 8 kB").first.wait_for()
    assert page.locator(".jp-Cell").count() == cells


def test_rows_are_pushed_and_the_state_follows(page, pictures):
    """By click and by key; the expected numbers come from NumPy, and not from an interpreter."""
    open_notebook(page, "32_lift_the_state.ipynb", "row-by-row")
    run_all(page)
    expect = sync_api.expect
    box = page.locator(".workbook-rows")
    push, rest, reset, reset_all, new = (
        box.get_by_role("button", name=name)
        for name in (
            "Push a row",
            "Push the rest",
            "Call reset",
            "Call reset_all_variables()",
            "Open a new interpreter",
        )
    )
    memory = box.get_by_role("img", name="the memory")
    rows = box.locator("tbody tr")

    push.click()
    push.focus()
    page.keyboard.press("Enter")
    expect(rows).to_have_count(2)
    expect(push).to_be_focused()
    expect(memory).to_have_attribute("aria-label", f"the memory: {words_after(1, 2)}")
    rest.focus()
    page.keyboard.press("Space")
    expect(rows).to_have_count(8)
    expect(memory).to_have_attribute("aria-label", f"the memory: {words_after(1, 8)}")
    box.evaluate("box => box.scrollIntoView({block: 'center'})")
    page.screenshot(path=pictures / "rows.png")
    label = str(load_digits().test_labels[1])
    assert rows.last.locator("td").all_inner_texts()[1:] == [label, "8", label, "8", "agree"]

    reset_all.click()
    push.click()
    expect(rows).to_have_count(10)
    # Both go on where they were: the method has changed nothing.
    assert rows.last.locator("td").all_inner_texts()[2::2] == ["9", "9"]
    reset.first.click()
    push.click()
    expect(rows).to_have_count(12)
    assert rows.last.locator("td").all_inner_texts()[2::2] == ["10", "10"]
    expect(memory).to_have_attribute("aria-label", f"the memory: {words_after(1, 1)}")
    new.click()
    push.click()
    expect(rows).to_have_count(14)
    assert rows.last.locator("td").all_inner_texts()[2::2] == ["1", "1"]
    switch_theme(page, dark=True)
    page.screenshot(path=pictures / "rows-dark.png")
    assert not outside_hosts(page)


def words_after(example, count):
    """Say the memory after so many rows of a held-out digit, worked out in NumPy."""
    weights, image = load_row_reader(), load_digits().test_images[example].reshape(8, 8)
    memory = weights["first_memory"]
    for row in image[:count]:
        seen = row @ weights["row_kernel"] + memory @ weights["memory_kernel"]
        memory = np.tanh(seen + weights["memory_bias"])
    return ", ".join(f"{value:+.1f}" for value in memory.ravel())
