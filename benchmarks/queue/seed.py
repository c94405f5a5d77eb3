"""The project under measurement: people with tokens, tasks, and an annotator with a long history."""

from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from accounts.models import Actor, Project, Role, Scope, User
from accounts.services import add_member, create_project, issue_token
from annotation.models import Annotation, Lane, Mark, Schema, Slot, Task
from annotation.router import Router
from annotation.schemas import labels_schema
from annotation.services.tasks import current_schema

OPTIONS = ["good", "bad", "unclear"]


@dataclass
class Seeded:
    project: Project
    schema: Schema
    manager_token: str
    annotators: list[Actor]
    tokens: list[str]


def seed_project(slug: str, annotators: int) -> Seeded:
    owner = User.objects.create_user(f"{slug}@example.org", "a-long-enough-password", name="Owner")
    project = create_project(user=owner, slug=slug, name=slug)
    manager = Actor.objects.get(project=project, user=owner)
    people = [_annotator(manager, slug, number) for number in range(annotators)]
    tokens = [_token(manager, person, [Scope.ANNOTATE]) for person in people]
    schema = current_schema(project, "labels", labels_schema(text="Is it any good?", options=OPTIONS))
    return Seeded(project, schema, _token(manager, manager, list(Scope.values)), people, tokens)


def _annotator(manager: Actor, slug: str, number: int) -> Actor:
    user = User.objects.create_user(
        f"{slug}-{number}@example.org", "a-long-enough-password", name=f"Annotator {number}"
    )
    return add_member(actor=manager, user=user, role=Role.ANNOTATOR)


def _token(manager: Actor, subject: Actor, scopes: list[Any]) -> str:
    _row, secret = issue_token(actor=manager, subject=subject, name="benchmark", scopes=scopes)
    return secret


def seed_tasks(seeded: Seeded, count: int, overlap: int) -> None:
    """Tasks with their slots, written by the database itself; more than those that are there."""
    router = Router(seeded.project)
    there = Task.objects.filter(project=seeded.project).count()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO annotation_task (created_at, public_id, project_id, queue_id, schema_id, external_id, data, metadata,"
            " overlap, done, priority, pool_id, purpose, state, resolution)"
            " SELECT now(), 'tsk_' || replace(gen_random_uuid()::text, '-', ''), %s, %s, %s, 't' || n,"
            " jsonb_build_object('schema_version', 1, 'text', 'The kettle number ' || n || ' was slow but it boils.'),"
            " jsonb_build_object('language', 'en'), %s, 0, 5, 0, 0, 0, 0 FROM generate_series(%s::int, %s::int) AS n",
            [seeded.project.pk, router.main.pk, seeded.schema.pk, overlap, there + 1, there + count],
        )
        for ordinal in range(overlap):
            lane = router.lane(queue=router.main, batch_id=None, pool_id=0, priority=5, round=ordinal)
            cursor.execute(
                "INSERT INTO annotation_slot (task_id, lane_id, ordinal, seq, state)"
                " SELECT id, %s, %s, nextval('annotation_opening'), 0 FROM annotation_task t WHERE project_id = %s"
                " AND NOT EXISTS (SELECT 1 FROM annotation_slot s WHERE s.task_id = t.id AND s.ordinal = %s) ORDER BY id",
                [lane.pk, ordinal, seeded.project.pk, ordinal],
            )
    settle()


def seed_up_to(seeded: Seeded, count: int, overlap: int) -> None:
    """As many further tasks as answers have used up, so that no run of a small project ends for want of work."""
    left = Slot.objects.filter(task__project=seeded.project, state=Slot.State.OPEN).count() // overlap
    if left < 0.8 * count:
        seed_tasks(seeded, count - left, overlap)


def seed_history(seeded: Seeded, actor: Actor, count: int) -> None:
    """Let `actor` have answered the first slot of the first `count` tasks, its mark behind the last of them."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "WITH chosen AS (SELECT s.id, s.task_id FROM annotation_slot s JOIN annotation_task t ON t.id = s.task_id"
            "   WHERE t.project_id = %(project)s AND s.ordinal = 0 AND s.state = 0 ORDER BY s.task_id LIMIT %(count)s),"
            " taken AS (UPDATE annotation_slot s SET state = 2, actor_id = %(actor)s FROM chosen WHERE s.id = chosen.id"
            "   RETURNING s.id, s.task_id),"
            " counted AS (UPDATE annotation_task t SET done = done + 1,"
            "   state = CASE WHEN done + 1 >= overlap THEN 1 ELSE state END FROM taken WHERE t.id = taken.task_id)"
            " INSERT INTO annotation_annotation (created_at, public_id, project_id, task_id, slot_id, actor_id, key, answers,"
            "   display_order, counted, surplus, settlement)"
            " SELECT now(), 'ann_' || replace(gen_random_uuid()::text, '-', ''), %(project)s, task_id, id, %(actor)s,"
            "   'seed-' || id,"
            '   \'{"labels": {"labels": ["good"], "reason": "", "flags": []}}\', \'[]\', true, false, false FROM taken',
            {"project": seeded.project.pk, "actor": actor.pk, "count": count},
        )
    lane = Lane.objects.get(project=seeded.project, round=0, returned=False)
    last = Slot.objects.filter(lane=lane, actor=actor).order_by("-seq").values_list("seq", flat=True)[0]
    Mark.objects.create(actor=actor, lane=lane, seq=last)
    settle()


def settle() -> None:
    """Let statistics and the write-ahead log catch up, so that one run does not pay for the one before.

    A table without a row is left alone, as the server's own analyze leaves it: told that it is empty, the planner would read all
    of it for every claim until somebody tells it otherwise.
    """
    models = [Task, Slot, *([Annotation] if Annotation.objects.exists() else [])]
    with connection.cursor() as cursor:
        for model in models:
            cursor.execute(f"VACUUM ANALYZE {model._meta.db_table}")
        cursor.execute("CHECKPOINT")
