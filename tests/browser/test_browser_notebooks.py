"""Every notebook, opened in JupyterLab and run with Run All, as a learner would."""

import json

import pytest
from browser_axe import faint, faults
from browser_servers import SETTINGS
from browser_steps import (
    broken_widgets,
    cell,
    edit_cell,
    open_again,
    open_notebook,
    outside_hosts,
    photograph,
    photograph_cell,
    pictures_of_the_other_theme,
    reload_page,
    run_all,
    run_cell,
    save,
    switch_theme,
    wait_until_still,
)

from workbook_lib.lesson.outline import read_outlines
from workbook_lib.runs import all_notebooks

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.browser

WIDGET = "application/vnd.jupyter.widget-view+json"
# Pictures for the README (``make pictures``): notebook -> a text of the cell at the window's top.
# What they show gives no answer.
README = {
    "00_start_here": ("Traceback (most recent call last)", "readme-start"),
    "14_what_a_handle_is": ("show.view_in_netron(folder)", "readme-netron"),
}
PREDICTION = ("practice-prediction", "practice-compare")  # of notebook 00
PROGRESS = ("stub-version", "check-version", "progress-board")  # of notebook 00
BEHIND_A_HUB = "00_start_here"  # the tests below run it on the other server

_DRAWN = 60_000  # milliseconds; widgets come after their cells have run
# Every output with its kind, and whether a widget of it is drawn.
_OUTPUTS = """() => [...document.querySelectorAll('.jp-OutputArea-output')].map(output => ({
    mime: output.dataset.mimeType,
    drawn: !!output.querySelector('.jupyter-widgets'),
}))"""
IS_DIRTY = "() => window.jupyterapp.shell.currentWidget.context.model.dirty"
KERNEL_SAYS = """() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.info
    .then(info => info.language_info)"""
_LONG_LINES = """() => [...document.querySelectorAll('.jp-CodeCell .cm-scroller')]
    .filter(code => code.scrollWidth > code.clientWidth + 1)
    .map(code => code.innerText)"""
# Where a control is, its style sheet is.
_BROKEN_WORDS = """() => !document.querySelector('.workbook-controls') ? [] :
    [...document.querySelectorAll('.jp-OutputArea-output.jp-RenderedText pre')]
    .filter(text => getComputedStyle(text).wordBreak === 'break-all')
    .map(text => text.innerText)"""
_CRAMPED_HEADS = """() => [...document.querySelectorAll('.jp-OutputArea thead th')]
    .filter(head => {
        const words = document.createRange();
        words.selectNodeContents(head);
        return words.getBoundingClientRect().width > head.clientWidth - 2;
    }).map(head => head.innerText)"""


@pytest.fixture
def visit(request):
    """The page of one server or of the other."""

    def choose(notebook):
        return request.getfixturevalue("hub_page" if notebook == BEHIND_A_HUB else "page")

    return choose


@pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
def test_run_all_ends_without_an_error_and_draws_everything(visit, pictures, path):
    page = visit(path.stem)
    copy = page.server.root / "notebooks" / path.name
    open_notebook(page, path.name)
    wait_until_still(page, 1000)
    assert_saves_as_it_was_handed_out(page, copy)
    run_all(page)
    photograph(page, pictures / f"{path.stem}.png")
    if path.stem in README:
        photograph_for_the_readme(page, pictures, *README[path.stem])

    for kind in ("error", "stderr"):
        unexpected = page.locator(f'[data-mime-type="application/vnd.jupyter.{kind}"]')
        assert unexpected.count() == 0, unexpected.first.inner_text()
    widgets = assert_everything_is_drawn(page, path)
    assert page.evaluate(_LONG_LINES) == [], "code that has to be scrolled sideways"
    assert page.evaluate(_BROKEN_WORDS) == [], "text that is broken within words"
    assert page.evaluate(_CRAMPED_HEADS) == [], "heads of columns that run into each other"

    light = faults(page)
    assert pictures_of_the_other_theme(page, dark=False) == []
    switch_theme(page, dark=True)
    assert pictures_of_the_other_theme(page, dark=True) == []
    photograph(page, pictures / f"{path.stem}-dark.png")
    assert (light, faint(page)) == ([], [])

    save(page)
    if path.stem == BEHIND_A_HUB:
        reload_page(page)
    else:
        open_again(page, path.name)
    wait_until_still(page)
    try:
        again = assert_everything_is_drawn(page, path)
    except AssertionError:  # ipywidgets waits four seconds for a kernel's state, busy or not
        open_again(page, path.name)
        wait_until_still(page)
        again = assert_everything_is_drawn(page, path)
    assert again == widgets, "widgets of a notebook opened again"
    assert page.errors == []
    assert not outside_hosts(page), "a request left the machine"


