// One's own answer, filled into the controls it was given with. They are out of use until somebody wants to change it.
import { on, routes, say } from "./keys.mjs";
import { mountAll } from "./questions.mjs";
import * as timer from "./timer.mjs";

const form = document.querySelector("[data-own-answer]"), words = form.dataset;
const root = document.querySelector("[data-own-questions]"), article = document.querySelector("[data-slot]");
const problems = document.querySelector("[data-problems]");
const [change, leave, save] = ["change", "leave", "save"].map((name) => form.querySelector(`[data-${name}]`));
const given = JSON.parse(article.dataset.answer || "{}");
// The article comes from the labeling page, blurred where it is sensitive: whoever answered it has seen it.
const veil = article.querySelector("[data-veil]");
if (veil) {
  const open = () => { article.dataset.opened = ""; veil.hidden = true; article.querySelector(".veiled").inert = false; };
  veil.querySelectorAll("[data-upsets], [data-open-all]").forEach((button) => button.remove());
  veil.querySelector("[data-open-it]").addEventListener("click", open);
}

// While it is only looked at, no key changes it. This comes before the questions' own keys.
routes.add((name) => root.inert && !["c", "?"].includes(name) && /^(shift\+\d|[\w=])$/.test(name));
const mounted = await mountAll(root, article, { say, changed: () => {} });
mounted.write(structuredClone(given));
// The flag for review stands beside the questions on the labeling page; here it stays as it was.
const review = Object.entries(given).filter(([, answer]) => answer.flags?.includes("review")).map(([name]) => name);
let key;

function use(open) {
  root.inert = !open;
  for (const mark of article.querySelectorAll(".cand footer, .card footer")) mark.inert = !open;
  if (change) change.hidden = open;
  if (leave) leave.hidden = save.hidden = !open;
}

function begin() {
  use(true);
  timer.restart();
  key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;
  mounted.focus();
  say(words.sayChanging);
}

function problem(detail, hint = "") {
  const note = document.createElement("div"), mark = document.createElement("span"), said = document.createElement("span");
  note.className = "note is-bad";
  mark.setAttribute("aria-hidden", "true");
  mark.textContent = "✕";
  said.textContent = [detail, hint].filter(Boolean).join(" ");
  note.append(mark, said);
  problems.replaceChildren(note);
}

async function send() {
  if (root.inert) return;
  const [gap] = mounted.gaps();
  if (gap) { say(gap.sentence || words.sayMissing); return mounted.focus(gap.question); }
  const answers = mounted.read();
  for (const name of review) if (answers[name] && !answers[name].flags.includes("review")) answers[name].flags.push("review");
  const body = new URLSearchParams({ key, answer: JSON.stringify(answers), seconds: timer.seconds() });
  const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? form.elements.csrfmiddlewaretoken.value;
  let response;
  try { response = await fetch(words.replaceUrl, { method: "POST", body, headers: { "X-CSRFToken": token } }); } catch { return problem(words.sayOffline); }
  if (response.status === 401 || response.redirected) return problem(words.saySignedOut);
  const told = await response.json().catch(() => ({}));
  if (response.ok) location.href = told.url;
  else problem(told.detail ?? words.sayOffline, told.hint);
}

use(false);
change?.addEventListener("click", begin);
leave?.addEventListener("click", () => { mounted.write(structuredClone(given)); problems.replaceChildren(); use(false); change.focus(); });
form.addEventListener("submit", (event) => { event.preventDefault(); send(); });
Object.assign(on, { e: () => { if (root.inert) return false; send(); return true; }, enter: () => { if (root.inert) return false; send(); return true; } });
