"""Notes, reading, sensitive tasks, skips taken back, answers replaced, one's own numbers."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError

from annotation.display import order_for
from annotation.errors import KeyReused, NothingToUndo
from annotation.models import (
    Annotation,
    Case,
    Exposure,
    Lane,
    PastLease,
    Ruling,
    Schema,
    SensitiveLimit,
    Skip,
    Slot,
    Task,
    Withdrawal,
)
from annotation.selectors import history, own_work, reading
from annotation.services import editing, guidelines, notes, sensitive, slots
from feedback.models import Preference
from feedback.services import drain_outbox
from ground import clock
from ground.errors import Conflict, Forbidden, Invalid, NotFound
from tests.e2e.asking import make_schema, make_task
from tests.factories import make_annotators

pytestmark = [pytest.mark.store, pytest.mark.django_db]


def answer(actor: Any, choice: str = "first", **more: Any) -> Annotation:
    """The actor answers its next task; `choice` names an ordinal, wherever that stood."""
    claim = slots.take_next(actor=actor)
    assert claim is not None
    slot = Slot.objects.select_related("task__schema", "task__project").get(pk=claim.slot_id)
    given = {"preference": {"choice": _shown(actor, slot.task, choice), **more}}
    said, _next = slots.submit_answer(
        actor=actor, slot=slot, token=claim.token, key=uuid.uuid4().hex, answers=given, seconds=4.0
    )
    return said


def _shown(actor: Any, task: Task, choice: str) -> str:
    turned = order_for(actor, task) == [1, 0]
    return {"first": "second", "second": "first"}.get(choice, choice) if turned else choice


def replaced(actor: Any, old: Annotation, choice: str, key: str = "") -> Annotation:
    given = {"preference": {"choice": _shown(actor, old.task, choice)}}
    row = history.get_own_answer(actor, old.public_id)
    return editing.replace_answer(actor=actor, annotation=row, key=key or uuid.uuid4().hex, answers=given, seconds=2.0)


# ---- notes


def test_a_retried_note_is_one_note(cast: Any) -> None:
    one = notes.write_note(actor=cast.bob, text="What of jokes?", key="k1")
    assert notes.write_note(actor=cast.bob, text="What of jokes?", key="k1") == one
    with pytest.raises(KeyReused):
        notes.write_note(actor=cast.bob, text="Something else", key="k1")


def test_only_one_manager_answers_and_no_annotator_does(cast: Any) -> None:
    note = notes.write_note(actor=cast.bob, text="What of jokes?", key="k1")
    with pytest.raises(Forbidden):
        notes.answer_note(actor=cast.bob, note=note, text="No jokes.")
    assert notes.answer_note(actor=cast.mona, note=note, text="No jokes.").answered_by == cast.mona
    with pytest.raises(Conflict):
        notes.answer_note(actor=cast.alice, note=note, text="Jokes.")
    assert notes.mark_seen(actor=cast.bob) == 1
    assert notes.mark_seen(actor=cast.bob) == 0


@pytest.mark.parametrize("text", ["", "   ", "x" * 10_001, "nul\x00"])
def test_a_note_says_something(cast: Any, text: str) -> None:
    with pytest.raises(Invalid):
        notes.write_note(actor=cast.bob, text=text, key="k")


# ---- guidelines


def test_what_changed_since_the_last_reading_is_told_by_section_and_word(cast: Any) -> None:
    first = guidelines.publish_guideline(actor=cast.mona, body="# Tone\nBe kind.\n# Facts\nCheck them.\n")
    assert reading.is_unread(cast.bob, first)
    guidelines.mark_read(actor=cast.bob, guideline=first)
    guidelines.mark_read(actor=cast.bob, guideline=first)
    assert reading.reading_of(cast.bob) == (first, None)
    guidelines.publish_guideline(
        actor=cast.mona, body="# Tone\nBe kind.\n# Facts\nCheck all of them.\n# Jokes\nNone.\n"
    )
    _current, changes = reading.reading_of(cast.bob)
    assert changes is not None
    assert changes.since == 1
    assert changes.sections == ["Facts", "Jokes"]
    assert "all of " in [piece.text for piece in changes.pieces if piece.kind == "come"]
    assert not [piece for piece in changes.pieces if piece.kind == "gone"]


def test_whoever_never_read_them_is_told_no_change(cast: Any) -> None:
    guideline = guidelines.publish_guideline(actor=cast.mona, body="Be kind.")
    assert reading.reading_of(cast.bob) == (guideline, None)


# ---- skips


def test_a_skip_is_taken_back_to_the_same_task(cast: Any, make_tasks: Any) -> None:
    make_tasks(1)
    claim = slots.take_next(actor=cast.bob)
    slot = Slot.objects.select_related("task").get(pk=claim.slot_id)
    slots.skip(actor=cast.bob, slot=slot, token=claim.token, reason="broken")
    again = slots.unskip(actor=cast.bob, slot=slot)
    assert again.task_id == claim.task_id
    slot.refresh_from_db()
    assert (slot.state, slot.actor, slot.lease_token) == (Slot.State.LEASED, cast.bob, again.token)
    assert not Skip.objects.exists()
    with pytest.raises(NothingToUndo):
        slots.unskip(actor=cast.bob, slot=slot)


def test_a_skip_stands_once_somebody_else_took_the_task(cast: Any, make_tasks: Any) -> None:
    make_tasks(1)
    claim = slots.take_next(actor=cast.bob)
    slot = Slot.objects.select_related("task").get(pk=claim.slot_id)
    slots.skip(actor=cast.bob, slot=slot, token=claim.token)
    assert slots.take_next(actor=make_annotators(cast.project, 1)[0]) is not None
    with pytest.raises(NothingToUndo, match="Somebody else"):
        slots.unskip(actor=cast.bob, slot=slot)
    assert Skip.objects.filter(actor=cast.bob).exists()


def test_a_skip_cannot_be_taken_back_once_a_late_answer_filled_a_place(cast: Any, make_tasks: Any) -> None:
    make_tasks(1, overlap=2)
    claim = slots.take_next(actor=cast.bob)
    slot = Slot.objects.select_related("task__schema", "task__project").get(pk=claim.slot_id)
    slots.skip(actor=cast.bob, slot=slot, token=claim.token)
    given = {"preference": {"choice": "tie"}}
    said, _next = slots.submit_answer(actor=cast.bob, slot=slot, token=claim.token, key="late", answers=given)
    assert said.counted
    with pytest.raises(NothingToUndo):
        slots.unskip(actor=cast.bob, slot=slot)


# ---- sensitive tasks

ASKED = {
    "name": "ok",
    "kind": "labels",
    "text": "Fine?",
    "options": [{"value": "yes", "text": "Yes"}, {"value": "no", "text": "No"}],
}
FIELDS = [{"name": "text", "text": "Text"}]


@pytest.fixture
def mixed(cast: Any) -> tuple[list[Task], list[Task]]:
    """Three harmless tasks and three that are sensitive, one of them by its data."""
    plain = make_schema(cast.project, ASKED, fields=FIELDS)
    hard = make_schema(cast.project, ASKED, fields=FIELDS, sensitive=True)
    harmless = [make_task(plain, data={"text": f"plain {n}"}) for n in range(3)]
    sharp = [make_task(hard, data={"text": f"hard {n}"}) for n in range(2)]
    sharp.append(make_task(plain, data={"text": "hard 2", "sensitive": "violence"}))
    return harmless, sharp


def handed(actor: Any, most: int = 10) -> list[int]:
    """The tasks the queue hands out, all held at once."""
    held: list[Any] = []
    while len(held) < most and (claim := slots.take_next(actor=actor, holding=[one.slot_id for one in held])):
        held.append(claim)
    return [claim.task_id for claim in held]


def test_sensitive_tasks_wait_in_lanes_of_their_own(cast: Any, mixed: Any) -> None:
    _harmless, sharp = mixed
    in_lanes = Slot.objects.filter(lane__in=Lane.objects.filter(sensitive=True)).values_list("task_id", flat=True)
    assert set(in_lanes) == {task.pk for task in sharp}


def test_everybody_gets_them_until_they_say_otherwise(cast: Any, mixed: Any) -> None:
    assert len(handed(cast.bob)) == 6
    assert Exposure.objects.filter(actor=cast.bob).count() == 3


def test_whoever_is_spared_gets_the_others(cast: Any, mixed: Any) -> None:
    harmless, sharp = mixed
    sensitive.choose(actor=cast.bob, spared=True)
    assert set(handed(cast.bob)) == {task.pk for task in harmless}
    assert set(handed(cast.carol)) == {task.pk for task in sharp}, "it is one person's choice"


def test_being_spared_gives_back_what_was_not_opened(cast: Any, mixed: Any) -> None:
    _harmless, sharp = mixed
    handed(cast.bob)
    sensitive.open_task(actor=cast.bob, task=sharp[0])
    sensitive.choose(actor=cast.bob, spared=True)
    kept = Slot.objects.filter(actor=cast.bob, state=Slot.State.LEASED, task__in=sharp)
    assert [slot.task_id for slot in kept] == [sharp[0].pk]


def test_after_the_limit_the_queue_serves_others_until_the_hour_is_over(
    cast: Any, mixed: Any, stopped_clock: Any
) -> None:
    harmless, sharp = mixed
    sensitive.set_limit(actor=cast.mona, per_hour=2, per_day=None)
    began = clock.now()
    first = handed(cast.bob)
    assert len(set(first) & {task.pk for task in sharp}) == 2
    assert {task.pk for task in harmless} <= set(first)
    standing = sensitive.standing_of(cast.bob)
    assert (standing.until, standing.seen, standing.limit, standing.span) == (began + timedelta(hours=1), 2, 2, "hour")
    stopped_clock.advance(minutes=61)
    assert sensitive.standing_of(cast.bob).serves


def test_one_given_back_unopened_is_no_exposure(cast: Any, mixed: Any) -> None:
    handed(cast.bob)
    held = Slot.objects.filter(actor=cast.bob, lane__sensitive=True).select_related("task__project").order_by("pk")
    opened, unopened = held[0], held[1]
    sensitive.open_task(actor=cast.bob, task=opened.task)
    for slot in (opened, unopened):
        slots.skip(actor=cast.bob, slot=slot, token=slot.lease_token, reason="upsetting")
    assert Exposure.objects.filter(actor=cast.bob, task=opened.task).exists()
    assert not Exposure.objects.filter(actor=cast.bob, task=unopened.task).exists()
    endings = PastLease.objects.filter(actor=cast.bob).values_list("ending", flat=True)
    assert set(endings) == {"upset"}, "what upsets is no skip in anybody's numbers"


def test_a_limit_is_a_managers_and_a_number(cast: Any) -> None:
    with pytest.raises(Forbidden):
        sensitive.set_limit(actor=cast.bob, per_hour=1, per_day=1)
    with pytest.raises(Invalid, match="per_day"):
        sensitive.set_limit(actor=cast.mona, per_hour=1, per_day=-1)
    assert not SensitiveLimit.objects.exists()


def test_a_limit_of_none_serves_none(cast: Any, mixed: Any) -> None:
    harmless, _sharp = mixed
    sensitive.set_limit(actor=cast.mona, per_hour=0, per_day=None)
    assert set(handed(cast.bob)) == {task.pk for task in harmless}


# ---- answers replaced


def test_a_replaced_answer_leaves_counts_and_slots_exact(cast: Any, make_tasks: Any) -> None:
    make_tasks(1, overlap=2)
    old = answer(cast.bob, "first")
    new = replaced(cast.bob, old, "second")
    old.refresh_from_db()
    task = Task.objects.get()
    assert (old.counted, new.counted, task.done) == (False, True, 1)
    assert (new.slot_id, new.seconds) == (old.slot_id, 6.0)
    withdrawal = Withdrawal.objects.get(annotation=old)
    assert (withdrawal.kind, withdrawal.replacement) == ("edit", new)
    assert Slot.objects.get(pk=new.slot_id).state == Slot.State.DONE
    assert new.answers["preference"]["choice"] == "second"


def test_the_preference_follows_the_replacement(cast: Any, make_tasks: Any) -> None:
    make_tasks(1)
    old = answer(cast.bob, "first")
    drain_outbox()
    assert Preference.objects.get(withdrawn_at=None).outcome == "first"
    new = replaced(cast.bob, old, "second")
    drain_outbox()
    standing = Preference.objects.get(withdrawn_at=None)
    assert (standing.annotation, standing.outcome) == (new, "second")
    assert Preference.objects.count() == 2


def test_a_retried_replacement_is_one(cast: Any, make_tasks: Any) -> None:
    make_tasks(1)
    old = answer(cast.bob)
    one = replaced(cast.bob, old, "tie", key="same")
    assert replaced(cast.bob, old, "tie", key="same") == one
    with pytest.raises(KeyReused):
        replaced(cast.bob, old, "second", key="same")
    assert Annotation.objects.count() == 2


def test_what_was_replaced_cannot_be_replaced_again(cast: Any, make_tasks: Any) -> None:
    make_tasks(1)
    old = answer(cast.bob)
    new = replaced(cast.bob, old, "tie")
    with pytest.raises(editing.Fixed):
        replaced(cast.bob, old, "second")
    assert replaced(cast.bob, new, "second").counted


@pytest.mark.parametrize("state", ["archived", "settled", "ruled", "undone"])
def test_a_settled_answer_stands(cast: Any, make_tasks: Any, state: str) -> None:
    make_tasks(1)
    said = answer(cast.bob)
    if state == "archived":
        Task.objects.update(state=Task.State.ARCHIVED)
    elif state == "settled":
        Task.objects.update(resolution=Task.Resolution.SETTLED)
    elif state == "ruled":
        case = Case.objects.create(project=cast.project, task=said.task, state=Case.State.SETTLED, reviewer=cast.carol)
        Ruling.objects.create(case=case, annotation=said, verdict="accept")
    else:
        slots.undo(actor=cast.bob, annotation=Annotation.objects.select_related("task", "slot").get(pk=said.pk))
    with pytest.raises(editing.Fixed):
        replaced(cast.bob, said, "tie")
    assert Annotation.objects.count() == 1


def test_nobody_replaces_anothers_answer(cast: Any, make_tasks: Any) -> None:
    make_tasks(1)
    said = answer(cast.bob)
    with pytest.raises(NotFound):
        editing.replace_answer(actor=cast.carol, annotation=said, key="k", answers={})
    with pytest.raises(NotFound):
        history.get_own_answer(cast.carol, said.public_id)


def test_the_database_refuses_an_edit_without_its_replacement(cast: Any, make_tasks: Any) -> None:
    make_tasks(1)
    said = answer(cast.bob)
    with pytest.raises(IntegrityError):
        Withdrawal.objects.create(annotation=said, actor=cast.bob, kind=Withdrawal.Kind.EDIT)


# ---- one's own answers


def test_own_answers_are_found_by_state_words_flag_and_day(cast: Any, make_tasks: Any) -> None:
    make_tasks(4)
    said = [
        answer(cast.bob, reason="Kettles boil."),
        answer(cast.bob, flags=["review"]),
        answer(cast.bob),
        answer(cast.bob),
    ]
    replaced(cast.bob, said[2], "tie")
    found = lambda **asked: [row.public_id for row in history.own_answers(cast.bob, history.asked_from(asked))]  # noqa: E731
    assert len(found()) == 5
    assert found(state="withdrawn") == [said[2].public_id]
    assert len(found(state="counted")) == 4
    assert found(flagged="1") == [said[1].public_id]
    assert found(text="kettles boil") == [said[0].public_id]
    assert found(until="2001-01-01") == []
    assert len(found(since="2001-01-01")) == 5
    assert list(history.own_answers(cast.carol, history.Asked())) == []


def test_pages_by_key_neither_repeat_nor_leave_out(cast: Any, make_tasks: Any) -> None:
    make_tasks(5)
    said = [answer(cast.bob).public_id for _ in range(5)]
    rows, seen, before = history.own_answers(cast.bob, history.Asked()), [], ""
    while True:
        page, before = history.page_of(rows, before=before, most=2)
        seen += [row.public_id for row in page]
        if not before:
            break
    assert seen == said[::-1]


@pytest.mark.parametrize("asked", [{"state": "lost"}, {"since": "yesterday"}, {"until": "2026-13-01"}])
def test_what_cannot_be_asked_is_named(asked: dict[str, str]) -> None:
    with pytest.raises(Invalid, match=next(iter(asked))):
        history.asked_from(asked)


# ---- one's own numbers


def test_few_tasks_are_too_few_to_tell(cast: Any, make_tasks: Any) -> None:
    make_tasks(1, overlap=2)
    answer(cast.bob)
    answer(cast.carol)
    work = own_work.own_work(cast.bob)
    assert (work.answers, work.today, work.pace, work.agreement.n) == (1, 1, 4.0, 1)
    assert work.agreement.estimate is None
    assert work.gold is None


def test_agreement_is_the_mean_over_tasks_with_its_interval(cast: Any, make_tasks: Any) -> None:
    """Ten tasks, seven alike: 0.7, t interval with 9 degrees: 0.7 ± 2.262 · sqrt(0.21/9) = 0.354 to 1 (clipped)."""
    make_tasks(10, overlap=2)
    for _ in range(10):
        answer(cast.bob, "first")
    for place in range(10):
        claim = slots.take_next(actor=cast.carol)
        slot = Slot.objects.select_related("task__schema", "task__project").get(pk=claim.slot_id)
        given = {"preference": {"choice": _shown(cast.carol, slot.task, "first" if place < 7 else "second")}}
        slots.submit_answer(actor=cast.carol, slot=slot, token=claim.token, key=f"c{place}", answers=given)
    agreement = own_work.own_work(cast.bob).agreement
    assert agreement.n == 10
    assert agreement.estimate == pytest.approx(0.7)
    assert agreement.low == pytest.approx(0.7 - 2.262157 * (0.21 / 9) ** 0.5, abs=1e-4)
    assert agreement.high == 1.0


def test_a_skip_that_upsets_changes_no_number(cast: Any, make_tasks: Any) -> None:
    make_tasks(2)
    before = own_work.own_work(cast.bob)
    claim = slots.take_next(actor=cast.bob)
    slots.skip(actor=cast.bob, slot=Slot.objects.get(pk=claim.slot_id), token=claim.token, reason="upsetting")
    assert own_work.own_work(cast.bob) == before
    assert Schema.objects.exists()
