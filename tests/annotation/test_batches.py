"""Batches: a budget as a fact, pausing, and what can be said of when they are done."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from annotation.budget import sweep_budgets
from annotation.models import Annotation, Batch, Slot
from annotation.selectors.batches import burndown, forecast_of, forecast_short, forecast_words, latest_days, progress_of
from annotation.services import slots
from annotation.services.batches import (
    add_tasks,
    archive_batch,
    create_batch,
    edit_batch,
    pause_batch,
    remove_tasks,
    resume_batch,
)
from annotation.services.tasks import archive_tasks, restore_tasks
from ground.errors import Conflict, Forbidden, Invalid, NotFound
from measures.errors import NoData
from measures.forecast import finish
from tests.annotation.test_queue import answer, claim_of

pytestmark = [pytest.mark.store, pytest.mark.django_db]
OPEN, HELD = Slot.State.OPEN, Slot.State.HELD


def count(batch, *states):
    return Slot.objects.filter(task__batch=batch, state__in=states).count()


def give(actor, most=99):
    given = 0
    while given < most and (claim := slots.take_next(actor=actor)) is not None:
        answer(actor, claim)
        given += 1
    return given


def test_a_batch_hands_out_no_more_than_its_budget_and_a_raise_opens_the_rest(cast, make_tasks):
    """5 tasks, budget 3: three are answered, then nothing; raised to 4 one more comes, without a budget the last."""
    batch = create_batch(actor=cast.mona, name="first", budget=3)
    make_tasks(5, batch=batch)
    assert (count(batch, OPEN), count(batch, HELD)) == (3, 2)
    assert give(cast.bob) == 3
    assert edit_batch(actor=cast.mona, batch=batch, budget=4) == 0
    assert give(cast.bob) == 1
    edit_batch(actor=cast.mona, batch=batch, budget=None)
    assert give(cast.bob) == 1


def test_a_lowered_budget_takes_back_the_last_and_closes_nothing_in_hand(cast, make_tasks):
    """5 open; one answered, one in hand. Budget 3 leaves one open; budget 1 leaves none, and says that it is overshot by 1."""
    batch = create_batch(actor=cast.mona, name="first")
    made = make_tasks(5, batch=batch)
    answer(cast.bob, claim_of(cast.bob))
    claim = claim_of(cast.bob)
    assert edit_batch(actor=cast.mona, batch=batch, budget=3) == 0
    assert list(Slot.objects.filter(state=OPEN).values_list("task", flat=True)) == [made[2].pk]
    assert edit_batch(actor=cast.mona, batch=batch, budget=1) == 1
    assert (count(batch, OPEN), count(batch, HELD)) == (0, 3)
    assert answer(cast.bob, claim)[0].counted
    assert progress_of([batch])[batch.pk].remaining == 0


def test_a_place_given_back_beyond_a_lowered_budget_is_handed_to_nobody(cast, make_tasks):
    batch = create_batch(actor=cast.mona, name="first")
    make_tasks(2, batch=batch)
    claim = claim_of(cast.bob)
    edit_batch(actor=cast.mona, batch=batch, budget=0)
    slots.release(
        actor=cast.bob, slot=Slot.objects.select_related("task__project").get(pk=claim.slot_id), token=claim.token
    )
    assert slots.take_next(actor=cast.carol) is None


def test_an_archived_task_makes_room_for_another(cast, make_tasks):
    batch = create_batch(actor=cast.mona, name="first", budget=1)
    first, second = make_tasks(2, batch=batch)
    archive_tasks(actor=cast.mona, tasks=[first])
    assert claim_of(cast.bob).task_id == second.pk
    restore_tasks(actor=cast.mona, tasks=[first])
    assert (count(batch, OPEN), count(batch, HELD)) == (0, 1)


def test_the_sweep_opens_what_became_affordable(cast, make_tasks):
    batch = create_batch(actor=cast.mona, name="first", budget=1)
    make_tasks(3, batch=batch)
    Batch.objects.filter(pk=batch.pk).update(budget=2)
    assert sweep_budgets() == 1
    assert sweep_budgets() == 0
    Batch.objects.filter(pk=batch.pk).update(budget=None)
    assert sweep_budgets() == 1


def test_a_paused_batch_hands_out_nothing_and_resumes_where_it_was(cast, make_tasks):
    batch = create_batch(actor=cast.mona, name="first")
    make_tasks(2, batch=batch)
    claim = claim_of(cast.bob)
    pause_batch(actor=cast.mona, batch=batch)
    pause_batch(actor=cast.mona, batch=batch)
    assert slots.take_next(actor=cast.carol) is None
    assert answer(cast.bob, claim)[0].counted
    resume_batch(actor=cast.mona, batch=batch)
    assert slots.take_next(actor=cast.carol) is not None
    archive_batch(actor=cast.mona, batch=batch)
    with pytest.raises(Conflict):
        pause_batch(actor=cast.mona, batch=batch)
    resume_batch(actor=cast.mona, batch=batch)
    assert batch.state == Batch.State.RUNNING


def test_tasks_go_into_a_batch_and_out_again(cast, make_tasks):
    made = make_tasks(3)
    batch = create_batch(actor=cast.mona, name="first", budget=2)
    assert add_tasks(actor=cast.mona, batch=batch, tasks=made) == 3
    assert (count(batch, OPEN), count(batch, HELD)) == (2, 1)
    for task in made:
        task.refresh_from_db()
    assert remove_tasks(actor=cast.mona, batch=batch, tasks=made[:1]) == 1
    assert (count(batch, OPEN), count(batch, HELD)) == (2, 0)
    assert give(cast.bob) == 3


def test_a_batch_put_away_takes_no_tasks_and_one_of_elsewhere_is_unknown(cast, make_tasks):
    made = make_tasks(1)
    batch = create_batch(actor=cast.mona, name="first")
    archive_batch(actor=cast.mona, batch=batch)
    with pytest.raises(Conflict):
        add_tasks(actor=cast.mona, batch=batch, tasks=made)
    theirs = Batch.objects.create(project=cast.mallory.project, name="theirs")
    with pytest.raises(NotFound):
        add_tasks(actor=cast.mona, batch=theirs, tasks=made)


@pytest.mark.parametrize(
    "wrong", [{"name": " "}, {"name": "\x00"}, {"name": "x" * 121}, {"budget": -1}, {"budget": 2**31}, {"surprise": 1}]
)
def test_a_wrong_batch_is_refused(cast, wrong):
    batch = create_batch(actor=cast.mona, name="first")
    with pytest.raises(Invalid):
        edit_batch(actor=cast.mona, batch=batch, **wrong)


def test_names_are_taken_once_and_annotators_make_none(cast):
    create_batch(actor=cast.mona, name="first")
    with pytest.raises(Conflict):
        create_batch(actor=cast.mona, name=" first ")
    with pytest.raises(Forbidden):
        create_batch(actor=cast.bob, name="mine")


def test_the_forecast_is_the_t_interval_of_the_mean_day():
    """Days of 8, 10, 12: mean 10, s² = (4 + 0 + 4) / 2 = 4, s / √3 = 1.1547; t(2) = 4.303, reach 4.969. So 5.031 to 14.969 a day,
    and 30 that remain take 30 / 14.969 = 2.004 to 30 / 5.031 = 5.963 days, 3 on average.
    """
    found = finish(30, [8, 10, 12])
    assert (found.per_day, found.days, found.over) == (10, 3, 3)
    reach = 4.303 * math.sqrt(4 / 3)
    assert (found.soonest, found.latest) == pytest.approx((30 / (10 + reach), 30 / (10 - reach)))


def test_days_that_differ_too_much_have_no_latest_end():
    """30, 1, 1: mean 10.67, s = 16.74, reach 41.6: the rate may be 0."""
    found = finish(30, [30, 1, 1])
    assert found.low == 0
    assert found.latest is None


def test_fewer_than_three_days_with_work_are_too_few_to_tell():
    assert finish(30, [5, 5]) is None
    assert finish(30, [5, 0, 0, 5, 0]) is None
    assert finish(30, []) is None
    with pytest.raises(NoData):
        finish(30, [1] * 8)


def work_history(cast, make_tasks, stopped_clock, days, **batch):
    """A batch in which Bob gives so many answers each day, a day apart, ending now."""
    row = create_batch(actor=cast.mona, name="first", **batch)
    make_tasks(20, batch=row)
    for today in days:
        give(cast.bob, most=today)
        stopped_clock.advance(days=1)
    return row


def test_the_last_days_are_whole_spans_of_24_hours(cast, make_tasks, stopped_clock):
    """3, 4 and 5 answers a day apart, the last a day ago: spans from now back hold 5, 4, 3. Forecast: 8 remain at 4 a day."""
    batch = work_history(cast, make_tasks, stopped_clock, [3, 4, 5])
    assert latest_days(batch, stopped_clock.at) == [5, 4, 3]
    progress = progress_of([batch])[batch.pk]
    assert (progress.wanted, progress.done, progress.remaining) == (20, 12, 8)
    forecast = forecast_of(batch, progress)
    assert (forecast.per_day, forecast.days) == (4, 2)
    assert "the last 3" in forecast_words(batch, progress, forecast)
    assert " to " in forecast_short(progress, forecast)
    assert forecast_short(progress, None) == "too little to tell"


def test_old_work_and_withdrawn_answers_do_not_count(cast, make_tasks, stopped_clock):
    batch = work_history(cast, make_tasks, stopped_clock, [3, 4, 5])
    slots.retract(actor=cast.mona, annotation=Annotation.objects.order_by("-pk").first(), reason="wrong")
    assert latest_days(batch, stopped_clock.at) == [4, 4, 3]
    stopped_clock.advance(days=10)
    assert latest_days(batch, stopped_clock.at) == [0] * 7
    assert forecast_of(batch, progress_of([batch])[batch.pk]) is None


def test_a_paused_batch_has_no_forecast(cast, make_tasks, stopped_clock):
    batch = work_history(cast, make_tasks, stopped_clock, [3, 4, 5])
    pause_batch(actor=cast.mona, batch=batch)
    progress = progress_of([batch])[batch.pk]
    assert forecast_of(batch, progress) is None
    assert "not running" in forecast_words(batch, progress, None)


def test_the_budget_bounds_what_is_wanted(cast, make_tasks):
    batch = create_batch(actor=cast.mona, name="first", budget=3)
    make_tasks(5, batch=batch)
    give(cast.bob, most=2)
    progress = progress_of([batch])[batch.pk]
    assert (progress.wanted, progress.done, progress.remaining, progress.held) == (3, 2, 1, 2)


def test_the_burndown_shows_every_evening_with_its_ideal_and_forecast(cast, make_tasks, stopped_clock):
    """20 wanted; 3, 4 and 5 given on 1, 2 and 3 Dec: 20, 17, 13, 8, 8 remain; due on the 10th, so straight from 30 Nov 2 a day."""
    stopped_clock.at = datetime(2026, 12, 1, 12, tzinfo=UTC)
    due = stopped_clock.at.date() + timedelta(days=9)
    batch = work_history(cast, make_tasks, stopped_clock, [3, 4, 5], due_on=due)
    progress = progress_of([batch])[batch.pk]
    chart = burndown(batch, progress, forecast_of(batch, progress))
    rows = {row[0]: row[1:] for row in chart.numbers.rows}
    assert [rows[f"{day} {month} 2026"][0] for day, month in ((30, "Nov"), (1, "Dec"), (2, "Dec"), (3, "Dec"), (4, "Dec"))] == [
        "20", "17", "13", "8", "8",
    ]  # fmt: skip
    assert rows["5 Dec 2026"][1] == "10"
    assert rows["10 Dec 2026"][1] == "0"
    assert rows["5 Dec 2026"][2] == "4", "one day on, 4 of the 8 are left"
    assert "<svg" in chart.svg


def test_a_batch_without_work_or_tasks_has_a_picture_too(cast):
    batch = create_batch(actor=cast.mona, name="empty", due_on=datetime(2020, 1, 1, tzinfo=UTC).date())
    progress = progress_of([batch])[batch.pk]
    assert burndown(batch, progress, None).numbers.rows
    assert "nothing to judge" in forecast_words(batch, progress, None)
