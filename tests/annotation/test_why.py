"""Why did I get this task: answered for every claim there ever was, and never telling that it was gold."""

import json

import pytest
from django.conf import settings

from accounts.models import Actor
from annotation.models import Batch, GoldKey, Group, GroupMember, Queue, Slot, Task
from annotation.router import main_queue
from annotation.services import slots
from annotation.services.tasks import assign, set_priority
from annotation.why import claims_of, why
from ground.errors import NotFound
from tests.annotation.test_queue import ANSWER, answer, claim_of

pytestmark = [pytest.mark.store, pytest.mark.django_db]


def row_of(claim):
    return Slot.objects.select_related("task__project").get(pk=claim.slot_id)


def test_a_claim_says_queue_order_priority_pool_and_round(cast, make_tasks):
    make_tasks(1, priority=7)
    found = why(cast.bob, row_of(claim_of(cast.bob)))
    assert (found.queue, found.order, found.priority, found.round, found.pool) == ("main", "fifo", 7, 0, "everybody")
    assert found.sentence == (
        "It was next in the queue main (first in, first out), among the tasks with priority 7 that are open to everybody "
        "and waited there for the first time."
    )


def test_what_was_true_then_is_told_though_all_was_changed_since(cast, make_tasks):
    [task] = make_tasks(1, overlap=2)
    claim = claim_of(cast.bob)
    Queue.objects.filter(pk=main_queue(cast.project).pk).update(order=Queue.Order.RANDOM)
    set_priority(actor=cast.mona, tasks=[task], priority=9)
    answer(cast.bob, claim)
    found = why(cast.bob, row_of(claim))
    assert (found.order, found.priority) == ("fifo", 5)


def test_a_second_answer_an_own_task_a_group_and_a_batch_are_told(cast, make_tasks):
    law = Group.objects.create(project=cast.project, name="law")
    GroupMember.objects.create(group=law, actor=cast.bob)
    batch = Batch.objects.create(project=cast.project, name="June")
    second, own, grouped = make_tasks(1, overlap=2)[0], make_tasks(1)[0], make_tasks(1, batch=batch)[0]
    answer(cast.carol, claim_of(cast.carol))
    assign(actor=cast.mona, tasks=[own], pool_id=-cast.bob.pk)
    assign(actor=cast.mona, tasks=[grouped], pool_id=law.pk)
    told = {}
    for _ in range(3):
        claim = claim_of(cast.bob)
        told[claim.task_id] = why(cast.bob, row_of(claim)).sentence
        answer(cast.bob, claim)
    assert "waited for answer number 2" in told[second.pk]
    assert "kept for this one person" in told[own.pk]
    assert "kept for the group law" in told[grouped.pk]
    assert "the batch “June”" in told[grouped.pk]


def test_a_task_that_came_back_says_so_and_the_first_claim_stays_explained(cast, make_tasks):
    [task] = make_tasks(1)
    first = claim_of(cast.bob)
    slots.skip(actor=cast.bob, slot=row_of(first), token=first.token)
    claim = claim_of(cast.carol)
    assert why(cast.carol, row_of(claim)).returned
    assert why(cast.bob, row_of(first)).returned is False
    assert [(found.actor, found.ending) for found in claims_of(task)] == [
        (cast.bob, "skipped"),
        (cast.carol, "in_hand"),
    ]


def test_every_ending_is_listed(cast, make_tasks, stopped_clock):
    """Bob's lease lapses, Carol gives hers back, Mona's answer is retracted, Alice's stands."""
    [task] = make_tasks(1)
    claim_of(cast.bob)
    stopped_clock.advance(seconds=settings.SLOT_LEASE_SECONDS + 1)
    slots.expire_leases()
    given_back = claim_of(cast.carol)
    stopped_clock.advance(seconds=1)
    slots.release(actor=cast.carol, slot=row_of(given_back), token=given_back.token)
    annotation, _next = answer(cast.mona, claim_of(cast.mona))
    stopped_clock.advance(seconds=1)
    slots.retract(actor=cast.mona, annotation=annotation, reason="wrong")
    answer(cast.alice, claim_of(cast.alice))
    assert [found.ending for found in claims_of(task)] == ["expired", "released", "retracted", "answered"]
    assert [found.ending for found in claims_of(task, cast.carol)] == ["released"]


def test_a_late_answer_that_took_a_free_place_says_that_it_was_not_handed_out(cast, make_tasks, stopped_clock):
    make_tasks(1)
    late = claim_of(cast.bob)
    stopped_clock.advance(seconds=settings.SLOT_LEASE_SECONDS + 1)
    slots.expire_leases()
    answer(cast.bob, late)
    assert "came late" in why(cast.bob, row_of(late)).sentence


