// Deals a notebook out into slides, and turns them. A slide begins at each heading; what does not
// fit goes on to the next slide, code and tables cut between lines and rows. That is measured in
// the browser, because only the browser knows how tall a line is in the fonts that it has.
"use strict";
(() => {
  const main = document.querySelector("main");
  const HEADINGS = "H1 H2 H3 H4".split(" ");

  // What goes on a slide as one piece: a paragraph, a list, a piece of code, an output.
  function* pieces(cell) {
    for (const element of [...cell.children]) {
      if (element.matches(".outputs")) yield* pieces(element);
      else yield element;
    }
  }

  function slide(kind, title) {
    const section = document.createElement("section");
    section.className = `slide ${kind}`.trim();
    const stage = section.appendChild(document.createElement("div"));
    stage.className = "stage";
    if (title) {
      const running = stage.appendChild(document.createElement("p"));
      running.className = "running";
      running.textContent = title;
    }
    const content = stage.appendChild(document.createElement("div"));
    content.className = "content";
    main.append(section);
    return content;
  }

  function fits(content) {
    if (content.scrollHeight > content.clientHeight + 1) return false;
    const right = content.getBoundingClientRect().right + 1;
    return [...content.querySelectorAll("table, img, pre")].every(
      (element) => element.getBoundingClientRect().right <= right,
    );
  }

  // What a piece can be cut into: the rows of a table, the lines of a text, items, or children.
  function kindOf(piece) {
    let inner = piece;
    while (inner.children.length === 1 && !inner.matches("table, pre, ul, ol, p")) {
      inner = inner.firstElementChild;
    }
    if (inner.matches("table")) return [inner, "rows", inner.tBodies[0]?.rows.length ?? 1];
    if (inner.matches("pre")) return [inner, "lines", inner.textContent.trimEnd().split("\n").length];
    if (inner.matches("p, img, figure, h1, h2, h3, h4")) return [inner, "nothing", 1];
    return [inner, "children", inner.children.length];
  }

  // Leave the first `count` lines, rows or children in the piece; return a piece with the others.
  function cut(piece, count) {
    const rest = piece.cloneNode(true);
    rest.querySelectorAll("[id]").forEach((element) => element.removeAttribute("id"));
    const [own, kind] = kindOf(piece);
    const [others] = kindOf(rest);
    if (kind === "lines") {
      after(own, count).deleteContents();
      const start = after(others, count);
      const gone = document.createRange();
      gone.setStart(others, 0);
      gone.setEnd(start.startContainer, start.startOffset);
      gone.deleteContents();
      return rest;
    }
    const parts = (inner) => [...(kind === "rows" ? inner.tBodies[0].rows : inner.children)];
    parts(own).slice(count).forEach((part) => part.remove());
    parts(others).slice(0, count).forEach((part) => part.remove());
    if (others.tagName === "OL") others.start = own.start + count;
    return rest;
  }

  // Where code is better cut: at the last empty line of the second half, if there is one.
  function seam(piece, count) {
    const [inner, kind] = kindOf(piece);
    if (kind !== "lines") return count;
    const lines = inner.textContent.split("\n");
    for (let at = count; at > count / 2; at -= 1) if (!lines[at - 1].trim()) return at;
    return count;
  }

  // The range from the start of line `count` to the end.
  function after(pre, count) {
    const range = document.createRange();
    range.selectNodeContents(pre);
    const walker = document.createTreeWalker(pre, NodeFilter.SHOW_TEXT);
    let lines = 0;
    while (walker.nextNode()) {
      const text = walker.currentNode.data;
      for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
        lines += 1;
        if (lines === count) {
          range.setStart(walker.currentNode, at + 1);
          return range;
        }
      }
    }
    return range;
  }

  // Put a piece that is too large for a slide of its own onto the slide, and return the rest of it.
  function squeeze(content, piece) {
    for (const size of [0.9, 0.8]) {
      piece.style.zoom = size;
      if (fits(content)) return null;
    }
    piece.style.zoom = "";
    for (let count = kindOf(piece)[2] - 1; count > 0; count -= 1) {
      const tried = piece.cloneNode(true);
      let rest = cut(tried, count);
      piece.replaceWith(tried);
      if (fits(content)) {
        if (seam(piece, count) < count) {
          const whole = piece.cloneNode(true);
          rest = cut(whole, seam(piece, count));
          tried.replaceWith(whole);
        }
        return rest;
      }
      tried.replaceWith(piece);
    }
    for (let size = 0.75; size > 0.2 && !fits(content); size -= 0.05) piece.style.zoom = size;
    return null;
  }

  function deal(cells) {
    let title = "";
    let content = slide("", "");
    const put = (piece, kind) => {
      content.append(piece);
      if (fits(content)) return;
      if (content.children.length > 1) {
        piece.remove();
        content = slide(kind, title);
        content.append(piece);
      }
      for (let rest = piece; rest && !fits(content); ) {
        rest = squeeze(content, rest);
        if (!rest) break;
        content = slide(kind, title);
        content.append(rest);
      }
    };
    for (const cell of cells) {
      const kind = cell.matches(".solution") ? "solution" : "";
      for (const piece of pieces(cell)) {
        if (piece.tagName === "DETAILS") {
          const name = piece.querySelector("summary").textContent;
          piece.querySelector("summary").remove();
          content = slide("solution", name);
          for (const part of [...piece.children]) put(part, "solution");
          content = slide("", title);
          continue;
        }
        piece.querySelectorAll("details").forEach((more) => more.remove()); // an output's small print
        if (HEADINGS.includes(piece.tagName)) {
          if (content.children.length) content = slide("", "");
          else content.parentElement.querySelector(".running")?.remove();
          title = piece.textContent;
        }
        if (cell.matches(".exercise")) piece.classList.add("exercise");
        put(piece, kind);
      }
      cell.remove();
    }
    main.querySelectorAll(".content:empty").forEach((one) => one.closest(".slide").remove());
  }

  const shown = () => [...main.querySelectorAll(".slide:not([hidden])")];
  let at = 0;

  function say() {
    const slides = shown();
    at = Math.max(0, Math.min(at, slides.length - 1));
    slides.forEach((one, place) => {
      const title = one.querySelector("h1, h2, h3, .running")?.textContent ?? "";
      one.setAttribute("aria-label", `${place + 1} of ${slides.length}: ${title}`);
      one.setAttribute("role", "group");
      one.setAttribute("aria-roledescription", "slide");
    });
    document.getElementById("number").value = `${at + 1} / ${slides.length}`;
    history.replaceState(null, "", `#slide-${at + 1}`);
  }

  function turn(to) {
    at = to;
    say();
    shown()[at].scrollIntoView({ behavior: "instant" });
  }

  function showSolutions(wanted) {
    const kept = shown()[at];
    main.querySelectorAll(".slide.solution").forEach((one) => (one.hidden = !wanted));
    document.getElementById("solutions").setAttribute("aria-pressed", String(wanted));
    const before = shown().filter(
      (one) => one === kept || kept?.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_PRECEDING,
    );
    turn(Math.max(0, before.length - 1));
  }

  const solutionsAreShown = () =>
    document.getElementById("solutions").getAttribute("aria-pressed") === "true";

  function key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const onControl = event.target.closest?.("button, a, input, summary");
    if (onControl && [" ", "Enter"].includes(event.key)) return;
    const steps = {
      ArrowRight: at + 1, ArrowDown: at + 1, PageDown: at + 1, " ": at + (event.shiftKey ? -1 : 1),
      ArrowLeft: at - 1, ArrowUp: at - 1, PageUp: at - 1, Home: 0, End: shown().length - 1,
    };
    if (event.key in steps) turn(steps[event.key]);
    else if (event.key.toLowerCase() === "s") showSolutions(!solutionsAreShown());
    else return;
    event.preventDefault();
  }

  function scale() {
    const size = Math.min(innerWidth / 1280, innerHeight / 720);
    document.documentElement.style.setProperty("--scale", size);
    shown()[at]?.scrollIntoView({ behavior: "instant" });
  }

  document.documentElement.classList.add("dealt");
  deal([...main.children]);
  document.querySelector(".controls").hidden = false;
  document.getElementById("before").addEventListener("click", () => turn(at - 1));
  document.getElementById("after").addEventListener("click", () => turn(at + 1));
  document.getElementById("solutions").addEventListener("click", () =>
    showSolutions(!solutionsAreShown()),
  );
  addEventListener("keydown", key);
  addEventListener("resize", scale);
  addEventListener("scrollend", () => {
    const middle = shown().findIndex((one) => one.getBoundingClientRect().bottom > innerHeight / 2);
    if (middle >= 0 && middle !== at) {
      at = middle;
      say();
    }
  });
  const asked = Number(/^#slide-(\d+)$/.exec(location.hash)?.[1] ?? 1) - 1;
  showSolutions(false);
  scale();
  turn(asked);
})();
