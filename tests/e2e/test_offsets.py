"""Places in a text: what the browser counts is what Python slices; and word diffs that give both texts back, however long."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

PIECES = [
    "🙂", "👨‍👩‍👧", "🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f", "👍🏽", "🇩🇪", "𝒳",
    "e\u0301", "n\u0303\u0323", "ก็", "한글", "각", "日本語", "が", "שָׁלוֹם", "مُحَمَّد", "\u202b", "\u200f", "\u200d",
    "Straße", "don’t", "**bold**", "[a](b)", "`x`", "\n", "\r\n", "\t", " ", "\u00a0", ",", "—",
]  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=14).map("".join)
PLACES = """([texts]) => import("/static/js/offsets.mjs").then((o) => texts.map((text) => {
  const count = o.counter(text), units = Array.from({ length: count.length + 1 }, (_, point) => count.units(point));
  const inside = Array.from({ length: text.length + 1 }, (_, unit) => count.points(unit));
  const steps = (list) => list.map(([from, to]) => [count.points(from), count.points(to), text.slice(from, to)]);
  const slices = units.map((unit) => text.slice(0, unit)), found = [steps(o.characters(text)), steps(o.words(text))];
  return { length: count.length, back: units.map(count.points), slices, inside, steps: found };
}))"""
COVERS = """([text, from, to]) => import("/static/js/offsets.mjs").then((o) => {
  const count = o.counter(text), found = o.cover(o.words(text), count.units(from), count.units(to));
  return found && found.map(count.points);
})"""
DIFFS = """([pairs]) => import("/static/js/diff.mjs").then(({ diff }) => pairs.map(([a, b]) => {
  const began = performance.now(), steps = diff(a.map((text) => ({ text })), b.map((text) => ({ text })));
  const ms = performance.now() - began, same = steps.filter(([op]) => op === "=");
  const old = steps.filter(([op]) => op !== "+").map(([, x]) => x.text);
  const now = steps.filter(([op]) => op !== "-").map(([, x, y]) => (y ?? x).text);
  return { old, now, same: same.length, honest: same.every(([, x, y]) => x.text === y.text), ms };
}))"""


@pytest.fixture
def page(open_page):
    page = open_page()
    page.goto("/sign-in/")
    return page


def many(examples):
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))


def test_offsets_are_python_slices(page):
    @many(25)
    @given(st.lists(TEXTS, min_size=1, max_size=20))
    def check(texts):
        for text, found in zip(texts, page.evaluate(PLACES, [texts]), strict=True):
            assert found["length"] == len(text)
            assert found["back"] == list(range(len(text) + 1))
            assert found["slices"] == [text[:point] for point in range(len(text) + 1)]
            assert sorted(set(found["inside"])) == list(range(len(text) + 1)), (
                "no unit is off, none lies between points"
            )
            characters, words = found["steps"]
            assert "".join(shown for _from, _to, shown in characters) == text, "every character is a step"
            for start, end, shown in [*characters, *words]:
                assert start < end
                assert text[start:end] == shown, "a step cuts nothing in two"
            edges = {0, *(end for _start, end, _shown in characters)}
            assert all({start, end} <= edges for start, end, _shown in words), "words end where characters do"

    check()


def test_a_selection_grows_to_whole_words(page):
    @many(40)
    @given(TEXTS.filter(bool), st.data())
    def check(text, data):
        start = data.draw(st.integers(0, len(text) - 1))
        end = data.draw(st.integers(start + 1, len(text)))
        words = [(one, other) for one, other, _shown in page.evaluate(PLACES, [[text]])[0]["steps"][1]]
        touched = [(one, other) for one, other in words if one < end and start < other]
        found = page.evaluate(COVERS, [text, start, end])
        assert found == ([touched[0][0], touched[-1][1]] if touched else None)

    check()


def test_a_diff_gives_both_texts_back(page):
    few = st.lists(st.sampled_from("abcdef"), max_size=30)
    more = st.lists(st.integers(0, 400).map(str), min_size=1200, max_size=1500)

    @many(25)
    @given(st.lists(st.tuples(few, few), min_size=1, max_size=20))
    def small(pairs):
        for (old, now), found in zip(pairs, page.evaluate(DIFFS, [pairs]), strict=True):
            assert (found["old"], found["now"], found["honest"]) == (old, now, True)
            assert found["same"] == longest_common(old, now)

    @many(4)
    @given(more, more)
    def large(old, now):
        (found,) = page.evaluate(DIFFS, [[[old, now]]])
        assert (found["old"], found["now"], found["honest"]) == (old, now, True)

    small()
    large()


def longest_common(a, b):
    row = [0] * (len(b) + 1)
    for one in a:
        before = 0
        for place, other in enumerate(b, start=1):
            before, row[place] = row[place], before + 1 if one == other else max(row[place], row[place - 1])
    return row[-1]


def test_five_thousand_words_are_compared_while_one_types(page):
    chance = random.Random(4)
    old = [word for _ in range(5000) for word in (f"w{int(3000 * chance.random() ** 3)}", " ")]
    edited = [f"new{place}" if place % 160 == 80 else word for place, word in enumerate(old)]
    other = [word for _ in range(5000) for word in (f"w{int(3000 * chance.random() ** 3)}", " ")]
    alternating = ["a", "b"] * 5000
    pairs = [(old, edited), (old, other), (alternating, [*alternating[1:], "c"]), (old, old[::-1])]
    found = page.evaluate(DIFFS, [pairs])
    for (before, after), one in zip(pairs, found, strict=True):
        assert (one["old"], one["now"], one["honest"]) == (before, after, True)
    assert found[0]["same"] == len(old) - len([place for place in range(len(old)) if place % 160 == 80])
    assert found[2]["same"] == len(alternating) - 1
    assert max(one["ms"] for one in found) < 1500, [one["ms"] for one in found]
