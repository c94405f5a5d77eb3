// What holds between the marks of a spans question: from the current mark with r, n and p to the other, a digit says how, Enter adds.
const SVG = "http://www.w3.org/2000/svg";

export function mount(section, asked, ctx) {
  const { words } = ctx, list = section.querySelector("[data-list]"), row = section.querySelector("template[data-row]");
  const panel = section.querySelector("[data-linking]"), choice = panel.querySelector("[data-predicate]");
  const predicates = asked.options.map(({ value, text, subject: subjects, object: objects }, at) => ({ value, text, subjects, objects, option: choice.options[at] }));
  let board, relations = [], subject, object, sureOfNone = false, drawn = [];

  const fill = (sentence, values) => Object.entries(values).reduce((out, [name, value]) => out.replaceAll(`{${name}}`, value), sentence);
  const byValue = (value) => predicates.find((one) => one.value === value);
  const spanOf = (id) => board?.byId(id);
  // A relation whose mark is gone is kept, unseen: marking the place again brings both back.
  const standing = () => relations.filter((one) => spanOf(one.subject) && spanOf(one.object));
  const inWords = (one) => ({ subject: board.textOf(spanOf(one.subject)), predicate: byValue(one.predicate)?.text ?? one.predicate, object: board.textOf(spanOf(one.object)) });
  const goes = ({ subjects, objects }, from, to) => (!subjects || subjects.includes(from.label)) && (!to || !objects || objects.includes(to.label));
  const fitting = (to) => predicates.filter((one) => goes(one, subject, to));

  // ---- making one

  function begin() {
    const here = board?.current;
    if (!here) { ctx.say(words.sayNoSubject); return true; }
    subject = here;
    object = undefined;
    if (!board.spans.some(able)) { ctx.say(fill(words.sayNoObject, { text: board.textOf(here) })); subject = undefined; return true; }
    board.capture(captured);
    offer();
    panel.hidden = false;
    board.redraw();
    ctx.say(fill(words.saySubject, { text: board.textOf(here) }));
    return true;
  }

  const able = (span) => span.id !== subject?.id && fitting(span).length > 0;

  // The predicates that go with both ends; where nothing is chosen yet or the choice does not fit, the first of them.
  function offer() {
    const fits = fitting(object);
    for (const one of predicates) one.option.disabled = !fits.includes(one);
    if (!fits.includes(byValue(choice.value))) choice.value = fits[0]?.value ?? "";
    panel.querySelector("[data-subject]").textContent = board.textOf(subject);
    panel.querySelector("[data-object]").textContent = object ? board.textOf(object) : "…";
  }

  function aim(step) {
    board.jump(step, (span) => able(span));
    return true;
  }

  function choose(number) {
    const one = predicates[number - 1];
    if (!one) return true;
    if (!goes(one, subject, object)) { ctx.say(fill(words.sayNotAllowed, { predicate: one.text })); return true; }
    choice.value = one.value;
    told();
    return true;
  }

  function told() {
    if (object) ctx.say(fill(words.sayNow, { subject: board.textOf(subject), predicate: byValue(choice.value).text, object: board.textOf(object) }));
    else ctx.say(byValue(choice.value).text);
  }

  function add() {
    if (!object) { ctx.say(words.sayChoose); return true; }
    const made = { subject: subject.id, predicate: choice.value, object: object.id };
    if (relations.some((one) => same(one, made))) { ctx.say(words.sayTwice); return true; }
    relations.push(made);
    const back = subject;
    end();
    board.goTo(back); // the next relation often begins where this one did
    changed();
    ctx.say(fill(words.sayAdded, inWords(made)));
    return true;
  }
  const same = (one, other) => one.subject === other.subject && one.predicate === other.predicate && one.object === other.object;

  function end() {
    subject = object = undefined;
    panel.hidden = true;
    board?.capture(undefined);
    board?.redraw();
  }

  function cancel() {
    const back = subject;
    end();
    if (back && spanOf(back.id)) board.goTo(back);
    ctx.say(words.sayCancelled);
    return true;
  }

  const captured = { n: () => aim(1), p: () => aim(-1), enter: add, escape: cancel, r: add, backspace: () => true, delete: () => true };
  for (let number = 0; number <= 9; number += 1) captured[number] = () => choose(number);

  function heard(event, span) {
    if (event === "laid") return void draw();
    if (event === "moved" && subject && span && span.id !== object?.id && able(span)) { object = span; offer(); told(); }
    if (event === "removed") {
      const went = relations.filter((one) => one.subject === span.id || one.object === span.id).length;
      if (subject && (span.id === subject.id || span.id === object?.id)) end();
      if (went) queueMicrotask(() => ctx.say(fill(words.sayWent, { n: went })));
    }
    if (event !== "moved") show();
  }

  // ---- the list and the lines

  function changed() {
    sureOfNone = false;
    show();
    ctx.changed();
    if (board.host?.contains(document.activeElement)) board.activate(); // who is in the text keeps the keys of the text
  }

  function show() {
    list.replaceChildren(...standing().map((one) => {
      const item = row.content.firstElementChild.cloneNode(true), said = inWords(one);
      for (const part of ["subject", "predicate", "object"]) item.querySelector(`[data-${part}]`).textContent = said[part];
      item.querySelector("[data-go]").addEventListener("click", () => board.goTo(spanOf(one.subject)));
      const remove = item.querySelector("[data-remove]");
      remove.setAttribute("aria-label", fill(words.sayRemove, said));
      remove.addEventListener("click", () => {
        const at = standing().indexOf(one);
        relations = relations.filter((other) => other !== one);
        changed();
        ctx.say(fill(words.sayRemoved, said));
        (list.children[Math.min(at, list.children.length - 1)]?.querySelector("[data-remove]") ?? section.querySelector("[data-link]")).focus();
      });
      return item;
    }));
    board?.redraw();
  }

  // On one line: over the names. Else from under the one, along the margin, to under the other; never through words.
  function draw() {
    for (const part of drawn) part.remove();
    drawn = [];
    if (!board?.host) return;
    const now = subject ? [{ subject: subject.id, predicate: object && choice.value, object: object?.id, begun: true }] : [], all = [...standing(), ...now.filter((one) => one.object)];
    for (const part of board.layer.querySelectorAll(".line.is-subject")) part.classList.remove("is-subject");
    if (subject) for (const part of board.layer.querySelectorAll(`.line[data-of="${CSS.escape(subject.id)}"]`)) part.classList.add("is-subject");
    if (!all.length) return;
    const origin = board.host.getBoundingClientRect(), rtl = getComputedStyle(board.host).direction === "rtl";
    const spot = (span) => { const box = board.rangeOf(span).getClientRects()[0]; return { x: box.x - origin.x, y: box.y - origin.y, w: box.width, h: box.height }; };
    const svg = document.createElementNS(SVG, "svg"), names = [];
    all.forEach((one, at) => {
      const a = spot(spanOf(one.subject)), b = spot(spanOf(one.object)), lane = at % 4, x1 = a.x + a.w * 0.6, x2 = b.x + b.w * 0.4;
      const under = (box) => box.y + box.h + 6, side = rtl ? origin.width - 6 - 4 * lane : 6 + 4 * lane;
      const line = Math.abs(a.y - b.y) < 8 ? `M${x1} ${under(a)}v${5 + 3 * lane}H${x2}v${-5 - 3 * lane}` : `M${x1} ${under(a)}v${4 + 2 * lane}H${side}V${under(b) + 4 + 2 * lane}H${x2}v${-4 - 2 * lane}`;
      for (const [shape, name] of [[line, ""], [`M${x2} ${under(b) - 2}l-3.5 6h7z`, "tip"]]) {
        const path = document.createElementNS(SVG, "path");
        path.setAttribute("d", shape);
        path.setAttribute("class", `${name}${one.begun ? " begun" : ""}`);
        svg.append(path);
      }
      const name = document.createElement("span");
      Object.assign(name, { className: "rel", textContent: byValue(one.predicate)?.text ?? one.predicate });
      names.push({ name, x: Math.abs(a.y - b.y) < 8 ? (x1 + x2) / 2 : x1 + (rtl ? 24 : -24), y: under(a) + 1 + (Math.abs(a.y - b.y) < 8 ? 3 : 2) * lane });
    });
    board.layer.append(svg, ...names.map(({ name }) => name));
    for (const { name, x, y } of names) name.style.transform = `translate(${Math.max(0, Math.min(x - name.offsetWidth / 2, origin.width - name.offsetWidth))}px, ${y}px)`;
    drawn = [svg, ...names.map(({ name }) => name)];
  }

  // ---- wiring

  section.querySelector("[data-link]").addEventListener("click", begin);
  panel.querySelector("[data-add]").addEventListener("click", add);
  panel.querySelector("[data-cancel]").addEventListener("click", cancel);
  choice.addEventListener("change", () => { told(); board.redraw(); });
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { event.preventDefault(); cancel(); }
    if (event.key === "Enter" && event.target === choice && !event.ctrlKey && !event.metaKey) { event.preventDefault(); add(); }
  });

  function meet() {
    if (board) return;
    board = ctx.mounted(asked.spans)?.board;
    if (!board) return;
    board.watch(heard);
    board.offer("r", begin);
  }

  // While a relation is made its keys are these, wherever the focus is; else n and p still go through the marks.
  const keys = { r: () => (subject ? add() : begin()), n: () => (subject ? aim(1) : board?.jump(1)), p: () => (subject ? aim(-1) : board?.jump(-1)), enter: () => (subject ? add() : false) };
  for (let number = 1; number <= 9; number += 1) keys[number] = () => (subject ? choose(number) : false);

  return {
    read() {
      const all = standing();
      return all.length || sureOfNone ? { relations: all.map((one) => ({ ...one })) } : null;
    },
    write(answer) {
      meet();
      end();
      relations = (answer?.relations ?? []).map((one) => ({ ...one }));
      sureOfNone = Boolean(answer?.relations && !answer.relations.length);
      show();
    },
    said: () => (standing().length ? fill(words.sayCount, { n: standing().length }) : sureOfNone ? words.sayNone : ""),
    missing() {
      if (standing().length || sureOfNone) return "";
      sureOfNone = true;
      return words.sayMissing;
    },
    values: () => new Set(standing().map((one) => one.predicate)),
    focus: () => section.querySelector("[data-link]").focus(),
    keys,
    anywhere: { r: () => (board ? begin() : false) },
    fit() { meet(); end(); relations = []; drawn = []; },
    begun: () => standing().length > 0,
    unmount() { end(); for (const part of drawn) part.remove(); },
  };
}
