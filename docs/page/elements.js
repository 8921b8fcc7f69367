// Small helpers that build what the page shows. Text from a file or a log only ever becomes text.

/** Build an element. `attributes` are set as given; a child that is a string becomes text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

/** What may be wider than the window: it scrolls by itself, also by keyboard. */
export function wide(name, ...body) {
  return element("div", { class: "wide", role: "group", "aria-label": name, tabindex: "0" }, ...body);
}

/** A table with a caption and column titles; a cell may be text or an element. */
export function table(caption, titles, rows) {
  const head = titles.map((title) => element("th", { scope: "col" }, title));
  const body = rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell))));
  return wide(
    caption,
    element(
      "table",
      {},
      element("caption", {}, caption),
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...body),
    ),
  );
}

/** Code as it stands, with a button that copies it. */
export function code(text) {
  const copy = element("button", { type: "button", class: "copy" }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = "Copied";
  });
  return element("div", { class: "code" }, element("pre", { tabindex: "0" }, text), copy);
}

/** A framed message: a word says what it is, a color only repeats it. */
export function panel(tone, title, ...body) {
  return element("div", { class: `panel ${tone}`, role: "group" }, element("h3", {}, title), ...body);
}

const TAGS = new Set(
  ("div p span strong code pre table caption thead tbody tr th td figure figcaption ul ol li " +
    "h2 h3 h4 details summary img").split(" "),
);
const ATTRIBUTES = new Set(["style", "scope", "alt", "role", "aria-label", "aria-hidden", "colspan"]);

/**
 * Take over a report that the tool has written as HTML, and of it only what a report needs.
 *
 * The tool escapes every name out of a file, and the page runs no script that is not its own. This
 * is the third lock: what is no plain text, table or drawing never gets in.
 */
export function report(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const kept = document.createDocumentFragment();
  kept.append(...[...parsed.body.childNodes].map(cleaned).filter(Boolean));
  return kept;
}

function cleaned(node) {
  if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(node.data);
  const name = node.localName;
  if (node.nodeType !== Node.ELEMENT_NODE || !TAGS.has(name)) return null;
  const made = document.createElement(name);
  for (const { name: key, value } of node.attributes) {
    if (ATTRIBUTES.has(key)) made.setAttribute(key, value);
  }
  if (name === "img") {
    const source = node.getAttribute("src") ?? "";
    if (!source.startsWith("data:image/svg+xml;base64,")) return null;
    made.src = source;
  }
  made.append(...[...node.childNodes].map(cleaned).filter(Boolean));
  return made;
}

/** A number of bytes for people. */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} kB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}
