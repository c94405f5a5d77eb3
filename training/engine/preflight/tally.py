"""Counting while rows go by: what is wrong with them, how long they are, and which of them show it. Standard library only."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from training.engine.files import JSON
from training.engine.preflight.limits import LIMITS, level
from training.engine.preflight.sequences import Read, Sequence

SHOWN = 5
"""Ids of rows that are named with a fault."""
PAIRED = ("identical", "contradictory", "chosen_longer", "chosen_shorter")


@dataclass(frozen=True)
class Special:
    """Ids and texts of the tokenizer's control tokens; a token it has not is None."""

    bos: int | None
    eos: int | None
    texts: tuple[str, ...] = ()


@dataclass
class Tally:
    """`held_out` are keys (`prompt_key`) of prompts that are kept for testing."""

    special: Special
    held_out: frozenset[str] = frozenset()
    rows: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    where: dict[str, list[str]] = field(default_factory=dict)
    lengths: dict[str, list[int]] = field(default_factory=dict)
    learned: int = 0
    pairs: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    left_out: int = 0
    _seen: dict[str, str] = field(default_factory=dict)

    def add(self, row: JSON, read: Read) -> None:
        """One row, as stored and as read."""
        self.rows += 1
        self._texts(row, read.id)
        if not read.kept:
            self.left_out += 1
            self._note("no_text" if read.sequences[0].name == "raw" else "dropped", read.id)
            return
        for one in read.sequences:
            self._sequence(one)
        for code in _faults(read.sequences, self.special):
            self._note(code, read.id)
        if read.sequences[0].name == "chosen":
            self._sides(read)

    def _sequence(self, one: Sequence) -> None:
        self.learned += len(one.learned)
        if one.prompt_length:
            self.lengths.setdefault("prompt", []).append(one.prompt_length)
        if one.name != "prompt":
            self.lengths.setdefault(one.name, []).append(len(one.ids) - one.prompt_length)
        self.lengths.setdefault("whole", []).append(len(one.ids))

    def _sides(self, read: Read) -> None:
        chosen, rejected = (one.whole - one.prompt_length for one in read.sequences)
        self.pairs += chosen != rejected
        if chosen != rejected:
            self._note("chosen_longer" if chosen > rejected else "chosen_shorter", read.id)

    def _texts(self, row: JSON, name: str) -> None:
        """Faults of the texts themselves, which no tokenizer decides."""
        prompt = prompt_of(row)
        if prompt and prompt_key(prompt) in self.held_out:
            self._note("leaked", name)
        if any(token in content for content in _contents(row) for token in self.special.texts):
            self._note("control_tokens", name)
        sides = [key_of(row[side]) for side in ("chosen", "rejected", "completion") if side in row]
        if "holds" in row:
            self._judged(row, prompt, name)
            return
        if len(sides) == 2 and sides[0] == sides[1]:
            self._note("identical", name)
        elif len(sides) == 2 and self._before(prompt, [*reversed(sides)]):
            self._note("contradictory", name)
        if self._before(prompt, sides):
            self._note("duplicates", name)
        self._seen.setdefault(_joined(prompt, sides), name)

    def _judged(self, row: JSON, prompt: Any, name: str) -> None:
        """A text with what people said of it: the same text again says the same, or something else."""
        said = key_of([{"role": "said", "content": json.dumps(row["holds"], sort_keys=True)}])
        text = key_of(prompt)
        if text in self._seen:
            self._note("duplicates" if self._seen[text] == said else "contradictory", name)
        self._seen.setdefault(text, said)
        named = row["holds"].get("labels") or [span["label"] for span in row["holds"].get("spans") or []]
        self.labels.update(named)

    def _before(self, prompt: Any, sides: list[str]) -> bool:
        return _joined(prompt, sides) in self._seen

    def _note(self, code: str, name: str) -> None:
        self.counts[code] += 1
        named = self.where.setdefault(code, [])
        if len(named) < SHOWN:
            named.append(name)

    @property
    def kept(self) -> int:
        return self.rows - self.left_out

    @property
    def truncated(self) -> int:
        return self.counts["truncated"]

    def findings(self) -> list[JSON]:
        """Every check that applies, with its count, what it is a share of, and the first rows that show it."""
        found = [self._finding(code) for code in ("dropped", "truncated", "no_eos", "double_bos", "empty")]
        found += [self._finding(code) for code in ("control_tokens", "duplicates", "leaked")]
        if "rejected" in self.lengths:
            found += [self._finding(code) for code in PAIRED]
        if "raw" in self.lengths:
            return [self._finding(code) for code in ("no_text", "control_tokens", "duplicates", "leaked")]
        if "text" in self.lengths:
            found = [row for row in found if row["code"] in ("dropped", "duplicates", "leaked")]
            found += [self._finding("text_cut"), self._finding("contradictory")]
        if self.labels:
            found.append(finding("largest_label", max(self.labels.values()), sum(self.labels.values())))
        return found

    def _finding(self, code: str) -> JSON:
        whole = {"chosen_longer": self.pairs, "chosen_shorter": self.pairs}
        kept = code in ("truncated", "text_cut", "no_eos", "double_bos", "empty")
        of = whole.get(code, self.kept if kept else self.rows)
        return finding(code, self.counts[code], of, self.where.get(code, []))

    def spread(self) -> dict[str, JSON]:
        """Tokens: smallest, median, 95th of 100, largest, by part."""
        return {name: _spread(values) for name, values in self.lengths.items()}


def finding(code: str, count: float, of: float, rows: Iterable[str] = ()) -> JSON:
    limit = LIMITS[code]
    numbers = {"count": count, "of": of, "warn": limit.warn, "block": limit.block}
    return {"code": code, "level": level(code, count, of), **numbers, "rows": list(rows)}


def prompt_of(row: JSON) -> list[JSON]:
    """What a row asks: its messages, or its text as one."""
    if isinstance(row.get("text"), str):
        return [{"role": "text", "content": row["text"]}]
    return row.get("prompt") or row.get("messages") or []


def prompt_key(messages: Any) -> str:
    """The same for prompts that differ only in white space or case."""
    return key_of(messages)


def key_of(messages: Any) -> str:
    plain = [[one.get("role"), " ".join(str(one.get("content", "")).casefold().split())] for one in messages]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


def _joined(prompt: Any, sides: list[str]) -> str:
    return hashlib.sha256(" ".join([key_of(prompt), *sides]).encode()).hexdigest()


def _contents(row: JSON) -> Iterable[str]:
    yield str(row.get("text", ""))
    for part in ("prompt", "messages", "chosen", "rejected", "completion"):
        for message in row.get(part) or []:
            yield str(message.get("content", ""))


def _faults(sequences: list[Sequence], special: Special) -> list[str]:
    """Codes of what is wrong with a kept row's tokens; each at most once a row."""
    if sequences[0].name == "text":
        return ["text_cut"] if sequences[0].is_cut else []
    if sequences[0].name == "raw":
        return []
    found = {
        "truncated": any(one.is_cut for one in sequences),
        "no_eos": any(one.name != "prompt" and special.eos not in one.ids[-1:] for one in sequences),
        "double_bos": special.bos is not None and any(one.ids[:2] == [special.bos] * 2 for one in sequences),
        "empty": any(len(one.ids) - one.prompt_length <= 1 for one in sequences if one.name != "prompt"),
    }
    return [code for code, is_so in found.items() if is_so]


def _spread(values: list[int]) -> JSON:
    ordered = sorted(values)
    return {
        "least": ordered[0],
        "median": statistics.median_low(ordered),
        "p95": ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))],
        "most": ordered[-1],
        "sum": sum(ordered),
    }
