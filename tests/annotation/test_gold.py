"""Gold is mixed in at a rate, scored once, and told from production by nobody."""

import re
from collections import Counter

import pytest
from django.conf import settings

from annotation.errors import NothingToUndo
from annotation.models import Annotation, GoldScore, Standing, Task
from annotation.selectors.gold import feedback_on
from annotation.selectors.queue import get_slot_for, served
from annotation.services import gold, slots
from annotation.services.gold_keys import retire
from ground.errors import NotFound
from jobs.models import Outbox
from tests.annotation.gold import (
    RIGHT,
    WRONG,
    Chance,
    answer_gold,
    claim_of,
    make_golds,
    make_texts,
    mixed_queue,
    say,
    slot_of,
)

pytestmark = [pytest.mark.store, pytest.mark.django_db]


@pytest.fixture
def always(monkeypatch):
    """Every draw comes out for gold."""
    monkeypatch.setattr(gold, "_chance", Chance(0.0))


def is_gold(claim):
    return Task.objects.get(pk=claim.task_id).is_gold


def test_gold_comes_at_the_rate_of_its_queue(cast, monkeypatch):
    """Drawn are 0.05, 0.15, 0.25 …, 0.95 in turn; below a rate of 0.2 lie two of the ten."""
    mixed_queue(cast.project, gold_rate=0.2)
    make_texts(cast.project, 20)
    make_golds(cast, 5)
    came = Counter()
    for step in range(10):
        monkeypatch.setattr(gold, "_chance", Chance(0.05 + step / 10))
        claim = claim_of(cast.bob)
        came[is_gold(claim)] += 1
        say(cast.bob, claim)
    assert came == {True: 2, False: 8}


def test_gold_comes_with_the_submit_that_asks_for_the_next_task(cast, always):
    mixed_queue(cast.project, gold_rate=0.2)
    make_texts(cast.project, 3)
    make_golds(cast, 1)
    first = claim_of(cast.bob)
    assert is_gold(first)
    _annotation, second = slots.submit_answer(
        actor=cast.bob, slot=slot_of(cast.bob, first), token=first.token, key="k", answers={"labels": {"labels": [RIGHT]}},
        then_next=True,
    )  # fmt: skip
    assert not is_gold(second), "all the gold there is was met"
    say(cast.bob, second)
    make_golds(cast, 1)
    third = claim_of(cast.bob)
    assert is_gold(third)


def test_where_no_work_waits_no_gold_comes(cast, always):
    mixed_queue(cast.project, gold_rate=1)
    make_golds(cast, 3)
    assert slots.take_next(actor=cast.bob) is None


@pytest.mark.parametrize("state", [1, 2], ids=["paused", "archived"])
def test_a_queue_that_stands_still_hands_out_no_gold(cast, always, state):
    queue = mixed_queue(cast.project, gold_rate=1, state=state)
    make_texts(cast.project, 2, queue=queue)
    make_golds(cast, 1, queue) if state == 1 else None
    assert slots.take_next(actor=cast.bob) is None


def test_nobody_meets_a_gold_task_twice_and_everybody_meets_it_once(cast, always):
    mixed_queue(cast.project, gold_rate=1)
    make_texts(cast.project, 5)
    [task] = make_golds(cast, 1)
    for person in (cast.bob, cast.carol):
        claims = [claim_of(person)]
        say(person, claims[0])
        claims.append(claim_of(person))
        assert [claim.task_id == task.pk for claim in claims] == [True, False]
    task.refresh_from_db()
    assert (task.done, task.overlap, task.state) == (2, 2, Task.State.OPEN)


def test_retired_gold_is_handed_out_no_more_and_counts_for_nobody(cast, always):
    queue = mixed_queue(cast.project, gold_rate=1)
    make_texts(cast.project, 2)
    [task] = make_golds(cast, 1)
    answer_gold(cast.bob, queue, WRONG)
    assert Standing.objects.get(actor=cast.bob).answered == 1
    retire(actor=cast.mona, task=task)
    assert Standing.objects.get(actor=cast.bob).answered == 0
    assert not is_gold(claim_of(cast.carol))


