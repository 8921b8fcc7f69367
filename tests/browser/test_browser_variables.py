"""The controls of lessons 12 and 21: choose a variable and convert it, freeze some."""

import os
import shutil

import psutil
import pytest
from browser_axe import faults
from browser_steps import (
    open_notebook,
    outside_hosts,
    run_all,
    run_cell,
    switch_theme,
    wait_until_still,
)

from workbook_lib.locations import project_root

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

_CONVERSION = 120_000  # milliseconds; on a busy machine the first child imports TensorFlow


def test_a_variable_is_chosen_converted_and_cancelled(page, pictures):
    """By keyboard: what is refused, what converts; and a cancelled child is gone."""
    open_notebook(page, "12_three_fixes.ipynb", "choose-a-variable")
    for code in ("silence_native_log", "controls.variable_chooser()"):
        run_cell(page, code)
    box = page.locator(".workbook-variable-chooser")
    answer = box.locator("[role=status]")
    sync_api.expect(answer).to_contain_text("then Convert")

    dtype = box.get_by_label("Dtype:")
    dtype.focus()
    page.keyboard.press("Home")
    assert dtype.input_value() == "float32"
    box.get_by_text("The program that Convert runs").click()
    sync_api.expect(box.locator("pre").first).to_contain_text("tf.zeros([4], tf.float32)")
    dtype.focus()
    page.keyboard.press("Tab")
    sync_api.expect(box.get_by_label("Update:")).to_be_focused()
    page.keyboard.press("End")
    sync_api.expect(box.locator("summary")).to_contain_text("scatter_nd_update")
    page.keyboard.press("Tab")
    sync_api.expect(box.get_by_label("Converter:")).to_be_focused()
    page.keyboard.press("Tab")
    sync_api.expect(box.get_by_label("I expect:")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    sync_api.expect(box.get_by_role("button", name="Convert")).to_be_focused()
    page.keyboard.press("Enter")
    sync_api.expect(answer).to_contain_text("refused by the converter", timeout=_CONVERSION)
    sync_api.expect(answer).to_contain_text("unsupported-variable-update")
    sync_api.expect(answer).to_contain_text("not as you said: it runs")
    sync_api.expect(box.locator("tbody tr")).to_have_count(1)
    assert_in_view(page, box)
    photograph_both(page, box, pictures / "variable-chooser")

    box.get_by_label("Update:").select_option("assign")
    children = isolated_children(page)
    box.get_by_role("button", name="Convert").click()
    cancel = box.get_by_role("button", name="Cancel")
    started = until(lambda: isolated_children(page) - children)
    cancel.click()
    sync_api.expect(answer).to_contain_text("Cancelled", timeout=_CONVERSION)
    assert until(lambda: not any(child.is_running() for child in started))

    box.get_by_role("button", name="Convert").click()
    sync_api.expect(answer).to_contain_text("with right answers", timeout=_CONVERSION)
    sync_api.expect(answer).to_contain_text("3 of 3 calls agree")
    sync_api.expect(box.locator("tbody tr")).to_have_count(2)  # a cancelled one is not kept
    assert not outside_hosts(page)


def assert_in_view(page, box):
    """With the first control at the top of the window, the last row of the table is in it."""
    page.set_viewport_size({"width": 1280, "height": 800})
    box.evaluate("box => box.scrollIntoView({block: 'start'})")
    wait_until_still(page)
    row = box.locator("tbody tr").last
    assert row.bounding_box()["y"] + row.bounding_box()["height"] < 800


def test_variables_are_frozen_and_their_ops_disappear(page, pictures):
    name = "21_freeze.ipynb"
    shutil.copy(project_root() / "notebooks" / name, page.server.root / "notebooks")
    open_notebook(page, name, "chooser")
    stored = page.locator(".jp-CodeCell", has_text="controls.freeze_chooser(").locator("img").first
    # The notebook is not trusted yet, and its stored drawings are there all the same.
    assert stored.evaluate("image => image.decode().then(() => image.naturalWidth)") > 200
    run_all(page)
    box = page.locator(".workbook-freezing")
    answer = box.locator("[role=status]")
    sync_api.expect(answer).to_contain_text("Frozen: weight, bias")
    drawings = answer.locator("img")
    sync_api.expect(drawings).to_have_count(2)
    for drawing in drawings.all():
        assert drawing.evaluate("image => image.decode().then(() => image.naturalWidth)") > 200
    assert not faults(page, ".workbook-freezing")
    photograph_both(page, box, pictures / "freezing")

    box.get_by_label("freeze bias").focus()
    page.keyboard.press("Space")
    sync_api.expect(answer).to_contain_text("Frozen: weight; left as a variable: bias")
    box.get_by_label("freeze weight").click()
    sync_api.expect(answer).to_contain_text("Frozen: nothing")
    assert not outside_hosts(page)


def photograph_both(page, box, path):
    """Take a picture of the window with a box at its top, in both themes."""
    for dark in (True, False):
        switch_theme(page, dark)
        box.evaluate("box => box.scrollIntoView({block: 'start'})")
        wait_until_still(page)
        page.screenshot(path=path.with_name(f"{path.name}{'-dark' if dark else ''}.png"))


def isolated_children(page):
    """Return the processes below the server that lead a session and are forked from a zygote."""
    found = set()
    for process in psutil.Process(page.server.process.pid).children(recursive=True):
        try:
            if os.getsid(process.pid) == process.pid and "zygote" in " ".join(process.cmdline()):
                found.add(process)
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
    return found


def until(condition, seconds=60):
    """Wait for what is outside the page, and return what the condition gave in the end."""
    import time

    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found