def test_nobody_but_a_manager_asks_about_others(cast, make_tasks):
    make_tasks(1)
    slot = row_of(claim_of(cast.bob))
    with pytest.raises(NotFound):
        why(cast.carol, slot)
    assert why(cast.mona, slot).place is not None
    assert why(cast.bob, slot).place is None


def gold_task(cast, make_tasks, **fields):
    """A gold task of the main queue that Bob has in hand."""
    [task] = make_tasks(1)
    Slot.objects.filter(task=task).delete()
    Task.objects.filter(pk=task.pk).update(purpose=Task.Purpose.GOLD, overlap=1, **fields)
    GoldKey.objects.create(task=task, answers=ANSWER, actor=cast.mona)
    return task


def test_gold_is_explained_as_the_task_before_it_was(cast, make_tasks):
    """Real tasks stand in a batch at priority 8; the gold one in none at 5. Bob reads of the batch and of 8 both times."""
    gold = gold_task(cast, make_tasks)
    batch = Batch.objects.create(project=cast.project, name="June")
    make_tasks(2, priority=8, batch=batch)
    real = claim_of(cast.bob)
    answer(cast.bob, real)
    queue = main_queue(cast.project)
    from annotation.services.gold import claim as claim_gold

    given = claim_gold(cast.bob, queue)
    assert given is not None
    assert given.task_id == gold.pk
    told, before = why(cast.bob, row_of(given)), why(cast.bob, row_of(real))
    assert told == before
    assert "gold" not in json.dumps(told.as_dict()).lower()


@pytest.fixture
def paths(cast):
    return f"/api/v1/projects/{cast.project.slug}"


def test_the_api_explains_own_slots_and_lists_claims(cast, api, make_tasks, paths):
    [task] = make_tasks(1)
    slot = api(cast.bob).post(f"{paths}/queue:next", {}).json()["id"]
    mine = api(cast.bob).get(f"/api/v1/slots/{slot}/why").json()
    assert mine["queue"] == "main"
    assert mine["place"] is None
    assert api(cast.carol).get(f"/api/v1/slots/{slot}/why").status_code == 404
    assert api(cast.mallory).get(f"/api/v1/slots/{slot}/why").status_code == 404
    assert api(cast.mona).get(f"/api/v1/slots/{slot}/why").json()["place"] is not None
    [claim] = api(cast.mona).get(f"/api/v1/tasks/{task.public_id}/claims").json()
    assert (claim["slot"], claim["actor"], claim["ending"]) == (slot, cast.bob.public_id, "in_hand")
    [own] = api(cast.bob).get(f"/api/v1/tasks/{task.public_id}/claims").json()
    assert own["actor"] is None
    assert api(cast.carol).get(f"/api/v1/tasks/{task.public_id}/claims").status_code == 404


def test_a_reader_of_gold_sees_one_claim_and_the_first_slot(cast, api, make_tasks):
    from annotation.services.gold import claim as claim_gold

    task = gold_task(cast, make_tasks)
    for actor in (cast.carol, cast.bob):
        assert claim_gold(actor, main_queue(cast.project)) is not None
    [own] = api(cast.bob).get(f"/api/v1/tasks/{task.public_id}/claims").json()
    assert own["slot"].endswith("_0")
    assert api(cast.bob).get(f"/api/v1/slots/{own['slot']}/why").status_code == 200
    everyone = api(cast.mona).get(f"/api/v1/tasks/{task.public_id}/claims").json()
    assert len({claim["slot"] for claim in everyone}) == 2
    for claim in everyone:
        assert api(cast.mona).get(f"/api/v1/slots/{claim['slot']}/why").status_code == 200


def test_gold_given_back_is_listed_like_any_other_task(cast, make_tasks):
    from annotation.services.gold import claim as claim_gold

    task = gold_task(cast, make_tasks)
    given = claim_gold(cast.bob, main_queue(cast.project))
    slots.release(actor=cast.bob, slot=row_of(given), token=given.token)
    assert [found.ending for found in claims_of(task, cast.bob)] == ["released"]


def test_a_person_who_left_stays_in_the_list(cast, make_tasks):
    [task] = make_tasks(1)
    answer(cast.bob, claim_of(cast.bob))
    Actor.objects.filter(pk=cast.bob.pk).update(user=None)
    assert [found.actor.pk for found in claims_of(task)] == [cast.bob.pk]
