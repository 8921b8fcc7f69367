"""What a learner does in JupyterLab, as steps for the browser tests."""

import io
import json
import os
import re
import time

from browser_servers import TOKEN
from notebook_slice import sliced
from PIL import Image, ImageStat

_RUN_SECONDS = 300
_TALLEST = 8000  # Chromium draws no picture above 16,384 pixels

# Says when a command that a click has started is done: a click itself does not.
_WATCH = """id => {
    window.commandEnded = false;
    const { commandExecuted } = window.jupyterapp.commands;
    const note = (_, command) => {
        if (command.id === id) {
            commandExecuted.disconnect(note);
            const ended = () => { window.commandEnded = true; };
            Promise.resolve(command.result).then(ended, ended);
        }
    };
    commandExecuted.connect(note);
}"""
_CHOOSE = """cell => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    notebook.activeCellIndex = notebook.widgets.findIndex(widget => widget.node === cell);
    notebook.activate();
}"""
# Opens a notebook, and closes what is open beside it: a launcher, where nothing else was.
_OPEN = """async path => {
    const { commands, shell } = window.jupyterapp;
    const opened = await commands.execute('docmanager:open', { path, factory: 'Notebook' });
    [...shell.widgets('main')].filter(one => one !== opened).forEach(one => one.dispose());
    shell.activateById(opened.id);
}"""
# Without the question whether to save.
_CLOSE = "() => [...window.jupyterapp.shell.widgets('main')].forEach(one => one.dispose())"
_HAS_KERNEL = """() => window.jupyterapp &&
    [...window.jupyterapp.shell.widgets('main')].some(one => one.sessionContext?.session?.kernel)"""
_IS_LAB = "() => Boolean(window.jupyterapp)"
_LOADING_WIDGET = "Loading widget"
_BROKEN_WIDGET = (
    "Error displaying widget",
    "model not found",
    "Click to show javascript error",
)
_HOSTS_OF_ONES_OWN = {"127.0.0.1", "localhost", None, ""}


def open_notebook(page, name, *cells):
    """Open a notebook of the folder ``notebooks`` and wait for its kernel.

    With the ids of some cells, it holds these, and what they need, and runs in a few seconds.
    """
    if cells:
        path = page.server.root / "notebooks" / name
        notebook = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(sliced(notebook, *cells)), encoding="utf-8")
    if page.evaluate(_IS_LAB):
        page.evaluate(_OPEN, f"notebooks/{name}")
    else:
        address = f"{page.address}/lab/tree/notebooks/{name}?token={TOKEN}&reset"
        page.goto(address, wait_until="load")
    wait_for_kernel(page)


def leave(page):
    """Close what is open in JupyterLab, and make the window what it was at the beginning."""
    if page.evaluate(_IS_LAB):
        _close_all(page)
        switch_theme(page, dark=False)


def open_again(page, name):
    """Close a notebook and open it again; the kernel lives on."""
    _close_all(page)
    open_notebook(page, name)


def _close_all(page):
    """Close what is open, and wait for what comes then: it would come before the next notebook."""
    page.evaluate(_CLOSE)
    page.locator(".jp-Launcher").wait_for()


def reload_page(page):
    """Load the page again, as a learner does whose laptop has slept; the kernel lives on."""
    page.reload(wait_until="load")
    wait_for_kernel(page)


def wait_for_kernel(page):
    """Wait until the notebook is drawn, and its kernel idle."""
    page.locator(".jp-Notebook").first.wait_for(timeout=60_000)
    page.wait_for_function(_HAS_KERNEL, timeout=60_000)
    _wait_until_idle(page, "(ipykernel) | Idle")


def run_all(page):
    """Choose Run > Run All Cells, and wait until every cell has run and is drawn."""
    _choose(page, "Run", "runmenu:run-all", "notebook:run-all-cells")
    _wait_for_command(page)


def run_cell(page, text):
    """Run the first code cell that has this text, with Ctrl+Enter, and return its locator.

    Of a cell whose code is folded, that is a text of its output, or of its first line.
    """
    found = cell(page, text)
    code = found.locator(".cm-content")
    if code.is_visible():
        code.click()
    else:
        found.evaluate(_CHOOSE)  # a click would unfold it
    page.evaluate(_WATCH, "notebook:run-cell")
    page.keyboard.press("Control+Enter")
    _wait_for_command(page)
    return found


def cell(page, text):
    """Return the locator of the first code cell with this text, in its code or its outputs.

    It follows the text: for a cell whose text is about to be edited, take ``code_cell``.
    """
    return page.locator(".jp-CodeCell", has_text=text).first


def edit_cell(page, text, code):
    """Put other code into the first code cell that has this text; return a locator of its place."""
    place = cell(page, text).evaluate(
        "cell => [...cell.parentElement.querySelectorAll('.jp-CodeCell')].indexOf(cell)"
    )
    found = page.locator(".jp-CodeCell").nth(place)
    found.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(code)
    return found


def restart_kernel(page):
    """Restart the notebook's kernel from its menu, confirm, and wait until it is idle again."""
    _choose(page, "Kernel", "kernelmenu:restart")
    page.locator(".jp-Dialog .jp-mod-warn, .jp-Dialog .jp-mod-accept").last.click()
    _wait_for_command(page)
    wait_for_kernel(page)


