// A note to the managers, from the dialog. It goes to the outbox like an answer, so nothing is lost without a connection.
import { say } from "./keys.mjs";
import * as outbox from "./outbox.mjs";
import { shown } from "./tasks.mjs";

const { dataset: words } = document.querySelector("[data-label]");

export function closed(dialog, flush) {
  const [text, about] = [dialog.querySelector("textarea"), dialog.querySelector("[name=about]")];
  const sent = dialog.returnValue === "send" && text.value.trim();
  dialog.returnValue = "";
  if (!sent) return; // what was typed stays in the box
  const key = outbox.uuid(), task = about.checked ? shown()?.dataset.task : undefined;
  outbox.add({ kind: "note", key, slot: "", said: text.value.trim(), fields: { key, text: text.value, ...(task && { task }) } });
  text.value = "";
  say(words.sayAsked);
  flush();
}
