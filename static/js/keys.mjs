// One keyboard map for every page. A control names its key: <button data-key="g">. Pressing it clicks the
// control, or focuses it when data-key-do="focus". Keys with Ctrl, Alt or Meta belong to the browser, so the
// only chord is Mod+Enter. Letters are read from event.key, so the map follows the reader's keyboard layout, as far as that has Latin letters.
// A person's own keys stand on <html>: { name: key } where they differ from what a control names. Two names may trade keys; a key
// that was moved away and taken by nothing does nothing.
const { keys: map = "{}", keysOff: off } = document.documentElement.dataset;
const own = JSON.parse(map);
const nameOfKey = new Map(Object.entries(own).map(([name, key]) => [key, name]));
export const keyOf = (name) => own[name] ?? name;
const typing = (el) => el.closest("textarea, select, [contenteditable], audio, video, input:not([type=radio], [type=checkbox])");

// What a page does for a key by itself, before any control is looked for. Return false to let the key through.
export const on = {};

// What a form does for a key before the page does: functions of the key's name and the event that return true when they took it.
export const routes = new Set();

export function say(text) {
  const live = document.getElementById("live");
  if (live) live.textContent = text;
}

// On a keyboard of another script the letter that a key has on a Latin one, so that no one has to switch layouts to judge.
function letterOf({ key, code }) {
  if (key === "؟" || key === "？") return "?";
  const foreign = key.length === 1 && key > "\u024f" && /^Key[A-Z]$/.test(code);
  return (foreign ? code.at(-1) : key).toLowerCase();
}

export function nameOf(event) {
  const digit = /^(Digit|Numpad)\d$/.test(event.code) && event.code.at(-1);
  const key = digit && event.shiftKey && event.code.startsWith("Digit") ? `shift+${digit}` : digit || letterOf(event);
  return nameOfKey.get(key) ?? (key in own ? "" : key);
}

// What a <kbd> says is the person's own key, wherever it comes into the page.
function relabel(root) {
  for (const kbd of root.querySelectorAll("kbd")) {
    kbd.dataset.name ??= kbd.textContent.trim();
    const held = kbd.previousElementSibling?.dataset.name === "Shift" ? "shift+" : "";
    const key = own[held + kbd.dataset.name.toLowerCase()];
    if (key) kbd.textContent = key.slice(held.length);
  }
}
if (nameOfKey.size) {
  relabel(document);
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const node of addedNodes) if (node.nodeType === Node.ELEMENT_NODE) relabel(node);
  }).observe(document.body, { childList: true, subtree: true });
}

function escape(target) {
  const drawer = target.closest(".drawer");
  if (drawer) document.querySelector(`[aria-controls="${drawer.id}"]`).click();
  else if (typing(target)) target.blur();
  else target.closest("details[open]")?.removeAttribute("open");
}

function press(name) {
  const control = name && document.querySelector(`[data-key="${CSS.escape(name)}"]:not([hidden], [hidden] *)`);
  if (!control) return false;
  if (control.dataset.keyDo === "focus") control.focus();
  else control.click();
  return true;
}

// What a key does, by its name; false where it means nothing.
export function perform(name, event) {
  return [...routes].some((route) => route(name, event)) || (on[name] ? on[name](event) !== false : press(name));
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.altKey) return;
  const mod = event.ctrlKey || event.metaKey;
  if (mod && event.key !== "Enter") return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") return escape(event.target);
  if (!mod && (typing(event.target) || off)) return;
  if (event.key === "Enter" && !mod && event.target.closest("a, button, summary")) return;
  const name = nameOf(event);
  if (perform(name, event)) event.preventDefault();
});

// Dialogs, drawers and tabs open from data attributes.
function toggleTarget(target) {
  if (target instanceof HTMLDialogElement) return target.showModal();
  target.hidden = !target.hidden;
  const openers = document.querySelectorAll(`[data-opens="${target.id}"][aria-expanded]`);
  openers.forEach((opener) => opener.setAttribute("aria-expanded", !target.hidden));
  (target.hidden ? openers[0] : target.querySelector("h2"))?.focus();
}

function selectTab(tab) {
  for (const other of tab.parentElement.children) {
    other.setAttribute("aria-selected", other === tab);
    other.tabIndex = other === tab ? 0 : -1;
    document.getElementById(other.getAttribute("aria-controls")).hidden = other !== tab;
  }
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) toggleTarget(document.getElementById(opener.dataset.opens));
  const toggle = event.target.closest("[data-toggle]");
  toggle?.setAttribute("aria-pressed", toggle.ariaPressed !== "true");
  event.target.closest("[data-closes]")?.closest("dialog")?.close();
  const tab = event.target.closest("[role=tab]");
  if (tab) selectTab(tab);
});

document.addEventListener("keydown", (event) => {
  if (event.target.role !== "tab" || !/^Arrow(Left|Right)$/.test(event.key)) return;
  const tabs = [...event.target.parentElement.children];
  const backwards = (event.key === "ArrowLeft") !== (getComputedStyle(event.target).direction === "rtl");
  const next = tabs.at((tabs.indexOf(event.target) + (backwards ? -1 : 1)) % tabs.length);
  next.focus();
  next.click();
});
