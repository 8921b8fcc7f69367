// The guided tour: from the converter's message to a file whose state the caller carries.

import { element } from "./elements.js";

const STEPS = [
  {
    title: "The error",
    words: "A model keeps a running total in a float16 variable. This is what the converter said.",
    button: "Explain this message",
    log: "float16_total.log",
  },
  {
    title: "What is in the graph",
    words: "The same model, as it was saved. A VarHandleOp is the graph’s handle to the variable; the drawing shows who reads through it and who assigns.",
    button: "Open the SavedModel",
    file: "float16_total.zip",
  },
  {
    title: "The way that looks easy",
    words: "Let the converter keep TensorFlow’s own ops (SELECT_TF_OPS), and it makes a file. See who can run it.",
    button: "Open the file with Flex ops",
    file: "flex_total.tflite",
  },
  {
    title: "The handle, in a file that works",
    words: "With the total in float32 the file is made of builtin ops. Run it three times with the same input: the answers differ, because the file keeps the total.",
    button: "Open the file that works, and run it",
    file: "total.tflite",
  },
  {
    title: "Lift the state",
    words: "Below the runner, “Lift the state” makes the total an input and an output. Download the lifted file and open it here: now equal calls are answered alike.",
    button: "Open the lifted file",
    file: "total_lifted.tflite",
  },
];

/** Draw the steps; `explain` takes a log's text, `read` a list of files, both return when done. */
export function drawTour(list, { explain, read }) {
  const take = async (place) => {
    const step = STEPS[place];
    const answer = await fetch(`examples/${step.log ?? step.file}`);
    const shown = step.log
      ? await explain(await answer.text())
      : await read([{ path: step.file, file: new File([await answer.blob()], step.file) }]);
    if (shown) announce(place, take);
  };
  list.replaceChildren(...STEPS.map((step, place) => drawStep(step, () => take(place))));
}

function drawStep({ title, words, button }, take) {
  return element("li", {}, element("h3", {}, title), element("p", {}, words), element("p", {}, stepButton(button, take)));
}

function stepButton(words, take) {
  const button = element("button", { type: "button" }, words);
  button.addEventListener("click", take);
  return button;
}

/** Above the answer, say which step it belongs to; below it, lead to the next one. */
function announce(place, take) {
  const { title, words } = STEPS[place];
  const body = document.getElementById("answer-body");
  body.prepend(element("p", { class: "step" }, element("strong", {}, `Step ${place + 1} of ${STEPS.length}: ${title}. `), words));
  if (place + 1 === STEPS.length) return;
  const next = STEPS[place + 1];
  const lead = element("p", { class: "buttons" }, stepButton(`Next: ${next.title}`, () => take(place + 1)));
  const runner = document.getElementById("runner");
  (runner.hidden ? body : document.getElementById("runner-body")).append(lead);
}
