// Management pages: j and k walk the rows, a log that follows its end, and a sentence when a fragment could not be loaded.
import { on, say } from "./keys.mjs";

const rows = () => [...document.querySelectorAll("main :is(tbody tr, [data-row])")].map((row) => row.querySelector("a, button")).filter(Boolean);

function walk(step) {
  const links = rows();
  const here = links.findIndex((link) => link.closest("tr, [data-row]").contains(document.activeElement));
  const next = here < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, here + step));
  links[next]?.focus();
  return links.length > 0;
}
on.j = () => walk(1);
on.k = () => walk(-1);

// [data-follow="id of a checkbox"]: stay at the end while the box is ticked.
function follow() {
  for (const log of document.querySelectorAll("[data-follow]"))
    if (document.getElementById(log.dataset.follow)?.checked) log.scrollTop = log.scrollHeight;
}
follow();
document.addEventListener("htmx:afterSettle", follow);

const failed = document.querySelector("[data-fragment-failed]");
function fragmentFailed() {
  if (!failed) return;
  failed.hidden = false;
  say(failed.textContent.trim());
}
document.addEventListener("htmx:responseError", fragmentFailed);
document.addEventListener("htmx:sendError", fragmentFailed);
document.addEventListener("htmx:afterRequest", (event) => { if (failed && event.detail.successful) failed.hidden = true; });
