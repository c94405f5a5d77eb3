// The answer to the task that is shown: read from the controls of the dock and of the task, and put back. The task says which
// kind of question it asks. Radios and checkboxes hold the answer; keys only move them.
const form = document.querySelector("[data-pairwise]");
const flagButton = form.querySelector("[data-flag]"), options = form.querySelector("[data-options]");

export const shown = () => document.querySelector("[data-slot]:not([hidden])");
export const kind = () => shown()?.dataset.kind ?? "pairwise";
// a and b are the sides as this person sees them; flags speak the queue's language: first:unsafe
const SIDES = { a: "first", b: "second" };
const chips = (task) => [...(task?.querySelectorAll("[data-flag-of]") ?? [])];
const nameOf = (chip) => `${SIDES[chip.dataset.flagOf]}:${chip.value}`;
const radio = (value) => form.querySelector(`[name=pref][value="${value}"]`);
const boxes = () => [...options.querySelectorAll("[name=label]")];
const picked = () => boxes().filter((box) => box.checked);
let sureOfNone = false; // an empty list of labels is an answer, but not by a slip of the finger

export const chosen = () => form.querySelector("[name=pref]:checked");
// What was chosen, as it is read out and shown.
export const said = () => (kind() === "labels" ? picked().map((box) => box.dataset.say).join(", ") : chosen()?.dataset.say ?? "");

// The dock takes the shape of the task's question.
export function fit(task) {
  for (const part of form.querySelectorAll("[data-of]")) part.hidden = part.dataset.of !== task.dataset.kind;
  const controls = task.querySelector("template[data-controls]");
  options.replaceChildren(...(controls ? [controls.content.cloneNode(true)] : []));
  for (const heading of document.querySelectorAll("#ask, .bench-bar h1")) heading.textContent = task.dataset.question;
}

function parts(value) {
  const side = value.match(/^([ab])([123])$/);
  return side ? { choice: side[1], strength: Number(side[2]) } : { choice: value || null, strength: null };
}

export function read() {
  const flags = chips(shown()).filter((chip) => chip.checked).map(nameOf), reason = form.elements.reason.value;
  if (flagButton.ariaPressed === "true") flags.push("review");
  if (kind() === "pairwise") return { preference: parts(chosen()?.value ?? ""), reason, flags };
  return { [shown().dataset.name]: { labels: picked().map((box) => box.value), reason, flags } };
}

export function write(answer) {
  const given = kind() === "pairwise" ? answer : answer[shown()?.dataset.name] ?? {};
  form.reset();
  sureOfNone = false;
  form.elements.reason.value = given.reason ?? "";
  const { choice, strength } = given.preference ?? {};
  const wanted = choice && radio(/^[ab]$/.test(choice) ? choice + (strength ?? 1) : choice);
  if (wanted) wanted.checked = true;
  for (const box of boxes()) box.checked = (given.labels ?? []).includes(box.value);
  const flags = new Set(given.flags ?? []);
  flagButton.ariaPressed = String(flags.has("review"));
  for (const chip of chips(shown())) chip.checked = flags.has(nameOf(chip));
}

// Something a person would be sorry to lose.
export function begun() {
  const marks = chips(shown()).some((chip) => chip.checked) || flagButton.ariaPressed === "true";
  return Boolean(said() || form.elements.reason.value.trim() || marks);
}

// The name of the sentence that says what is missing, or nothing when the answer can go out.
export function missing() {
  if (kind() === "other") return "saySkipOnly";
  if (kind() === "pairwise") return chosen() ? "" : "sayMissing";
  if (picked().length || sureOfNone) return "";
  if (!shown().dataset.multiple) return "sayMissingLabel";
  sureOfNone = true;
  return "sayMissingLabels";
}

export function changed() {
  sureOfNone = false;
}

export function focusFirst() {
  (kind() === "pairwise" ? radio("tie") : boxes()[0])?.focus();
}

function announce(control) {
  control.dispatchEvent(new Event("change", { bubbles: true }));
}

export function choose(value) {
  radio(value).checked = true;
  announce(radio(value));
}

// Pressing the same side again makes it stronger, up to three.
export function press(side) {
  const { choice, strength } = parts(chosen()?.value ?? "");
  choose(side + (choice === side ? Math.min(3, strength + 1) : 1));
}

// A digit: a side or a tie, or the label of that place. Returns false where it means nothing.
export function digit(place) {
  if (!shown() || kind() === "other") return false;
  if (kind() === "pairwise") return PAIRWISE[place]?.() ?? place in PAIRWISE;
  const box = boxes()[place - 1];
  if (!box) return false;
  box.checked = box.type === "radio" || !box.checked;
  announce(box);
  return true;
}
const PAIRWISE = { 1: () => press("a"), 2: () => choose("tie"), 3: () => press("b"), 4: () => choose("neither") };
