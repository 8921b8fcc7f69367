// Runs a .tflite file call by call, and keeps every call's answers in a table.

import { element, panel, size, table } from "./elements.js";

const MOST_SHOWN = 8; // values of an output in the table
const MOST_EDITED = 512; // values of an input that are written into its field

export class RunnerPanel {
  #body;
  #litert;
  #python;
  #tell;
  #calls = [];
  #signatures = [];
  #model = null;
  #opened = 0;

  /** `tell` says a line to everybody, also to a screen reader. */
  constructor(body, litert, python, tell) {
    this.#body = body;
    this.#litert = litert;
    this.#python = python;
    this.#tell = tell;
  }

  /** Show the runner for a file that was read, or say in words why it is not run; `summary` is what reading said. */
  async open(file, answer, summary) {
    const mine = ++this.#opened;
    this.#calls = [];
    this.#model = {
      name: file.name,
      hasState: answer.variables.some((one) => one.assigns.length),
      hasOpenSizes: answer.sizes.length > 0,
    };
    if (answer.runnable && answer.runnable.by !== "litert.js") {
      this.#refuse(answer.runnable.why);
      this.#tell(`${summary} This page does not run it.`);
      return;
    }
    this.#body.replaceChildren(element("p", {}, "Loading LiteRT.js and trying the file …"));
    try {
      const bytes = await file.arrayBuffer();
      if (mine !== this.#opened) return; // another file was given meanwhile
      const signatures = await this.#litert.ask("open", { bytes, sizes: answer.sizes }, [bytes]);
      if (mine !== this.#opened) return;
      this.#signatures = signatures;
      this.#draw();
      this.#tell(`${summary} It runs below.`);
    } catch (error) {
      if (mine !== this.#opened) return;
      this.#refuse(`LiteRT.js does not run it: ${error.message}`);
      this.#tell(`${summary} This page does not run it.`);
    }
  }

  #refuse(why) {
    this.#body.replaceChildren(
      panel(
        "doubt",
        "This page does not run the file",
        element("p", {}, why),
        element("p", {}, "An interpreter runs it, or says what it lacks. In a terminal: ", element("code", {}, `varhandle diagnose ${this.#model.name}`)),
        element("p", {}, "Some files LiteRT.js answers without having run them: ", element("a", { href: "families/unwritten-output.html" }, "unwritten-output")),
      ),
    );
  }

  #draw() {
    const choice = element("select", { id: "signature" }, ...this.#signatures.map(({ key }) => element("option", { value: key }, key || "(unnamed)")));
    const fields = element("div", { class: "inputs" });
    const run = element("button", { type: "submit" }, "Run");
    const form = element(
      "form",
      {},
      element("p", {}, element("label", { for: "signature" }, "Signature "), choice),
      fields,
      element("p", { class: "buttons" }, run, this.#button("Make inputs up", () => this.#makeUp(fields)), this.#button("Reset", () => this.#reset())),
    );
    const table = element("div", { id: "calls" });
    choice.addEventListener("change", () => this.#drawInputs(fields, choice.value));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#run(choice.value, fields, run);
    });
    this.#body.replaceChildren(
      element("p", {}, `The file runs in LiteRT.js${this.#model.hasState ? ", which keeps its variables from call to call. Reset begins with their first values." : "."}`),
      ...(this.#model.hasOpenSizes ? [element("p", {}, "It leaves sizes open, such as the batch. LiteRT.js runs no such file, so here it has the sizes that an interpreter begins with, most often 1.")] : []),
      form,
      table,
      this.#liftPart(),
    );
    choice.value = this.#signatures.find(({ inputs }) => inputs.length)?.key ?? this.#signatures[0].key;
    this.#drawInputs(fields, choice.value);
    this.#drawCalls();
  }

