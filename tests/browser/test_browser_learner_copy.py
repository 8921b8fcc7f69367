"""A learner's certificate in JupyterLab, once all is done."""

import json

import pytest
from browser_steps import open_notebook, run_all

from workbook_lib.lesson.outline import read_outlines

pytestmark = pytest.mark.browser


def everything_done(notebooks):
    """Yield the events of a learner who has done all."""
    for lesson in read_outlines(notebooks):
        for id in lesson.predictions:
            yield {"event": "prediction", "id": id, "answer": "1"}
        for id in lesson.exercises:
            yield {"event": "exercise", "id": id, "status": "right"}
        for id in lesson.quiz:
            yield {"event": "quiz", "id": id, "answer": "1", "correct": True}


def test_the_certificate_opens_from_the_board_and_in_a_tab_of_its_own_to_be_printed(new_page):
    page, server = new_page, new_page.server
    lines = map(json.dumps, everything_done(server.root / "notebooks"))
    server.progress.write_text("\n".join(lines) + "\n", encoding="utf-8")
    open_notebook(page, "00_start_here.ipynb", "progress-board")
    run_all(page)
    page.get_by_role("link", name="your certificate").click()
    shown = page.frame_locator(".jp-HTMLViewer iframe")
    shown.get_by_role("heading", name="Certificate").wait_for()
    page.locator(".jp-BreadCrumbs-home").click()
    file = page.locator(".jp-DirListing-item", has_text="certificate.html")
    file.click(button="right")
    with page.context.expect_page() as opened:
        page.locator(".lm-Menu-item", has_text="Open in New Browser Tab").click()
    tab = opened.value
    tab.get_by_label("This is the record of").fill("Ada Lovelace")
    assert "Open in New Browser Tab" in tab.locator(".print").inner_text()
    tab.emulate_media(media="print")
    assert not tab.locator(".print").is_visible()
    assert page.errors == []
