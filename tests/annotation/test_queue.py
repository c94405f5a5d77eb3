"""The life of a slot: claimed, answered, skipped, expired, undone."""

import uuid
from collections import Counter
from typing import Any

import pytest
from django.conf import settings

from annotation.data import Claim
from annotation.errors import LeaseLost, NothingToUndo
from annotation.models import Annotation, Slot, Task
from annotation.selectors.queue import get_slot_for, served
from annotation.services import slots
from ground.errors import Invalid, NotFound
from jobs.models import Outbox
from tests.factories import make_annotators

pytestmark = [pytest.mark.store, pytest.mark.django_db]

ANSWER = {"preference": {"choice": "first", "strength": 2, "reason": "clearer"}}


def slot_of(claim: Claim) -> Slot:
    return Slot.objects.select_related("task__schema").get(pk=claim.slot_id)


def answer(actor: Any, claim: Claim, key: str = "", then_next: bool = False) -> Any:
    return slots.submit_answer(
        actor=actor,
        slot=slot_of(claim),
        token=claim.token,
        key=key or uuid.uuid4().hex,
        answers=ANSWER,
        then_next=then_next,
    )


def claim_of(actor: Any, **options: Any) -> Claim:
    claim = slots.take_next(actor=actor, **options)
    assert claim is not None
    return claim


def test_overlap_two_takes_two_answers_by_two_people_and_no_third(cast, make_tasks):
    [task] = make_tasks(1, overlap=2)
    first, second, third = make_annotators(cast.project, 3)
    answer(first, claim_of(first))
    answer(second, claim_of(second))
    assert slots.take_next(actor=third) is None
    task.refresh_from_db()
    assert (task.done, task.state) == (2, Task.State.COMPLETE)


def test_nobody_gets_the_same_task_twice(cast, make_tasks):
    make_tasks(2, overlap=3)
    seen = []
    claim = slots.take_next(actor=cast.bob)
    while claim is not None:
        seen.append(claim.task_id)
        _annotation, claim = answer(cast.bob, claim, then_next=True)
    assert len(seen) == 2
    assert len(set(seen)) == 2


def test_every_task_gets_its_first_answer_before_any_gets_its_second(cast, make_tasks):
    """3 tasks at overlap 2, two people taking turns: the first three answers go to three different tasks."""
    make_tasks(3, overlap=2)
    one, two = make_annotators(cast.project, 2)
    taken = []
    for actor in (one, two, one):
        claim = claim_of(actor)
        taken.append(claim.task_id)
        answer(actor, claim)
    assert len(set(taken)) == 3


def test_higher_priority_comes_first(cast, make_tasks):
    make_tasks(1, priority=3)
    [urgent] = make_tasks(1, priority=8)
    assert claim_of(cast.bob).task_id == urgent.pk


def test_a_reload_gives_the_same_task_and_holding_gives_another(cast, make_tasks):
    make_tasks(2)
    first = claim_of(cast.bob)
    assert claim_of(cast.bob) == first
    assert claim_of(cast.bob, holding=[first.slot_id]).task_id != first.task_id


def test_second_submit_returns_the_first_answer(cast, make_tasks):
    make_tasks(1)
    claim = claim_of(cast.bob)
    first, _next = answer(cast.bob, claim, key="same")
    again, _next = answer(cast.bob, claim, key="same")
    assert again.pk == first.pk
    assert Annotation.objects.count() == 1


def test_an_answer_leaves_one_outbox_row(cast, make_tasks):
    make_tasks(1, overlap=2)
    annotation, _next = answer(cast.bob, claim_of(cast.bob))
    assert list(Outbox.objects.values_list("consumer", "topic", "object_id")) == [
        ("preferences", "annotation.submitted", annotation.pk)
    ]


def test_an_expired_lease_goes_to_somebody_else_and_the_late_answer_is_kept_as_surplus(cast, make_tasks, stopped_clock):
    [task] = make_tasks(1)
    late = claim_of(cast.bob)
    stopped_clock.advance(seconds=settings.SLOT_LEASE_SECONDS + 1)
    assert slots.expire_leases() == 1
    answer(cast.carol, claim_of(cast.carol))
    annotation, _next = answer(cast.bob, late)
    assert (annotation.counted, annotation.surplus) == (False, True)
    task.refresh_from_db()
    assert task.done == 1


