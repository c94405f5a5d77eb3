// A live talk with one or two models. The page's own server keeps what was said and answers every request with the conversation as
// it stands, rendered; replies stream from the gateway, which is asked with a ticket for each. Streamed text is only ever text.
const RETRY = [1, 2, 4, 8, 15, 30]; // seconds
const PLACES = ["first", "second"];
const uuid = () => crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const pause = (tries) => 1000 * RETRY[Math.min(tries, RETRY.length - 1)];

export function mount(section, asked, ctx) {
  const part = (name) => section.querySelector(`[data-chat-${name}]`);
  const log = part("log"), end = part("end"), composer = part("composer"), box = composer.querySelector("textarea"), sendButton = part("send");
  const note = part("note"), chooser = part("choose"), stopper = part("stop"), again = part("retry"), count = part("count"), words = ctx.words;
  const radios = chooser ? [...chooser.querySelectorAll("input")] : [];
  let slot, state, answer = null; // state: what the server last said; answer: what was written here where nobody can talk
  let life = new AbortController(), following = new Map(), pending, wanted, choosing = false, retry;

  // ---- the server

  const stored = () => `plumbline:${document.querySelector("[data-owner]")?.dataset.owner ?? ""}:chat:${slot}:${asked.name ?? section.dataset.question}`;
  const token = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";

  // Resolves to { kind: done | signed-out | refused | unreachable | gone }, where gone means that another task is in view.
  async function post(action, fields = {}) {
    const { signal } = life, url = `${slot}/chat/${encodeURIComponent(section.dataset.question)}/${action}`;
    let response, text;
    try {
      const body = new URLSearchParams(Object.entries(fields).filter(([, value]) => value !== undefined).map(([name, value]) => [name, value ?? ""]));
      response = await fetch(url, { method: "POST", body, headers: { "X-CSRFToken": token() }, signal });
      text = await response.text();
    } catch {
      return { kind: signal.aborted ? "gone" : "unreachable" };
    }
    if (signal.aborted) return { kind: "gone" };
    if (response.status === 401 || response.redirected) return { kind: "signed-out" };
    if (response.ok) { merge(text); return { kind: "done" }; }
    if (response.status >= 500 || response.status === 429 || response.status === 408) return { kind: "unreachable" };
    try { return { kind: "refused", problem: JSON.parse(text) }; } catch { return { kind: response.status === 403 ? "signed-out" : "unreachable" }; }
  }

  // The last turn that the page has may have changed; those before it never do.
  const since = () => Math.max(0, (state?.count ?? 0) - 1);

  async function look(tries = 0) {
    clearTimeout(retry);
    const result = await post("look", { since: since() });
    if (result.kind === "done") return lost.size || tell("");
    if (result.kind === "unreachable") { tell(words.sayOffline); retry = setTimeout(() => look(tries + 1), pause(tries)); }
    else trouble(result);
  }

  function trouble({ kind, problem }) {
    if (kind === "signed-out") tell(words.saySignedOut);
    if (kind === "refused") tell([problem.detail, problem.hint].filter(Boolean).join(" "));
  }

  function tell(sentence) {
    note.hidden = !sentence;
    if (note.querySelector("[data-detail]").textContent === sentence) return;
    note.querySelector("[data-detail]").textContent = sentence;
    if (sentence) ctx.say(sentence);
  }

  // ---- what was said, as the server renders it

  function merge(html) {
    const holder = document.createElement("template");
    holder.innerHTML = html; // rendered and cleaned by our own server
    const root = holder.content.querySelector("[data-conversation]"), was = state, atEnd = isAtEnd();
    const { conversation, next, gateway } = root.dataset;
    for (const turn of root.querySelectorAll("[data-chat-turn]")) place(turn);
    const last = log.lastElementChild;
    state = { id: conversation, next, gateway, count: Number(root.dataset.count), silent: "silent" in root.dataset,
      turn: last ? Number(last.dataset.chatTurn) : -1, choice: last?.dataset.choice || null, strength: Number(last?.dataset.strength) || null };
    for (const key of [...lost.keys()]) if (!replyOf(key)?.dataset.ticket) lost.delete(key);
    for (const reply of log.querySelectorAll("[data-ticket]")) follow(reply);
    reflect();
    if (atEnd) toEnd();
    if (was && (was.id !== state.id || was.count !== state.count || was.choice !== state.choice)) ctx.changed();
    if (was?.next === "replies") ctx.say({ choice: words.sayChoose, message: words.sayReplied, full: words.sayReplied, retry: words.sayFailed }[next] ?? "");
  }

  function place(turn) {
    const old = log.querySelector(`[data-chat-turn="${turn.dataset.chatTurn}"]`);
    if (!old) return log.append(turn);
    Object.assign(old.dataset, { choice: turn.dataset.choice, strength: turn.dataset.strength });
    for (const reply of turn.querySelectorAll("[data-reply]")) {
      const before = old.querySelector(`[data-reply="${reply.dataset.reply}"]`);
      const stays = reply.dataset.ticket && before.dataset.ticket; // it is being written: what streamed here is newer
      if (stays) before.dataset.ticket = reply.dataset.ticket;
      else before.replaceWith(reply);
    }
  }

  // ---- replies, as they are written

  const keyOf = (reply) => `${reply.closest("[data-chat-turn]").dataset.chatTurn} ${reply.dataset.reply}`;
  const replyOf = (key) => log.querySelector(`[data-chat-turn="${key.split(" ")[0]}"] [data-reply="${key.split(" ")[1]}"]`);

  function follow(reply) {
    const key = keyOf(reply);
    if (following.has(key)) return;
    following.set(key, true);
    const { signal } = life;
    listen(key, reply.dataset.ticket, signal).catch(() => false).then((ended) => {
      if (signal.aborted) return;
      following.delete(key);
      if (ended) { lost.delete(key); look(); } else reconnect(key);
    });
  }

  // A ticket lives for minutes only, so the way back to the gateway leads over the server, which gives a new one.
  const lost = new Map();
  function reconnect(key) {
    const tries = lost.get(key) ?? 0;
    lost.set(key, tries + 1);
    if (tries > 0) tell(words.sayGateway);
    clearTimeout(retry);
    retry = setTimeout(() => look(), pause(Math.min(tries, 3)));
  }

  // True once the reply has come to its end, however that was.
  async function listen(key, ticket, signal) {
    const response = await fetch(state.gateway, { method: "POST", body: ticket, headers: { "Content-Type": "text/plain" }, credentials: "omit", signal });
    if (!response.ok) return false;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = "", ended = false; ; ) {
      const { value, done } = await reader.read();
      if (done) return ended;
      const frames = (rest + value).split("\n\n");
      rest = frames.pop();
      for (const frame of frames) ended = heard(key, frame) || ended;
    }
  }

  function heard(key, frame) {
    const event = frame.match(/^event: (.*)$/m)?.[1], data = frame.match(/^data: (.*)$/m)?.[1];
    if (!event) return false;
    if (event === "done" || event === "failed") return true;
    const { text } = JSON.parse(data), prose = replyOf(key)?.querySelector(".prose"), atEnd = isAtEnd();
    if (!prose) return false;
    if (event === "begin") {
      lost.delete(key);
      if (!lost.size && note.textContent.includes(words.sayGateway)) tell("");
      const plain = document.createElement("div");
      plain.className = "plain";
      plain.append(document.createTextNode(text));
      prose.replaceChildren(plain);
    } else {
      prose.firstElementChild.firstChild.appendData(text);
    }
    if (atEnd) toEnd();
    return false;
  }

  // Follow the end of the talk, until the reader scrolls away from it.
  function isAtEnd() {
    const dock = Number.parseFloat(getComputedStyle(document.documentElement).scrollPaddingBlockEnd) || 0;
    return end.getBoundingClientRect().top < innerHeight - dock / 2 + 64;
  }
  const toEnd = () => end.scrollIntoView({ block: "nearest", behavior: "instant" });

  // ---- what the person does

  const complete = () => (state ? state.count - (["choice", "replies", "retry"].includes(state.next) ? 1 : 0) : 0);
  const mayWrite = () => ["message", "opening"].includes(state?.next) && !pending && !choosing && !wanted;

  function reflect() {
    const next = state?.next ?? "";
    composer.hidden = ["full", "closed"].includes(next);
    composer.toggleAttribute("data-opening", next === "opening");
    box.readOnly = Boolean(pending);
    sendButton.setAttribute("aria-disabled", String(!mayWrite()));
    stopper.hidden = next !== "replies";
    again.hidden = next !== "retry";
    part("full").hidden = next !== "full";
    part("closed").hidden = next !== "closed";
    part("silent").hidden = !state?.silent;
    if (chooser) {
      chooser.hidden = !state || !["choice", "message", "full"].includes(next) || !state.count;
      const choice = wanted ?? state, value = choice?.choice ? choice.choice + (asked.strength ? choice.strength ?? 1 : "") : "";
      for (const radio of radios) radio.checked = radio.value === value;
      for (const reply of log.lastElementChild?.querySelectorAll("[data-reply]") ?? []) reply.classList.toggle("is-chosen", reply.dataset.reply === choice?.choice);
    }
    count.textContent = state ? words.sayCount.replace("{n}", complete()).replace("{least}", count.dataset.least).replace("{most}", count.dataset.most) : "";
  }

  async function send(tries = 0) {
    clearTimeout(retry);
    if (!pending) {
      const text = state?.next === "opening" ? "" : box.value;
      if (!mayWrite()) { const why = missingTurn() || words.sayWaiting; ctx.say(why); return tell(why); }
      if (state.next !== "opening" && !text.trim()) { ctx.say(words.sayEmpty); return box.focus(); }
      pending = { key: uuid(), text, after: state.count, seen: state.choice };
      keep();
    }
    reflect();
    const sent = pending, result = await post("send", { ...sent, since: since(), seen: asked.sides === 2 && sent.after ? sent.seen : undefined });
    if (result.kind === "gone") return;
    if (result.kind === "unreachable") { tell(words.sayOffline); retry = setTimeout(() => send(tries + 1), pause(tries)); return; }
    if (result.kind === "signed-out") return trouble(result);
    pending = undefined;
    if (result.kind === "done") { box.value = ""; keep(); tell(""); reflect(); sayAndLeave(); return; }
    keep();
    trouble(result);
    reflect();
    const sentence = note.querySelector("[data-detail]").textContent;
    await post("look", { since: since() });
    tell(sentence);
  }

  // With two replies the next thing is to choose, by a digit: so the keys leave the text.
  function sayAndLeave() {
    ctx.say(words.saySent);
    if (asked.sides === 2 && section.contains(document.activeElement)) section.focus({ preventScroll: true });
    toEnd();
  }

  function choose(choice, strength) {
    if (!chooser || chooser.hidden || !state?.count) return false;
    wanted = { choice, strength: asked.strength ? strength : null };
    const radio = radios.find(({ value }) => value === choice + (asked.strength ? strength : ""));
    ctx.say(radio?.dataset.say ?? "");
    reflect();
    saveChoice();
    return true;
  }

  async function saveChoice(tries = 0) {
    if (choosing) return;
    choosing = true;
    let result;
    while (wanted) {
      const now = wanted, known = state.choice;
      result = await post("choose", { turn: state.turn, choice: now.choice, strength: now.strength ?? undefined, was: known, since: since() });
      if (result.kind === "gone") break;
      if (result.kind === "unreachable" || result.kind === "signed-out") break;
      if (wanted === now) wanted = undefined;
    }
    choosing = false;
    if (result?.kind === "gone") return;
    if (result?.kind === "unreachable") { tell(words.sayOffline); clearTimeout(retry); retry = setTimeout(() => saveChoice(tries + 1), pause(tries)); }
    else if (result?.kind === "done") tell("");
    else if (result) {
      trouble(result);
      if (result.kind === "refused") { const sentence = note.querySelector("[data-detail]").textContent; await post("look", { since: since() }); tell(sentence); }
    }
    reflect();
    ctx.changed();
  }

  // Pressing the same side again makes it stronger, up to three.
  function press(choice) {
    const now = wanted ?? state;
    return choose(choice, now?.choice === choice ? Math.min(3, (now.strength ?? 1) + (asked.strength ? 1 : 0)) : 1);
  }

  async function act(action) {
    const result = await post(action, { turn: state.turn, since: since() });
    if (result.kind === "unreachable") tell(words.sayOffline);
    else if (result.kind === "done") tell("");
    else trouble(result);
  }

  function resume() {
    clearTimeout(retry);
    if (pending) send(); else if (wanted) saveChoice(); else look();
  }

  function keep() {
    try {
      if (box.value || pending) localStorage.setItem(stored(), JSON.stringify({ text: box.value, pending }));
      else localStorage.removeItem(stored());
    } catch { /* a full or forbidden storage: the text is still in the box */ }
  }

  function recall() {
    try { return JSON.parse(localStorage.getItem(stored()) ?? "{}"); } catch { return {}; }
  }

  function missingTurn() {
    if (pending) return words.sayUnsent;
    if (choosing || wanted || state?.next === "replies") return words.sayWaiting;
    return state?.next === "choice" ? words.sayChoose : "";
  }

  // ---- wiring

  box.addEventListener("input", keep);
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
    event.preventDefault();
    send();
  });
  sendButton.addEventListener("click", () => send());
  part("begin").addEventListener("click", () => send());
  stopper.addEventListener("click", () => act("stop"));
  again.addEventListener("click", () => act("retry"));
  note.querySelector("button").addEventListener("click", resume);
  chooser?.addEventListener("change", (event) => {
    event.stopPropagation();
    const place = PLACES.find((name) => event.target.value.startsWith(name));
    choose(place, Number(event.target.value.slice(place.length)) || 1);
  });
  const back = () => { if (slot && !document.hidden && section.isConnected) resume(); };
  const sign = { capture: false };
  addEventListener("online", back, sign);
  document.addEventListener("visibilitychange", back);

  function forget() {
    life.abort();
    life = new AbortController();
    clearTimeout(retry);
    following = new Map();
    lost.clear();
    state = pending = wanted = undefined;
    choosing = false;
    log.replaceChildren();
    tell("");
  }

  const keys = {
    1: () => asked.sides === 2 && press("first"),
    2: () => asked.sides === 2 && press("second"),
    c: () => focus(),
    x: () => !stopper.hidden && (act("stop"), true),
  };

  function focus() {
    if (state?.next === "opening") part("begin").focus();
    else if (!composer.hidden) box.focus();
    else section.focus();
    return true;
  }

  return {
    read: () => (complete() > 0 ? { conversation: state.id } : answer),
    write(given) { answer = given?.conversation ? { ...given } : null; },
    said: () => (complete() > 0 ? words.sayTurns.replace("{n}", complete()) : ""),
    missing() {
      if (!slot) return "";
      if (box.value.trim() && !pending) return words.sayUnsent;
      const turn = missingTurn();
      if (turn) return turn;
      const least = Number(count.dataset.least);
      if (complete() === 0) return words.sayMissing;
      return complete() < least ? words.sayMin.replace("{n}", least) : "";
    },
    keys,
    anywhere: { c: keys.c },
    focus,
    fit(article) {
      const next = article?.dataset.slot;
      if (next === slot) return state && look();
      if (slot) try { localStorage.removeItem(stored()); } catch { /* nothing was kept */ }
      forget();
      slot = next;
      const kept = slot ? recall() : {};
      box.value = kept.text ?? "";
      pending = kept.pending;
      reflect();
      if (slot) resume();
    },
    begun: () => Boolean(box.value.trim() || pending || state?.count),
    unmount() {
      forget();
      removeEventListener("online", back, sign);
      document.removeEventListener("visibilitychange", back);
    },
  };
}
