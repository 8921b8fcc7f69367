"""What a learner does in JupyterLab, as steps for the browser tests."""

TOKEN = "browser-test"
_IDLE_SECONDS = 300


def open_notebook(page, name):
    """Open a notebook and wait for its kernel."""
    page.goto(f"{page.address}/lab/tree/notebooks/{name}?token={TOKEN}&reset", wait_until="load")
    page.locator(".jp-Notebook").first.wait_for(timeout=60_000)
    page.locator("#jp-main-statusbar", has_text="(ipykernel) | Idle").wait_for(timeout=60_000)


def run_all(page):
    """Choose Run > Run All Cells, and wait until every cell has run.

    Raises:
        TimeoutError: Cells are still waiting at the end of the time that they have.
    """
    page.locator(".lm-MenuBar-item", has_text="Run").first.click()
    page.locator('.lm-Menu-item[data-command="runmenu:run-all"]').click()
    page.wait_for_timeout(500)
    waiting = page.locator(".jp-InputArea-prompt", has_text="[*]")
    for _ in range(_IDLE_SECONDS * 2):
        if waiting.count() == 0:
            break
        page.wait_for_timeout(500)
    else:
        raise TimeoutError(f"{waiting.count()} cells still wait after {_IDLE_SECONDS} seconds")
    page.locator("#jp-main-statusbar", has_text="| Idle").wait_for(timeout=_IDLE_SECONDS * 1000)
    page.wait_for_timeout(1000)  # the last outputs are drawn after the kernel is idle


def photograph_cell(page, text, path):
    """Take a picture of the window, scrolled so that the cell with this text stands at its top."""
    cell = page.locator(".jp-CodeCell", has_text=text).first
    cell.evaluate("cell => cell.scrollIntoView({block: 'start'})")
    page.wait_for_timeout(800)
    page.screenshot(path=str(path))


def photograph(page, path):
    """Take a picture of the whole notebook, and give the window its size back."""
    height = int(page.locator(".jp-WindowedPanel-viewport").first.bounding_box()["height"])
    page.set_viewport_size({"width": 1280, "height": min(height + 200, 16_000)})
    page.locator(".jp-WindowedPanel-outer").first.evaluate("panel => { panel.scrollTop = 0 }")
    page.wait_for_timeout(1500)
    page.screenshot(path=str(path))
    page.set_viewport_size({"width": 1280, "height": 800})
