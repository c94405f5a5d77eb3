// A fragment that renews itself keeps what the reader did in it: opened details, scrolled regions, ticks, the focus.
import { say } from "./keys.mjs";

const nameOf = (part) => part.id || part.getAttribute("aria-label") || part.textContent.trim();
const regions = (live) => [...live.querySelectorAll("[role=region], .scroll")];
let kept = null;

document.addEventListener("htmx:beforeSwap", ({ detail: { target } }) => {
  if (!target.hasAttribute("data-live")) return;
  const focused = target.contains(document.activeElement) ? document.activeElement : null;
  kept = {
    open: new Set([...target.querySelectorAll("details[open] > summary")].map(nameOf)),
    scrolls: regions(target).map((region) => [region.scrollLeft, region.scrollTop]),
    focus: focused && (focused.id || nameOf(focused)),
    ticked: [...target.querySelectorAll("input[type=checkbox][id]:checked")].map((box) => box.id),
    state: target.querySelector("[data-state]")?.dataset.state,
  };
});

document.addEventListener("htmx:afterSwap", ({ detail: { target } }) => {
  if (!kept || !target.hasAttribute("data-live")) return;
  for (const summary of target.querySelectorAll("details > summary")) summary.parentElement.open = kept.open.has(nameOf(summary));
  regions(target).forEach((region, at) => region.scrollTo(...(kept.scrolls[at] ?? [0, 0])));
  for (const id of kept.ticked) document.getElementById(id)?.toggleAttribute("checked", true);
  if (kept.focus) [...target.querySelectorAll("a, button, input, summary, [tabindex]")].find((part) => nameOf(part) === kept.focus)?.focus({ preventScroll: true });
  const lead = target.querySelector("[data-says]");
  if (lead && lead.dataset.state !== kept.state) say(lead.dataset.says);
  kept = null;
});