  #button(words, work) {
    const button = element("button", { type: "button" }, words);
    button.addEventListener("click", work);
    return button;
  }

  #drawInputs(fields, key) {
    const { inputs } = this.#signatures.find((one) => one.key === key);
    fields.replaceChildren(
      ...inputs.map((spec, place) => {
        const id = `input-${place}`;
        const words = `${spec.name} (${spec.dtype} [${spec.shape.join(", ")}])`;
        const many = count(spec.shape) > MOST_EDITED;
        const field = element("textarea", { id, rows: "2", spellcheck: "false", "data-name": spec.name, "data-place": place });
        field.value = many ? "" : JSON.stringify(nested(new Array(count(spec.shape)).fill(1), spec.shape));
        const hint = many ? ` ${count(spec.shape)} values: paste them, or leave it empty to have them made up.` : "";
        return element("p", {}, element("label", { for: id }, words + hint), field);
      }),
    );
    if (!inputs.length) fields.replaceChildren(element("p", {}, "It takes no input."));
  }

  #makeUp(fields) {
    for (const field of fields.querySelectorAll("textarea")) {
      const spec = this.#specOf(fields, field);
      if (count(spec.shape) <= MOST_EDITED) field.value = JSON.stringify(nested(madeUp(spec), spec.shape));
      else field.value = "";
    }
    this.#tell("Inputs were made up.");
  }

  #specOf(fields, field) {
    const key = this.#body.querySelector("#signature").value;
    return this.#signatures.find((one) => one.key === key).inputs[Number(field.dataset.place)];
  }

  async #run(key, fields, button) {
    let inputs;
    try {
      inputs = Object.fromEntries(
        [...fields.querySelectorAll("textarea")].map((field) => {
          const spec = this.#specOf(fields, field);
          return [spec.name, parsed(field.value, spec)];
        }),
      );
    } catch (error) {
      this.#tell(error.message, true);
      return;
    }
    button.disabled = true;
    try {
      const { outputs, milliseconds } = await this.#litert.ask("call", { key, inputs });
      this.#calls.push({ key, inputs, outputs, milliseconds });
      this.#drawCalls();
      this.#tell(this.#said());
    } catch (error) {
      this.#tell(`LiteRT.js could not run it: ${error.message}`, true);
    }
    button.disabled = false;
    button.focus();
  }

  async #reset() {
    try {
      await this.#litert.ask("reset");
      this.#calls.push({ reset: true });
      this.#drawCalls();
      this.#tell("Reset: the variables have their first values again.");
    } catch (error) {
      this.#tell(`Reset has failed: ${error.message}`, true);
    }
  }

  #said() {
    const number = this.#calls.filter((one) => !one.reset).length;
    const last = this.#calls.at(-1);
    return `Call ${number}: ${last.outputs.map(({ name, values }) => `${name} ${shown(values)}`).join("; ")}. ${this.#stateWords()}`;
  }

  /** Say whether equal calls were answered alike, which tells a state without looking inside. */
  #stateWords() {
    const last = this.#calls.at(-1);
    const since = this.#calls.slice(this.#calls.findLastIndex((one) => one.reset) + 1, -1);
    const equal = since.filter((one) => one.key === last.key && same(one.inputs, last.inputs)).at(-1);
    if (!equal) return "";
    return sameOutputs(equal.outputs, last.outputs)
      ? "The same call was answered alike: no state shows."
      : "The same call was answered otherwise: the file keeps a state.";
  }

  #drawCalls() {
    const place = this.#body.querySelector("#calls");
    let number = 0;
    const rows = this.#calls.map((one) => {
      if (one.reset) return ["reset", "", "", ""];
      number += 1;
      return [
        String(number),
        one.key,
        lines(Object.entries(one.inputs).map(([name, values]) => `${name} ${shown(values)}`)),
        lines(one.outputs.map(({ name, values }) => `${name} ${shown(values)}`)),
      ];
    });
    if (!rows.length) {
      place.replaceChildren(element("p", {}, "No call yet."));
      return;
    }
    const words = this.#calls.at(-1).reset ? "" : this.#stateWords();
    place.replaceChildren(table("Calls, in order", ["Call", "Signature", "Inputs", "Outputs"], rows), element("p", {}, words));
  }

  #liftPart() {
    if (!this.#model.hasState) return element("p", {}, "The file assigns no variable, so there is no state to lift.");
    const done = element("div");
    const button = this.#button("Lift the state", async () => {
      const answer = await this.#python.ask("lift", { name: this.#model.name });
      done.replaceChildren(...lifted(answer));
      this.#tell(answer.error ?? "The state was lifted: two files to download.");
      done.querySelector("a")?.focus();
    });
    return element(
      "section",
      { "aria-labelledby": "lift-title" },
      element("h3", { id: "lift-title" }, "Lift the state"),
      element("p", {}, "The variables become inputs and outputs: your program carries the state, and any runtime runs the file."),
      element("p", {}, button),
      done,
    );
  }
}

function lifted(answer) {
  if (answer.error) return [panel("wrong", answer.error)];
  const links = answer.files.map(({ name, content }) => {
    const address = URL.createObjectURL(new Blob([content]));
    return element("li", {}, element("a", { href: address, download: name }, name), ` (${size(content.length)})`);
  });
  const how = "Give the state in as inputs, and take the next one from the outputs of the same names. The first state is in the .npz file, which numpy.load reads.";
  return [element("p", {}, how), element("ul", {}, ...links)];
}

function lines(texts) {
  const made = element("span");
  texts.forEach((text, place) => made.append(...(place ? [element("br")] : []), text));
  return made;
}

function count(shape) {
  return shape.reduce((product, one) => product * one, 1);
}

function nested(values, shape) {
  if (!shape.length) return values[0];
  if (shape.length === 1) return values;
  const step = values.length / shape[0];
  return Array.from({ length: shape[0] }, (_, at) => nested(values.slice(at * step, (at + 1) * step), shape.slice(1)));
}

function madeUp({ dtype, shape }) {
  const draw = { float32: () => Number((Math.random() * 2 - 1).toFixed(3)), int32: () => Math.floor(Math.random() * 10), uint8: () => Math.floor(Math.random() * 256) };
  return Array.from({ length: count(shape) }, draw[dtype] ?? (() => 0));
}

/** Read an input as JSON: a number, or lists of numbers, as many as the tensor has. */
function parsed(text, spec) {
  if (!text.trim()) return madeUp(spec);
  let values;
  try {
    values = [JSON.parse(text)].flat(Infinity);
  } catch {
    throw new Error(`${spec.name}: this is no JSON. Write a list of numbers, such as [1, 2, 3].`);
  }
  if (!values.every((one) => typeof one === "number")) throw new Error(`${spec.name}: only numbers are taken.`);
  if (values.length !== count(spec.shape)) {
    throw new Error(`${spec.name}: ${count(spec.shape)} numbers are wanted, and there are ${values.length}.`);
  }
  return values;
}

function shown(values) {
  const first = Array.from(values.slice(0, MOST_SHOWN), (one) => (Number.isInteger(one) ? String(one) : Number(one).toPrecision(6).replace(/\.?0+$/, "")));
  return `[${first.join(", ")}${values.length > MOST_SHOWN ? `, … ${values.length} values` : ""}]`;
}

function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

function sameOutputs(one, other) {
  return one.every(({ values }, at) => values.every((value, i) => Object.is(value, other[at].values[i])));
}
