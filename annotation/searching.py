"""Full-text search over tasks: a table of words, filled behind by a tick, so that neither an import nor a submit pays for it."""

import time

from django.db import connection, transaction
from django.db.models import BooleanField, Exists, Max, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL

from accounts.models import Project
from annotation.models import Candidate, Task, TaskImport, TaskText
from ground.dialect import is_postgresql
from jobs.models import Job

PIECE = 500
BUDGET_SECONDS = 0.6
LOOK_BACK = 100_000
LONGEST = 100_000
MOST_FOUND = 10_000
MOST_BEHIND = 200_000

# The texts people read: the data's values, the prompt's messages, the candidates; and the name others know the task by.
_FILL = """
INSERT INTO annotation_tasktext (task_id, project_id, words)
SELECT t.id, t.project_id, to_tsvector('simple', left(concat_ws(' ', t.external_id,
  (SELECT string_agg(d.value, ' ') FROM jsonb_each_text(t.data) d WHERE d.key <> 'schema_version'),
  (SELECT string_agg(m ->> 'content', ' ') FROM models_registry_prompt p, jsonb_array_elements(p.messages) m
   WHERE p.id = t.prompt_id),
  (SELECT string_agg(c.text, ' ') FROM annotation_candidate k JOIN models_registry_completion c ON c.id = k.completion_id
   WHERE k.task_id = t.id)), %s))
FROM annotation_task t WHERE t.id = ANY(%s) ON CONFLICT DO NOTHING
"""

_HAS = """EXISTS (SELECT 1 FROM annotation_tasktext w
WHERE w.task_id = annotation_task.id AND w.words @@ websearch_to_tsquery('simple', %s))"""


def index_words() -> int:
    """A periodic duty: make the next tasks searchable, for a moment. While an import runs, only a little: it comes first."""
    until = time.monotonic() + (0 if _importing() else BUDGET_SECONDS)
    done = 0
    while True:
        keys = _next_keys()
        if not keys:
            return done
        _index(keys)
        done += len(keys)
        if time.monotonic() > until:
            return done


def _importing() -> bool:
    return TaskImport.objects.filter(job__state=Job.State.RUNNING).exists()


def newest_searchable() -> int:
    """The newest task that can be searched."""
    newest: int | None = TaskText.objects.aggregate(newest=Max("task_id"))["newest"]
    return newest or 0


def _next_keys() -> list[int]:
    return list(Task.objects.filter(pk__gt=newest_searchable()).order_by("pk").values_list("pk", flat=True)[:PIECE])


def sweep_words() -> int:
    """A periodic duty: tasks whose transaction committed after a later one was indexed already."""
    newest = newest_searchable()
    indexed = TaskText.objects.filter(task=OuterRef("pk"))
    late = Task.objects.filter(~Exists(indexed), pk__gt=newest - LOOK_BACK, pk__lt=newest)
    keys = list(late.order_by("pk").values_list("pk", flat=True)[:PIECE])
    _index(keys)
    return len(keys)


@transaction.atomic
def _index(keys: list[int]) -> None:
    if not keys:
        return
    if is_postgresql():
        with connection.cursor() as cursor:
            cursor.execute(_FILL, [LONGEST, keys])
        return
    spoken: dict[int, list[str]] = {}
    for task_id, text in Candidate.objects.filter(task__in=keys).values_list("task_id", "completion__text"):
        spoken.setdefault(task_id, []).append(text)
    rows = [
        TaskText(task=task, project_id=task.project_id, words=_words(task, spoken.get(task.pk, []))[:LONGEST])
        for task in Task.objects.filter(pk__in=keys).select_related("prompt")
    ]
    TaskText.objects.bulk_create(rows, ignore_conflicts=True)


def _words(task: Task, responses: list[str]) -> str:
    shown = [str(value) for name, value in task.data.items() if name != "schema_version"]
    asked = [message["content"] for message in task.prompt.messages] if task.prompt else []
    return " ".join([task.external_id, *shown, *asked, *responses]).lower()


def _having(project: Project, words: str) -> "QuerySet[TaskText]":
    rows = TaskText.objects.filter(project=project)
    if is_postgresql():
        sql = "annotation_tasktext.words @@ websearch_to_tsquery('simple', %s)"
        return rows.filter(RawSQL(sql, [words], output_field=BooleanField()))  # noqa: S611 - a constant; words are bound
    for word in words.lower().replace('"', " ").split():
        rows = rows.filter(words__contains=word)
    return rows


def found_ids(project: Project, words: str) -> list[int] | None:
    """The tasks that hold these words, or None when they are too many to name."""
    keys = list(_having(project, words).values_list("pk", flat=True)[: MOST_FOUND + 1])
    return keys if len(keys) <= MOST_FOUND else None


def among(tasks: "QuerySet[Task]", project: Project, words: str) -> "QuerySet[Task]":
    """Those of the tasks that hold these words."""
    keys = found_ids(project, words)
    if keys is not None:
        return tasks.filter(pk__in=keys)
    if is_postgresql():
        return tasks.filter(RawSQL(_HAS, [words], output_field=BooleanField()))  # noqa: S611 - a constant
    return tasks.filter(Exists(_having(project, words).filter(pk=OuterRef("pk"))))


def not_searchable(project: Project) -> int:
    """How many of the project's tasks cannot be found yet; counted no further than MOST_BEHIND."""
    behind = Task.objects.filter(Q(project=project), pk__gt=newest_searchable())
    return behind.order_by("pk")[: MOST_BEHIND + 1].count()
