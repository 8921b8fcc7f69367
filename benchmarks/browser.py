"""The page in the browser: how long until it answers, beside the same command in a terminal."""

from __future__ import annotations

import contextlib
import functools
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.frame import Chapter, Row, in_child, in_turns, run_program
from benchmarks.graphs import grown_tflite
from benchmarks.reading import running_total
from workbook_lib.editions.page import build_page

RUNS = 5
LARGE = 50 * 2**20  # bytes
LOG = "error: 'tf.VarHandleOp' op is neither a custom op nor a flex op"
_BROWSERS = ("chromium", "google-chrome", "chromium-browser")
_PROGRAMS = Path(sys.executable).parent


def measure() -> Chapter:
    """Open the page anew for each run, with nothing kept, and ask; then ask again."""
    with tempfile.TemporaryDirectory() as name, _served(Path(name, "page")) as (visit, address):
        log, model = Path(name, "log.txt"), Path(name, "large.tflite")
        log.write_text(LOG, encoding="utf-8")
        grown_tflite(in_child(running_total), LARGE, model)
        times: dict[str, list[float]] = {"first": [], "again": [], "model": [], "kept": []}
        for _ in range(RUNS):
            with visit() as window:
                times["first"].append(_timed(lambda: _open_and_ask(window, address)))
                times["again"].append(_timed(lambda: _ask(window)))
                times["model"].append(_timed(lambda: _give(window, model)))
                window.wait_for_function("navigator.serviceWorker.controller !== null")
                times["kept"].append(_timed(lambda: _open_and_ask(window, address)))
        program = str(_PROGRAMS / "varhandle")
        terminal = in_turns(
            {
                "log": lambda: run_program([program, "explain", log]),
                "model": lambda: run_program([program, "diagnose", "--static", model]),
            },
            RUNS,
        )
    explain, diagnose = "`varhandle explain` in a terminal", "`varhandle diagnose --static`"
    return Chapter(
        "The page in the browser",
        f"Headless Chromium, {RUNS} runs, each in a window of its own that has kept nothing. The "
        "files come from a server on this machine, so the network is none.",
        [
            Row(
                "a log: from opening the page",
                times["first"],
                explain,
                terminal["log"],
                "< 3000 ms",
            ),
            Row(
                "a log: from opening it again", times["kept"], explain, terminal["log"], "< 3000 ms"
            ),
            Row("the next log", times["again"], explain, terminal["log"], "< 200 ms"),
            Row("a .tflite of 50 MB, read", times["model"], diagnose, terminal["model"]),
        ],
    )


@contextlib.contextmanager
def _served(folder: Path) -> Iterator[tuple[Callable[[], Any], str]]:
    """Serve a page that was just built; yield what opens a window, and the page's address."""
    from playwright.sync_api import sync_playwright

    build_page(folder)
    handler = functools.partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    executable = next(filter(None, map(shutil.which, _BROWSERS)), None)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
            )

            @contextlib.contextmanager
            def visit() -> Iterator[Any]:
                context = browser.new_context()
                try:
                    yield context.new_page()
                finally:
                    context.close()

            yield visit, f"http://127.0.0.1:{server.server_port}/index.html"
            browser.close()
    finally:
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started)


def _open_and_ask(window: Any, address: str) -> None:
    window.goto(address)
    _ask(window)


def _ask(window: Any) -> None:
    window.evaluate("document.getElementById('answer-body').replaceChildren()")
    window.fill("#log", LOG)
    window.click("#log-form button")
    window.locator("#answer-body", has_text="unsupported-variable-dtype").wait_for()


def _give(window: Any, model: Path) -> None:
    window.evaluate("document.getElementById('answer-body').replaceChildren()")
    window.set_input_files("#file", str(model))
    window.locator("#answer-body", has_text="total").first.wait_for(timeout=60_000)
