// Reading: the source of every text, long texts folded, answers side by side or below each other, scrolled together, pictures
// made larger. It finds the task that is in view by itself, so a page needs nothing but this module and the buttons.
import { say } from "./keys.mjs";

const root = document.documentElement, main = document.getElementById("main");
const buttons = document.querySelector("[data-reading-buttons]");
const words = buttons?.dataset ?? {};
const button = (name) => buttons?.querySelector(`[data-reading="${name}"]`);
const FOLD = 1.5, WORTH_FOLDING = 1.8; // screens
const MOST_MARKED = 200_000; // characters; in a longer text only what nobody could see is marked
let source = false;

const kept = (name) => { try { return localStorage.getItem(`reading:${name}`); } catch { return null; } };
const keep = (name, value) => { try { localStorage.setItem(`reading:${name}`, value); } catch { /* private window: this page alone */ } };
const inView = () => [...main.querySelectorAll("[data-source]")].filter((task) => !task.closest("[hidden]"));

// ---- the source: every code point, with what cannot be seen made visible beside it

const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\u115f\u1160\u3164\uffa0\ufe00-\ufe0f\u{e0100}-\u{e01ef}]/u;
const MARKS = { "\n": "↵", "\t": "→", " ": "·" };
const marked = (text) => (text.length > MOST_MARKED ? /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu : new RegExp(`${INVISIBLE.source}|(?<=^| ) | (?= |$)`, "gmu"));

