"""The order in which an actor sees a task's candidates: drawn on the server, the same every time this actor comes back."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from accounts.models import Actor
from annotation.models import Candidate, Schema, Task
from annotation.questions import KINDS, POSITIONS, Shown, needs, needs_shown
from annotation.questions.base import inverse

SIDES = POSITIONS
Questions = Sequence[Mapping[str, Any]]


def display_order(*, task_id: int, actor_id: int, count: int) -> list[int]:
    """A permutation of the ordinals 0..count-1, drawn from a keyed hash of (actor, task): fair, stable, not guessable."""
    ranked = []
    for ordinal in range(count):
        seed = f"{settings.SECRET_KEY}:{task_id}:{actor_id}:{ordinal}".encode()
        ranked.append((hashlib.sha256(seed).digest(), ordinal))
    return [ordinal for _digest, ordinal in sorted(ranked)]


def order_for(actor: Actor, task: Task) -> list[int]:
    """The order this actor sees the candidates of this task in; empty for a task without.

    How many there are follows from the schema where it leaves no choice, as for pairs; else they are counted.
    """
    if task.prompt_id is None:
        return []
    needed = needs(Schema.body_of(task.schema_id))
    count = needed.most if needed.least == needed.most else Candidate.objects.filter(task=task.pk).count()
    return display_order(task_id=task.pk, actor_id=actor.pk, count=count)


def shown_to(actor: Actor, task: Task) -> Shown | None:
    """What the actor saw of a task, where its answers can be checked only with that."""
    body = Schema.body_of(task.schema_id)
    if not needs_shown(body):
        return None
    row = Task.objects.select_related("prompt").only("data", "prompt__messages").get(pk=task.pk)
    texts: list[str] = []
    if row.prompt is not None and needs(body).most:
        candidates = Candidate.objects.filter(task=task.pk).order_by("ordinal")
        texts = list(candidates.values_list("completion__text", flat=True))
    order = display_order(task_id=task.pk, actor_id=actor.pk, count=len(texts))
    return Shown(row.data, row.prompt.messages if row.prompt else (), [texts[place] for place in order])


def questions_of(task: Task) -> Questions:
    questions: Questions = Schema.body_of(task.schema_id)["questions"]
    return questions


def reorder(questions: Questions, answers: Mapping[str, Any], order: Sequence[int]) -> dict[str, Any]:
    """Answers about candidates as they were shown, turned into answers about ordinals."""
    if all(place == ordinal for place, ordinal in enumerate(order)):
        return dict(answers)
    kinds = {question["name"]: question for question in questions}
    return {name: KINDS[kinds[name]["kind"]].reorder(kinds[name], said, order) for name, said in answers.items()}


def restore(questions: Questions, answers: Mapping[str, Any], order: Sequence[int]) -> dict[str, Any]:
    """Answers about ordinals, turned into answers about candidates in the order shown: what `reorder` does, back."""
    return reorder(questions, answers, inverse(order))
