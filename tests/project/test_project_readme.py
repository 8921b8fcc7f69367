"""The README is one page; its pictures and those of the docs are there, light, and have words."""

import re
from pathlib import Path

from workbook_lib.locations import project_root

ROOT = project_root()
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PICTURES = [
    (words, ((page.parent / name).resolve().relative_to(ROOT)).as_posix())
    for page in PAGES
    for words, name in re.findall(
        r"!\[([^\]]*)\]\(([^)\s]+readme-[^)\s]+|readme-[^)\s]+)\)", page.read_text()
    )
]


def test_the_readme_is_one_page_with_one_picture():
    assert len(README.splitlines()) < 80
    assert README.count("![") == 1


def test_every_link_of_the_readme_leads_somewhere():
    for target in re.findall(r"\]\(([^)#\s]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_every_picture_is_there_light_and_a_window_of_jupyterlab():
    for _, name in PICTURES:
        content = (ROOT / name).read_bytes()
        assert len(content) < 300_000, name
        size = [int.from_bytes(content[at : at + 4], "big") for at in (16, 20)]  # PNG's header
        assert size == [1280, 800], name


def test_every_picture_has_words_of_its_own():
    words = [alt for alt, _ in PICTURES]
    assert all(len(alt.split()) >= 6 for alt in words)
    assert len(set(words)) == len(words)


def test_docs_holds_these_pictures_and_no_other():
    assert {name for _, name in PICTURES} == {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.png")
    }


def test_make_pictures_takes_them_all():
    """Each is a file that a browser test writes under the same name."""
    sources = "".join(path.read_text() for path in (ROOT / "tests" / "browser").glob("test_*.py"))
    for _, name in PICTURES:
        assert f'"{Path(name).stem}' in sources, name


def test_every_lesson_that_a_page_names_by_its_number_is_there():
    lessons = {path.name[:2] for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}
    for folder in (".", "docs", "benchmarks", "data", "packages/*"):
        for page in ROOT.glob(f"{folder}/*.md"):
            text = page.read_text(encoding="utf-8")
            named = re.findall(r"\b(?:lessons?|notebooks?) (\d\d(?:(?:, | and )\d\d)*)", text, re.I)
            numbers = {number for some in named for number in re.findall(r"\d\d", some)}
            assert numbers <= lessons, page
