"""Token classification: the names, places and phrases that people marked, found again in other texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import DataCollatorForTokenClassification

from measures.classification import spans as span_measures
from training.engine import models
from training.engine.context import Context, Outcome
from training.engine.encoders import questions
from training.engine.encoders.offsets import Offset, Span, best_window, spans_of, tag_names, tags_of, windows
from training.engine.encoders.shared import Use, held_out, load_for_use, load_tokenizer, train, use_of
from training.engine.files import JSON, write_jsonl
from training.engine.hyperparameters.encoders import overlap
from training.engine.rows import Encoded
from training.engine.scoring import batches
from training.engine.trainer import load_dtype, report

IGNORED = -100  # label that cross-entropy skips


@dataclass(frozen=True)
class Words:
    """The tokens of a text with their code points, without those that open and close it."""

    ids: list[int]
    offsets: list[Offset]


def run(context: Context) -> Outcome:
    settings, spec = context.spec.hyperparameters, context.spec
    base = context.model_path("base")
    tokenizer = load_tokenizer(base, settings.max_length)
    question = questions.of_one(context.rows("train", "spans"), settings.question, "spans")
    use = Use(question=question.name, max_length=settings.max_length, overlap=overlap(settings))
    rows, counts = encoded(tokenizer, question, use, drop=settings.overlong == "drop")
    report(context, counts)
    tell_of_spans(context, counts)
    torch.manual_seed(spec.seed)  # the new head

    def load(path: Path, dtype: Any) -> Any:
        return load_untrained(path, dtype, question.options, use)

    return train(
        context,
        model=models.adapted(load(base, load_dtype(context)), settings, "TOKEN_CLS"),
        tokenizer=tokenizer,
        rows=rows,
        collator=DataCollatorForTokenClassification(tokenizer),
        counts={**counts, "rows_undecided": question.undecided, "question": question.name},
        load=load,
        measure=lambda: measured(context, question),
    )


def load_untrained(path: Path, dtype: Any, labels: Sequence[str], use: Use) -> Any:
    """A tagger over these labels; a head of another size is drawn anew from torch's seed."""
    from transformers import AutoModelForTokenClassification

    names = tag_names(labels)
    model = AutoModelForTokenClassification.from_pretrained(
        path,
        dtype=dtype,
        num_labels=len(names),
        id2label=dict(enumerate(names)),
        label2id={name: at for at, name in enumerate(names)},
        ignore_mismatched_sizes=True,
    )
    return use.mark(model)


def words_of(tokenizer: Any, text: str) -> Words:
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return Words(list(found["input_ids"]), [(start, end) for start, end in found["offset_mapping"]])


@dataclass(frozen=True)
class Frame:
    """What the tokenizer writes before and after a text: [CLS] and [SEP] in BERT."""

    before: list[int]
    after: list[int]

    def room(self, use: Use) -> int:
        """Tokens of the text in one window."""
        return use.max_length - len(self.before) - len(self.after)

    def around(self, ids: list[int]) -> list[int]:
        return [*self.before, *ids, *self.after]


def frame_of(tokenizer: Any) -> Frame:
    found = tokenizer("a", return_special_tokens_mask=True)
    ids, special = list(found["input_ids"]), list(found["special_tokens_mask"])
    first = special.index(0)
    last = len(special) - special[::-1].index(0)
    return Frame(ids[:first], ids[last:])


def encoded(tokenizer: Any, question: questions.Question, use: Use, *, drop: bool) -> tuple[list[JSON], dict[str, int]]:
    """Windows with a tag for each token. A text without tokens teaches nothing and is dropped."""
    rows: list[JSON] = []
    frame = frame_of(tokenizer)
    counts = dict.fromkeys(("rows_dropped", "rows_truncated", "windows", "spans", "spans_moved", "spans_lost"), 0)
    for row in question.rows:
        words = words_of(tokenizer, row["text"])
        pieces = windows(len(words.ids), frame.room(use), use.overlap)
        if not words.ids or (drop and len(pieces) > 1):
            counts["rows_dropped"] += 1
            continue
        tagged = tags_of(words.offsets, numbered(row["holds"]["spans"], question.options))
        rows += [window(frame, words.ids[a:b], tagged.tags[a:b]) for a, b in pieces]
        counts["windows"] += len(pieces)
        counts["spans"] += len(row["holds"]["spans"])
        counts["spans_moved"] += tagged.moved
        counts["spans_lost"] += tagged.lost
    return rows, {"rows": len(question.rows), **counts}


