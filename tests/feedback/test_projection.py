"""What people said becomes preferences, once, whatever order the news arrives in."""

import threading

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotation.models import Annotation
from annotation.services.slots import retract, undo
from feedback.data import Candidacy
from feedback.models import Preference
from feedback.projection import meaning_of
from feedback.services import drain_outbox, project_outbox, rebuild_preferences
from feedback.services.projecting import waiting
from jobs.models import Outbox
from jobs.ticks import run_due
from tests.factories import make_annotators

QUESTIONS = [{"name": "preference", "kind": "pairwise", "text": "Which?"}]
PAIR = [Candidacy(ordinal=1, completion=22, prompt=7), Candidacy(ordinal=0, completion=11, prompt=7)]


def mapped(answer, order=(0, 1), candidates=PAIR):
    found = meaning_of(
        questions=QUESTIONS, answers={"preference": answer}, candidates=candidates, display_order=list(order)
    )
    return next(iter(found.preferences), None)


def test_first_is_the_candidate_of_ordinal_0_wherever_it_was_shown():
    """Candidates arrive unsorted: ordinal 0 is completion 11. Shown as [1, 0] it stood second on the screen."""
    found = mapped({"choice": "second", "strength": 2}, order=(1, 0))
    assert (found.first, found.second, found.prompt) == (11, 22, 7)
    assert (found.outcome, found.strength, found.first_shown_first) == ("second", 2, False)
    assert mapped({"choice": "tie"}, order=(0, 1)).first_shown_first is True
    assert mapped({"choice": "tie"}, order=()).first_shown_first is None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["choice", "strength", "x"]), inner),
    )
)
def test_an_answer_of_any_shape_is_a_preference_or_none_and_never_an_error(answer):
    found = mapped(answer)
    assert found is None or found.outcome in ("first", "second", "tie", "neither")


def test_a_pair_across_two_prompts_or_of_three_candidates_is_no_preference():
    across = [PAIR[1], Candidacy(ordinal=1, completion=22, prompt=8)]
    three = [*PAIR, Candidacy(ordinal=2, completion=33, prompt=7)]
    assert mapped({"choice": "first"}, candidates=across) is None
    assert mapped({"choice": "first"}, candidates=three) is None


@pytest.mark.store
def test_an_answer_becomes_one_preference_and_its_outbox_row_goes(cast, make_task, vote):
    task = make_task()
    annotation = vote(task, cast.bob, "second", strength=3)
    assert project_outbox() == 1
    row = Preference.objects.get()
    first, second = task.candidates.all()
    assert (row.annotation, row.actor, row.outcome, row.strength) == (annotation, cast.bob, "second", 3)
    assert (row.first, row.second, row.prompt) == (first.completion, second.completion, task.prompt)
    assert row.first_shown_first == (annotation.display_order == [0, 1])
    assert row.created_at == annotation.created_at
    assert not Outbox.objects.filter(consumer="preferences").exists()


@pytest.mark.store
def test_news_told_twice_makes_no_second_preference(cast, make_task, vote):
    annotation = vote(make_task(), cast.bob, "first")
    Outbox.objects.create(consumer="preferences", topic="annotation.submitted", object_id=annotation.pk)
    assert project_outbox() == 2
    Outbox.objects.create(consumer="preferences", topic="annotation.submitted", object_id=annotation.pk)
    assert project_outbox() == 1
    assert Preference.objects.count() == 1


@pytest.mark.store
def test_a_row_that_commits_after_a_later_one_was_projected_is_not_passed_over(cast, make_task, vote):
    """Numbers are drawn before commits: row 1 may appear after row 2 is gone. A watermark would lose it."""
    early, late = vote(make_task(), cast.bob, "first"), vote(make_task(), cast.bob, "first")
    first_row = Outbox.objects.get(consumer="preferences", object_id=early.pk)
    number = first_row.pk
    first_row.delete()
    project_outbox()
    assert [row.annotation_id for row in Preference.objects.all()] == [late.pk]
    Outbox.objects.create(pk=number, consumer="preferences", topic="annotation.submitted", object_id=early.pk)
    project_outbox()
    assert Preference.objects.filter(annotation=early).exists()


