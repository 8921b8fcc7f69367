"""Every notebook, opened in JupyterLab and run with Run All, as a learner would."""

import json

import pytest
from browser_steps import (
    open_notebook,
    outside_hosts,
    photograph,
    photograph_cell,
    run_all,
    switch_theme,
)

from workbook_lib.lesson.outline import outline
from workbook_lib.runs import all_notebooks

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
def test_run_all_ends_without_an_error_and_draws_everything(page, pictures, path):
    open_notebook(page, path.name)
    run_all(page)
    photograph(page, pictures / f"{path.stem}.png")
    if path.stem == "01_reproduce_the_failure":
        photograph_cell(page, "%%isolated literal", pictures / "readme.png")  # docs/notebook-01.png

    error = page.locator('[data-mime-type="application/vnd.jupyter.error"]')
    assert error.count() == 0, error.first.inner_text()
    noise = page.locator('[data-mime-type="application/vnd.jupyter.stderr"]')
    assert noise.count() == 0, noise.first.inner_text()

    about = next(entry for entry in outline() if entry.file == path.name)
    assert page.locator(".widget-radio-box").count() == len(about.predictions)

    stored = json.loads(path.read_text(encoding="utf-8"))
    outputs = [o for c in stored["cells"] for o in c.get("outputs", [])]
    diagrams = sum("text/vnd.mermaid" in output.get("data", {}) for output in outputs)
    assert page.locator(".jp-RenderedMermaid img, .jp-RenderedMermaid svg").count() >= diagrams
    assert page.locator(".jp-RenderedMermaid .jp-mod-error").count() == 0

    switch_theme(page, dark=True)
    photograph(page, pictures / f"{path.stem}-dark.png")
    assert not outside_hosts(page), "a request left the machine"


def test_a_click_on_a_prediction_is_noted_and_compared(page):
    open_notebook(page, "00_start_here.ipynb")
    run_all(page)
    page.locator(".widget-radio-box label", has_text="it depends").click()
    page.get_by_text("Noted").first.wait_for(timeout=20_000)
    run_all(page)
    page.get_by_text("As you predicted").first.wait_for(timeout=20_000)


def test_an_exercise_fails_and_is_solved_in_the_page(page):
    from importlib import metadata

    open_notebook(page, "00_start_here.ipynb")
    for answer, expected in (
        ('"1.15"', "Not right yet"),
        (f'"{metadata.version("tensorflow")}"', "Right"),
    ):
        cell = page.locator(".jp-CodeCell", has_text="my_tensorflow =").first
        cell.locator(".cm-content").click()
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(f"my_tensorflow = {answer}")
        run_all(page)
        check = page.locator(".jp-CodeCell", has_text="check.tensorflow_version(").first
        assert expected in check.locator(".jp-OutputArea").inner_text()
    board = page.locator(".jp-CodeCell", has_text="lesson.board()").first
    assert "1 of 1" in board.locator(".jp-OutputArea").inner_text()


def test_a_solution_is_folded_until_it_is_asked_for(page):
    open_notebook(page, "00_start_here.ipynb")
    solution = page.locator(".jp-MarkdownCell details").first
    code = solution.locator("code").first
    assert not code.is_visible()
    solution.locator("summary").click()
    assert code.is_visible()
