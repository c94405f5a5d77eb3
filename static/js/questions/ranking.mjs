// Ranking. Type the numbers, best first; = ties the next one with the last. Dragging, Alt+arrows on a chip and the selects do the same.
import * as compare from "../compare.mjs";
import { candidates } from "./candidates.mjs";

const EDGE = 0.3; // of a place's width: a drop there goes before or after it, in the middle it ties

export function mount(section, asked, ctx) {
  const order = section.querySelector("[data-order]"), allBad = section.querySelector("[data-all-bad]"), place = section.querySelector("template[data-place]");
  const button = section.querySelector("[data-compares]"), legend = section.querySelector("[data-compare]"), picks = [...section.querySelectorAll("[data-pick]")];
  const { words } = ctx, beside = candidates(section, ctx), ties = asked.tie !== false;
  let all = []; // { id: position, letter, card, select, kbd } in the order shown
  let tiers = [], tieNext = false, choosing, held;

  const byId = (id) => all.find((one) => one.id === id);
  const letters = (ids) => ids.map((id) => byId(id).letter).join(" = ");
  const placeOf = (id) => tiers.findIndex((tier) => tier.includes(id));
  const rest = () => all.filter(({ id }) => placeOf(id) < 0);
  const take = (id) => { tiers = tiers.map((tier) => tier.filter((one) => one !== id)).filter((tier) => tier.length); };
  const sentence = () => tiers.map(letters).join(" > ") + (allBad?.checked ? ` · ${words.sayAllBad}` : "");
  const fill = (text, values) => Object.entries(values).reduce((out, [name, value]) => out.replace(`{${name}}`, value), text);

  // ---- moving

  function put(id, at, tie) {
    take(id);
    if (tie && ties && tiers[at]) tiers[at].push(id);
    else tiers.splice(Math.min(at, tiers.length), 0, [id]);
    moved(id);
  }

  function out(id) {
    if (placeOf(id) < 0) return;
    take(id);
    moved(id);
  }

  function moved(id) {
    tieNext = false;
    draw();
    ctx.changed();
    const at = placeOf(id), left = rest().length, others = at < 0 ? [] : tiers[at].filter((one) => one !== id);
    const what = at < 0 ? words.sayTaken : others.length ? words.sayTied : words.sayPlaced;
    ctx.say(`${fill(what, { answer: byId(id).letter, n: at + 1, others: letters(others) })} ${left ? fill(words.sayLeft, { n: left }) : words.sayComplete}`);
  }

  function digit(number) {
    const one = all[number - 1];
    if (!one) return false;
    if (choosing) return choose(one.id);
    put(one.id, tieNext && tiers.length ? tiers.length - 1 : tiers.length, tieNext);
    return true;
  }

  function tie() {
    if (!ties || !tiers.length || !rest().length) return false;
    tieNext = !tieNext;
    draw();
    ctx.say(tieNext ? fill(words.sayTieNext, { others: letters(tiers.at(-1)) }) : sentence());
    return true;
  }

  function back() {
    if (choosing) return stopChoosing();
    if (tieNext) return tie();
    const id = tiers.at(-1)?.at(-1);
    if (id) out(id);
    return Boolean(id);
  }

  // Sideways is a place, down a tie with the place before, up out of the tie.
  function nudge(id, key) {
    const at = placeOf(id), tied = tiers[at]?.length > 1, forward = (key === "ArrowRight") !== (getComputedStyle(order).direction === "rtl");
    if (key === "ArrowDown") { if (at >= 0 && (tied ? at > 0 : tiers.length > 1)) put(id, Math.max(0, at - 1), true); }
    else if (key === "ArrowUp") { if (tied) put(id, at); }
    else if (at < 0) put(id, tiers.length);
    else put(id, forward ? at + 1 : tied ? at : Math.max(0, at - 1));
  }

  // ---- drawing

  function draw() {
    const focused = order.contains(document.activeElement) && document.activeElement.dataset.chip;
    const left = rest();
    order.replaceChildren(...tiers.map((ids, at) => tierOf(ids, at, String(at + 1))), ...(left.length ? [tierOf(left.map(({ id }) => id), -1, words.sayPool)] : []));
    order.toggleAttribute("data-tie-next", tieNext);
    for (const { id, card, select } of all) {
      card.classList.toggle("is-placed", placeOf(id) >= 0);
      select.value = String(placeOf(id) + 1);
    }
    if (focused) order.querySelector(`[data-chip="${focused}"]`)?.focus({ preventScroll: true });
  }

  function tierOf(ids, at, label) {
    const item = document.createElement("li"), name = document.createElement("span");
    item.className = at < 0 ? "tier pool" : "tier";
    item.dataset.place = at;
    name.textContent = label;
    item.append(name, ...ids.map((id) => chipOf(id, at)));
    return item;
  }

  function chipOf(id, at) {
    const chip = document.createElement("button"), { letter, kbd } = byId(id);
    Object.assign(chip, { type: "button", textContent: letter });
    chip.dataset.chip = id;
    chip.setAttribute("aria-label", fill(at < 0 ? words.sayChipFree : words.sayChip, { answer: letter, n: at + 1 }));
    if (at < 0) chip.append(kbd.cloneNode(true));
    return chip;
  }

  // ---- dragging, by pointer so that it works by touch as well

  function targetOf(event) {
    const tier = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-place], [data-order]");
    if (!tier || !order.contains(tier)) return null;
    if (tier === order) return { how: "last" };
    const box = tier.getBoundingClientRect(), share = (event.clientX - box.left) / box.width, rtl = getComputedStyle(order).direction === "rtl";
    const along = rtl ? 1 - share : share, at = Number(tier.dataset.place);
    if (at < 0) return { tier, at, how: "out" };
    return { tier, at, how: along < EDGE ? "before" : along > 1 - EDGE || !ties ? "after" : "tie" };
  }

  function showTarget(target) {
    for (const tier of order.children) { tier.classList.remove("is-over"); delete tier.dataset.drop; }
    if (!target?.tier) return;
    target.tier.classList.add("is-over");
    target.tier.dataset.drop = target.how;
  }

  function drop(id, { at, how }) {
    if (how === "out") return out(id);
    if (how === "last") return put(id, tiers.length);
    const anchor = tiers[at].find((one) => one !== id);
    if (!anchor) return undefined; // on the place it came from
    take(id);
    const now = placeOf(anchor);
    return put(id, how === "after" ? now + 1 : now, how === "tie");
  }

  order.addEventListener("pointerdown", (event) => {
    const chip = event.target.closest("[data-chip]");
    if (!chip || event.button) return;
    held = { id: chip.dataset.chip, x: event.clientX, y: event.clientY, moved: false };
    chip.setPointerCapture(event.pointerId);
  });
  order.addEventListener("pointermove", (event) => {
    if (!held) return;
    held.moved ||= Math.hypot(event.clientX - held.x, event.clientY - held.y) > 6;
    if (held.moved) showTarget(targetOf(event));
  });
  const letGo = (event) => {
    const dragged = held, target = dragged?.moved && targetOf(event);
    held = undefined;
    showTarget(null);
    if (dragged?.moved) { swallow = true; setTimeout(() => { swallow = false; }); }
    if (target) drop(dragged.id, target);
  };
  let swallow = false; // the click that ends a drag places nothing
  order.addEventListener("pointerup", letGo);
  order.addEventListener("pointercancel", () => { held = undefined; showTarget(null); });
  order.addEventListener("click", (event) => {
    const id = event.target.closest("[data-chip]")?.dataset.chip;
    if (!id || swallow) return;
    if (choosing) choose(id);
    else if (placeOf(id) < 0) digit(all.indexOf(byId(id)) + 1);
  });
  order.addEventListener("keydown", (event) => {
    const id = event.target.dataset?.chip;
    if (!id || !event.altKey || event.ctrlKey || event.metaKey || !event.key.startsWith("Arrow")) return;
    event.preventDefault();
    nudge(id, event.key);
    order.querySelector(`[data-chip="${id}"]`)?.focus();
  });

  // ---- comparing two of them

  function toggle() {
    if (button.getAttribute("aria-pressed") === "true") { compare.clear(button, legend); return picking(); }
    if (all.length === 2) return show(all.map(({ id }) => id));
    if (choosing) { const best = [...tiers.flat(), ...rest().map(({ id }) => id)].slice(0, 2); stopChoosing(); return show(best); }
    choosing = [];
    legend.textContent = words.sayWhich;
    ctx.say(words.sayWhich);
    return picking();
  }

  // The two selects stand there while two are being chosen or compared.
  function picking() {
    const on = choosing || button.getAttribute("aria-pressed") === "true";
    for (const pick of picks) { pick.hidden = !on || all.length < 3; if (!on) pick.value = ""; }
    return true;
  }

  function choose(id) {
    if (!choosing.includes(id)) choosing.push(id);
    if (choosing.length === 2) { const pair = choosing; stopChoosing(); return show(pair); }
    legend.textContent = `${byId(id).letter} – …`;
    return true;
  }

  function stopChoosing() { choosing = undefined; legend.textContent = ""; return picking(); }

  function show(pair) {
    picks.forEach((pick, at) => { pick.value = pair[at]; });
    compare.toggle({ task: ctx.task(), button, legend, pair, say: ctx.say });
    legend.textContent = `${pair.map((id) => byId(id).letter).join(" – ")}: ${legend.textContent}`;
    return picking();
  }

  button?.addEventListener("click", toggle);
  for (const pick of picks) pick.addEventListener("change", () => {
    const pair = picks.map(({ value }) => value);
    compare.clear(button, legend);
    if (pair[0] && pair[1] && pair[0] !== pair[1]) { stopChoosing(); show(pair); }
  });
  allBad?.addEventListener("change", () => { ctx.changed(); ctx.say(allBad.checked ? words.sayAllBad : sentence()); });

  // ---- the cards

  function besideCard(card, number, count) {
    const id = card.dataset.candidate, letter = card.querySelector(".letter")?.lastChild.textContent.trim() ?? String(number);
    const copy = place.content.cloneNode(true), select = copy.querySelector("select"), kbd = copy.querySelector("kbd");
    kbd.textContent = number;
    select.setAttribute("aria-label", fill(words.saySelect, { answer: letter }));
    for (let at = 1; at <= count; at += 1) select.add(new Option(at, at));
    select.addEventListener("change", () => { const at = Number(select.value); if (at) put(id, at - 1, placeOf(id) !== at - 1); else out(id); });
    const parts = [...copy.children], header = card.querySelector("header");
    header.append(...parts);
    header.querySelector(".letter")?.after(kbd);
    return { id, letter, card, select, kbd, parts };
  }

  function unfit() {
    compare.clear(button, legend);
    choosing = held = undefined;
    for (const { card, parts } of all) { parts.forEach((part) => part.remove()); card.classList.remove("is-placed"); }
    beside.unmount();
    all = [];
    tiers = [];
  }

  function fit(article) {
    unfit();
    const cards = [...(article?.querySelectorAll("[data-candidate]") ?? [])];
    all = cards.map((card, at) => besideCard(card, at + 1, cards.length));
    for (const pick of picks) pick.replaceChildren(new Option("–", ""), ...all.map(({ id, letter }) => new Option(letter, id)));
    picking();
    beside.fit(article);
    draw();
  }

  const keys = { "=": tie, 0: tie, backspace: back, d: toggle, x: () => { if (!allBad) return false; allBad.click(); return true; } };
  for (let number = 1; number <= 9; number += 1) keys[number] = () => digit(number);

  return {
    read() {
      const flags = beside.flags(), rewrite = beside.rewrite();
      if (!tiers.length && !flags.length && !rewrite && !allBad?.checked) return null;
      return { ranks: all.map(({ id }) => placeOf(id) + 1 || null), ...(allBad?.checked ? { all_bad: true } : {}), ...(rewrite ? { rewrite } : {}), flags };
    },
    write(answer) {
      const ranks = answer?.ranks ?? [], known = [...new Set(ranks.filter(Boolean))].sort((a, b) => a - b);
      tiers = known.map((rank) => all.filter((_, at) => ranks[at] === rank).map(({ id }) => id)).filter((tier) => tier.length);
      tieNext = false;
      if (allBad) allBad.checked = Boolean(answer?.all_bad);
      beside.write(answer);
      draw();
    },
    said: sentence,
    missing: () => (rest().length ? fill(words.sayMissing, { answers: rest().map(({ letter }) => letter).join(", ") }) : ""),
    focus() { (order.querySelector(".pool [data-chip]") ?? order.querySelector("[data-chip]"))?.focus(); },
    keys,
    fit,
    begun: () => Boolean(tiers.length || allBad?.checked || beside.begun()),
    unmount: unfit,
  };
}
