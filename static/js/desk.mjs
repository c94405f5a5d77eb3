// Which task is in view. The next one is already in the page, hidden; what the server says of an answer to gold stands before it.
import * as controls from "./controls.mjs";
import * as drafts from "./drafts.mjs";
import { perform, routes, say } from "./keys.mjs";
import * as lease from "./lease.mjs";
import * as notes from "./notes.mjs";
import * as outbox from "./outbox.mjs";
import { bySlot, held, inView, main, shown, upcoming, veiled } from "./tasks.mjs";
import * as timer from "./timer.mjs";
import * as undo from "./undo.mjs";

const words = document.querySelector("[data-label]").dataset, dock = document.querySelector(".dock"), noteBox = document.querySelector("[data-notes]"), why = document.querySelector("[data-why]");
const early = []; // keys that came before the controls of a task, or its veil, were there
const standing = new WeakSet(); // tasks whose veil hears
let unloaded = false, arrived = () => {}, skip = () => {};

export const onVeil = (heard) => { skip = heard; };
export const onArrival = (heard) => { arrived = heard; };

// What the server must not hand out again: what is in the page, and what was answered but not sent yet. And what controls are here.
export function holding() {
  const slots = [...held().map((task) => task.dataset.slot), ...outbox.waiting().map((entry) => entry.slot)].filter(Boolean);
  return [...slots.map((slot) => ["holding", slot]), ...controls.known().map((schema) => ["knows", schema])];
}

export async function show(task, { from = 0, focus = true } = {}) {
  task.hidden = false;
  const labeling = task.matches("[data-slot]");
  const open = labeling && !veiled(task);
  dock.hidden = !open;
  why.hidden = !labeling;
  controls.expose(open);
  timer.restart(from);
  if (focus) { scrollTo(0, 0); (task.querySelector("[data-go-on]") ?? main).focus({ preventScroll: true }); }
  if (!labeling) return;
  if (!open) return veil(task, focus);
  if (controls.fits(task)) controls.fit(task);
  else if (!(await loaded(task))) return;
  controls.write(drafts.of(task));
  arrived();
  for (const name of early.splice(0)) perform(name);
  performance.mark("label-ready"); // keys and controls work: benchmarks/page waits for it
}

// A sensitive task: its reader opens it, passes it over, or wants none of them.
async function veil(task, focus) {
  arrived();
  const module = await import("./veil.mjs").catch(() => {});
  if (!module && !unloaded) notes.refused({ detail: words.sayUnloaded });
  unloaded = !module;
  if (!module) return;
  module.stand(task, { focus, skip, open: () => opened(task) });
  standing.add(task);
  for (const name of early.splice(0)) perform(name);
}

function opened(task) {
  outbox.post(lease.urlFor("openedUrl", task.dataset.slot), {}); // should it not arrive, the task counts as handed out all the same
  if (shown() === task) show(task);
}

// False where the controls are not there, or the task is not in view any more.
async function loaded(task) {
  try {
    await controls.fit(task);
  } catch {
    if (!unloaded) notes.refused({ detail: words.sayUnloaded });
    unloaded = true;
    return false;
  }
  unloaded = false;
  return shown() === task;
}

// Tried again when the connection is back.
export function retryControls() {
  if (unloaded && shown()) show(shown(), { focus: false });
}
const hears = (task) => (veiled(task) ? standing.has(task) : controls.ready());
routes.add((name) => Boolean(shown()) && !unloaded && !hears(shown()) && early.push(name) > 0);

// The next hidden task, or the sentence that it is on its way.
export function advance() {
  inView()?.remove();
  const next = upcoming()[0];
  if (next) return show(next);
  wait();
  if (!outbox.waiting().length) location.reload();
}

export function wait() {
  main.append(document.querySelector("template[data-waiting-for]").content.cloneNode(true));
  show(inView());
}

// Where people are told at once how they did, the next task stays covered until the server has answered, or cannot be reached.
export function uncover() {
  if (inView()?.matches("[data-waiting]") && upcoming().length) { advance(); say(words.sayNext); }
}

export function goOn() {
  if (!inView()?.matches("[data-feedback]")) return false;
  advance();
  say(words.sayNext);
  return true;
}

// The articles of a response; controls that came with them are kept.
export function unpack(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  holder.content.querySelectorAll("[data-controls-of]").forEach(controls.keep);
  return holder.content;
}

export function receive(html, entry) {
  const content = unpack(html), told = content.querySelector("[data-feedback]");
  if (told) tell(told, entry);
  const task = content.querySelector("[data-slot], [data-empty]");
  if (!task) return;
  const twin = task.dataset.slot && bySlot(task.dataset.slot);
  if (twin) { Object.assign(twin.dataset, { lease: task.dataset.lease, leaseExpires: task.dataset.leaseExpires }); return; }
  if (veiled(task)) import("./veil.mjs").catch(() => {}); // while there is a connection
  task.hidden = true;
  main.querySelectorAll("[data-empty][hidden]").forEach((stale) => stale.remove());
  main.append(task);
  // Also where the queue had seemed empty: the answer just sent may have opened it, a test that was passed, say.
  if (inView()?.matches(task.dataset.slot ? "[data-waiting], [data-empty]" : "[data-waiting]")) { advance(); say(words.sayNext); }
}

// What the server says of the answer just given stands before the next task. Then nothing can be taken back.
function tell(told, entry) {
  undo.forget(entry.key);
  const now = inView();
  if (now?.matches("[data-feedback]")) { told.hidden = true; now.after(told); return; }
  putBehind(now);
  noteBox.after(told);
  show(told);
  say(told.querySelector("h2").textContent);
}

// The task in view becomes the next one, with what was begun on it.
function putBehind(now) {
  drafts.keepBegun(now);
  if (now?.matches("[data-waiting]")) now.remove();
  else if (now) now.hidden = true;
}

// A task that was left comes into view again, with what was said of it.
export async function back(task, { answer, seconds }) {
  if (inView()?.dataset.slot !== task.dataset.slot) putBehind(inView());
  bySlot(task.dataset.slot)?.remove();
  noteBox.after(task);
  if (answer) task.dataset.answer ??= JSON.stringify(answer);
  await show(task, { from: seconds });
}
