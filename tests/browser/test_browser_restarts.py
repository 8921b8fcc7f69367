"""What a learner loses, and does not, when a kernel or the server starts anew."""

import pytest
from browser_steps import edit_cell, open_notebook, outside_hosts, restart_kernel, run_cell, save

pytestmark = pytest.mark.browser


def test_a_kernel_and_a_server_behind_a_hub_start_anew(hub_page):
    page, server = hub_page, hub_page.server
    assert server.address.endswith("/user/learner")
    open_notebook(page, "00_start_here.ipynb")
    edit_cell(page, "my_tensorflow =", "import os\nmine = os.getpid()\nmine")
    run_cell(page, "mine = os.getpid()")
    first = int(
        page.locator(".jp-CodeCell", has_text="mine = os.getpid()")
        .last.locator(".jp-OutputArea-output pre")
        .inner_text()
    )
    restart_kernel(page)
    shown = run_cell(page, "mine = os.getpid()").locator(".jp-OutputArea-output pre")
    assert int(shown.inner_text()) != first
    save(page)
    server.restart()
    assert server.address == page.address
    assert server.ask("api/sessions") == []
    open_notebook(page, "00_start_here.ipynb")
    assert page.locator(".jp-CodeCell", has_text="mine = os.getpid()").count() == 1
    assert not outside_hosts(page)
