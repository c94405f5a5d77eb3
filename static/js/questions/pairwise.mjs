// Two answers, one better: a beam of seven, a side and then how much, or just a side; overall, and by aspect where those are asked.
// 1 and 3 are the sides, 2 a tie, 4 both bad; the same keys in every row, j and k between rows.
import * as compare from "../compare.mjs";
import { candidates } from "./candidates.mjs";

const SIDES = { first: "first", second: "second" };

export function mount(section, asked, ctx) {
  const rows = [...section.querySelectorAll("[data-row]")], beside = candidates(section, ctx);
  const button = section.querySelector("[data-compares]"), legend = section.querySelector("[data-compare]");
  const steps = asked.strength === "steps";
  let here = 0, deciding = false; // deciding: a side was chosen and 1 to 3 now say by how much

  const overall = rows.at(-1);
  const sides = (row) => [...row.querySelectorAll(`input:not([name$=".by"])`)];
  const picked = (row) => sides(row).find((radio) => radio.checked);
  const by = (row) => row.querySelector(`[name$=".by"]:checked`);
  const radio = (row, value) => sides(row).find((each) => each.value === value);
  const nameOf = (row) => row.querySelector("legend")?.textContent ?? "";

  function valueOf(row) {
    const [choice, strength] = (picked(row)?.value ?? "").split(":");
    if (!choice) return { choice: null, strength: null };
    return { choice, strength: !(choice in SIDES) ? null : steps ? Number(by(row)?.value) || null : Number(strength) || null };
  }

  function put(row, value) {
    for (const each of row.querySelectorAll("input")) each.checked = false;
    const { choice, strength } = value ?? {};
    const side = choice in SIDES && asked.strength === true ? `${choice}:${strength ?? 1}` : choice;
    const wanted = side && radio(row, side);
    if (wanted) wanted.checked = true;
    const much = steps && strength && row.querySelector(`[name$=".by"][value="${strength}"]`);
    if (much) much.checked = true;
    reveal(row);
  }

  // How much is asked only where one side is better.
  function reveal(row) {
    const group = row.querySelector(".steps");
    if (!group) return;
    group.hidden = !(picked(row)?.value in SIDES);
    if (group.hidden) for (const each of group.querySelectorAll("input")) each.checked = false;
  }

  function wordsOf(row) {
    const much = by(row)?.dataset.say, said = picked(row)?.dataset.say ?? "";
    return much && said ? `${said}, ${much}` : said;
  }

  function said() {
    const main = wordsOf(overall), parts = rows.slice(0, -1).filter(picked).map((row) => `${nameOf(row)}: ${wordsOf(row)}`);
    return [...parts, parts.length && main ? `${ctx.words.sayOverall}: ${main}` : main].filter(Boolean).join("; ");
  }

  function mark() {
    const { choice } = valueOf(overall);
    for (const candidate of ctx.task()?.querySelectorAll("[data-candidate]") ?? []) candidate.classList.toggle("is-chosen", candidate.dataset.candidate === choice);
  }

  function go(to) {
    here = to;
    deciding = false;
    rows.forEach((row, place) => row.toggleAttribute("data-now", rows.length > 1 && place === here));
  }

  function choose(row, value) {
    const wanted = radio(row, value);
    if (!wanted) return false;
    wanted.checked = true;
    changed(row);
    return true;
  }

  function changed(row) {
    reveal(row);
    mark();
    ctx.changed();
    ctx.say(rows.length > 1 ? `${nameOf(row)}: ${wordsOf(row)}` : wordsOf(row));
  }

  // The beam: the same side again is stronger. Steps: a side, then 1 to 3 for how much.
  function press(side) {
    const row = rows[here], { choice, strength } = valueOf(row);
    if (asked.strength === true) return choose(row, `${side}:${choice === side ? Math.min(3, strength + 1) : 1}`);
    choose(row, side);
    deciding = steps;
    return true;
  }

  function decide(strength) {
    deciding = false;
    const wanted = rows[here].querySelector(`[name$=".by"][value="${strength}"]`);
    wanted.checked = true;
    changed(rows[here]);
    return true;
  }

  const digit = (place, otherwise) => () => {
    if (deciding && place <= 3 && picked(rows[here])?.value in SIDES) return decide(place);
    deciding = false;
    return otherwise();
  };
  const step = (by) => () => { if (!rows[here + by]) return false; go(here + by); rows[here].scrollIntoView({ block: "nearest" }); ctx.say(nameOf(rows[here])); return true; };
  const toggle = () => { compare.toggle({ task: ctx.task(), button, legend, say: ctx.say }); return true; };

  section.addEventListener("change", (event) => { const row = event.target.closest("[data-row]"); if (row) { changed(row); deciding = steps && event.target.value in SIDES; } });
  section.addEventListener("focusin", (event) => { const row = event.target.closest("[data-row]"); if (row && rows[here] !== row) go(rows.indexOf(row)); });
  button?.addEventListener("click", toggle);

  function missingIn(row) {
    if (!picked(row)) return row === overall ? ctx.words[asked.tie === false && asked.neither === false ? "sayMissingSide" : "sayMissing"] : ctx.words.sayMissingAspect.replace("…", nameOf(row));
    return steps && picked(row).value in SIDES && !by(row) ? ctx.words.sayMissingStrength : "";
  }

  go(0);
  return {
    read() {
      const { choice, strength } = valueOf(overall), aspects = rows.slice(0, -1), rewrite = beside.rewrite(), flags = beside.flags();
      if (!rows.some(picked) && !flags.length && !rewrite) return null;
      const answer = { choice, strength, flags };
      if (aspects.some(picked)) answer.aspects = Object.fromEntries(aspects.filter(picked).map((row) => [row.dataset.row, valueOf(row)]));
      if (rewrite) answer.rewrite = rewrite;
      return answer;
    },
    write(answer) {
      for (const row of rows) put(row, row === overall ? answer : answer?.aspects?.[row.dataset.row]);
      beside.write(answer);
      go(0);
      mark();
    },
    said,
    missing: () => rows.map(missingIn).find(Boolean) ?? "",
    focus() { const row = rows.find(missingIn) ?? rows[here]; (row.querySelector(".steps:not([hidden]) input") ?? picked(row) ?? radio(row, "tie") ?? sides(row)[0]).focus(); },
    keys: { 1: digit(1, () => press("first")), 2: digit(2, () => choose(rows[here], "tie")), 3: digit(3, () => press("second")), 4: () => choose(rows[here], "neither"), j: step(1), k: step(-1), d: toggle },
    fit(article) { compare.clear(button, legend); beside.fit(article); },
    begun: () => rows.some(picked) || beside.begun(),
    unmount() { compare.clear(button, legend); beside.unmount(); },
  };
}
