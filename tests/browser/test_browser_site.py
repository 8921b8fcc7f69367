"""The site and the slides as a reader sees them, in Chromium: light and dark, by keyboard."""

import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from browser_axe import ON_SITE, faint, faults
from browser_steps import pictures_of_the_other_theme
from built import built_edition
from class_of_thirty import write_class

from workbook_lib.locations import project_root
from workbook_lib.runs import all_notebooks, run_notebooks
from workshop.class_page import render_class
from workshop.classroom import read_classroom

pytestmark = pytest.mark.browser
WINDOW = {"width": 1280, "height": 720}


@pytest.fixture(scope="module")
def site():
    return built_edition("html")


@pytest.fixture(scope="module")
def decks():
    return built_edition("slides")


@pytest.fixture
def reader(chromium):
    """A page that remembers what it asked for, and what went wrong."""
    context = chromium.new_context(viewport=WINDOW)
    page = context.new_page()
    page.asked, page.errors = [], []
    context.on("request", lambda request: page.asked.append(urlsplit(request.url)))
    context.on("console", lambda said: said.type == "error" and page.errors.append(said.text))
    context.on("weberror", lambda found: page.errors.append(str(found.error)))
    yield page
    context.close()
    assert {url.scheme for url in page.asked} <= {"file", "data"}, "a page asked for something"
    assert page.errors == []


# What stands alone on these pages is a mark, an arrow or a tick, and must reach 3:1 as a picture
# does. axe-core judges neither that nor text in a drawing, which must reach 4.5:1 on its ground.
_FAINT = """() => {
  // Colors laid one over the other, as the browser paints them: the first is the lowest.
  const shade = (layers) => {
    const canvas = document.createElement("canvas").getContext("2d");
    for (const layer of layers) {
      canvas.fillStyle = layer;
      canvas.fillRect(0, 0, 1, 1);
    }
    const line = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v / 255)
      .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * line[0] + 0.7152 * line[1] + 0.0722 * line[2];
  };
  const grounds = (element) => {
    const found = [];
    for (let at = element; at; at = at.parentElement) {
      found.unshift(getComputedStyle(at).backgroundColor);
    }
    return found;
  };
  const faint = (selector, color, least) => [...document.querySelectorAll(selector)]
    .filter((mark) => {
      const below = grounds(mark);
      const [a, b] = [shade([...below, getComputedStyle(mark)[color]]), shade(below)];
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < least;
    }).map((mark) => mark.outerHTML);
  return [
    ...faint(".output [aria-hidden=true], strong[role=img], td span[style*=color]", "color", 3),
    ...faint("svg[style*=background] text", "fill", 4.5),
  ];
}"""


def pages(site):
    return sorted(site.folder.glob("lessons/*.html")) + [
        site.folder / name
        for name in ("index.html", "glossary.html", "families/unfrozen-graph.html", "python.html")
    ]


def test_axe_finds_nothing_in_what_is_ours(reader, site):
    for path in pages(site):
        reader.goto(path.as_uri())
        assert faults(reader, ON_SITE, wcag_only=False) == [], path.name
        assert reader.evaluate(_FAINT) == [], path.name


def test_in_the_dark_all_is_readable_and_nothing_is_wider_than_a_phone(reader, site):
    reader.emulate_media(color_scheme="dark")
    for path in pages(site):
        reader.goto(path.as_uri())
        assert faint(reader, ON_SITE) == [], path.name
        assert reader.evaluate(_FAINT) == [], path.name
        if path.parent.name == "lessons":  # elsewhere are screenshots
            assert pictures_of_the_other_theme(reader, dark=True) == [], path.name
        for width in (390, 1280):
            reader.set_viewport_size({"width": width, "height": 800})
            assert reader.evaluate("document.documentElement.scrollWidth") <= width, path.name


_TIGHT = """() => [...document.querySelectorAll('div.cell_output table :is(th, td)')]
    .filter(cell => cell.innerText && parseFloat(getComputedStyle(cell).paddingRight) < 4)
    .map(cell => cell.innerText)"""
# What a page hides beyond its edge: on paper nobody scrolls.
_CUT_OFF = """() => [...document.querySelectorAll('article pre, article .output.text_html')]
    .filter(text => text.scrollWidth > text.clientWidth + 1)
    .map(text => text.innerText.slice(0, 80))"""


def test_cells_of_a_table_are_apart_and_on_paper_no_line_is_cut_off(reader, site):
    reader.set_viewport_size({"width": 794, "height": 1123})  # A4
    reader.emulate_media(media="print")
    for path in pages(site):
        reader.goto(path.as_uri())
        assert reader.evaluate(_TIGHT) == [], path.name
        assert reader.evaluate(_CUT_OFF) == [], path.name


def test_a_gray_text_and_a_missing_alt_are_seen(reader, site):
    """What the test above would say: axe-core is awake, and so is what judges in its place."""
    reader.goto((site.folder / "lessons" / "14_what_a_handle_is.html").as_uri())
    reader.add_style_tag(
        content="p { color: #999 !important } [aria-hidden] { color: #ddd !important }"
    )
    reader.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    reader.evaluate(
        "document.querySelectorAll('article img').forEach((i) => i.removeAttribute('alt'))"
    )
    rules = {line.partition(":")[0] for line in faults(reader, ON_SITE)}
    assert {"color-contrast", "image-alt"} <= rules
    assert reader.evaluate(_FAINT)


