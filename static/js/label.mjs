// The labeling page, for every kind of question. The next task is already in the page, hidden; submitting only reveals it, and
// the server's answer brings the one after. Nothing a person did waits for the network: it goes to the outbox first.
import * as answer from "./answer.mjs";
import * as compare from "./compare.mjs";
import { on, say } from "./keys.mjs";
import * as lease from "./lease.mjs";
import * as outbox from "./outbox.mjs";
import * as timer from "./timer.mjs";

const form = document.querySelector("[data-pairwise]"), dock = document.querySelector(".dock");
const main = document.getElementById("main"), notes = document.querySelector("[data-notes]");
const toast = document.querySelector(".toast"), save = document.querySelector(".save"), keepIt = document.querySelector("[data-keep]");
const skipDialog = document.getElementById("skip");
const words = form.dataset;
const RETRY = [2, 4, 8, 15, 30, 60]; // seconds
let last; // the submit that z takes back: { key, slot, element, answer, seconds, annotation }
let sending, failures = 0, retry, draftTimer, unsaved = false, unreachable = false, blocked = false;

// ---- which task is in view

const upcoming = () => [...main.querySelectorAll(":is([data-feedback], [data-slot], [data-empty])[hidden]")];
const inView = () => main.querySelector(":is([data-feedback], [data-slot], [data-empty], [data-waiting]):not([hidden])");
// What the server must not hand out again: what is in the page, and what was answered but not sent yet.
const holding = () => [...[...main.querySelectorAll("[data-slot]")].map((task) => task.dataset.slot), ...outbox.waiting().map((entry) => entry.slot)];
const local = (slot) => `plumbline:${words.owner}:draft:${slot}`;

function show(task, { from = 0, focus = true } = {}) {
  task.hidden = false;
  const labeling = task.matches("[data-slot]");
  dock.hidden = !labeling;
  compare.clear();
  if (labeling) answer.fit(task);
  const draft = outbox.kept(local(task.dataset.slot)) ?? task.dataset.answer ?? task.dataset.draft;
  answer.write(labeling && draft ? JSON.parse(draft) : {});
  reflect();
  timer.restart(from);
  if (focus) { scrollTo(0, 0); (task.querySelector("[data-go-on]") ?? main).focus({ preventScroll: true }); }
  if (labeling) beat(true);
}

// The next hidden task, or the sentence that it is on its way.
function advance() {
  inView()?.remove();
  const next = upcoming()[0];
  if (next) return show(next);
  wait();
  if (!outbox.waiting().length) location.reload();
}

function wait() {
  main.append(document.querySelector("template[data-waiting-for]").content.cloneNode(true));
  show(inView());
}

// Where people are told at once how they did, the next task stays covered until the server has answered, or cannot be reached.
function uncover() {
  if (inView()?.matches("[data-waiting]") && upcoming().length) { advance(); say(words.sayNext); }
}

// What the server says of the answer just given stands before the next task. Then nothing can be taken back.
function tell(told, entry) {
  if (last?.key === entry.key) { last = undefined; toast.hidden = true; }
  const now = inView();
  if (now?.matches("[data-feedback]")) { told.hidden = true; now.after(told); return; }
  keepBegun(now);
  if (now?.matches("[data-waiting]")) now.remove();
  else if (now) now.hidden = true;
  notes.after(told);
  show(told);
  say(told.querySelector("h2").textContent);
}

function keepBegun(task) {
  if (task?.matches("[data-slot]") && answer.begun()) outbox.keep(local(task.dataset.slot), JSON.stringify(answer.read()));
}

function goOn() {
  if (!inView()?.matches("[data-feedback]")) return false;
  advance();
  say(words.sayNext);
  return true;
}

