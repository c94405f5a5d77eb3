// Free text, with its length beside what was asked for.
import { lengthInWords, lengthOf, lengthProblem } from "../length.mjs";

const EXCERPT = 80, SLOW = 20_000; // characters; longer texts are counted when the typing pauses

export function mount(section, asked, ctx) {
  const field = section.querySelector("[data-text]"), length = section.querySelector("[data-length]");
  let counting;

  function count() {
    const now = lengthOf(field.value, asked, ctx.language), off = lengthProblem(now, asked, ctx.words);
    length.textContent = lengthInWords(now, asked, ctx.words);
    length.classList.toggle("wait", Boolean(off && field.value));
    return off;
  }

  field.addEventListener("input", () => {
    clearTimeout(counting);
    if (field.value.length < SLOW) count();
    else counting = setTimeout(count, 300);
    ctx.changed();
  });

  return {
    read: () => (field.value.trim() ? { text: field.value } : null),
    write(answer) { field.value = answer?.text ?? ""; count(); },
    said() { const text = field.value.trim().replace(/\s+/g, " "); return text.length > EXCERPT ? `${text.slice(0, EXCERPT)}…` : text; },
    missing() { if (!field.value.trim()) return ctx.words.sayMissing; return asked.enforce ? count() : ""; },
    focus: () => field.focus(),
    keys: {},
    fit() {},
  };
}
