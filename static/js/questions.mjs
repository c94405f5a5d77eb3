// The questions of a schema, whichever kinds they are: which are asked, which one has the keys, what was said and what is missing.
// A kind is a module of its own that exports mount(section, asked, ctx); docs/kinds.md says what it gives back.
import { routes } from "./keys.mjs";
import { holds, valuesIn } from "./when.mjs";

const MAX_REASON = 10_000, MAX_TEXT = 1_000_000; // characters, as the server counts them
const modules = new Map();

const longer = (text, most) => text.length > most && [...text].length > most;
const textsIn = (value) => (typeof value === "string" ? [value] : Object.values(value ?? {}).flatMap((inner) => (typeof inner === "object" || typeof inner === "string" ? textsIn(inner) : [])));

// Loads a kind's module once. Modules of tasks that wait are loaded ahead, so that a broken connection does not stop the work.
export async function load(root) {
  const urls = [...root.querySelectorAll("[data-question]")].map((section) => section.dataset.module);
  await Promise.all(urls.filter((url) => !modules.has(url)).map(async (url) => modules.set(url, await import(url))));
}

// root holds the [data-questions] of one schema; article is the task they are about, or null. within: keys count only while the
// focus is in root, as in a form that has other things to ask.
export async function mountAll(root, article, { changed = () => {}, say = () => {}, within = false } = {}) {
  await load(root);
  const words = root.querySelector("[data-questions]")?.dataset ?? root.dataset;
  const entries = [...root.querySelectorAll("[data-question]")].map(entryOf);
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const shown = () => entries.filter((entry) => !entry.section.hidden);
  let task = article, active, quiet = true;

  function entryOf(section) {
    const { question: name, kind, when, module } = section.dataset;
    const asked = JSON.parse(section.dataset.asked);
    const entry = { name, kind, section, asked, optional: "optional" in section.dataset, when: when && JSON.parse(when),
      reason: section.querySelector("[data-reason]"), output: section.querySelector(".ask output"), problem: section.querySelector("[data-problem]") };
    const ctx = { task: () => task, changed: () => touched(entry), say, words: section.dataset, language: document.documentElement.lang || "en",
      next: () => move(1), activate: () => activate(entry), answers: () => read(), mounted: (other) => byName.get(other)?.control };
    entry.control = modules.get(module).mount(section, asked, ctx);
    entry.reason?.addEventListener("input", () => touched(entry));
    section.addEventListener("focusin", () => activate(entry));
    section.addEventListener("pointerdown", () => activate(entry));
    return entry;
  }

  // ---- what is asked, and which question has the keys

  function ask() {
    let appeared;
    for (const entry of entries) {
      const was = entry.section.hidden;
      entry.section.hidden = Boolean(entry.when) && !holds(entry.when, stateOf(byName.get(entry.when.question)));
      if (was && !entry.section.hidden) appeared ??= entry;
    }
    if (!active || active.section.hidden) activate(shown()[0]);
    for (const entry of entries) entry.section.toggleAttribute("data-alone", shown().length === 1);
    return appeared;
  }

  function stateOf(entry) {
    const answer = entry?.control.read();
    return answer && { asked: entry.asked, hidden: entry.section.hidden, answer, values: entry.control.values?.() ?? valuesIn(answer) };
  }

  function touched(entry) {
    if (quiet) return;
    problemOf(entry, "");
    const appeared = ask();
    reflect(entry);
    if (entry !== active && !entry.section.hidden) activate(entry);
    changed(entry.name);
    if (appeared) say(words.sayAppeared.replace("…", textOf(appeared)));
  }

  function activate(entry) {
    if (entry === active || entry?.section.hidden) return;
    active?.section.removeAttribute("data-active");
    active = entry;
    active?.section.setAttribute("data-active", "");
  }

  function move(step) {
    const all = shown(), to = all[all.indexOf(active) + step];
    if (!to) return false;
    activate(to);
    to.section.scrollIntoView({ block: "nearest" });
    to.section.focus({ preventScroll: true });
    return true;
  }

  function reflect(entry) {
    if (entry.output) entry.output.textContent = entry.control.said?.() ?? "";
  }

  const textOf = (entry) => entry.section.querySelector(".ask h2, .ask legend")?.firstChild.textContent.trim() ?? entry.name;

  // ---- answers

  const reasonOf = (entry) => entry.reason?.value ?? "";

  function answerOf(entry) {
    const answer = entry.control.read(), reason = reasonOf(entry);
    if (answer === null && !reason.trim()) return null;
    return { ...answer, reason, flags: answer?.flags ?? [] };
  }

  const said = (list) => Object.fromEntries(list.map((entry) => [entry.name, answerOf(entry)]).filter(([, answer]) => answer));
  const read = () => said(shown());

  function write(answers) {
    quiet = true;
    for (const entry of entries) {
      const answer = answers?.[entry.name] ?? null;
      entry.control.write(answer);
      if (entry.reason) entry.reason.value = answer?.reason ?? "";
      problemOf(entry, "");
    }
    active?.section.removeAttribute("data-active");
    active = undefined;
    ask();
    entries.forEach(reflect);
    quiet = false;
  }

  function fit(next) {
    task = next;
    for (const entry of entries) entry.control.fit?.(next);
  }

  // ---- what is missing

  function gapOf(entry) {
    const answer = answerOf(entry);
    if (answer === null && entry.optional) return "";
    const sentence = entry.control.missing();
    if (sentence) return sentence;
    if (answer === null) return words.sayRequired;
    if (entry.asked.reason === "required" && !reasonOf(entry).trim()) return words.sayReason;
    if (longer(reasonOf(entry), MAX_REASON)) return words.sayLongReason;
    const typed = textsIn(answer);
    if (typed.some((text) => text.includes("\0"))) return words.sayNul;
    return typed.some((text) => longer(text, MAX_TEXT)) ? words.sayLong : "";
  }

  function problemOf(entry, sentence) {
    if (!entry.problem) return;
    entry.problem.textContent = sentence;
    entry.problem.hidden = !sentence;
    entry.section.toggleAttribute("data-wrong", Boolean(sentence));
  }

  // Every question that is not complete, with the sentence that says why; they are marked where they stand.
  function gaps() {
    const found = shown().map((entry) => ({ question: entry.name, text: textOf(entry), sentence: gapOf(entry) }));
    for (const gap of found) problemOf(byName.get(gap.question), gap.sentence);
    return found.filter((gap) => gap.sentence);
  }

  // What the server said of an answer, shown at the question its path names. False when it names none that is asked.
  function complain(path, sentence) {
    const entry = byName.get(path);
    if (!entry || entry.section.hidden) return false;
    problemOf(entry, sentence);
    focus(entry.name);
    return true;
  }

  function focus(name) {
    const entry = byName.get(name) ?? shown()[0];
    if (!entry) return;
    activate(entry);
    const needsReason = entry.asked.reason === "required" && !entry.control.missing() && !reasonOf(entry).trim();
    if (needsReason) entry.reason.focus();
    else entry.control.focus();
  }

  // ---- keys: the active question first, then j and k between questions, then what others listen to from anywhere

  function route(name, event) {
    if (!root.isConnected || root.closest("[hidden]") || (within && !root.contains(document.activeElement))) return false;
    const own = active?.control.keys?.[name];
    if (own && own(event) !== false) return true;
    if (name === "r" && active?.reason) { active.reason.focus(); return true; }
    if (name === "j" || name === "k") return move(name === "j" ? 1 : -1);
    return shown().some((entry) => { const far = entry !== active && entry.control.anywhere?.[name]; return far && far(event) !== false; });
  }

  routes.add(route);
  fit(article);
  write(null);
  return {
    read, write, fit, gaps, complain, focus, activate: (name) => activate(byName.get(name)),
    draft: () => said(entries),
    missing: () => gaps()[0] ?? null,
    unanswered: () => ({ question: shown()[0].name, text: textOf(shown()[0]), sentence: words.sayRequired }),
    said: () => shown().map((entry) => entry.control.said?.() ?? "").filter(Boolean).join("; "),
    begun: () => entries.some((entry) => reasonOf(entry).trim() || (entry.control.begun?.() ?? entry.control.read() !== null)),
    get active() { return active?.name; },
    get asked() { return shown().map((entry) => entry.name); },
    reasons: entries.map((entry) => entry.reason).filter(Boolean),
    keys: route,
    unmount() { routes.delete(route); for (const entry of entries) entry.control.unmount?.(); },
  };
}
