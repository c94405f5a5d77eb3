"""From answers to cases: which tasks wait for a reviewer, and that a killed or doubled router changes nothing."""

import threading

import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction

from annotation.models import Case, Task
from annotation.review_rules import is_drawn
from annotation.services import reviews, routing, slots
from annotation.services.tasks import set_overlap
from ground.errors import Invalid
from jobs.models import Outbox
from tests.annotation.review_story import asks, routed, say
from tests.factories import make_annotators

pytestmark = [pytest.mark.store, pytest.mark.django_db]


@pytest.fixture
def three(cast):
    return make_annotators(cast.project, 3)


def test_disagreement_opens_a_case_with_the_share_of_agreeing_pairs(cast, make_tasks, three):
    """first, first, second: one of three pairs agrees, 1/3."""
    [task] = make_tasks(1, overlap=3)
    asks(cast.project, review_below=0.5)
    for actor, choice in zip(three, ("first", "first", "second"), strict=True):
        assert routed(task) is None
        say(task, actor, choice)
    case = routed(task)
    assert case.reasons == ["disagreement"]
    assert case.agreement == task.agreement == pytest.approx(1 / 3)
    assert task.resolution == Task.Resolution.WAITING


def test_who_agrees_needs_no_reviewer(cast, make_tasks, three):
    [task] = make_tasks(1, overlap=2)
    asks(cast.project, review_below=0.9)
    say(task, three[0], "first")
    say(task, three[1], "first")
    assert routed(task) is None
    assert (task.agreement, task.resolution) == (1.0, Task.Resolution.AGREED)


def test_a_flag_opens_a_case_before_the_other_answers_are_in(cast, make_tasks, three):
    [task] = make_tasks(1, overlap=3)
    say(task, three[0], "first", flags=("broken",))
    assert routed(task).reasons == ["flag"]
    assert task.state == Task.State.OPEN


def test_a_sample_is_drawn_by_task_and_stays_the_same(cast, make_tasks):
    tasks = make_tasks(12)
    asks(cast.project, review_rate=0.5)
    for task in tasks:
        say(task, cast.bob, "first")
    routing.drain_answers()
    drawn = set(Case.objects.values_list("task_id", flat=True))
    expected = {t.pk for t in tasks if is_drawn(settings.SECRET_KEY, f"review sample:{t.pk}", 0.5)}
    assert drawn == expected
    for task in tasks:
        routing.look_again(task.pk)
    routing.drain_answers()
    assert set(Case.objects.values_list("task_id", flat=True)) == expected
    assert Case.objects.count() == len(expected)


def test_a_watched_annotators_answers_are_reviewed_from_then_on(cast, make_tasks, stopped_clock):
    before, after = make_tasks(2)
    say(before, cast.bob, "first")
    stopped_clock.advance(seconds=1)
    reviews.watch(actor=cast.mona, annotator=cast.bob, rate=1, reason="new here")
    say(after, cast.bob, "first")
    assert routed(before) is None
    assert routed(after).reasons == ["annotator"]
    reviews.watch(actor=cast.mona, annotator=cast.bob, rate=0)
    [third] = make_tasks(1)
    say(third, cast.bob, "first")
    assert routed(third) is None


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_share_is_between_none_and_all(cast, rate):
    with pytest.raises(Invalid):
        reviews.watch(actor=cast.mona, annotator=cast.bob, rate=rate)


def test_an_undone_answer_dismisses_the_case_it_opened(cast, make_tasks, three):
    [task] = make_tasks(1, overlap=2)
    asks(cast.project, review_below=0.5)
    say(task, three[0], "first")
    last = say(task, three[1], "second")
    case = routed(task)
    slots.undo(actor=three[1], annotation=last)
    assert routed(task) is None
    case.refresh_from_db()
    assert (case.state, task.resolution, task.agreement) == (Case.State.DISMISSED, Task.Resolution.NONE, None)
    say(task, three[1], "first")
    assert routed(task) is None
    assert (task.agreement, task.resolution) == (1.0, Task.Resolution.AGREED)


def test_a_case_in_hand_is_not_taken_from_its_reviewer(cast, make_tasks, three, stopped_clock):
    [task] = make_tasks(1, overlap=2)
    asks(cast.project, review_below=0.5)
    say(task, three[0], "first")
    last = say(task, three[1], "second")
    routed(task)
    case = reviews.next_case(actor=cast.carol)
    slots.undo(actor=three[1], annotation=last)
    assert routed(task) == case
    reviews.release_case(actor=cast.carol, case=case)
    assert routed(task) is None


