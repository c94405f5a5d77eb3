// What is wrong, if anything. Each flag may have a note; "nothing to flag" is an answer of its own. Shift and a digit raise a flag
// from anywhere, the digit alone while the question has the keys, 0 says that there is nothing.
export function mount(section, asked, ctx) {
  const none = section.querySelector("[data-none]");
  const rows = [...section.querySelectorAll("[data-flag-row]")].map((row) => ({ box: row.querySelector("[type=checkbox]"), note: row.querySelector("[data-note]") }));
  const raised = () => rows.filter(({ box }) => box.checked);

  function reveal() {
    for (const { box, note } of rows) if (note) note.hidden = !box.checked;
    if (raised().length) none.checked = false;
  }

  function flagged({ box }) {
    reveal();
    ctx.changed();
    ctx.say(ctx.words[box.checked ? "sayRaised" : "sayLowered"].replace("…", box.dataset.say));
  }

  function clear() {
    if (none.checked) for (const { box } of rows) box.checked = false;
    reveal();
    ctx.changed();
    if (none.checked) ctx.say(ctx.words.sayNone);
  }

  const toggle = (row) => () => { row.box.checked = !row.box.checked; flagged(row); row.box.focus(); return true; };
  section.addEventListener("change", (event) => {
    if (event.target === none) return clear();
    const row = rows.find(({ box }) => box === event.target);
    if (row) flagged(row);
  });
  section.addEventListener("input", (event) => { if ("note" in event.target.dataset) ctx.changed(); });

  const digits = Object.fromEntries(rows.slice(0, 9).map((row, place) => [place + 1, toggle(row)]));
  const shifted = Object.fromEntries(Object.entries(digits).map(([digit, fn]) => [`shift+${digit}`, fn]));
  const nothing = () => { none.checked = !none.checked; clear(); return true; };
  // m: the note of the flag that has the focus, else of the last one raised
  const note = () => { const row = rows.find(({ box }) => box === document.activeElement && box.checked) ?? raised().at(-1); if (!row?.note) return false; row.note.focus(); return true; };

  return {
    read: () => (raised().length || none.checked ? { raised: raised().map(({ box, note }) => ({ value: box.value, note: note?.value ?? "" })) } : null),
    write(answer) {
      const given = new Map((answer?.raised ?? []).map((flag) => [flag.value, flag]));
      for (const { box, note } of rows) { box.checked = given.has(box.value); if (note) note.value = given.get(box.value)?.note ?? ""; }
      none.checked = Boolean(answer?.raised) && !given.size;
      reveal();
    },
    said: () => raised().map(({ box }) => box.dataset.say).join(", ") || (none.checked ? ctx.words.sayNone : ""),
    missing: () => (raised().length || none.checked ? "" : ctx.words.sayMissing),
    focus: () => rows[0].box.focus(),
    keys: { ...digits, ...shifted, 0: nothing, m: note },
    anywhere: shifted,
    fit() {},
  };
}
