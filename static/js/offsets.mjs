// Places in a text. The browser counts UTF-16 units, what is stored counts code points (as Python does), and a person moves by
// words or by characters as they see them: a letter with its marks, an emoji with its parts. Nothing here touches the page.
const language = globalThis.document?.documentElement.lang || "en";
const segmenters = {};
const segmenter = (granularity) => (segmenters[granularity] ??= new Intl.Segmenter(language, { granularity }));
const PAIR = /[\uD800-\uDBFF][\uDC00-\uDFFF]/g;
const BETWEEN_WORDS = /^[\s\p{P}\p{C}]*$/u;

// The last place of a sorted list whose number is not above n; -1 where all are.
export function under(list, n, by = (item) => item) {
  let low = 0, high = list.length;
  while (low < high) { const middle = (low + high) >> 1; if (by(list[middle]) <= n) low = middle + 1; else high = middle; }
  return low - 1;
}

// From units to points and back, in the logarithm of the number of surrogate pairs. Between the two halves of a pair there is no
// point: that place counts as where the pair begins.
export function counter(text) {
  const pairs = [...text.matchAll(PAIR)].map((found) => found.index);
  const points = pairs.map((unit, before) => unit - before);
  return {
    length: text.length - pairs.length,
    points: (unit) => unit - under(pairs, unit - 1) - 1,
    units: (point) => point + under(points, point - 1) + 1,
  };
}

// The characters of a text as people see them, as [from, to) in units.
export const characters = (text) => [...segmenter("grapheme").segment(text)].map(({ index, segment }) => [index, index + segment.length]);

// Its words, numbers, signs and emoji, without the spaces and the punctuation between them; its characters where it has none.
export function words(text) {
  const found = [...segmenter("word").segment(text)].filter((part) => part.isWordLike || !BETWEEN_WORDS.test(part.segment));
  return found.length ? found.map(({ index, segment }) => [index, index + segment.length]) : characters(text);
}

// The step that holds a unit; between two steps the one after it, past the last the last.
export function stepAt(steps, unit) {
  const before = under(steps, unit, ([from]) => from);
  if (before >= 0 && unit < steps[before][1]) return before;
  return Math.min(before + 1, steps.length - 1);
}

// The smallest run of whole steps that covers [from, to), or nothing where it touches none.
export function cover(steps, from, to) {
  const first = stepAt(steps, from), last = under(steps, to - 1, ([start]) => start);
  return first < 0 || last < first || steps[first][1] <= from ? null : [steps[first][0], steps[last][1]];
}
