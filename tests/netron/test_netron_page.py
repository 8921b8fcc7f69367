"""Netron's page, and the files that it may ask for: Netron's own and those of one model."""

import re

import pytest

from workbook_lib.netron import page
from workbook_lib.netron.page import (
    main_file,
    model_file,
    netron_folder,
    offline_page,
    with_dark_style,
)

INDEX = (
    '<meta name="version" content="9"><meta name="date" content="2026"><script src="i"></script>'
)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """``installed(index)``: a Netron whose page is this one."""

    def install(index):
        (tmp_path / "index.html").write_text(index)
        monkeypatch.setattr(page, "netron_folder", lambda: tmp_path)

    return install


def metas(made):
    return dict(re.findall(r'<meta name="(\w+)" content="([^"]*)">', made))


def test_the_installed_page_reports_nothing_and_has_no_age():
    index = (netron_folder() / "index.html").read_text("utf-8")
    assert metas(index)["version"] != "0.0.0"
    assert re.match(r"\d{4}-", metas(index)["date"])
    made = offline_page("data/m.tflite", "m.tflite")
    assert metas(made)["version"] == "0.0.0"
    assert re.findall(r'name="date" content="([^"]*)"', made) == [""]
    assert metas(made)["file"] == "data/m.tflite"
    assert made.index("quiet.js") < made.index("index.js")


def test_name_is_escaped_in_the_page(installed):
    installed(INDEX)
    assert "<script>alert" not in offline_page("data/x", '"><script>alert(1)</script>')


@pytest.mark.parametrize("missing", ["version", "date", "script"])
def test_an_unknown_page_is_refused(installed, missing):
    installed(INDEX.replace(missing, "other"))
    with pytest.raises(ValueError, match="has no"):
        offline_page("data/x", "x")


def test_the_dark_form_does_not_ask_the_browser():
    for name in ("index.html", "grapher.css"):
        text = (netron_folder() / name).read_text("utf-8")
        assert "prefers-color-scheme" not in with_dark_style(text)
        assert "@media all" in with_dark_style(text)
    with pytest.raises(ValueError, match="has no"):
        with_dark_style(INDEX)


def test_a_file_is_alone(tmp_path):
    model = tmp_path / "m.tflite"
    model.write_bytes(b"x")
    (tmp_path / "secret.txt").write_text("beside the model")
    assert main_file(model) == "m.tflite"
    assert model_file(model, "m.tflite") == model
    for other in ("secret.txt", "../m.tflite", "", ".", "./secret.txt", str(model)):
        assert model_file(model, other) is None


def test_a_folder_has_its_own_files_and_none_above(tmp_path):
    model = tmp_path / "model"
    (model / "variables").mkdir(parents=True)
    (model / "saved_model.pb").write_bytes(b"pb")
    (model / "variables" / "variables.index").write_bytes(b"i")
    (tmp_path / "secret.txt").write_text("beside the model")
    (model / "link").symlink_to(tmp_path / "secret.txt")
    assert main_file(model) == "saved_model.pb"
    assert model_file(model, "variables/variables.index").read_bytes() == b"i"
    outside = ("../secret.txt", "link", "variables/../../secret.txt", "/etc/passwd")
    for other in (*outside, "variables", "a\0b.js", "a" * 300):
        assert model_file(model, other) is None


def test_the_main_file_may_be_a_link_out_of_the_folder(tmp_path):
    (tmp_path / "blob").write_bytes(b"pb")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").symlink_to(tmp_path / "blob")
    assert model_file(tmp_path / "model", "saved_model.pb").read_bytes() == b"pb"
