"""preflight.json: what was found, how bad it is, and the first rows token by token."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from training.engine.apart import reads_apart, refuse_what_does_nothing
from training.engine.encoders.questions import of_one
from training.engine.errors import EngineError
from training.engine.files import JSON, RunDir, read_jsonl, write_json
from training.engine.hyperparameters.pretraining import USUAL_VOCABULARY
from training.engine.models import load_plain_tokenizer, load_tokenizer, read_tokenizer, require_own_pad
from training.engine.preflight.estimate import Hardware, estimate
from training.engine.preflight.sequences import READERS, Read, Reader, Sequence, apart
from training.engine.preflight.size import size_of_trained
from training.engine.preflight.tally import Special, Tally, finding, prompt_key, prompt_of
from training.engine.preflight.work import Reading
from training.engine.pretraining.packing import split
from training.engine.pretraining.vocabulary import made_for
from training.engine.rows import read_rows
from training.engine.spec import Spec, SpecError, load

FILE = "preflight.json"
REQUEST = "preflight-request.json"
PROGRESS = "preflight-progress.json"
SCHEMA_VERSION = 1
EXAMPLES = 3
ANSWERS = ("labels", "spans")
"""Kinds of rows that say what holds of a text."""
MOST_TOKENS = 500
"""Tokens of a sequence that are shown; the rest is counted."""
LEVELS = ("ok", "warn", "block")


def report(root: Path) -> JSON:
    """Read every row of the run in `root`. Errors: EngineError, for what would end the run before its first step."""
    began = time.monotonic()
    spec, asked = _load(root), _asked(root)
    if spec.method not in READERS:
        raise EngineError("no_preflight", f"{spec.method} learns from no rows that could be read here.", "Start it.")
    tokenizer, rows, reader = _material(root, spec)
    tally, reading = Tally(_special(tokenizer), _held_out(root, asked)), Reading(spec)
    examples: list[JSON] = []
    for row in _counted(rows, root):
        read = reader(tokenizer, row, spec.hyperparameters)
        tally.add(row, read)
        if read.kept:
            reading.add(row, read, is_apart=reader is apart)
        if read.kept and len(examples) < EXAMPLES:
            examples.append(_example(tokenizer, read))
    findings, needs = tally.findings() + _templates(spec, tokenizer), None
    if tally.kept:
        hardware = Hardware(**asked.get("hardware") or {})
        needs = estimate(spec, size_of_trained(spec, len(tokenizer)), reading.work(), hardware)
        findings += _memory(needs)
    return {
        **_frame(max((row["level"] for row in findings), key=LEVELS.index)),
        "run": spec.run,
        "labels": dict(tally.labels.most_common(20)),
        "method": spec.method,
        "max_length": spec.hyperparameters.max_length,
        "rows": {"read": tally.rows, "kept": tally.kept, "dropped": tally.rows - tally.kept, "truncated": tally.truncated},
        "findings": findings,
        "tokens": {"learned": tally.learned, "spread": tally.spread()},
        "tokenizer": {**_named(tokenizer), "template": template_digest(tokenizer)},
        "examples": examples,
        "estimate": needs,
        "seconds": round(time.monotonic() - began, 2),
    }  # fmt: skip


def _counted(rows: list[JSON], root: Path) -> Iterator[JSON]:
    """The rows; about once a second the folder says how far the reading is."""
    began = told = time.monotonic()
    for read, row in enumerate(rows):
        now = time.monotonic()
        if now - told >= 1:
            told = now
            with suppress(OSError):  # a full disk is the report's to tell
                write_json(root / PROGRESS, {"read": read, "rows": len(rows), "seconds": round(now - began, 1)})
        yield row


def _material(root: Path, spec: Spec) -> tuple[Any, list[JSON], Reader]:
    """The tokenizer, the rows that are learned from, and how one is read."""
    role, kind, reader = READERS[spec.method]
    base, settings = Path(spec.base.path), spec.hyperparameters
    rows = read_rows(root, spec.data[role], kind)
    if kind in ANSWERS:
        return _encoder(base), list(of_one(rows, settings.question, kind).rows), reader
    if spec.method == "pretrain":
        return _raw(spec, rows, reader)
    if spec.method == "sft" and reads_apart(base):
        refuse_what_does_nothing(settings)
        return load_plain_tokenizer(base), rows, apart
    return load_tokenizer(base), rows, reader


def _raw(spec: Spec, rows: list[JSON], reader: Reader) -> tuple[Any, list[JSON], Reader]:
    """Texts that are not kept out, and the tokenizer that will read them: the base's, or one trained on them."""
    settings, tokenizer = spec.hyperparameters, load_plain_tokenizer(Path(spec.base.path))
    learned, kept_out = split([row["text"] for row in rows], settings.test_share, spec.seed)
    if settings.tokenizer == "train":
        tokenizer = made_for(tokenizer, learned, settings.vocabulary or USUAL_VOCABULARY)
    left = set(kept_out)
    return tokenizer, [row for row in rows if row["text"] not in left], reader


