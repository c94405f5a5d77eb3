"""Gated reads of review: cases as a reviewer sees them, blind, and rulings as their annotator reads them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils.translation import gettext as _

from accounts.models import Actor, Membership, Project
from accounts.services import REVIEWERS
from annotation.display import SIDES, order_for, questions_of, restore
from annotation.models import Annotation, Candidate, Case, Ruling, Task, Watched
from annotation.schemas import flags_in
from annotation.services.reviews import answer_name, free, refuse_own
from ground import clock
from ground.errors import NotFound

WAITING = (Case.State.OPEN, Case.State.LEASED)
STATES = {"waiting": WAITING, "settled": (Case.State.SETTLED,), "dismissed": (Case.State.DISMISSED,)}


def get_case_for(actor: Actor, public_id: str) -> Case:
    """A case of the actor's project, with its task. Errors: NotFound."""
    cases = Case.objects.select_related("task__schema", "task__prompt", "task__queue", "task__project")
    case = cases.filter(public_id=public_id, project_id=actor.project_id).first()
    if case is None:
        raise NotFound(_("There is no case %(id)s here.") % {"id": public_id[:60]})
    return case


def get_task_for(actor: Actor, public_id: str) -> Task:
    task = Task.objects.filter(public_id=public_id, project_id=actor.project_id).first()
    if task is None:
        raise NotFound(_("There is no task %(id)s here.") % {"id": public_id[:60]})
    return task


def get_annotator_for(actor: Actor, public_id: str) -> Actor:
    annotator = Actor.objects.filter(public_id=public_id, project_id=actor.project_id).first()
    if annotator is None:
        raise NotFound(_("There is no annotator %(id)s here.") % {"id": public_id[:60]})
    return annotator


def cases_of(project: Project, *, state: str = "", reason: str = "") -> QuerySet[Case]:
    """Cases of tasks that are still wanted; `state` is waiting, settled or dismissed."""
    cases = Case.objects.filter(project=project).select_related("task__prompt", "task__schema", "reviewer")
    cases = cases.exclude(task__state=Task.State.ARCHIVED)
    if state:
        cases = cases.filter(state__in=STATES[state])
    if reason:
        # Reasons are few short words; looking for one in the text of the list is the one form both databases have.
        cases = cases.annotate(words=Cast("reasons", TextField())).filter(words__contains=f'"{reason}"')
    return cases


def waiting_counts(actor: Actor) -> dict[str, int]:
    """How many cases wait, are in somebody's hands, and are this reviewer's own work."""
    waits = cases_of(actor.project, state="waiting")
    own = Annotation.objects.filter(actor=actor, settlement=False).values("task_id")
    found = free(clock.now())
    return {
        "waiting": waits.count(),
        "in_hand": waits.exclude(found).count(),
        "mine": waits.filter(state=Case.State.LEASED, reviewer=actor, lease_expires_at__gte=clock.now()).count(),
        "own_work": waits.filter(task_id__in=own).count(),
        "takeable": waits.filter(found).exclude(task_id__in=own).count(),
    }


def without_a_reviewer(project: Project, cases: Iterable[Case]) -> set[int]:
    """Of these cases, those that nobody can take: every reviewer of the project answered the task."""
    reviewers = set(Membership.objects.filter(project=project, role__in=REVIEWERS).values_list("actor_id", flat=True))
    answered: dict[int, set[int]] = defaultdict(set)
    rows = list(cases)
    said = Annotation.objects.filter(task__in=[case.task_id for case in rows], settlement=False)
    for task, actor in said.values_list("task_id", "actor_id"):
        answered[task].add(actor)
    return {case.pk for case in rows if reviewers <= answered[case.task_id]}


def listed(actor: Actor, cases: Sequence[Case]) -> list[dict[str, Any]]:
    """A line for each case: nothing of what was said, or by whom."""
    stuck = without_a_reviewer(actor.project, [case for case in cases if case.state in WAITING])
    now = clock.now()
    return [{**summary(case, now), "nobody_can_take_it": case.pk in stuck} for case in cases]


def summary(case: Case, now: datetime) -> dict[str, Any]:
    leased = case.state == Case.State.LEASED and case.lease_expires_at is not None and case.lease_expires_at >= now
    state = "open" if case.state == Case.State.LEASED and not leased else Case.State(case.state).name.lower()
    return {
        "id": case.public_id,
        "task": case.task.public_id,
        "title": _title(case.task),
        "state": state,
        "reasons": case.reasons,
        "reasons_text": [str(Case.Reason(reason).label) for reason in case.reasons],
        "agreement": case.agreement,
        "since": case.created_at,
        "settled_at": case.settled_at,
        "cause": case.cause,
    }


def _title(task: Task) -> str:
    """The first words of what is judged."""
    if task.prompt is not None:
        return str(task.prompt)
    texts = [str(value) for name, value in task.data.items() if name != "schema_version"]
    return texts[0][:200] if texts else task.public_id


