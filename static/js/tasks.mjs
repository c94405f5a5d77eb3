// Which tasks are in the page, and which of them is in view. A task is an article; what was said of gold, the sentence that nothing
// is left and the one that the next task is on its way are articles too.
export const main = document.getElementById("main");
export const shown = () => main.querySelector("[data-slot]:not([hidden])");
export const inView = () => main.querySelector(":is([data-feedback], [data-slot], [data-empty], [data-waiting]):not([hidden])");
export const upcoming = () => [...main.querySelectorAll(":is([data-feedback], [data-slot], [data-empty])[hidden]")];
export const held = () => [...main.querySelectorAll("[data-slot]")];
export const bySlot = (slot) => main.querySelector(`[data-slot="${CSS.escape(slot)}"]`);
// A sensitive task stays blurred, and cannot be answered, until its reader asks for it.
export const veiled = (task) => Boolean(task?.matches("[data-sensitive]:not([data-opened])"));