def failed(error: EngineError) -> JSON:
    """The report of a run that could not even be read."""
    return {**_frame("block"), "error": {"class": error.code, "message": error.message, "hint": error.hint}}


def _frame(verdict: str) -> JSON:
    return {"schema_version": SCHEMA_VERSION, "verdict": verdict, "error": None, "findings": [], "examples": []}


def _load(root: Path) -> Spec:
    try:
        return load(RunDir(root).spec)
    except SpecError as error:
        raise EngineError("bad_spec", str(error), "Correct spec.json.") from error


def _asked(root: Path) -> JSON:
    """What the side that asks knows of the place: `hardware`, and `held_out`, a file of rows with prompts kept for testing."""
    path = root / REQUEST
    value: JSON = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return value


def _held_out(root: Path, asked: JSON) -> frozenset[str]:
    if not asked.get("held_out"):
        return frozenset()
    rows = read_jsonl(root / asked["held_out"])
    return frozenset(prompt_key(prompt_of(row)) for row in rows)


def _encoder(path: Path) -> Any:
    """An encoder's tokenizer: it needs no chat template and no EOS."""
    return require_own_pad(read_tokenizer(path))


def _special(tokenizer: Any) -> Special:
    texts = tuple(text for text in tokenizer.all_special_tokens if text.strip())
    return Special(tokenizer.bos_token_id, tokenizer.eos_token_id, texts)


def _named(tokenizer: Any) -> JSON:
    return {name: getattr(tokenizer, f"{name}_token") for name in ("bos", "eos", "pad")}


def template_digest(tokenizer: Any) -> str:
    """sha256 of the chat template: two models with the same one read the same text for the same messages. Empty without one."""
    if tokenizer.chat_template is None:
        return ""
    return "sha256:" + hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest()


def _templates(spec: Spec, tokenizer: Any) -> list[JSON]:
    """Other models of the run must be shown the text that the base is shown."""
    others = {name: ref.path for name, ref in spec.models.items() if name != "base" and ref.path != spec.base.path}
    if not others:
        return []
    own = template_digest(tokenizer)
    differing = [name for name, path in others.items() if template_digest(load_tokenizer(Path(path))) != own]
    return [finding("template_differs", len(differing), len(others), differing)]


def _memory(needs: JSON) -> list[JSON]:
    """Nothing is said where nobody knows how much there is."""
    there = needs["hardware"]["memory_mb"]
    return [finding("memory", needs["needed_mb"], there)] if there else []


def _example(tokenizer: Any, read: Read) -> JSON:
    return {"id": read.id, "sequences": [_shown(tokenizer, one) for one in read.sequences]}


def _shown(tokenizer: Any, one: Sequence) -> JSON:
    """Each token as [text, is it learned, is it a control token]."""
    control = set(tokenizer.all_special_ids)
    tokens = [
        [_text(tokenizer, token), place in one.learned, token in control]
        for place, token in enumerate(one.ids[:MOST_TOKENS])
    ]
    return {"name": one.name, "tokens": tokens, "length": len(one.ids), "cut": one.whole - len(one.ids)}


def _text(tokenizer: Any, token: int) -> str:
    """What the token stands for; a piece of a character shows the vocabulary's own name for it."""
    text = str(tokenizer.decode([token]))
    return str(tokenizer.convert_ids_to_tokens(token)) if "\ufffd" in text or not text else text
