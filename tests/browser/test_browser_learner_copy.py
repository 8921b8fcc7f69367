"""A learner's copy in JupyterLab: it opens as it was handed out, and work in it is kept."""

import json

import pytest
from browser_steps import open_notebook, save, wait_until_still

from workbook_lib.runs import all_notebooks

pytestmark = pytest.mark.browser

IS_DIRTY = "() => window.jupyterapp.shell.currentWidget.context.model.dirty"
KERNEL_SAYS = """() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.info
    .then(info => info.language_info)"""


@pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
def test_a_lesson_opens_without_a_mark_and_saves_as_it_was(page, path):
    copy = page.server.root / "notebooks" / path.name
    before = copy.read_bytes()
    open_notebook(page, path.name)
    told = page.evaluate(KERNEL_SAYS)
    wait_until_still(page, 1000)
    assert not page.evaluate(IS_DIRTY)
    assert told == json.loads(before)["metadata"]["language_info"]
    assert page.locator(".lm-TabBar-tab.jp-mod-dirty").count() == 0
    save(page)
    assert copy.read_bytes() == before
    assert not page.evaluate(IS_DIRTY)
