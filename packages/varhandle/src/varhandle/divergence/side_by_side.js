// The page works without this: it draws the lines between the ops, moves by the arrow keys, and
// brings the op that parts into the middle of the view.
const root = document.querySelector(".varhandle-locate");
const graphs = root.querySelector(".graphs");
const svg = root.querySelector(".edges");
const rows = new Map([...root.querySelectorAll("[data-number]")].map((r) => [r.dataset.number, r]));
const numbers = (text) => (text ? text.split(" ") : []);

const visible = () => [...root.querySelectorAll("summary")].filter((one) => one.checkVisibility());

// The summary that stands for a row: its own, or that of the closed stretch around it.
function shown(row) {
  const closed = row.closest(".stretch:not([open])");
  return (closed ?? row).querySelector("summary");
}

function draw() {
  const origin = graphs.getBoundingClientRect();
  const here = document.activeElement?.closest?.("[data-number]");
  const paths = [];
  const order = visible();
  const sides = [["inputs", ".file", 1], ["nodeInputs", ".model", -1]];
  for (const [key, box, outward] of sides) {
    const drawn = new Set();
    for (const row of rows.values()) {
      for (const source of numbers(row.dataset[key]).map((n) => rows.get(n)).filter(Boolean)) {
        const ends = [shown(source), shown(row)];
        const near = here === row || here === source;
        const id = ends.map((end) => end.dataset.place).join(" ");
        if (ends[0] === ends[1] || (drawn.has(id) && !near)) continue;
        drawn.add(id);
        const [from, to] = ends.map((end) => (end.querySelector(box) ?? end).getBoundingClientRect());
        const gap = to.top - from.bottom;
        if (gap < 0) continue;
        let path;
        if (order.indexOf(ends[1]) - order.indexOf(ends[0]) === 1) {
          const x = (Math.max(from.left, to.left) + Math.min(from.right, to.right)) / 2 - origin.left;
          path = `M${x},${from.bottom - origin.top} V${to.top - origin.top}`;
        } else {
          const edge = (r) => (outward > 0 ? r.right : r.left) - origin.left;
          const y = (r) => r.top + r.height / 2 - origin.top;
          const out = outward * Math.min(36, 8 + gap / 14, Math.max(8, outward > 0
            ? origin.right - to.right - 4 : to.left - origin.left - 4));
          path = `M${edge(from)},${y(from)} C${edge(from) + out},${y(from) + 8} ` +
            `${edge(to) + out},${y(to) - 8} ${edge(to)},${y(to)}`;
        }
        paths.push(`<path d="${path}"${near ? ' class="near"' : ""}/>`);
      }
    }
  }
  svg.innerHTML = paths.join("");
}

function reveal(row) {
  for (let at = row.closest(".stretch"); at; at = at.parentElement.closest(".stretch")) at.open = true;
  const summary = row.querySelector("summary");
  summary.scrollIntoView({ block: "center" });
  summary.focus({ preventScroll: true });
}

root.querySelectorAll("summary").forEach((one, place) => { one.dataset.place = place; });
root.addEventListener("toggle", draw, true);
root.addEventListener("focusin", draw);
new ResizeObserver(draw).observe(graphs);

root.addEventListener("keydown", (event) => {
  const at = event.target.closest("summary");
  if (!at || event.altKey || event.ctrlKey || event.metaKey) return;
  const all = visible();
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) all[all.indexOf(at) + step]?.focus();
  else if (event.key === "ArrowRight") at.parentElement.open = true;
  else if (event.key === "ArrowLeft") at.parentElement.open = false;
  else return;
  event.preventDefault();
});

root.addEventListener("click", (event) => {
  const link = event.target.closest("[data-op], a[href^='#op-']");
  const row = link && rows.get(link.dataset.op ?? link.hash.slice(4));
  if (!row) return;
  event.preventDefault();
  reveal(row);
});

root.querySelector("[aria-current]")?.scrollIntoView({ block: "center" });
draw();
