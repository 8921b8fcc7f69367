"""Diagnose and Cure… in the menu of a model in JupyterLab's file browser."""

import shutil

import psutil
import pytest
from browser_axe import faults
from browser_servers import TOKEN
from browser_steps import outside_hosts, switch_theme

from workbook_lib.locations import data_path

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

expect = sync_api.expect
HALF, DIGITS = "half", "digits né <b>.keras"
RUN_MILLISECONDS = 120_000


@pytest.fixture
def files(new_page):
    """JupyterLab's file browser with two models, a folder that is none, and a text."""
    page = new_page
    root = page.server.root
    shutil.copytree(data_path("half_reader"), root / HALF, dirs_exist_ok=True)
    shutil.copy(data_path("digits_classifier.keras"), root / DIGITS)
    (root / "notes.txt").write_text("no model")
    with page.expect_response("**/varhandle/models*"):
        page.goto(f"{page.address}/lab?token={TOKEN}&reset")
        page.locator(".jp-DirListing-item", has_text="notes.txt").wait_for(timeout=60_000)
    yield page
    for name in (HALF, DIGITS, "half.tflite", "notes.txt"):
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def entries(page, name):
    """Open the menu of a file, and return what of ours is in it."""
    page.locator(".jp-DirListing-item", has_text=name).click(button="right")
    page.locator(".lm-Menu-itemLabel", has_text="Rename").wait_for()
    # A menu holds what it does not show as well.
    shown = page.locator(".lm-Menu-item:not(.lm-mod-hidden) .lm-Menu-itemLabel").all_inner_texts()
    return [text for text in shown if text in ("Diagnose", "Cure…", "Open with Netron")]


def choose(page, name, entry):
    assert entry in entries(page, name)
    page.locator(".lm-Menu-item:not(.lm-mod-hidden)", has_text=entry).click()
    return page.locator(".varhandle-panel:visible")


def wait_for_report(panel):
    """Wait until a run has ended, and return its report."""
    panel.locator("iframe").wait_for(timeout=RUN_MILLISECONDS)
    return panel.locator("iframe").content_frame


def tools(page):
    """The processes of the tool that the server of a page runs."""
    children = psutil.Process(page.server.process.pid).children()
    return [one for one in children if "varhandle.jupyter.tool_process" in one.cmdline()]


def test_diagnose_shows_the_report_of_a_folder_and_of_a_file(files, pictures):
    page = files
    for name in ("notes.txt", "notebooks"):
        assert entries(page, name) == []
        page.keyboard.press("Escape")
    page.locator(".jp-DirListing-item", has_text=HALF).wait_for()
    panel = choose(page, HALF, "Diagnose")
    expect(panel.get_by_role("status")).to_have_text("reading the model …")
    expect(panel.get_by_role("status")).to_contain_text("converting", timeout=RUN_MILLISECONDS)
    report = wait_for_report(panel)
    expect(panel.get_by_role("status")).to_have_text("blocked")
    expect(report.get_by_text("error: unsupported-variable-dtype")).to_be_visible()
    assert panel.locator("iframe").get_attribute("sandbox") == ""
    assert not faults(page, ".varhandle-panel")
    page.screenshot(path=str(pictures / "diagnose.png"))

    light = report.locator("body").evaluate("body => getComputedStyle(body).color")
    switch_theme(page, dark=True)
    expect(report.locator("body")).not_to_have_css("color", light)
    assert not faults(page, ".varhandle-panel")
    page.screenshot(path=str(pictures / "diagnose-dark.png"))

    panel = choose(page, "digits", "Diagnose")
    report = wait_for_report(panel)
    expect(panel.get_by_role("status")).to_have_text("convertible")
    expect(report.get_by_text(DIGITS).first).to_be_visible()
    expect(panel.get_by_role("heading", name=f"Diagnose {DIGITS}")).to_be_visible()
    panel.get_by_role("button", name="Open with Netron").click()
    expect(page.locator(f'iframe[title="Netron: {DIGITS}"]')).to_be_visible()
    assert not outside_hosts(page)
    assert not page.errors


def test_cure_writes_the_file_with_the_keyboard_alone(files, pictures):
    page = files
    page.locator(".jp-DirListing-item", has_text=HALF).click()
    page.keyboard.press("Shift+F10")
    entry = page.locator(".lm-Menu-item", has_text="Cure…")
    entry.wait_for()
    while "lm-mod-active" not in entry.get_attribute("class"):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    panel = page.locator(".varhandle-panel:visible")
    expect(panel.get_by_label("Target")).to_be_focused()
    expect(panel.get_by_label("File to write")).to_have_value("half.tflite")
    expect(
        panel.get_by_role("checkbox")
    ).to_be_hidden()  # it asks for trust only where it is needed
    assert not faults(page, ".varhandle-panel")
    page.keyboard.press("Tab")
    expect(panel.get_by_label("Quantization")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("nothing.npz")
    page.keyboard.press("Enter")
    expect(panel.get_by_role("alert")).to_have_text(
        "nothing.npz: there is no such file or folder: name what is in the folder of the server, "
        "or move it there"
    )
    panel.get_by_label("Inputs").focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")
    expect(panel.get_by_role("button", name="Cancel")).to_be_focused()
    report = wait_for_report(panel)
    expect(panel.get_by_role("status")).to_have_text("cured: wrote half.tflite")
    expect(report.get_by_text("recast-state").first).to_be_visible()
    assert (page.server.root / "half.tflite").read_bytes()[4:8] == b"TFL3"
    assert not faults(page, ".varhandle-panel")
    page.screenshot(path=str(pictures / "cure.png"))
    page.locator(".jp-DirListing-item", has_text="half.tflite").wait_for()

    panel.get_by_role("button", name="Diagnose the file").press("Enter")
    panel = page.locator(".varhandle-panel:visible")
    expect(panel.get_by_role("heading")).to_have_text("Diagnose half.tflite")
    wait_for_report(panel)
    expect(panel.get_by_role("status")).to_have_text("ready")
    assert not outside_hosts(page)


def test_a_run_ends_with_cancel_and_with_its_panel(files):
    page = files
    panel = choose(page, HALF, "Diagnose")
    expect(panel.get_by_role("status")).to_contain_text("converting", timeout=RUN_MILLISECONDS)
    assert len(tools(page)) == 1
    panel.get_by_role("button", name="Cancel").click()
    expect(panel.get_by_role("alert")).to_have_text("Canceled: nothing was written.")
    assert not tools(page)

    panel.get_by_role("button", name="Diagnose again").click()
    expect(panel.get_by_role("status")).to_contain_text("converting", timeout=RUN_MILLISECONDS)
    (again,) = tools(page)
    page.locator(".lm-TabBar-tab", has_text="Diagnose: half").locator(
        ".lm-TabBar-tabCloseIcon"
    ).click()
    again.wait(timeout=30)
