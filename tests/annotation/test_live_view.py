"""The queue this minute: who holds what, how fast it goes, what waits, what needs a look."""

import uuid
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache

from annotation.models import PastLease, Slot
from annotation.selectors.live import live
from annotation.services.slots import expire_leases, save_draft, submit_answer, take_next
from tests.factories import make_annotators

pytestmark = [pytest.mark.store, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def counted_anew() -> None:
    cache.clear()


def answer(actor: Any, claim: Any, seconds: float) -> None:
    slot = Slot.objects.select_related("task__schema", "task__project").get(pk=claim.slot_id)
    submit_answer(
        actor=actor,
        slot=slot,
        token=claim.token,
        key=uuid.uuid4().hex,
        answers={"preference": {"choice": "first"}},
        seconds=seconds,
    )


def test_an_empty_queue_has_nothing_to_tell(cast):
    now = live(cast.project)
    assert (now.held, now.waiting, now.pace.total, now.seconds_left, now.alerts) == ([], 0, 0, None, [])


def test_pace_backlog_and_time_left_are_counted_from_the_last_hour(cast, make_tasks, stopped_clock):
    """4 tasks at overlap 2 are 8 places. One answer of two hours ago and three of this hour leave 4, which last 4/3 hours.

    Of 4, 30 and 10 seconds the middle one is 10.
    """
    make_tasks(4, overlap=2)
    bob, other = make_annotators(cast.project, 2)
    answer(other, take_next(actor=other), 5)
    stopped_clock.advance(seconds=7200)
    for seconds in (4, 30, 10):
        answer(bob, take_next(actor=bob), seconds)
    now = live(cast.project)
    assert (now.pace.total, now.pace.people) == (3, [(str(bob), 3, 10)])
    assert now.waiting == 4
    assert now.seconds_left == pytest.approx(3600 * 4 / 3)
    assert sum(count for _step, count in now.pace.steps) == 3


def test_what_people_hold_is_listed_with_its_end(cast, make_tasks, stopped_clock):
    make_tasks(2)
    claim = take_next(actor=cast.bob)
    [held] = live(cast.project).held
    assert (held.actor, held.parked, held.ending, held.until) == (str(cast.bob), False, False, claim.expires_at)
    stopped_clock.advance(seconds=settings.SLOT_LEASE_SECONDS - 60)
    assert live(cast.project).ending == 1
    slot = Slot.objects.select_related("task").get(pk=claim.slot_id)
    save_draft(actor=cast.bob, task=slot.task, answers={"preference": {"choice": "tie"}})
    stopped_clock.advance(seconds=120)
    expire_leases()
    assert [row.parked for row in live(cast.project).held] == [True]


def test_many_leases_that_run_out_are_an_alert(cast, make_tasks, stopped_clock):
    """Ten leases ran out and nobody answered: more than one in ten."""
    make_tasks(10)
    for actor in make_annotators(cast.project, 10):
        take_next(actor=actor)
    stopped_clock.advance(seconds=settings.SLOT_LEASE_SECONDS + 1)
    expire_leases()
    assert PastLease.objects.count() == 10
    assert any("10 leases ran out" in alert for alert in live(cast.project).alerts)


def test_the_api_tells_reviewers_and_nobody_else(cast, make_tasks, api):
    make_tasks(1)
    url = f"/api/v1/projects/{cast.project.slug}/queue:live"
    told = api(cast.carol).get(url)
    assert (told.status_code, told.json()["waiting"], told.json()["backlog"][0]["queue"]) == (200, 1, "main")
    assert api(cast.bob).get(url).status_code == 403
    assert api(cast.mallory).get(url).status_code == 404