def numbered(spans: Sequence[JSON], labels: Sequence[str]) -> list[Span]:
    return [(span["start"], span["end"], labels.index(span["label"])) for span in spans]


def window(frame: Frame, ids: list[int], tags: list[int]) -> JSON:
    labels = [IGNORED] * len(frame.before) + tags + [IGNORED] * len(frame.after)
    return {"input_ids": frame.around(ids), "labels": labels}


def tell_of_spans(context: Context, counts: dict[str, int]) -> None:
    if counts["spans_moved"] or counts["spans_lost"]:
        text = (
            f"Of {counts['spans']} spans {counts['spans_moved']} end inside a token and are learned as whole tokens; "
            f"{counts['spans_lost']} share a token with a longer one, or touch none, and are not learned."
        )
        context.log.emit("warning", name="spans_not_on_tokens", message=text)


@dataclass(frozen=True)
class Tagger:
    """A trained tagger as its files say it is to be used."""

    model: Any
    tokenizer: Any
    use: Use

    @property
    def labels(self) -> list[str]:
        names = self.model.config.id2label
        return [names[at].removeprefix("B-") for at in range(1, len(names), 2)]

    def predict(self, texts: Sequence[str], batch_size: int) -> list[JSON]:
        """For each text, in order: its spans in code points, each with its label and a score, the mean probability of its tags."""
        frame, words = frame_of(self.tokenizer), [words_of(self.tokenizer, text) for text in texts]
        pieces = [windows(len(one.ids), frame.room(self.use), self.use.overlap) for one in words]
        flat = [frame.around(one.ids[a:b]) for one, some in zip(words, pieces, strict=True) for a, b in some]
        scored = iter(tag_scores(self.model, flat, self.tokenizer.pad_token_id, batch_size))
        opened = len(frame.before)
        return [
            self._row(one, some, [next(scored)[opened:] for _ in some]) for one, some in zip(words, pieces, strict=True)
        ]

    def _row(self, words: Words, pieces: list[Offset], scored: list[list[tuple[int, float]]]) -> JSON:
        told = []
        for token in range(len(words.ids)):
            best = best_window(token, pieces)
            told.append(scored[best][token - pieces[best][0]])
        spans = []
        for (start, end, label), tokens in spans_of(words.offsets, [tag for tag, _score in told]):
            score = math.fsum(told[at][1] for at in tokens) / len(tokens)
            spans.append({"start": start, "end": end, "label": self.labels[label], "score": score})
        return {"spans": spans}


def load_tagger(path: Path, context: Context) -> Tagger:
    from transformers import AutoModelForTokenClassification

    model, tokenizer = load_for_use(path, AutoModelForTokenClassification, context), load_tokenizer(path)
    return Tagger(model, tokenizer, use_of(model, tokenizer))


@torch.inference_mode()
def tag_scores(model: Any, ids: Sequence[list[int]], pad: int, batch_size: int) -> list[list[tuple[int, float]]]:
    """The likeliest tag of every token of every window and its probability, in order."""
    found: list[list[tuple[int, float]]] = [[] for _ in ids]
    for indices, inputs, mask in batches([Encoded(row, []) for row in ids], pad, batch_size, model.device):
        chances, tags = model(input_ids=inputs, attention_mask=mask).logits.float().softmax(-1).max(-1)
        for row, index in enumerate(indices):
            length = len(ids[index])
            found[index] = list(zip(tags[row, :length].tolist(), chances[row, :length].tolist(), strict=True))
    return found


def measured(context: Context, question: questions.Question) -> JSON:
    """The exported model on held-out rows, on the train rows where there are none; each row goes to output/."""
    tagger = load_tagger(context.run.artifact, context)
    split, rows, left_out = held_out(context, question, "spans")
    found: JSON = {"measured_on": split, "measured_left_out": left_out, "measures": None}
    if not rows:
        return found
    said = tagger.predict([row["text"] for row in rows], context.spec.micro_batch_size)
    written = [{"id": row["id"], "holds": row["holds"]["spans"], **one} for row, one in zip(rows, said, strict=True)]
    write_jsonl(context.run.output / f"measured-{split}.jsonl", written)
    gold, predicted = [places(row["holds"]["spans"]) for row in rows], [places(one["spans"]) for one in said]
    return {**found, "measures": span_measures(gold, predicted, tagger.labels)}


def places(spans: Sequence[JSON]) -> set[tuple[int, int, str]]:
    return {(span["start"], span["end"], span["label"]) for span in spans}
