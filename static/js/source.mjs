// The source of a text that the page shows, as it is stored: of a field by its name, of a candidate by its position. Where what is
// shown is not the source itself (markdown), the server sends it along.
export function sourceOf(article, name) {
  const sent = article?.querySelector(`template[data-text-of="${CSS.escape(name)}"]`);
  if (sent) return sent.content.textContent;
  return shownText(article, name)?.textContent ?? "";
}

// The element that holds exactly the text of a field, code point by code point.
export function shownText(article, name) {
  const text = article?.querySelector(`[data-field="${CSS.escape(name)}"] [data-text]`);
  return text?.querySelector(".plain, code") ?? text ?? null;
}
