"""Exactly N answers, whoever races, retries, crashes or comes late."""

import random
import threading
import uuid
from collections import Counter
from typing import Any

import pytest
from django.db import close_old_connections, connection

from annotation.models import Annotation, Slot, Task
from annotation.services import slots
from tests.factories import make_annotators

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

ANSWER = {"preference": {"choice": "tie"}}


def work(actor: Any, seed: int, acknowledged: list[str], errors: list[BaseException]) -> None:
    """Annotate until the queue is empty, sometimes submitting twice, sometimes walking away from a lease."""
    chance = random.Random(seed)
    try:
        claim = slots.take_next(actor=actor)
        while claim is not None:
            if chance.random() < 0.1:
                Slot.objects.filter(pk=claim.slot_id, actor=actor).update(lease_expires_at="2000-01-01T00:00Z")
                slots.expire_leases()
            slot = Slot.objects.select_related("task__schema").get(pk=claim.slot_id)
            key, token = uuid.uuid4().hex, claim.token
            for _ in range(2 if chance.random() < 0.2 else 1):
                annotation, claim = slots.submit_answer(
                    actor=actor, slot=slot, token=token, key=key, answers=ANSWER, then_next=True
                )
                acknowledged.append(annotation.key)
    except BaseException as error:
        errors.append(error)
        raise
    finally:
        close_old_connections()
        connection.close()


def test_many_people_at_once_end_with_exactly_n_counted_answers_per_task(cast, make_tasks):
    """8 people, 40 tasks at overlap 3: 120 counted answers, three per task, each by a different person, none lost."""
    make_tasks(40, overlap=3)
    actors, acknowledged, errors = make_annotators(cast.project, 8), [], []
    threads = [
        threading.Thread(target=work, args=(actor, seed, acknowledged, errors)) for seed, actor in enumerate(actors)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert errors == []
    slots.expire_leases()
    leftover: list[str] = []
    for actor in actors:
        work(actor, 99, leftover, errors)
    counted = Annotation.objects.counted()
    assert Counter(counted.values_list("task_id", flat=True)) == dict.fromkeys(
        Task.objects.values_list("pk", flat=True), 3
    )
    assert max(Counter(counted.values_list("task_id", "actor_id")).values()) == 1
    assert set(acknowledged + leftover) == set(Annotation.objects.values_list("key", flat=True))
    assert set(Task.objects.values_list("state", "done")) == {(Task.State.COMPLETE, 3)}
