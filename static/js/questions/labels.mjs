// One label or several, flat or in a tree: real radios and checkboxes. Digits and letters choose, / finds, a child brings its parents.
const SINGLE = /^[0-9a-z]$/;

export function mount(section, asked, ctx) {
  const list = section.querySelector("[data-options]"), search = section.querySelector("[data-search]"), words = ctx.words;
  const rows = [...list.querySelectorAll("label")].map((label) => ({ label, box: label.querySelector("input"), key: label.querySelector("kbd")?.textContent,
    parents: JSON.parse(label.dataset.parents ?? "[]"), text: label.querySelector("b").textContent.toLocaleLowerCase(ctx.language) }));
  const byValue = new Map(rows.map((row) => [row.box.value, row]));
  const { multiple, min, max } = asked;
  let sureOfNone = false; // an empty list of labels is an answer, but not by a slip of the finger

  const picked = () => rows.filter(({ box }) => box.checked);
  const sayOf = ({ box, parents }) => [...parents.map((value) => byValue.get(value).box.dataset.say), box.dataset.say].join(" › ");
  const said = () => picked().map(sayOf).join(", ") || (sureOfNone ? words.sayNone : "");

  // Where a child is chosen its parents hold as well; they are shown so, and only what was chosen is stored.
  function implied() {
    const above = new Set(picked().flatMap((row) => row.parents));
    for (const { label, box } of rows) label.toggleAttribute("data-implied", above.has(box.value) && !box.checked);
  }

  function changed() {
    sureOfNone = false;
    implied();
    ctx.changed();
    ctx.say(said() || words.sayNone);
  }

  const atMost = () => multiple && max && picked().length > max;

  function toggle({ box }) {
    box.checked = box.type === "radio" || !box.checked;
    if (atMost()) { box.checked = false; ctx.say(words.sayMax.replace("{n}", max)); return true; }
    box.scrollIntoView?.({ block: "nearest" });
    changed();
    return true;
  }

  section.addEventListener("change", (event) => {
    if (!byValue.has(event.target.value) || !list.contains(event.target)) return;
    if (atMost()) { event.target.checked = false; ctx.say(words.sayMax.replace("{n}", max)); return; }
    changed();
  });

  // ---- finding among many

  function find() {
    const wanted = search.value.trim().toLocaleLowerCase(ctx.language);
    const found = rows.filter((row) => !wanted || row.text.includes(wanted) || row.box.value.toLowerCase().includes(wanted));
    const kept = new Set(found.flatMap((row) => [row.box.value, ...row.parents]));
    for (const { label, box } of rows) label.hidden = !kept.has(box.value);
    if (wanted) ctx.say(words.sayFound.replace("{n}", found.length));
    return found;
  }
  search?.addEventListener("input", (event) => { event.stopPropagation(); find(); });
  search?.addEventListener("keydown", (event) => {
    if (event.isComposing || event.ctrlKey || event.metaKey) return;
    if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      event.stopPropagation();
      const [first] = find();
      if (event.key === "Enter" && first && search.value.trim()) { toggle(first); search.value = ""; find(); search.focus(); }
      else first?.box.focus();
    }
    if (event.key === "Escape" && search.value) { search.value = ""; find(); event.stopPropagation(); }
  });

  const keys = {};
  for (const row of rows) if (row.key && SINGLE.test(row.key)) keys[row.key] = () => !row.label.hidden && toggle(row);

  return {
    read: () => (picked().length || sureOfNone ? { labels: picked().map(({ box }) => box.value) } : null),
    write(answer) {
      const given = new Set(answer?.labels ?? []);
      for (const { box } of rows) box.checked = given.has(box.value);
      sureOfNone = Boolean(answer?.labels) && !given.size;
      if (search) { search.value = ""; find(); }
      implied();
    },
    said,
    missing() {
      const count = picked().length;
      if (multiple && max && count > max) return words.sayMax.replace("{n}", max);
      if (multiple && min && count < min) return words.sayMin.replace("{n}", min);
      if (count || sureOfNone) return "";
      if (!multiple) return words.sayMissing;
      sureOfNone = true;
      return words.sayMissingLabels;
    },
    focus() { (picked()[0]?.box ?? rows.find(({ label }) => !label.hidden)?.box)?.focus(); },
    keys,
    fit() {},
    values: () => [...new Set(picked().flatMap((row) => [...row.parents, row.box.value]))],
    begun: () => picked().length > 0,
  };
}
