// Unfinished work: on this device with every change, on the server a moment after the last one.
import * as controls from "./controls.mjs";
import * as lease from "./lease.mjs";
import * as outbox from "./outbox.mjs";
import { shown } from "./tasks.mjs";

const { owner } = document.querySelector("[data-label]").dataset;
const local = (slot) => `plumbline:${owner}:draft:${slot}`;
let timer, dirty = false;

export const unsaved = () => dirty;

// What to begin a task with: what this device kept, what was taken back, or what the server kept.
export function of(task) {
  const kept = outbox.kept(local(task.dataset.slot)) ?? task.dataset.answer ?? task.dataset.draft;
  return kept ? JSON.parse(kept) : {};
}

// report({ kind, problem, task }): how the server took it.
export function changed(report) {
  const task = shown(), draft = task && controls.draft();
  if (!draft) return;
  dirty = true;
  keep(task.dataset.slot, draft);
  clearTimeout(timer);
  timer = setTimeout(() => save(report), 800);
}

export async function save(report, options) {
  const task = shown(), draft = task && dirty && controls.draft();
  if (!draft) return;
  const text = JSON.stringify(draft), slot = task.dataset.slot;
  const result = await outbox.post(lease.urlFor("draftUrl", slot), { lease: task.dataset.lease, answer: text }, options);
  if (result.kind === "unreachable") timer = setTimeout(() => save(report), 5000);
  const now = outbox.kept(local(slot));
  if (["done", "refused"].includes(result.kind) && now === text) {
    dirty = false;
    if (result.kind === "done") outbox.drop(local(slot));
  }
  report({ ...result, task });
}

export const keep = (slot, answers) => outbox.keep(local(slot), JSON.stringify(answers));

export function keepBegun(task) {
  if (task?.matches("[data-slot]") && controls.begun()) keep(task.dataset.slot, controls.draft());
}

export function forget(slot) {
  clearTimeout(timer);
  dirty = false;
  outbox.drop(local(slot));
}
