"""The data browser: every filter, every order, pages that hold everything once, words that are found."""

import random

import pytest
from django.db import connection

from annotation import browsing, searching
from annotation.browsing import SORTS, Browser, check_query, matching
from annotation.filing import open_slots
from annotation.filters import passes
from annotation.models import Annotation, Batch, Task, TaskText
from annotation.router import Router
from annotation.schemas import labels_schema
from annotation.services import slots
from annotation.services.tasks import current_schema
from ground.errors import Invalid

pytestmark = [pytest.mark.django_db, pytest.mark.store]


@pytest.fixture
def make(cast):
    """`make(3, priority=9)`: tasks with texts of their own, filed and open."""

    def made(count=1, text="", **fields):
        schema = current_schema(cast.project, "topic", labels_schema(text="?", options=["a", "b"]))
        router = Router(cast.project)
        tasks = [
            Task(
                project=cast.project,
                schema=schema,
                queue=router.main,
                data={"schema_version": 1, "text": text or f"number {n}"},
                **fields,
            )
            for n in range(count)
        ]
        Task.objects.bulk_create(tasks)
        open_slots(router, tasks)
        return tasks

    return made


def walk(project, query=None, sort="-id", size=7, between=None, back=False):
    """Every page to the end; `between` is called after each."""
    browser = Browser(project, check_query(query or {"all": []}), sort)
    found, cursor = [], ""
    for _ in range(200):
        page = browser.page(**({"before": cursor} if back and cursor else {"after": cursor}), size=size)
        found.append([task.pk for task in page.tasks])
        cursor = page.previous if back else page.next
        if between:
            between()
        if not cursor:
            return found
    raise AssertionError("no end")


def flat(pages):
    return [key for page in pages for key in page]


def found_by(project, *conditions, search=""):
    query = check_query(
        {"all": [dict(zip(("field", "op", "value"), c, strict=True)) for c in conditions], "search": search}
    )
    return set(matching(project, query).values_list("pk", flat=True))


@pytest.mark.parametrize("sort", SORTS)
def test_pages_hold_every_task_once_in_order(cast, make, sort):
    """20 tasks with 3 priorities; agreement and score on 12 of them."""
    rng = random.Random(7)
    tasks = make(20)
    for place, task in enumerate(tasks):
        task.priority = rng.choice([1, 5, 9])
        task.agreement, task.score = (rng.choice([0.25, 0.5, 1 / 3]), rng.random()) if place < 12 else (None, None)
    Task.objects.bulk_update(tasks, ["priority", "agreement", "score"])
    column = sort.removeprefix("-")
    known = [task for task in tasks if column == "id" or getattr(task, column) is not None]
    known.sort(key=lambda task: (0 if column == "id" else getattr(task, column), task.pk), reverse=sort.startswith("-"))
    pages = walk(cast.project, sort=sort)
    assert flat(pages) == [task.pk for task in known]
    filtered = walk(cast.project, {"all": [{"field": "overlap", "op": "eq", "value": 1}]}, sort)
    assert filtered == pages


def test_pages_stay_whole_while_tasks_come_in(cast, make):
    old = [task.pk for task in make(20)]
    seen = flat(walk(cast.project, between=lambda: make(3)))
    assert seen == sorted(old, reverse=True)
    forward = flat(walk(cast.project, sort="id", size=20, between=None))
    assert forward == sorted(Task.objects.values_list("pk", flat=True))


def test_the_page_before_is_the_one_that_was_left(cast, make):
    make(20)
    for query in ({"all": []}, {"all": [{"field": "state", "op": "eq", "value": "open"}]}):
        browser = Browser(cast.project, check_query(query))
        first = browser.page(size=6)
        second = browser.page(after=first.next, size=6)
        third = browser.page(after=second.next, size=6)
        assert [t.pk for t in browser.page(before=third.previous, size=6).tasks] == [t.pk for t in second.tasks]
        back = browser.page(before=second.previous, size=6)
        assert [t.pk for t in back.tasks] == [t.pk for t in first.tasks]
        assert first.previous == back.previous == ""
        assert back.next == first.next


def test_a_page_whose_time_is_up_says_how_far_it_looked(cast, make, monkeypatch):
    """Windows of 4 and no patience: of 20 tasks only the oldest has priority 9, so five looks find it."""
    make(1, priority=9)
    make(19)
    monkeypatch.setattr(browsing, "WINDOW", 4)
    monkeypatch.setattr(browsing, "PATIENCE_SECONDS", -1)
    query = {"all": [{"field": "priority", "op": "eq", "value": 9}]}
    pages = walk(cast.project, query)
    assert [len(page) for page in pages] == [0, 0, 0, 0, 1, 0][: len(pages)]
    assert flat(pages) == [Task.objects.earliest("pk").pk]
    assert Browser(cast.project, check_query(query)).page().partial


