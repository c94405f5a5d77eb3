"""What the gold pages show beside the rows themselves."""

import json
from collections import Counter
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from annotation.models import Queue, Schema, Task
from annotation.page_form import can_be_asked
from annotation.questions import POSITIONS
from annotation.scoring import is_comparable
from annotation.selectors.gold import MISSED_BY_MOST, TELLING, gold_of, in_play, said_of


def said_to(task: Task) -> list[tuple[dict[str, Any], int]]:
    """Different answers that count, with how many gave each, the most frequent first. How strongly, and why, is left out."""
    found: Counter[str] = Counter()
    for answers in said_of([task])[task.pk]:
        found[json.dumps({name: _bare(said) for name, said in answers.items()}, sort_keys=True)] += 1
    return [(json.loads(text), count) for text, count in found.most_common()]


def _bare(said: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in said.items() if key not in ("reason", "flags", "strength", "notes")}


def title_of(task: Task) -> str:
    """A task's first words: of the prompt's last turn, or of the first field shown."""
    if task.prompt is not None:
        return str(task.prompt)
    names = [field["name"] for field in task.schema.body.get("fields", [])]
    return next((str(task.data[name]) for name in names if task.data.get(name)), task.public_id)


def content_of(task: Task) -> dict[str, Any]:
    """What the task shows, candidates in their own order."""
    rows = task.candidates.select_related("completion").order_by("ordinal")
    return {
        "fields_shown": task.schema.body.get("fields", []),
        "data": task.data,
        "prompt": task.prompt.messages if task.prompt else [],
        "candidates": [{"side": side, "text": row.completion.text} for side, row in zip(POSITIONS, rows, strict=False)],
    }


def doubtful_count(project: Project) -> int:
    rows = gold_of(project).exclude(state=Task.State.ARCHIVED)
    return rows.filter(tried__gte=TELLING, right__lt=MISSED_BY_MOST).count()  # type: ignore[misc]


def gold_warnings(project: Project) -> list[str]:
    """What in a queue's gold keeps it from doing what its settings say."""
    found = []
    running = Queue.objects.filter(project=project, state=Queue.State.RUNNING)
    for queue in running.filter(Q(gold_rate__gt=0) | Q(qualifies_for__isnull=False)).order_by("position", "pk"):
        count = in_play(queue).count()
        if queue.is_test and count < queue.pass_after:
            words = {"queue": queue, "asks": queue.pass_after, "count": count}
            found.append(_("The test %(queue)s takes %(asks)d answers and holds %(count)d gold tasks.") % words)
        elif not queue.is_test and count == 0:
            found.append(_("The queue %(queue)s mixes gold in, and has none.") % {"queue": queue})
    return found


def people_of(project: Project) -> QuerySet[Actor]:
    return Actor.objects.filter(project=project, membership__isnull=False).order_by("pseudonym", "pk")


def schemas_for_gold(project: Project) -> list[Schema]:
    """The latest version of each whose answers can be held against a key given here."""
    latest: dict[str, Schema] = {}
    for schema in Schema.objects.filter(project=project).order_by("version"):
        latest[schema.name] = schema
    asked = {schema: schema.body["questions"] for schema in latest.values()}
    return [schema for schema, questions in asked.items() if is_comparable(questions) and can_be_asked(questions)]
