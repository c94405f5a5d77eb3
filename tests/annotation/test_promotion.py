"""Gold written by managers, and taken from what people agreed on."""

import pytest

from annotation.display import order_for
from annotation.models import Annotation, GoldKey, Queue, Task
from annotation.router import main_queue
from annotation.scoring import consensus, likeness, observed_agreement
from annotation.selectors.gold import gold_of, is_doubtful, promotable
from annotation.services import gold, slots
from annotation.services.gold_keys import make_gold, make_pair_gold, promote
from ground.errors import Conflict, Forbidden, Invalid
from tests.annotation.gold import (
    RIGHT,
    WRONG,
    answer_gold,
    claim_of,
    labels,
    make_golds,
    make_texts,
    mixed_queue,
    say,
    text_schema,
)
from tests.factories import make_annotators, make_completion, make_prompt

pytestmark = [pytest.mark.store, pytest.mark.django_db]
ONE = [{"name": "tone", "kind": "labels", "multiple": False, "options": []}]
MANY = [{**ONE[0], "multiple": True}]
PAIR = [{"name": "better", "kind": "pairwise"}]


def tone(*found):
    return {"tone": {"labels": list(found)}}


def better(choice):
    return {"better": {"choice": choice}}


def test_likeness_of_labels_is_the_share_they_have_in_common():
    """{a, b} and {b, c}: one in common of three, 1/3."""
    assert likeness(MANY, tone("a", "b"), tone("b", "c")) == pytest.approx(1 / 3)
    assert likeness(MANY, tone(), tone()) == 1
    assert likeness(PAIR, better("first"), better("tie")) == 0
    assert likeness(PAIR, better("first"), {}) is None


def test_observed_agreement_is_the_mean_over_pairs():
    """a, a, b: of three pairs one agrees, 1/3. Four to one: 6 of 10 pairs."""
    assert observed_agreement(ONE, [tone("a"), tone("a"), tone("b")]) == pytest.approx(1 / 3)
    assert observed_agreement(PAIR, [better("first")] * 4 + [better("tie")]) == pytest.approx(0.6)
    assert observed_agreement(ONE, [tone("a")]) is None


def test_consensus_needs_more_than_half():
    """Of three, two. Of several labels those that more than half gave: a by all, b by two of three, c by one."""
    assert consensus(ONE, [tone("a"), tone("a"), tone("b")])["tone"]["labels"] == ["a"]
    assert consensus(ONE, [tone("a"), tone("b")]) is None
    assert consensus(MANY, [tone("a", "b"), tone("a", "b"), tone("a", "c")])["tone"]["labels"] == ["a", "b"]
    assert consensus(PAIR, [better("tie"), better("tie"), better("first")])["better"]["choice"] == "tie"
    assert consensus(PAIR, [better("tie"), better("first")]) is None
    assert consensus(PAIR, []) is None


@pytest.fixture
def agreed(cast):
    """A task that three people, Bob among them, called kind."""
    [task] = make_texts(cast.project, 1, overlap=3)
    for person in (cast.bob, *make_annotators(cast.project, 2)):
        say(person, claim_of(person), RIGHT)
    task.refresh_from_db()
    return task


def test_a_task_people_agree_on_becomes_gold_once(cast, agreed):
    assert [task.pk for task in promotable(cast.project)] == [agreed.pk]
    copy = promote(actor=cast.mona, task=agreed)
    key = GoldKey.objects.get(task=copy)
    assert (key.answers["labels"]["labels"], key.source, key.promoted_from) == ([RIGHT], "consensus", agreed)
    assert (copy.data, copy.schema, copy.queue, copy.evaluation_id) == (agreed.data, agreed.schema, agreed.queue, None)
    assert promotable(cast.project) == []
    with pytest.raises(Conflict):
        promote(actor=cast.mona, task=agreed)


def test_whoever_met_the_original_never_gets_the_copy(cast, agreed):
    promote(actor=cast.mona, task=agreed)
    queue = main_queue(cast.project)
    assert gold.claim(cast.bob, queue) is None
    assert gold.claim(cast.carol, queue) is not None


