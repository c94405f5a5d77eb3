"""Annotators, routers and reviewers at once: nothing deadlocks, and places, counts, cases and resolutions still agree."""

import contextlib
import random
import threading
import uuid
from typing import Any

import pytest
from django.db import close_old_connections, connection
from django.db.models import Count, Q

from annotation.data import NewRuling, Settlement
from annotation.display import order_for
from annotation.errors import NothingToUndo
from annotation.models import Annotation, Case, Slot, Task
from annotation.selectors.reviews import shown_case
from annotation.services import reviews, routing, slots
from annotation.services.settling import reopen_case, settle
from ground.errors import Conflict
from tests.annotation.review_story import asks
from tests.factories import make_annotators

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]


def annotate(actor: Any, chance: random.Random) -> bool:
    claim = slots.take_next(actor=actor)
    if claim is None:
        return False
    slot = Slot.objects.select_related("task__schema").get(pk=claim.slot_id)
    assert order_for(actor, slot.task)
    flags = ["odd"] if chance.random() < 0.2 else []
    answers = {"preference": {"choice": chance.choice(["first", "second"]), "flags": flags}}
    said, _next = slots.submit_answer(actor=actor, slot=slot, token=claim.token, key=uuid.uuid4().hex, answers=answers)
    if chance.random() < 0.2:
        with contextlib.suppress(NothingToUndo):
            slots.undo(actor=actor, annotation=said)
    return True


def review(actor: Any, chance: random.Random) -> bool:
    case = reviews.next_case(actor=actor)
    if case is None:
        return False
    answers = [answer["id"] for answer in shown_case(actor, case)["answers"]]
    if not answers:
        reviews.release_case(actor=actor, case=case)
        return True
    verdicts = {name: NewRuling(chance.choice(["accept", "reject"])) for name in answers}
    rejected = any(ruling.verdict == "reject" for ruling in verdicts.values())
    again = rejected and chance.random() < 0.5
    adopt = "" if again else answers[0]
    with contextlib.suppress(Conflict):
        settle(actor=actor, case=case, decision=Settlement(verdicts, "ambiguous", adopt=adopt, ask_again=again))
        if chance.random() < 0.2:
            reopen_case(actor=actor, case=case)
    return True


def at_work(duty: Any, actor: Any, seed: int, stop: threading.Event, errors: list[BaseException]) -> threading.Thread:
    def work() -> None:
        chance = random.Random(seed)
        try:
            while not stop.is_set():
                duty(actor, chance) or stop.wait(0.02)
        except BaseException as error:
            errors.append(error)
            stop.set()
        finally:
            close_old_connections()
            connection.close()

    return threading.Thread(target=work)


def test_everybody_at_once_leaves_places_cases_and_resolutions_in_agreement(cast, make_tasks):
    """6 annotators, 2 reviewers, 2 routers on 25 tasks at overlap 2, with undo, rejection, asking again and reopening."""
    make_tasks(25, overlap=2)
    asks(cast.project, review_below=0.9, review_rate=0.2)
    stop, errors = threading.Event(), []
    crew = [(annotate, actor) for actor in make_annotators(cast.project, 6)]
    crew += [(review, cast.carol), (review, cast.mona)]
    crew += [(lambda actor, chance: routing.route_answers() > 0, None)] * 2
    threads = [at_work(duty, actor, seed, stop, errors) for seed, (duty, actor) in enumerate(crew)]
    for thread in threads:
        thread.start()
    stop.wait(6)
    stop.set()
    for thread in threads:
        thread.join(timeout=60)
    assert errors == []
    assert Case.objects.filter(state=Case.State.SETTLED).exists()
    routing.drain_answers()
    check_agreement()


def check_agreement() -> None:
    filled = Count("slots", filter=Q(slots__state=Slot.State.DONE))
    for task in Task.objects.annotate(filled=filled):
        assert task.done == task.filled, task.pk
        assert (task.state == Task.State.COMPLETE) == (task.done >= task.overlap)
        waits = Case.objects.filter(task=task, state__in=(Case.State.OPEN, Case.State.LEASED)).count()
        assert waits == (task.resolution == Task.Resolution.WAITING), (task.pk, task.resolution)
        settlements = Annotation.objects.filter(task=task, settlement=True, counted=True).count()
        assert settlements <= (task.resolution in (Task.Resolution.SETTLED, Task.Resolution.WAITING))
    said = Annotation.objects.filter(settlement=False, counted=True)
    assert said.filter(slot__state=Slot.State.DONE).count() == said.count()
    rejected = Annotation.objects.filter(withdrawal__kind="review", settlement=False)
    assert not rejected.filter(counted=True).exists()
