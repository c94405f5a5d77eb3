// Whose task this is, and for how long. Every minute while the page is in view it renews the lease of the task that is shown, and
// of the one that waits behind it: that one's time begins when it is shown. Times are the server's: its clock is read from the page and from every answer.
import { post } from "./outbox.mjs";
import { shown } from "./tasks.mjs";

const form = document.querySelector("[data-label]");
const NEAR_ITS_END = 3 * 60 * 1000;
let ahead = Date.now() - Date.parse(form.dataset.now); // how far this computer's clock is ahead of the server's

export const left = () => { const task = shown(); return task ? Date.parse(task.dataset.leaseExpires) - (Date.now() - ahead) : Infinity; };
export const ending = () => left() < NEAR_ITS_END && left() > 0;
export const minutes = () => Math.max(1, Math.ceil(left() / 60000));
export const urlFor = (name, slot) => form.dataset[name].replace("SLOT", slot);

// Returns what post returns and the task's schema as it is now, or nothing when there is no task.
export async function renew() {
  const task = shown();
  if (!task) return undefined;
  const waiting = [...document.querySelectorAll("[data-slot]")].map((held) => ["holding", held.dataset.slot]);
  const answer = await post(urlFor("heartbeatUrl", task.dataset.slot), [["lease", task.dataset.lease], ...waiting]);
  if (answer.kind !== "done") return answer;
  const date = Date.parse(answer.response.headers.get("Date"));
  if (date) ahead = Date.now() - date;
  const { lease_expires, schema } = await answer.response.json();
  if (lease_expires) task.dataset.leaseExpires = lease_expires;
  return { ...answer, schema };
}
