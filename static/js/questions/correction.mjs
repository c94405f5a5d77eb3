// A text made right. The original is always at hand, the difference is shown word by word while one types, and "nothing to change"
// is an answer of its own.
import { blocks, diff, words as wordsOf } from "../diff.mjs";
import { lengthInWords, lengthOf, lengthProblem } from "../length.mjs";
import { sourceOf } from "../source.mjs";

const PAUSE = 150, SLOW = 40_000; // milliseconds; characters of both texts beyond which the difference waits for a pause

export function mount(section, asked, ctx) {
  const field = section.querySelector("[data-text]"), unchanged = section.querySelector("[data-unchanged]"), length = section.querySelector("[data-length]");
  const shown = section.querySelector("[data-diff]"), views = [...section.querySelectorAll("[data-view]")], totals = section.querySelector("[data-totals]");
  const { words } = ctx;
  let original = "", waiting, kept = ""; // kept: what was typed before "nothing to change", which comes back when that is taken back

  const same = () => field.value === original.replace(/\r\n?/g, "\n"); // a text field knows no other line ends
  const fill = (text, values) => Object.entries(values).reduce((out, [name, value]) => out.replace(`{${name}}`, value), text);
  const view = () => views.find((one) => one.checked).value;

  // ---- what changed

  function part(name, text, label) {
    const element = document.createElement(name);
    element.textContent = text;
    if (!label) return [element];
    const told = document.createElement("span"); // underline and strike are not read out
    Object.assign(told, { className: "vh", textContent: ` ${label} ` });
    return [told, element];
  }

  function compare() {
    clearTimeout(waiting);
    const old = wordsOf(original), now = wordsOf(field.value), steps = diff(old, now);
    const gone = steps.filter(([op, word]) => op === "-" && word.wordy).length, come = steps.filter(([op, word]) => op === "+" && word.wordy).length;
    totals.textContent = same() ? words.saySame : gone || come ? fill(words.sayTotals, { gone, come }) : words.sayMarks;
    if (view() === "edit") return;
    const pieces = blocks(old, now).flatMap(({ same: kept, gone: before, come: after }) =>
      kept ? [document.createTextNode(after)] : [...(before ? part("del", before, words.sayGone) : []), ...(after ? part("ins", after, words.sayCome) : [])]);
    shown.replaceChildren(...pieces);
  }

  function soon() {
    clearTimeout(waiting);
    waiting = setTimeout(compare, original.length + field.value.length > SLOW ? PAUSE * 5 : PAUSE);
  }

  function count() {
    const now = lengthOf(field.value, asked, ctx.language), off = lengthProblem(now, asked, words);
    length.textContent = lengthInWords(now, asked, words);
    length.classList.toggle("wait", Boolean(off));
    return off;
  }

  function look() {
    section.querySelector("[data-panes]").dataset.panes = view();
    shown.hidden = view() === "edit";
    field.hidden = view() === "diff";
    compare();
  }

  // ---- typing and choosing

  field.addEventListener("input", () => { unchanged.checked = false; count(); soon(); ctx.changed(); });
  unchanged.addEventListener("change", () => {
    if (unchanged.checked && !same()) { kept = field.value; field.value = original; }
    else if (!unchanged.checked && kept) field.value = kept;
    count();
    compare();
    ctx.changed();
    ctx.say(unchanged.checked ? words.sayUnchanged : "");
  });
  section.querySelector("[data-restore]").addEventListener("click", () => { field.value = original; unchanged.checked = false; count(); compare(); ctx.changed(); field.focus(); });
  for (const one of views) one.addEventListener("change", look);

  function turn() {
    const at = views.findIndex((one) => one.checked), next = views[(at + 1) % views.length];
    next.checked = true;
    look();
    ctx.say(`${next.dataset.say} ${totals.textContent}`);
    return true;
  }

  function edit() {
    if (view() === "diff") { views[0].checked = true; look(); }
    field.focus();
    return true;
  }

  function fit(article) {
    original = sourceOf(article, asked.of === "candidate" ? "first" : asked.of);
    const language = article?.querySelector(asked.of === "candidate" ? '[data-candidate="first"] [data-text]' : `[data-field="${asked.of}"] [data-text]`)?.lang;
    field.lang = language ?? "";
    kept = "";
  }

  return {
    read() {
      if (unchanged.checked) return { unchanged: true };
      return same() || !field.value.trim() ? null : { text: field.value };
    },
    write(answer) {
      unchanged.checked = Boolean(answer?.unchanged);
      field.value = answer?.text ?? original;
      count();
      compare();
    },
    said: () => (unchanged.checked ? words.sayUnchanged : same() ? "" : totals.textContent),
    missing() {
      if (unchanged.checked) return "";
      if (!field.value.trim()) return words.sayEmpty;
      if (same()) return words.sayMissing;
      return asked.enforce ? count() : "";
    },
    focus: edit,
    keys: { c: edit, d: turn, u: () => { unchanged.click(); return true; } },
    fit,
    begun: () => unchanged.checked || !same(),
    unmount() { clearTimeout(waiting); },
  };
}
