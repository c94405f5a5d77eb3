"""A project with a schema, a task under it and an annotator who has signed in: what a test of a question's page starts from."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from django.test import Client

from accounts.models import Actor, Role
from annotation.display import questions_of, restore
from annotation.filing import open_slots
from annotation.models import Annotation, Candidate, Schema, Task
from annotation.router import Router, main_queue
from annotation.services.tasks import current_schema
from tests.factories import make_completion, make_prompt

_count = itertools.count(1)


def make_schema(
    project: Any, *questions: Mapping[str, Any], fields: Sequence[Mapping[str, Any]] = (), **more: Any
) -> Schema:
    body = {
        "schema_version": 1,
        "fields": list(fields),
        "questions": [dict(question) for question in questions],
        **more,
    }
    return current_schema(project, f"asked-{next(_count)}", body)


def make_task(
    schema: Schema,
    *,
    data: Mapping[str, Any] | None = None,
    prompt: str = "",
    candidates: Sequence[str] = (),
    **more: Any,
) -> Task:
    """`candidates`: texts in the order of their ordinals. With them, or with `prompt`, the task has a conversation."""
    said = make_prompt(schema.project, prompt) if prompt or candidates else None
    task = Task.objects.create(
        project=schema.project,
        queue=main_queue(schema.project),
        schema=schema,
        prompt=said,
        data={"schema_version": 1, **(data or {})},
        **more,
    )
    for ordinal, text in enumerate(candidates):
        assert said is not None
        Candidate.objects.create(task=task, completion=make_completion(said, text), ordinal=ordinal)
    open_slots(Router(schema.project), [task])
    return task


def open_label(page: Any, project: Any) -> Any:
    """The labeling page, once the controls of its task are there."""
    page.goto(f"/p/{project.slug}/label/")
    page.locator("[data-questions] [data-question]").first.wait_for(state="attached")
    return page


def ask(
    sign_in: Any,
    cast: Any,
    *questions: Mapping[str, Any],
    fields: Sequence[Mapping[str, Any]] = (),
    who: Actor | None = None,
    screen: Mapping[str, Any] | None = None,
    **task: Any,
) -> Any:
    """A page in which Bob is asked these questions about one task; `task` as for `make_task`."""
    make_task(make_schema(cast.project, *questions, fields=fields), **task)
    return open_label(sign_in(who or cast.bob, **(screen or {})), cast.project)


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def wait_for_answers(page: Any, count: int) -> None:
    page.wait_for_function("n => document.querySelector('[data-count]').textContent === String(n)", arg=count)


def submitted(page: Any, count: int = 1) -> dict[str, Any]:
    """Submit, wait until the server has counted it, and read the answers back through the API as their author saw the task."""
    press(page, "Control+Enter")
    wait_for_answers(page, count)
    written = Annotation.objects.counted().select_related("task", "actor", "project").latest("pk")
    manager = Actor.objects.filter(project=written.project, membership__role=Role.MANAGER).get()
    client = Client()
    client.force_login(manager.user)
    shown = client.get(f"/api/v1/projects/{written.project.slug}/tasks/{written.task.public_id}").json()
    [said] = [answer["answers"] for answer in shown["answers"] if answer["id"] == written.public_id]
    return restore(questions_of(written.task), said, written.display_order)