def test_the_search_finds_an_error_text_below_any_address(chromium, site):
    class Below(SimpleHTTPRequestHandler):
        def translate_path(self, path):
            return super().translate_path(path.removeprefix("/some/where"))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Below, directory=str(site.folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = chromium.new_page()
    hosts = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    try:
        words = "neither+a+custom+op"
        page.goto(f"http://127.0.0.1:{server.server_port}/some/where/search.html?q={words}")
        page.locator("#search-results a", has_text="unsupported-variable-dtype").first.click()
        assert page.url.split("?")[0].endswith("/families/unsupported-variable-dtype.html")
        assert hosts == {f"127.0.0.1:{server.server_port}"}
    finally:
        page.close()
        server.shutdown()
        server.server_close()


def test_the_report_of_a_run_looks_the_same(reader, tmp_path):
    import nbformat

    path = tmp_path / "fails.ipynb"
    cells = [
        nbformat.v4.new_markdown_cell("# A run\n\n![A handle](pictures/handle.svg)", id="title"),
        nbformat.v4.new_code_cell("print('fine'); 1 / 0", id="fails"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    (tmp_path / "pictures").mkdir()
    drawing = project_root() / "notebooks" / "pictures" / "what_a_handle_is.svg"
    shutil.copy(drawing, tmp_path / "pictures" / "handle.svg")
    report = run_notebooks([path], tmp_path / "out")
    for scheme in ("light", "dark"):
        reader.emulate_media(color_scheme=scheme)
        for page in ("index.html", "fails.html"):
            reader.goto((report.folder / page).as_uri())
            assert faults(reader, None, wcag_only=False) == [], page
            dark = scheme == "dark"
            assert pictures_of_the_other_theme(reader, dark=dark) == [], page
    assert reader.get_by_role("img", name="A handle").is_visible()
    assert "ZeroDivisionError" in reader.locator(".stderr").inner_text()


_SCROLLED = """() => [...document.querySelectorAll('.wide')]
  .filter((box) => box.scrollWidth > box.clientWidth).map((box) => box.innerText.slice(0, 80))"""


def test_the_page_of_a_class_shows_every_lesson(reader, tmp_path):
    write_class(tmp_path)
    reader.set_content(render_class(read_classroom(tmp_path)))
    assert reader.evaluate(_SCROLLED) == []


_CUT = """() => Reveal.getSlides().flatMap((slide) => {
  const at = Reveal.getIndices(slide);
  Reveal.slide(at.h, at.v);
  return slide.scrollWidth > slide.clientWidth + 2 || slide.scrollHeight > slide.clientHeight + 20
    ? [`${at.h}/${at.v}: ${slide.innerText.slice(0, 80)}`] : [];
})"""


# The code of a panel has a size of its own in a notebook, which nobody reads from the last row.
_SMALL = """() => [...document.querySelectorAll('.slides pre')]
  .filter((code) => parseFloat(getComputedStyle(code).fontSize) < 18)
  .map((code) => code.innerText.slice(0, 80))"""


def test_slides_fit(reader, decks):
    """A tall picture or table may scroll on its slide; nothing else is taller than its slide."""
    for path in all_notebooks():
        open_deck(reader, decks, path.stem)
        assert reader.evaluate(_CUT) == [], path.stem
        assert reader.evaluate(_SMALL) == [], path.stem


def test_a_drawing_of_two_graphs_is_seen_at_once(reader, decks):
    open_deck(reader, decks, "35_find_the_op")
    slide = reader.locator("section:not(:has(section))", has=reader.locator(".varhandle-locate"))
    at = slide.evaluate("slide => Reveal.getIndices(slide)")
    reader.evaluate("at => Reveal.slide(at.h, at.v)", at)
    tall = slide.locator(".jp-OutputArea").evaluate("box => box.scrollHeight - box.clientHeight")
    assert tall <= 0


def open_deck(reader, decks, stem):
    reader.goto((decks.folder / f"{stem}.html").as_uri())
    reader.wait_for_function("window.Reveal && Reveal.isReady()")


def test_slides_turn(reader, decks):
    open_deck(reader, decks, "00_start_here")
    reader.keyboard.press("Space")
    assert reader.evaluate("Reveal.getSlidePastCount()") == 1
    reader.keyboard.press("Escape")
    assert reader.evaluate("Reveal.isOverview()")


def test_printed_each_slide_is_a_sheet(reader, decks):
    deck = decks.folder / "00_start_here.html"
    reader.goto(f"{deck.as_uri()}?print-pdf")
    reader.locator(".pdf-page").nth(8).wait_for()
    sheets = reader.locator(".pdf-page").count()
    printed = reader.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) >= sheets > 8


def test_the_speaker_has_notes_and_a_timer(reader, decks):
    open_deck(reader, decks, "21_freeze")
    with reader.expect_popup() as popup:
        reader.keyboard.press("s")
    popup.value.wait_for_selector(".speaker-controls-time")
    assert popup.value.locator(".speaker-controls-notes").count() == 1
