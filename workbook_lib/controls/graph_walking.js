// A drawing of a graph whose boxes can be clicked, and reached with the keyboard. The page that
// Python has made is shown as it is; a box that is pressed is asked of Python, which sends the next.

function render({ model, el }) {
  el.classList.add("workbook-graph-walk");
  el.dataset.lmSuppressShortcuts = "true"; // Enter would open the cell for editing
  const live = document.createElement("div");
  live.setAttribute("role", "status"); // for a screen reader: the page shows the same in bold
  live.style.cssText = "position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)";
  const place = document.createElement("div");
  el.style.position = "relative";
  el.append(live, place);

  function show() {
    const had = document.activeElement;
    const inside = place.contains(had);
    const inDrawing = inside && had.closest("svg") !== null;
    const { html, words } = model.get("page");
    place.innerHTML = html;
    live.textContent = words;
    if (!inside) return;
    // What had the focus is gone: it goes to the box that the walk has come to, or to its words.
    const box = place.querySelector('svg [aria-current="true"]');
    const title = place.querySelector("[data-here]");
    (inDrawing ? box : title)?.focus({ preventScroll: !inDrawing });
  }

  function press(target) {
    const pressed = target.closest?.("[data-box], [data-back]");
    if (!pressed || !place.contains(pressed)) return false;
    if (pressed.dataset.back) model.send({ back: Number(pressed.dataset.back) });
    else model.send({ box: pressed.dataset.box });
    return true;
  }

  place.addEventListener("click", (event) => {
    const box = event.target.closest?.("svg [data-box]");
    if (box) box.focus({ preventScroll: true });
    press(event.target);
  });
  place.addEventListener("keydown", (event) => {
    // A button of HTML answers these keys itself; a box of a drawing does not.
    if (!event.target.closest?.("svg") || (event.key !== "Enter" && event.key !== " ")) return;
    if (event.repeat || !press(event.target)) return;
    event.preventDefault();
    event.stopPropagation();
  });
  model.on("change:page", show);
  show();
  return () => model.off("change:page", show);
}

export default { render };
