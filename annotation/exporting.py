"""A project's tasks with all their answers, a JSON line each, streamed in keyset pages: memory stays flat, no snapshot is held."""

import json
from collections.abc import Iterator
from typing import Any

from django.db import connection

from accounts.models import Project
from annotation.models import Annotation, Candidate, Task
from annotation.questions import POSITIONS
from ground.dialect import is_postgresql
from ground.threads import database_threads

PAGE = 2000

# The database writes the JSON: assembling it in Python takes twice as long. Annotations are found by their tasks' keys alone.
_PAGE_SQL = """
WITH page AS MATERIALIZED (
  SELECT * FROM annotation_task WHERE project_id = %(project)s::bigint AND id > %(after)s::bigint ORDER BY id LIMIT %(page)s::int),
said AS (
  SELECT a.task_id, json_agg(json_build_object(
      'id', a.public_id, 'actor', r.public_id, 'actor_kind', r.kind, 'key', a.key, 'answers', a.answers,
      'display_order', a.display_order, 'counted', a.counted, 'surplus', a.surplus, 'settlement', a.settlement,
      'seconds', a.seconds, 'guideline', g.public_id, 'at', a.created_at) ORDER BY a.id) AS list
  FROM page JOIN annotation_annotation a ON a.task_id = page.id
  JOIN accounts_actor r ON r.id = a.actor_id
  LEFT JOIN annotation_guideline g ON g.id = a.guideline_id
  GROUP BY a.task_id),
shown AS (
  SELECT k.task_id, json_agg(json_build_object(
      'id', c.public_id, 'position', (ARRAY[%POSITIONS%])[k.ordinal + 1], 'text', c.text,
      'source', c.source, 'version', v.public_id) ORDER BY k.ordinal) AS list
  FROM page JOIN annotation_candidate k ON k.task_id = page.id AND page.prompt_id IS NOT NULL
  JOIN models_registry_completion c ON c.id = k.completion_id
  LEFT JOIN models_registry_modelversion v ON v.id = c.version_id
  GROUP BY k.task_id),
asked AS (
  SELECT s.id, json_object_agg(q.question->>'name', q.question->>'kind' ORDER BY q.place) AS kinds
  FROM annotation_schema s, jsonb_array_elements(s.body->'questions') WITH ORDINALITY AS q(question, place)
  WHERE s.id IN (SELECT schema_id FROM page) GROUP BY s.id)
SELECT max(t.id), string_agg(json_build_object(
    'id', t.public_id, 'external_id', t.external_id, 'purpose', CASE t.purpose WHEN 1 THEN 'gold' ELSE 'production' END,
    'state', (ARRAY['open', 'complete', 'archived'])[t.state + 1], 'overlap', t.overlap, 'priority', t.priority,
    'batch', b.name, 'schema', s.name || ' v' || s.version, 'questions', asked.kinds, 'data', t.data, 'metadata', t.metadata,
    'agreement', t.agreement, 'prompt', p.messages, 'candidates', COALESCE(shown.list, '[]'::json),
    'annotations', COALESCE(said.list, '[]'::json))::text, E'\\n' ORDER BY t.id) || E'\\n'
FROM page t
JOIN annotation_schema s ON s.id = t.schema_id
JOIN asked ON asked.id = s.id
LEFT JOIN annotation_batch b ON b.id = t.batch_id
LEFT JOIN models_registry_prompt p ON p.id = t.prompt_id
LEFT JOIN said ON said.task_id = t.id
LEFT JOIN shown ON shown.task_id = t.id
""".replace("%POSITIONS%", ", ".join(f"'{word}'" for word in POSITIONS))


def export_lines(project: Project) -> Iterator[str]:
    """Some thousand lines at a time, tasks in the order they were made."""
    if is_postgresql() and not connection.in_atomic_block:
        yield from _pages_ahead(project)
        return
    page = _page if is_postgresql() else _page_plainly
    last, lines = page(project, 0)
    while last is not None:
        yield lines
        last, lines = page(project, last)


def _pages_ahead(project: Project) -> Iterator[str]:
    """The database puts the next page together while the caller sends this one."""
    with database_threads(1) as beside:
        last, lines = _page(project, 0)
        while last is not None:
            ahead = beside.submit(_page, project, last)
            yield lines
            last, lines = ahead.result()


def _page(project: Project, after: int) -> tuple[int | None, str]:
    with connection.cursor() as cursor:
        cursor.execute(_PAGE_SQL, {"project": project.pk, "after": after, "page": PAGE})
        last, lines = cursor.fetchone()
    return last, lines or ""


def _page_plainly(project: Project, after: int) -> tuple[int | None, str]:
    chosen = Task.objects.filter(project=project, pk__gt=after).select_related("prompt", "schema", "batch")
    tasks = list(chosen.order_by("pk")[:PAGE])
    if not tasks:
        return None, ""
    said: dict[int, list[dict[str, Any]]] = {task.pk: [] for task in tasks}
    for annotation in Annotation.objects.filter(task__in=tasks).select_related("actor", "guideline").order_by("pk"):
        said[annotation.task_id].append(_annotation(annotation))
    shown: dict[int, list[dict[str, Any]]] = {task.pk: [] for task in tasks}
    candidates = Candidate.objects.filter(task__in=tasks).select_related("completion__version")
    for candidate in candidates.order_by("ordinal"):
        shown[candidate.task_id].append(_candidate(candidate))
    lines = (_line(task, shown[task.pk], said[task.pk]) for task in tasks)
    return tasks[-1].pk, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _line(task: Task, candidates: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": task.public_id,
        "external_id": task.external_id,
        "purpose": Task.Purpose(task.purpose).name.lower(),
        "state": Task.State(task.state).name.lower(),
        "overlap": task.overlap,
        "priority": task.priority,
        "batch": task.batch.name if task.batch else None,
        "schema": str(task.schema),
        "questions": {question["name"]: question["kind"] for question in task.schema.body["questions"]},
        "data": task.data,
        "metadata": task.metadata,
        "agreement": task.agreement,
        "prompt": task.prompt.messages if task.prompt else None,
        "candidates": candidates,
        "annotations": annotations,
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    completion = candidate.completion
    return {
        "id": completion.public_id,
        "position": POSITIONS[candidate.ordinal],
        "text": completion.text,
        "source": completion.source,
        "version": completion.version.public_id if completion.version else None,
    }


def _annotation(annotation: Annotation) -> dict[str, Any]:
    return {
        "id": annotation.public_id,
        "actor": annotation.actor.public_id,
        "actor_kind": annotation.actor.kind,
        "key": annotation.key,
        "answers": annotation.answers,
        "display_order": annotation.display_order,
        "counted": annotation.counted,
        "surplus": annotation.surplus,
        "settlement": annotation.settlement,
        "seconds": annotation.seconds,
        "guideline": annotation.guideline.public_id if annotation.guideline else None,
        "at": annotation.created_at.isoformat(),
    }