@pytest.mark.parametrize("cursor", ["x", "-1", "1_x", "9" * 30, "5_", "nan_3", "inf_3", "99_1", "_", "\x00"])
@pytest.mark.parametrize("sort", ["id", "-priority", "score"])
def test_a_cursor_of_nothing_is_refused(cast, sort, cursor):
    if sort == "score" and cursor == "99_1":
        return
    with pytest.raises(Invalid):
        Browser(cast.project, check_query({}), sort).page(after=cursor)


METADATA = [
    {},
    {"n": 1},
    {"n": 2.5},
    {"n": "2"},
    {"n": "zwei Ü"},
    {"n": None},
    {"n": [1, "zwei Ü"]},
    {"n": True},
    {"n": {"a": 1}},
]


@pytest.mark.parametrize(
    ("op", "value"),
    [
        ("eq", 1), ("eq", "2"), ("eq", None), ("eq", True), ("ne", 1), ("ne", None), ("in", [1, "2", 7]), ("lt", 2),
        ("lte", 2.5), ("gt", 1), ("gte", 2.5), ("lt", "z"), ("gte", "2"), ("contains", "zwei"), ("contains", "zwei Ü"),
        ("exists", True), ("exists", False),
    ],
)  # fmt: skip
def test_metadata_is_looked_up_as_queues_filter_it(cast, make, op, value):
    """The database finds what `filters.passes` lets through."""
    for metadata in METADATA:
        make(1, metadata=metadata)
    body = {"schema_version": 1, "all": [{"field": "metadata.n", "op": op, "value": value}]}
    expected = {task.pk for task in Task.objects.all() if passes(body, {"metadata": task.metadata})}
    if (op, value) == ("contains", "zwei"):
        expected = {task.pk for task in Task.objects.all() if task.metadata.get("n") == "zwei Ü"}
    assert found_by(cast.project, ("metadata.n", op, value)) == expected


def test_a_metadata_key_may_be_called_anything(cast, make):
    quoted = [] if connection.vendor == "sqlite" else ['q"uote']  # SQLite's paths know no escaped quotation mark
    for key in (*quoted, "a__b", "per cent%s", "back\\slash", "a.b", "'", "ü"):
        [task] = make(1, metadata={key: "x"})
        assert found_by(cast.project, (f"metadata.{key}", "eq", "x")) == {task.pk}, key
        assert found_by(cast.project, (f"metadata.{key}", "gt", "a")) == {task.pk}, key


def test_columns_are_looked_up(cast, make):
    batch = Batch.objects.create(project=cast.project, name="spring")
    [plain] = make(1)
    [other] = make(1, batch=batch, external_id="x 1", priority=9, overlap=2, agreement=0.5, score=3.0)
    Task.objects.filter(pk=other.pk).update(state=Task.State.COMPLETE, resolution=Task.Resolution.WAITING, done=1)
    both = {plain.pk, other.pk}
    for conditions, expected in [
        ([("batch", "eq", "spring")], {other.pk}),
        ([("batch", "ne", "spring")], {plain.pk}),
        ([("batch", "exists", False)], {plain.pk}),
        ([("schema", "eq", "topic")], both),
        ([("queue", "in", ["main", "none"])], both),
        ([("state", "eq", "complete")], {other.pk}),
        ([("state", "ne", "complete")], {plain.pk}),
        ([("resolution", "in", ["waiting", "settled"])], {other.pk}),
        ([("purpose", "eq", "gold")], set()),
        ([("external_id", "contains", "x")], {other.pk}),
        ([("external_id", "exists", False)], {plain.pk}),
        ([("priority", "gte", 6), ("overlap", "in", [2, 3])], {other.pk}),
        ([("done", "lt", 0.5)], {plain.pk}),
        ([("overlap", "eq", 1.5)], set()),
        ([("agreement", "lt", 0.6)], {other.pk}),
        ([("agreement", "exists", False)], {plain.pk}),
        ([("score", "ne", 3)], {plain.pk}),
    ]:
        assert found_by(cast.project, *conditions) == expected, conditions


def test_tasks_are_found_by_flags_and_by_who_answered(cast, make):
    tasks = make(3, overlap=2)
    for flags in ([], ["odd"], []):
        claimed = slots.take_next(actor=cast.bob)
        from annotation.selectors.queue import get_slot_for, served

        row = get_slot_for(cast.bob, served(cast.bob, claimed).id)
        answers = {"labels": {"labels": ["a"], "reason": '"flags": ["', "flags": flags}}
        slots.submit_answer(actor=cast.bob, slot=row, token=claimed.token, key=f"k{row.pk}", answers=answers, seconds=1)
    assert Annotation.objects.count() == 3
    assert len(found_by(cast.project, ("flagged", "exists", True))) == 1
    assert len(found_by(cast.project, ("flagged", "exists", False))) == 2
    assert found_by(cast.project, ("answered_by", "eq", cast.bob.public_id)) == {task.pk for task in tasks}
    assert found_by(cast.project, ("answered_by", "eq", cast.carol.public_id)) == set()


