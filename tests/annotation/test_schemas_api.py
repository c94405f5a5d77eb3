"""Schemas as a product: published in versions, checked, and tasks moved to a newer one."""

import threading
import uuid

import pytest
from django.db import connection, connections, transaction

from accounts.models import Event
from annotation.errors import SchemaChanged, SchemaOutdated
from annotation.models import Annotation, Schema, Slot, Task
from annotation.schema_templates import taken, template_of
from annotation.schema_text import write
from annotation.selectors.queue import get_slot_for, served
from annotation.services import slots
from annotation.services.adding import add_tasks
from annotation.services.schemas import move_tasks, publish_schema
from ground.errors import Conflict, Forbidden, Invalid
from tests.annotation.questions.asking import question

pytestmark = [pytest.mark.django_db, pytest.mark.store]
OPTIONS = [{"value": "a", "text": "A"}, {"value": "b", "text": "B"}]


def labels(*more, fields=("text",)):
    shown = [{"name": name, "text": name.title()} for name in fields]
    return {"schema_version": 1, "fields": shown, "questions": [{**question("labels"), "options": [*OPTIONS, *more]}]}


NEWER = labels({"value": "c", "text": "C"})


@pytest.fixture
def paths(cast):
    return f"/api/v1/projects/{cast.project.slug}"


@pytest.fixture
def old(cast):
    return publish_schema(actor=cast.mona, name="topic", body=labels())[0]


def tasks_of(cast, schema, *texts):
    rows = [{"data": {"text": text}, "external_id": text} for text in texts]
    results = add_tasks(actor=cast.mona, schema=schema, rows=rows)
    return [Task.objects.get(public_id=result.id) for result in results]


def answer(claim, actor, labels, **more):
    slot = Slot.objects.select_related("task__queue").get(pk=claim.slot_id)
    answers = {"q": {"labels": labels}}
    return slots.submit_answer(
        actor=actor, slot=slot, token=claim.token, key=uuid.uuid4().hex, answers=answers, **more
    )[0]


def test_a_changed_body_is_a_new_version_and_the_same_body_the_same(cast, old):
    again, made = publish_schema(actor=cast.mona, name="topic", body=labels())
    assert (again.pk, made) == (old.pk, False)
    newer, made = publish_schema(actor=cast.mona, name="topic", body=NEWER, based_on=old.public_id)
    assert (newer.version, made) == (2, True)
    assert list(Event.objects.filter(verb="schema.published").values_list("object_id", flat=True)) == [
        old.public_id,
        newer.public_id,
    ]


def test_a_base_that_is_not_the_newest_is_told_and_nothing_is_published(cast, old):
    newer, _made = publish_schema(actor=cast.mona, name="topic", body=NEWER)
    other = labels({"value": "d", "text": "D"})
    for base in (old.public_id, ""):
        with pytest.raises(SchemaOutdated, match="Version 2 of topic was published meanwhile") as caught:
            publish_schema(actor=cast.mona, name="topic", body=other, based_on=base)
        assert caught.value.extra == {"schema": newer.public_id}
    assert Schema.objects.count() == 2


def test_a_wrong_body_is_refused_with_every_path(cast):
    wrong = {"questions": [question("labels"), {**question("rating"), "name": "r"}]}
    with pytest.raises(Invalid, match=r"questions\[0\]\.options: .* \(and 1 more\)") as caught:
        publish_schema(actor=cast.mona, name="topic", body=wrong)
    assert [one["path"] for one in caught.value.extra["errors"]] == ["questions[0].options", "questions[1].aspects"]


@pytest.mark.parametrize("name", ["", "with space", "é", "x" * 81, None])
def test_a_name_is_a_short_plain_word(cast, name):
    with pytest.raises(Invalid, match="A name has"):
        publish_schema(actor=cast.mona, name=name, body=labels())


def test_only_managers_publish(cast):
    with pytest.raises(Forbidden):
        publish_schema(actor=cast.bob, name="topic", body=labels())


