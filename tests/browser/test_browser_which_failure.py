"""The first screen of notebook 00, and the way from a failure to its lesson."""

import pytest
from browser_steps import cell, open_notebook, outside_hosts, run_all

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

LITERAL = "error: 'tf.VarHandleOp' op is neither a custom op nor a flex op"


def test_the_error_and_the_picture_are_on_the_first_screen(new_page, pictures):
    """Before anything is run."""
    page = new_page
    open_notebook(page, "00_start_here.ipynb")
    expect = sync_api.expect
    error = page.locator("pre", has_text="Traceback (most recent call last)")
    picture = page.get_by_role("img", name="From a variable in Python to the file")
    expect(error).to_be_in_viewport(ratio=1)
    expect(error).to_contain_text("'tf.VarHandleOp' op is neither a custom op nor a flex op")
    expect(picture).to_be_in_viewport(ratio=1)
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    page.screenshot(path=pictures / "first-screen.png")
    assert not outside_hosts(page)


def test_a_failure_leads_to_its_cure_and_its_lesson(page):
    open_notebook(page, "00_start_here.ipynb", "which-failure")
    run_all(page)
    expect = sync_api.expect
    box = page.locator(".workbook-which-failure")
    status = box.locator("[role=status]")

    box.get_by_label("What you saw:").select_option(
        label='Freezing stops with "incompatible with expected resource".'
    )
    expect(status).to_contain_text("frozen-but-assigned")

    given = box.get_by_role("textbox")
    given.fill(f"Traceback (most recent call last):\n{LITERAL}")
    given.press("Tab")  # the keyboard alone
    expect(box.get_by_role("button", name="Recognize")).to_be_focused()
    page.keyboard.press("Enter")
    expect(status).to_contain_text("unsupported-variable-dtype")
    answer = cell(page, "which_failure").locator(".jp-OutputArea-output").last
    expect(answer).to_contain_text("Keep the state in float32")

    answer.get_by_role("link", name="11 · The error, “The whole message”").click()
    expect(page.get_by_role("tab", name="11_the_error.ipynb")).to_be_visible()
    expect(page.get_by_role("heading", name="11 · The error")).to_be_in_viewport()