def test_a_pair_is_promoted_with_its_responses_in_their_order(cast, make_tasks):
    [task] = make_tasks(1, overlap=3)
    for person in (cast.bob, cast.carol, cast.mona):
        claim = claim_of(person)
        shown_first = order_for(person, task)[0] == 0
        answers = {"preference": {"choice": "second" if shown_first else "first"}}
        slots.submit_answer(
            actor=person, slot=claim_slot(person, claim), token=claim.token, key="k", answers=answers
        )  # fmt: skip
    task.refresh_from_db()
    copy = promote(actor=cast.alice, task=task)
    assert copy.gold.answers["preference"]["choice"] == "second"
    texts = [list(row.candidates.values_list("completion", flat=True)) for row in (task, copy)]
    assert texts[0] == texts[1]


def claim_slot(person, claim):
    from tests.annotation.gold import slot_of

    return slot_of(person, claim)


def test_disagreement_makes_no_gold(cast):
    """Kind, kind, rude: one of three pairs agrees, less than 0.8."""
    [task] = make_texts(cast.project, 1, overlap=3)
    for person, said in zip((cast.bob, cast.carol, cast.mona), (RIGHT, RIGHT, WRONG), strict=True):
        say(person, claim_of(person), said)
    task.refresh_from_db()
    assert promotable(cast.project) == []
    with pytest.raises(Conflict):
        promote(actor=cast.alice, task=task)


def test_what_a_reviewer_settled_is_the_key(cast):
    """Two said kind and one rude; the reviewer said neither."""
    [task] = make_texts(cast.project, 1, overlap=3)
    for person, said in zip((cast.bob, cast.carol, cast.mona), (RIGHT, RIGHT, WRONG), strict=True):
        say(person, claim_of(person), said)
    task.refresh_from_db()
    Annotation.objects.create(
        project=cast.project, task=task, actor=cast.carol, key="settled", answers=labels("neither"), settlement=True
    )
    assert promote(actor=cast.alice, task=task).gold.answers["labels"]["labels"] == ["neither"]


def test_a_task_that_is_not_complete_makes_no_gold(cast):
    [task] = make_texts(cast.project, 1, overlap=3)
    with pytest.raises(Conflict):
        promote(actor=cast.mona, task=task)


@pytest.mark.parametrize(
    ("data", "answers", "path"),
    [
        ({}, labels(RIGHT), "data.text"),
        ({"text": "a", "more": "b"}, labels(RIGHT), "data"),
        ({"text": "a\x00"}, labels(RIGHT), "data.text"),
        ({"text": "\ud800"}, labels(RIGHT), "data.text"),
        ([], labels(RIGHT), "data"),
        ({"text": "a"}, labels("green"), "answers.labels"),
        ({"text": "a"}, {"other": {}}, "answers.other"),
        ({"text": "a"}, None, "answers"),
    ],
)
def test_gold_that_does_not_fit_its_schema_is_refused_by_name(cast, data, answers, path):
    with pytest.raises(Invalid) as refused:
        make_gold(
            actor=cast.mona,
            queue=main_queue(cast.project),
            schema=text_schema(cast.project),
            data=data,
            answers=answers,
        )
    assert path in refused.value.detail
    assert not Task.objects.exists()


def test_an_annotator_writes_no_gold(cast):
    with pytest.raises(Forbidden):
        make_gold(
            actor=cast.bob,
            queue=main_queue(cast.project),
            schema=text_schema(cast.project),
            data={"text": "a"},
            answers=labels(RIGHT),
        )


def test_a_pair_that_people_judge_now_is_no_gold_yet(cast, make_tasks):
    """Whoever met both would know which is which."""
    [task] = make_tasks(1)
    pair = tuple(row.completion for row in task.candidates.order_by("ordinal"))
    key = {"preference": {"choice": "first"}}
    with pytest.raises(Conflict):
        make_pair_gold(actor=cast.mona, queue=task.queue, pair=pair, answers=key)
    prompt = make_prompt(cast.project)
    fresh = (make_completion(prompt), make_completion(prompt))
    made = make_pair_gold(actor=cast.mona, queue=task.queue, pair=fresh, answers=key)
    assert (made.is_gold, made.schema, made.gold.answers["preference"]["choice"]) == (True, task.schema, "first")


def test_gold_that_most_people_miss_is_doubtful(cast):
    """Five answers, two right: 0.4."""
    queue: Queue = mixed_queue(cast.project)
    make_golds(cast, 1)
    for number, person in enumerate(make_annotators(cast.project, 5)):
        answer_gold(person, queue, RIGHT if number < 2 else WRONG)
    [task] = gold_of(cast.project)
    assert (task.tried, task.right, is_doubtful(task)) == (5, pytest.approx(0.4), True)
