// What stands beside the candidates of a comparison: flags on each, and a better answer to write. Used by pairwise and ranking.
const KEYS = ["1", "3", "5", "7", "9", "2", "4", "6", "8"]; // Shift+1 and Shift+3 for two; the rest in order for more
const keyOf = (place, count) => `shift+${count > 2 ? place + 1 : KEYS[place]}`;

export function candidates(section, ctx) {
  const source = section.querySelector("template[data-beside-candidate]"), words = source?.dataset ?? {};
  let parts = []; // { position, letter, footer, rewrite, text }

  function fit(article) {
    unmount();
    const shown = [...(article?.querySelectorAll("[data-candidate]") ?? [])];
    if (source) parts = shown.map((candidate, place) => beside(candidate, place, shown.length));
  }

  function beside(candidate, place, count) {
    const position = candidate.dataset.candidate, letter = candidate.querySelector(".letter")?.lastChild.textContent.trim() ?? position;
    const copy = source.content.cloneNode(true), footer = copy.querySelector("footer"), rewrite = copy.querySelector("[data-rewrite]");
    footer?.setAttribute("aria-label", words.sayFlags.replace("…", letter));
    const first = footer?.querySelector("input");
    if (first) Object.assign(first.dataset, { key: keyOf(place, count), keyDo: "focus" });
    const text = rewrite?.querySelector("textarea");
    text?.setAttribute("aria-label", words.sayRewrite.replace("…", letter));
    for (const part of [footer, rewrite]) { part?.addEventListener("input", ctx.changed); part?.addEventListener("focusin", ctx.activate); }
    rewrite?.querySelector("summary").addEventListener("click", (event) => { event.preventDefault(); turn(rewrite, text); });
    candidate.append(...[footer, rewrite].filter(Boolean));
    return { position, letter, footer, rewrite, text };
  }

  // Done here and not by the browser, which tells of it only later: the first letters typed would be keys of the page.
  function turn(rewrite, text) {
    rewrite.open = !rewrite.open;
    if (!rewrite.open || text.value) return;
    closeOthers(rewrite);
    text.focus();
  }

  // One better answer is enough: opening one closes the others that are empty.
  const closeOthers = (open) => parts.forEach(({ rewrite, text }) => { if (rewrite !== open && !text.value) rewrite.open = false; });
  const chips = () => parts.flatMap(({ position, footer }) => [...(footer?.querySelectorAll("input") ?? [])].map((chip) => ({ chip, name: `${position}:${chip.value}` })));
  const flags = () => chips().filter(({ chip }) => chip.checked).map(({ name }) => name);
  const written = () => parts.find(({ rewrite, text }) => rewrite?.open && text.value.trim());

  function rewrite() {
    const found = written();
    return found && { of: found.position, text: found.text.value };
  }

  function write(answer) {
    const raised = new Set(answer?.flags ?? []);
    for (const { chip, name } of chips()) chip.checked = raised.has(name);
    for (const part of parts) {
      if (!part.rewrite) continue;
      const mine = answer?.rewrite && (answer.rewrite.of || parts[0].position) === part.position;
      part.text.value = mine ? answer.rewrite.text : "";
      part.rewrite.open = Boolean(mine);
    }
  }

  function unmount() {
    for (const { footer, rewrite } of parts) { footer?.remove(); rewrite?.remove(); }
    parts = [];
  }

  const letterOf = (position) => parts.find((part) => part.position === position)?.letter;
  return { fit, flags, rewrite, write, unmount, letterOf, begun: () => Boolean(flags().length || written()) };
}
