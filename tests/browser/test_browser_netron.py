"""Netron inside JupyterLab: the right graph in each frame, and not a word to anybody else.

Netron's page switches ``window.eval`` off, so what is in a frame is only seen by locators.
"""

import re
import shutil
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from browser_servers import TOKEN
from browser_steps import (
    cell,
    open_notebook,
    outside_hosts,
    reload_page,
    run_cell,
    save,
    switch_theme,
)

from workbook_lib.locations import data_path

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

NOTEBOOK = "netron.ipynb"
CELLS = [
    "import shutil, tempfile\n"
    "from pathlib import Path\n"
    "from workbook_lib import show\n"
    "from workbook_lib.locations import data_path\n"
    "folder = Path(tempfile.mkdtemp())  # no place under the server's root\n"
    "shutil.copy(data_path('digits_classifier.keras'), folder / 'digits.keras')\n"
    "shutil.copytree(data_path('half_reader'), folder / 'half')",
    "digits = show.view_in_netron(folder / 'digits.keras')\ndigits",
    "half = show.view_in_netron(folder / 'half')\nhalf",
    "digits.close()",
]
# Nodes that one graph has and the other has not.
OF_DIGITS, OF_HALF = "MaxPooling2D", "VarHandleOp"


def write_notebook(server):
    import nbformat

    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, server.root / "notebooks" / NOTEBOOK)


def frame_of(page, name):
    """Return the frame in a notebook that shows a model."""
    frame = page.locator(f'iframe[title="Netron: the graph of {name}"]')
    frame.scroll_into_view_if_needed()
    return frame.content_frame


def expect_graph(frame, node, other=None):
    """Wait until a graph with a node is drawn, see that it is this one, and that nothing asks."""
    sync_api.expect(frame.locator("#canvas text", has_text=node).first).to_be_visible(
        timeout=30_000
    )
    if other:
        assert frame.locator("#canvas text", has_text=other).count() == 0
    said = frame.locator("#message-text").inner_text()
    assert "cookie" not in said
    assert "update" not in said


def test_two_models_side_by_side_below_a_hubs_base_url(hub_page, pictures, chromium):
    page = hub_page
    write_notebook(page.server)
    open_notebook(page, NOTEBOOK)
    cookies = {cookie["name"] for cookie in page.context.cookies()}
    for text in ("folder = Path", "digits = show.view_in_netron", "half = show.view_in_netron"):
        run_cell(page, text)
    expect_graph(frame_of(page, "digits.keras"), OF_DIGITS, other=OF_HALF)
    expect_graph(frame_of(page, "half"), OF_HALF, other=OF_DIGITS)
    # Whoever types in the notebook goes on typing there when a graph appears.
    assert page.evaluate("document.activeElement.closest('.jp-Notebook') !== null")
    assert page.evaluate("document.activeElement.tagName") != "IFRAME"
    page.screenshot(path=str(pictures / "netron.png"))
    for frame in page.frames[1:]:
        assert frame.url.startswith(f"{page.address}/workbook/netron/page/?ticket=")
        assert "theme" not in frame.url
    assert not outside_hosts(page)
    assert not page.errors  # nothing is refused by the policy, either
    assert {cookie["name"] for cookie in page.context.cookies()} == cookies

    with page.context.expect_page() as opened:
        button = cell(page, "half = show.view_in_netron").get_by_role(
            "button", name="Open in a tab"
        )
        button.focus()
        page.keyboard.press("Enter")
    expect_graph(opened.value, OF_HALF, other=OF_DIGITS)
    opened.value.close()

    save(page)
    run_cell(page, "digits.close()")
    switch_theme(page, dark=True)
    reload_page(page)
    note = frame_of(page, "digits.keras").get_by_text("Run the cell in JupyterLab")
    sync_api.expect(note).to_be_visible()
    expect_graph(frame_of(page, "half"), OF_HALF, other=OF_DIGITS)
    assert {frame.url.partition("&")[2] for frame in page.frames[1:]} == {"", "theme=dark"}
    page.screenshot(path=str(pictures / "netron-dark.png"))
    assert not outside_hosts(page)
    assert {cookie["name"] for cookie in page.context.cookies()} == cookies

    check_copy(chromium, page.server.root / "notebooks" / NOTEBOOK, pictures)


