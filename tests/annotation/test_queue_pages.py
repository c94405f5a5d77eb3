"""The pages of queues, people and batches, by forms."""

import pytest
from django.urls import reverse

from annotation.forms.queues import conditions_from, text_of
from annotation.models import Batch, Group, Queue
from annotation.router import main_queue
from annotation.services.batches import create_batch
from annotation.services.queues import create_queue

pytestmark = pytest.mark.django_db

SETTINGS = {
    "name": "german", "position": "5", "filter": "metadata.language eq de\nscore gte 0.5\n", "group": "", "reserved_group": "",
    "reserved_slots": "0", "order": "metadata", "order_key": "rank", "breadth_first": "on", "gold_rate": "12.5",
    "judged_over": "20",
    "warn_below": "80", "pause_below": "60", "block_below": "", "qualifies_for": "", "pass_after": "10", "pass_share": "80",
    "review_below": "", "review_rate": "0", "review_flags": "on",
}  # fmt: skip


@pytest.fixture
def go(cast, client):
    """`go("queues")`: Mona at that page; with data it posts."""

    def to(name, *args, actor=None, **data):
        client.force_login((actor or cast.mona).user)
        url = reverse(name, args=[cast.project.slug, *args])
        return client.post(url, data["data"], follow=True) if "data" in data else client.get(url)

    return to


def test_a_queue_is_made_by_the_form_with_every_setting(cast, go):
    page = go("queue-new", data=SETTINGS)
    assert page.status_code == 200, page.content.decode()[:500]
    queue = Queue.objects.get(project=cast.project, name="german")
    assert queue.filter["all"] == [
        {"field": "metadata.language", "op": "eq", "value": "de"},
        {"field": "score", "op": "gte", "value": 0.5},
    ]
    assert (queue.gold_rate, queue.warn_below, queue.pause_below, queue.block_below) == (0.125, 0.8, 0.6, None)
    assert (queue.order, queue.order_key, queue.descending, queue.breadth_first) == ("metadata", "rank", False, True)


def test_the_form_shows_what_is_set_and_saving_it_unchanged_changes_nothing(cast, go):
    queue = create_queue(
        actor=cast.mona, name="german", filter=conditions_from(SETTINGS["filter"]), gold_rate=0.07, warn_below=0.55
    )
    form = go("queue-settings", queue.public_id).context["form"]
    data = {
        bound.html_name: bound.value() for bound in form if bound.value() is not None and bound.value() is not False
    }
    before = Queue.objects.filter(pk=queue.pk).values().get()
    assert go("queue-settings", queue.public_id, data=data).status_code == 200
    assert Queue.objects.filter(pk=queue.pk).values().get() == before


def test_the_main_queue_has_no_conditions_and_keeps_its_name(cast, go):
    main = main_queue(cast.project)
    page = go("queue-settings", main.public_id)
    assert "filter" not in page.context["form"].fields
    go("queue-settings", main.public_id, data=SETTINGS)
    main.refresh_from_db()
    assert (main.name, main.order, main.filter["all"]) == ("main", "metadata", [])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"filter": "metadata.language de"}, "Line 1"),
        ({"filter": "score gte 1\nsurprise eq 2"}, "Line 2"),
        ({"order_key": ""}, "order_key"),
        ({"pause_below": "90"}, "block_below"),
        ({"gold_rate": "200"}, "100"),
        ({"name": "main"}, "main"),
        ({"group": "grp_none"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_with_a_queue_is_said_where_it_was_written(go, wrong, said):
    page = go("queue-new", data={**SETTINGS, **wrong})
    assert page.status_code in (409, 422)
    assert said in page.content.decode()


@pytest.mark.parametrize(
    "value", ["de", "two words", 5, 0.25, True, None, ["a", 1], "5", "", " x", "true", '"', "line\nbreak"]
)
def test_a_condition_is_read_back_as_it_was(value):
    filter = {"schema_version": 1, "all": [{"field": "metadata.a", "op": "eq", "value": value}]}
    assert conditions_from(text_of(filter)) == filter


def test_queues_are_paused_resumed_and_archived_by_buttons(cast, go):
    queue = create_queue(actor=cast.mona, name="side")
    for action, state in (
        ("pause", Queue.State.PAUSED),
        ("resume", Queue.State.RUNNING),
        ("archive", Queue.State.ARCHIVED),
    ):
        assert go(f"queue-{action}", queue.public_id, data={}).status_code == 200
        queue.refresh_from_db()
        assert queue.state == state
    main = main_queue(cast.project)
    assert "cannot be archived" in go("queue-archive", main.public_id, data={}).content.decode()


def test_the_list_warns_of_a_queue_that_takes_nothing(cast, go):
    create_queue(actor=cast.mona, name="side")
    assert "no task is filed in it" in go("queues").content.decode()


def test_groups_are_made_filled_emptied_and_deleted(cast, go):
    assert "No groups yet" in go("groups").content.decode()
    go("group-new", data={"name": "law", "kind": "skill"})
    group = Group.objects.get(project=cast.project)
    assert go("group-new", data={"name": "law", "kind": "skill"}).status_code == 409
    go("group-add", group.public_id, data={"actor": cast.bob.public_id})
    assert list(group.members.values_list("actor", flat=True)) == [cast.bob.pk]
    assert "no such person" in go("group-add", group.public_id, data={"actor": "\x00"}).content.decode()
    go("group-remove", group.public_id, data={"actor": cast.bob.public_id})
    assert not group.members.exists()
    go("group-delete", group.public_id, data={})
    assert not Group.objects.exists()


def test_batches_are_made_changed_and_turned(cast, go, make_tasks):
    assert "No batch yet" in go("batches").content.decode()
    go("batch-new", data={"name": "Pilot run", "due_on": "2020-06-30", "budget": "2", "note": "for the pilot"})
    batch = Batch.objects.get(project=cast.project)
    make_tasks(3, batch=batch)
    page = go("batch", batch.public_id).content.decode()
    assert "2 of 2 judgements remain" in page
    assert "It is late." in page
    go("batch", batch.public_id, data={"name": "Pilot run", "due_on": "", "budget": "", "note": ""})
    batch.refresh_from_db()
    assert (batch.due_on, batch.budget, batch.note) == (None, None, "")
    for action, state in (("pause", 1), ("archive", 2)):
        go(f"batch-{action}", batch.public_id, data={})
        batch.refresh_from_db()
        assert batch.state == state
    assert "Pilot run" not in go("batches").content.decode().split("<main")[1].split("A new batch")[0]


def test_a_taken_name_is_said_on_the_page(cast, go):
    create_batch(actor=cast.mona, name="June")
    page = go("batch-new", data={"name": "June"})
    assert page.status_code == 409
    assert "There is a batch named June already." in page.content.decode()


def test_annotators_are_kept_out_and_reviewers_only_read(cast, go):
    for name in ("queues", "groups", "batches"):
        assert go(name, actor=cast.bob).status_code == 403
        page = go(name, actor=cast.carol)
        assert page.status_code == 200
        assert 'method="post"' not in page.content.decode().split("<main")[1]
    assert go("queue-new", actor=cast.carol).status_code == 403


@pytest.mark.parametrize("name", ["queue-settings", "batch"])
def test_an_unknown_id_is_404(go, name):
    assert go(name, "x\x00y").status_code == 404