function receive(html, entry) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  const told = holder.content.querySelector("[data-feedback]");
  if (told) tell(told, entry);
  const task = holder.content.querySelector("[data-slot], [data-empty]");
  if (!task) return;
  const twin = task.dataset.slot && main.querySelector(`[data-slot="${CSS.escape(task.dataset.slot)}"]`);
  if (twin) { Object.assign(twin.dataset, { lease: task.dataset.lease, leaseExpires: task.dataset.leaseExpires }); return; }
  task.hidden = true;
  main.querySelectorAll("[data-empty][hidden]").forEach((stale) => stale.remove());
  main.append(task);
  // Also where the queue had seemed empty: the answer just sent may have opened it, a test that was passed, say.
  if (inView()?.matches(task.dataset.slot ? "[data-waiting], [data-empty]" : "[data-waiting]")) { advance(); say(words.sayNext); }
}

// ---- the answer

function reflect() {
  const radio = answer.chosen(), task = answer.shown();
  form.querySelector("output").textContent = answer.said();
  for (const side of task?.querySelectorAll(".cand") ?? []) side.classList.toggle("is-chosen", Boolean(radio?.value.startsWith(side.dataset.side)));
}

function submit() {
  const task = answer.shown();
  if (!task) return;
  const missing = answer.missing();
  if (missing) {
    form.querySelector("output").textContent = words[missing];
    say(words[missing]);
    return answer.focusFirst();
  }
  const said = answer.said() || words.sayNone;
  const key = outbox.uuid(), given = answer.read(), seconds = timer.seconds();
  outbox.add({ kind: "submit", key, slot: task.dataset.slot, said, reason: form.elements.reason.value, answer: given,
    fields: { lease: task.dataset.lease, key, answer: JSON.stringify(given), seconds } });
  last = { key, slot: task.dataset.slot, element: task, answer: given, seconds };
  toast.querySelector("span").textContent = words.sayDone.replace("…", said);
  toast.hidden = false;
  leave(task.dataset.slot, words.waits);
  say(`${toast.querySelector("span").textContent} ${answer.shown() ? words.sayNext : ""}`);
}

function skip(reason) {
  const task = answer.shown();
  if (!task) return;
  outbox.add({ kind: "skip", key: outbox.uuid(), slot: task.dataset.slot, fields: { lease: task.dataset.lease, reason } });
  leave(task.dataset.slot);
  say(`${words.saySkipped} ${answer.shown() ? words.sayNext : ""}`);
}

function leave(slot, covered = false) {
  notes.querySelector("[data-kind=why]")?.remove();
  clearTimeout(draftTimer);
  unsaved = false;
  outbox.drop(local(slot));
  if (covered) { inView().remove(); wait(); }
  else advance();
  flush();
}

async function undo() {
  if (!last) return;
  const taken = last;
  last = undefined;
  toast.hidden = true;
  if (sending) await sending;
  if (outbox.waiting().some((entry) => entry.key === taken.key)) {
    outbox.remove(taken.key);
    return back(taken.element, taken);
  }
  const result = taken.annotation && (await outbox.post(words.undoUrl, { annotation: taken.annotation }));
  if (result?.kind !== "done") return undoFailed(taken, result);
  const holder = document.createElement("template");
  holder.innerHTML = await result.response.text();
  count(result.response);
  back(holder.content.querySelector("[data-slot]"), taken);
}

function undoFailed(taken, result) {
  if (result?.kind === "signed-out") { last = taken; return signedOut(); }
  if (result?.kind === "refused") return refused(result.problem);
  if (!taken.annotation) return refused({ detail: words.sayUndoNever });
  last = taken;
  toast.hidden = false;
  refused({ detail: words.sayUndoOffline });
}

// The task that was in view goes back to being the next one, with what was begun on it.
function back(task, taken) {
  const now = inView();
  keepBegun(now);
  if (now?.matches("[data-waiting]")) now.remove();
  else if (now) now.hidden = true;
  main.querySelector(`[data-slot="${CSS.escape(task.dataset.slot)}"]`)?.remove();
  notes.after(task);
  task.dataset.answer ??= JSON.stringify(taken.answer);
  show(task, { from: taken.seconds });
  say(`${words.sayUndone} ${answer.said()}`);
  status();
}

