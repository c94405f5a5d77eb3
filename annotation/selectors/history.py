"""Gated reads of one's own answers: what one said, what became of it, and the task as it was shown then."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Actor
from annotation import searching
from annotation.answer_words import in_words
from annotation.data import Candidate as ShownCandidate
from annotation.data import ServedTask
from annotation.display import SIDES, questions_of
from annotation.models import Annotation, Candidate, Case, Ruling, Schema, Task, Withdrawal
from annotation.selectors.queue import answer_as_shown
from annotation.selectors.reviews import _title
from annotation.services.editing import why_fixed
from ground.errors import Invalid, NotFound

STATES = ("counted", "surplus", "withdrawn", "ruled")
PAGE = 50
MOST = 1000


@dataclass(frozen=True)
class Asked:
    """What of one's answers is asked for. `until` is the last day, included; days are the reader's."""

    state: str = ""
    text: str = ""
    since: date | None = None
    until: date | None = None
    flagged: bool = False


def asked_from(values: Any) -> Asked:
    """From a query's values. Errors: Invalid with the name of what is wrong."""
    state = values.get("state", "")
    if state and state not in STATES:
        raise Invalid(_("state: is one of %s.") % ", ".join(STATES))
    return Asked(
        state=state,
        text=values.get("text", "").strip()[:500],
        since=_day(values, "since"),
        until=_day(values, "until"),
        flagged=values.get("flagged", "") in ("1", "true", "on"),
    )


def _day(values: Any, name: str) -> date | None:
    said = values.get(name, "")
    try:
        return date.fromisoformat(said) if said else None
    except ValueError as error:
        raise Invalid(_("%(name)s: is a day, as 2026-03-31.") % {"name": name}) from error


def own_answers(actor: Actor, asked: Asked) -> QuerySet[Annotation]:
    """Newest first. Gold is among them and looks like any other."""
    rows = Annotation.objects.filter(actor=actor, settlement=False).order_by("-pk")
    rows = rows.select_related("task__prompt", "task__queue", "withdrawal__replacement")
    ruled = Exists(Ruling.objects.filter(annotation=OuterRef("pk"), case__state=Case.State.SETTLED))
    if asked.state == "counted":
        rows = rows.filter(counted=True)
    elif asked.state == "surplus":
        rows = rows.filter(surplus=True, withdrawal=None)
    elif asked.state == "withdrawn":
        rows = rows.filter(withdrawal__isnull=False)
    elif asked.state == "ruled":
        rows = rows.filter(ruled)
    if asked.since:
        rows = rows.filter(created_at__gte=_start(asked.since))
    if asked.until:
        rows = rows.filter(created_at__lt=_start(asked.until + timedelta(days=1)))
    if asked.flagged:
        # Both databases write a list that is not empty so; a question's own words cannot hold it, they are quoted.
        rows = rows.annotate(words=Cast("answers", TextField())).filter(words__contains='"flags": ["')
    if asked.text:
        rows = rows.filter(_holds(actor, asked.text))
    return rows


def _start(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _holds(actor: Actor, text: str) -> Q:
    """In the task's text, or in what was answered."""
    keys = searching.found_ids(actor.project, text)
    in_tasks = (
        Q(task__in=searching.among(Task.objects.all(), actor.project, text)) if keys is None else Q(task__in=keys)
    )
    return in_tasks | Q(answers__icontains=text)


def page_of(rows: QuerySet[Annotation], *, before: str = "", most: int = PAGE) -> tuple[list[Annotation], str]:
    """A page by key: those before the answer named `before`, and the name to go on from (empty at the end)."""
    if before:
        last = rows.model._default_manager.filter(public_id=before).values_list("pk", flat=True).first()
        if last is None:
            raise NotFound(_("There is no answer %(id)s here.") % {"id": before[:60]})
        rows = rows.filter(pk__lt=last)
    most = max(1, min(most, MOST))
    found = list(rows[: most + 1])
    return found[:most], found[most - 1].public_id if len(found) > most else ""


def listed(actor: Actor, rows: list[Annotation]) -> list[dict[str, Any]]:
    rulings = _rulings(rows)
    return [_listed(actor, row, rulings.get(row.pk)) for row in rows]


def _rulings(rows: list[Annotation]) -> dict[int, Ruling]:
    """The last settled ruling on each."""
    found = Ruling.objects.filter(annotation__in=rows, case__state=Case.State.SETTLED).select_related("case")
    return {ruling.annotation_id: ruling for ruling in found.order_by("pk")}


def _listed(actor: Actor, row: Annotation, ruling: Ruling | None) -> dict[str, Any]:
    withdrawal: Withdrawal | None = getattr(row, "withdrawal", None)
    shown = answer_as_shown(actor, row)
    replaced_by = withdrawal.replacement if withdrawal else None
    return {
        "id": row.public_id,
        "task": row.task.public_id,
        "title": _title(row.task),
        "at": row.created_at,
        "seconds": row.seconds,
        "answers": shown,
        "entries": in_words(questions_of(row.task), shown),
        "state": _state(row, withdrawal, ruling),
        "state_text": _state_in_words(row, withdrawal),
        "verdict": ruling.verdict if ruling else None,
        "verdict_text": str(Ruling.Verdict(ruling.verdict).label) if ruling else "",
        "replaced_by": replaced_by.public_id if replaced_by else None,
        "fixed": why_fixed(row),
    }


def _state(row: Annotation, withdrawal: Withdrawal | None, ruling: Ruling | None) -> str:
    if withdrawal is not None:
        return "withdrawn"
    if row.surplus:
        return "surplus"
    return "ruled" if ruling is not None else "counted"


def _state_in_words(row: Annotation, withdrawal: Withdrawal | None) -> str:
    if withdrawal is not None:
        return str(Withdrawal.Kind(withdrawal.kind).label)
    return _("kept as an extra one") if row.surplus else _("counts")


def get_own_answer(actor: Actor, public_id: str) -> Annotation:
    """One of the actor's own answers. Errors: NotFound, also when it is somebody else's."""
    rows = Annotation.objects.select_related("task__prompt", "task__queue", "task__project", "withdrawal__replacement")
    found = rows.filter(public_id=public_id, actor=actor, settlement=False).first()
    if found is None:
        raise NotFound(_("There is no answer %(id)s of yours here.") % {"id": public_id[:60]})
    return found


def opened(actor: Actor, row: Annotation) -> ServedTask:
    """The task as it was shown when it was answered, with the answer: what the labeling page shows of a slot, without a lease."""
    task = row.task
    schema_id, body = Schema.known(task.schema_id)
    texts = dict(Candidate.objects.filter(task=task).values_list("ordinal", "completion__text"))
    order = row.display_order or sorted(texts)
    return ServedTask(
        id=f"slt_{task.public_id.removeprefix('tsk_')}_0",
        lease="",
        lease_expires_at=row.created_at,
        task_id=task.public_id,
        data={field["name"]: task.data.get(field["name"], "") for field in body.get("fields", [])},
        fields=body.get("fields", []),
        prompt=task.prompt.messages if task.prompt else [],
        candidates=[ShownCandidate(side, texts[place]) for side, place in zip(SIDES, order, strict=False)],
        questions=body["questions"],
        draft=None,
        answer=answer_as_shown(actor, row),
        schema=schema_id,
        layout=body.get("layout", "side_by_side"),
        sensitive=task.data.get("sensitive") or body.get("sensitive", False),
    )
