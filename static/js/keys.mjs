// One keyboard map for every page. A control names its key: <button data-key="g">. Pressing it clicks the
// control, or focuses it when data-key-do="focus". Keys with Ctrl, Alt or Meta belong to the browser, so the
// only chord is Mod+Enter. Letters are read from event.key, so the map follows the reader's keyboard layout.
const remap = JSON.parse(localStorage.getItem("keys") ?? "{}");
const typing = (el) => el.closest("textarea, select, [contenteditable], input:not([type=radio], [type=checkbox])");

// What a page does for a key by itself, before any control is looked for. Return false to let the key through.
export const on = {};

export function say(text) {
  const live = document.getElementById("live");
  if (live) live.textContent = text;
}

export function nameOf(event) {
  if (event.shiftKey && /^Digit\d$/.test(event.code)) return "shift+" + event.code.at(-1);
  const key = /^(Digit|Numpad)\d$/.test(event.code) ? event.code.at(-1) : event.key.toLowerCase();
  return Object.keys(remap).find((name) => remap[name] === key) ?? key;
}

function escape(target) {
  const drawer = target.closest(".drawer");
  if (drawer) document.querySelector(`[aria-controls="${drawer.id}"]`).click();
  else if (typing(target)) target.blur();
  else target.closest("details[open]")?.removeAttribute("open");
}

function press(name) {
  const control = document.querySelector(`[data-key="${CSS.escape(name)}"]:not([hidden], [hidden] *)`);
  if (!control) return false;
  if (control.dataset.keyDo === "focus") control.focus();
  else control.click();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.altKey) return;
  const mod = event.ctrlKey || event.metaKey;
  if (mod && event.key !== "Enter") return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") return escape(event.target);
  if (!mod && (typing(event.target) || localStorage.getItem("keys-off"))) return;
  if (event.key === "Enter" && !mod && event.target.closest("a, button, summary")) return;
  const name = nameOf(event);
  const handled = on[name] ? on[name](event) !== false : press(name);
  if (handled) event.preventDefault();
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