def test_a_late_answer_takes_the_slot_that_is_still_free(cast, make_tasks, stopped_clock):
    [task] = make_tasks(1)
    late = claim_of(cast.bob)
    stopped_clock.advance(seconds=settings.SLOT_LEASE_SECONDS + 1)
    slots.expire_leases()
    annotation, _next = answer(cast.bob, late)
    assert (annotation.counted, annotation.surplus) == (True, False)
    task.refresh_from_db()
    assert task.state == Task.State.COMPLETE
    assert slots.take_next(actor=cast.carol) is None


def test_undo_keeps_the_row_and_leases_the_slot_to_its_author_again(cast, make_tasks):
    [task] = make_tasks(1)
    annotation, _next = answer(cast.bob, claim_of(cast.bob))
    again = slots.undo(actor=cast.bob, annotation=annotation)
    task.refresh_from_db()
    assert (task.done, task.state) == (0, Task.State.OPEN)
    second, _next = answer(cast.bob, again)
    assert Counter(Annotation.objects.values_list("counted", flat=True)) == {True: 1, False: 1}
    assert second.counted
    with pytest.raises(NothingToUndo):
        slots.undo(actor=cast.bob, annotation=annotation)


def test_nobody_undoes_another_ones_answer(cast, make_tasks):
    make_tasks(1)
    annotation, _next = answer(cast.bob, claim_of(cast.bob))
    with pytest.raises(NotFound):
        slots.undo(actor=cast.carol, annotation=annotation)


def test_a_skipped_task_goes_to_the_others_and_never_comes_back(cast, make_tasks):
    make_tasks(1)
    claim = claim_of(cast.bob)
    slots.skip(actor=cast.bob, slot=slot_of(claim), token=claim.token, reason="not my subject")
    assert slots.take_next(actor=cast.bob) is None
    assert claim_of(cast.carol).task_id == claim.task_id


def test_a_released_slot_comes_back_first(cast, make_tasks):
    make_tasks(3)
    claim = claim_of(cast.bob)
    slots.release(actor=cast.bob, slot=slot_of(claim), token=claim.token)
    assert claim_of(cast.carol).task_id == claim.task_id


def test_heartbeat_renews_and_a_lost_lease_says_so(cast, make_tasks, stopped_clock):
    make_tasks(1)
    claim = claim_of(cast.bob)
    stopped_clock.advance(seconds=60)
    renewed = slots.heartbeat(actor=cast.bob, slot=slot_of(claim), token=claim.token)
    assert (renewed.expires_at - claim.expires_at).total_seconds() == 60
    elsewhere = slots.heartbeat(actor=cast.bob, slot=slot_of(claim), token=uuid.uuid4())
    assert elsewhere.token == claim.token, "who holds a task learns its token"
    with pytest.raises(LeaseLost):
        slots.heartbeat(actor=cast.mona, slot=slot_of(claim), token=claim.token)
    stopped_clock.advance(hours=1)
    with pytest.raises(LeaseLost):
        slots.heartbeat(actor=cast.bob, slot=slot_of(claim), token=uuid.uuid4())


def test_the_answer_is_stored_by_candidate_whatever_was_shown_first(cast, make_tasks):
    """ "first" means the left answer on the screen; stored, it means ordinal 0. With order [1, 0] left is ordinal 1: "second"."""
    make_tasks(64)
    seen = set()
    claim = slots.take_next(actor=cast.bob)
    while seen != {(0, 1), (1, 0)}:
        assert claim is not None, "64 tasks in one order come once in 2**63 runs"
        shown = served(cast.bob, claim)
        annotation, claim = answer(cast.bob, claim, then_next=True)
        seen.add(tuple(annotation.display_order))
        chosen = annotation.task.candidates.get(ordinal=annotation.display_order[0]).completion.text
        assert chosen == shown.candidates[0].text
        expected = "first" if annotation.display_order == [0, 1] else "second"
        assert annotation.answers["preference"]["choice"] == expected


