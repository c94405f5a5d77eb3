"""In which order slots are handed out, by the real claim."""

import pytest

from annotation.models import Group, GroupMember, Lane, Queue, QueueReset, Slot
from annotation.router import main_queue
from annotation.services import slots
from annotation.services.tasks import assign, set_priority, set_scores
from ground import clock
from ground.errors import Invalid, NotFound
from tests.annotation.test_queue import answer, claim_of
from tests.factories import make_annotators

pytestmark = [pytest.mark.store, pytest.mark.django_db]


def order_main(project, **settings):
    main = main_queue(project)
    for name, value in settings.items():
        setattr(main, name, value)
    main.save()
    return main


def taken_by(actor, most=99):
    """The tasks this actor is given, in order, each answered before the next is asked for."""
    seen = []
    while len(seen) < most and (claim := slots.take_next(actor=actor)) is not None:
        seen.append(claim.task_id)
        answer(actor, claim)
    return seen


def just_looked(actor):
    """Marks went back to the start this very minute, so they do not again."""
    QueueReset.objects.create(actor=actor, at=clock.now())


def keys(tasks):
    return [task.pk for task in tasks]


def test_tasks_come_in_the_order_of_their_arrival(cast, make_tasks):
    made = make_tasks(2) + make_tasks(3)
    assert taken_by(cast.bob) == keys(made)


def test_depth_first_completes_a_task_before_the_next_begins(cast, make_tasks):
    """2 tasks at overlap 2, two people in turn: breadth first would give 1 2 2 1; depth first gives both the first task."""
    order_main(cast.project, breadth_first=False)
    first, second = make_tasks(2, overlap=2)
    one, two = make_annotators(cast.project, 2)
    seen = []
    for actor in (one, two, one, two):
        claim = claim_of(actor)
        seen.append(claim.task_id)
        answer(actor, claim)
    assert seen == [first.pk, first.pk, second.pk, second.pk]


def test_random_order_is_drawn_once_and_stays(cast, make_tasks):
    """20 tasks come in their order of arrival by chance once in 20! times. What was drawn is stored, so no restart draws anew."""
    order_main(cast.project, order=Queue.Order.RANDOM)
    made = keys(make_tasks(20))
    drawn = list(Slot.objects.order_by("seq").values_list("task_id", flat=True))
    assert sorted(drawn) == sorted(made)
    assert drawn != made
    assert taken_by(cast.bob) == drawn


def test_what_is_added_to_a_random_queue_is_found_in_front_of_a_mark_too(cast, make_tasks):
    """Bob's mark stands at the last of 10; of 20 more some land before it, and he is given all the same, without looking anew."""
    just_looked(cast.bob)
    order_main(cast.project, order=Queue.Order.RANDOM)
    make_tasks(10)
    assert len(taken_by(cast.bob, most=10)) == 10
    make_tasks(20)
    assert len(taken_by(cast.bob)) == 20


@pytest.mark.parametrize(
    ("values", "ascending"),
    [
        ([3, -1, 2.5, None, 0], [1, 4, 2, 0, 3]),
        (["2026-05-01", "1850-01-01", "2026-04-30T23:59:59Z", None], [1, 2, 0, 3]),
        (["2026-01-01T10:00:01", "2026-01-01T10:00:00", "2026-01-01T12:00:01+02:00"], [1, 0, 2]),
        (["Tier-3", "tier-1", "Älpler", "tier-2"], [2, 1, 3, 0]),
        ([10**400, 1e300, -(10**400), True], [2, 3, 0, 1]),
        ([[1], {"a": 1}, 5], [2, 0, 1]),
        (["0001-01-01", "9999-12-31", "日本"], [0, 2, 1]),
    ],
    ids=["numbers", "dates", "seconds", "texts", "huge", "no-values", "far"],
)
def test_metadata_orders_both_ways_and_what_has_no_value_comes_last(cast, make_tasks, values, ascending):
    """`ascending` names the values' places in the order expected; equal ones keep the order they came in."""
    for descending in (False, True):
        order_main(cast.project, order=Queue.Order.METADATA, order_key="rank", descending=descending)
        made = [make_tasks(1, metadata={} if value is None else {"rank": value})[0] for value in values]
        ranked = [
            place for place in ascending if values[place] is not None and not isinstance(values[place], list | dict)
        ]
        unranked = [place for place in ascending if place not in ranked]
        expected = (_turned(ranked, values) if descending else ranked) + unranked
        assert taken_by(cast.bob) == [made[place].pk for place in expected]


