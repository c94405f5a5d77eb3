"""What tests of gold stand on: tasks that show a text and ask for its class, and answers to whatever was handed out."""

import uuid
from typing import Any

from annotation.filing import open_slots
from annotation.models import Queue, Slot, Task
from annotation.router import Router, main_queue
from annotation.schemas import labels_schema
from annotation.selectors.queue import get_slot_for, served
from annotation.services import gold, slots
from annotation.services.gold_keys import make_gold
from annotation.services.tasks import current_schema

RIGHT, WRONG = "kind", "rude"


class Chance:
    """Randomness that always says the same: 0 draws gold wherever there is a rate, 1 nowhere."""

    def __init__(self, value: float) -> None:
        self.value = value

    def random(self) -> float:
        return self.value


def text_schema(project: Any, *, multiple: bool = False) -> Any:
    body = labels_schema(text="How does it sound?", options=[RIGHT, WRONG, "neither"], multiple=multiple)
    return current_schema(project, "tone", body)


def make_texts(
    project: Any, count: int, *, overlap: int = 1, queue: Queue | None = None, multiple: bool = False
) -> list[Task]:
    queue, schema = queue or main_queue(project), text_schema(project, multiple=multiple)
    tasks = [
        Task.objects.create(
            project=project,
            queue=queue,
            schema=schema,
            overlap=overlap,
            data={"schema_version": 1, "text": f"Text {uuid.uuid4().hex[:6]}"},
        )
        for _ in range(count)
    ]
    open_slots(Router(project), tasks)
    return tasks


def make_golds(cast: Any, count: int, queue: Queue | None = None, label: str = RIGHT, **more: Any) -> list[Task]:
    queue, schema = queue or main_queue(cast.project), text_schema(cast.project)
    return [
        make_gold(
            actor=cast.mona,
            queue=queue,
            schema=schema,
            data={"text": f"Gold {uuid.uuid4().hex[:6]}"},
            answers=labels(label),
            **more,
        )
        for _ in range(count)
    ]


def mixed_queue(project: Any, **settings: Any) -> Queue:
    """The main queue, under these settings."""
    queue = main_queue(project)
    Queue.objects.filter(pk=queue.pk).update(**settings)
    queue.refresh_from_db()
    gold.forget_settings(project.pk)
    return queue


def labels(*names: str) -> dict[str, Any]:
    return {"labels": {"labels": list(names)}}


def claim_of(actor: Any, **options: Any) -> Any:
    claim = slots.take_next(actor=actor, **options)
    assert claim is not None
    return claim


def slot_of(actor: Any, claim: Any) -> Slot:
    return get_slot_for(actor, served(actor, claim).id)


def say(actor: Any, claim: Any, *names: str, key: str = "", **options: Any) -> Any:
    """Answer a claimed text."""
    return slots.submit_answer(
        actor=actor,
        slot=slot_of(actor, claim),
        token=claim.token,
        key=key or uuid.uuid4().hex,
        answers=labels(*(names or (RIGHT,))),
        **options,
    )[0]


def answer_gold(actor: Any, queue: Queue, *names: str) -> Any:
    """Hand a gold task of the queue to the actor and answer it."""
    claim = gold.claim(actor, queue)
    assert claim is not None
    return say(actor, claim, *names)
