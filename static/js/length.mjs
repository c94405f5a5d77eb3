// How long a text is, and whether that is what was asked for. Guidance counts as readers do (Intl.Segmenter knows words without
// spaces and characters made of several); where the length is enforced it counts as the server does, since the server decides.
const segmenters = {};
const segmenter = (granularity, language) => (segmenters[granularity] ??= new Intl.Segmenter(language, { granularity }));

export function lengthOf(text, { unit = "words", enforce = false } = {}, language = "en") {
  if (unit === "characters") return enforce ? [...text].length : count(segmenter("grapheme", language).segment(text));
  if (enforce) return text.split(/\s+/u).filter(Boolean).length;
  return count([...segmenter("word", language).segment(text)].filter((part) => part.isWordLike));
}
const count = (parts) => [...parts].length;

// words: data-say-words, -characters, -range, -least, -most, -few, -many of the section.
export function lengthInWords(now, { unit = "words", min, max }, words) {
  const counted = words[unit === "characters" ? "sayCharacters" : "sayWords"].replace("{n}", now);
  const asked = min !== undefined && max !== undefined ? words.sayRange : min !== undefined ? words.sayLeast : max !== undefined ? words.sayMost : "{count}";
  return asked.replace("{count}", counted).replace("{least}", min).replace("{most}", max);
}

export function lengthProblem(now, { min = 0, max = Infinity }, words) {
  if (now < min) return words.sayFew.replace("{now}", now).replace("{least}", min);
  return now > max ? words.sayMany.replace("{now}", now).replace("{most}", max) : "";
}