// ---- the outbox

function flush() {
  clearTimeout(retry);
  sending ??= drain().finally(() => { sending = undefined; uncover(); status(); });
  return sending;
}

async function drain() {
  for (let entry; (entry = outbox.waiting()[0]); ) {
    status();
    const url = lease.urlFor(entry.kind === "skip" ? "skipUrl" : "submitUrl", entry.slot);
    const result = await outbox.post(url, [...Object.entries(entry.fields), ...holding().map((slot) => ["holding", slot])]);
    if (result.kind === "signed-out") return signedOut();
    if (result.kind === "unreachable") return later();
    reached();
    outbox.remove(entry.key);
    if (result.kind === "refused") { refused(result.problem, entry); if (inView()?.matches("[data-waiting]") && !outbox.waiting().length) location.reload(); }
    else await accepted(entry, result.response);
  }
}

async function accepted(entry, response) {
  if (last?.key === entry.key) last.annotation = response.headers.get("X-Annotation");
  if (response.headers.get("X-Surplus")) refused({ detail: words.saySurplus }, entry);
  count(response);
  receive(await response.text(), entry);
}

function later() {
  unreachable = true;
  retry = setTimeout(flush, 1000 * RETRY[Math.min(failures++, RETRY.length - 1)]);
}

function reached() {
  failures = 0;
  unreachable = blocked = false;
  notes.querySelectorAll("[data-kind=signed-out]").forEach((note) => note.remove());
}

function count(response) {
  const done = response.headers.get("X-Done-Count");
  if (done === null) return;
  document.querySelector("[data-count]").textContent = done;
  document.querySelector(".count progress").value = Number(done);
}

// ---- what a person must know

function note(kind) {
  const old = notes.querySelector(`[data-kind=${kind}]`);
  if (old && kind === "signed-out") return old;
  notes.append(document.querySelector(`template[data-note=${kind}]`).content.cloneNode(true));
  return notes.lastElementChild;
}

function signedOut() {
  blocked = true;
  note("signed-out");
  status();
}

// The server's own sentence, and the words of the answer, so that nothing typed is gone.
function refused(problem, entry) {
  const shown = note("refused");
  shown.querySelector("[data-detail]").textContent = problem.detail ?? words.sayRefused;
  shown.querySelector("[data-hint]").textContent = problem.hint ?? "";
  const reason = entry?.reason ?? entry?.answer?.reason;
  shown.querySelector("[data-kept]").textContent = entry?.said ? [entry.said, reason].filter(Boolean).join(": ") : "";
}

// Why the task in view came to this person, in the queue's own words.
async function why() {
  const task = answer.shown();
  if (!task) return;
  const asked = await fetch(`/api/v1/slots/${task.dataset.slot}/why`).catch(() => undefined);
  if (!asked?.ok) return refused({ detail: words.sayRefused });
  const { sentence } = await asked.json(), shown = notes.querySelector("[data-kind=why]") ?? note("why");
  shown.querySelector("[data-detail]").textContent = sentence;
}

function status() {
  const kept = outbox.waiting().length, offline = unreachable || !navigator.onLine || blocked;
  const state = offline ? "offline" : sending || unsaved ? "saving" : lease.ending() ? "lease" : "saved";
  const said = { offline: kept ? words.sayOffline.replace("{n}", kept) : words.sayOfflineNone, saving: words.saySaving,
    lease: lease.minutes() === 1 ? words.sayLeaseOne : words.sayLease.replace("{n}", lease.minutes()), saved: save.dataset.saved };
  save.dataset.state = state;
  if (save.textContent !== said[state]) save.textContent = said[state];
  keepIt.hidden = state !== "lease";
}

function saved() {
  const time = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(new Date());
  save.dataset.saved = words.saySaved.replace("{time}", time);
}

// ---- drafts and leases

