// What a person must know, said above the task and never taken away by itself; and the word in the bar about what is saved.
const form = document.querySelector("[data-label]"), words = form.dataset;
const notes = document.querySelector("[data-notes]"), save = document.querySelector(".save");

export function note(kind) {
  const old = notes.querySelector(`[data-kind=${kind}]`);
  if (old && kind === "signed-out") return old;
  notes.append(document.querySelector(`template[data-note=${kind}]`).content.cloneNode(true));
  return notes.lastElementChild;
}

export const remove = (kind) => notes.querySelectorAll(`[data-kind=${kind}]`).forEach((each) => each.remove());

// The server's own sentence, and the words of the answer, so that nothing typed is gone.
export function refused(problem, entry, kept = entry ? [entry.said, ...textsIn(entry.answer)] : []) {
  const shown = note("refused");
  shown.querySelector("[data-detail]").textContent = problem.detail ?? words.sayRefused;
  shown.querySelector("[data-hint]").textContent = problem.hint ?? "";
  shown.querySelector("[data-kept]").textContent = kept.filter(Boolean).join(": ");
}

// Every text somebody typed into an answer, wherever it stands in it.
function textsIn(answer) {
  const typed = ["reason", "text", "note", "content"];
  const walk = (value, name) => (typeof value === "string" ? (typed.includes(name) && value.trim() ? [value] : []) : value && typeof value === "object" ? Object.entries(value).flatMap(([key, inner]) => walk(inner, Array.isArray(value) ? name : key)) : []);
  return walk(answer);
}

// Why the task in view came to this person, in the queue's own words.
export async function why(slot) {
  const asked = await fetch(`/api/v1/slots/${slot}/why`).catch(() => undefined);
  if (!asked?.ok) return refused({ detail: words.sayRefused });
  const { sentence } = await asked.json(), shown = notes.querySelector("[data-kind=why]") ?? note("why");
  shown.querySelector("[data-detail]").textContent = sentence;
}

export function state(name, numbers = {}) {
  const said = { offline: numbers.kept ? words.sayOffline.replace("{n}", numbers.kept) : words.sayOfflineNone, saving: words.saySaving,
    lease: numbers.minutes === 1 ? words.sayLeaseOne : words.sayLease.replace("{n}", numbers.minutes), saved: save.dataset.saved ?? "" };
  save.dataset.state = name;
  if (save.textContent !== said[name]) save.textContent = said[name];
}

export function saved() {
  const time = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" }).format(new Date());
  save.dataset.saved = words.saySaved.replace("{time}", time);
}
