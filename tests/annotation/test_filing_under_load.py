"""Settings, batches, priorities and scores change while people work: nobody fails, nothing is lost, nothing is one too many."""

import random
import threading
import time
import uuid
from collections import Counter

import pytest
from django.db import close_old_connections, connection

from annotation.models import Annotation, Queue, QueueReset, Slot, Task
from annotation.router import main_queue
from annotation.services import slots
from annotation.services.batches import create_batch, edit_batch
from annotation.services.queues import create_queue, update_queue
from annotation.services.refiling import run_refiling
from annotation.services.tasks import set_batch, set_priority, set_scores
from jobs.models import Job
from jobs.services import claim
from tests.factories import make_annotators

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

ANSWER = {"preference": {"choice": "tie"}}


def work(actor, over, errors):
    """Annotate until told that it is over."""
    try:
        while not over.is_set():
            claim = slots.take_next(actor=actor)
            while claim is not None:
                slot = Slot.objects.select_related("task__schema").get(pk=claim.slot_id)
                _annotation, claim = slots.submit_answer(
                    actor=actor, slot=slot, token=claim.token, key=uuid.uuid4().hex, answers=ANSWER, then_next=True
                )
            time.sleep(0.05)
    except BaseException as error:
        errors.append(error)
        raise
    finally:
        close_old_connections()
        connection.close()


def refile(project):
    for job in Job.objects.filter(project=project, kind="refile", state=Job.State.QUEUED):
        run_refiling(claim(job=job))


def change_everything(cast, tasks, rounds):
    """A manager who cannot leave anything as it is."""
    draw, mona = random.Random(5), cast.mona
    main, batch = main_queue(cast.project), create_batch(actor=mona, name="lot", budget=5)
    half = {"schema_version": 1, "all": [{"field": "score", "op": "gte", "value": 0.5}]}
    side = create_queue(actor=mona, name="side", position=5, filter=half)
    for _ in range(rounds):
        chosen = list(Task.objects.filter(pk__in=[task.pk for task in draw.sample(tasks, 8)]))
        set_scores(actor=mona, scores={task.public_id: draw.random() for task in chosen})
        set_priority(actor=mona, tasks=chosen[:4], priority=draw.randint(0, 9))
        set_batch(actor=mona, tasks=chosen[4:], batch=draw.choice((None, batch)))
        edit_batch(actor=mona, batch=batch, budget=draw.choice((None, 3, 20)))
        update_queue(actor=mona, queue=main, order=draw.choice(Queue.Order.values), order_key="x")
        update_queue(actor=mona, queue=side, position=draw.randint(1, 2000), breadth_first=draw.random() < 0.5)
        refile(cast.project)
    edit_batch(actor=mona, batch=batch, budget=None)


def test_a_manager_changes_everything_while_six_people_work(cast, make_tasks):
    """40 tasks at overlap 3, six people: 120 counted answers, three per task, by different people; no deadlock, no error."""
    tasks = make_tasks(40, overlap=3)
    actors, errors, over = make_annotators(cast.project, 6), [], threading.Event()
    threads = [threading.Thread(target=work, args=(actor, over, errors)) for actor in actors]
    for thread in threads:
        thread.start()
    try:
        change_everything(cast, tasks, rounds=12)
    finally:
        over.set()
        for thread in threads:
            thread.join(timeout=120)
    assert errors == []
    for actor in actors:
        QueueReset.objects.filter(actor=actor).delete()
        over.clear()
        finish(actor)
    counted = Annotation.objects.counted()
    assert Counter(counted.values_list("task_id", flat=True)) == dict.fromkeys([task.pk for task in tasks], 3)
    assert max(Counter(counted.values_list("task_id", "actor_id")).values()) == 1
    assert set(Task.objects.values_list("state", "done")) == {(Task.State.COMPLETE, 3)}


def finish(actor):
    """What is left, alone: a person may have passed a slot that was locked that moment."""
    claim = slots.take_next(actor=actor)
    while claim is not None:
        slot = Slot.objects.select_related("task__schema").get(pk=claim.slot_id)
        _annotation, claim = slots.submit_answer(
            actor=actor, slot=slot, token=claim.token, key=uuid.uuid4().hex, answers=ANSWER, then_next=True
        )
