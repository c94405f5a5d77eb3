// How the conversation should go on, written by hand: one reply, or several turns with what the person says in between.
import { lengthInWords, lengthOf, lengthProblem } from "../length.mjs";

const EXCERPT = 80, SLOW = 20_000; // characters; longer texts are counted when the typing pauses
const other = (role) => (role === "user" ? "assistant" : "user");

export function mount(section, asked, ctx) {
  const list = section.querySelector("[data-turns]"), pattern = section.querySelector("template[data-turn]");
  const add = section.querySelector("[data-add]"), remove = section.querySelector("[data-remove]"), look = section.querySelector("[data-look]");
  const { words } = ctx, { min: least = 1, max: most = asked.turns ? 50 : 1 } = asked.turns ?? {};
  let turns = [], begins = "assistant"; // [{ role, text, length, preview }]; whose turn it is after the prompt

  const fill = (text, values) => Object.entries(values).reduce((out, [name, value]) => out.replace(`{${name}}`, value), text);
  const replies = () => turns.filter(({ role }) => role === "assistant");
  const written = ({ text }) => text.value.trim();

  // ---- the turns

  function append(role, content = "") {
    const copy = pattern.content.cloneNode(true), [item] = copy.children, text = item.querySelector("textarea"), length = item.querySelector("[data-length]");
    const turn = { role, item, text, length, preview: item.querySelector("[data-preview]"), counting: 0 };
    turns.push(turn);
    const name = role === "user" ? words.sayUser : most === 1 ? words.sayReply : fill(words.sayReplyN, { n: replies().length });
    item.dataset.role = role;
    item.querySelector("[data-name]").textContent = name;
    text.setAttribute("aria-label", name);
    text.value = content;
    if (role === "assistant") { if (asked.placeholder) text.placeholder = asked.placeholder; } else length.remove();
    text.addEventListener("input", () => { typed(turn); ctx.changed(); });
    list.append(item);
    count(turn);
    return turn;
  }

  function typed(turn) {
    if (!turn.preview.hidden) show(turn);
    clearTimeout(turn.counting);
    if (turn.text.value.length < SLOW) count(turn);
    else turn.counting = setTimeout(() => count(turn), 300);
  }

  function count({ role, text, length }) {
    if (role === "user") return "";
    const now = lengthOf(text.value, asked, ctx.language), off = lengthProblem(now, asked, words);
    length.textContent = lengthInWords(now, asked, words);
    length.classList.toggle("wait", Boolean(off && text.value));
    return off;
  }

  function lay(messages) {
    for (const { counting } of turns) clearTimeout(counting);
    turns = [];
    list.replaceChildren();
    for (const { role, content } of messages) append(role, content);
    while (!turns.length || turns.at(-1).role === "user" || replies().length < least) append(turns.length ? other(turns.at(-1).role) : begins);
    reflect();
  }

  function reflect() {
    add.hidden = replies().length >= most;
    remove.hidden = replies().length <= least;
  }

  function addTurn() {
    if (add.hidden) return false;
    const user = append("user");
    append("assistant");
    if (look.ariaPressed === "true") turns.slice(-2).forEach(show);
    reflect();
    ctx.changed();
    user.text.focus();
    return true;
  }

  // The last exchange goes; what was written in it comes back with the next added one.
  remove.addEventListener("click", () => {
    const gone = turns.splice(-2);
    for (const { item } of gone) item.remove();
    reflect();
    ctx.changed();
    ctx.say(words.sayRemoved);
    turns.at(-1).text.focus();
  });
  add.addEventListener("click", addTurn);

  // ---- how it will look

  async function show(turn) {
    clearTimeout(turn.waiting);
    turn.preview.hidden = false;
    turn.waiting = setTimeout(async () => {
      const text = turn.text.value, token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";
      const answer = await fetch(section.dataset.previewUrl, { method: "POST", body: new URLSearchParams({ text }), headers: { "X-CSRFToken": token } }).catch(() => null);
      if (text !== turn.text.value || turn.preview.hidden) return;
      if (answer?.ok && !answer.redirected) turn.preview.innerHTML = await answer.text(); // made safe by the server, as every text it shows
      else turn.preview.textContent = words.sayNoPreview;
    }, 250);
  }

  function toggle() {
    const on = look.ariaPressed !== "true";
    look.ariaPressed = String(on);
    for (const turn of turns) { if (on) show(turn); else turn.preview.hidden = true; }
    return true;
  }
  look.addEventListener("click", toggle);

  function focus() {
    (turns.find((turn) => !written(turn)) ?? turns.at(-1)).text.focus();
    return true;
  }

  return {
    read() {
      const kept = turns.slice(0, turns.findLastIndex(written) + 1);
      return kept.length ? { messages: kept.map(({ role, text }) => ({ role, content: text.value })) } : null;
    },
    write: (answer) => lay(answer?.messages ?? []),
    said() { const text = replies().map(written).join(" … ").replace(/\s+/g, " ").trim(); return text.length > EXCERPT ? `${text.slice(0, EXCERPT)}…` : text.replace(/^(… ?)+$/, ""); },
    missing() {
      const last = Math.max(turns.findLastIndex(written), least * 2 - (begins === "user" ? 1 : 2)), gap = turns.slice(0, last + 1).find((turn) => !written(turn));
      if (!turns.some(written)) return words.sayMissing;
      if (gap) return gap.role === "user" ? words.sayMissingUser : words.sayMissingReply;
      if (turns[last].role === "user") return words.sayMissingReply;
      return asked.enforce ? replies().filter(written).map(count).find(Boolean) ?? "" : "";
    },
    focus,
    keys: { c: focus, a: addTurn, v: toggle },
    fit(article) {
      const shown = [...(article?.querySelectorAll("[data-prompt] [data-turn]") ?? [])].sort((a, b) => a.dataset.turn - b.dataset.turn);
      begins = shown.at(-1)?.dataset.role === "assistant" ? "user" : "assistant";
      lay([]);
    },
    begun: () => turns.some(written),
    unmount() { for (const { counting, waiting } of turns) { clearTimeout(counting); clearTimeout(waiting); } },
  };
}
