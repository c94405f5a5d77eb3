// Seconds of reading and deciding: the page is in view and something moved within the last minute.
const IDLE = 60_000;
let active = 0, moved = Date.now();

for (const sign of ["keydown", "pointerdown", "pointermove", "wheel", "scroll", "touchstart"])
  addEventListener(sign, () => { moved = Date.now(); }, { passive: true, capture: true });
setInterval(() => { if (!document.hidden && Date.now() - moved < IDLE) active += 0.5; }, 500);

export const seconds = () => active;
export const restart = (from = 0) => { active = from; moved = Date.now(); };
