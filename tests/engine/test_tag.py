"""Taggers: spans of code points to tokens and back, and a model that finds what was marked."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as some

from tests.engine.runs import events, make_run
from training.engine.encoders.offsets import best_window, spans_of, tag_names, tags_of, windows
from training.engine.files import write_jsonl
from training.engine.runner import execute
from training.engine.tiny import make_tokenizer, make_word_pieces, sentences

QUICK: dict[str, Any] = {"dtype": "float32", "learning_rate": 2e-3, "epochs": 12, "batch_size": 8}
MARKED = {"place": ["near the harbour"], "thing": ["bright stones", "warm bread", "an open door", "seven letters"]}
TOKENIZERS = {"word pieces": make_word_pieces(), "bytes": make_tokenizer()}
ALPHABET = "ab rivé ÉßﬁДж漢字👩‍🚀\u0301İ.,\n\t" + "the lamp"


def spans_in(text: str) -> list[dict[str, Any]]:
    return [
        {"start": text.index(phrase), "end": text.index(phrase) + len(phrase), "label": label}
        for label, phrases in MARKED.items()
        for phrase in phrases
        if phrase in text
    ]


def marked_rows(count: int, seed: int = 5) -> list[dict[str, Any]]:
    return [
        {
            "id": f"s{number}",
            "question": "marks",
            "kind": "spans",
            "options": list(MARKED),
            "text": text,
            "holds": {"spans": spans_in(text)},
        }
        for number, text in enumerate(sentences(count, seed=seed))
    ]


@some.composite
def tagged_texts(draw: Any) -> tuple[str, list[tuple[int, int]], list[tuple[int, int, int]]]:
    """A text, the offsets of its tokens, and spans that end where tokens do and share none."""
    tokenizer = TOKENIZERS[draw(some.sampled_from(sorted(TOKENIZERS)))]
    text = draw(some.text(some.sampled_from(ALPHABET), max_size=40))
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    cuts = sorted(draw(some.sets(some.integers(0, len(offsets)), max_size=6)))
    spans = []
    for first, last in itertools.pairwise(cuts):
        start, end = offsets[first][0], offsets[last - 1][1]
        touched = [at for at, (left, right) in enumerate(offsets) if left < right and left < end and right > start]
        if start < end and touched == list(range(first, last)) and draw(some.booleans()):
            spans.append((start, end, draw(some.integers(0, 2))))
    return text, offsets, spans


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tagged_texts())
def test_spans_on_tokens_come_back_exactly(
    found: tuple[str, list[tuple[int, int]], list[tuple[int, int, int]]],
) -> None:
    """Accents, ligatures, emoji of several code points, letters of several bytes; neighbours of one label too."""
    text, offsets, spans = found
    tagged = tags_of(offsets, spans)
    assert (tagged.moved, tagged.lost) == (0, 0)
    back = [span for span, _tokens in spans_of(offsets, tagged.tags)]
    assert back == sorted(spans)
    assert [text[start:end] for start, end, _ in back] == [text[start:end] for start, end, _ in sorted(spans)]


def landed(offsets: list[tuple[int, int]], span: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """The span of the tokens that it touches."""
    start, end, label = span
    touched = [(a, b) for a, b in offsets if a < b and a < end and b > start]
    return (touched[0][0], touched[-1][1], label) if touched else None


def test_a_span_that_moves_to_where_a_shorter_one_stands_takes_its_place() -> None:
    """Two tokens, a|b, with a space between: [1,3) holds more than [2,3), becomes [2,3), and the shorter is lost."""
    tagged = tags_of([(0, 1), (2, 3)], [(1, 3, 0), (2, 3, 0)])
    assert (tagged.tags, tagged.moved, tagged.lost) == ([0, 1], 1, 1)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    tagged_texts(), some.lists(some.tuples(some.integers(0, 40), some.integers(1, 12), some.integers(0, 2)), max_size=4)
)
def test_other_spans_come_back_as_their_tokens_and_are_counted(found: Any, wanted: Any) -> None:
    text, offsets, _spans = found
    spans = {(start, min(len(text), start + length), label) for start, length, label in wanted if start < len(text)}
    # One that moves to where another stands cannot be told from it below; it has a test of its own.
    assume(not any(landed(offsets, span) in spans - {span} for span in spans))
    tagged = tags_of(offsets, sorted(spans))
    back = {span for span, _tokens in spans_of(offsets, tagged.tags)}
    assert len(back) == len(spans) - tagged.lost
    assert len(back - spans) == tagged.moved
    assert all(any(b < end and e > start and label == k for b, e, k in spans) for start, end, label in back)


def test_a_span_inside_a_token_grows_to_it_and_the_shorter_of_two_is_lost() -> None:
    """Tokens un|happy|dog: [3,5) lies in happy [2,7), so it moves; [2,11) holds it and is longer, so then it is lost."""
    offsets = [(0, 2), (2, 7), (8, 11)]
    moved = tags_of(offsets, [(3, 5, 1)])
    assert (moved.tags, moved.moved, moved.lost) == ([0, 3, 0], 1, 0)
    nested = tags_of(offsets, [(3, 5, 1), (2, 11, 0)])
    assert (nested.tags, nested.moved, nested.lost) == ([0, 1, 2], 0, 1)
    assert tags_of(offsets, [(7, 8, 0)]).lost == 1, "white space between two tokens"


def test_a_tag_that_goes_on_with_nothing_begins_a_span() -> None:
    assert tag_names(["a", "b"]) == ["O", "B-a", "I-a", "B-b", "I-b"]
    assert [span for span, _ in spans_of([(0, 1), (1, 2), (2, 3)], [2, 4, 4])] == [(0, 1, 0), (1, 3, 1)]


@given(some.integers(1, 200), some.integers(4, 40), some.data())
def test_windows_cover_every_token_and_each_token_gets_the_most_context(length: int, size: int, data: Any) -> None:
    shared = data.draw(some.integers(0, size // 2))
    pieces = windows(length, size, shared)
    assert {at for start, end in pieces for at in range(start, end)} == set(range(length))
    assert all(end - start == min(size, length) for start, end in pieces)
    for token in range(length):
        start, end = pieces[best_window(token, pieces)]
        near = min(token - start if start else length, end - 1 - token if end < length else length)
        assert near >= min((shared - 1) // 2, length), "an inner edge is never nearer than half of what windows share"


@given(some.sampled_from(sorted(TOKENIZERS)), some.text(some.sampled_from(ALPHABET), max_size=20), some.data())
def test_whatever_tags_say_the_spans_lie_in_the_text_and_share_nothing(name: str, text: str, data: Any) -> None:
    offsets = TOKENIZERS[name](text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    tags = data.draw(some.lists(some.integers(0, 6), min_size=len(offsets), max_size=len(offsets)))
    found = [span for span, _tokens in spans_of(offsets, tags)]
    assert all(0 <= start < end <= len(text) for start, end, _label in found)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(found))


def tag(root: Path, base: Path, train: list[dict[str, Any]], test: Any = None, **settings: Any) -> Path:
    data = {"train": train, **({"test": test} if test else {})}
    return make_run(root, "tag", models={"base": base}, data=data, settings={**QUICK, **settings})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Path:
    run = tag(tmp_path_factory.mktemp("tag") / "run", encoder, marked_rows(64), marked_rows(24, seed=8))
    assert execute(run)["state"] == "succeeded"
    return run


def test_a_tagger_finds_what_was_marked(trained: Path) -> None:
    found = json.loads((trained / "result.json").read_text())["metrics"]
    assert found["spans"] == sum(len(row["holds"]["spans"]) for row in marked_rows(64))
    assert (found["spans_moved"], found["spans_lost"], found["measured_on"]) == (0, 0, "test")
    assert found["measures"]["micro_f1"] > 0.9
    assert set(found["measures"]["per_class"]) == set(MARKED)


def predict(root: Path, base: Path, texts: list[str], **settings: Any) -> list[dict[str, Any]]:
    rows = [{"id": f"t{at}", "text": text} for at, text in enumerate(texts)]
    run = make_run(
        root, "predict", models={"base": base}, data={"texts": rows}, settings={"dtype": "float32", **settings}
    )
    assert execute(run)["state"] == "succeeded"
    return [json.loads(line) for line in (run / "output" / "predictions.jsonl").read_text().splitlines()]


def test_spans_found_are_places_of_the_text_and_batches_change_nothing(tmp_path: Path, trained: Path) -> None:
    texts = ["", "🙂 The river carries warm bread near the harbour.", *sentences(7, seed=11)]
    together = predict(tmp_path / "together", trained / "artifact", texts)
    alone = predict(tmp_path / "alone", trained / "artifact", texts, batch_size=1)
    for one, other in zip(together, alone, strict=True):
        plain = [[(span["start"], span["end"], span["label"]) for span in row["spans"]] for row in (one, other)]
        assert plain[0] == plain[1]
        assert [span["score"] for span in one["spans"]] == pytest.approx([span["score"] for span in other["spans"]])
    said = {texts[1][span["start"] : span["end"]]: span["label"] for span in together[1]["spans"]}
    assert said == {"warm bread": "thing", "near the harbour": "place"}
    assert together[0]["spans"] == []


def test_long_texts_are_read_in_windows(tmp_path: Path, encoder: Path) -> None:
    """About 50 tokens in windows of 24: spans everywhere in the text are learned and found."""
    rows = marked_rows(64)
    for at in range(0, 60, 4):
        text = " ".join(row["text"] for row in rows[at : at + 4])
        spans, start = [], 0
        for row in rows[at : at + 4]:
            spans += [
                {**one, "start": one["start"] + start, "end": one["end"] + start} for one in row["holds"]["spans"]
            ]
            start += len(row["text"]) + 1
        rows[at] = rows[at] | {"text": text, "holds": {"spans": spans}}
    run = tag(tmp_path / "run", encoder, rows, max_length=24, overlap=10)
    found = execute(run)["metrics"]
    assert found["windows"] > found["rows"]
    assert found["rows_dropped"] == 0
    assert found["measures"]["micro_f1"] > 0.9


def test_spans_that_tokens_cannot_hold_are_told(tmp_path: Path, encoder: Path) -> None:
    rows = marked_rows(12)
    rows[0]["text"] = "Bread."
    rows[0]["holds"] = {"spans": [{"start": 1, "end": 2, "label": "thing"}]}
    run = tag(tmp_path / "run", encoder, rows, epochs=1)
    assert execute(run)["metrics"]["spans_moved"] == 1
    assert "spans_not_on_tokens" in [row["name"] for row in events(run, "warning")]


def test_a_span_outside_its_text_is_refused(tmp_path: Path, encoder: Path) -> None:
    rows = marked_rows(6)
    rows[1]["holds"] = {"spans": [{"start": 3, "end": 5000, "label": "thing"}]}
    error = execute(tag(tmp_path / "run", encoder, rows))["error"]
    assert error["class"] == "bad_row"
    assert "s1" in error["message"]


def test_a_model_that_labels_nothing_predicts_nothing(tmp_path: Path, encoder: Path) -> None:
    write_jsonl(tmp_path / "run" / "data" / "texts.jsonl", [])
    run = make_run(tmp_path / "run", "predict", models={"base": encoder}, data={"texts": [{"id": "t", "text": "a"}]})
    assert execute(run)["error"]["class"] == "no_labels"