def save(page):
    """Choose File > Save Notebook: Ctrl+S would go to whatever frame has the keyboard."""
    _choose(page, "File", "docmanager:save")
    _wait_for_command(page)


def switch_theme(page, dark):
    """Change JupyterLab's theme where the page stands, and wait until it shows."""
    theme = "JupyterLab Dark" if dark else "JupyterLab Light"
    page.evaluate(
        "theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme
    )
    page.locator(f'body[data-jp-theme-name="{theme}"]').wait_for(state="attached", timeout=30_000)
    wait_until_still(page)


def wait_until_still(page, milliseconds=400):
    """Wait until nothing in the notebook has been drawn anew for so long."""
    page.evaluate(
        """still => new Promise(resolve => {
            let timer;
            const watcher = new MutationObserver(() => again());
            const end = () => { watcher.disconnect(); resolve(); };
            const again = () => { clearTimeout(timer); timer = setTimeout(end, still); };
            const watched = document.querySelector('.jp-NotebookPanel') || document.body;
            watcher.observe(watched, { childList: true, subtree: true });
            setTimeout(end, 10_000);  // a clock that ticks in an output does not hold us up
            again();
        })""",
        milliseconds,
    )


def broken_widgets(page, seconds=20):
    """Return what the outputs say where a widget could not be drawn; there must be none.

    JupyterLab says "Loading widget..." for as long as it takes, and a notebook that was opened just
    now may still be at it when its kernel is idle. One that says so after ``seconds`` is broken.
    """
    end = time.monotonic() + seconds
    while True:
        shown = page.locator(".jp-OutputArea-output").all_inner_texts()
        loading = any(_LOADING_WIDGET in text for text in shown)
        if not loading or time.monotonic() > end:
            broken = (_LOADING_WIDGET, *_BROKEN_WIDGET)
            return [text for text in shown if any(words in text for words in broken)]
        page.wait_for_timeout(200)


def outside_hosts(page):
    """Return the hosts that the page asked and that are not this machine; there must be none."""
    return page.hosts - _HOSTS_OF_ONES_OWN


def photograph_cell(page, text, path):
    """Take a picture of the window, scrolled so that the cell with this text stands at its top."""
    cell(page, text).evaluate("cell => cell.scrollIntoView({block: 'start'})")
    wait_until_still(page)
    page.screenshot(path=str(path))


def photograph(page, path):
    """Take pictures of the whole notebook, ``-2``, ``-3`` to the name where one is not enough.

    They are for people to look at, who ask for them with ``WORKBOOK_PICTURES=on``.
    """
    if os.environ.get("WORKBOOK_PICTURES") != "on":
        return
    window = page.viewport_size
    outer = page.locator(".jp-WindowedPanel-outer").first
    above = outer.bounding_box()["y"]
    height = outer.evaluate("panel => panel.scrollHeight")
    page.set_viewport_size({**window, "height": int(min(height, _TALLEST) + above + 40)})
    for number, top in enumerate(range(0, int(height), _TALLEST), start=1):
        outer.evaluate("(panel, top) => { panel.scrollTop = top }", top)
        wait_until_still(page)
        name = path.name if number == 1 else f"{path.stem}-{number}{path.suffix}"
        page.screenshot(path=str(path.with_name(name)))
    page.set_viewport_size(window)


def pictures_of_the_other_theme(page, *, dark):
    """Return the alternative texts of large pictures whose ground is that of the other theme.

    Most of a drawing is its ground, so that its median says which it is.
    """
    found = []
    for image in page.locator("img").all():
        if image.is_visible() and image.bounding_box()["width"] > 200:
            drawn = Image.open(io.BytesIO(image.screenshot())).convert("L")
            if (ImageStat.Stat(drawn).median[0] < 128) is not dark:
                found.append(image.get_attribute("alt"))
    return found


def _choose(page, menu, entry, command=None):
    """Choose an entry of a menu, and watch for the end of the command that it starts."""
    page.evaluate(_WATCH, command or entry)
    page.locator(".lm-MenuBar-item", has_text=menu).first.click()
    page.locator(f'.lm-Menu-item[data-command="{entry}"]').click()


def _wait_until_idle(page, words):
    """Wait until the status bar says so. A dialog would take its place, and is told."""
    bar, dialog = page.locator("#jp-main-statusbar", has_text=words), page.locator(".jp-Dialog")
    bar.or_(dialog).first.wait_for(timeout=60_000)
    if asked := dialog.all_inner_texts():
        raise AssertionError(f"a dialog is in the way: {asked}")


def _wait_for_command(page):
    """Wait for the end of the command that is watched, and until its outputs are drawn."""
    from playwright.sync_api import TimeoutError as NoEnd

    try:
        page.wait_for_function("() => window.commandEnded", timeout=_RUN_SECONDS * 1000)
    except NoEnd:
        waiting = page.locator(".jp-InputArea-prompt", has_text=re.compile(r"\[\*\]")).count()
        asked = page.locator(".jp-Dialog").all_inner_texts()
        message = f"{waiting} cells still wait after {_RUN_SECONDS} seconds, with dialogs: {asked}"
        raise TimeoutError(message) from None
    _wait_until_idle(page, "| Idle")
    wait_until_still(page)