def assert_saves_as_it_was_handed_out(page, copy):
    """Nothing but the learner's work changes the file, so nothing asks whether to keep it."""
    before = copy.read_bytes()
    assert page.evaluate(KERNEL_SAYS) == json.loads(before)["metadata"]["language_info"]
    assert not page.evaluate(IS_DIRTY)
    assert page.locator(".lm-TabBar-tab.jp-mod-dirty").count() == 0
    save(page)
    assert copy.read_bytes() == before
    assert not page.evaluate(IS_DIRTY)


def photograph_for_the_readme(page, pictures, text, name):
    """Photograph the window with a cell at its top, once Netron has drawn what it shows there."""
    frame = cell(page, text).locator("iframe")
    if frame.count():
        frame.scroll_into_view_if_needed()
        frame.content_frame.locator("#canvas text").first.wait_for(timeout=60_000)
    photograph_cell(page, text, pictures / f"{name}.png")


def assert_everything_is_drawn(page, path):
    """Check predictions, widgets and diagrams; return how many widgets there are."""
    about = next(entry for entry in read_outlines() if entry.file == path.name)
    why, helps = page.locator(".workbook-why textarea"), page.locator(".workbook-help")
    expect(why).to_have_count(len(about.predictions), timeout=_DRAWN)
    expect(helps).to_have_count(len(about.exercises), timeout=_DRAWN)
    if asked := len(about.predictions) + len(about.quiz):
        page.locator(".widget-radio-box").nth(asked - 1).wait_for(timeout=_DRAWN)
    assert broken_widgets(page) == []
    outputs = page.evaluate(_OUTPUTS)
    widgets = [output for output in outputs if output["mime"] == WIDGET]
    assert all(output["drawn"] for output in widgets)

    stored = json.loads(path.read_text(encoding="utf-8"))
    # A control has its drawing in a widget; what is stored is what stands in for it.
    plain = [c for c in stored["cells"] if "controls." not in "".join(c["source"])]
    shown = [o.get("data", {}) for c in plain for o in c.get("outputs", [])]
    drawings = sum("data:image/svg+xml" in "".join(d.get("text/html", "")) for d in shown)
    assert page.locator('.jp-OutputArea img[src^="data:image/svg+xml"]').count() >= drawings
    return len(widgets)


def test_a_prediction_is_made_compared_and_forgotten_with_the_keyboard(page, pictures):
    open_notebook(page, "00_start_here.ipynb", *PREDICTION, *PROGRESS)
    run_all(page)
    page.locator(".widget-radio-box input").first.focus()
    for key in ("Space", "ArrowDown"):
        page.keyboard.press(key)
    page.get_by_text("Noted: 4 to 8 kB").first.wait_for(timeout=20_000)
    run_cell(page, "lesson.observe(")
    page.get_by_text("As you predicted").first.wait_for(timeout=20_000)
    expect(cell(page, "Predict: ")).to_contain_text("As observed.")

    board = run_cell(page, "lesson.board()")
    row = board.locator("tr", has_text="Start here")
    expect(row).to_contain_text("1 of 1")
    board.get_by_label("Begin afresh:").select_option(label="00 Start here")
    board.get_by_role("button", name="Forget its progress").focus()
    page.keyboard.press("Enter")
    expect(board.get_by_role("button", name="No, keep it")).to_be_focused()
    page.screenshot(path=pictures / "board-reset.png")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(board.get_by_text("starts again from zero")).to_be_visible()
    expect(row).not_to_contain_text("1 of 1")
    board.get_by_role("link", name="What a handle is").click()
    expect(page.locator(".lm-TabBar-tab.lm-mod-current", has_text="14_what")).to_be_visible()


def test_an_exercise_fails_and_is_solved_in_the_page(page):
    from importlib import metadata

    open_notebook(page, "00_start_here.ipynb", *PROGRESS)
    run_all(page)
    for answer, expected in (
        ('"1.15"', "Not right yet"),
        (f'"{metadata.version("tensorflow")}"', "Right"),
    ):
        code = f"my_tensorflow = {answer}"
        edit_cell(page, "my_tensorflow =", code)
        run_cell(page, code)
        check = run_cell(page, "check.tensorflow_version(")
        assert expected in check.locator(".jp-OutputArea").inner_text()
    board = run_cell(page, "lesson.board()")
    assert "1 of 1" in board.locator(".jp-OutputArea").inner_text()


