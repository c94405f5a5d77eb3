// What a person did and the server does not know yet. Every entry rests in this browser from the moment of the key press
// until the server has answered, and is sent again under the same key, so a retry is never a second answer.
const form = document.querySelector("[data-label]");
const prefix = `plumbline:${form.dataset.owner}:out:`;
const memory = new Map(); // where the browser keeps nothing (private windows, full storage), at least this tab remembers

export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // pages without HTTPS have no randomUUID
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

export const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { memory.set(name, value); } };
export const kept = (name) => memory.get(name) ?? localStorage.getItem(name);
export const drop = (name) => { memory.delete(name); localStorage.removeItem(name); };
const names = () => [...memory.keys(), ...Object.keys(localStorage)].filter((name) => name.startsWith(prefix)).sort();

export const isEntry = (name) => Boolean(name?.startsWith(prefix));
export const waiting = () => names().map((name) => ({ name, ...JSON.parse(kept(name)) }));
export const add = (entry) => keep(`${prefix}${String(Date.now()).padStart(15, "0")}:${entry.key}`, JSON.stringify(entry));
export const remove = (key) => names().filter((name) => name.endsWith(key)).forEach(drop);

// The cookie is read at every request: signing in again in another tab changes it.
function token() {
  const cookie = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
  return cookie ? cookie[1] : form.elements.csrfmiddlewaretoken.value;
}

// Resolves to { kind: done | signed-out | refused | unreachable }, with the response or the problem.
export async function post(url, fields, options = {}) {
  let response;
  try {
    response = await fetch(url, { method: "POST", body: new URLSearchParams(fields), headers: { "X-CSRFToken": token() }, ...options });
  } catch {
    return { kind: "unreachable" };
  }
  if (response.status === 401 || response.redirected) return { kind: "signed-out" };
  if (response.ok) return { kind: "done", response };
  if (response.status >= 500 || response.status === 429 || response.status === 408) return { kind: "unreachable" };
  const problem = await response.json().catch(() => undefined);
  if (response.status === 403 && !problem) return { kind: "signed-out" }; // the form's token is of an older sign-in
  return { kind: "refused", problem: problem ?? {} };
}
