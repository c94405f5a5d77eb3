// Seconds of reading and deciding: the page is in view and has the focus, and something moved in it within the last minute. A gap
// between two looks at the clock (the computer slept, the tab was in the background, the clock was set) counts for nothing.
const IDLE = 60_000, GAP = 2_000;
let active = 0, moved = Date.now(), last = Date.now();

function look() {
  const now = Date.now(), passed = now - last;
  last = now;
  if (moved > now) moved = now;
  const working = !document.hidden && document.hasFocus() && now - moved < IDLE;
  if (working && passed > 0 && passed <= GAP) active += passed;
}

for (const sign of ["keydown", "pointerdown", "pointermove", "wheel", "scroll", "touchstart", "input"])
  addEventListener(sign, () => { moved = Date.now(); }, { passive: true, capture: true });
setInterval(look, 500);

export const seconds = () => { look(); return Math.round(active / 100) / 10; };
export const restart = (from = 0) => { active = from * 1000; moved = last = Date.now(); };