@pytest.mark.parametrize(
    "query",
    [
        None, [], {"all": 1}, {"all": [1]}, {"where": []}, {"ids": []}, {"ids": [1]}, {"ids": ["\x00"]}, {"ids": ["a"], "all": []},
        {"search": 1}, {"search": "x" * 201}, {"all": [{"field": "priority", "op": "eq", "value": 10**30}]},
        {"all": [{"field": "priority", "op": "eq", "value": "5"}]}, {"all": [{"field": "priority", "op": "exists", "value": True}]},
        {"all": [{"field": "state", "op": "eq", "value": "ajar"}]}, {"all": [{"field": "state", "op": "in", "value": [{}]}]},
        {"all": [{"field": "batch", "op": "eq", "value": 1}]}, {"all": [{"field": "batch", "op": "lt", "value": "a"}]},
        {"all": [{"field": "metadata.x", "op": "eq", "value": "\x00"}]},
        {"all": [{"field": "metadata.\x00", "op": "eq", "value": 1}]},
        {"all": [{"field": "flagged", "op": "eq", "value": True}]}, {"all": [{"field": "answered_by", "op": "eq", "value": 1}]},
        {"all": [{"field": "agreement", "op": "lt", "value": float("nan")}]}, {"all": [{"field": "id", "op": "eq", "value": 1}]},
        {"all": [{"field": "metadata.x", "op": "eq", "value": "\ud800"}]},
    ],
)  # fmt: skip
def test_a_query_that_asks_nonsense_is_refused(query):
    with pytest.raises(Invalid):
        check_query(query)


def index_all():
    while searching.index_words() or searching.sweep_words():
        pass


def test_words_are_found_once_they_are_indexed(cast, make, make_tasks):
    [german] = make(1, text="Der schnelle Fuchs läuft. 100% sicher!")
    [other] = make(1, text="a lazy dog", external_id="ext-77")
    [pair] = make_tasks(1)
    assert searching.not_searchable(cast.project) == 3
    assert found_by(cast.project, search="Fuchs") == set()
    index_all()
    assert searching.not_searchable(cast.project) == 0
    assert found_by(cast.project, search="fuchs LÄUFT") == {german.pk}
    assert found_by(cast.project, search="lazy fuchs") == set()
    assert found_by(cast.project, search="ext-77") == {other.pk}
    assert found_by(cast.project, search=pair.candidates.first().completion.text) >= {pair.pk}
    assert found_by(cast.project, search=pair.prompt.messages[0]["content"].split()[1].rstrip("?")) >= {pair.pk}
    for odd in ("'", '"', "& | ! ( )", "%", "_", "\\", "a:*", "--"):
        found_by(cast.project, search=odd)


def test_a_task_that_committed_late_is_indexed_by_the_sweep(cast, make):
    late, later = make(2, text="late bird")
    searching._index([later.pk])
    assert searching.newest_searchable() == later.pk
    index_all()
    assert set(TaskText.objects.values_list("pk", flat=True)) == {late.pk, later.pk}


def test_words_that_stand_everywhere_are_found_page_by_page(cast, make, monkeypatch):
    monkeypatch.setattr(searching, "MOST_FOUND", 5)
    wanted = [task.pk for task in make(12, text="common words")]
    make(4, text="other")
    index_all()
    assert flat(walk(cast.project, {"search": "common"})) == wanted[::-1]
    assert found_by(cast.project, search="common") == set(wanted)


def test_an_import_at_work_comes_before_the_words(cast, make, monkeypatch):
    monkeypatch.setattr(searching, "PIECE", 2)
    monkeypatch.setattr(searching, "_importing", lambda: True)
    make(5)
    assert searching.index_words() == 2


def test_counts_are_exact_when_small_and_bounded_when_not(cast, make, monkeypatch):
    make(8, priority=9)
    make(6)
    everything, some = check_query({}), check_query({"all": [{"field": "priority", "op": "eq", "value": 9}]})
    assert str(Browser(cast.project, everything).count()) == "14"
    assert str(Browser(cast.project, some).count()) == "8"
    monkeypatch.setattr(browsing, "COUNT_WINDOW", 10)
    assert str(Browser(cast.project, some).count()) == "4 of the newest 10"
    monkeypatch.setattr(browsing, "COUNTED", 5)
    assert str(Browser(cast.project, everything).count()) == "more than 5"


def test_another_project_shows_nothing(cast, make):
    make(2)
    assert Browser(cast.mallory.project, check_query({})).page().tasks == []