@pytest.mark.store
@pytest.mark.parametrize("projected_between", [True, False])
def test_an_undone_answer_is_not_in_force(cast, make_task, vote, projected_between):
    annotation = vote(make_task(), cast.bob, "first")
    if projected_between:
        project_outbox()
    undo(actor=cast.bob, annotation=annotation)
    project_outbox()
    assert not Preference.objects.filter(withdrawn_at=None).exists()
    assert Preference.objects.count() == int(projected_between)


@pytest.mark.store
def test_an_undo_that_is_heard_of_before_the_answer_still_holds(cast, make_task, vote):
    annotation = vote(make_task(), cast.bob, "first")
    undo(actor=cast.bob, annotation=annotation)
    submitted = Outbox.objects.get(topic="annotation.submitted")
    submitted.delete()
    project_outbox()
    submitted.save(force_insert=True)
    project_outbox()
    assert not Preference.objects.filter(withdrawn_at=None).exists()


@pytest.mark.store
def test_after_an_undo_the_new_answer_is_the_one_in_force(cast, make_task, vote):
    task = make_task()
    undo(actor=cast.bob, annotation=vote(task, cast.bob, "first"))
    again = vote(task, cast.bob, "second")
    drain_outbox()
    assert [(row.annotation, row.outcome) for row in Preference.objects.filter(withdrawn_at=None)] == [
        (again, "second")
    ]


@pytest.mark.store
def test_a_retracted_answer_is_withdrawn_at_the_moment_of_its_retraction(cast, make_task, vote):
    annotation = vote(make_task(), cast.bob, "first")
    project_outbox()
    retract(actor=cast.mona, annotation=annotation, reason="a spammer")
    project_outbox()
    annotation.refresh_from_db()
    assert Preference.objects.get().withdrawn_at == annotation.withdrawal.created_at


@pytest.mark.store
def test_a_surplus_answer_never_projects(cast, make_task, vote):
    annotation = vote(make_task(), cast.bob, "first")
    Annotation.objects.filter(pk=annotation.pk).update(counted=False, surplus=True)
    project_outbox()
    rebuild_preferences(project=cast.project)
    assert not Preference.objects.exists()


@pytest.mark.store
def test_a_rebuild_puts_right_what_was_spoilt_and_keeps_the_rows(cast, make_task, vote):
    kept, undone = vote(make_task(), cast.bob, "first", strength=1), vote(make_task(), cast.bob, "second")
    project_outbox()
    before = list(Preference.objects.order_by("pk").values())
    Preference.objects.filter(annotation=kept).update(outcome="tie", strength=None)
    assert rebuild_preferences(project=cast.project) == 2
    assert list(Preference.objects.order_by("pk").values()) == before
    Annotation.objects.filter(pk=undone.pk).update(counted=False)
    assert rebuild_preferences(project=cast.project) == 1


@pytest.mark.store
def test_a_topic_nobody_here_knows_stays_and_blocks_nothing(cast, make_task, vote):
    strange = Outbox.objects.create(consumer="preferences", topic="annotation.sung", object_id=1)
    vote(make_task(), cast.bob, "first")
    drain_outbox()
    assert list(Outbox.objects.filter(consumer="preferences")) == [strange]
    assert Preference.objects.count() == 1


@pytest.mark.store
def test_the_tick_projects(cast, make_task, vote):
    vote(make_task(), cast.bob, "first")
    assert "feedback.project_outbox" in run_due()
    assert Preference.objects.count() == 1


@pytest.mark.store
@pytest.mark.django_db(transaction=True)
def test_two_projectors_at_once_project_everything_once(cast, make_task, vote):
    for actor in make_annotators(cast.project, 4):
        for _ in range(5):
            vote(make_task(), actor, "first")
    done: list[int] = []

    def project() -> None:
        try:
            while (count := project_outbox(limit=3)) or waiting().exists():
                done.append(count)
        finally:
            connection.close()

    threads = [threading.Thread(target=project) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(done) == 20
    assert Preference.objects.count() == 20
