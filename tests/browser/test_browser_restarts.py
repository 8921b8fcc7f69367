"""What a learner loses, and does not, when a kernel or the server starts anew."""

from importlib import metadata

import pytest
from browser_steps import (
    broken_widgets,
    cell,
    edit_cell,
    open_notebook,
    outside_hosts,
    restart_kernel,
    run_all,
    run_cell,
    save,
)

pytestmark = pytest.mark.browser

SOLVED = f'my_tensorflow = "{metadata.version("tensorflow")}"'


def board_line(page):
    """Run the board, and return what it says of notebook 00."""
    run_cell(page, "Predict: ")  # it imports the lesson
    board = run_cell(page, "lesson.board()").locator(".jp-OutputArea")
    return board.locator("tr", has_text="Start here").inner_text().split()


def test_progress_is_kept_over_a_kernel_and_a_server_that_start_anew(hub_page):
    page, server = hub_page, hub_page.server
    assert page.address.endswith("/user/learner")
    cells = ("practice-prediction", "stub-version", "check-version", "progress-board")
    open_notebook(page, "00_start_here.ipynb", *cells)
    run_all(page)
    before = board_line(page)
    page.locator(".widget-radio-box label", has_text="4 to 8 kB").click()
    page.get_by_text("Noted").first.wait_for(timeout=20_000)
    edit_cell(page, "my_tensorflow =", SOLVED)
    run_cell(page, SOLVED)
    run_cell(page, "check.tensorflow_version(")
    done = board_line(page)
    assert done != before

    restart_kernel(page)
    assert board_line(page) == done
    run_cell(page, SOLVED)
    run_cell(page, "check.tensorflow_version(")  # its buttons do not outlive their kernel

    save(page)
    server.restart()
    assert server.address == page.address
    assert server.ask("api/sessions") == []
    page.goto("about:blank")  # whoever comes back loads JupyterLab
    open_notebook(page, "00_start_here.ipynb")
    cell(page, SOLVED).wait_for(timeout=20_000)  # the answer that was saved
    page.locator(".widget-radio-box").first.wait_for(timeout=60_000)
    assert broken_widgets(page) == []
    assert board_line(page) == done
    assert not outside_hosts(page)