def test_an_answer_is_scored_by_its_likeness_to_the_key(cast):
    queue = mixed_queue(cast.project, gold_rate=0.5)
    make_golds(cast, 2)
    answer_gold(cast.bob, queue, RIGHT)
    answer_gold(cast.bob, queue, WRONG)
    assert list(GoldScore.objects.order_by("pk").values_list("score", flat=True)) == [1.0, 0.0]


def test_a_retried_submit_is_scored_once(cast):
    queue = mixed_queue(cast.project, gold_rate=0.5)
    make_golds(cast, 1)
    claim = gold.claim(cast.bob, queue)
    slot = slot_of(cast.bob, claim)
    sent = {"actor": cast.bob, "slot": slot, "token": claim.token, "key": "same"}
    for _ in range(2):
        slots.submit_answer(**sent, answers={"labels": {"labels": [WRONG]}})
    assert (Annotation.objects.count(), GoldScore.objects.count()) == (1, 1)
    assert Standing.objects.get(actor=cast.bob).answered == 1


def test_a_process_that_died_before_the_score_is_made_good_by_the_sweep(cast):
    queue = mixed_queue(cast.project, gold_rate=0.5)
    make_golds(cast, 1)
    answer_gold(cast.bob, queue, RIGHT)
    GoldScore.objects.all().delete()
    Standing.objects.all().delete()
    assert gold.score_missed() == 1
    assert gold.score_missed() == 0
    assert Standing.objects.get(actor=cast.bob).right == 1


def test_an_answer_taken_back_counts_no_more_and_the_next_one_does(cast):
    queue = mixed_queue(cast.project, gold_rate=0.5)
    make_golds(cast, 1)
    annotation = answer_gold(cast.bob, queue, WRONG)
    again = slots.undo(actor=cast.bob, annotation=annotation)
    assert Standing.objects.get(actor=cast.bob).answered == 0
    say(cast.bob, again, RIGHT)
    standing = Standing.objects.get(actor=cast.bob)
    assert (standing.right, standing.answered) == (1, 1)


def test_where_people_are_told_an_answer_to_gold_stays(cast):
    queue = mixed_queue(cast.project, gold_rate=0.5, gold_feedback=True)
    make_golds(cast, 1, explanation="The word *please* is kind.")
    annotation = answer_gold(cast.bob, queue, WRONG)
    told = feedback_on(Annotation.objects.get(pk=annotation.pk))
    assert (told.score, told.right_answers["labels"]["labels"]) == (0, [RIGHT])
    assert told.explanation == "The word *please* is kind."
    with pytest.raises(NothingToUndo):
        slots.undo(actor=cast.bob, annotation=Annotation.objects.get(pk=annotation.pk))


def test_where_people_are_not_told_nothing_is_said(cast):
    queue = mixed_queue(cast.project, gold_rate=0.5)
    make_golds(cast, 1)
    assert feedback_on(answer_gold(cast.bob, queue, WRONG)) is None


def test_gold_given_back_comes_again_as_any_other_task_does(cast, always):
    """Otherwise giving a task back would be a way to ask whether it is gold."""
    mixed_queue(cast.project, gold_rate=1)
    make_texts(cast.project, 3)
    make_golds(cast, 2)
    claim = claim_of(cast.bob)
    assert is_gold(claim)
    slots.release(actor=cast.bob, slot=slot_of(cast.bob, claim), token=claim.token)
    assert claim_of(cast.bob).task_id == claim.task_id


def test_a_skipped_gold_task_never_comes_back(cast, always):
    mixed_queue(cast.project, gold_rate=1)
    make_texts(cast.project, 3)
    make_golds(cast, 1)
    claim = claim_of(cast.bob)
    slots.skip(actor=cast.bob, slot=slot_of(cast.bob, claim), token=claim.token)
    assert not is_gold(claim_of(cast.bob))


def test_a_late_answer_to_gold_counts_as_a_late_answer_to_an_open_task_does(cast, stopped_clock):
    queue = mixed_queue(cast.project, gold_rate=0.5)
    make_golds(cast, 1)
    claim = gold.claim(cast.bob, queue)
    stopped_clock.advance(seconds=settings.SLOT_LEASE_SECONDS + 1)
    slots.expire_leases()
    stopped_clock.advance(seconds=settings.SLOT_PARK_SECONDS + 1)
    slots.expire_leases()
    annotation = say(cast.bob, claim, RIGHT)
    assert (annotation.counted, annotation.surplus) == (True, False)
    assert Standing.objects.get(actor=cast.bob).answered == 1


