"""The walk along a graph in lesson 15: by mouse, by keyboard, forth and back."""

import pytest
from browser_axe import faults
from browser_steps import cell, open_notebook, outside_hosts, run_all, switch_theme

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser
expect = sync_api.expect


def test_a_walk_from_a_handle_with_the_mouse_and_with_the_keyboard(page, pictures):
    open_notebook(page, "15_whose_variable_is_it.ipynb", "walk-from-a-handle")
    run_all(page)
    walk = page.locator(".workbook-graph-walk")
    said, path = walk.get_by_role("status"), walk.get_by_role("navigation")
    drawing = walk.locator("svg")
    expect(said).to_have_text("Here: variable gain, float32 [].")
    expect(drawing.get_by_role("button")).to_have_count(11)
    walk.evaluate("walk => walk.scrollIntoView({block: 'center'})")
    page.screenshot(path=pictures / "graph-walk.png")

    drawing.get_by_role("button", name="Mul", exact=True).click()
    expect(said).to_have_text("Here: Mul.")
    expect(walk).to_contain_text("mul, in step")
    walk.get_by_role("button", name="AssignAddVariableOp #2", exact=True).click()
    expect(said).to_have_text("Here: AssignAddVariableOp #2, assigns total.")
    expect(walk.locator("[data-here]")).to_be_focused()  # what was pressed is no longer there
    expect(path).to_contain_text("variable gain > Mul > AssignAddVariableOp #2")
    walk.get_by_role("button", name="variable gain", exact=True).first.click()
    expect(said).to_have_text("Here: variable gain, float32 [].")
    expect(path).to_have_text("Path: variable gain")

    here = drawing.locator('[aria-current="true"]')
    here.focus()
    page.keyboard.press("Tab")
    following = drawing.locator('[aria-label^="ReadVariableOp, reads gain"]')
    expect(following).to_be_focused()
    page.screenshot(path=pictures / "graph-walk-focus.png")
    page.keyboard.press("Enter")
    expect(said).to_have_text("Here: ReadVariableOp, reads gain.")
    expect(following).to_be_focused()  # drawn anew, and still where the keyboard is
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    expect(said).to_have_text("Here: variable gain, float32 [].")
    expect(cell(page, "graph_walk(").locator(".cm-editor.cm-focused")).to_have_count(0)

    assert not faults(page, ".workbook-graph-walk")
    switch_theme(page, dark=True)
    page.screenshot(path=pictures / "graph-walk-dark.png")
    assert not faults(page, ".workbook-graph-walk")

    assert not outside_hosts(page)