function spelled(text) {
  const parts = document.createDocumentFragment();
  let from = 0;
  for (const { 0: character, index } of text.matchAll(marked(text))) {
    const mark = document.createElement("span");
    mark.className = character in MARKS ? "ctl is-space" : "ctl";
    mark.dataset.u = MARKS[character] ?? `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
    mark.textContent = character;
    parts.append(text.slice(from, index), mark);
    from = index + character.length;
  }
  parts.append(text.slice(from));
  return parts;
}

async function showSource(task) {
  if (task.dataset.sourceShown) return;
  task.dataset.sourceShown = "1";
  const answer = await fetch(task.dataset.source, { headers: { Accept: "application/json" } }).catch(() => undefined);
  if (!answer?.ok || answer.redirected) { delete task.dataset.sourceShown; say(words.sayNoSource); return press("source", false); }
  const texts = await answer.json();
  if (!source) { delete task.dataset.sourceShown; return; }
  for (const shown of task.querySelectorAll("[data-text]")) {
    const text = texts[shown.dataset.text];
    if (text === undefined || shown.nextElementSibling?.matches(".source")) continue;
    const exact = document.createElement("pre");
    Object.assign(exact, { className: "source", dir: "auto", tabIndex: 0 });
    exact.append(spelled(text));
    shown.after(exact);
    shown.hidden = true;
  }
}

function hideSource(task) {
  delete task.dataset.sourceShown;
  task.querySelectorAll("pre.source").forEach((exact) => { exact.previousElementSibling.hidden = false; exact.remove(); });
}

// ---- long texts: folded, until somebody asks, searches or tabs into what is folded

function fold(text) {
  if (text.dataset.folded || text.closest("[data-candidate]") || text.scrollHeight < innerHeight * WORTH_FOLDING) return;
  text.dataset.folded = "yes";
  const more = document.createElement("button");
  Object.assign(more, { type: "button", className: "btn small more", textContent: words.sayAll });
  more.setAttribute("aria-expanded", "false");
  text.after(more);
  more.addEventListener("click", () => unfold(text, text.dataset.folded === "yes"));
  // The browser's own search, and the Tab key, scroll inside what is folded: whoever got there wants to read there.
  text.addEventListener("scroll", () => { if (text.scrollTop) unfold(text, true); });
}

function unfold(text, open) {
  const more = text.parentElement.querySelector(".more"), at = text.scrollTop;
  text.dataset.folded = open ? "no" : "yes";
  more.textContent = open ? words.sayLess : words.sayAll;
  more.setAttribute("aria-expanded", String(open));
  if (at) { text.scrollTop = 0; scrollBy(0, at); }
  if (!open) more.scrollIntoView({ block: "nearest" });
}

// ---- candidates: in regions of their own when they stand side by side and more than one is taller than the screen

function regions(pair) {
  const texts = [...pair.querySelectorAll(":scope > [data-candidate]")].map((one) => one.querySelector(".source") ?? one.querySelector(".prose"));
  if (texts.length < 2) return;
  const [one, other] = pair.children;
  const room = innerHeight * 0.6, beside = one.offsetTop === other.offsetTop;
  const on = beside && texts.filter((text) => text.scrollHeight > innerHeight).length > 1 && room > 160;
  pair.toggleAttribute("data-regions", on);
  texts.forEach((text) => {
    if (on) { text.tabIndex = 0; text.role = "group"; text.ariaLabel = text.closest("[data-candidate]").ariaLabel; }
    else if (text.matches(".prose")) { text.removeAttribute("tabindex"); text.removeAttribute("role"); text.removeAttribute("aria-label"); }
  });
}

let leading;
function together(event) {
  const text = event.target, pair = text.parentElement?.parentElement;
  if (!pair?.matches?.("[data-regions]") || kept("together") === "no" || (leading && leading !== text)) return;
  leading = text;
  const share = text.scrollTop / Math.max(1, text.scrollHeight - text.clientHeight);
  for (const other of pair.querySelectorAll(":scope > * > :is(.prose, .source):not([hidden])"))
    if (other !== text) other.scrollTop = share * (other.scrollHeight - other.clientHeight);
  clearTimeout(together.rest);
  together.rest = setTimeout(() => { leading = undefined; }, 120);
}
document.addEventListener("scroll", together, { capture: true, passive: true });

// ---- wiring

function wide(place) {
  const over = place.scrollWidth > place.clientWidth + 1;
  if (over && !place.hasAttribute("tabindex")) { place.tabIndex = 0; place.role = "group"; place.ariaLabel = place.querySelector("math")?.getAttribute("alttext") ?? ""; }
}

function arrange() {
  const tasks = inView();
  let pairs = 0;
  for (const task of tasks) {
    if (source) showSource(task);
    task.querySelectorAll("[data-text]:not([hidden])").forEach(fold);
    task.querySelectorAll(".formula > .scroll").forEach(wide);
    for (const pair of task.querySelectorAll(".pair, .cands")) { regions(pair); pairs += 1; }
  }
  if (buttons) buttons.hidden = !tasks.length;
  for (const name of ["layout", "together"]) if (button(name)) button(name).hidden = !pairs;
}

let asked;
const soon = () => { asked ??= requestAnimationFrame(() => { asked = undefined; arrange(); }); };
if (main) {
  new MutationObserver(soon).observe(main, { childList: true, subtree: true, attributes: true, attributeFilter: ["hidden"] });
  main.addEventListener("toggle", soon, true);
  main.addEventListener("load", soon, true);
  addEventListener("resize", soon);
}

function press(name, on) {
  button(name)?.setAttribute("aria-pressed", String(on));
  if (name === "source") { source = on; for (const task of main.querySelectorAll("[data-source]")) if (!on) hideSource(task); }
  if (name === "layout") root.dataset.layout = on ? "stacked" : "side_by_side";
  soon();
}

const stacked = () => (root.dataset.layout ?? main.querySelector(".pair, .cands")?.dataset.layout) === "stacked";
if (kept("layout")) root.dataset.layout = kept("layout");
if (buttons) {
  press("together", kept("together") !== "no");
  button("layout")?.setAttribute("aria-pressed", String(stacked()));
}
buttons?.addEventListener("click", (event) => {
  const name = event.target.closest("[data-reading]")?.dataset.reading;
  if (!name) return;
  const on = event.target.closest("[data-reading]").getAttribute("aria-pressed") !== "true";
  if (name === "layout") keep("layout", on ? "stacked" : "side_by_side");
  if (name === "together") keep("together", on ? "yes" : "no");
  press(name, on);
  say(words[`say${name[0].toUpperCase()}${name.slice(1)}${on ? "On" : "Off"}`]);
});

// Pictures: 0 fits its place, 1 is its own size, then twice and four times that.
function zoom(figure, step) {
  figure.dataset.zoom = Math.min(3, Math.max(0, Number(figure.dataset.zoom) + step));
}
document.addEventListener("click", (event) => {
  const step = event.target.closest("[data-zooms]");
  if (step) zoom(step.closest("figure"), Number(step.dataset.zooms));
});
// Before the keys of the page: + and - are the picture's while it has the focus.
document.addEventListener("keydown", (event) => {
  const figure = event.target.closest?.("figure[data-zoom]");
  const step = { "+": 1, "=": 1, "-": -1 }[event.key];
  if (!figure || !step || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  zoom(figure, step);
}, true);
