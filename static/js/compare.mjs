// Two drafts of one answer: mark what differs. Two different answers: everything differs, so mark what they share.
import { diff, runs, wordsIn } from "./diff.mjs";
import { say } from "./keys.mjs";

const button = document.querySelector("[data-key=d]");
const legend = document.querySelector("[data-compare]");
const TOO_LONG = 4000; // words; the table of the comparison grows with their product

export function clear() {
  CSS.highlights?.delete("diff");
  legend.textContent = "";
  button.setAttribute("aria-pressed", "false");
}

function mark(task) {
  const [a, b] = [...task.querySelectorAll(".cand .prose")].map((prose) => wordsIn(prose).slice(0, TOO_LONG));
  const steps = diff(a, b);
  const same = steps.filter(([op]) => op === "=");
  const apart = same.length * 2 < Math.max(a.length, b.length);
  const found = new Set(apart ? same.flatMap(([, x, y]) => [x, y]) : steps.filter(([op]) => op !== "=").map(([, x]) => x));
  CSS.highlights?.set("diff", new Highlight(...[a, b].flatMap((list) => runs(list, found, apart ? 2 : 1))));
  return button.dataset[apart ? "apart" : "close"];
}

export function toggle(task) {
  const off = button.getAttribute("aria-pressed") === "true";
  clear();
  if (off || !task) return;
  button.setAttribute("aria-pressed", "true");
  legend.textContent = mark(task);
  say(legend.textContent);
}