def shown_case(actor: Actor, case: Case) -> dict[str, Any]:
    """Everything a reviewer needs to decide, blind: no names, nothing about a person, no model. Errors: OwnWork.

    Answers stand in an order drawn for the case, the same for every reviewer; candidates in the reviewer's own.
    """
    if case.state in WAITING:
        refuse_own(actor, case.task_id)
    task, order = case.task, order_for(actor, case.task)
    texts = dict(Candidate.objects.filter(task=task).values_list("ordinal", "completion__text"))
    body = task.schema.body
    settlement = Annotation.objects.filter(task=task, settlement=True, counted=True).first()
    return {
        **summary(case, clock.now()),
        "lease_expires_at": case.lease_expires_at if case.reviewer_id == actor.pk else None,
        "mine": case.state == Case.State.LEASED and case.reviewer_id == actor.pk,
        "comment": case.comment,
        "content": {
            "fields_shown": body.get("fields", []),
            "data": {field["name"]: task.data.get(field["name"], "") for field in body.get("fields", [])},
            "prompt": task.prompt.messages if task.prompt else [],
            "candidates": [{"side": side, "text": texts[place]} for side, place in zip(SIDES, order, strict=False)],
            "questions": body["questions"],
        },
        "answers": _answers(case, order),
        "stands": restore(body["questions"], settlement.answers, order) if settlement else None,
    }


def _answers(case: Case, order: list[int]) -> list[dict[str, Any]]:
    rulings = {row.annotation_id: row for row in Ruling.objects.filter(case=case)}
    if case.state == Case.State.SETTLED:
        looked_at = Q(pk__in=rulings)
    else:
        looked_at = Q(counted=True, settlement=False)
    said = Annotation.objects.filter(looked_at, task=case.task)
    named = sorted((answer_name(case, one.public_id), one) for one in said)
    return [_answer(name, number, one, rulings.get(one.pk), order) for number, (name, one) in enumerate(named, start=1)]


def _answer(name: str, number: int, said: Annotation, ruling: Ruling | None, order: list[int]) -> dict[str, Any]:
    shown = restore(questions_of(said.task), said.answers, order)
    return {
        "id": name,
        "number": number,
        "answers": shown,
        "flags": flags_in(shown),
        "verdict": ruling.verdict if ruling else None,
        "comment": ruling.comment if ruling else "",
    }


def watched_in(project: Project) -> QuerySet[Watched]:
    return Watched.objects.filter(project=project).select_related("actor", "by").order_by("-since", "pk")


def annotators_of(project: Project) -> QuerySet[Actor]:
    """Everybody whose answers can be watched."""
    return Actor.objects.filter(project=project, membership__isnull=False).order_by("pseudonym", "pk")


def rulings_for(actor: Actor) -> QuerySet[Ruling]:
    """What reviewers said of this actor's answers, newest first. Only settled cases speak."""
    rulings = Ruling.objects.filter(annotation__actor=actor, case__state=Case.State.SETTLED)
    shown = rulings.select_related("case", "annotation__task__prompt", "annotation__task__schema")
    return shown.order_by("-id")


def unread_rulings(actor: Actor) -> int:
    return Ruling.objects.filter(annotation__actor=actor, case__state=Case.State.SETTLED, read_at=None).count()


def shown_rulings(actor: Actor, rulings: Sequence[Ruling]) -> list[dict[str, Any]]:
    """Each ruling with the task and one's own answer as one saw them, and what stands for the task now. No reviewer's name."""
    tasks = {row.annotation.task_id for row in rulings}
    texts: dict[int, dict[int, str]] = defaultdict(dict)
    for candidate in Candidate.objects.filter(task__in=tasks).values_list("task_id", "ordinal", "completion__text"):
        texts[candidate[0]][candidate[1]] = candidate[2]
    stands = {row.task_id: row for row in Annotation.objects.filter(task__in=tasks, settlement=True, counted=True)}
    return [_ruling(row, texts[row.annotation.task_id], stands.get(row.annotation.task_id)) for row in rulings]


def _ruling(row: Ruling, texts: dict[int, str], stands: Annotation | None) -> dict[str, Any]:
    said, task = row.annotation, row.annotation.task
    order = said.display_order
    return {
        "annotation": said.public_id,
        "task": task.public_id,
        "title": _title(task),
        "verdict": row.verdict,
        "verdict_text": str(Ruling.Verdict(row.verdict).label),
        "comment": row.comment,
        "case_comment": row.case.comment,
        "cause": row.case.cause,
        "cause_text": str(Case.Cause(row.case.cause).label) if row.case.cause else "",
        "prompt": task.prompt.messages if task.prompt else [],
        "fields_shown": task.schema.body.get("fields", []),
        "data": {field["name"]: task.data.get(field["name"], "") for field in task.schema.body.get("fields", [])},
        "candidates": [{"side": side, "text": texts[place]} for side, place in zip(SIDES, order, strict=False)],
        "questions": task.schema.body["questions"],
        "answers": restore(questions_of(task), said.answers, order),
        "stands": restore(questions_of(task), stands.answers, order) if stands else None,
        "at": row.case.settled_at,
        "read": row.read_at is not None,
    }
