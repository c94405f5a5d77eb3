// Places in a text, each under a label. The text itself is not touched: highlights paint it, and labels and bars float over it.
// Places are units of the browser's text while one works, and code points in the answer.
import { characters, counter, cover, stepAt, under, words as wordsOf } from "../offsets.mjs";
import { shownText } from "../source.mjs";

const KEYS = "1234567890abhiluvxy"; // for labels: digits, then letters that mean nothing else here
const TONES = 5, EXCERPT = 60;
const painted = new Map(); // one highlight for each tone, and the cursor, shared by all questions of the page

function paint(name, ranges, mine) {
  if (!globalThis.Highlight) return;
  if (!painted.has(name)) { const highlight = new Highlight(); highlight.priority = name === "cursor" ? 9 : 0; painted.set(name, highlight); CSS.highlights.set(name, highlight); }
  for (const range of ranges) { painted.get(name).add(range); mine.push([name, range]); }
}

export function mount(section, asked, ctx) {
  const bar = section.querySelector("[data-labels]"), home = bar.parentElement, tools = section.querySelector("[data-tools]");
  const list = section.querySelector("[data-list]"), row = section.querySelector("template[data-row]"), search = bar.querySelector("[data-search]");
  const noteBox = section.querySelector("[data-note-box]"), noteField = noteBox?.querySelector("textarea"), stepKey = tools.querySelector("[data-step]");
  const { words } = ctx, overlap = asked.overlap !== false;
  const buttons = [...bar.querySelectorAll("[data-label]")];
  const labels = new Map(buttons.map((button, at) => [button.dataset.label, { button, value: button.dataset.label, text: button.dataset.say, key: KEYS[at], tone: (at % TONES) + 1 }]));
  for (const { button, key } of labels.values()) if (key) button.append(Object.assign(document.createElement("kbd"), { textContent: key }));

  let host, root, layer, text = "", count = counter(""), nodes = [], leaving;
  let spans = [], current, once = new Map(), sureOfNone = false; // once: ids that places had, so that a mark made again is the same mark
  let caret, byCharacter = false, steps = {}; // caret: { anchor: [from, to], head: [from, to] }
  let capture, mine = [], laying, watchers = [];
  const rows = new Map();

  const fill = (sentence, values) => Object.entries(values).reduce((out, [name, value]) => out.replaceAll(`{${name}}`, value), sentence);
  const short = (said) => { const line = said.replace(/\s+/g, " "); return line.length > EXCERPT ? `${line.slice(0, EXCERPT / 2)}…${line.slice(-EXCERPT / 3)}` : line; };
  const textOf = ({ from, to }) => text.slice(from, to);
  const byId = (id) => spans.find((span) => span.id === id);
  const placeOf = ({ from, to, label }) => `${from} ${to} ${label}`;
  const sort = () => spans.sort((a, b) => a.from - b.from || a.to - b.to || (a.label < b.label ? -1 : 1));
  const edges = () => caret && [Math.min(caret.anchor[0], caret.head[0]), Math.max(caret.anchor[1], caret.head[1])];
  const stepsNow = () => (byCharacter ? (steps.characters ??= characters(text)) : (steps.words ??= wordsOf(text)));
  const told = (span) => fill(words.sayMark, { text: short(textOf(span)), label: labels.get(span.label)?.text ?? span.label });

  // ---- between the text and the page

  function nodeAt(unit) {
    const at = Math.max(0, under(nodes, unit, ({ start }) => start)), { node, start } = nodes[at];
    return [node, Math.min(unit - start, node.length)];
  }
  function rangeOf(from, to) {
    const range = new Range();
    range.setStart(...nodeAt(from));
    const [node, offset] = nodeAt(to - 1); // the end stays in the node of the last unit
    range.setEnd(node, Math.min(offset + 1, node.length));
    return range;
  }
  function unitOf(node, offset) {
    const range = new Range();
    range.selectNodeContents(root);
    if (range.comparePoint(node, offset) < 0) return 0;
    if (range.comparePoint(node, offset) > 0) return text.length;
    const own = node.nodeType === Node.TEXT_NODE && nodes.find((one) => one.node === node);
    if (own) return own.start + offset;
    range.setEnd(node, offset);
    return range.toString().length;
  }

  // ---- painting

  function redraw() {
    cancelAnimationFrame(laying);
    laying = requestAnimationFrame(lay);
  }

  function unpaint(keep) {
    mine = mine.filter(([name, range]) => { if (keep(name)) return true; painted.get(name).delete(range); return false; });
  }

  function cursor() {
    unpaint((name) => name !== "cursor");
    const at = edges();
    if (at && host && at[1] > at[0]) paint("cursor", [rangeOf(...at)], mine);
  }

  // Bars under the words, one lane for each of the spans that overlap; names above, as many lines of them as stand in each other's way.
  function lay() {
    if (!host?.isConnected) return;
    unpaint((name) => name === "cursor");
    const lanes = lanesOf(), drawn = spans.map((span) => draw(span, lanes.get(span)));
    layer.replaceChildren(...drawn.map(({ tag }) => tag));
    const widths = drawn.map(({ tag }) => tag.offsetWidth), deepest = Math.max(1, ...lanes.values()) + 1;
    let boxes = measure(drawn, widths), tallest = 1;
    for (const { level } of boxes) tallest = Math.max(tallest, level + 1);
    const room = `${tallest} ${deepest}`;
    if (host.dataset.room !== room) {
      host.dataset.room = room;
      host.style.setProperty("--names", tallest);
      host.style.setProperty("--lanes", deepest);
      boxes = measure(drawn, widths);
    }
    drawn.forEach(({ span, tag, lane }, at) => {
      const { rects, x, level } = boxes[at];
      tag.style.transform = `translate(${x}px, ${(rects[0]?.y ?? 0) - 13 - 12 * level}px)`;
      layer.append(...rects.map((rect) => barOf(span, rect, lane)));
    });
    here();
    for (const watcher of watchers) watcher("laid");
  }

  function lanesOf() {
    const lanes = new Map(), ends = [];
    for (const span of [...spans].sort((a, b) => a.from - b.from || b.to - a.to)) {
      let lane = ends.findIndex((end) => end <= span.from);
      if (lane < 0) lane = ends.length;
      ends[lane] = span.to;
      lanes.set(span, lane);
    }
    return lanes;
  }

  function draw(span, lane) {
    const { tone, text: name } = labels.get(span.label) ?? { tone: 1, text: span.label }, range = rangeOf(span.from, span.to);
    paint(`s${tone}`, [range], mine);
    const tag = document.createElement("span");
    tag.className = `tag tone-${tone}`;
    tag.textContent = name;
    tag.dataset.of = span.id;
    return { span, range, tag, lane };
  }

  function measure(drawn, widths) {
    const origin = host.getBoundingClientRect(), rtl = getComputedStyle(host).direction === "rtl", taken = new Map();
    return drawn.map(({ range }, at) => {
      const rects = lines([...range.getClientRects()].map((box) => ({ x: box.x - origin.x, y: box.y - origin.y, w: box.width, h: box.height })).filter(({ w }) => w > 0.5));
      const first = rects[0] ?? { x: 0, y: 0, w: 0 }, want = rtl ? first.x + first.w - widths[at] : first.x;
      const x = Math.max(0, Math.min(want, origin.width - widths[at] - 2)), key = Math.round(first.y / 6);
      const line = taken.get(key) ?? taken.set(key, []).get(key);
      let level = 0;
      while (line.some((one) => one.level === level && x < one.end + 4 && one.x < x + widths[at] + 4)) level += 1;
      line.push({ x, end: x + widths[at], level });
      return { rects, x, level };
    });
  }

  // What stands on one line is one bar, unless the direction turns within it.
  function lines(rects) {
    const out = [];
    for (const rect of rects) {
      const last = out.at(-1);
      if (last && Math.abs(last.y - rect.y) < 4 && rect.x <= last.x + last.w + 1 && rect.x + rect.w >= last.x - 1) {
        const end = Math.max(last.x + last.w, rect.x + rect.w);
        last.x = Math.min(last.x, rect.x);
        last.w = end - last.x;
      } else out.push({ ...rect });
    }
    return out;
  }

  function barOf(span, rect, lane) {
    const line = document.createElement("i");
    line.className = `line tone-${labels.get(span.label)?.tone ?? 1}`;
    line.dataset.of = span.id;
    line.style.transform = `translate(${rect.x}px, ${rect.y + rect.h + 4 * lane}px)`;
    line.style.inlineSize = `${rect.w}px`;
    return line;
  }

  // ---- the list

  function show() {
    sort();
    const kept = new Set(spans.map(({ id }) => id));
    for (const [id, item] of rows) if (!kept.has(id)) { item.remove(); rows.delete(id); }
    spans.forEach((span, at) => {
      const item = rowOf(span);
      if (list.children[at] !== item) list.insertBefore(item, list.children[at] ?? null);
    });
    here();
    redraw();
  }

  // What moves with the cursor, without a look at all the other marks.
  function here() {
    const now = byId(current), at = edges(), on = new Set(at ? spans.filter(({ from, to }) => from === at[0] && to === at[1]).map((span) => span.label) : []);
    for (const { button, value } of labels.values()) button.setAttribute("aria-pressed", String(on.has(value)));
    for (const part of [...list.querySelectorAll(".is-here"), ...(layer?.querySelectorAll(".is-here") ?? [])]) part.classList.remove("is-here");
    for (const part of list.querySelectorAll("[aria-current=true]")) part.setAttribute("aria-current", "false");
    if (now) {
      const item = rows.get(now.id);
      item?.classList.add("is-here");
      item?.querySelector("[data-go]").setAttribute("aria-current", "true");
      if (item && item.offsetTop < list.scrollTop || item?.offsetTop + item?.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = item.offsetTop - list.clientHeight / 2;
      for (const part of layer?.querySelectorAll(`[data-of="${CSS.escape(now.id)}"]`) ?? []) part.classList.add("is-here");
    }
    if (noteBox) {
      noteBox.hidden = !now;
      if (now && document.activeElement !== noteField) noteField.value = now.note ?? "";
      if (now) noteBox.querySelector("[data-note-of]").textContent = fill(words.sayNote, { text: short(textOf(now)) });
    }
    const ready = { span: now, spans: spans.length, selection: caret };
    for (const control of tools.querySelectorAll("[data-needs]")) control.setAttribute("aria-disabled", String(!ready[control.dataset.needs]));
    cursor();
  }

  function rowOf(span) {
    const item = rows.get(span.id) ?? row.content.firstElementChild.cloneNode(true), sign = `${placeOf(span)} ${span.note ?? ""}`;
    if (item.dataset.sign === sign) return item;
    item.dataset.sign = sign;
    rows.set(span.id, item);
    const said = short(textOf(span)), { tone, text: name } = labels.get(span.label) ?? { tone: 1, text: span.label };
    item.dataset.id = span.id;
    item.querySelector(".swatch").className = `swatch tone-${tone}`;
    const go = item.querySelector("[data-go]"), note = item.querySelector("[data-note]");
    go.querySelector("bdi").textContent = said;
    item.querySelector("[data-name]").textContent = name;
    item.querySelector("[data-place]").textContent = `${count.points(span.from)}–${count.points(span.to)}`;
    item.querySelector("[data-remove]").setAttribute("aria-label", fill(words.sayRemove, { text: said, label: name }));
    note.textContent = span.note ?? "";
    note.hidden = !span.note;
    return item;
  }

  // ---- marking

  const marked = ([from, to], label) => spans.find((span) => span.from === from && span.to === to && span.label === label);

  function changed(event, span) {
    sureOfNone = false;
    show();
    ctx.changed();
    for (const watcher of watchers) watcher(event, span);
  }

  function label(value) {
    const name = labels.get(value).text;
    if (!caret) { ctx.say(words.sayNoSelection); return true; }
    const [from, to] = edges(), old = marked([from, to], value);
    if (old) { remove(old); return true; }
    const inWay = overlap ? null : spans.find((span) => span.from < to && from < span.to && !(span.from === from && span.to === to));
    if (inWay) { ctx.say(fill(words.sayOverlap, { text: short(textOf(inWay)) })); return true; }
    const same = overlap ? null : spans.find((span) => span.from === from && span.to === to);
    if (same) spans = spans.filter((span) => span !== same); // without overlaps another label takes the place of the first
    const span = { from, to, label: value }, note = same?.note;
    span.id = same?.id ?? once.get(placeOf(span)) ?? fresh();
    if (note) span.note = note;
    once.set(placeOf(span), span.id);
    spans.push(span);
    current = span.id;
    changed("added", span);
    ctx.say(`${fill(words.sayMarked, { text: short(textOf(span)), label: name, from: count.points(from), to: count.points(to) })}`);
    return true;
  }

  function fresh() {
    const used = new Set([...spans.map(({ id }) => id), ...once.values()]);
    let number = used.size + 1;
    while (used.has(`s${number}`)) number += 1;
    return `s${number}`;
  }

  function remove(span) {
    spans = spans.filter((one) => one !== span);
    if (current === span.id) current = undefined;
    changed("removed", span);
    ctx.say(fill(words.sayUnmarked, { text: short(textOf(span)), label: labels.get(span.label)?.text ?? span.label }));
  }

  const removeHere = () => { const now = byId(current); if (now) remove(now); else ctx.say(words.sayNoSpan); return true; };

  // ---- where one is

  function select(from, to, { say = true, scroll = true } = {}) {
    caret = { anchor: [from, to], head: [from, to] };
    settle(say, scroll);
  }

  function settle(say = true, scroll = true) {
    const [from, to] = edges(), there = spans.filter((span) => span.from === from && span.to === to);
    current = there.find(({ id }) => id === current)?.id ?? there[0]?.id;
    here();
    if (scroll) reveal(from, to);
    if (say) ctx.say(there.length ? there.map(told).join("; ") : fill(words.sayHere, { text: text.slice(from, to), inside: insideOf(from, to) }).trim());
    for (const watcher of watchers) watcher("moved", byId(current));
  }

  function insideOf(from, to) {
    const around = spans.filter((span) => span.from <= from && to <= span.to).map((span) => labels.get(span.label)?.text ?? span.label);
    return around.length ? fill(words.sayInside, { labels: around.join(", ") }) : "";
  }

  function goTo(span, { focus = true } = {}) {
    current = span.id;
    caret = { anchor: [span.from, span.to], head: [span.from, span.to] };
    here();
    reveal(span.from, span.to);
    if (focus) host.focus({ preventScroll: true });
    ctx.say(told(span));
    for (const watcher of watchers) watcher("moved", span);
    return true;
  }

  function jump(step, allowed = () => true) {
    const able = sort().filter(allowed);
    if (!able.length || !host) { ctx.say(words.sayNoSpans); return true; }
    const at = able.findIndex(({ id }) => id === current);
    if (at >= 0) return goTo(able.at((at + step) % able.length));
    const from = edges()?.[0] ?? -1, next = able.findIndex((span) => span.from > from);
    return goTo(able.at(step > 0 ? Math.max(next, 0) : (next < 0 ? able.length : next) - 1));
  }

  function reveal(from, to) {
    const box = rangeOf(from, to).getClientRects()[0], dock = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--dock")) || 120;
    if (!box) return;
    const top = (bar.isConnected ? bar.getBoundingClientRect().bottom : 80) + 30, bottom = innerHeight - dock - 40;
    if (box.top < Math.min(top, innerHeight / 3)) scrollBy(0, box.top - top - 40);
    else if (box.bottom > bottom) scrollBy(0, box.bottom - bottom + 40);
  }

  // The direction of the line that holds a place, for arrows that move as the eye does.
  function rightToLeft(unit) {
    const line = text.slice(text.lastIndexOf("\n", unit - 1) + 1, (text.indexOf("\n", unit) + 1 || text.length + 1) - 1);
    const strong = line.match(/\p{Script=Hebrew}|\p{Script=Arabic}|\p{Script=Syriac}|\p{Script=Thaana}|\p{Script=Nko}|\p{L}/u)?.[0] ?? "";
    return root.closest(".code") ? false : strong ? /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u.test(strong) : getComputedStyle(host).direction === "rtl";
  }

  function move(forward, widen, far = false) {
    const all = stepsNow();
    if (!all.length) return;
    if (!caret) return void select(...all[0]);
    const [from, to] = edges(), head = caret.head;
    let at = stepAt(all, head[0]);
    if (far) at = forward ? all.length - 1 : 0;
    else if (all[at][0] <= head[0] && head[0] < all[at][1]) at = Math.min(all.length - 1, Math.max(0, at + (forward ? 1 : -1)));
    else if (!forward) at = Math.max(0, at - 1);
    // In the other step's selection the first move goes to its edge, not past it.
    if (!widen && (from !== head[0] || to !== head[1]) && !far) at = forward ? Math.min(all.length - 1, stepAt(all, to)) : Math.max(0, under(all, from - 1, ([start]) => start));
    caret = { anchor: widen ? caret.anchor : all[at], head: all[at] };
    settle();
  }

  function moveLine(down, widen) {
    if (!caret) return move(true, false);
    const box = rangeOf(...caret.head).getClientRects()[0], line = parseFloat(getComputedStyle(root).lineHeight) || 24;
    if (!box) return undefined;
    reveal(...caret.head);
    const now = rangeOf(...caret.head).getClientRects()[0], x = now.left + Math.min(now.width / 2, 8);
    for (let gap = line * 0.75; gap < line * 6; gap += line / 2) {
      const y = down ? now.bottom + gap - line * 0.25 : now.top - gap + line * 0.25;
      const point = document.caretPositionFromPoint?.(x, y) ?? (document.caretRangeFromPoint?.(x, y) && { offsetNode: document.caretRangeFromPoint(x, y).startContainer, offset: document.caretRangeFromPoint(x, y).startOffset });
      if (!point || !root.contains(point.offsetNode)) continue;
      const all = stepsNow(), at = all[stepAt(all, unitOf(point.offsetNode, point.offset))];
      if (at && (down ? at[0] > caret.head[0] : at[0] < caret.head[0])) { caret = { anchor: widen ? caret.anchor : at, head: at }; return settle(); }
    }
    return undefined;
  }

  function turnStep() {
    byCharacter = !byCharacter;
    stepKey.setAttribute("aria-pressed", String(byCharacter));
    if (caret && byCharacter) {
      const [from, to] = edges(), forward = caret.head[0] >= caret.anchor[0], all = stepsNow();
      const first = all[stepAt(all, from)], last = all[stepAt(all, to - 1)];
      caret = forward ? { anchor: first, head: last } : { anchor: last, head: first };
      here();
    }
    ctx.say(byCharacter ? words.sayByCharacter : words.sayByWord);
    return true;
  }

  // The other end of the selection moves from now on.
  function otherEnd() {
    if (!caret) return false;
    const [from, to] = edges(), all = stepsNow(), first = all[stepAt(all, from)], last = all[stepAt(all, to - 1)];
    const backward = caret.head[0] < caret.anchor[0] || (caret.head === caret.anchor ? false : caret.head[0] === from && caret.anchor[0] !== from);
    caret = backward ? { anchor: first, head: last } : { anchor: last, head: first };
    ctx.say(backward ? words.sayEnd : words.sayStart);
    cursor();
    return true;
  }

  function enter() {
    if (!host) return false;
    host.focus({ preventScroll: true });
    if (caret) reveal(...edges());
    else if (text) select(...stepsNow()[0]);
    return true;
  }

  // ---- by pointer

  let pressed = false, settling;
  function adopt({ clear }) {
    const chosen = getSelection();
    if (!chosen.rangeCount || !host) return;
    const range = chosen.getRangeAt(0);
    if (!range.intersectsNode(root)) return;
    const from = unitOf(range.startContainer, range.startOffset), to = unitOf(range.endContainer, range.endOffset);
    if (range.collapsed) return void pick(from);
    const found = cover(stepsNow(), from, to) ?? cover((steps.characters ??= characters(text)), from, to);
    if (!found) return;
    if (clear) chosen.removeAllRanges();
    select(...found, { scroll: false });
  }

  // A click: the smallest span there, clicked again the next larger, in the end the word.
  function pick(unit) {
    const there = spans.filter((span) => span.from <= unit && unit < span.to).sort((a, b) => a.to - a.from - (b.to - b.from));
    const next = there[there.findIndex(({ id }) => id === current) + 1];
    if (next) return void goTo(next);
    const all = stepsNow(), at = all[stepAt(all, unit)];
    if (at) { current = undefined; select(...at, { scroll: false }); }
  }

  function listen() {
    leaving = new AbortController();
    const { signal } = leaving;
    host.addEventListener("keydown", typed, { signal });
    host.addEventListener("focusin", () => section.dispatchEvent(new Event("focusin")), { signal }); // this question has the keys
    host.addEventListener("pointerdown", (event) => { pressed = event.pointerType !== "touch" && event.button === 0; section.dispatchEvent(new Event("focusin")); }, { signal });
    document.addEventListener("pointerup", (event) => {
      if (!pressed) { if (event.pointerType === "touch" && host.contains(event.target)) tap(event); return; }
      pressed = false;
      setTimeout(() => { adopt({ clear: true }); host?.focus({ preventScroll: true }); });
    }, { signal });
    // A finger selects with the handles of the system; what it holds is taken over once it rests.
    document.addEventListener("selectionchange", () => {
      if (pressed || getSelection().isCollapsed) return;
      clearTimeout(settling);
      settling = setTimeout(() => { if (!pressed && !getSelection().isCollapsed) adopt({ clear: false }); }, 350);
    }, { signal });
    const watch = new ResizeObserver(redraw);
    watch.observe(host);
    signal.addEventListener("abort", () => watch.disconnect());
  }

  function tap(event) {
    const point = document.caretPositionFromPoint?.(event.clientX, event.clientY);
    if (point && getSelection().isCollapsed && root.contains(point.offsetNode)) { pick(unitOf(point.offsetNode, point.offset)); host.focus({ preventScroll: true }); }
  }

  function typed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      if (capture?.escape) capture.escape();
      else if (caret) { caret = current = undefined; here(); ctx.say(words.saySelectionGone); }
      else return;
      return void event.preventDefault();
    }
    const way = { ArrowRight: [true], ArrowLeft: [false], Home: [false, true], End: [true, true] }[event.key];
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); moveLine(event.key === "ArrowDown", event.shiftKey); return; }
    if (!way) return;
    event.preventDefault();
    const turned = event.key.startsWith("Arrow") && rightToLeft(caret?.head[0] ?? 0);
    move(way[0] !== turned, event.shiftKey, way[1]);
  }

  // ---- the controls

  for (const place of [bar, tools]) place.addEventListener("pointerdown", () => section.dispatchEvent(new Event("focusin")));
  bar.addEventListener("focusin", () => section.dispatchEvent(new Event("focusin")));
  bar.addEventListener("click", (event) => { const value = event.target.closest("[data-label]")?.dataset.label; if (value) label(value); });
  tools.addEventListener("click", (event) => {
    const what = event.target.closest("[data-do]")?.dataset.do;
    ({ step: turnStep, end: otherEnd, next: () => jump(1), previous: () => jump(-1), remove: removeHere })[what]?.();
  });
  list.addEventListener("click", (event) => {
    const span = byId(event.target.closest("[data-id]")?.dataset.id);
    if (!span) return;
    if (event.target.closest("[data-go]")) goTo(span);
    if (event.target.closest("[data-remove]")) { const at = spans.indexOf(span); remove(span); (list.children[Math.min(at, spans.length - 1)]?.querySelector("[data-remove]") ?? host)?.focus(); }
  });
  noteField?.addEventListener("input", () => { const now = byId(current); if (now) { now.note = noteField.value; rowOf(now); ctx.changed(); } });

  search?.addEventListener("input", (event) => { event.stopPropagation(); find(); });
  search?.addEventListener("keydown", (event) => {
    if (event.isComposing || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape" && search.value) { search.value = ""; find(); event.stopPropagation(); }
    if (event.key !== "Enter") return;
    event.preventDefault();
    event.stopPropagation();
    const [first] = find();
    if (!first || !search.value.trim()) return;
    label(first.value);
    search.value = "";
    find();
    host?.focus({ preventScroll: true });
  });
  function find() {
    const wanted = search.value.trim().toLocaleLowerCase(ctx.language), found = [];
    for (const one of labels.values()) {
      const fits = !wanted || one.text.toLocaleLowerCase(ctx.language).includes(wanted) || one.value.toLowerCase().includes(wanted);
      one.button.hidden = !fits;
      if (fits) found.push(one);
    }
    if (wanted) ctx.say(fill(words.sayFound, { n: found.length }));
    return found;
  }

  // ---- fitting to a task

  function unfit() {
    leaving?.abort();
    clearTimeout(settling);
    cancelAnimationFrame(laying);
    unpaint(() => false);
    layer?.remove();
    if (bar.parentElement !== home) home.prepend(bar);
    if (host) {
      host.classList.remove("doc");
      for (const name of ["role", "tabindex", "aria-label", "aria-roledescription", "data-room", "style"]) host.removeAttribute(name);
      host.querySelector("pre")?.setAttribute("tabindex", "0");
    }
    host = root = layer = caret = current = capture = undefined;
    [text, count, nodes, steps, spans, once] = ["", counter(""), [], {}, [], new Map()];
  }

  function fit(article) {
    unfit();
    root = shownText(article, asked.field);
    if (!root) return;
    host = root.closest("[data-text]");
    host.closest("details")?.setAttribute("open", "");
    text = root.textContent;
    count = counter(text);
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node, start = 0; (node = walk.nextNode()); start += node.length) if (node.length) nodes.push({ node, start });
    if (!nodes.length) { host = root = undefined; return; }
    host.classList.add("doc");
    host.tabIndex = 0;
    host.querySelector("pre")?.removeAttribute("tabindex");
    host.setAttribute("role", "application");
    host.setAttribute("aria-roledescription", words.sayRole);
    host.setAttribute("aria-label", fill(words.sayText, { name: host.closest("[data-field]").getAttribute("aria-label") }));
    layer = Object.assign(document.createElement("div"), { className: "marks" });
    layer.setAttribute("aria-hidden", "true");
    host.append(layer);
    host.before(bar);
    listen();
  }

  const missingNow = () => {
    if (spans.length || sureOfNone) return "";
    sureOfNone = true;
    return words.sayMissing;
  };

  const own = { t: enter, n: () => jump(1), p: () => jump(-1), w: turnStep, o: otherEnd, backspace: removeHere, delete: removeHere,
    m: () => { if (!noteField || !byId(current)) return false; noteField.focus(); return true; }, enter: () => false, r: () => false };
  for (const { value, key } of labels.values()) if (key) own[key] = () => label(value);
  if (search) own["/"] = () => { search.focus(); return true; };
  const keys = Object.fromEntries([...new Set([...Object.keys(own), ..."1234567890"])].map((name) => [name, (event) => (capture?.[name] ?? own[name] ?? (() => false))(event)]));

  return {
    read() {
      if (!spans.length && !sureOfNone) return null;
      return { spans: sort().map(({ id, from, to, label: value, note }) => ({ id, start: count.points(from), end: count.points(to), label: value, ...(asked.notes && note?.trim() ? { note } : {}) })) };
    },
    write(answer) {
      spans = (answer?.spans ?? []).map(({ id, start, end, label: value, note }) => ({ id, from: count.units(start), to: count.units(end), label: value, ...(note ? { note } : {}) }));
      spans = spans.filter(({ from, to }) => from < to && to <= text.length);
      once = new Map(spans.map((span) => [placeOf(span), span.id]));
      sureOfNone = Boolean(answer?.spans && !answer.spans.length);
      caret = current = undefined;
      rows.clear();
      list.replaceChildren();
      show();
      for (const watcher of watchers) watcher("written");
    },
    said: () => (spans.length ? fill(words.sayCount, { n: spans.length }) : sureOfNone ? words.sayNone : ""),
    missing: missingNow,
    values: () => new Set(spans.map((span) => span.label)),
    focus() { if (host) enter(); else section.focus(); },
    keys,
    anywhere: { t: enter },
    fit,
    begun: () => spans.length > 0,
    unmount() { unfit(); watchers = []; },
    // What a question about relations between these spans needs.
    board: {
      get host() { return host; }, get layer() { return layer; }, get spans() { return sort(); },
      get current() { return byId(current); }, byId, goTo, jump,
      activate() { section.dispatchEvent(new Event("focusin")); },
      textOf: (span) => short(textOf(span)), labelOf: (span) => labels.get(span.label)?.text ?? span.label, toneOf: (span) => labels.get(span.label)?.tone ?? 1,
      rangeOf: (span) => rangeOf(span.from, span.to), redraw,
      watch(heard) { watchers.push(heard); }, capture(taken) { capture = taken; }, offer(name, act) { own[name] = act; keys[name] = (event) => (capture?.[name] ?? own[name])(event); },
    },
  };
}
