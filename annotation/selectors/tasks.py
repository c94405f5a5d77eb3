"""Gated reads of the data browser, of one task with everything about it, of imports and bulk edits."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from accounts.models import Actor, Project
from accounts.services import MANAGERS, role_of
from annotation.answer_words import in_words, shown_in
from annotation.models import (
    Annotation,
    BulkEdit,
    Candidate,
    Case,
    Draft,
    GoldKey,
    PastLease,
    SavedView,
    Skip,
    Slot,
    Task,
    TaskImport,
)
from annotation.questions import POSITIONS
from annotation.services.bulk import can_undo
from annotation.services.import_files import path_of, report_of
from annotation.why import claims_of
from ground.errors import Forbidden, NotFound
from jobs.models import Job

SAMPLED = 200
"""Latest tasks whose metadata keys are offered as columns."""
MOST_KEYS = 50
HEAD = 120


def _id(asked: str) -> str:
    """An id from an address; no database takes a NUL character, not even to look for it."""
    return asked.replace("\x00", "")


def get_task_for(actor: Actor, public_id: str) -> Task:
    """Errors: NotFound, for another project's task too, and for gold where a reviewer asks."""
    tasks = Task.objects.select_related("project", "queue", "batch", "schema", "prompt", "evaluation", "deletion")
    task = tasks.filter(public_id=_id(public_id), project_id=actor.project_id).first()
    if task is None or (task.is_gold and role_of(actor) not in MANAGERS):
        raise NotFound(_("There is no task %(id)s here.") % {"id": public_id[:60]})
    return task


def get_import_for(actor: Actor, public_id: str) -> TaskImport:
    found = imports_of(actor.project).filter(public_id=_id(public_id)).first()
    if found is None:
        raise NotFound(_("There is no import %(id)s here.") % {"id": public_id[:60]})
    return found


def imports_of(project: Project) -> QuerySet[TaskImport]:
    return TaskImport.objects.filter(project=project).select_related("job", "schema", "batch", "actor", "project")


def get_edit_for(actor: Actor, public_id: str) -> BulkEdit:
    found = edits_of(actor.project).filter(public_id=_id(public_id)).first()
    if found is None:
        raise NotFound(_("There is no change %(id)s here.") % {"id": public_id[:60]})
    return found


def edits_of(project: Project) -> QuerySet[BulkEdit]:
    return BulkEdit.objects.filter(project=project).select_related("job", "actor", "project")


def views_for(actor: Actor) -> QuerySet[SavedView]:
    """One's own and those that others share."""
    mine = SavedView.objects.filter(Q(actor=actor) | Q(shared=True), project=actor.project)
    return mine.select_related("actor").order_by("name", "pk")


def get_view_for(actor: Actor, public_id: str) -> SavedView:
    found = views_for(actor).filter(public_id=_id(public_id)).first()
    if found is None:
        raise NotFound(_("There is no view %(id)s here.") % {"id": public_id[:60]})
    return found


def refuse_names_to_reviewers(actor: Actor, query: Mapping[str, Any]) -> None:
    """Who answered what is for managers: reviewers judge answers, not people. Errors: Forbidden."""
    asked = any(condition["field"] == "answered_by" for condition in query.get("all", []))
    if asked and role_of(actor) not in MANAGERS:
        raise Forbidden(_("Only managers may look for tasks by who answered them."))


def columns_of(project: Project) -> list[str]:
    """Metadata keys that the latest tasks have, for columns to choose from."""
    rows = Task.objects.filter(project=project).order_by("-pk").values_list("metadata", flat=True)[:SAMPLED]
    return sorted({key for metadata in rows for key in metadata})[:MOST_KEYS]


def title_of(task: Task) -> str:
    """What a row of the browser begins with: the first text the schema shows, or the prompt."""
    for shown in task.schema.body.get("fields", []):
        text = task.data.get(shown["name"])
        if isinstance(text, str) and text.strip():
            return text[:HEAD]
    if task.prompt_id is not None and task.prompt is not None:
        return str(task.prompt)[:HEAD]
    return task.external_id or task.public_id


def task_json(task: Task) -> dict[str, Any]:
    """A task as a row of the browser."""
    return {
        "id": task.public_id,
        "external_id": task.external_id,
        "title": title_of(task),
        "state": Task.State(task.state).name.lower(),
        "purpose": Task.Purpose(task.purpose).name.lower(),
        "resolution": Task.Resolution(task.resolution).name.lower(),
        "queue": task.queue.name,
        "batch": task.batch.name if task.batch else None,
        "schema": str(task.schema),
        "priority": task.priority,
        "overlap": task.overlap,
        "done": task.done,
        "agreement": task.agreement,
        "score": task.score,
        "metadata": task.metadata,
        "created_at": task.created_at,
    }


def task_with_all(actor: Actor, task: Task) -> dict[str, Any]:
    """The task with its content, every answer ever given, its places and its review."""
    slots = list(Slot.objects.filter(task=task).select_related("actor", "lane").order_by("ordinal"))
    names, candidates = Names(actor), _candidates(task)
    key = GoldKey.objects.filter(task=task).first()
    return {
        **task_json(task),
        "assigned_to": task.pool_id or None,
        "deletion": task.deletion.public_id if task.deletion else None,
        "data": {name: value for name, value in task.data.items() if name != "schema_version"},
        "prompt": task.prompt.messages if task.prompt else [],
        "candidates": candidates,
        "gold_answers": key.answers if key else None,
        "answers": _answers(task, names, candidates),
        "drafts": Draft.objects.filter(task=task).count(),
        "skips": Skip.objects.filter(task=task).count(),
        "slots": [_slot(slot, names) for slot in slots],
        "claims": _claims(task, names),
        "cases": [_case(case) for case in Case.objects.filter(task=task).order_by("pk")],
    }