def test_a_retracted_answer_opens_the_slot_for_somebody_else(cast, make_tasks):
    [task] = make_tasks(1)
    annotation, _next = answer(cast.bob, claim_of(cast.bob))
    slots.retract(actor=cast.mona, annotation=annotation, reason="did not read the question")
    task.refresh_from_db()
    assert task.done == 0
    assert slots.take_next(actor=cast.bob) is None
    assert claim_of(cast.carol).task_id == task.pk


def test_an_answer_that_does_not_fit_names_the_path(cast, make_tasks):
    make_tasks(1)
    claim = claim_of(cast.bob)
    with pytest.raises(Invalid, match=r"answers\.preference\.choice"):
        slots.submit_answer(
            actor=cast.bob, slot=slot_of(claim), token=claim.token, key="k", answers={"preference": {"choice": "left"}}
        )
    assert Slot.objects.get(pk=claim.slot_id).state == Slot.State.LEASED


def test_another_projects_slot_does_not_exist(cast, make_tasks):
    make_tasks(1)
    claim = claim_of(cast.bob)
    with pytest.raises(NotFound):
        get_slot_for(cast.mallory, slot_of(claim).public_id)


def test_a_page_keeps_the_task_that_waits_in_it_and_nobody_elses(cast, make_tasks, stopped_clock):
    """Bob's page shows one task and holds the next. After 14 of 15 minutes it renews both; Carol's lease runs out."""
    make_tasks(3)
    shown = claim_of(cast.bob)
    waiting = claim_of(cast.bob, holding=[shown.slot_id])
    others = claim_of(cast.carol)
    stopped_clock.advance(seconds=settings.SLOT_LEASE_SECONDS - 60)
    slots.heartbeat(actor=cast.bob, slot=slot_of(shown), token=shown.token)
    assert slots.keep_waiting(actor=cast.bob, slot_ids=[waiting.slot_id, others.slot_id]) == 1
    stopped_clock.advance(seconds=120)
    slots.expire_leases()
    assert {slot_of(shown).state, slot_of(waiting).state} == {Slot.State.LEASED}
    assert slot_of(others).state == Slot.State.OPEN


def test_a_slot_with_a_draft_is_parked_and_offered_to_its_author_first(cast, make_tasks, stopped_clock):
    """Bob begins and goes away. Others do not get his place meanwhile; he does, with his draft, under a new lease."""
    [task] = make_tasks(1)
    begun = claim_of(cast.bob)
    slots.save_draft(actor=cast.bob, task=task, answers={"preference": {"choice": "tie"}})
    stopped_clock.advance(seconds=settings.SLOT_LEASE_SECONDS + 1)
    slots.expire_leases()
    assert slots.take_next(actor=cast.carol) is None
    again = claim_of(cast.bob)
    assert (again.slot_id, again.token == begun.token) == (begun.slot_id, False)
    assert served(cast.bob, again).draft == {"preference": {"choice": "tie"}}


def test_a_parked_slot_goes_back_to_the_others_after_a_day_and_the_draft_stays(cast, make_tasks, stopped_clock):
    [task] = make_tasks(1)
    late = claim_of(cast.bob)
    slots.save_draft(actor=cast.bob, task=task, answers={"preference": {"choice": "tie"}})
    for seconds in (settings.SLOT_LEASE_SECONDS + 1, settings.SLOT_PARK_SECONDS + 1):
        stopped_clock.advance(seconds=seconds)
        slots.expire_leases()
    answer(cast.carol, claim_of(cast.carol))
    annotation, _next = answer(cast.bob, late)
    assert (annotation.counted, annotation.surplus) == (False, True)


def test_the_same_key_for_another_answer_is_refused_and_nothing_is_written(cast, make_tasks):
    make_tasks(2)
    first = claim_of(cast.bob)
    answer(cast.bob, first, key="same")
    with pytest.raises(Invalid, match="another answer"):
        answer(cast.bob, claim_of(cast.bob), key="same")
    assert Annotation.objects.count() == 1
