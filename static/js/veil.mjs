// What stands before a sensitive task. Its text is blurred and out of reach, for screen readers too, until its reader asks for it.
const { owner } = document.querySelector("[data-label]").dataset;
const ALL = `plumbline:${owner}:open-sensitive`; // for this tab, until it is closed

export function stand(task, { focus, open, skip }) {
  if (sessionStorage.getItem(ALL)) return lift(task, open);
  const veil = task.querySelector("[data-veil]");
  veil.onclick = ({ target }) => {
    if (target.closest("[data-open-all]")) sessionStorage.setItem(ALL, "1");
    if (target.closest("[data-open-it], [data-open-all]")) lift(task, open);
    if (target.closest("[data-upsets]")) skip("upsetting");
  };
  if (focus) veil.querySelector("h2").focus({ preventScroll: true });
}

function lift(task, open) {
  task.dataset.opened = "";
  task.querySelector(".veiled").inert = false;
  task.querySelector("[data-veil]").hidden = true;
  open();
}
