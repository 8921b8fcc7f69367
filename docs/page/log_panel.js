// What a pasted log is about: the families of failure that it shows, best first.

import { code, element, panel } from "./elements.js";

/** Say what was found in a log, as elements for the answer. */
export function explanation(answer) {
  if (answer.error) return [panel("wrong", answer.error)];
  if (!answer.matches.length) {
    return [
      panel(
        "neutral",
        "Nothing in this text is about a converter or a runtime of TensorFlow Lite.",
        element(
          "p",
          {},
          "Paste more of it: the line that tells the cause often stands above the last one, or in " +
            "what the converter printed before the traceback.",
        ),
      ),
    ];
  }
  return answer.matches.map(match);
}

/** One sentence for a screen reader, and for the line under the title. */
export function explanationSummary(answer) {
  if (answer.error) return answer.error;
  const ids = answer.matches.map((one) => one.id);
  return ids.length ? `It is: ${ids.join(", ")}.` : "Nothing was recognized.";
}

function match(one, place) {
  const [sentence, ...rest] = one.fix.split("\n\n");
  return panel(
    place ? "neutral" : "wrong",
    one.id,
    element("p", {}, one.message),
    element("p", { class: "quiet" }, `Line ${one.line_number}: `, element("code", {}, one.line)),
    element("p", {}, element("strong", {}, "What to do: "), sentence),
    rest.length ? code(rest.join("\n\n")) : null,
    familyLink(one.id),
  );
}

/** The page of a family, which the build puts beside this one. */
export function familyLink(id) {
  return element("p", {}, element("a", { href: `families/${encodeURIComponent(id)}.html` }, `More about ${id}`));
}