def test_fewer_answers_asked_for_completes_and_routes_a_task(cast, make_tasks, three):
    [task] = make_tasks(1, overlap=3)
    asks(cast.project, review_below=0.5)
    say(task, three[0], "first")
    say(task, three[1], "second")
    set_overlap(actor=cast.mona, tasks=[task], overlap=2)
    assert routed(task).reasons == ["disagreement"]


def test_more_answers_asked_for_make_an_agreed_task_wait_for_them(cast, make_tasks, three):
    [task] = make_tasks(1, overlap=1)
    say(task, three[0], "first")
    assert routed(task) is None
    assert task.resolution == Task.Resolution.AGREED
    set_overlap(actor=cast.mona, tasks=[task], overlap=2)
    assert routed(task) is None
    assert task.resolution == Task.Resolution.NONE


def test_a_task_has_one_open_case_whatever_happens(cast, make_tasks):
    [task] = make_tasks(1)
    say(task, cast.bob, "first", flags=("odd",))
    routed(task)
    with pytest.raises(IntegrityError), transaction.atomic():
        Case.objects.create(project=cast.project, task=task)


@pytest.mark.django_db(transaction=True)
def test_a_router_killed_before_its_commit_leaves_everything_to_the_next(cast, make_tasks, monkeypatch):
    """It dies after the case was written: neither the case nor the loss of the outbox row may be seen by anybody."""
    [task] = make_tasks(1)
    say(task, cast.bob, "first", flags=("odd",))

    class Killed(BaseException):
        pass

    def die(*args, **more):
        assert Case.objects.count() == 1
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(routing.Task.objects, "bulk_update", die, raising=False)
        with pytest.raises(Killed):
            routing.route_answers()
    assert Case.objects.count() == 0
    assert routing.waiting().count() == 1
    assert routed(task).reasons == ["flag"]
    assert routing.waiting().count() == 0


@pytest.mark.django_db(transaction=True)
def test_routers_at_once_make_one_case_a_task(cast, make_tasks):
    """20 flagged tasks, each told of twice, 3 routers: 20 cases, nothing left, nobody failed."""
    tasks, errors = make_tasks(20), []
    for task in tasks:
        say(task, cast.bob, "first", flags=("odd",))
        routing.look_again(task.pk)

    def work():
        try:
            while routing.waiting().exists():
                routing.route_answers()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    routers = [threading.Thread(target=work) for _ in range(3)]
    for router in routers:
        router.start()
    for router in routers:
        router.join(timeout=60)
    assert errors == []
    assert sorted(Case.objects.values_list("task_id", flat=True)) == sorted(task.pk for task in tasks)
    assert routing.waiting().count() == 0


def test_news_told_twice_makes_no_second_case(cast, make_tasks):
    [task] = make_tasks(1)
    say(task, cast.bob, "first", flags=("odd",))
    routing.look_again(task.pk)
    assert routing.route_answers() == 2
    routing.look_again(task.pk)
    assert routing.route_answers() == 1
    assert Case.objects.count() == 1


def test_a_topic_the_router_does_not_know_blocks_nothing(cast, make_tasks):
    Outbox.objects.create(consumer="reviews", topic="of.tomorrow", object_id=1)
    Outbox.objects.create(consumer="reviews", topic="task.changed", object_id=987654321)
    assert routing.route_answers() == 1
    assert Outbox.objects.get(consumer="reviews").topic == "of.tomorrow"


def test_somebody_can_ask_for_a_review_and_no_recount_takes_that_back(cast, make_tasks):
    [task] = make_tasks(1)
    with pytest.raises(Invalid):
        reviews.ask_for_review(actor=cast.carol, task=task)
    say(task, cast.bob, "first")
    assert routed(task) is None
    reviews.ask_for_review(actor=cast.carol, task=task, reason="looks odd")
    routing.look_again(task.pk)
    assert routed(task).reasons == ["asked"]
    assert task.resolution == Task.Resolution.WAITING


def test_the_tick_knows_the_router(cast):
    from jobs import ticks

    assert ticks._duties["annotation.route_answers"].seconds == 2
