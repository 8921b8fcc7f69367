// What a model file shows: findings, variables, drawing, and what this page can do with it.

import { code, element, panel, report, wide } from "./elements.js";
import { familyLink } from "./log_panel.js";

const TONES = { error: "wrong", warning: "doubt", info: "neutral" };

/** Say what a file shows, as elements for the answer. */
export function diagnosis(answer, name) {
  if (answer.error) return [panel("wrong", answer.error)];
  const findings = answer.findings.filter((one) => one.severity !== "info");
  const infos = answer.findings.filter((one) => one.severity === "info");
  return [
    element("p", {}, element("strong", {}, name), ` · ${subject(answer)}`),
    panel(verdictTone(answer.verdict), verdictLine(answer), ...(answer.other ?? []).map((line) => element("p", {}, line))),
    ...findings.map(finding),
    answer.drawing_html ? folded("The graph", wide("Drawing of the graph", report(answer.drawing_html))) : null,
    answer.contents_html ? folded("Variables and ops", wide("Variables and ops", report(answer.contents_html))) : null,
    infos.length ? folded("Worth knowing", ...infos.map(finding)) : null,
    answer.fix ? panel("neutral", "What comes next", element("p", {}, answer.fix.sentence), code(answer.fix.commands.join("\n"))) : null,
  ].filter(Boolean);
}

/** One sentence for a screen reader. */
export function diagnosisSummary(answer) {
  if (answer.error) return answer.error;
  const found = answer.findings.filter((one) => one.severity !== "info").map((one) => one.id);
  return `${verdictLine(answer)} ${found.length ? `Found: ${found.join(", ")}.` : ""}`.trim();
}

function subject(answer) {
  const assigned = answer.variables.filter((one) => one.assigns.length).length;
  const parts = [answer.format, answer.producer, answer.signature && `signature ${answer.signature}`];
  const count = answer.variables.length;
  return [...parts.filter(Boolean), `${count} ${count === 1 ? "variable" : "variables"}, ${assigned} assigned`].join(" · ");
}

const VERDICTS = {
  ready: "ready: a sound .tflite file, as far as reading shows. Run it below, or prove it in a terminal.",
  convertible: "convertible: nothing in it stops the converter. The proof needs TensorFlow, in a terminal.",
  blocked: "blocked: it does not convert, or no interpreter runs it. The fix is below.",
  "wrong-answers": "wrong-answers: it converts, and the file answers wrongly. The fix is below.",
  unproved: "unproved: it converts, and reading alone cannot say whether the file answers rightly.",
};

function verdictLine(answer) {
  return VERDICTS[answer.verdict] ?? answer.verdict;
}

function verdictTone(verdict) {
  if (verdict === "ready" || verdict === "convertible") return "right";
  return verdict === "unproved" ? "doubt" : "wrong";
}

function finding(one) {
  return panel(TONES[one.severity], `${one.severity}: ${one.id}`, element("p", {}, one.message), code(one.fix), familyLink(one.id));
}

function folded(title, ...body) {
  return element("details", { open: title !== "Worth knowing" }, element("summary", {}, title), ...body);
}
