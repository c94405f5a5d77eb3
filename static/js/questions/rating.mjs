// Marks on a scale, aspect by aspect: of the task, or below each candidate or each turn of the assistant. A digit rates the aspect
// that is open and opens the next, j and k walk the aspects, m is the note.
export function mount(section, asked, ctx) {
  const source = section.querySelector("template[data-rubric]"), words = ctx.words, scale = asked.scale ?? 5;
  let targets = []; // { place, what, rubric, rows }: what is rated; place is its place in the answer's list
  let count = 0, here = 0;

  const all = () => targets.flatMap(({ rows }) => rows);
  const rowsOf = (rubric) => [...rubric.querySelectorAll("[data-aspect]")];
  const picked = (row) => row.querySelector("[type=radio]:checked");
  const noteOf = (row) => row.querySelector("[data-note]");
  const nameOf = (row) => row.querySelector("legend").firstChild.textContent.trim();

  function fit(article) {
    if (!asked.each) { targets = [{ place: 0, what: "", rubric: section.querySelector(".rubric"), rows: rowsOf(section) }]; return; }
    unmount();
    const candidates = asked.each === "candidates", holder = candidates ? "" : asked.field ? `[data-field="${CSS.escape(asked.field)}"] ` : "[data-prompt] ";
    const items = [...(article?.querySelectorAll(candidates ? "[data-candidate]" : `${holder}[data-turn]`) ?? [])].sort((a, b) => (a.dataset.turn ?? 0) - (b.dataset.turn ?? 0));
    count = items.length;
    targets = items.flatMap((item, place) => (candidates || item.dataset.role === "assistant" ? [beside(item, place, candidates)] : []));
    go(0);
  }

  function beside(item, place, candidate) {
    const rubric = source.content.cloneNode(true).querySelector(".rubric"), letter = item.querySelector(".letter")?.lastChild.textContent.trim();
    const what = candidate ? words.sayCandidate.replace("…", letter ?? place + 1) : words.sayTurn.replace("…", place + 1);
    rubric.setAttribute("aria-label", words.sayRubric.replace("…", what));
    for (const radio of rubric.querySelectorAll("[type=radio]")) radio.name += `.${place}`;
    listen(rubric);
    item.closest("details")?.setAttribute("open", "");
    item.append(rubric);
    return { place, what, rubric, rows: rowsOf(rubric) };
  }

  function listen(root) {
    root.addEventListener("change", (event) => { if (event.target.type === "radio") rated(event.target.closest("[data-aspect]")); });
    root.addEventListener("input", (event) => { if ("note" in event.target.dataset) ctx.changed(); });
    root.addEventListener("focusin", (event) => { const row = event.target.closest("[data-aspect]"); if (row) { ctx.activate(); go(all().indexOf(row)); } });
  }

  // What the lowest and the highest mark with words mean, as long as none is chosen.
  function ends(row) {
    const named = [...row.querySelectorAll("label[title]")];
    return [...new Set([named[0], named.at(-1)])].map((label) => `${label.querySelector("input").value} ${label.title}`).join(" – ");
  }

  function anchor(row) {
    const hint = row.querySelector("[data-anchor]");
    if (hint) hint.textContent = picked(row) ? picked(row).closest("label").title : ends(row);
  }

  function rated(row) {
    anchor(row);
    ctx.changed();
    ctx.say([nameOf(row), picked(row).value, picked(row).closest("label").title].filter(Boolean).join(", "));
  }

  function go(to) {
    here = to;
    all().forEach((row, place) => row.toggleAttribute("data-now", place === here));
  }

  function step(by) {
    if (!all()[here + by]) return false;
    go(here + by);
    all()[here].scrollIntoView({ block: "nearest" });
    ctx.say(nameOf(all()[here]));
    return true;
  }

  function rate(mark) {
    const row = all()[here], radio = row?.querySelector(`[type=radio][value="${mark}"]`);
    if (!radio) return false;
    radio.checked = true;
    rated(row);
    if (!step(1) && !missing()) ctx.next();
    return true;
  }

  const marksOf = ({ rows }) => Object.fromEntries(rows.filter(picked).map((row) => [row.dataset.aspect, Number(picked(row).value)]));
  const notesOf = ({ rows }) => Object.fromEntries(rows.filter((row) => noteOf(row)?.value.trim()).map((row) => [row.dataset.aspect, noteOf(row).value]));
  const listOf = (read) => { const list = Array(count).fill(null); for (const target of targets) list[target.place] = read(target); return list; };
  const emptyToNull = (notes) => (Object.keys(notes).length ? notes : null);

  function read() {
    const noted = all().some((row) => noteOf(row)?.value.trim());
    if (!noted && !all().some(picked)) return null;
    const answer = { ratings: asked.each ? listOf(marksOf) : marksOf(targets[0]) };
    if (noted) answer.notes = asked.each ? listOf((target) => emptyToNull(notesOf(target))) : notesOf(targets[0]);
    return answer;
  }

  function write(answer) {
    for (const { place, rows } of targets) {
      const marks = (asked.each ? answer?.ratings?.[place] : answer?.ratings) ?? {}, notes = (asked.each ? answer?.notes?.[place] : answer?.notes) ?? {};
      for (const row of rows) {
        for (const radio of row.querySelectorAll("[type=radio]")) radio.checked = Number(radio.value) === marks[row.dataset.aspect];
        if (noteOf(row)) noteOf(row).value = notes[row.dataset.aspect] ?? "";
        anchor(row);
      }
    }
    go(0);
  }

  function unrated() {
    for (const target of targets) {
      const row = target.rows.find((each) => !("optional" in each.dataset) && !picked(each));
      if (row) return { row, what: target.what };
    }
    return undefined;
  }

  function missing() {
    const gap = unrated();
    if (!gap) return "";
    return gap.what ? words.sayMissingAt.replace("…", nameOf(gap.row)).replace("{what}", gap.what) : words.sayMissing.replace("…", nameOf(gap.row));
  }

  function said() {
    const rows = all().filter(picked);
    if (asked.each) return rows.length ? words.sayCount.replace("{n}", rows.length).replace("{all}", all().length) : "";
    return rows.map((row) => `${nameOf(row)} ${picked(row).value}`).join(", ");
  }

  function unmount() {
    if (asked.each) for (const { rubric } of targets) rubric.remove();
    targets = [];
  }

  const digits = Object.fromEntries(Array.from({ length: scale }, (_, at) => [String((at + 1) % 10), () => rate(at + 1)]));
  const note = () => { const field = all()[here] && noteOf(all()[here]); field?.focus(); return Boolean(field); };
  if (!asked.each) listen(section);
  fit(null);
  return {
    read, write, said, missing, fit, unmount,
    focus() { const row = unrated()?.row ?? all()[here]; go(all().indexOf(row)); (picked(row) ?? row.querySelector("[type=radio]"))?.focus(); },
    keys: { ...digits, j: () => step(1), k: () => step(-1), m: note },
  };
}
