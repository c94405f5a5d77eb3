// The page of keys: pressing a key in a box writes it there, and two actions on one key say so at once. The server decides.
const form = document.querySelector("[data-key-settings]");
const boxes = [...form.querySelectorAll("input.key")];
const state = form.querySelector("[data-key-state]");

const hintOf = (box) => document.getElementById(box.getAttribute("aria-describedby"));
const before = new Map(boxes.map((box) => [box, hintOf(box).textContent]));

function look() {
  let twice = 0;
  for (const box of boxes) {
    const other = box.value && boxes.find((one) => one !== box && one.value === box.value);
    box.setAttribute("aria-invalid", Boolean(other));
    hintOf(box).textContent = other ? form.dataset.sayTwice.replace("{other}", other.dataset.actionLabel) : before.get(box);
    hintOf(box).classList.toggle("error", Boolean(other));
    twice += Boolean(other);
  }
  state.textContent = twice ? "" : form.dataset.saySaved;
}

// Only keys that write something are taken; Tab, Enter, Esc, arrows and every chord stay the browser's.
form.addEventListener("keydown", (event) => {
  if (!event.target.matches("input.key") || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const digit = event.shiftKey && event.code.match(/^Digit(\d)$/);
  if (!digit && (event.key.length !== 1 || event.key === " ")) return;
  event.preventDefault();
  event.target.value = digit ? `shift+${digit[1]}` : event.key.toLowerCase();
  look();
});
form.addEventListener("input", look);
