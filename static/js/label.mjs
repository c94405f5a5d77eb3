// The labeling page, for any schema: what submit, skip, undo and the clock do. Nothing a person did waits for the network: it goes
// to the outbox first. desk.mjs knows which task is in view, controls.mjs its questions, sending.mjs what the server said.
import * as ask from "./ask.mjs";
import * as controls from "./controls.mjs";
import * as desk from "./desk.mjs";
import * as drafts from "./drafts.mjs";
import { on, say } from "./keys.mjs";
import * as lease from "./lease.mjs";
import * as notes from "./notes.mjs";
import * as outbox from "./outbox.mjs";
import * as sending from "./sending.mjs";
import { held, inView, main, shown, veiled } from "./tasks.mjs";
import * as timer from "./timer.mjs";
import * as last from "./undo.mjs";

const form = document.querySelector("[data-label]"), dock = document.querySelector(".dock"), noteBox = document.querySelector("[data-notes]");
const skipDialog = document.getElementById("skip"), words = form.dataset;

// ---- submit, skip, undo

function submit() {
  const task = shown();
  if (veiled(task)) return task.querySelector("[data-open-it]").click();
  if (!task || !controls.ready() || !controls.complete()) return;
  const said = controls.said() || words.sayNothing, key = outbox.uuid(), answer = controls.read(), seconds = timer.seconds();
  const { slot, lease: token, schema } = task.dataset;
  outbox.add({ kind: "submit", key, slot, said, answer, fields: { lease: token, schema, key, answer: JSON.stringify(answer), seconds } });
  const told = last.remember({ key, slot, element: task, answer, seconds }, said);
  leave(slot, words.waits);
  say(`${told} ${shown() ? words.sayNext : ""}`);
}

function skip(reason) {
  const task = shown();
  if (!task) return;
  const key = outbox.uuid(), { slot, lease: token } = task.dataset;
  outbox.add({ kind: "skip", key, slot, fields: { lease: token, reason } });
  last.remember({ kind: "skip", key, slot, element: task, answer: controls.begun() ? controls.draft() : undefined, seconds: timer.seconds() });
  leave(slot);
  say(`${words.saySkipped} ${shown() ? words.sayNext : ""}`);
}

function leave(slot, covered = false) {
  notes.remove("why");
  drafts.forget(slot);
  if (covered) { inView().remove(); desk.wait(); }
  else desk.advance();
  sending.flush();
}

async function undo() {
  const taken = last.forget();
  if (!taken) return;
  if (sending.settled()) await sending.settled();
  if (outbox.waiting().some((entry) => entry.key === taken.key)) {
    outbox.remove(taken.key);
    return takenBack(taken.element, taken);
  }
  const result = taken.kind === "skip" ? await outbox.post(lease.urlFor("unskipUrl", taken.slot), desk.holding())
    : taken.annotation && (await outbox.post(words.undoUrl, [["annotation", taken.annotation], ...desk.holding()]));
  if (result?.kind !== "done") return undoFailed(taken, result);
  const content = desk.unpack(await result.response.text());
  sending.count(result.response);
  takenBack(content.querySelector("[data-slot]"), taken);
}

async function takenBack(task, taken) {
  await desk.back(task, taken);
  say(taken.kind === "skip" ? words.sayUnskipped : `${words.sayUndone} ${controls.said()}`);
  sending.status();
}

function undoFailed(taken, result) {
  if (result?.kind === "signed-out") { last.restore(taken); return sending.signedOut(); }
  if (result?.kind === "refused") return notes.refused(result.problem);
  if (!taken.annotation && taken.kind !== "skip") return notes.refused({ detail: words.sayUndoNever });
  last.restore(taken);
  notes.refused({ detail: words.sayUndoOffline });
}

// ---- drafts and leases

function drafted({ kind, problem, task }) {
  if (kind === "signed-out") return sending.signedOut();
  sending.online(kind !== "unreachable");
  if (kind === "done") notes.saved();
  if (kind === "refused") lost(task, problem);
  sending.status();
}

function changed() {
  drafts.changed(drafted);
  sending.status();
}

async function beat(just) {
  if (document.hidden && !just) return;
  const task = shown(), result = await lease.renew();
  if (result?.kind === "refused") lost(task, result.problem);
  if (result?.kind === "signed-out") sending.signedOut();
  if (result?.kind === "unreachable") sending.online(false);
  if (result?.kind === "done") {
    if (!outbox.waiting().length) sending.online(true);
    desk.retryControls();
    if (result.schema && task === shown() && result.schema !== task.dataset.schema) await sending.reopen(task, timer.seconds());
  }
  sending.status();
}

// Said once for a task. The text stays, and submitting still sends it.
function lost(task, problem) {
  if (!task || task.dataset.lost) return;
  task.dataset.lost = "1";
  notes.refused(problem);
}

// ---- wiring

const submitOrGoOn = () => { if (!desk.goOn()) submit(); };
Object.assign(on, { e: submitOrGoOn, enter: submitOrGoOn, z: undo });
controls.onChange(changed);
desk.onArrival(() => beat(true));
last.onPress(undo);
main.addEventListener("click", (event) => { if (event.target.closest("[data-go-on]")) desk.goOn(); });
form.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
form.querySelector("[data-flag]").addEventListener("click", () => queueMicrotask(changed));
form.querySelector("[data-key=s]").addEventListener("click", () => (controls.begun() ? skipDialog.showModal() : skip("")));
skipDialog.addEventListener("close", () => {
  if (skipDialog.returnValue === "skip") skip(skipDialog.querySelector("[name=why]:checked").value);
  skipDialog.returnValue = "";
});
document.querySelector("[data-why]").addEventListener("click", () => { if (shown()) notes.why(shown().dataset.slot); });
desk.onVeil(skip);
document.getElementById("ask-manager").addEventListener("close", (event) => ask.closed(event.target, sending.flush));
document.querySelector("[data-opens=guide]")?.addEventListener("click", () => import("./guide.mjs").then((guide) => guide.opened(outbox.post), () => {}));
document.querySelector("[data-keep]").addEventListener("click", () => beat(true));
noteBox.addEventListener("click", (event) => {
  if (event.target.closest("[data-again]")) sending.flush();
  if (event.target.closest("[data-dismiss]")) { event.target.closest(".note").remove(); main.focus({ preventScroll: true }); }
});
addEventListener("online", () => { sending.online(true); sending.flush(); desk.retryControls(); });
addEventListener("offline", sending.status);
addEventListener("focus", () => { if (sending.isBlocked()) sending.flush(); });
addEventListener("pagehide", () => { if (drafts.unsaved()) drafts.save(() => {}, { keepalive: true }); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) beat(false); });
// Another tab of this browser sends an answer to the task that is open here.
addEventListener("storage", (event) => {
  const task = shown(), entry = event.newValue && outbox.isEntry(event.key) && JSON.parse(event.newValue);
  if (task && entry?.kind === "submit" && entry.slot === task.dataset.slot) lost(task, { detail: words.sayOtherTab });
});
setInterval(() => beat(false), 60_000);
setInterval(sending.status, 5_000);
new ResizeObserver(() => document.documentElement.style.setProperty("--dock", `${dock.offsetHeight}px`)).observe(dock);

// Answers from before this page was loaded go out first; their tasks must not be shown again.
const pending = new Set(outbox.waiting().map((entry) => entry.slot));
for (const task of held()) if (pending.has(task.dataset.slot)) task.remove();
Promise.resolve(inView() ? desk.show(inView(), { focus: false }) : desk.advance()).then(() => { if (shown()) notes.saved(); sending.status(); });
sending.flush();
