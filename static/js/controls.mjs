// The controls of the task in view. They stay from one task to the next of the same schema; another schema brings its own, in the
// dock where it is one small question, else in the sheet beside the task.
import { load, mountAll } from "./questions.mjs";
import { say } from "./keys.mjs";
import { shown } from "./tasks.mjs";

const form = document.querySelector("[data-label]"), flag = form.querySelector("[data-flag]");
const places = { dock: form.querySelector("[data-dock-questions]"), sheet: document.querySelector("[data-sheet]") };
const forms = document.querySelector("[data-forms]"), summary = form.querySelector("[data-summary]"), list = form.querySelector("[data-gaps]");
let mounted, schema, place, listener = () => {};

export const onChange = (heard) => { listener = heard; };
const templateOf = (id) => forms.querySelector(`[data-controls-of="${CSS.escape(id)}"]`);
export const known = () => [...forms.querySelectorAll("[data-controls-of]")].map((template) => template.dataset.controlsOf);

// Keeps what came with a task, and loads its modules while there is time.
export function keep(template) {
  templateOf(template.dataset.controlsOf)?.remove();
  forms.append(template);
  load(template.content).catch(() => {});
}

export const fits = (task) => Boolean(mounted) && schema === task.dataset.schema;

// The sheet goes with a task; feedback and the sentence that nothing is left have none.
export const expose = (labeling) => { places.sheet.hidden = !labeling || place !== "sheet"; };

// Controls for this task. Errors: a module could not be loaded.
export async function fit(task) {
  if (fits(task)) return mounted.fit(task);
  clear();
  const content = templateOf(task.dataset.schema).content.cloneNode(true), questions = content.querySelector("[data-questions]");
  await load(content);
  if (shown() !== task) return;
  schema = task.dataset.schema;
  place = questions.dataset.place;
  places[place].replaceChildren(content);
  places.sheet.hidden = place !== "sheet";
  summary.hidden = place === "dock";
  mounted = await mountAll(places[place], task, { changed, say });
  const asked = questions.querySelectorAll("[data-question]").length;
  const title = questions.dataset.title || form.dataset.sayQuestions.replace("{n}", asked);
  document.querySelector(".bench-bar h1").textContent = title;
}

function clear() {
  mounted?.unmount();
  mounted = schema = place = undefined;
  for (const each of Object.values(places)) each.replaceChildren();
  places.sheet.hidden = true;
}

export const ready = () => Boolean(shown()) && fits(shown());

function changed() {
  reflect();
  listener();
}

function reflect() {
  summary.querySelector("output").textContent = said();
  list.replaceChildren();
  list.hidden = true;
}

// ---- answers: each question's own; the flag for review goes with the first one that is answered

const withFlag = (answers) => {
  const first = Object.values(answers)[0];
  if (first && flag.ariaPressed === "true") first.flags = [...first.flags, "review"];
  return answers;
};
export const read = () => withFlag(mounted.read());
export const draft = () => (ready() ? withFlag(mounted.draft()) : null);

export function write(answers) {
  const given = structuredClone(answers ?? {});
  flag.ariaPressed = String(Object.values(given).some((answer) => answer?.flags?.includes("review")));
  mounted.write(given);
  reflect();
}

export const said = () => mounted?.said() ?? "";
export const begun = () => ready() && (mounted.begun() || flag.ariaPressed === "true");
export const complain = (question, sentence) => mounted?.complain(question, sentence) ?? false;

// What of these answers the controls do not hold now, after they were written into them: words and choices that no longer fit.
export function leftOver(given) {
  const now = mounted ? mounted.draft() : {};
  return Object.entries(given ?? {}).flatMap(([name, answer]) => {
    const kept = new Set(leaves(now[name]));
    return leaves(answer).filter((leaf) => !kept.has(leaf));
  });
}
const leaves = (value) => (value && typeof value === "object" ? Object.values(value).flatMap(leaves) : typeof value === "string" && value.trim() && value !== "review" ? [value] : []);

// True when the answer can go out. Else what is missing is listed and marked, and the focus goes to the first of it.
export function complete() {
  const gaps = mounted.gaps();
  if (!gaps.length && flag.ariaPressed === "true" && !Object.keys(mounted.read()).length) gaps.push(mounted.unanswered());
  if (!gaps.length) return true;
  const several = mounted.asked.length > 1;
  list.hidden = !several;
  if (several) list.replaceChildren(...gaps.map(itemOf));
  say(several ? `${form.dataset.sayGaps.replace("{n}", gaps.length)} ${gaps[0].text}: ${gaps[0].sentence}` : gaps[0].sentence);
  mounted.focus(gaps[0].question);
  return false;
}

function itemOf({ question, text, sentence }) {
  const item = document.createElement("li"), button = document.createElement("button"), said = document.createElement("span");
  Object.assign(button, { type: "button", className: "linkish", textContent: text });
  button.addEventListener("click", () => mounted.focus(question));
  said.textContent = ` ${sentence}`;
  item.append(button, said);
  return item;
}