def test_only_unanswered_tasks_that_fit_move(cast, old):
    """Of four: one answered, one without the field the new version shows, one archived, one moves."""
    first, unfit, gone, free = tasks_of(cast, old, "one", "two", "three", "four")
    Task.objects.filter(pk__in=[first.pk, gone.pk, free.pk]).update(
        data={"schema_version": 1, "text": "t", "more": "m"}
    )
    Task.objects.filter(pk=gone.pk).update(state=Task.State.ARCHIVED)
    claim = slots.take_next(actor=cast.bob)
    assert claim.task_id == first.pk
    slots.undo(actor=cast.bob, annotation=answer(claim, cast.bob, ["a"]))
    newer, _made = publish_schema(actor=cast.mona, name="topic", body=labels(fields=("text", "more")))
    moved = move_tasks(actor=cast.mona, from_schema=old, to_schema=newer)
    assert (moved.moved, moved.answered, moved.unfit, moved.gold, moved.more) == (1, 1, 1, 0, False)
    assert moved.reasons == [{"task": unfit.public_id, "message": "data.more: needs a text"}]
    assert list(Task.objects.filter(schema=newer)) == [free]
    assert Event.objects.get(verb="schema.tasks_moved").data == {"from": "topic v1", "to": "topic v2", "moved": 1}


def test_tasks_move_only_forward_under_one_name(cast, old):
    newer, _made = publish_schema(actor=cast.mona, name="topic", body=NEWER)
    other, _made = publish_schema(actor=cast.mona, name="other", body=NEWER)
    for source, target in ((newer, old), (old, old), (old, other)):
        with pytest.raises(Conflict, match="from a version of a schema to a newer one"):
            move_tasks(actor=cast.mona, from_schema=source, to_schema=target)


def test_pairs_do_not_move_under_a_version_that_wants_fields_only(cast, make_tasks):
    make_tasks(1)
    pairs = Schema.objects.get(name="pairwise")
    newer, _made = publish_schema(actor=cast.mona, name="pairwise", body={"questions": [question("ranking")]})
    assert move_tasks(actor=cast.mona, from_schema=pairs, to_schema=newer).moved == 1
    single = {"questions": [question("correction", of="candidate")]}
    last, _made = publish_schema(actor=cast.mona, name="pairwise", body=single)
    moved = move_tasks(actor=cast.mona, from_schema=newer, to_schema=last)
    assert moved.reasons[0]["message"] == "It needs 1 to 1 responses and has 2."


def test_a_version_that_is_sensitive_takes_its_tasks_into_sensitive_lanes(cast, old):
    [task] = tasks_of(cast, old, "one")
    newer, _made = publish_schema(actor=cast.mona, name="topic", body={**labels(), "sensitive": True})
    move_tasks(actor=cast.mona, from_schema=old, to_schema=newer)
    assert [slot.lane.sensitive for slot in task.slots.all()] == [True]


def test_an_answer_to_a_task_that_moved_while_open_is_told_and_the_new_questions_can_be_answered(cast, old):
    tasks_of(cast, old, "one")
    claim = slots.take_next(actor=cast.bob)
    newer, _made = publish_schema(actor=cast.mona, name="topic", body=NEWER)
    move_tasks(actor=cast.mona, from_schema=old, to_schema=newer)
    with pytest.raises(SchemaChanged):
        answer(claim, cast.bob, ["a"], schema=old.public_id)
    assert not Annotation.objects.exists()
    slot = get_slot_for(cast.bob, served(cast.bob, claim).id)
    again = slots.heartbeat(actor=cast.bob, slot=slot, token=claim.token)
    assert served(cast.bob, again).schema == newer.public_id
    said = answer(again, cast.bob, ["c"], schema=newer.public_id)
    assert (said.counted, said.task.state) == (True, Task.State.OPEN)
    assert Task.objects.get().state == Task.State.COMPLETE


def test_an_answer_that_names_no_schema_is_checked_under_the_current_one(cast, old):
    tasks_of(cast, old, "one")
    claim = slots.take_next(actor=cast.bob)
    newer, _made = publish_schema(actor=cast.mona, name="topic", body=NEWER)
    move_tasks(actor=cast.mona, from_schema=old, to_schema=newer)
    assert answer(claim, cast.bob, ["c"]).counted


