// Light, dark, or as the system says. The choice rests in a cookie, which the server writes into <html data-theme>,
// so the first paint is already right. Each switch carries its own words, translated by the server.
const order = ["", "light", "dark"];
const root = document.documentElement;
const switches = [...document.querySelectorAll("[data-theme-switch]")];

const show = () => switches.forEach((button) => (button.textContent = button.dataset[root.dataset.theme || "auto"]));

function turn() {
  root.dataset.theme = order[(order.indexOf(root.dataset.theme) + 1) % order.length];
  document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
  show();
}

show();
switches.forEach((button) => button.addEventListener("click", turn));

// Whose time zone the server does not know reads times in the browser's, from the next page on.
// Asked for when the page stands: Intl takes its time.
setTimeout(() => {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  if (timeZone && !document.cookie.includes(`zone=${timeZone}`)) document.cookie = `zone=${timeZone}; path=/; max-age=31536000; samesite=lax`;
}, 500);
