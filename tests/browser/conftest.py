"""JupyterLab as a learner gets it, in headless Chromium from the system's packages."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browser_program import find_browser
from browser_steps import TOKEN

from workbook_lib.samples import project_root

PICTURES = project_root() / "workbook-output" / "browser"
SETTINGS = {
    # Every cell in the page, so that it can be counted and photographed.
    "@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"},
}


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """A server on copies of the notebooks; gives its address and its folder."""
    home = tmp_path_factory.mktemp("home")
    root = tmp_path_factory.mktemp("workbook")
    shutil.copytree(project_root() / "notebooks", root / "notebooks")
    for name, values in SETTINGS.items():
        path = home / "settings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    environment = {
        **os.environ,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "WORKBOOK_PROGRESS": str(home / "progress.jsonl"),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0"]
    command += [f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={TOKEN}"]
    log = (home / "server.log").open("w")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=root)
    try:
        yield _address(home / "runtime", process), root
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()


def _address(runtime, process):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, "JupyterLab ended before it answered"
        for path in runtime.glob("jpserver-*.json"):
            port = json.loads(path.read_text())["port"]
            address = f"http://127.0.0.1:{port}"
            try:
                urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=5).read()
                return address
            except OSError:
                pass
        time.sleep(0.3)
    raise TimeoutError("JupyterLab did not answer within 90 seconds")


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


@pytest.fixture
def page(chromium, lab):
    """A page that remembers every host that it asked."""
    address, _ = lab
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.hosts = set()
    page.on("request", lambda request: page.hosts.add(urlsplit(request.url).hostname))
    page.address = address
    yield page
    context.close()


@pytest.fixture(scope="session")
def pictures():
    PICTURES.mkdir(parents=True, exist_ok=True)
    return Path(PICTURES)