function draftChanged() {
  const task = answer.shown();
  if (!task) return;
  unsaved = true;
  outbox.keep(local(task.dataset.slot), JSON.stringify(answer.read()));
  clearTimeout(draftTimer);
  draftTimer = setTimeout(saveDraft, 800);
  status();
}

async function saveDraft(options) {
  const task = answer.shown();
  if (!task || !unsaved) return;
  const text = JSON.stringify(answer.read()), slot = task.dataset.slot;
  const result = await outbox.post(lease.urlFor("draftUrl", slot), { lease: task.dataset.lease, answer: text }, options);
  if (result.kind === "unreachable") { unreachable = true; draftTimer = setTimeout(saveDraft, 5000); return status(); }
  if (result.kind === "signed-out") return signedOut();
  if (outbox.kept(local(slot)) !== text) return;
  unsaved = unreachable = false;
  if (result.kind === "done") { outbox.drop(local(slot)); saved(); }
  else lost(task, result.problem);
  status();
}

async function beat(just) {
  if (document.hidden && !just) return;
  const task = answer.shown(), result = await lease.renew();
  if (result?.kind === "refused") lost(task, result.problem);
  if (result?.kind === "signed-out") signedOut();
  if (result?.kind === "unreachable") unreachable = true;
  if (result?.kind === "done" && unreachable && !outbox.waiting().length) unreachable = false;
  status();
}

// Said once for a task. The text stays, and submitting still sends it.
function lost(task, problem) {
  if (!task || task.dataset.lost) return;
  task.dataset.lost = "1";
  refused(problem);
}

// ---- wiring

for (let place = 1; place <= 9; place += 1) on[place] = () => answer.digit(place);
const submitOrGoOn = () => { if (!goOn()) submit(); };
Object.assign(on, {
  e: submitOrGoOn, enter: submitOrGoOn, z: undo,
  d: () => answer.kind() === "pairwise" && compare.toggle(answer.shown()),
});
form.addEventListener("change", (event) => {
  if (!["pref", "label"].includes(event.target.name)) return;
  answer.changed();
  reflect();
  say(answer.said());
});
main.addEventListener("click", (event) => { if (event.target.closest("[data-go-on]")) goOn(); });
form.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
for (const sign of ["input", "change"]) for (const place of [form, main]) place.addEventListener(sign, draftChanged);
form.querySelector("[data-flag]").addEventListener("click", () => queueMicrotask(draftChanged));
form.querySelector("[data-key=d]").addEventListener("click", () => compare.toggle(answer.shown()));
form.querySelector("[data-key=s]").addEventListener("click", () => (answer.begun() ? skipDialog.showModal() : skip("")));
skipDialog.addEventListener("close", () => {
  if (skipDialog.returnValue === "skip") skip(skipDialog.querySelector("[name=why]:checked").value);
  skipDialog.returnValue = "";
});
toast.querySelector("button").addEventListener("click", undo);
document.querySelector("[data-why]").addEventListener("click", why);
keepIt.addEventListener("click", () => beat(true));
notes.addEventListener("click", (event) => {
  if (event.target.closest("[data-again]")) flush();
  if (event.target.closest("[data-dismiss]")) { event.target.closest(".note").remove(); main.focus({ preventScroll: true }); }
});
addEventListener("online", () => { unreachable = false; flush(); });
addEventListener("offline", status);
addEventListener("focus", () => { if (blocked) flush(); });
addEventListener("pagehide", () => { if (unsaved) saveDraft({ keepalive: true }); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) beat(false); });
setInterval(() => beat(false), 60_000);
setInterval(status, 5_000);
new ResizeObserver(() => document.documentElement.style.setProperty("--dock", `${dock.offsetHeight}px`)).observe(dock);

// Answers from before this page was loaded go out first; their tasks must not be shown again.
const pending = new Set(outbox.waiting().map((entry) => entry.slot));
for (const task of main.querySelectorAll("[data-slot]")) if (pending.has(task.dataset.slot)) task.remove();
saved();
if (inView()) show(inView(), { focus: false });
else advance();
flush();
