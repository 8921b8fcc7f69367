"""JupyterLab as a learner gets it, in headless Chromium from the system's packages.

Servers start when the first test asks for them. A page starts as on a first visit: fresh
notebooks, no kernel, no progress, the light theme. ``page`` is at a server as ``make lab`` starts
it, in a window that stays open from test to test, since it takes longer to load JupyterLab than to
run most notebooks; ``new_page`` is one in a window of its own. ``hub_page`` is at a server as a hub
starts it: below a base URL, with a token.
"""

import itertools
import json
import os
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browser_program import find_browser
from browser_servers import LabServer
from browser_steps import leave

from workbook_lib.locations import project_root

PICTURES = project_root() / "workbook-output" / "browser"
# anywidget (0.11) says so of a widget that is not there after 2 s, and draws it when it is: on a
# slow machine this is no error. Whether every widget is drawn, tests ask the page.
TOOK_LONG = "[anywidget] Failed to initialize model."
WINDOW = {"width": 1280, "height": 800}
MOST_VISITS = 12  # after which a window loads JupyterLab anew

_servers = []  # of this worker
_failures = []  # the ids of its tests that failed, whether they are run once more or not


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Tell beside a failure what JupyterLab's server has said, and what its kernels do."""
    report = (yield).get_result()
    if not report.failed:
        return
    _failures.append(item.nodeid)
    for server in _servers:
        try:
            kernels = json.dumps(server.ask("api/kernels"), indent=1)
        except OSError as error:
            kernels = str(error)
        report.sections.append(("The server's kernels", kernels))
        report.sections.append(("The server's last words", server.log()[-6000:]))
    # A failure of which a second run makes nothing is told here alone.
    PICTURES.mkdir(parents=True, exist_ok=True)
    told = "\n".join(f"--- {title}\n{text}" for title, text in report.sections)
    with (PICTURES / "failures.txt").open("a", encoding="utf-8") as failures:
        failures.write(f"=== {item.nodeid}\n{report.longreprtext}\n{told}\n")


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """A server on a learner's copy, as ``make lab`` starts it."""
    yield from _running(LabServer(tmp_path_factory.mktemp("lab")))


@pytest.fixture(scope="session")
def hub_lab(tmp_path_factory):
    """A second one, as a hub starts it for one of its users."""
    yield from _running(LabServer(tmp_path_factory.mktemp("hub"), base_url="/user/learner/"))


def _running(server):
    _servers.append(server)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chromium():
    from playwright.sync_api import sync_playwright

    executable = find_browser()
    if executable is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs Chromium: .ci/run installs it")
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        yield browser
        browser.close()


@contextmanager
def _window(chromium, server):
    context = chromium.new_context(viewport=WINDOW)
    page = context.new_page()
    page.server, page.address = server, server.address
    page.hosts, page.errors = set(), []
    # The context's, so that workers and pages opened by a link count as well.
    context.on("request", lambda request: page.hosts.add(urlsplit(request.url).hostname))

    def note(error):
        if TOOK_LONG not in error:
            page.errors.append(error)

    context.on("console", lambda said: said.type == "error" and note(said.text))
    context.on("weberror", lambda found: note(str(found.error)))
    yield page
    context.close()


@contextmanager
def _visit(chromium, server):
    server.renew()
    with _window(chromium, server) as page:
        try:
            yield page
        finally:
            server.shut_kernels()


@pytest.fixture(scope="session")
def window(chromium, lab):
    with _window(chromium, lab) as page:
        page.visits = itertools.count(1)
        page.failures = 0
        yield page


@pytest.fixture
def page(window):
    """A page that remembers the host of each request (``hosts``) and each error (``errors``)."""
    # What a failure has left there nobody knows; and a window that is never closed grows.
    if len(_failures) != window.failures or next(window.visits) % MOST_VISITS == 0:
        window.goto("about:blank")
    window.failures = len(_failures)
    leave(window)
    window.server.renew()
    window.hosts.clear()
    window.errors.clear()
    yield window
    window.server.shut_kernels()


@pytest.fixture
def new_page(chromium, lab):
    """The same, for what begins with an address, or that a page could leave behind."""
    with _visit(chromium, lab) as page:
        yield page


@pytest.fixture
def hub_page(chromium, hub_lab):
    """The same as ``new_page``, below the base URL ``/user/learner/``."""
    with _visit(chromium, hub_lab) as page:
        yield page


@pytest.fixture(scope="session")
def pictures():
    PICTURES.mkdir(parents=True, exist_ok=True)
    return Path(PICTURES)
