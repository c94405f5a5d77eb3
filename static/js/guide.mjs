// The guidelines beside the task: a search that marks what it finds without touching the text, and what changed since they were read.
const panel = document.getElementById("guide"), text = panel.querySelector("[data-guide]"), box = panel.querySelector("#guide-find");
const found = panel.querySelector("#guide-found"), { readUrl } = document.querySelector("[data-label]").dataset;
let places = [], here = -1, asked = false;

// Opened, or closed again. The first time the server is told, and answers with what changed.
export async function opened(post) {
  if (panel.hidden) { clear(); return; }
  if (asked) return;
  asked = true;
  const result = await post(readUrl, {});
  if (result.kind !== "done") { asked = false; return; }
  panel.querySelector("[data-guide-changes]").innerHTML = await result.response.text();
  document.querySelector("[data-unread]")?.remove();
}

const fold = (word) => word.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

// Letter by letter, so that places in the folded text lead back to the text itself: ﬁ and É are found as fi and e.
function letters() {
  const out = [], walk = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode()); ) {
    let at = 0;
    for (const letter of node.data) {
      for (const folded of fold(letter)) out.push({ folded, node, at, end: at + letter.length });
      at += letter.length;
    }
  }
  return out;
}

function search() {
  const wanted = fold(box.value.trim()), all = letters(), whole = all.map((letter) => letter.folded).join("");
  places = [];
  // Positions in `whole` are of UTF-16 units; each folded letter may be two of them.
  const starts = new Map();
  let unit = 0;
  for (const letter of all) { starts.set(unit, letter); unit += letter.folded.length; }
  const ends = new Map([...starts].map(([start, letter]) => [start + letter.folded.length, letter]));
  for (let at = wanted ? whole.indexOf(wanted) : -1; at >= 0; at = whole.indexOf(wanted, at + wanted.length)) {
    const first = starts.get(at), last = ends.get(at + wanted.length);
    if (!first || !last) continue;
    const range = new Range();
    range.setStart(first.node, first.at);
    range.setEnd(last.node, last.end);
    places.push(range);
  }
  go(places.length ? 0 : -1);
}

function go(place) {
  here = place;
  if (CSS.highlights) {
    CSS.highlights.set("found", new Highlight(...places));
    CSS.highlights.set("here", new Highlight(...(places[here] ? [places[here]] : [])));
  }
  const { sayFound, sayNone } = found.dataset;
  const number = new Intl.NumberFormat(document.documentElement.lang);
  found.textContent = !box.value.trim() ? "" : places.length ? sayFound.replace("{place}", number.format(here + 1)).replace("{all}", number.format(places.length)) : sayNone;
  const rect = places[here]?.getBoundingClientRect(), frame = panel.getBoundingClientRect();
  if (rect && (rect.top < frame.top + 80 || rect.bottom > frame.bottom)) panel.scrollTop += rect.top - frame.top - frame.height / 3;
}

const step = (by) => { if (places.length) go((here + by + places.length) % places.length); };

function clear() {
  CSS.highlights?.delete("found");
  CSS.highlights?.delete("here");
}

box.addEventListener("input", search);
box.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing) return;
  event.preventDefault();
  step(event.shiftKey ? -1 : 1);
});
panel.querySelector("[data-find-on]").addEventListener("click", () => step(1));
panel.querySelector("[data-find-back]").addEventListener("click", () => step(-1));
