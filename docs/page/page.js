// The page: takes a log or a model, has it looked at in a worker, and shows the answer.

import { element } from "./elements.js";
import { dropped, picked } from "./given_files.js";
import { explanation, explanationSummary } from "./log_panel.js";
import { diagnosis, diagnosisSummary } from "./model_panel.js";
import { RunnerPanel } from "./runner_panel.js";
import { drawTour } from "./tour.js";
import { WorkerClient } from "./worker_client.js";

const LOG = /\.(log|txt|out|err)$/i;
const WHOLE = /^(model\/)?[^/]+\.(tflite|keras|h5|zip)$/i; // a model in one file, given by itself

const find = (id) => document.getElementById(id);
const python = new WorkerClient("worker.js", (line) => tell(line));
const litert = new WorkerClient("litert_runner.js", (line) => tell(line));
const runner = new RunnerPanel(find("runner-body"), litert, python, tell);
let asked = 0; // only the answer to the last question is shown

/** Say a line where everybody sees it; a screen reader reads it out. */
function tell(line, bad = false) {
  const status = find("status");
  status.textContent = line;
  status.classList.toggle("bad", bad);
}

/** Show an answer: `work` returns its elements and its summary. */
async function answered(title, work) {
  const mine = ++asked;
  document.body.setAttribute("aria-busy", "true");
  find("runner").hidden = true;
  try {
    const { body, summary } = await work();
    if (mine !== asked) return false;
    find("answer-title").textContent = title;
    find("answer-body").replaceChildren(...body);
    tell(summary);
  } catch (error) {
    if (mine !== asked) return false;
    find("answer-title").textContent = title;
    find("answer-body").replaceChildren(element("p", {}, `That did not work: ${error.message}`));
    tell(`That did not work: ${error.message}`, true);
  } finally {
    if (mine === asked) document.body.removeAttribute("aria-busy");
  }
  find("answer").hidden = false;
  find("answer").focus();
  find("answer").scrollIntoView({ block: "start" });
  return true;
}

async function explain(text) {
  if (!text.trim()) {
    tell("Paste a message first.", true);
    find("log").focus();
    return false;
  }
  tell("Looking at the message …");
  return answered("What the message says", async () => {
    const answer = await python.ask("explain", { text });
    return { body: explanation(answer), summary: explanationSummary(answer) };
  });
}

async function read(entries) {
  if (!entries.length) {
    tell("There was no file in it.", true);
    return false;
  }
  if (entries.filter(({ path }) => WHOLE.test(path)).length > 1) {
    tell("These are several models. Give one at a time.", true);
    return false;
  }
  if (entries.length === 1 && LOG.test(entries[0].path)) return showLog(await entries[0].file.text());
  const name = entries[0].path.split("/")[0];
  let answer;
  const shown = await answered(`What ${name} shows`, async () => {
    answer = await python.ask("read", { entries });
    return { body: diagnosis(answer, name), summary: diagnosisSummary(answer) };
  });
  if (shown && answer?.format === "tflite") {
    find("runner").hidden = false;
    await runner.open(entries[0].file, answer, diagnosisSummary(answer));
  }
  return shown;
}

function listen() {
  const log = find("log");
  find("log-form").addEventListener("submit", (event) => {
    event.preventDefault();
    explain(log.value);
  });
  log.addEventListener("paste", () => setTimeout(() => explain(log.value)));
  log.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) explain(log.value);
  });
  for (const id of ["file", "folder"]) {
    find(id).addEventListener("change", async ({ target }) => {
      await read(picked(target.files));
      target.value = "";
    });
  }
  listenForDrops();
}

/** The whole window takes a file, so that a near miss does not leave the page. */
function listenForDrops() {
  const drop = find("drop");
  window.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  window.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  window.addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    await read(await dropped(event.dataTransfer));
  });
}

function showLog(text) {
  find("log").value = text;
  return explain(text);
}

async function begin() {
  listen();
  drawTour(find("tour"), { explain: showLog, read });
  tell("Loading …");
  let started = false;
  try {
    await python.ask("ready");
    started = true;
    if (!asked) tell("Ready.");
  } catch (error) {
    tell(`Python did not start: ${error.message}. Load the page again.`, true);
  }
  await navigator.serviceWorker?.register("service_worker.js").catch(() => {});
  await navigator.serviceWorker?.ready; // every file is kept now
  if (started && !asked && navigator.serviceWorker) tell("Ready. From now on the page works without a network, too.");
}

begin();
