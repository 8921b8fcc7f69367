// The drawing of a walk: a click on a box, or Enter or the space bar on it, goes there.
function render({ model, el }) {
  const draw = () => {
    const inside = el.contains(document.activeElement);
    el.innerHTML = model.get("drawing");
    if (inside) {
      el.querySelector('[aria-current="true"]')?.focus();
    }
  };
  const go = (event) => {
    const box = event.target.closest("[data-step]");
    if (box) {
      event.preventDefault();
      model.set("chosen", box.dataset.step);
      model.save_changes();
    }
  };
  const press = (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.stopPropagation(); // the notebook has keys of its own
      go(event);
    }
  };
  el.addEventListener("click", go);
  el.addEventListener("keydown", press);
  model.on("change:drawing", draw);
  draw();
  return () => model.off("change:drawing", draw);
}

export default { render };
