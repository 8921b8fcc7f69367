"""The site and the slides as a reader sees them, in Chromium: light and dark, by keyboard."""

import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

from workbook_lib.editions import make_edition
from workbook_lib.runs import all_notebooks, run_notebooks

pytestmark = pytest.mark.browser
WINDOW = {"width": 1280, "height": 720}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    return make_edition("html", all_notebooks(), folder, run=False)


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decks")
    return make_edition("slides", all_notebooks(), folder, run=False)


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


def judged(page):
    """Return what axe-core finds wrong by any of its rules, and what it could not judge."""
    found = Axe().run(page, options={"resultTypes": ["violations", "incomplete"]}).response
    wrong, unsure = (
        [
            (rule["id"], node["html"][:160], node.get("failureSummary", ""))
            for rule in found[kind]
            for node in rule["nodes"]
        ]
        for kind in ("violations", "incomplete")
    )
    return wrong, unsure


# axe-core calls the contrast of a single letter undecided. What stands alone on these pages is a
# mark, an arrow or a tick, which repeats the word beside it and must reach 3:1 as a picture does.
# Nor does it judge text in a drawing: that must reach 4.5:1 on the drawing's own ground.
_MARK = re.compile(r'aria-hidden="true"|role="img"|>\S</span>$|^<text ')
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
    ...faint("[aria-hidden=true], strong[role=img], td span[style*=color]", "color", 3),
    ...faint("svg[style*=background] text", "fill", 4.5),
  ];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(reader, site, pictures, scheme):
    reader.emulate_media(color_scheme=scheme)
    for path in site.files:
        reader.goto(path.as_uri())
        wrong, unsure = judged(reader)
        assert wrong == [], path.name
        marks = [(rule, said) for rule, said, _ in unsure if _MARK.search(said)]
        assert {rule for rule, _ in marks} <= {"color-contrast"}
        assert [said for _, said, _ in unsure if not _MARK.search(said)] == [], path.name
        assert reader.evaluate(_FAINT) == [], path.name
        reader.screenshot(path=str(pictures / f"site-{path.stem}-{scheme}.png"))


def test_a_gray_text_a_missing_alt_and_a_lost_label_are_seen(reader, site):
    """What the test above would say: axe-core is awake, and so is what judges in its place."""
    reader.goto(site.files[3].as_uri())
    reader.add_style_tag(content="p { color: #999 !important } [aria-hidden] { color: #ddd }")
    assert "color-contrast" in {rule for rule, _, _ in judged(reader)[0]}
    assert reader.evaluate(_FAINT)
    reader.evaluate("document.querySelectorAll('img').forEach((i) => i.removeAttribute('alt'))")
    reader.evaluate("document.querySelector('header a').textContent = ''")
    reader.evaluate("document.querySelector('h2').outerHTML = '<h4>Deep</h4>'")
    rules = {rule for rule, _, _ in judged(reader)[0]}
    assert {"image-alt", "link-name", "heading-order"} <= rules
    reader.errors.clear()  # the policy forbids the style that this test brought along


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_its_window(reader, site, width):
    reader.set_viewport_size({"width": width, "height": 800})
    for path in site.files:
        reader.goto(path.as_uri())
        assert reader.evaluate("document.documentElement.scrollWidth") <= width, path.name


def test_the_keyboard_reaches_the_lesson_and_opens_a_solution(reader, site):
    reader.goto(site.files[2].as_uri())
    reader.keyboard.press("Tab")
    assert reader.evaluate("document.activeElement.className") == "skip"
    reader.keyboard.press("Enter")
    assert reader.evaluate("document.activeElement.id") == "lesson"
    summary = reader.locator("summary", has_text="Solution").first
    code = reader.locator("details", has=summary).first.locator("pre").first
    assert not code.is_visible()
    summary.focus()
    reader.keyboard.press("Enter")
    assert code.is_visible()


def test_the_site_works_below_any_address(chromium, site):
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
        page.goto(f"http://127.0.0.1:{server.server_port}/some/where/index.html")
        page.locator("table a").first.click()
        for _ in all_notebooks()[1:]:
            page.locator("header a[rel=next]").click()
        assert page.url.endswith(f"/some/where/{site.files[-1].name}")
        page.locator(".contents a").last.click()
        assert page.locator("h2").last.is_visible()
        assert hosts == {f"127.0.0.1:{server.server_port}"}
    finally:
        page.close()
        server.shutdown()
        server.server_close()


