"""Simulated annotators. They apply a stated rule, each with a noise and habits of its own, and ask the queue over HTTP.

The rule of the real loop: prefer the more positive sentence (VADER's compound score; Hutto and Gilbert 2014).
"""

import hashlib
import random
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from demo.client import Client, Refused

Rule = Callable[[str], float]


@dataclass(frozen=True)
class Temper:
    """How one annotator strays from the rule, in points of its score (from -1 to 1).

    noise: spread of a normal error. first: liking for what stands first. length: liking for ten words more.
    tie: differences below it are called equal. bar: two sentences below it may be called both bad.
    """

    name: str
    noise: float
    first: float
    length: float
    tie: float
    bar: float


def tempers(count: int, seed: int = 7) -> list[Temper]:
    draw = random.Random(seed)  # noqa: S311  habits, not secrets
    return [
        Temper(
            name=f"simulated {at + 1:02}",
            noise=round(draw.uniform(0.05, 0.3), 3),
            first=round(draw.gauss(0.0, 0.05), 3),
            length=round(draw.gauss(0.0, 0.04), 3),
            tie=round(draw.uniform(0.02, 0.08), 3),
            bar=round(draw.uniform(-0.6, -0.3), 3),
        )
        for at in range(count)
    ]


@lru_cache(maxsize=1)
def _analyser() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


def positive(text: str) -> float:
    return float(_analyser().polarity_scores(text)["compound"])


def vowels(text: str) -> float:
    """Share of vowels among the letters: a rule that even a random model's text can be judged by."""
    letters = re.findall(r"[a-z]", text.lower())
    return sum(letter in "aeiou" for letter in letters) / max(1, len(letters))


RULES: dict[str, Rule] = {"positive": positive, "vowels": vowels}
NAMES = {"positive": "prefer the more positive sentence", "vowels": "prefer the larger share of vowels"}


def felt_difference(temper: Temper, scores: tuple[float, float], words: tuple[int, int], error: float) -> float:
    """How much better the first side seems. `error` is the draw of the noise."""
    return scores[0] - scores[1] + temper.first + temper.length * (words[0] - words[1]) / 10 + error


def decide(temper: Temper, first: str, second: str, rule: Rule) -> dict[str, Any]:
    """The answer to a pairwise question. The same annotator says the same about the same two texts, in any run."""
    draw = random.Random(hashlib.sha256(f"{temper.name}\0{first}\0{second}".encode()).digest())  # noqa: S311
    scores = (rule(first), rule(second))
    if max(scores) < temper.bar and draw.random() < 0.5:
        return _answer("neither")
    difference = felt_difference(
        temper, scores, (len(first.split()), len(second.split())), draw.gauss(0.0, temper.noise)
    )
    if abs(difference) < temper.tie:
        return _answer("tie")
    return _answer("first" if difference > 0 else "second", strength_of(abs(difference)))


def strength_of(difference: float) -> int:
    """1 slightly, 2 clearly, 3 much."""
    return 1 if difference < 0.25 else 2 if difference < 0.6 else 3


def _answer(choice: str, strength: int | None = None) -> dict[str, Any]:
    return {"preference": {"choice": choice, "strength": strength, "reason": ""}}


@dataclass(frozen=True)
class Annotator:
    temper: Temper
    client: Client

    def work(self, slug: str, rule: Rule, seconds: float, over: threading.Event) -> int:
        """Answer until the queue has nothing for this annotator; how many answers. `seconds` is a moment's thought."""
        done, slot = 0, self._next(slug)
        while slot is not None and not over.is_set():
            sides = [candidate["text"] for candidate in slot["task"]["candidates"]]
            over.wait(seconds)
            slot = self._submit(slug, slot, decide(self.temper, sides[0], sides[1], rule), seconds)
            done += 1
        return done

    def _next(self, slug: str) -> dict[str, Any] | None:
        return self.client.post(f"/api/v1/projects/{slug}/queue:next", {})

    def _submit(
        self, slug: str, slot: dict[str, Any], answers: dict[str, Any], seconds: float
    ) -> dict[str, Any] | None:
        body = {"lease": slot["lease"], "answers": answers, "seconds": seconds}
        path = f"/api/v1/slots/{slot['id']}:submit?next=1"
        try:
            said = self.client.post(path, body, key=f"{slot['id']}:{slot['lease']}")
        except Refused as refusal:
            if refusal.status not in (404, 409):
                raise
            return self._next(slug)  # the lease ran out and the slot went to somebody else
        return said["next"] if said else None


def work_together(annotators: list[Annotator], slug: str, rule: str, seconds: float, over: threading.Event) -> int:
    """All at once, a thread each; how many answers in all."""
    with ThreadPoolExecutor(max_workers=len(annotators)) as pool:
        jobs = [pool.submit(each.work, slug, RULES[rule], seconds, over) for each in annotators]
        return sum(job.result() for job in jobs)
