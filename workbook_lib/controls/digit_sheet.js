// A sheet of paper to draw a digit on: with a mouse, a pen or a finger, or with the keyboard.
// What is drawn goes to Python as strokes: lists of points, each coordinate in 0..1.

const SIZE = 224; // CSS pixels of the sheet
const GRID = 16; // steps of the keyboard's pen across the sheet
const INK = 14; // width of a line, in the same pixels
const MOVES = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
  Home: [-1, -1], PageUp: [1, -1], End: [-1, 1], PageDown: [1, 1], // the four diagonals
};

function render({ model, el }) {
  el.classList.add("workbook-digit-pad");
  const sheet = document.createElement("canvas");
  const scale = window.devicePixelRatio || 1;
  sheet.width = sheet.height = SIZE * scale;
  sheet.style.cssText =
    `width: ${SIZE}px; height: ${SIZE}px; background: #fff; border: 2px solid #767676; ` +
    "border-radius: 4px; touch-action: none; cursor: crosshair; box-sizing: content-box; " +
    "display: block; margin: 4px";
  sheet.tabIndex = 0;
  sheet.setAttribute("role", "application");
  sheet.setAttribute("aria-label", "Sheet to draw a digit on");
  sheet.setAttribute(
    "aria-description",
    "The arrow keys move the pen, Home, End, Page Up and Page Down move it along the diagonals. " +
      "The space bar puts it down and lifts it. Delete clears the sheet."
  );
  const clear = document.createElement("button");
  clear.type = "button";
  clear.className = "lm-Widget jupyter-widgets jupyter-button widget-button";
  clear.textContent = "Clear the sheet";
  const said = document.createElement("div");
  said.setAttribute("role", "status");
  said.style.minHeight = "1.4em";
  el.append(sheet, clear, said);

  const pen = { x: GRID / 2, y: GRID / 2, down: false };
  let strokes = structuredClone(model.get("strokes"));
  let current = null;

  function paint() {
    const context = sheet.getContext("2d");
    context.setTransform(SIZE * scale, 0, 0, SIZE * scale, 0, 0);
    context.clearRect(0, 0, 1, 1);
    context.lineWidth = INK / SIZE;
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = "#1a1a1a";
    for (const stroke of current ? [...strokes, current] : strokes) {
      context.beginPath();
      context.moveTo(...stroke[0]);
      for (const point of stroke.length > 1 ? stroke.slice(1) : stroke) context.lineTo(...point);
      context.stroke();
    }
    if (sheet.matches(":focus-visible")) {
      context.lineWidth = 2 / SIZE;
      context.strokeStyle = "#c2185b"; // where the keyboard's pen is
      context.beginPath();
      context.arc(pen.x / GRID, pen.y / GRID, (pen.down ? 5 : 9) / SIZE, 0, 7);
      context.stroke();
    }
  }

  function send() {
    model.set("strokes", structuredClone(strokes));
    model.save_changes();
  }

  function finish() {
    if (!current) return;
    strokes.push(current);
    current = null;
    send();
    paint();
  }

  function wipe() {
    strokes = [];
    current = null;
    pen.down = false;
    said.textContent = "The sheet is clear.";
    send();
    paint();
  }

  const place = (event) => {
    const box = sheet.getBoundingClientRect();
    const within = (value) => Math.min(1, Math.max(0, value));
    return [
      within((event.clientX - box.left - sheet.clientLeft) / SIZE),
      within((event.clientY - box.top - sheet.clientTop) / SIZE),
    ];
  };
  sheet.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    finish();
    pen.down = false;
    sheet.setPointerCapture(event.pointerId);
    said.textContent = ""; // of the sheet that was clear, or of the keyboard's pen
    current = [place(event)];
    paint();
  });
  sheet.addEventListener("pointermove", (event) => {
    if (!current || pen.down) return;
    current.push(place(event));
    paint();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    sheet.addEventListener(name, () => { if (!pen.down) finish(); });
  }

  sheet.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in MOVES) {
      const [right, down] = MOVES[event.key];
      pen.x = Math.min(GRID, Math.max(0, pen.x + right));
      pen.y = Math.min(GRID, Math.max(0, pen.y + down));
      if (pen.down) current.push([pen.x / GRID, pen.y / GRID]);
    } else if (event.key === " ") {
      pen.down = !pen.down;
      if (pen.down) current = [[pen.x / GRID, pen.y / GRID]];
      else finish();
    } else if (event.key === "Delete") {
      wipe();
      event.preventDefault();
      event.stopPropagation();
      return;
    } else {
      return; // Tab, Escape and the rest are the page's
    }
    sheet.style.outline = "3px solid #1976d2"; // whoever presses keys has to see where they go
    event.preventDefault();
    event.stopPropagation(); // JupyterLab would move to another cell
    said.textContent = `pen ${pen.down ? "down" : "up"}, column ${pen.x}, row ${pen.y} of ${GRID}`;
    paint();
  });
  sheet.addEventListener("focus", () => {
    if (sheet.matches(":focus-visible")) sheet.style.outline = "3px solid #1976d2";
    paint();
  });
  sheet.addEventListener("blur", () => {
    if (pen.down) finish();
    pen.down = false;
    sheet.style.outline = "";
    paint();
  });
  clear.addEventListener("click", wipe);

  const follow = () => {
    strokes = structuredClone(model.get("strokes"));
    paint();
  };
  model.on("change:strokes", follow);
  paint();
  return () => model.off("change:strokes", follow);
}

export default { render };