def test_the_report_of_a_run_looks_the_same(reader, tmp_path):
    import nbformat

    path = tmp_path / "fails.ipynb"
    cells = [
        nbformat.v4.new_markdown_cell("# A run", id="title"),
        nbformat.v4.new_code_cell("print('fine'); 1 / 0", id="fails"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    report = run_notebooks([path], tmp_path / "out")
    for scheme in ("light", "dark"):
        reader.emulate_media(color_scheme=scheme)
        for page in ("index.html", "fails.html"):
            reader.goto((report.folder / page).as_uri())
            assert judged(reader)[0] == [], page
    assert "ZeroDivisionError" in reader.locator(".stderr").inner_text()


# What is cut off on a slide: the content is taller than its place, or a part of it lies outside.
_OVERFLOW = """() => [...document.querySelectorAll(".slide")].flatMap((slide, at) => {
  const hidden = slide.hidden;
  slide.hidden = false;
  const stage = slide.querySelector(".stage").getBoundingClientRect();
  const content = slide.querySelector(".content");
  const outside = [...content.querySelectorAll("*")].filter((part) => {
    const box = part.getBoundingClientRect();
    return box.width && (box.right > stage.right + 1 || box.bottom > stage.bottom + 1);
  });
  const tall = content.scrollHeight > content.clientHeight + 1;
  slide.hidden = hidden;
  return outside.length || tall ? [`${at + 1}: ${content.innerText.slice(0, 80)}`] : [];
})"""


_LINES = """(html) => {
  const main = new DOMParser().parseFromString(html, "text/html").querySelector("main");
  main.querySelectorAll(".output details, summary").forEach((part) => part.remove());
  return [...main.querySelectorAll("h1, h2, h3, p, li, tr, caption, figcaption, pre")].flatMap(
    (part) => part.matches("pre") ? part.textContent.split("\\n") : [part.textContent]);
}"""


@pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
def test_no_slide_overflows_and_nothing_is_lost(reader, decks, path):
    deck = decks.folder / f"{path.stem}.html"
    reader.goto(deck.as_uri())
    assert reader.evaluate(_OVERFLOW) == []
    # Every line of the page that the script dealt out stands on a slide, but for small print.
    dealt = reader.evaluate("[...document.querySelectorAll('.content')].map(c => c.textContent)")
    words = "".join("".join(dealt).split())
    lines = reader.evaluate(_LINES, deck.read_text(encoding="utf-8"))
    assert len(lines) > 30
    assert [line for line in lines if "".join(line.split()) not in words] == []
    wrong, _ = judged(reader)
    assert wrong == []


def test_keys_and_buttons_turn_the_slides(reader, decks, pictures):
    reader.goto((decks.folder / "01_reproduce_the_failure.html").as_uri())
    number = reader.locator("#number")
    count = reader.locator(".slide:not([hidden])").count()

    def at():
        """Return the slide that fills the window, and hold it against the number shown."""
        seen = reader.evaluate(
            """() => [...document.querySelectorAll(".slide:not([hidden])")]
              .findIndex((one) => Math.abs(one.getBoundingClientRect().top) < 2) + 1"""
        )
        assert number.inner_text() == f"{seen} / {count}"
        return seen

    assert at() == 1
    for key, expected in [
        ("ArrowRight", 2),
        ("PageDown", 3),
        (" ", 4),
        ("ArrowLeft", 3),
        ("End", count),
        ("ArrowRight", count),
        ("Home", 1),
        ("ArrowUp", 1),
    ]:
        reader.keyboard.press(key)
        assert at() == expected, key
    reader.get_by_role("button", name="Slide after").click()
    assert at() == 2
    assert reader.url.endswith("#slide-2")
    reader.reload()
    assert at() == 2
    reader.screenshot(path=str(pictures / "slides-01-light.png"))


def test_solutions_come_when_they_are_asked_for(reader, decks):
    reader.goto((decks.folder / "02_inspect_the_graph.html").as_uri())
    solutions = reader.locator(".slide.solution")
    assert solutions.count() >= 3
    assert reader.locator(".slide.solution:not([hidden])").count() == 0
    reader.keyboard.press("s")
    assert reader.locator(".slide.solution[hidden]").count() == 0
    assert reader.get_by_role("button", name="Solutions").get_attribute("aria-pressed") == "true"
    reader.get_by_role("button", name="Solutions").click()
    assert reader.locator(".slide.solution:not([hidden])").count() == 0


def test_printed_each_slide_is_a_sheet(reader, decks):
    reader.goto((decks.folder / "00_start_here.html").as_uri())
    count = reader.locator(".slide:not([hidden])").count()
    printed = reader.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == count
