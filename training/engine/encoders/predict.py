"""Labels or spans for texts that nobody judged, to choose what to label next and to label it beforehand.

Every chunk of rows is on disk before the next starts; a run that was killed goes on behind the last whole one.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from transformers import AutoConfig

from training.engine.context import Context, Outcome
from training.engine.encoders.classify import load_classifier
from training.engine.encoders.tag import load_tagger
from training.engine.errors import EngineError
from training.engine.files import JSON, append_jsonl, drop_torn_tail, read_jsonl, write_jsonl

BATCHES = 8  # batches between two writes: sorting by length saves padding only within a chunk
SHOWN = 3
LOADERS = {"ForSequenceClassification": load_classifier, "ForTokenClassification": load_tagger}


def run(context: Context) -> Outcome:
    rows, size = context.rows("texts", "texts"), context.spec.hyperparameters.batch_size
    target = context.run.output / "predictions.jsonl"
    done = finished(target, [row["id"] for row in rows])
    chunks = [rows[at : at + size * BATCHES] for at in range(done, len(rows), size * BATCHES)]
    context.log.phase("predicting", step=0, steps=len(chunks), texts=len(rows), done=done)
    reader: Any = load(context) if chunks else None
    began = time.monotonic()
    for number, chunk in enumerate(chunks, 1):
        context.check_stop()
        said = reader.predict([row["text"] for row in chunk], size)
        append_jsonl(target, [{"id": row["id"], **one} for row, one in zip(chunk, said, strict=True)])
        context.log.emit("metric", step=number, steps=len(chunks), texts=len(chunk))
        if number == 1:
            show(context, chunk, said)
    seconds = time.monotonic() - began
    metrics = {**summary(target), "texts_per_second": round((len(rows) - done) / seconds, 1) if chunks else None}
    return Outcome(metrics, len(chunks))


def load(context: Context) -> Any:
    """The model by what it was made for. Errors: one that labels nothing."""
    path = context.model_path("base")
    names = AutoConfig.from_pretrained(path).architectures or ["nothing"]
    for ending, loader in LOADERS.items():
        if names[0].endswith(ending):
            return loader(path, context)
    message = f"{names[0]} labels no texts and marks no spans."
    raise EngineError("no_labels", message, "Choose a version that classify or tag made.")


def finished(target: Any, ids: list[str]) -> int:
    """How many leading rows are there already; anything else in the file is cut off."""
    drop_torn_tail(target)
    rows = list(read_jsonl(target)) if target.exists() else []
    done = next((at for at, row in enumerate(rows) if at >= len(ids) or row["id"] != ids[at]), len(rows))
    if done != len(rows):
        write_jsonl(target, rows[:done])
    return done


def show(context: Context, rows: list[JSON], said: list[JSON]) -> None:
    for row, one in list(zip(rows, said, strict=True))[:SHOWN]:
        told = one.get("labels") or [
            f"{row['text'][span['start'] : span['end']]} ({span['label']})" for span in one["spans"]
        ]
        context.log.emit("sample", prompt=row["text"][:400], text=", ".join(told) or "–")


def summary(target: Any) -> JSON:
    """Counts over the whole file, so that a resumed run reports what one without interruption does."""
    rows = list(read_jsonl(target))
    told = Counter(label for row in rows for label in row.get("labels") or [s["label"] for s in row.get("spans", [])])
    return {
        "texts": len(rows),
        "predicted": dict(sorted(told.items())),
        "truncated": sum(row.get("truncated", False) for row in rows),
    }
