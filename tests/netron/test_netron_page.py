import re

import pytest

from workbook_lib.netron.page import QUIET_NAME, dark, netron_folder, quiet_page

INDEX = (
    '<meta name="version" content="9"><meta name="date" content="2026"><script src="i"></script>'
)


@pytest.fixture(scope="module")
def index():
    return (netron_folder() / "index.html").read_text("utf-8")


def metas(page):
    return dict(re.findall(r'<meta name="(\w+)" content="([^"]*)">', page))


def test_the_installed_page_reports_nothing_and_has_no_age(index):
    assert metas(index)["version"] != "0.0.0"
    assert re.match(r"\d{4}-", metas(index)["date"])
    page = quiet_page(index, "data/m.tflite", "m.tflite")
    assert metas(page)["version"] == "0.0.0"
    assert re.findall(r'name="date" content="([^"]*)"', page) == [""]
    assert metas(page)["file"] == "data/m.tflite"
    assert page.index(QUIET_NAME) < page.index("index.js")


def test_name_is_escaped_in_the_page():
    page = quiet_page(INDEX, "data/x", '"><script>alert(1)</script>')
    assert "<script>alert" not in page


@pytest.mark.parametrize("missing", ["version", "date", "script"])
def test_an_unknown_page_is_refused(missing):
    with pytest.raises(ValueError, match="has no"):
        quiet_page(INDEX.replace(missing, "other"), "data/x", "x")


def test_the_dark_form_does_not_ask_the_browser(index):
    style = (netron_folder() / "grapher.css").read_text("utf-8")
    for text in (index, style):
        assert "prefers-color-scheme" not in dark(text)
        assert "@media all" in dark(text)
    with pytest.raises(ValueError, match="has no"):
        dark(INDEX)
