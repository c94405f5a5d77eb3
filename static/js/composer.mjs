// The composer: mounts the questions of the preview each time the server renders it anew, and goes on where a button was pressed.
import { say } from "./keys.mjs";
import { mountAll } from "./questions.mjs";

const form = document.querySelector("[data-compose]"), preview = document.querySelector("[data-preview]");
let mounted;

async function mount() {
  mounted?.unmount();
  mounted = undefined;
  const root = preview.querySelector("[data-preview-questions]"), article = preview.querySelector("[data-preview-task]");
  if (!root) return;
  try {
    mounted = await mountAll(root, article, { say });
  } catch {
    say(root.dataset.sayBroken);
  }
  preview.toggleAttribute("data-mounted", Boolean(mounted));
}

preview.addEventListener("click", (event) => {
  if (!event.target.closest("[data-preview-check]")) return;
  const said = preview.querySelector("[data-preview-said]"), missing = mounted?.missing();
  said.textContent = missing ? missing.sentence : said.dataset.sayComplete;
});

// Enter in a box publishes nothing: a browser would press the first button of the form.
form.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.target.matches("input:not([type=checkbox])")) event.preventDefault(); });

document.addEventListener("htmx:afterSettle", ({ detail }) => { if (detail.target === preview) mount(); });
if (form.dataset.focus) document.getElementById(form.dataset.focus)?.focus();
mount();
