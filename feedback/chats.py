"""From a live talk to preferences: each turn with two replies prefers one of them, after all that was said before it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.models import Annotation
from feedback.data import Projected
from models_registry.models import Completion

CUT_OFF = ("stopped", "error")
"""How a reply ended that was not the model's doing: what it would have said is not known, so it neither wins nor loses."""


@dataclass(frozen=True)
class Reply:
    """A reply of some talk, by keys. `task` is where it was given."""

    completion: int
    prompt: int
    finish_reason: str
    task: int


Replies = Mapping[str, Reply]


def preferred_in(annotation: Annotation, replies: Replies) -> list[tuple[Projected, int]]:
    """The preferences of every talk in an answer, each with the prompt its talk began with."""
    found = []
    for question in annotation.task.schema.body["questions"]:
        answer = annotation.answers.get(question["name"])
        if question["kind"] == "chat" and isinstance(answer, Mapping):
            here = {name: reply for name, reply in replies.items() if reply.task == annotation.task_id}
            found += from_chat(question["name"], answer, here)
    return found


def from_chat(name: str, answer: Mapping[str, Any], replies: Replies) -> list[tuple[Projected, int]]:
    """Pure. A turn whose replies are not two known ones to one prompt, or were cut off, prefers nothing."""
    turns = answer.get("turns")
    known = [_known(turn, replies) for turn in turns] if isinstance(turns, list) else []
    root = next((pair[0].prompt for pair in known if pair), None)
    return [
        (projected, root or projected.prompt)
        for place, (turn, pair) in enumerate(zip(turns or [], known, strict=False))
        if (projected := _preferred(f"{name}:{place}", turn, pair)) is not None
    ]


def _known(turn: Any, replies: Replies) -> list[Reply]:
    names = turn.get("replies") if isinstance(turn, Mapping) else None
    if not isinstance(names, list):
        return []
    return [replies[said] for said in names if isinstance(said, str) and said in replies]


def _preferred(part: str, turn: Mapping[str, Any], pair: Sequence[Reply]) -> Projected | None:
    if len(pair) != 2 or turn.get("choice") not in ("first", "second"):
        return None
    first, second = pair
    if first.prompt != second.prompt or first.completion == second.completion:
        return None
    if first.finish_reason in CUT_OFF or second.finish_reason in CUT_OFF:
        return None
    order, strength = turn.get("order"), turn.get("strength")
    return Projected(
        prompt=first.prompt,
        first=first.completion,
        second=second.completion,
        outcome=turn["choice"],
        strength=strength if strength in (1, 2, 3) else None,
        first_shown_first=order[0] == 0 if isinstance(order, list) and order else None,
        part=part,
        origin="chat",
    )


def replies_in(annotations: Iterable[Annotation]) -> dict[str, Reply]:
    """Every reply that these answers name and that was given in a talk, by its public id."""
    names = {name for annotation in annotations for name in _names(annotation)}
    if not names:
        return {}
    rows: Iterable[tuple[str, int, int, str, int]] = Completion.objects.filter(
        public_id__in=names, chat_reply__isnull=False
    ).values_list("public_id", "pk", "prompt_id", "finish_reason", "chat_reply__turn__conversation__task_id")
    return {row[0]: Reply(*row[1:]) for row in rows}


def _names(annotation: Annotation) -> list[str]:
    asked = [one["name"] for one in annotation.task.schema.body["questions"] if one["kind"] == "chat"]
    turns = [turn for name in asked for turn in (annotation.answers.get(name) or {}).get("turns") or []]
    return [name for turn in turns for name in turn.get("replies") or []]