def check_copy(chromium, notebook, pictures):
    """See what a reader of an exported copy sees, on a host that has a page for every address."""
    from nbconvert import HTMLExporter

    copy, _ = HTMLExporter(template_name="basic").from_filename(str(notebook))

    class Host(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(copy.encode() if self.path == "/copy" else b"<p>A page of the host")

        def log_message(self, *_):
            pass

    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    with ThreadingHTTPServer(("127.0.0.1", 0), Host) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        page = context.new_page()
        asked = []
        page.on("requestfinished", lambda request: asked.append(request.url))
        page.goto(f"http://127.0.0.1:{host.server_port}/copy", wait_until="networkidle")
        assert sum("/workbook/netron/ticket/" in url for url in asked) == 2
        for name in ("digits.keras", "half"):
            note = frame_of(page, name).get_by_text("Run the cell in JupyterLab")
            sync_api.expect(note).to_be_visible()
        assert page.get_by_text("A page of the host").count() == 0
        assert page.get_by_role("button", name="Open in a tab").count() == 0
        summary = page.locator("summary", has_text="The same model as text").first
        summary.click()
        sync_api.expect(page.get_by_text("layers/conv2d/vars/0").first).to_be_visible()
        summary.scroll_into_view_if_needed()
        page.screenshot(path=str(pictures / "netron-copy.png"))
        host.shutdown()
    context.close()


def test_it_does_not_expire(new_page):
    """Netron's own page ends 180 days after its release; this one is asked a year ahead."""
    page = new_page
    shutil.copy(data_path("digits_classifier.keras"), page.server.root / "digits.keras")
    address = f"{page.address}/workbook/netron/page/?path=digits.keras&token={TOKEN}"
    page.clock.set_system_time(datetime.now(timezone.utc) + timedelta(days=365))
    page.goto(address)
    expect_graph(page, OF_DIGITS)

    # The other way round: with the date that Netron's page comes with, this clock does end it.
    def put_back_a_date(route):
        answer = route.fetch()
        text = answer.text()
        today = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
        dated = re.sub(r'(name="date" content=")"', rf'\g<1>{today}"', text)
        assert dated != text
        route.fulfill(response=answer, body=dated)

    page.route(re.compile(r"/workbook/netron/page/\?path="), put_back_a_date)
    page.goto(address)
    page.get_by_text("Please update to the newest version").wait_for(timeout=30_000)
    assert not outside_hosts(page)


def test_a_model_is_opened_from_the_file_browsers_menu(new_page, pictures):
    page = new_page
    root = page.server.root
    shutil.copy(data_path("digits_classifier.keras"), root / "digits né.keras")
    shutil.copytree(data_path("half_reader"), root / "half", dirs_exist_ok=True)
    (root / "notes.txt").write_text("no model")
    page.goto(f"{page.address}/lab?token={TOKEN}&reset")

    def menu_of(name):
        page.locator(".jp-DirListing-item", has_text=name).click(button="right")
        page.locator(".lm-Menu-itemLabel", has_text="Rename").wait_for()
        # A menu holds what it does not show as well.
        return page.locator(".lm-Menu-item:not(.lm-mod-hidden)", has_text="Open with Netron")

    page.locator(".jp-DirListing-item", has_text="notes.txt").wait_for(timeout=60_000)
    for name in ("notes.txt", "notebooks"):
        assert menu_of(name).count() == 0
        page.keyboard.press("Escape")
    menu_of("digits né.keras").click()
    digits = page.locator('iframe[title="Netron: digits né.keras"]')
    expect_graph(digits.content_frame, OF_DIGITS, other=OF_HALF)

    page.locator(".jp-DirListing-item", has_text="half").dblclick()
    page.locator(".jp-DirListing-item", has_text="saved_model.pb").click()
    page.keyboard.press("Shift+F10")  # the menu of the file that is chosen, by keyboard
    entry = page.locator(".lm-Menu-item", has_text="Open with Netron")
    entry.wait_for()
    while "lm-mod-active" not in entry.get_attribute("class"):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    half = page.locator('iframe[title="Netron: half/saved_model.pb"]')
    expect_graph(half.content_frame, OF_HALF, other=OF_DIGITS)
    page.screenshot(path=str(pictures / "netron-tab.png"))
    assert not outside_hosts(page)

    menu_of("saved_model.pb").click()  # again: the same tab
    sync_api.expect(page.locator('iframe[title="Netron: half/saved_model.pb"]')).to_have_count(1)