def _turned(ranked, values):
    """Descending, with equal values still in the order they came in."""
    same = {"2026-01-01T12:00:01+02:00": "2026-01-01T10:00:01"}
    groups = []
    for place in ranked:
        value = (
            same.get(values[place], values[place]) if isinstance(values[place], str) else float_or_inf(values[place])
        )
        if groups and groups[-1][0] == value:
            groups[-1][1].append(place)
        else:
            groups.append((value, [place]))
    return [place for _value, places in reversed(groups) for place in places]


def float_or_inf(value):
    return float("inf") if value > 3e38 else float("-inf") if value < -3e38 else float(value)


def test_the_greatest_score_comes_first_and_unscored_tasks_last(cast, make_tasks):
    order_main(cast.project, order=Queue.Order.SCORE)
    made = make_tasks(4)
    set_scores(actor=cast.mona, scores={made[0].public_id: -1.5, made[2].public_id: 0.25, made[3].public_id: 0.5})
    assert taken_by(cast.bob) == [made[3].pk, made[2].pk, made[0].pk, made[1].pk]


def test_a_task_scored_anew_behind_somebodys_mark_is_served_next(cast, make_tasks):
    """Bob has taken the score 5 and stands behind it; what then becomes 9 is his next, before 4 and 3."""
    just_looked(cast.bob)
    order_main(cast.project, order=Queue.Order.SCORE)
    made = make_tasks(4)
    set_scores(actor=cast.mona, scores={task.public_id: 5.0 - place for place, task in enumerate(made)})
    assert taken_by(cast.bob, most=1) == [made[0].pk]
    set_scores(actor=cast.mona, scores={made[3].public_id: 9.0})
    assert taken_by(cast.bob) == [made[3].pk, made[1].pk, made[2].pk]


def test_the_same_score_again_moves_nothing(cast, make_tasks):
    order_main(cast.project, order=Queue.Order.SCORE)
    made = make_tasks(2)
    scores = {task.public_id: 1.0 for task in made}
    set_scores(actor=cast.mona, scores=scores)
    before = list(Slot.objects.order_by("pk").values_list("lane_id", "seq"))
    set_scores(actor=cast.mona, scores=scores)
    assert list(Slot.objects.order_by("pk").values_list("lane_id", "seq")) == before


def test_wrong_scores_change_nothing(cast, make_tasks):
    [task] = make_tasks(1)
    for scores in ({task.public_id: 1.0, "tsk_none": 2.0}, {task.public_id: float("nan")}):
        with pytest.raises(Invalid):
            set_scores(actor=cast.mona, scores=scores)
    task.refresh_from_db()
    assert task.score is None


def test_a_filter_routes_new_tasks_and_a_score_can_move_them_later(cast, make_tasks):
    sure = {"schema_version": 1, "all": [{"field": "score", "op": "gte", "value": 0.9}]}
    german = {"schema_version": 1, "all": [{"field": "metadata.language", "op": "eq", "value": "de"}]}
    first = Queue.objects.create(project=cast.project, name="sure", position=10, filter=sure)
    second = Queue.objects.create(project=cast.project, name="german", position=20, filter=german)
    [english], [de] = make_tasks(1, metadata={"language": "en"}), make_tasks(1, metadata={"language": "de"})
    assert [english.queue.name, de.queue.name] == ["main", "german"]
    assert slots.take_next(actor=cast.bob, queue=second).task_id == de.pk
    set_scores(actor=cast.mona, scores={english.public_id: 0.95})
    assert slots.take_next(actor=cast.carol, queue=first).task_id == english.pk


def test_true_is_not_one_for_a_filter(cast, make_tasks):
    condition = {"field": "metadata.checked", "op": "eq", "value": 1}
    Queue.objects.create(project=cast.project, name="one", position=1, filter={"schema_version": 1, "all": [condition]})
    assert make_tasks(1, metadata={"checked": True})[0].queue.name == "main"
    assert make_tasks(1, metadata={"checked": 1.0})[0].queue.name == "one"


def test_a_queue_before_another_is_served_first_whatever_the_priority(cast, make_tasks):
    german = {"schema_version": 1, "all": [{"field": "metadata.language", "op": "eq", "value": "de"}]}
    Queue.objects.create(project=cast.project, name="german", position=1, filter=german)
    [urgent] = make_tasks(1, priority=9)
    [de] = make_tasks(1, metadata={"language": "de"}, priority=0)
    assert taken_by(cast.bob) == [de.pk, urgent.pk]