def shape_of(value):
    """A JSON value with every text, number and id taken out: what is left is what could tell two tasks apart."""
    if isinstance(value, dict):
        return {name: shape_of(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape_of(inner) for inner in value]
    words = re.sub(r"Gold|Text", "word", value) if isinstance(value, str) else value
    return re.sub(r"[0-9a-f]", "0", words) if isinstance(words, str) else value


def test_a_slot_of_gold_looks_like_any_other(cast, always, api):
    """Text for text, id for id: also after others had the gold task, and where the other task is at its third answer."""
    mixed_queue(cast.project, gold_rate=0.5)
    make_texts(cast.project, 1, overlap=3)
    make_golds(cast, 1)
    for person in (cast.mona, cast.carol):
        say(person, claim_of(person))
        say(person, claim_of(person))
    bob, found, holding = api(cast.bob), {}, []
    for _ in range(2):
        slot = bob.post(f"/api/v1/projects/{cast.project.slug}/queue:next", {"holding": holding}).json()
        holding.append(slot["id"])
        found[Task.objects.get(public_id=slot["task"]["id"]).is_gold] = slot
    assert set(found) == {True, False}
    assert shape_of(found[True]) == shape_of(found[False])
    assert len({slot["id"].rpartition("_")[2] for slot in found.values()}) == 1, "the number behind the id is the same"
    assert len({slot["task"]["id"][4:16] for slot in found.values()}) == 1, "the id says the same moment"


def test_the_page_shows_gold_as_any_other_task(cast, always, client):
    mixed_queue(cast.project, gold_rate=0.5)
    make_texts(cast.project, 1)
    make_golds(cast, 1)
    client.force_login(cast.bob.user)
    html = client.get(f"/p/{cast.project.slug}/label/").content.decode()
    articles = re.findall(r"<article .*?</article>", html, re.DOTALL)[:2]
    ids = [re.search(r'data-task="(\w+)"', article)[1] for article in articles]
    assert sorted(Task.objects.get(public_id=public_id).is_gold for public_id in ids) == [False, True]
    first, second = (shape_of(re.sub(r'"( hidden)?\s*>', '">', article)) for article in articles)
    assert first == second
    assert "gold" not in html.lower().replace("gold ", "")


def test_an_answer_to_gold_is_answered_like_any_other(cast, always, api):
    mixed_queue(cast.project, gold_rate=0.5)
    make_texts(cast.project, 1)
    make_golds(cast, 1)
    bob, answers = api(cast.bob), []
    for key in ("a", "b"):
        slot = bob.post(f"/api/v1/projects/{cast.project.slug}/queue:next", {}).json()
        body = {"lease": slot["lease"], "answers": {"labels": {"labels": [RIGHT]}}, "seconds": 2.0}
        done = bob.post(f"/api/v1/slots/{slot['id']}:submit", body, headers={"Idempotency-Key": key})
        answers.append(done.json())
    first, second = (Task.objects.get(public_id=answer["annotation"]["task"]) for answer in answers)
    assert (first.is_gold, second.is_gold) == (True, False)
    for answer in answers:
        answer["annotation"]["key"] = ""
    assert shape_of(answers[0]) == shape_of(answers[1])


def test_asking_for_a_slot_by_another_number_tells_nothing(cast, always):
    mixed_queue(cast.project, gold_rate=0.5)
    make_texts(cast.project, 1, overlap=2)
    make_golds(cast, 1)
    gold_claim = claim_of(cast.bob)
    plain = claim_of(cast.bob, holding=[gold_claim.slot_id])
    assert (is_gold(gold_claim), is_gold(plain)) == (True, False)
    for claim in (gold_claim, plain):
        bare = served(cast.bob, claim).id.rpartition("_")[0]
        assert get_slot_for(cast.bob, f"{bare}_7").pk == claim.slot_id
    with pytest.raises(NotFound):
        get_slot_for(cast.mallory, served(cast.bob, plain).id)


def test_gold_answers_leave_nothing_for_preferences(cast):
    queue = mixed_queue(cast.project, gold_rate=0.5)
    make_golds(cast, 1)
    answer_gold(cast.bob, queue, RIGHT)
    assert not Outbox.objects.exists()
