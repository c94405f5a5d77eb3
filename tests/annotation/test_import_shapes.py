"""Tasks of every shape by import and by request: fields, prompts, one to nine responses, what is sensitive."""

import json
from io import BytesIO

import pytest

from annotation.lines import Rules, read_chunk
from annotation.models import Candidate, Lane, Task
from annotation.services.adding import add_tasks
from annotation.services.importing import start_import
from annotation.services.tasks import current_schema
from ground.errors import Invalid
from jobs.inprocess import run_in_process
from jobs.services import claim
from models_registry.models import Completion, Prompt

pytestmark = [pytest.mark.django_db, pytest.mark.store]

FIELDS = [{"name": "source", "text": "Source"}]
RANKING = {"name": "rank", "kind": "ranking", "text": "Best first"}
OPTIONS = [{"value": "a", "text": "A"}, {"value": "b", "text": "B"}]
ASPECTS = [{"name": "x", "text": "X"}]


def body(*questions, fields=(), **more):
    return {"schema_version": 1, "fields": list(fields), "questions": list(questions), **more}


RANKED = body(RANKING, fields=FIELDS)
DEMO = body({"name": "reply", "kind": "demonstration", "text": "Reply"})
FIX = body({"name": "fix", "kind": "correction", "of": "candidate", "text": "Mend"})
RATED = body({"name": "rate", "kind": "rating", "text": "Rate", "aspects": ASPECTS, "each": "candidates"})
TALK = body({"name": "talk", "kind": "chat", "text": "Talk", "models": ["m"]})
LABELS = body({"name": "l", "kind": "labels", "text": "?", "options": OPTIONS}, fields=FIELDS)


def wrong_in(schema, row):
    chunk = read_chunk(BytesIO(json.dumps(row).encode()), 0, Rules(schema))
    return chunk.wrong[0].error if chunk.wrong else ""


@pytest.mark.parametrize(
    ("schema", "row"),
    [
        (RANKED, {"prompt": "p", "responses": ["a", "b", "c"], "data": {"source": "s"}}),
        (RANKED, {"prompt": "p", "responses": list("abcdefghi"), "data": {"source": "s", "sensitive": "war"}}),
        (DEMO, {"prompt": "p"}),
        (DEMO, {"messages": [{"role": "user", "content": "p"}], "sensitive": True}),
        (FIX, {"prompt": "p", "responses": ["a"]}),
        (RATED, {"prompt": "p", "responses": ["a"]}),
        (TALK, {}),
        (TALK, {"prompt": "p"}),
        (LABELS, {"data": {"source": "s"}, "sensitive": "war"}),
    ],
)
def test_a_line_brings_what_the_questions_need(schema, row):
    assert wrong_in(schema, row) == ""


@pytest.mark.parametrize(
    ("schema", "row", "told"),
    [
        (RANKED, {"prompt": "p", "responses": ["a", "b"]}, "data: needs an object"),
        (
            RANKED,
            {"prompt": "p", "responses": ["a"], "data": {"source": "s"}},
            "responses: needs a list of 2 to 9 texts.",
        ),
        (RANKED, {"prompt": "p", "responses": list("abcdefghij"), "data": {"source": "s"}}, "responses: needs"),
        (RANKED, {"responses": ["a", "b"], "data": {"source": "s"}}, "Give either prompt or messages."),
        (DEMO, {"prompt": "p", "responses": ["a"]}, "responses: unknown field"),
        (FIX, {"prompt": "p", "responses": ["a", "b"]}, "responses: needs a list of 1 texts."),
        (LABELS, {"data": {"source": "s"}, "prompt": "p"}, "prompt: unknown field"),
        (LABELS, {"data": {"source": "s"}, "sensitive": 3}, "sensitive: is true, or"),
    ],
)
def test_a_line_that_brings_something_else_is_told(schema, row, told):
    assert wrong_in(schema, row).startswith(told)


@pytest.fixture
def folder(settings, tmp_path):
    settings.IMPORTS = tmp_path / "imports"


@pytest.mark.django_db(transaction=True)
def test_an_imported_ranking_has_its_prompt_its_fields_and_its_responses_in_order(cast, folder):
    schema = current_schema(cast.project, "ranking", RANKED)
    rows = [
        {"prompt": "p", "responses": ["a", "b", "c"], "data": {"source": "one"}, "sensitive": "war"},
        {"prompt": "p", "responses": ["d", "e"], "data": {"source": "two"}},
        {"prompt": " ", "responses": ["d", "e"], "data": {"source": "three"}},
    ]
    data = "\n".join(json.dumps(row) for row in rows).encode()
    row = start_import(actor=cast.mona, blocks=[data], schema=schema)
    run_in_process(claim(job=row.job))
    row.refresh_from_db()
    assert (row.made, row.wrong) == (2, 1)
    one, two = Task.objects.order_by("pk")
    assert one.data == {"schema_version": 1, "source": "one", "sensitive": "war"}
    assert one.prompt_id == two.prompt_id == Prompt.objects.get().pk
    texts = Candidate.objects.order_by("task", "ordinal").values_list("task", "ordinal", "completion__text")
    assert list(texts) == [(one.pk, 0, "a"), (one.pk, 1, "b"), (one.pk, 2, "c"), (two.pk, 0, "d"), (two.pk, 1, "e")]
    assert [slot.lane.sensitive for task in (one, two) for slot in task.slots.all()] == [True, False]


def test_tasks_sent_at_once_are_made_told_or_known_each_by_itself(cast):
    schema = current_schema(cast.project, "ranking", RANKED)
    good = {"prompt": "p", "responses": ["a", "b"], "data": {"source": "s"}, "external_id": "one"}
    results = add_tasks(
        actor=cast.mona,
        schema=schema,
        rows=[good, {**good, "responses": ["a"]}, good, "x", {**good, "prompt": " ", "external_id": "two"}],
        overlap=2,
    )
    assert [result.status for result in results] == ["created", "invalid", "known", "invalid", "invalid"]
    assert results[1].error.startswith("responses: needs a list of 2 to 9")
    assert "content: empty" in results[4].error
    task = Task.objects.get()
    assert results[0].id == task.public_id
    assert task.overlap == task.slots.count() == 2
    assert Completion.objects.count() == 2


def test_more_tasks_than_fit_one_request_are_refused(cast):
    schema = current_schema(cast.project, "labels", LABELS)
    with pytest.raises(Invalid, match="At most 500"):
        add_tasks(actor=cast.mona, schema=schema, rows=[{}] * 501)
    assert not Lane.objects.exists()