@pytest.mark.django_db(transaction=True)
def test_an_answer_on_its_way_while_its_task_moves_is_not_written_under_the_new_version(cast, old):
    """The answer was checked under the old version, then waits for the move's locks; when they are gone it is refused."""
    if connection.vendor != "postgresql":
        pytest.skip("one writer at a time")
    tasks_of(cast, old, "one")
    claim = slots.take_next(actor=cast.bob)
    newer, _made = publish_schema(actor=cast.mona, name="topic", body=NEWER)
    slot = get_slot_for(cast.bob, served(cast.bob, claim).id)
    told = []

    def submit():
        try:
            slots.submit_answer(actor=cast.bob, slot=slot, token=claim.token, key="k", answers={"q": {"labels": ["a"]}})
        except SchemaChanged as error:
            told.append(error.code)
        finally:
            connections.close_all()

    sending = threading.Thread(target=submit)
    with transaction.atomic():
        move_tasks(actor=cast.mona, from_schema=old, to_schema=newer)
        sending.start()
        sending.join(1)
        assert sending.is_alive()
    sending.join(20)
    assert told == ["schema_changed"]
    assert not Annotation.objects.exists()


def test_schemas_by_http(cast, api, paths):
    mona = api(cast.mona)
    made = mona.post(f"{paths}/schemas", {"name": "topic", "body": labels()})
    assert (made.status_code, made.json()["version"], made.json()["latest"]) == (201, 1, True)
    assert mona.post(f"{paths}/schemas", {"name": "topic", "body": labels()}).status_code == 200
    text = write({"name": "topic", "body": NEWER, "based_on": made.json()["id"]}, "yaml")
    newer = mona.post(f"{paths}/schemas", text, content_type="application/yaml")
    assert newer.json()["version"] == 2, newer.content
    assert newer.json()["body"] == NEWER
    assert newer.json()["needs"] == {"prompt": False, "responses": [0, 0]}
    listed = api(cast.bob).get(f"{paths}/schemas").json()["results"]
    assert [(one["version"], one["latest"], one["kinds"]) for one in listed] == [
        (2, True, ["labels"]),
        (1, False, ["labels"]),
    ]
    assert api(cast.bob).get(f"{paths}/schemas/{made.json()['id']}").json()["latest"] is False
    moved = mona.post(f"{paths}/schemas/{made.json()['id']}:move-tasks", {"to": newer.json()["id"]})
    assert moved.json() == {"moved": 0, "answered": 0, "gold": 0, "unfit": 0, "reasons": [], "more": False}
    outdated = mona.post(f"{paths}/schemas", {"name": "topic", "body": labels(), "based_on": made.json()["id"]})
    assert (outdated.status_code, outdated.json()["code"]) == (409, "schema_outdated")
    assert api(cast.bob).post(f"{paths}/schemas", {"name": "x", "body": labels()}).status_code == 403
    assert api(cast.mallory).get(f"{paths}/schemas").status_code == 404


def test_a_check_tells_everything_and_stores_nothing(cast, api, paths):
    mona = api(cast.mona)
    found = mona.post(f"{paths}/schemas:check", {"body": {"questions": [question("labels"), 3]}}).json()
    assert [one["path"] for one in found["errors"]] == ["questions[0].options", "questions[1]"]
    assert mona.post(f"{paths}/schemas:check", {"body": labels()}).json() == {
        "ok": True,
        "errors": [],
        "warnings": [],
        "needs": {"prompt": False, "responses": [0, 0]},
    }
    wrong = mona.post(f"{paths}/schemas:check", "body: [", content_type="application/yaml")
    assert wrong.status_code == 400
    assert "not YAML: line 1" in wrong.json()["detail"]
    assert mona.post(f"{paths}/schemas:check", b"body: \xff", content_type="application/yaml").status_code == 400
    assert not Schema.objects.exists()


def test_templates_are_listed_and_can_be_published_as_they_are(cast, api, paths):
    mona = api(cast.mona)
    found = mona.get("/api/v1/schema-templates").json()
    assert found[0]["name"] == "preference"
    for template in found:
        sent = {"name": template["name"], "body": template["body"]}
        assert mona.post(f"{paths}/schemas", sent).status_code == 201, template["name"]


def test_a_templates_sample_becomes_a_task(cast):
    found = taken(template_of("cited_answer"))
    schema, _made = publish_schema(actor=cast.mona, name="cited", body=found["body"])
    [result] = add_tasks(actor=cast.mona, schema=schema, rows=[{"data": found["sample"]["data"]}])
    assert result.status == "created", result.error
