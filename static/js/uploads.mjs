// Files on their way: chosen or dropped, one after the other, each with its progress, its id or what was wrong with it.
import { say } from "./keys.mjs";

const form = document.querySelector("[data-uploads]");
const words = form?.dataset, list = form?.querySelector("[data-sent]");
const queue = [];
let busy = false, done = 0, all = 0;

function line(file) {
  const row = document.createElement("li"), name = document.createElement("bdi"), state = document.createElement("span");
  row.className = "row";
  name.textContent = file.name;
  state.className = "dim";
  state.textContent = words.sayWaiting;
  row.append(name, state);
  list.append(row);
  list.hidden = false;
  return { row, state };
}

function copier(id) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "btn quiet small", textContent: words.sayCopy });
  button.dataset.copy = id;
  return button;
}

function post(file, progress) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest(), body = new FormData();
    body.append("file", file);
    request.upload.addEventListener("progress", (event) => event.lengthComputable && progress(event.loaded / event.total));
    request.addEventListener("loadend", () => resolve(request));
    request.open("POST", words.url);
    request.setRequestHeader("X-CSRFToken", form.elements.csrfmiddlewaretoken.value);
    request.responseType = "json";
    request.send(body);
  });
}

async function send({ file, row, state }) {
  const answer = await post(file, (share) => { state.textContent = words.saySending.replace("{n}", Math.floor(share * 100)); });
  if (answer.status === 200 || answer.status === 201) {
    const id = document.createElement("code");
    id.textContent = answer.response.id;
    state.textContent = answer.status === 201 ? words.sayDone : words.sayKnown;
    state.className = "good";
    row.append(id, copier(answer.response.id));
    done += 1;
  } else {
    const wrong = answer.response;
    state.className = "bad";
    state.textContent = wrong?.detail ? [wrong.detail, wrong.hint].filter(Boolean).join(" ") : words.sayFailed;
  }
}

async function work() {
  if (busy) return;
  busy = true;
  while (queue.length) await send(queue.shift());
  busy = false;
  say(words.sayAll.replace("{done}", done).replace("{n}", all));
}

function take(files) {
  for (const file of files) { queue.push({ file, ...line(file) }); all += 1; }
  form.elements.file.value = "";
  work();
}

form?.addEventListener("submit", (event) => { event.preventDefault(); take(form.elements.file.files); });
form?.elements.file.addEventListener("change", () => take(form.elements.file.files));
for (const sign of ["dragover", "drop", "dragleave"]) {
  form?.addEventListener(sign, (event) => {
    event.preventDefault();
    form.classList.toggle("is-over", sign === "dragover");
    if (sign === "drop") take(event.dataTransfer.files);
  });
}
addEventListener("beforeunload", (event) => { if (busy) event.preventDefault(); });

document.addEventListener("click", async (event) => {
  const id = event.target.closest("[data-copy]")?.dataset.copy;
  if (!id) return;
  if (navigator.clipboard) await navigator.clipboard.writeText(id);
  else getSelection().selectAllChildren(event.target.previousElementSibling); // no clipboard without HTTPS: selected, to be copied
  say((words?.sayCopied ?? "{id}").replace("{id}", id));
});
