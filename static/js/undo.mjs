// The submit or skip that z takes back, and the line that offers it. Only the last one, until the next.
const form = document.querySelector("[data-label]"), toast = document.querySelector(".toast");
let last; // { kind, key, slot, element, answer, seconds, annotation }

export function remember(taken, said) {
  last = taken;
  toast.querySelector("span").textContent = taken.kind === "skip" ? form.dataset.saySkipped : form.dataset.sayDone.replace("…", said);
  toast.hidden = false;
  return toast.querySelector("span").textContent;
}

export function written(key, annotation) {
  if (last?.key === key) last.annotation = annotation;
}

// Nothing can be taken back any more; without a key, whatever it was.
export function forget(key) {
  if (key && last?.key !== key) return undefined;
  const taken = last;
  last = undefined;
  toast.hidden = true;
  return taken;
}

export function restore(taken) {
  last = taken;
  toast.hidden = false;
}

export const onPress = (heard) => toast.querySelector("button").addEventListener("click", heard);
