// The case page: digits let an answer stand, a, f and x rule on the answer at hand, j and k walk the answers.
import { on, say } from "./keys.mjs";

const form = document.querySelector("[data-review]");
const answers = form ? [...form.querySelectorAll("[data-answer]")] : [];
let here = 0;

function go(to) {
  here = Math.min(answers.length - 1, Math.max(0, to));
  answers.forEach((answer, place) => answer.toggleAttribute("data-here", place === here));
}

const radio = (answer, verdict) => answer.querySelector(`input[type=radio][value=${verdict}]`);
const isRuled = (answer) => answer.hasAttribute("data-touched");

function rule(answer, verdict) {
  const chosen = radio(answer, verdict);
  chosen.checked = true;
  return chosen;
}

function ruleHere(verdict) {
  if (!answers.length) return false;
  const answer = answers[here];
  answer.setAttribute("data-touched", "");
  const chosen = rule(answer, verdict);
  chosen.focus();
  const words = chosen.closest("label").firstChild.nextSibling.textContent.trim();
  say(form.dataset.sayRuled.replace("{n}", answer.dataset.answer).replace("{verdict}", words));
}

// The answer that stands is accepted with all that say the same; the others are corrected, unless something was chosen for them.
function adopt(number) {
  const chosen = answers.find((answer) => answer.dataset.answer === number);
  go(answers.indexOf(chosen));
  for (const answer of answers)
    if (!isRuled(answer)) rule(answer, answer.dataset.same === chosen.dataset.same ? "accept" : "fix");
}

// The controls of an own answer are there once it is chosen.
const own = form?.querySelector("input[name=overall][value=own]"), ownPanel = form?.querySelector("[data-own-panel]");

function openOwn(open) {
  if (ownPanel) ownPanel.hidden = !open;
}

if (form) {
  on.a = () => ruleHere("accept");
  on.f = () => ruleHere("fix");
  on.x = () => ruleHere("reject");
  for (const [key, step] of [["j", 1], ["k", -1]])
    on[key] = () => {
      go(here + step);
      (answers[here].querySelector("input:checked") ?? radio(answers[here], "accept")).focus();
    };
  form.addEventListener("focusin", (event) => {
    const answer = event.target.closest("[data-answer]");
    if (answer) go(answers.indexOf(answer));
  });
  form.addEventListener("change", (event) => {
    if (event.target.dataset.adopt) adopt(event.target.dataset.adopt);
    if (event.target.name.startsWith("verdict-")) event.target.closest("[data-answer]").setAttribute("data-touched", "");
    if (event.target.name === "overall") openOwn(event.target.value === "own");
  });
  form.addEventListener("answered", () => { own.checked = true; openOwn(true); });
  openOwn(Boolean(own?.checked));
  go(0);
}
