"""The order in which an actor sees a task's candidates: drawn on the server, the same every time this actor comes back."""

import hashlib
from typing import Any

from django.conf import settings

from accounts.models import Actor
from annotation.models import Task

SIDES = ("first", "second")
MIRROR = {"first": "second", "second": "first", "tie": "tie", "neither": "neither"}


def display_order(*, task_id: int, actor_id: int, count: int) -> list[int]:
    """A permutation of the ordinals 0..count-1, drawn from a keyed hash of (actor, task): fair, stable, not guessable."""
    ranked = []
    for ordinal in range(count):
        seed = f"{settings.SECRET_KEY}:{task_id}:{actor_id}:{ordinal}".encode()
        ranked.append((hashlib.sha256(seed).digest(), ordinal))
    return [ordinal for _digest, ordinal in sorted(ranked)]


def order_for(actor: Actor, task: Task) -> list[int]:
    """The order this actor sees the candidates of this task in; empty for a task without."""
    return display_order(task_id=task.pk, actor_id=actor.pk, count=2 if task.prompt_id is not None else 0)


def to_candidate_order(answers: dict[str, Any], order: list[int]) -> dict[str, Any]:
    """Answers about what was shown, turned into answers about ordinals; for two candidates its own inverse."""
    if order != [1, 0]:
        return answers
    return {name: _mirrored(answer) for name, answer in answers.items()}


def _mirrored(answer: dict[str, Any]) -> dict[str, Any]:
    """A flag that speaks of one side, `first:unsafe`, turns with it; any other stays."""
    parts = [flag.partition(":") for flag in answer.get("flags", [])]
    flags = [f"{MIRROR.get(side, side) if colon else side}{colon}{rest}" for side, colon, rest in parts]
    choice = {"choice": MIRROR[answer["choice"]]} if "choice" in answer else {}
    return {**answer, **choice, **({"flags": flags} if "flags" in answer else {})}
