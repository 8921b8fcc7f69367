"""The chooser of recipes in notebook 05, used with the keyboard alone."""

import pytest
from browser_steps import open_notebook, run_all

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser


def test_a_recipe_is_chosen_and_tried_with_the_keyboard(page):
    open_notebook(page, "05_quantize.ipynb")
    run_all(page)
    box = page.locator(".workbook-recipes")
    recipe = box.get_by_label("Recipe:")
    recipe.focus()
    page.keyboard.press("Home")  # the first recipe, float32
    assert recipe.input_value() == "float32"
    sync_api.expect(box.get_by_label("Calibration digits:")).to_be_disabled()
    page.keyboard.press("Tab")  # past the size, which this recipe does not use
    sync_api.expect(box.get_by_role("button", name="Quantize")).to_be_focused()
    page.keyboard.press("Enter")
    answer = box.locator('[role="status"]')
    answer.get_by_text("bytes").wait_for(timeout=60_000)
    assert "19,176 bytes" in answer.inner_text()
    assert "activations stay float32" in answer.inner_text()
