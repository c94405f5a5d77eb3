// Answers on their way to the server, in the order they were given, each under its own key until the server has said something.
import * as controls from "./controls.mjs";
import * as desk from "./desk.mjs";
import * as drafts from "./drafts.mjs";
import { say } from "./keys.mjs";
import * as lease from "./lease.mjs";
import * as notes from "./notes.mjs";
import * as outbox from "./outbox.mjs";
import { inView, shown } from "./tasks.mjs";
import * as undo from "./undo.mjs";

const words = document.querySelector("[data-label]").dataset, keepIt = document.querySelector("[data-keep]");
const RETRY = [2, 4, 8, 15, 30, 60]; // seconds
let sending, failures = 0, retry, unreachable = false, blocked = false;

export const settled = () => sending;
export const isBlocked = () => blocked;

export function flush() {
  clearTimeout(retry);
  sending ??= drain().finally(() => { sending = undefined; desk.uncover(); status(); });
  return sending;
}

async function drain() {
  for (let entry; (entry = outbox.waiting()[0]); ) {
    status();
    const url = lease.urlFor(`${entry.kind}Url`, entry.slot);
    const result = await outbox.post(url, [...Object.entries(entry.fields), ...desk.holding()]);
    if (result.kind === "signed-out") return signedOut();
    if (result.kind === "unreachable") return later();
    reached();
    if (result.kind === "refused" && entry.kind === "submit") drafts.keep(entry.slot, entry.answer);
    outbox.remove(entry.key);
    if (result.kind === "refused") await refuse(result.problem, entry);
    else await accepted(entry, result.response);
  }
}

async function accepted(entry, response) {
  if (entry.kind === "note") return;
  undo.written(entry.key, response.headers.get("X-Annotation"));
  const surplus = response.headers.get("X-Surplus");
  if (surplus) notes.refused({ detail: surplus === "own" ? words.sayTwice : words.saySurplus }, entry);
  count(response);
  desk.receive(await response.text(), entry);
}

// An answer that can be mended comes back into view; of any other at least the words are shown.
async function refuse(problem, entry) {
  const path = /^answers\.(\w+)\S*: (.*)$/s.exec(problem.detail ?? "");
  if (entry.kind === "submit" && (problem.code === "schema_changed" || path) && (await mend(problem, entry, path))) return;
  notes.refused(problem, entry);
  if (inView()?.matches("[data-waiting]") && !outbox.waiting().length) location.reload();
}

async function mend(problem, entry, path) {
  if (!(await again(entry.slot, entry.fields.lease, { answer: entry.answer, seconds: Number(entry.fields.seconds) || 0 }))) return false;
  undo.forget(entry.key);
  if (!path || !controls.complain(path[1], path[2])) told(problem, entry);
  else say(path[2]);
  return true;
}

function told(problem, entry) {
  const lost = controls.leftOver(entry.answer);
  notes.refused({ detail: problem.detail, hint: [problem.hint, lost.length ? words.sayLost : ""].filter(Boolean).join(" ") }, undefined, lost);
}

// The task as the server has it now, in view with this answer. False when it is somebody else's by now, or cannot be fetched.
async function again(slot, token, given) {
  const result = await outbox.post(lease.urlFor("againUrl", slot), [["lease", token], ...desk.holding()]);
  if (result.kind !== "done") return false;
  await desk.back(desk.unpack(await result.response.text()).querySelector("[data-slot]"), given);
  return shown()?.dataset.slot === slot;
}

// The schema changed under a task that is open: its new questions, with what still fits of what was begun.
export async function reopen(task, seconds) {
  const answer = controls.draft() ?? {};
  drafts.keep(task.dataset.slot, answer);
  if (await again(task.dataset.slot, task.dataset.lease, { answer, seconds })) told({ detail: words.sayChanged }, { answer });
}

function later() {
  unreachable = true;
  retry = setTimeout(flush, 1000 * RETRY[Math.min(failures++, RETRY.length - 1)]);
}

function reached() {
  failures = 0;
  unreachable = blocked = false;
  notes.remove("signed-out");
}

export function count(response) {
  const done = response.headers.get("X-Done-Count");
  if (done === null) return;
  document.querySelector("[data-count]").textContent = done;
  document.querySelector(".count progress").value = Number(done);
}

export function signedOut() {
  blocked = true;
  notes.note("signed-out");
  status();
}

export function online(is) {
  unreachable = !is;
}

export function status() {
  const offline = unreachable || !navigator.onLine || blocked, waits = outbox.waiting().length;
  const state = offline ? "offline" : sending || drafts.unsaved() ? "saving" : lease.ending() ? "lease" : "saved";
  notes.state(state, { kept: waits, minutes: lease.minutes() });
  keepIt.hidden = state !== "lease";
}