def test_a_model_answer_comes_after_a_sentence_of_ones_own_with_the_keyboard(page, pictures):
    open_notebook(page, "00_start_here.ipynb", *PREDICTION)
    run_all(page)
    photograph_both(page, pictures / "prediction-before", "Predict: ")
    page.locator(".workbook-prediction input").first.check()
    page.get_by_text("Noted: under 4 kB").wait_for(timeout=20_000)
    why = run_cell(page, "lesson.observe(").locator(".workbook-why")
    photograph_both(page, pictures / "prediction-after", "Predict: ")
    button = why.get_by_role("button", name="Compare with a model answer")
    button.focus()
    page.keyboard.press("Enter")
    expect(why.get_by_role("status")).to_contain_text(
        "a sentence of your own first", timeout=20_000
    )
    expect(why.get_by_role("textbox")).to_be_focused()
    page.keyboard.type("b because")
    page.keyboard.press("Shift+Enter")  # begins a line, and does not run the cell
    page.keyboard.type("of a dtype")
    page.keyboard.press("Tab")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(why.get_by_role("status")).to_contain_text("b because of a dtype", timeout=20_000)
    expect(why.get_by_role("status")).to_contain_text("1,000 weights take 4,000")
    photograph_both(page, pictures / "why", "lesson.observe(")
    assert faults(page) == []


def test_hints_and_the_solution_are_buttons(page, pictures):
    open_notebook(page, "00_start_here.ipynb", *PROGRESS)
    run_all(page)
    check = cell(page, "check.tensorflow_version(")
    expect(check.get_by_role("button", name="Solution")).to_be_visible()
    assert "hint()" not in check.locator(".jp-OutputArea").inner_text()
    check.get_by_role("button", name="Hint 1 of 2").focus()
    page.keyboard.press("Enter")
    expect(check.get_by_role("status")).to_contain_text("has a row for it")
    photograph_both(page, pictures / "hint", "check.tensorflow_version(")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(check.get_by_role("button", name="Not yet")).to_be_focused()
    expect(check.get_by_role("status")).not_to_contain_text("my_tensorflow")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(check.get_by_role("status")).to_contain_text('my_tensorflow = "')
    expect(check.get_by_role("button", name="Solution")).to_be_focused()
    photograph_both(page, pictures / "solution", "check.tensorflow_version(")
    assert faults(page) == []


def test_a_quiz_gives_the_reason_for_each_option(page, pictures):
    open_notebook(page, "11_the_error.ipynb", "quiz")
    run_all(page)
    quiz = page.locator(".workbook-quiz")
    expect(quiz.locator(".widget-radio-box")).to_have_count(3)
    photograph_both(page, pictures / "quiz-before", "1. A Keras model")
    quiz.get_by_role("radio").first.focus()
    page.keyboard.press("Space")
    first = quiz.get_by_role("status").first
    expect(first).to_contain_text("Not this one")
    page.keyboard.press("ArrowDown")
    expect(first).to_contain_text("Right")
    expect(first).to_contain_text("The numbers are in it")
    photograph_both(page, pictures / "quiz-after", "1. A Keras model")
    assert faults(page) == []


def test_folded_code_is_a_small_bar_that_unfolds(page, pictures):
    open_notebook(page, "92_releases.ipynb", "imports", "matrix")
    run_all(page)
    imports = cell(page, "TensorFlow 2")
    bar = imports.locator(".jp-Placeholder")
    expect(bar).to_be_visible()
    assert bar.bounding_box()["height"] < 40
    photograph_both(page, pictures / "folded", "TensorFlow 2")
    bar.click()
    expect(imports.get_by_text("silence_native_log()")).to_be_visible()


def photograph_both(page, path, text):
    """Photograph the window with a cell at its top, in both themes."""
    for name, dark in ((f"{path}-dark.png", True), (f"{path}.png", False)):
        switch_theme(page, dark=dark)
        photograph_cell(page, text, name)


def test_a_solution_is_folded_until_it_is_asked_for(page):
    open_notebook(page, "00_start_here.ipynb")
    solution = page.locator(".jp-MarkdownCell details").first
    code = solution.locator("code").first
    assert not code.is_visible()
    solution.locator("summary").click()
    assert code.is_visible()


def test_a_claim_leads_to_the_cell_that_proves_it(new_page):
    page = new_page
    for name in SETTINGS:
        page.server.set(name, {})  # with every cell in the page, JupyterLab loses its place
    open_notebook(page, "91_the_article.ipynb", "claims")
    run_all(page)
    claims = cell(page, "show.claims_table")
    claims.get_by_role("link", name="29: Measure it").click()
    proof = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell")
    proof = proof.filter(has_text="in_turns(opened, 200)")
    proof.wait_for(timeout=60_000)
    page.wait_for_function(
        """cell => { const box = cell.getBoundingClientRect();
        return box.top < window.innerHeight && box.bottom > 0; }""",
        arg=proof.element_handle(),
    )