class Names:
    """People by their pseudonym for managers; for reviewers by number, in the order in which they are met."""

    def __init__(self, reader: Actor) -> None:
        self.open = role_of(reader) in MANAGERS
        self.met: dict[int, int] = {}

    def of(self, actor: Actor | None) -> str | None:
        if actor is None:
            return None
        number = self.met.setdefault(actor.pk, len(self.met) + 1)
        return str(actor) if self.open else _("Annotator %d") % number


def _candidates(task: Task) -> list[dict[str, Any]]:
    rows = Candidate.objects.filter(task=task).select_related("completion__version__model").order_by("ordinal")
    return [
        {
            "name": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[row.ordinal % 26],
            "side": POSITIONS[row.ordinal],
            "id": row.completion.public_id,
            "text": row.completion.text,
            "source": row.completion.get_source_display(),
            "version": str(row.completion.version) if row.completion.version else None,
        }
        for row in rows
    ]


def _answers(task: Task, names: Names, candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = Annotation.objects.filter(task=task).select_related("actor", "guideline", "withdrawal").order_by("pk")
    questions = task.schema.body["questions"]
    seen = shown_in(task.data, task.prompt.messages if task.prompt else [], candidates)
    return [
        {
            "id": row.public_id,
            "who": names.of(row.actor),
            "actor_kind": row.actor.kind,
            "at": row.created_at,
            "answers": row.answers,
            "words": in_words(questions, row.answers, seen),
            "display_order": row.display_order,
            "seconds": row.seconds,
            "guideline": str(row.guideline) if row.guideline else None,
            "counted": row.counted,
            "settlement": row.settlement,
            **standing_of(row),
        }
        for row in rows
    ]


def standing_of(row: Annotation) -> dict[str, Any]:
    """Whether an answer counts, in a word, and the reason where somebody gave one."""
    withdrawal = getattr(row, "withdrawal", None)
    if withdrawal is not None:
        return {"standing": withdrawal.kind, "says": withdrawal.get_kind_display(), "why": withdrawal.reason}
    if row.surplus:
        return {"standing": "surplus", "says": _("extra: it came after the place had gone"), "why": ""}
    if row.settlement:
        return {"standing": "settlement", "says": _("a reviewer's last word"), "why": ""}
    if row.counted:
        return {"standing": "counted", "says": _("counts"), "why": ""}
    return {"standing": "replaced", "says": _("does not count"), "why": ""}


def _slot(slot: Slot, names: Names) -> dict[str, Any]:
    return {
        "ordinal": slot.ordinal,
        "state": Slot.State(slot.state).name.lower(),
        "says": slot.get_state_display(),
        "who": names.of(slot.actor),
        "leased_at": slot.leased_at,
        "lease_expires_at": slot.lease_expires_at,
    }


def _claims(task: Task, names: Names) -> list[dict[str, Any]]:
    """Every claim there ever was, the oldest first, and how it ended."""
    endings = {**dict(PastLease.Ending.choices), "in_hand": _("in hand"), "kept": _("kept for its draft")}
    return [
        {
            "ordinal": claim.slot.ordinal,
            "who": names.of(claim.actor),
            "leased_at": claim.at,
            "ended_at": claim.ended_at,
            "ending": str(endings.get(claim.ending, _("answered"))),
            "queue": claim.lane.queue.name,
        }
        for claim in claims_of(task)
    ]


def _case(case: Case) -> dict[str, Any]:
    reasons = dict(Case.Reason.choices)
    return {
        "id": case.public_id,
        "state": Case.State(case.state).name.lower(),
        "says": case.get_state_display(),
        "reasons": [str(reasons.get(reason, reason)) for reason in case.reasons],
        "cause": case.get_cause_display() if case.cause else "",
        "comment": case.comment,
        "opened_at": case.created_at,
        "settled_at": case.settled_at,
    }


def import_json(row: TaskImport) -> dict[str, Any]:
    job = row.job
    return {
        "id": row.public_id,
        **_job(row.job),
        "filename": row.filename,
        "schema": str(row.schema),
        "batch": row.batch.name if row.batch else None,
        "overlap": row.overlap,
        "priority": row.priority,
        "bytes": row.size,
        "bytes_read": row.offset,
        "lines": row.line,
        "made": row.made,
        "known": row.known,
        "wrong": row.wrong,
        "can_resume": bool(job and job.state in ("failed", "cancelled") and path_of(row.public_id).exists()),
        "created_at": row.created_at,
        "finished_at": row.finished_at,
    }


def _job(job: Job | None) -> dict[str, Any]:
    """What is told of the job behind a row."""
    return {
        "job": job.public_id if job else None,
        "state": job.state if job else "queued",
        "error": job.error if job else None,
    }


def edit_json(row: BulkEdit) -> dict[str, Any]:
    return {
        "id": row.public_id,
        **_job(row.job),
        "kind": row.kind,
        "value": row.value,
        "query": row.query,
        "changed": row.changed,
        "kept": row.kept,
        "can_undo": can_undo(row),
        "created_at": row.created_at,
        "finished_at": row.finished_at,
        "undone_at": row.undone_at,
        "purged_at": row.purged_at,
    }


def first_errors(row: TaskImport, most: int = 20) -> Sequence[dict[str, Any]]:
    """The beginning of the report, for the page."""
    path = report_of(row.public_id)
    if not row.wrong or not path.exists():
        return []
    found = []
    with path.open("rb") as stream:
        for _place in range(min(most, row.wrong)):
            line = stream.readline()
            if line:
                found.append(json.loads(line))
    return found
