// Two drafts of one answer: mark what differs. Two different answers: everything differs, so mark what they share.
import { diff, runs, wordsIn } from "./diff.mjs";

export function clear(button, legend) {
  CSS.highlights?.delete("diff");
  legend.textContent = "";
  button.setAttribute("aria-pressed", "false");
}

// pair: the positions of the two, where there are more.
function mark(task, words, pair) {
  const shown = pair?.map((position) => task.querySelector(`[data-candidate="${position}"] > .prose`)) ?? [...task.querySelectorAll("[data-candidate] > .prose")];
  const [a, b] = shown.map(wordsIn);
  const steps = diff(a, b);
  const same = steps.filter(([op]) => op === "=");
  const apart = same.length * 2 < Math.max(a.length, b.length);
  const found = new Set(apart ? same.flatMap(([, x, y]) => [x, y]) : steps.filter(([op]) => op !== "=").map(([, x]) => x));
  CSS.highlights?.set("diff", new Highlight(...[a, b].flatMap((list) => runs(list, found, apart ? 2 : 1))));
  return words[apart ? "apart" : "close"];
}

export function toggle({ task, button, legend, pair, say }) {
  const off = button.getAttribute("aria-pressed") === "true";
  clear(button, legend);
  if (off || !task) return;
  button.setAttribute("aria-pressed", "true");
  legend.textContent = mark(task, button.dataset, pair);
  say(legend.textContent);
}
