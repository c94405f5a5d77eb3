// The answer to a pairwise question: read from the controls of the dock and the task that is shown, and put back.
// The radios hold the answer; keys only move them. a and b are the sides as this person sees them.
const form = document.querySelector("[data-pairwise]");
const flagButton = form.querySelector("[data-flag]");

export const shown = () => document.querySelector("[data-slot]:not([hidden])");
const SIDES = { a: "first", b: "second" }; // flags speak the queue's language: first:unsafe
const chips = (task) => [...(task?.querySelectorAll("[data-flag-of]") ?? [])];
const nameOf = (chip) => `${SIDES[chip.dataset.flagOf]}:${chip.value}`;
const radio = (value) => form.querySelector(`[name=pref][value="${value}"]`);
export const chosen = () => form.querySelector("[name=pref]:checked");

function parts(value) {
  const side = value.match(/^([ab])([123])$/);
  return side ? { choice: side[1], strength: Number(side[2]) } : { choice: value || null, strength: null };
}

export function read() {
  const flags = chips(shown()).filter((chip) => chip.checked).map(nameOf);
  if (flagButton.ariaPressed === "true") flags.push("review");
  return { preference: parts(chosen()?.value ?? ""), reason: form.elements.reason.value, flags };
}

export function write(answer) {
  const { choice, strength } = answer.preference ?? {};
  form.reset();
  form.elements.reason.value = answer.reason ?? "";
  const wanted = choice && radio(/^[ab]$/.test(choice) ? choice + (strength ?? 1) : choice);
  if (wanted) wanted.checked = true;
  const flags = new Set(answer.flags ?? []);
  flagButton.ariaPressed = String(flags.has("review"));
  for (const chip of chips(shown())) chip.checked = flags.has(nameOf(chip));
}

// Something a person would be sorry to lose.
export function begun() {
  const { preference, reason, flags } = read();
  return Boolean(preference.choice || reason.trim() || flags.length);
}

export function choose(value) {
  radio(value).checked = true;
  radio(value).dispatchEvent(new Event("change", { bubbles: true }));
}

// Pressing the same side again makes it stronger, up to three.
export function press(side) {
  const { choice, strength } = parts(chosen()?.value ?? "");
  choose(side + (choice === side ? Math.min(3, strength + 1) : 1));
}
