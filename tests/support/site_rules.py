"""What a folder of pages must keep, read by Python's own HTML parser.

Each rule is a line that names the page and what is wrong there; a good site has none.
"""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

# An attribute that a browser follows by itself. A link waits for a click.
_FETCHES = {"src", "srcset", "poster", "data", "background", "action", "formaction", "xlink:href"}
_EMPTY = {"img", "br", "meta", "link", "hr", "input", "source", "wbr", "col", "path", "rect"}


class Page(HTMLParser):
    """A page as its parts: links, ids, headings, pictures, what it fetches, what it runs."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.headings, self.alts = [], [], [], []
        self.fetches, self.scripts, self.styles, self.tags = [], [], [], []
        self.language = self.title = self.policy = ""
        self._open = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        own = dict(attrs)
        self.tags.append((tag, own))
        self._open.append(tag)
        if tag in _EMPTY:
            self._open.pop()
        if tag == "html":
            self.language = own.get("lang", "")
        if tag == "a" and "href" in own:
            self.links.append(own["href"])
        if tag == "img":
            self.alts.append(own.get("alt"))
        if tag == "meta" and own.get("http-equiv") == "Content-Security-Policy":
            self.policy = own["content"]
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if "id" in own:
            self.ids.append(own["id"])
        if "style" in own:
            self.styles.append(own["style"])
        self.fetches += [value or "" for name, value in attrs if name in _FETCHES]
        if tag == "link":
            self.fetches.append(own.get("href", ""))
        self.scripts += [f"{name}={value}" for name, value in attrs if name.startswith("on")]

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        last = self._open[-1] if self._open else ""
        if last == "title":
            self.title += data
        elif last == "style":
            self.styles.append(data)
        elif last == "script":
            self.scripts.append(data)


def read(folder):
    """Return the pages of a folder by name."""
    return {p.name: Page(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.html"))}


def faults(folder, *, scripts=0):
    """Return what is wrong with a folder of pages, a line each.

    Args:
        folder: The folder.
        scripts: How many scripts a page of a notebook may hold.
    """
    pages = read(folder)
    found = []
    for name, page in pages.items():
        allowed = 0 if name == "index.html" else scripts
        found += [f"{name}: {line}" for line in _links(page, name, pages, folder)]
        found += [f"{name}: {line}" for line in _alone(page, allowed)]
    return found


def _links(page, name, pages, folder):
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme == "https":
            continue
        target = unquote(parts.path) or name
        if parts.scheme or parts.netloc or target.startswith("/"):
            yield f"{link} leads out of the folder"
        elif not (folder / target).is_file():
            yield f"{link} leads nowhere"
        elif parts.fragment and unquote(parts.fragment) not in pages[target].ids:
            yield f"{link} names a place that is not there"


def _alone(page, scripts):
    yield from _outline(page)
    for alt in page.alts:
        if not (alt or "").strip() or alt.startswith(("No description", "Picture without")):
            yield f"a picture says {alt!r}"
    for address in page.fetches:
        if not address.startswith("data:"):
            yield f"fetches {address[:80]}"
    for style in page.styles:
        if re.search(r"@import|url\((?!['\"]?data:)", style):
            yield f"a style fetches: {style[:80]}"
    if len(page.scripts) > scripts:
        yield f"runs {len(page.scripts)} scripts"
    if "default-src 'none'" not in page.policy:
        yield "does not forbid what it does not need"
    for tag, _ in page.tags:
        if tag in ("iframe", "object", "embed", "base", "form"):
            yield f"holds <{tag}>"


def _outline(page):
    if page.language != "en":
        yield "does not say its language"
    if not page.title.strip():
        yield "has no title"
    if page.headings.count(1) != 1:
        yield f"has {page.headings.count(1)} headings of the first level"
    for before, after in zip([0, *page.headings], page.headings, strict=False):
        if after > before + 1:
            yield f"a heading goes from level {before} to {after}"
    twice = {one for one in page.ids if page.ids.count(one) > 1}
    if twice:
        yield f"ids are there twice: {sorted(twice)}"
    if [tag for tag, _ in page.tags].count("main") != 1:
        yield "has no main part, or several"
