// Leaves the keys pressed in a control to that control. In an output, JupyterLab takes the plain
// ones for commands of its own: an arrow goes to another cell, the letter B inserts one.
const ITS_OWN = ["Escape", "Tab"];

function keep(event) {
  const shortcut = event.ctrlKey || event.metaKey || event.altKey;
  // In a box for text, Shift+Enter begins a line: running the cell would throw the text away.
  const runs = event.key === "Enter" && event.shiftKey && event.target.tagName !== "TEXTAREA";
  if (!shortcut && !runs && !ITS_OWN.includes(event.key)) event.stopPropagation();
}

function render({ el }) {
  let box = null;
  let gone = false;
  const listen = () => {
    box = el.parentElement;
    if (box) box.addEventListener("keydown", keep);
    else if (!gone) requestAnimationFrame(listen); // it is drawn before it has its place
  };
  el.style.display = "none";
  listen();
  return () => {
    gone = true;
    box?.removeEventListener("keydown", keep);
  };
}

export default { render };