def test_a_priority_given_later_moves_the_waiting_slots(cast, make_tasks):
    made = make_tasks(3, overlap=2)
    assert taken_by(cast.carol, most=1) == [made[0].pk]
    set_priority(actor=cast.mona, tasks=[made[2]], priority=9)
    assert taken_by(cast.bob, most=2) == [made[2].pk, made[1].pk]
    assert set_priority(actor=cast.mona, tasks=[made[2]], priority=9) == 1, (
        "the caller's row is stale; it moves nothing"
    )
    made[2].refresh_from_db()
    assert set_priority(actor=cast.mona, tasks=[made[2]], priority=9) == 0


def test_a_task_assigned_to_a_person_is_given_to_nobody_else_and_first(cast, make_tasks):
    made = make_tasks(2)
    assign(actor=cast.mona, tasks=[made[1]], pool_id=-cast.bob.pk)
    assert taken_by(cast.carol) == [made[0].pk]
    assert taken_by(cast.bob) == [made[1].pk]


def test_a_task_assigned_to_a_group_waits_for_its_members(cast, make_tasks):
    [task] = make_tasks(1)
    law = Group.objects.create(project=cast.project, name="law", kind=Group.Kind.SKILL)
    assign(actor=cast.mona, tasks=[task], pool_id=law.pk)
    assert slots.take_next(actor=cast.bob) is None
    GroupMember.objects.create(group=law, actor=cast.bob)
    assert claim_of(cast.bob).task_id == task.pk


def test_an_assignment_taken_back_opens_the_task_to_everybody(cast, make_tasks):
    [task] = make_tasks(1)
    assign(actor=cast.mona, tasks=[task], pool_id=-cast.carol.pk)
    task.refresh_from_db()
    assert assign(actor=cast.mona, tasks=[task]) == 1
    assert claim_of(cast.bob).task_id == task.pk


def test_nobody_assigns_to_another_project(cast, make_tasks):
    [task] = make_tasks(1)
    theirs = Group.objects.create(project=cast.mallory.project, name="theirs")
    for pool in (theirs.pk, -cast.mallory.pk, 10**12):
        with pytest.raises(NotFound):
            assign(actor=cast.mona, tasks=[task], pool_id=pool)
    assert assign(actor=cast.mallory, tasks=[task], pool_id=-cast.mallory.pk) == 0


def test_a_reserve_keeps_exactly_its_share_for_the_group(cast, make_tasks):
    """3 tasks at overlap 3, one slot of each for the group: three others fill two each, then find nothing; a member fills three."""
    law = Group.objects.create(project=cast.project, name="law")
    order_main(cast.project, reserved_group=law, reserved_slots=1)
    made = make_tasks(3, overlap=3)
    one, two, three, member = make_annotators(cast.project, 4)
    GroupMember.objects.create(group=law, actor=member)
    assert len(taken_by(one)) == 3
    assert len(taken_by(two)) == 3
    assert taken_by(three) == []
    assert taken_by(member) == keys(made)
    assert not Slot.objects.filter(state=Slot.State.OPEN).exists()


def test_a_member_of_the_group_takes_the_reserve_before_what_is_everybodys(cast, make_tasks):
    law = Group.objects.create(project=cast.project, name="law")
    order_main(cast.project, reserved_group=law, reserved_slots=1)
    make_tasks(1, overlap=3)
    GroupMember.objects.create(group=law, actor=cast.bob)
    claim = claim_of(cast.bob)
    assert Lane.objects.get(pk=Slot.objects.get(pk=claim.slot_id).lane_id).pool_id == law.pk


def test_a_slot_of_the_reserve_goes_back_to_it(cast, make_tasks):
    law = Group.objects.create(project=cast.project, name="law")
    order_main(cast.project, reserved_group=law, reserved_slots=1)
    make_tasks(1, overlap=2)
    GroupMember.objects.create(group=law, actor=cast.bob)
    claim = claim_of(cast.bob)
    slots.skip(actor=cast.bob, slot=slot_row(claim), token=claim.token)
    answer(cast.carol, claim_of(cast.carol))
    assert slots.take_next(actor=cast.mona) is None
    GroupMember.objects.create(group=law, actor=cast.mona)
    assert claim_of(cast.mona).task_id == claim.task_id


def slot_row(claim):
    return Slot.objects.select_related("task__project").get(pk=claim.slot_id)
